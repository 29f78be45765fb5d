"""The road of features: the ladder in a run, what is known beyond the headline, and its resume."""

import numpy as np
import pytest
import torch
from job_photos import write_colours
from sklearn.decomposition import PCA

from stroma import layers, models
from stroma.core.errors import ArgumentError, WeightsError
from stroma.core.runs import read_run
from stroma.jobs import TrainOptions, Watch, resume, train
from stroma.jobs.check import look
from stroma.jobs.judging import judge
from stroma.jobs.ladder import LadderSettings, climb_ladder
from stroma.jobs.record import command_of
from stroma.jobs.roads import choose_road
from stroma.jobs.scratch import temperature_of
from stroma.jobs.table import FeatureTable
from stroma.jobs.understanding import embedding, understand
from stroma.package.artefact import Artefact
from stroma.transfer import PixelBaselines, feature_extractor
from stroma.transfer.calibration import tempered
from stroma.zoo import resnet20
from tuning_networks import few_digits, staged


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A base of random weights: the road is what is tested, not what it scores."""
    file = tmp_path_factory.mktemp("weights") / "resnet20-random.pth"
    torch.manual_seed(0)
    torch.save(resnet20().state_dict(), file)
    return str(file)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Three colours in so much noise that some photos are taken for another."""
    folder = write_colours(tmp_path_factory.mktemp("noisy") / "noisy", each=24, noise=400)
    return folder


def options(path, base, **settings):
    usual = {"model": "resnet20", "weights": base, "size": 32, "road": "features", "folds": 0}
    return TrainOptions(path=str(path), **{**usual, "head": "lda", **settings})


