"""The road of features: a pretrained base looks at each photo once, a head is solved for."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from stroma import zoo
from stroma.core.errors import ArgumentError
from stroma.core.plain import Record
from stroma.core.records import Plan
from stroma.data import ImageData, Part
from stroma.jobs.folds import Testing
from stroma.jobs.options import TrainOptions
from stroma.jobs.plan import budget_of, budget_reason, data_settings
from stroma.jobs.roads import Road
from stroma.jobs.scratch import Trained
from stroma.jobs.watch import Watch
from stroma.models import Model
from stroma.training.fitting import choose_device
from stroma.training.precision import Precision, choose_precision
from stroma.transfer import RidgeHead, feature_extractor, features, with_head
from stroma.zoo.weights import FoundWeights

_PROBE = 8  # photos that a base is timed on
_AT_ONCE = 64  # photos that are answered at once


@dataclass(frozen=True, kw_only=True, slots=True)
class Base(Record):
    """A pretrained base, as `run.json` keeps it.

    Args:
        architecture: Its builder in the zoo.
        weights_file: Where its weights lie; `sha256` their hash, `place` how they were found.
        licence: Terms of the weights; empty: not known.
    """

    architecture: str
    weights_file: str
    sha256: str
    place: str = ""
    licence: str = ""
    precision: str = "float32"


def plan_features(
    options: TrainOptions, data: ImageData, road: Road, watch: Watch, testing: Testing
) -> tuple[Plan, Base, Model]:
    """The first base, in the road's order, whose features fit into the budget."""
    watch.stage("planning")
    if data.shape[2] != 3:
        raise ArgumentError(
            f"pretrained weights want photos in colour, these have {data.shape[2]} channel",
            where=f"--weights {options.weights}",
            why="their first layer adds up red, green and blue",
            fix=f"stroma train {options.path} --weights none",
        )
    budget = budget_of(options, data)
    photos = sum(len(part) for part in data.parts.values())
    for last, found in zip([*[False] * (len(road.bases) - 1), True], road.bases):
        name = road.architecture_of(found)
        extractor = _extractor(name, found, data)
        precision, each = _timed(extractor, data, options.device)
        if last or photos * each <= budget:
            break
    base = Base(
        architecture=name, weights_file=str(found.path), sha256=found.sha256, place=found.place,
        licence=found.licence, precision=precision.name,
    )  # fmt: skip
    size = data.size
    reasons = (
        {
            "weights": f"{found.path} ({found.place}), {found.licence or 'licence not known'}",
            "image size": "you said so" if options.size else "what the weights were trained on",
            "precision": precision.reason,
            "head": "ridge regression, its penalty by exact leave-one-out on the training photos",
            "budget": budget_reason(options),
        }
        | testing.reason()
        | _not_used(options)
    )
    plan = Plan(
        road="features", why=road.why, other_road=road.other, model=f"{name}, frozen + ridge head",
        parameters=extractor.count_params(), image_size=size,
        device=str(choose_device(options.device)), precision=precision.name, batch_size=64,
        budget_seconds=budget, estimated_seconds=round(photos * each, 1), seed=options.seed,
        reasons=reasons,
        settings=base.to_json() | data_settings(options, data) | testing.settings(),
    )  # fmt: skip
    return plan, base, extractor


def _not_used(options: TrainOptions) -> dict[str, str]:
    """What was typed for the other road is said to be without effect, not dropped in silence."""
    steering = ("epochs", "batch", "lr", "mirror")
    given = [f"--{name}" for name in steering if getattr(options, name) is not None]
    if not given:
        return {}
    why = "the head is solved for in one step, on the photos as they are; --weights none uses them"
    return {"not used": f"{', '.join(given)}: {why}"}


class FeatureTable:
    """The features of photos by a frozen base, each computed once, however often they are needed.

    The first part asked for is the widest: later ones, its shares, are rows of the table.

    Args:
        base: The base, with the precision that it computes in.
        extractor: Its network.
    """

    def __init__(self, base: Base, extractor: Model) -> None:
        self.base, self.extractor = base, extractor
        self._rows = np.zeros(0, np.int64)  # places in the store, ascending
        self._values = np.zeros((0, 0), np.float32)

    def of(self, part: Part, watch: Watch | None = None) -> np.ndarray:
        """(N, D), in the part's order."""
        if not np.isin(part.rows, self._rows).all():
            watch = watch or Watch()
            watch.stage("features")
            ordered = part.take(np.argsort(part.rows))  # one cache, whatever the split's seed
            self._rows, self._values = (
                ordered.rows,
                features(
                    self.extractor, ordered, precision=self.base.precision, progress=watch.progress
                ),
            )
        return self._values[np.searchsorted(self._rows, part.rows)]


@dataclass(frozen=True, slots=True)
class Head:
    """A ridge head and the features below it: it answers as the network of both does.

    Up to rounding: features may be computed in bfloat16, the network answers in float32.
    """

    ridge: RidgeHead
    table: FeatureTable
    best_epoch: None = None

    def answers(self, part: Part) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """(positions, their (B, K) probabilities), batch by batch, in the part's order."""
        shares = self.ridge.probabilities(self.table.of(part))
        for start in range(0, len(part), _AT_ONCE):
            positions = np.arange(start, min(start + _AT_ONCE, len(part)))
            yield positions, shares[positions]

    def network(self) -> Trained:
        """Pictures in, probabilities out: what ships."""
        model = with_head(self.table.extractor, self.ridge.as_layers())
        return Trained(model, None, probabilities=True)


def fit_head(table: FeatureTable, data: ImageData, watch: Watch) -> Head:
    """The head in closed form; penalty and temperature are chosen on the training photos alone."""
    rows = table.of(data.train, watch)
    return Head(RidgeHead().fit(rows, data.train.labels, len(data.class_names)), table)


def load_extractor(base: Base, data: ImageData) -> Model:
    """The extractor that a plan named, for a run that goes on."""
    model = zoo.architectures.lookup(base.architecture)(
        weights=base.weights_file, include_top=False, input_shape=data.shape
    )
    return feature_extractor(model)


def _extractor(name: str, found: FoundWeights, data: ImageData) -> Model:
    model = zoo.architectures.lookup(name)(
        weights=found.path, include_top=False, input_shape=data.shape
    )
    model.preprocessing = found.preprocessing
    return feature_extractor(model)


def _timed(extractor: Model, data: ImageData, device: str) -> tuple[Precision, float]:
    """The precision that suits, and seconds a photo."""
    place = choose_device(device)
    extractor.to(place)
    x = torch.from_numpy(data.train.images(range(min(_PROBE, len(data.train))))).to(place).float()
    precision = choose_precision("auto", extractor, x[:1], place)
    with (
        torch.no_grad(),
        torch.autocast(place.type, precision.dtype, enabled=precision.dtype is not None),
    ):
        extractor(x, training=False)
        began = time.perf_counter()
        float(extractor(x, training=False).float().sum())  # a read waits for the device
    return precision, (time.perf_counter() - began) / len(x)
