"""`jobs.train` from photos to report: figures, one look at the test part, stop and resume."""

import dataclasses
import json
import signal
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from job_photos import write_colours

from stroma.core.errors import DataError, RunError
from stroma.core.runs import read_run
from stroma.data.dataset import ImageData
from stroma.jobs import Job, TrainOptions, Watch, evaluate, predict, prepare, resume, train
from stroma.jobs.recipe import network, pupil
from stroma.jobs.record import advice_line
from stroma.jobs.scratch import KeepBest
from stroma.package.artefact import Artefact
from stroma.training.interrupt import Interrupted


def options(path, **settings):
    return TrainOptions(path=str(path), weights="none", **{"epochs": 2, "folds": 0, **settings})


@pytest.fixture(scope="module")
def finished(colours, tmp_path_factory):
    """One run, read by many tests."""
    out = tmp_path_factory.mktemp("runs") / "one"
    return train(options(colours, out=out, epochs=4))


def test_a_run_folder_holds_all_that_was_promised(finished):
    folder = finished.folder
    read = read_run(folder)
    assert read.status == "finished" and read.test_reads == 1
    assert read.headline == finished.headline and read.headline.value == 1.0
    assert read.headline.count == len(read.predictions) == 9
    assert np.sum(read.confusion) == 9 and read.class_names == ("blue", "green", "red")
    assert {score.name for score in read.baselines} >= {"nearest neighbour on pixels", "guessing"}
    assert [row.epoch for row in read.history] == [1, 2, 3, 4]
    assert 1 <= read.best_epoch <= 4 and read.layers and read.plan.reasons
    assert all((folder / p.thumbnail).is_file() for p in read.predictions if p.thumbnail)
    assert b"9 of 9" in (folder / "report.html").read_bytes()
    assert len(list((folder / "checkpoints").glob("*.safetensors"))) == 2


def test_the_model_that_ships_says_what_the_test_said(finished):
    artefact = Artefact.load(finished.folder / "model.keras")
    for row in finished.predictions:
        answer = artefact.predict([row.path])[0]
        assert answer.class_name == finished.class_names[row.predicted]
        assert answer.probability == pytest.approx(row.probability, abs=1e-5)


def test_the_best_epoch_is_chosen_on_validation(finished):
    seen = {row.epoch: row.metrics["val_accuracy"] for row in finished_history(finished)}
    assert seen[finished.best_epoch] == max(seen.values())


def finished_history(run):
    return [row for row in read_run(run.folder).history if "val_accuracy" in row.metrics]


def test_a_second_look_at_the_test_part_is_refused(colours, monkeypatch, tmp_path):
    """Planted: something that peeks at the test part before the end."""
    job = prepare(options(colours))

    def peeks(self, run, watch):
        self.data.open_test()
        return original(self, run, watch)

    original = Job.train
    monkeypatch.setattr(Job, "train", peeks)
    with pytest.raises(DataError, match="has been read"):
        train(options(colours, out=tmp_path / "r"), job=job)
    assert read_run(tmp_path / "r").status == "failed"


def test_nothing_chooses_by_the_test_part(colours, monkeypatch):
    """With the test part closed for good, planning and training still run."""

    def closed(self, again=False):
        raise AssertionError("opened")

    monkeypatch.setattr(ImageData, "open_test", closed)
    with pytest.raises(AssertionError, match="opened"):
        train(options(colours, out=None))
    (folder,) = Path("runs").iterdir()
    assert len(read_run(folder).history) == 2  # training was over when it was asked for


class Stop(Watch):
    """Sends a signal in the middle of an epoch."""

    def __init__(self, at):
        self.at, self.said = at, []

    def progress(self, done, total, note=""):
        if done == self.at and total > 5:
            signal.raise_signal(signal.SIGINT)

    def say(self, text):
        self.said.append(text)


def weights_of(folder):
    model = Artefact.load(folder / "model.keras").model
    return {key: value.clone() for key, value in model.state_dict().items()}


