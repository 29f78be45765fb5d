"""How fast this machine is, measured on a few real steps: a plan needs it, nothing else does."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from stroma.data import ImageData
from stroma.jobs.recipe import Recipe, how_to_train, pupil
from stroma.training.fitting import choose_device
from stroma.training.loop import Settings, forward, step, to_device
from stroma.training.precision import Precision, choose_precision
from stroma.training.state import State

_SECONDS = 1.0  # of measuring, after the steps that warm the machine up
_WARM, _LEAST, _MOST = 2, 3, 30


@dataclass(frozen=True, slots=True)
class Pace:
    """Photos a second in training and in validation, and the precision they were measured in."""

    training: float
    validation: float
    precision: Precision
    parameters: int


def measure(recipe: Recipe, data: ImageData, device: str) -> Pace:
    """Train a throw-away copy for about a second on the first photos of the training part."""
    place = choose_device(device)
    learner, core = pupil(recipe)
    learner.to(place)
    count = min(recipe.batch_size, len(data.train))
    [batch] = data.train.take(range(count)).batches(count, shuffle=False).epoch(0)
    x = torch.as_tensor(batch.x)
    first = to_device(x[:1], place)
    precision = choose_precision("auto", learner, first, place)
    settings = Settings(device=place, autocast=precision.dtype)
    compiled = how_to_train(recipe, 1000)
    state = State(learner, compiled.optimizer, compiled.objective, seed=0, epochs=1)
    trained = count / _median(lambda: step(state, batch, settings), place)
    with torch.no_grad():
        moved = to_device(x, place)
        validated = count / _median(
            lambda: forward(learner, moved, settings, training=False), place
        )
    return Pace(trained, validated, precision, core.count_params())


def _median(work: Callable[[], object], device: torch.device) -> float:
    """Seconds that `work` takes as a rule."""
    times: list[float] = []
    for turn in range(_WARM + _MOST):
        began = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        if turn >= _WARM:
            times.append(time.perf_counter() - began)
        if len(times) >= _LEAST and sum(times) > _SECONDS:
            break
    return statistics.median(times)
