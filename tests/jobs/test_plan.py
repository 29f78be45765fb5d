"""What the plan decides, and by what."""

import dataclasses
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from job_photos import write_colours

from stroma.core.errors import ArgumentError
from stroma.data import digits
from stroma.jobs import TrainOptions, prepare
from stroma.jobs.options import seconds_of
from stroma.jobs.pace import Pace
from stroma.jobs.plan import _epoch_seconds, _epochs_that_fit, _widest, budget_of, has_signs
from stroma.jobs.recipe import Recipe
from stroma.jobs.roads import choose_road
from stroma.jobs.views import RandomView
from stroma.training.precision import Precision
from stroma.zoo import resnet20, squeezenet1_1

DIGITS = digits()


@given(st.integers(1, 10_000), st.sampled_from(["s", "m", "h", "min", ""]))
def test_times_are_read_as_typed(number, unit):
    factor = {"s": 1, "m": 60, "min": 60, "h": 3600, "": 1}[unit]
    assert seconds_of(f"{number}{unit}") == number * factor
    assert seconds_of(f" {number} {unit.upper()} ") == number * factor


@pytest.mark.parametrize("text", ["10x", "", "m", "-3m", "0s", "1e3", "10 m 5"])
def test_what_is_no_time_is_refused(text):
    with pytest.raises(ArgumentError, match="is no time"):
        seconds_of(text)


@given(speed=st.floats(0.1, 1e5), budget=st.floats(1, 3600))
def test_the_plan_stays_in_its_budget_or_is_one_epoch_long(speed, budget):
    data, recipe = DIGITS, Recipe(shape=(8, 8, 1), classes=10, view=(8, 8))
    pace = Pace(speed, 3 * speed, Precision(None, ""), 0)
    epochs = _epochs_that_fit(recipe, pace, data, budget)
    assert epochs == 1 or epochs * _epoch_seconds(recipe, pace, data) <= budget


def test_a_faster_machine_gets_a_wider_network():
    data, recipe = digits(), Recipe(shape=(8, 8, 1), classes=10, view=(8, 8))
    widths = [
        _widest(recipe, Pace(speed, speed, Precision(None, ""), 0), data, 60, 60.0)
        for speed in (1.0, 500.0, 2000.0, 1e6)
    ]
    assert widths == sorted(widths) and widths[0] == 32 and widths[-1] == 96


def test_budgets_by_default():
    data = digits()
    assert budget_of(TrainOptions(path="digits"), data) == 60
    assert budget_of(TrainOptions(path="digits", quick=True), data) == 45
    assert budget_of(TrainOptions(path="digits", budget=7.0), data) == 7
    large = dataclasses.replace(data, shape=(500, 500, 3))
    assert budget_of(TrainOptions(path="digits"), large) == 300


def test_signs_are_not_mirrored(colours):
    assert has_signs(["7", "8"]) and has_signs(["turn left", "turn right", "stop"])
    assert not has_signs(["cat", "dog"])
    assert not prepare(TrainOptions(path="digits", epochs=1)).how.mirror
    assert prepare(TrainOptions(path=str(colours), epochs=1)).how.mirror
    assert not prepare(TrainOptions(path=str(colours), epochs=1, mirror=False)).how.mirror


def test_what_was_said_is_done(colours):
    job = prepare(
        TrainOptions(path=str(colours), epochs=3, batch=4, lr=0.02, size=24, seed=7, model="lenet5")
    )
    how = job.how
    assert (how.epochs, how.batch_size, how.learning_rate, how.seed) == (3, 4, 0.02, 7)
    assert how.shape == (24, 24, 3) and how.model == "lenet5"
    assert job.plan.reasons["epochs"] == job.plan.reasons["batch"] == "you said so"


def test_large_photos_are_seen_through_windows(tmp_path):
    job = prepare(TrainOptions(path=str(write_colours(tmp_path / "p", 8, 200)), epochs=1))
    assert job.how.shape == (160, 160, 3) and job.how.view == (128, 128) and job.how.stem == 4


# Roads


def save(model, folder: Path, name: str) -> Path:
    folder.mkdir(exist_ok=True)
    torch.save(model.state_dict(), folder / name)
    return folder / name


