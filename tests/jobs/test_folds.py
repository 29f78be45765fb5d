"""k-fold: the estimate is that of a loop by hand, no copy straddles, each photo is tested once."""

import dataclasses
import signal
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from job_photos import write_colours
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import confusion_matrix
from sklearn.model_selection import PredefinedSplit, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier

from stroma.core.errors import ArgumentError, DataError
from stroma.core.runs import read_run, write_run
from stroma.data import arrays
from stroma.jobs import TrainOptions, Watch, prepare, resume, train
from stroma.jobs import table as table_of_features
from stroma.jobs.folds import cross_validated, everything, plan_test
from stroma.package.artefact import Artefact
from stroma.training.interrupt import Interrupted
from stroma.transfer import RidgeHead, features
from stroma.zoo import resnet20


class Scikit:
    """A classifier of scikit-learn on bare pixels, as a job sees what was trained."""

    best_epoch = None

    def __init__(self, classifier, part):
        self.classifier = classifier.fit(flat(part), part.labels)

    def network(self):
        return None

    def answers(self, part):
        yield np.arange(len(part)), self.classifier.predict_proba(flat(part))


def flat(part):
    return part.images().reshape(len(part), -1) / 255


def some_digits(count=300):
    raw = load_digits()
    pixels = np.rint(raw.images[:count] * (255 / 16)).astype(np.uint8)
    return arrays(pixels, raw.target[:count], [str(name) for name in range(10)])


# --- the estimate -----------------------------------------------------------------------------


@pytest.mark.parametrize("classifier", [KNeighborsClassifier(3), LogisticRegression(max_iter=500)])
def test_the_estimate_is_that_of_scikit_learns_own_loop(classifier, tmp_path):
    data = some_digits()
    folds = list(data.folds(4, validation=0.0))
    judged = cross_validated(
        lambda fold, place: Scikit(classifier, fold.train), folds, source="", folder=tmp_path
    )
    rows = {name: row for row, name in enumerate(f"sample {row}" for row in range(300))}
    number = np.zeros(300, int)
    for at, fold in enumerate(folds):
        number[[rows[name] for name in fold.test.names]] = at
    raw = load_digits()
    x, y = np.rint(raw.data[:300] * (255 / 16)) / 255, raw.target[:300]
    predicted = cross_val_predict(classifier, x, y, cv=PredefinedSplit(number))
    assert judged.headline.value == (predicted == y).mean() and judged.headline.count == 300
    assert np.array_equal(judged.confusion, confusion_matrix(y, predicted))
    assert {row.path: row.predicted for row in judged.predictions} == {
        f"sample {row}": int(predicted[row]) for row in range(300)
    }
    nearest = {score.name: score for score in judged.baselines}["nearest neighbour on pixels"]
    answers = cross_val_predict(KNeighborsClassifier(1), x, y, cv=PredefinedSplit(number))
    assert nearest.count == 300 and nearest.value == pytest.approx((answers == y).mean(), abs=0.004)
    assert [score.test_reads for score in judged.folds] == [1] * 4 and judged.test_reads == 1


def save_base(folder):
    torch.manual_seed(0)
    torch.save(resnet20().state_dict(), folder / "resnet20-random.pth")
    return str(folder / "resnet20-random.pth")