@pytest.fixture(scope="module")
def finished(photos, base, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STROMA_CACHE", str(tmp_path_factory.mktemp("cache")))
        return train(options(photos, base, out=tmp_path_factory.mktemp("runs") / "one"))


def test_a_run_tells_base_ladder_and_heads(finished, base):
    run = read_run(finished.folder)
    assert [rung.name for rung in run.ladder] == ["features + ridge", "head: lda"]
    assert sum(rung.chosen for rung in run.ladder) == 1
    assert all(rung.score.name == "validation accuracy" and rung.seconds > 0 for rung in run.ladder)
    assert [row.name for row in run.heads] == ["lda"] and run.lead is None
    assert run.base.architecture == "resnet20" and run.base.weights_file == base
    assert len(run.base.sha256) == 64 and run.base.parameters > 200_000
    assert run.base.frozen.startswith("all of resnet20, 270,") and run.base.layer
    assert run.test_reads == 1 and run.status == "finished"


def test_it_knows_how_sure_to_be(finished):
    run = read_run(finished.folder)
    assert run.calibration.count == len(run.predictions) == 12
    assert run.calibration.refusal[0].error == pytest.approx(1 - run.headline.value)
    assert run.unlike and all(0 <= row.false_alarms <= 1 for row in run.unlike)
    artefact = Artefact.load(finished.folder / "model.keras")
    answers = artefact.predict([row.path for row in run.predictions])
    for answer, row in zip(answers, run.predictions):
        assert answer.class_name == run.class_names[row.predicted]
        assert answer.probability == pytest.approx(
            row.probability, abs=0.1
        )  # bfloat16 features of a random base
    noise = np.random.default_rng(0).integers(0, 2, (8, 32, 32, 3)).astype(np.uint8) * 255
    scores = [answer.unlike for answer in artefact.predict(list(noise))]
    assert np.mean(scores) > np.mean([answer.unlike for answer in answers])


def test_mistakes_have_a_picture_of_their_reason(finished):
    wrong = [row for row in finished.predictions if not row.right]
    assert wrong and all((finished.folder / row.explained).is_file() for row in wrong)
    assert not any(row.explained for row in finished.predictions if row.right)


def test_the_map_is_that_of_scikit_learn(photos, base, finished):
    found = read_run(finished.folder).embedding
    assert len(found.photos) == 72 and {photo.part for photo in found.photos} == {
        "train", "validation", "test",
    }  # fmt: skip
    data = few_digits()
    table = FeatureTable(feature_extractor(staged(), input_shape=data.shape))
    mapped = embedding(table, {"train": data.train}, "digits")
    pca = PCA(2).fit(table.of(data.train))
    expected = pca.transform(table.of(data.train))
    ours = np.array([(photo.x, photo.y) for photo in mapped.photos])
    signs = np.sign((ours * expected).sum(0))
    np.testing.assert_allclose(ours * signs, expected, atol=1e-3)
    assert mapped.explained == pytest.approx(pca.explained_variance_ratio_, abs=1e-3)


class StopAt(Watch):
    """Stops the run when a stage begins, as Ctrl-C does, or SIGTERM through the command line."""

    def __init__(self, name, by):
        self.name, self.by = name, by

    def stage(self, name):
        if name == self.name:
            raise self.by


@pytest.mark.parametrize("stage, by, told", [
    ("heads", KeyboardInterrupt(), "stopped by SIGINT"),
    ("understanding", SystemExit(143), "stopped by SIGTERM"),
])  # fmt: skip
def test_a_stopped_run_goes_on_to_the_same_end(photos, base, finished, tmp_path, stage, by, told):
    with pytest.raises(type(by)):
        train(options(photos, base, out=tmp_path / "r"), StopAt(stage, by))
    stopped = read_run(tmp_path / "r")
    assert (stopped.status, stopped.error) == ("interrupted", told)
    again = resume(tmp_path / "r")
    assert again.headline == finished.headline and again.confusion == finished.confusion
    assert [rung.name for rung in again.ladder] == ["features + ridge", "head: lda"]


def test_a_run_on_a_keras_file_goes_on(photos, tmp_path):
    pixels = layers.Input((24, 24, 3))
    maps = layers.Conv2D(8, 3, activation="relu")(layers.Rescaling(1 / 255)(pixels))
    answers = layers.Dense(5)(layers.GlobalAveragePooling2D()(maps))
    models.Model(pixels, answers).save(tmp_path / "mine.keras")
    named = {"model": str(tmp_path / "mine.keras"), "size": None}
    with pytest.raises(KeyboardInterrupt):
        train(
            options(photos, None, out=tmp_path / "stopped", **named),
            StopAt("heads", KeyboardInterrupt()),
        )
    whole = train(options(photos, None, out=tmp_path / "whole", **named))
    again = resume(tmp_path / "stopped")
    assert again.headline == whole.headline and again.confusion == whole.confusion


class Steps(Watch):
    """Notes what it is told."""

    def __init__(self):
        self.stages, self.done, self.total = [], [], []

    def stage(self, name):
        self.stages.append(name)

    def progress(self, done, total, note=""):
        self.done.append(done)
        self.total.append(total)


def test_a_tuned_network_ships_with_its_own_temperature_and_features(tmp_path):
    data = few_digits(count=300)
    table = FeatureTable(feature_extractor(staged(), input_shape=data.shape))
    settings = LadderSettings(
        head="ridge", finetune="always", tuning_seconds=0.001, tuning_epochs=15
    )
    before = table.of(data.train).copy()
    watch = Steps()
    climbed = climb_ladder(table, data, settings, watch=watch)
    assert watch.stages.count("tuning") == 2 and watch.done[-1] == watch.total[-1]
    assert climbed.tuned is not None  # though the time was too short, since it was asked for
    assert [rung.epochs for rung in climbed.found.rungs] == [0, 3, 3]
    assert climbed.temperature != 1.0
    baselines = PixelBaselines(data.train, 10)
    judged = judge(climbed, data, baselines, "digits", tmp_path)
    known = understand(climbed, data, judged, "digits")
    assert known.calibration.temperature == climbed.temperature
    np.testing.assert_array_equal(table.of(data.train), before)  # the frozen base's, kept
    shipped = Artefact(
        climbed.network().model, data.class_names, temperature=climbed.temperature,
        unlike=known.score,
    )  # fmt: skip
    part = data.open_test(again=True)
    said = shipped.probabilities([np.repeat(image, 3, 2) for image in part.images()])
    np.testing.assert_allclose(said, judged.probabilities, atol=1e-4)


def test_classes_can_count_the_same():
    data = few_digits(count=200)
    table = FeatureTable(feature_extractor(staged(), input_shape=data.shape))
    found = climb_ladder(
        table, data, LadderSettings(head="lda", target="balanced_accuracy")
    ).found  # fmt: skip
    assert {rung.score.name for rung in found.rungs} == {"validation balanced accuracy"}
    assert found.head.target == "balanced_accuracy" and found.head.class_weight == "balanced"
    row = found.choice.table[0]
    assert row.score == pytest.approx(np.mean(row.class_recalls))


def test_folds_compare_heads_and_tune_nothing(photos, base, tmp_path):
    run = train(options(photos, base, folds=3, head="ridge", budget=60.0, out=tmp_path / "r"))
    assert len(run.folds) == 3 and [rung.score.name for rung in run.ladder] == [
        "leave-one-out accuracy"
    ]
    assert "folds" in run.plan.reasons["fine-tuning"] and run.calibration.count == 72
    # the folds have computed the features, the ladder tells of them all the same
    assert run.ladder[0].seconds > 0.5 * run.seconds["training"]
    wrong = [row for row in run.predictions if row.explained]
    assert wrong and all((run.folder / row.explained).is_file() for row in wrong)
    with pytest.raises(ArgumentError, match="finetune always"):
        train(options(photos, base, folds=3, finetune="always", out=tmp_path / "s"))


def test_wrong_labels_are_found_by_their_paths(tmp_path, base):
    """Planted: two red photos among the green ones."""
    photos = write_colours(tmp_path / "photos", each=20, noise=20)
    for number in (0, 1):
        (photos / "red" / f"{number:03d}.png").rename(photos / "green" / f"was-red-{number}.png")
    found = look(TrainOptions(path=str(photos), model="resnet20", weights=base, size=32))
    suspects = {suspect.path for suspect in found.audit.suspects.suspects}
    assert suspects == {str(photos / "green" / f"was-red-{number}.png") for number in (0, 1)}
    assert {found.audit.class_names[s.suggested] for s in found.audit.suspects.suspects} == {"red"}
    assert "label noise" in {finding.term for finding in found.audit.findings()}
    assert len(list(photos.rglob("*.png"))) == 60  # nothing was moved or removed


def test_without_weights_it_says_what_to_bring_and_what_can_be_done():
    with pytest.raises(WeightsError) as caught:
        choose_road(TrainOptions(path="p", road="features", model="resnet18"), (224, 224))
    fix = caught.value.fix
    assert "resnet18-f37072fd.pth" in fix and "checkpoints" in fix
    assert "--weights FILE" in fix and "stroma train p --weights none" in fix
    with pytest.raises(ArgumentError, match="without pretrained weights"):
        choose_road(TrainOptions(path="p", road="features", weights="none"), (224, 224))


def test_the_command_that_is_told_does_the_same(base):
    typed = command_of(options("p", base, finetune="never", budget=60.0))
    assert typed == (
        f"stroma transfer p --base resnet20 --weights {base} --size 32 --folds 0 --head lda "
        "--finetune never --budget 60s"
    )
    with pytest.raises(ArgumentError, match="Did you mean"):
        TrainOptions(path="p", head="rigde")


@pytest.mark.parametrize(("right", "count"), [(10, 10), (50, 50), (9, 10)])
def test_few_photos_make_nobody_certain(right, count):
    shares = np.full((count, 3), 0.1)
    shares[:, 0] = 0.8
    labels = np.where(np.arange(count) < right, 0, 1)
    temperature = temperature_of(shares, labels)
    sure = tempered(shares, temperature).max(1).mean()
    assert sure <= (right + 1) / (count + 2) + 1e-6
    if right == count:  # and no less sure than that allows
        assert sure == pytest.approx((right + 1) / (count + 2), abs=1e-6)


def test_a_head_has_its_temperature_within(photos, base, finished):
    assert read_run(finished.folder).calibration.temperature == 1.0