def test_no_weights_means_from_scratch():
    road = choose_road(TrainOptions(path="p"), (224, 224))
    assert not road.bases and "on this machine" in road.why
    assert road.other == "stroma train p --weights squeezenet1_1"


def test_a_file_that_says_its_network_takes_the_road_of_features(tmp_path):
    file = save(squeezenet1_1(), tmp_path / "w", "squeezenet1_1-mine.pth")
    road = choose_road(TrainOptions(path="p", weights=str(file)), (224, 224))
    assert [base.path for base in road.bases] == [file] and road.architecture == "squeezenet1_1"
    assert road.other == "stroma train p --weights none"


def test_a_file_that_does_not_say_its_network_asks_for_it(tmp_path):
    file = save(resnet20(), tmp_path / "w", "mine.pth")
    with pytest.raises(ArgumentError, match="for which network") as error:
        choose_road(TrainOptions(path="p", weights=str(file)), (32, 32))
    assert "--model" in error.value.fix
    road = choose_road(TrainOptions(path="p", weights=str(file), model="resnet20"), (32, 32))
    assert road.bases and road.architecture == "resnet20"


def test_weights_found_here_are_used_for_photos_of_their_size_only(monkeypatch, tmp_path):
    from stroma.jobs import roads
    from stroma.zoo.weights import TABLE, FoundWeights

    entries = {entry.architecture: entry for entry in TABLE}
    found = [FoundWeights(path=tmp_path, place="", entry=entries[name])
             for name in ("squeezenet1_1", "resnet18", "resnet20")]  # fmt: skip
    monkeypatch.setattr(roads, "find_local", lambda model: found)

    def names(side):
        road = choose_road(TrainOptions(path="p"), (side, side))
        return [road.architecture_of(base) for base in road.bases]

    assert names(224) == ["resnet18", "squeezenet1_1"]
    assert names(32) == ["resnet20"]
    assert names(8) == []


# Views


def test_a_view_of_everything_is_the_picture():
    x = torch.rand(4, 16, 16, 3)
    view = RandomView((16, 16), (1.0, 1.0))
    assert torch.allclose(view(x, training=True), x, atol=1e-5)
    assert torch.equal(view(x, training=False), x)


def test_mirrored_views_are_mirrored_and_half_of_them():
    x = torch.rand(1, 8, 8, 1).expand(400, 8, 8, 1)
    seen = RandomView((8, 8), (1.0, 1.0), mirror=True)(x, training=True)
    plain = (seen - x).abs().amax((1, 2, 3)) < 1e-4
    flipped = (seen - x.flip(2)).abs().amax((1, 2, 3)) < 1e-4
    assert bool((plain | flipped).all()) and 140 < int(plain.sum()) < 260


def test_views_show_what_they_were_told_to():
    """A ramp from -1 to 1 tells where each view looks."""
    ramp = torch.linspace(-1 + 1 / 64, 1 - 1 / 64, 64).expand(500, 64, 64)[..., None]
    seen = RandomView((32, 32), (0.5, 0.8))(ramp, training=True)[:, 0, :, 0]
    extent = (seen[:, -1] - seen[:, 0]) / (2 * 31 / 32)
    assert 0.49 < extent.min() < 0.55 and 0.75 < extent.max() < 0.81
    assert seen.min() >= -1 and seen.max() <= 1
    turned = RandomView((64, 64), (1.0, 1.0), turn=90)(ramp[:50], training=True)
    assert (turned - ramp[:50]).abs().amax() > 0.5


def test_views_repeat_with_the_seed():
    x, view = torch.rand(8, 16, 16, 3), RandomView((12, 12), (0.5, 1.0), 1.3, 10, 0.1, True)
    torch.manual_seed(1)
    first = view(x, training=True)
    torch.manual_seed(1)
    assert torch.equal(first, view(x, training=True))


def test_a_view_that_only_moves_keeps_every_pixel_sharp():
    x = torch.randint(0, 256, (16, 32, 32, 3), dtype=torch.uint8)
    moved = RandomView((32, 32), (1.0, 1.0), shift=0.125, mirror=True)(x, training=True)
    turned = RandomView((32, 32), (1.0, 1.0), turn=5, shift=0.125)(x, training=True)
    assert torch.equal(moved, moved.round()) and not torch.equal(moved, x.float())
    assert not torch.equal(turned, turned.round())  # what the rounding avoids