def test_heads_in_folds_are_those_of_a_loop_by_hand(tmp_path, monkeypatch):
    """Penalty and temperature are chosen within each fold; the base looks at each photo once."""
    photos, calls = write_colours(tmp_path / "photos", each=12, noise=400), []
    monkeypatch.setattr(
        table_of_features, "features",
        lambda *given, **named: calls.append(len(given[1])) or features(*given, **named),
    )  # fmt: skip
    options = TrainOptions(path=str(photos), weights=save_base(tmp_path), model="resnet20",
                           size=32, out=tmp_path / "r", seed=3, head="ridge")  # fmt: skip
    job = prepare(options)
    run = train(options, job=job)
    assert calls == [36]
    assert len(run.folds) == 5 and run.headline.count == 36 and run.test_reads == 1
    assert 0 < run.headline.value < 1  # noise enough that the loops could differ

    precision, extractor = job.how.precision, job.table.extractor
    said = {row.path: (row.predicted, row.probability) for row in run.predictions}
    for fold in job.data.folds(5, seed=3, validation=0.0):
        x = features(extractor, fold.train, precision=precision, cache=False)
        head = RidgeHead().fit(x, fold.train.labels, 3)
        x = features(extractor, fold.open_test(), precision=precision, cache=False)
        for name, row in zip(fold.test.names, head.probabilities(x)):
            predicted, probability = said.pop(str(photos / name))
            assert predicted == row.argmax() and probability == pytest.approx(row.max(), abs=1e-3)
    assert not said
    record = read_run(run.folder)
    write_run(run.folder, dataclasses.replace(record, status="interrupted"))
    (run.folder / "folds" / "4" / "fold.json").unlink()  # as if it had been stopped there
    assert resume(run.folder).headline == run.headline
    assert run.data.counts == {"train": (12, 12, 12), "validation": (0, 0, 0), "test": (0, 0, 0)}
    whole = job.learnt.train
    head = RidgeHead().fit(
        features(extractor, whole, precision=precision, cache=False), whole.labels, 3
    )
    weight = Artefact.load(run.folder / "model.keras").model.get_layer("head").get_weights()[0]
    np.testing.assert_allclose(weight, head.sharpness * head.weight, rtol=1e-3, atol=1e-5)


def noise_with_copies():
    """Noise with labels by the toss of a coin, each picture there twice: nothing can be learnt."""
    draws = np.random.default_rng(0)
    pixels = draws.integers(0, 256, (80, 6, 6), dtype=np.uint8)
    return arrays(np.concatenate([pixels, pixels]), np.tile(draws.integers(0, 2, 80), 2))


def nearest(fold, place):
    return Scikit(KNeighborsClassifier(1), fold.train)


def test_copies_do_not_make_noise_learnable(tmp_path):
    data = noise_with_copies()
    told = cross_validated(nearest, list(data.folds(5)), source="", folder=tmp_path / "a")
    assert 0.3 < told.headline.value < 0.7
    for part in data.parts.values():  # planted: nobody knows of the copies
        part.units = part.rows
    leaking = cross_validated(nearest, list(data.folds(5)), source="", folder=tmp_path / "b")
    assert leaking.headline.value > 0.7


def test_a_copy_on_both_sides_of_a_fold_is_caught(tmp_path):
    data = noise_with_copies()
    fold = next(data.folds(5))
    copy = fold.test.take([0])
    for planted in (
        dataclasses.replace(fold, train=joined_with(fold.train, copy)),
        dataclasses.replace(fold, validation=joined_with(fold.validation, copy)),
    ):
        with pytest.raises(DataError, match=r"sample \d+ is tested, and sample \d+, a copy"):
            cross_validated(nearest, [planted], source="", folder=tmp_path)


def joined_with(part, other):
    from stroma.data.part import joined

    return joined([part, other])


# --- one look ---------------------------------------------------------------------------------


def test_what_learns_cannot_look_at_the_fold_that_tests_it(tmp_path):
    def peeks(fold, place):
        fold.open_test()
        return nearest(fold, place)

    with pytest.raises(DataError, match="has been read"):
        cross_validated(peeks, list(some_digits().folds(3)), source="", folder=tmp_path)


def options(path, **settings):
    return TrainOptions(path=str(path), weights="none", **{"epochs": 2, **settings})


def test_a_look_at_the_test_part_before_the_folds_is_counted(colours, monkeypatch, tmp_path):
    job = prepare(options(colours, folds=2, epochs=1))
    job.data.open_test()
    run = train(options(colours, folds=2, epochs=1, out=tmp_path / "r"), job=job)
    assert run.test_reads == 2
    assert "was read 2 times" in (run.folder / "report.html").read_text()


# --- the whole job ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folded(colours, tmp_path_factory):
    return train(options(colours, out=tmp_path_factory.mktemp("runs") / "folded", batch=8))


