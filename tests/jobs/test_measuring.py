"""Several classes and numbers, from photos to a run: both roads, against a loop by hand."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import average_precision_score

from stroma.core.errors import ArgumentError, RunError
from stroma.core.runs import ANSWERS_FILE, read_run
from stroma.data import images
from stroma.data.part import joined
from stroma.jobs import TrainOptions, evaluate, predict, resume, train
from stroma.jobs.measuring import findings_of
from stroma.jobs.questions import QUESTIONS
from stroma.jobs.recipe import Recipe, network, shipped
from stroma.jobs.scratch import KeepBest
from stroma.package.artefact import Artefact
from stroma.report.measured import error_quantiles
from stroma.transfer import MultiLabelRidge, RidgeRegression, feature_extractor, features
from stroma.zoo import resnet20

SQUARES = {"blue": (20, 20, 230), "red": (230, 20, 20)}


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    file = tmp_path_factory.mktemp("weights") / "resnet20-random.pth"
    torch.manual_seed(0)
    torch.save(resnet20().state_dict(), file)
    return str(file)


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """`numbers.csv`: how red a photo is; `squares.csv`: which squares lie in it."""
    folder, draws = tmp_path_factory.mktemp("measured"), np.random.default_rng(0)
    numbers, squares = ["path,redness"], ["path,label"]
    for at in range(120):
        red = draws.uniform(0, 1)
        save(folder / f"n{at}.png", draws.normal([255 * red, 80, 160], 20, (16, 16, 3)))
        numbers.append(f"n{at}.png,{20 + 5 * red:.3f}")
        photo, there = 128 + draws.normal(0, 10, (16, 16, 3)), []
        for name, colour in SQUARES.items():
            if draws.random() < 0.5:
                y, x = draws.integers(0, 10, 2)
                photo[y : y + 6, x : x + 6] = colour
                there.append(name)
        save(folder / f"s{at}.png", photo)
        squares.append(f"s{at}.png,{'|'.join(there) or '|'}")
    (folder / "numbers.csv").write_text("\n".join(numbers))
    (folder / "squares.csv").write_text("\n".join(squares))
    return folder


def save(path, pixels):
    Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(path)


def options(path, **settings):
    column = "redness" if path.name == "numbers.csv" else None
    return TrainOptions(path=str(path), target_column=column, **settings)


@pytest.fixture(scope="module")
def runs(tables, base, tmp_path_factory):
    """One run of each question, on the features of a base with random weights."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STROMA_CACHE", str(tmp_path_factory.mktemp("cache")))
        return {
            name: train(options(
                tables / f"{name}.csv", model="resnet20", weights=base, size=32,
                out=tmp_path_factory.mktemp("runs") / name,
            )) for name in ("numbers", "squares")
        }  # fmt: skip


def learnt_by(extractor, part, run):
    """The features that a head learns from, in the precision of the run."""
    return features(extractor, part, precision=run.plan.precision, cache=False)


def test_a_number_is_what_a_loop_by_hand_finds(tables, base, runs):
    run, data = by_hand(tables, runs, "numbers")
    extractor = feature_extractor(resnet20(weights=base, include_top=False))
    learnt, test = joined([data.train, data.validation]), data.open_test()
    head = RidgeRegression().fit(learnt_by(extractor, learnt, run), learnt.targets)
    said = head.predict(features(extractor, test, precision="float32", cache=False))[:, 0]
    stored = np.array([row.answer[0] for row in run.answers])
    assert [row.truth[0] for row in run.answers] == test.targets.tolist()
    np.testing.assert_allclose(stored, said, atol=2e-3)
    error, absolute = stored - test.targets, run.measured.figures[0]
    assert absolute.value == pytest.approx(np.abs(error).mean())
    assert absolute.low < absolute.value < absolute.high < 0.3
    spread = ((test.targets - test.targets.mean()) ** 2).sum()
    assert run.measured.figures[2].value == pytest.approx(1 - (error**2).sum() / spread)
    mean = np.abs(test.targets - learnt.targets.mean()).mean()
    assert run.measured.baseline[0].value == pytest.approx(mean)
    assert error_quantiles(run)[0][1] == pytest.approx(
        np.quantile(np.abs(error), 0.5, method="inverted_cdf")
    )