def test_a_stopped_run_resumes_to_the_same_weights(colours, tmp_path):
    settings = {"epochs": 3, "batch": 8}
    job = prepare(options(colours, **settings))
    train(options(colours, out=tmp_path / "whole", **settings), job=job)
    stop = Stop(at=8)  # in the second epoch
    again = prepare(options(colours, **settings))
    again = dataclasses.replace(again, plan=job.plan, how=job.how)
    with pytest.raises(Interrupted):
        train(options(colours, out=tmp_path / "parts", **settings), stop, again)
    assert any("--resume" in line for line in stop.said)
    stopped = read_run(tmp_path / "parts")
    assert stopped.status == "interrupted" and stopped.headline is None
    assert (tmp_path / "parts" / "report.html").is_file()
    record = resume(tmp_path / "parts")
    assert record.status == "finished" and record.test_reads == 1
    first, second = weights_of(tmp_path / "whole"), weights_of(tmp_path / "parts")
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_a_run_with_other_photos_is_not_resumed(tmp_path):
    photos = write_colours(tmp_path / "photos")
    with pytest.raises(Interrupted):
        train(options(photos, out=tmp_path / "r", batch=4), Stop(at=8))
    (photos / "red" / "000.png").unlink()
    with pytest.raises(RunError, match="not what the run began with"):
        resume(tmp_path / "r")


def test_a_finished_run_is_not_resumed(finished):
    with pytest.raises(RunError, match="finished"):
        resume(finished.folder)


def test_few_photos_end_with_the_advice_and_the_figures(finished):
    line = advice_line(finished)
    assert line.startswith("from scratch on 42 photos: 100 % (70 to 100). Try: `stroma train ")
    assert line.endswith("--weights squeezenet1_1` (5 MB, fetched only if you type this)")
    many = dataclasses.replace(
        finished, data=dataclasses.replace(finished.data, counts={"train": (300, 300, 300)})
    )
    assert advice_line(many) == ""


def test_predict_and_evaluate_use_the_run(finished, colours):
    photos = sorted((colours / "red").glob("*.png"))[:3]
    said = list(predict(finished.folder, photos))
    assert [row.predicted for row in said] == ["red"] * 3
    assert all(0.4 < row.probability <= 1 for row in said)
    found = evaluate(finished.folder, str(colours))
    assert found.part == "all" and found.score.count == 60
    assert sum(map(sum, found.confusion)) == 60 and found.score.value > 0.9


def test_evaluate_takes_the_test_part_alone(finished, colours, tmp_path):
    for part in ("train", "test"):
        write_colours(tmp_path / "given" / part, each=4)
    found = evaluate(finished.folder, str(tmp_path / "given"))
    assert (found.part, found.score.count) == ("test", 12)


def test_the_same_seed_gives_the_same_first_weights_and_leaves_the_generators_alone(colours):
    recipe = prepare(options(colours)).how
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    one, two = network(recipe).state_dict(), pupil(recipe)[1].state_dict()
    assert torch.equal(torch.rand(1), expected)
    assert one.keys() == two.keys() and all(torch.equal(one[key], two[key]) for key in one)
    other = network(dataclasses.replace(recipe, seed=1)).state_dict()
    assert not torch.equal(one["conv1.weight"], other["conv1.weight"])


def test_a_network_that_diverges_is_said_to(colours, tmp_path):
    with pytest.raises(RunError, match="diverged"):
        train(options(colours, out=tmp_path / "r", lr=1e30, epochs=3))
    assert read_run(tmp_path / "r").status == "failed"


def test_settings_travel_as_plain_json(finished):
    text = json.loads((finished.folder / "run.json").read_text())
    assert text["plan"]["settings"]["batch_size"] == 16
    assert text["python"].endswith(f"epochs=4, out={str(finished.folder)!r}, folds=0))")


def test_of_equal_epochs_the_lowest_validation_loss_is_kept():
    best = KeepBest(0.1)
    best.state = SimpleNamespace(model=torch.nn.Linear(1, 1), step=1)
    for epoch, loss in enumerate([0.5, 0.2, 0.3]):
        best.on_epoch_end(epoch, {"loss": 1.0, "val_accuracy": 0.9, "val_loss": loss})
    assert best.epoch == 2


def test_a_tie_with_a_baseline_is_a_finding(finished):
    from stroma.jobs.record import findings

    level = dataclasses.replace(finished, baselines=(finished.headline,))
    assert "baseline" in {finding.term for finding in findings(level)}