def test_few_photos_of_a_class_are_tested_in_folds(folded, colours):
    run = read_run(folded.folder)
    assert run.plan.settings["folds"] == len(run.folds) == 5
    assert run.plan.reasons["test"].startswith("k-fold, k = 5: a test part would have 3 photos")
    assert run.headline.count == 60 == np.sum(run.confusion) and run.test_reads == 1
    assert run.headline.value == sum(round(f.score.value * f.score.count) for f in run.folds) / 60
    assert {row.path for row in run.predictions} == {str(p) for p in colours.rglob("*.png")}
    assert all((run.folder / p.thumbnail).is_file() for p in run.predictions if p.thumbnail)
    assert all(1 <= fold.best_epoch <= 2 and fold.test_reads == 1 for fold in run.folds)
    assert [score.count for score in run.baselines] == [60] * 3
    # What ships learnt from all but the photos that chose its epoch
    assert run.data.counts == {"train": (17,) * 3, "validation": (3,) * 3, "test": (0,) * 3}
    assert "tested in 5 folds" in run.data.split
    assert not any("few test photos" in note.problem for note in run.data.notes)
    page = (run.folder / "report.html").read_text()
    assert "k-fold, k&nbsp;=&nbsp;5" in page and "of 60 photos, each tested by a network" in page
    assert not list(run.folder.glob("folds/*/checkpoints"))
    assert Artefact.load(run.folder / "model.keras").provenance["folds"] == 5


class StopIn(Watch):
    """Sends a signal in the middle of a fold."""

    def __init__(self, number):
        self.number, self.now = number, 0

    def fold(self, number, count):
        self.now = number

    def progress(self, done, total, note=""):
        if self.now == self.number and total > 5 and done == 8:
            signal.raise_signal(signal.SIGINT)


def test_a_run_that_is_stopped_in_a_fold_resumes_to_the_same(folded, colours, tmp_path):
    settings = {"batch": 8, "out": tmp_path / "r"}
    job = dataclasses.replace(prepare(options(colours, **settings)), plan=folded.plan)
    job = dataclasses.replace(job, how=type(job.how).from_json(dict(folded.plan.settings)))
    with pytest.raises(Interrupted):
        train(options(colours, **settings), StopIn(2), job)
    first = tmp_path / "r" / "folds" / "1" / "fold.json"
    before = first.stat().st_mtime_ns
    assert read_run(tmp_path / "r").status == "interrupted"
    run = resume(tmp_path / "r")
    assert first.stat().st_mtime_ns == before  # what was over is not done again
    assert run.status == "finished" and run.headline == folded.headline
    assert [(p.path, p.probability) for p in run.predictions] == [
        (p.path, p.probability) for p in folded.predictions
    ]
    one, two = (Artefact.load(r.folder / "model.keras").model.state_dict() for r in (run, folded))
    assert all(torch.equal(one[key], two[key]) for key in two)


# --- when -------------------------------------------------------------------------------------


def planned(path, **settings):
    said = options(path, **settings)
    job = prepare(said)
    assert job.plan.settings["folds"] == len(job.folds)
    return job


def test_the_test_part_that_was_given_stays_the_test_part(tmp_path):
    for part in ("train", "test"):
        write_colours(tmp_path / "given" / part, each=8 if part == "train" else 4)
    job = planned(tmp_path / "given")
    assert not job.folds and len(job.data.test) == 12
    why = job.plan.reasons["test"]
    assert "that you gave" in why and "4 of the smallest class: the intervals are wide" in why
    with pytest.raises(ArgumentError, match="test part of their own") as error:
        planned(tmp_path / "given", folds=5)
    assert "leave --folds away" in error.value.fix
    run = train(options(tmp_path / "given", out=tmp_path / "r"), job=job)
    (finding,) = (f for f in run.findings if f.term == "confidence interval")
    assert "12 photos tested, 4 of the smallest class" in finding.evidence
    assert finding.try_next == "test on more photos"