def test_several_classes_are_what_a_loop_by_hand_finds(tables, base, runs):
    run, data = by_hand(tables, runs, "squares")
    extractor = feature_extractor(resnet20(weights=base, include_top=False))
    learnt, test = joined([data.train, data.validation]), data.open_test()
    head = MultiLabelRidge().fit(learnt_by(extractor, learnt, run), learnt.targets)
    said = head.probabilities(features(extractor, test, precision="float32", cache=False))
    stored = np.array([row.answer for row in run.answers])
    np.testing.assert_allclose(stored, said, atol=2e-3)
    truth = np.array([row.truth for row in run.answers])
    assert (truth == test.targets).all()
    for row, column, known in zip(run.measured.classes, stored.T, truth.T):
        assert row.average_precision == pytest.approx(average_precision_score(known, column))
        assert row.support == known.sum() and row.name in SQUARES
    assert run.measured.figures[0].value > run.measured.baseline[0].value + 0.2


def by_hand(tables, runs, name):
    run = read_run(runs[name].folder)
    data = images(tables / f"{name}.csv", size=32, target_column=(
        "redness" if name == "numbers" else None))  # fmt: skip
    return run, data


@pytest.mark.parametrize("name", ["numbers", "squares"])
def test_the_run_tells_what_was_done_and_what_was_not(runs, name):
    run = read_run(runs[name].folder)
    assert run.status == "finished" and run.test_reads == 1 and not run.folds
    assert run.headline is None and not run.confusion and not run.predictions
    assert not run.baselines and run.calibration is None and not run.ladder
    assert run.plan.reasons["test"].startswith("the test part, once")
    assert run.plan.model == "resnet20, frozen + ridge head"
    assert run.base.frozen.endswith("the head (ridge) was solved for")
    lines = (run.folder / ANSWERS_FILE).read_text().splitlines()
    assert len(lines) == run.measured.count == run.data.totals["test"]
    shown = [row for row in run.answers if row.thumbnail]
    assert len(shown) == min(24, len(lines))
    assert all((run.folder / row.thumbnail).is_file() for row in shown)
    page = (run.folder / "report.html").read_text()
    assert "Confusion matrix" not in page and 'id="figures"' in page
    assert ("Said against true" in page) == (name == "numbers")
    assert ("Average precision" in page) == (name == "squares")


@pytest.mark.parametrize("name", ["numbers", "squares"])
def test_what_ships_answers_as_the_test_said(tables, runs, name):
    run = read_run(runs[name].folder)
    rows = run.answers[:4]
    photos = [str(tables / row.path.rpartition("/")[2]) for row in rows]
    for said, row in zip(predict(run.folder, photos), rows):
        shares = [said.value] if name == "numbers" else list(said.probabilities.values())
        assert shares == pytest.approx(list(row.answer), abs=0.02)


@pytest.mark.parametrize("name", ["numbers", "squares"])
def test_evaluate_measures_the_same_photos_alike(tables, runs, name):
    run = read_run(runs[name].folder)
    rows = (tables / f"{name}.csv").read_text().splitlines()
    tested = {row.path.rpartition("/")[2] for row in run.answers}
    kept = [row for row in rows[1:] if row.partition(",")[0] in tested]
    again = tables / f"again-{name}.csv"
    again.write_text("\n".join([rows[0], *kept]))
    found = evaluate(run.folder, str(again))
    assert found.part == "all" and not found.seen and found.measured.count == len(kept)
    for ours, theirs in zip(found.measured.figures, run.measured.figures):
        assert ours.value == pytest.approx(theirs.value, rel=0.02)
    assert evaluate(run.folder, str(tables / f"{name}.csv")).seen