def test_who_wants_no_folds_gets_none_and_who_wants_three_gets_them(colours):
    job = planned(colours, folds=0)
    assert not job.folds and "as you said" in job.plan.reasons["test"]
    job = planned(colours, folds=3)
    assert [len(fold.test) for fold in job.folds] == [21, 21, 18]
    assert job.plan.reasons["test"] == "k-fold, k = 3: you said so"
    with pytest.raises(ArgumentError, match="20 distinct photos") as error:
        planned(colours, folds=21)
    assert error.value.fix == "--folds 20"
    with pytest.raises(ArgumentError, match="folds"):
        options(colours, folds=1)


def test_large_test_parts_need_no_folds():
    assert not plan_test(TrainOptions(path="digits"), digits_of(40), validation=0.15).folds
    assert plan_test(TrainOptions(path="digits"), digits_of(25), validation=0.15).folds


def digits_of(tested):
    raw = load_digits()
    pixels = np.rint(raw.images * (255 / 16)).astype(np.uint8)
    share = tested / 174  # photos of the smallest class
    return arrays(pixels, raw.target, fractions=(0.9 - share, 0.1, share))


def test_small_classes_make_few_folds():
    pixels = np.random.default_rng(0).integers(0, 256, (23, 8, 8), dtype=np.uint8)
    data = arrays(pixels, [0] * 20 + [1] * 3)
    testing = plan_test(TrainOptions(path="x"), data, validation=0.15)
    assert len(testing.folds) == 3


def test_large_groups_that_no_fold_can_spread_are_said():
    """Two of the three photos of a class come with so many others that they fill one fold."""
    sizes, pixels = (20, 20, 10, 9, 1, 1, 1), np.random.default_rng(0).integers(0, 256, (65, 8, 8))
    labels = [0] * 62 + [1] * 3
    groups = np.concatenate([np.repeat(np.arange(7), sizes), [2, 3, 7]])
    data = arrays(pixels.astype(np.uint8), labels, groups=groups)
    testing = plan_test(TrainOptions(path="x"), data, validation=0.15)
    assert not testing.folds and testing.why.startswith("the test part, once, since in folds class")


def test_folds_stay_in_the_budget_and_give_way_where_they_would_make_poor_networks(colours):
    job = planned(colours, epochs=None, budget=20.0, folds=5)
    assert job.plan.estimated_seconds <= 20 and len(job.folds) == 5
    job = planned(colours, epochs=500, budget=2.0)
    why, command = job.plan.reasons["test"], job.plan.settings["folds_by"]
    assert not job.folds and "9 photos, 3 of the smallest class: the intervals are wide" in why
    assert command.startswith("--folds 5 --budget ") and command in why
    job = planned(colours, epochs=None, budget=1e5)
    assert len(job.folds) == 5
    assert job.plan.budget_seconds == 1e5


def test_all_photos_but_those_that_choose_are_learnt_from():
    data = some_digits()
    for validation, left in ((True, len(data.validation)), (False, 0)):
        learnt = everything(data, 5, validation=validation)
        assert (len(learnt.train), len(learnt.validation), len(learnt.test)) == (
            300 - left,
            left,
            0,
        )
        assert len(set(learnt.train.names) | set(learnt.validation.names)) == 300
        assert learnt.fingerprint == data.fingerprint
    assert data.test.reads == 0


def test_the_finding_says_which_command_tests_every_photo(folded):
    from stroma.jobs.record import findings

    plan = dataclasses.replace(
        folded.plan, settings={**folded.plan.settings, "folds_by": "--folds 5 --budget 7m"}
    )
    data = SimpleNamespace(counts={"train": (9, 9, 9), "test": (3, 3, 3)}, source="p")
    run = dataclasses.replace(folded, folds=(), plan=plan, data=data)
    (finding,) = (f for f in findings(run) if f.term == "confidence interval")
    assert finding.try_next.endswith("--epochs 2 --batch 8 --folds 5 --budget 7m")
    assert not [f for f in findings(folded) if f.term == "confidence interval"]