def test_from_scratch_a_number_is_learnt_and_its_scale_ships(tables, tmp_path):
    run = train(options(tables / "numbers.csv", weights="none", epochs=25, out=tmp_path / "run"))
    assert run.measured.figures[0].value < 0.5 * run.measured.baseline[0].value
    assert run.plan.settings["task"] == "number" and run.best_epoch
    assert set(read_run(run.folder).history[-1].metrics) == {"loss", "val_loss"}
    artefact = Artefact.load(run.folder / "model.keras")
    assert artefact.model.layers[-1].name == "number"
    assert artefact.model.layers[-1].offset == pytest.approx(run.plan.settings["scale"][0])
    photo = tables / run.answers[0].path.rpartition("/")[2]
    assert artefact.predict_number([photo])[0].value == pytest.approx(
        run.answers[0].answer[0], abs=1e-3
    )
    with pytest.raises(RunError, match="finished"):
        resume(run.folder)


def test_from_scratch_several_classes_are_learnt(tables, tmp_path):
    run = train(options(tables / "squares.csv", weights="none", epochs=12, out=tmp_path / "run"))
    assert run.measured.figures[0].value > 0.8
    assert Artefact.load(run.folder / "model.keras").task == "several classes"
    assert run.plan.settings["visible"] == [1.0, 1.0] and "whole" in run.plan.reasons["views"]


def test_an_interrupted_run_goes_on_to_the_same_weights(tables, tmp_path, monkeypatch):
    asked = options(
        tables / "numbers.csv", model="resnet20", weights="none", epochs=2, out=tmp_path / "whole"
    )  # a network of the zoo: its width does not depend on the pace of the machine
    whole = train(asked)
    shown = KeepBest.on_epoch_end

    def stop(self, epoch, logs=None):
        shown(self, epoch, logs)
        if epoch == 0:
            self.state.interrupted = True
            raise KeyboardInterrupt

    monkeypatch.setattr(KeepBest, "on_epoch_end", stop)
    with pytest.raises(KeyboardInterrupt):
        train(dataclasses.replace(asked, out=tmp_path / "stopped"))
    monkeypatch.setattr(KeepBest, "on_epoch_end", shown)
    again = resume(tmp_path / "stopped")
    ours, theirs = ([row.answer for row in run.answers] for run in (again, whole))
    assert ours == theirs and again.status == "finished"


@pytest.mark.parametrize("task", sorted(QUESTIONS))
def test_the_loss_is_that_of_the_answers_that_ship(task):
    recipe = Recipe(
        shape=(16, 16, 3), view=(16, 16), classes=1 if task == "number" else 2, task=task,
        blocks=(1,), width=4, scale=(50.0, 4.0) if task == "number" else (0.0, 1.0),
    )  # fmt: skip
    x = torch.randint(0, 256, (6, 16, 16, 3)).float()
    core, whole = network(recipe), shipped(recipe)
    whole.load_state_dict(core.state_dict())
    outputs, answers = core(x), whole(x)
    truth = torch.rand(6, 1) * 9 + 45 if task == "number" else torch.eye(2).repeat(3, 1)
    loss = QUESTIONS[task].loss(truth, outputs, recipe.scale).mean()
    expected = (
        (((answers - truth) / 4) ** 2).mean()
        if task == "number"
        else torch.nn.functional.binary_cross_entropy(answers, truth)
    )
    torch.testing.assert_close(loss, expected, rtol=1e-4, atol=1e-4)


def test_what_only_one_class_has_is_refused_in_words(tables, base):
    for asked in ({"folds": 3}, {"head": "lda"}, {"finetune": "always"}):
        with pytest.raises(ArgumentError, match="for photos that have a number each"):
            train(options(tables / "numbers.csv", model="resnet20", weights=base, size=32, **asked))


def test_a_network_that_learnt_nothing_is_called_so(runs):
    for run in runs.values():
        assert not list(findings_of(run.measured, run))
        blind = dataclasses.replace(run.measured, figures=run.measured.baseline)
        [finding] = findings_of(blind, run)
        assert finding.severity == "critical" and "learnt nothing" in finding.means


def test_answers_of_another_run_are_refused(runs, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "run.json").write_text(json.dumps(runs["squares"].to_json()))
    (folder / ANSWERS_FILE).write_text('{"path": "a", "truth": [1], "answer": [1]}\n')
    with pytest.raises(RunError, match="1 answers and 1 truths for 2 classes"):
        read_run(folder)
