"""The road of features: a pretrained base looks at each photo once, a head is solved for."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import torch

from stroma import zoo
from stroma.core.errors import ArgumentError
from stroma.core.plain import Record
from stroma.core.records import Plan, Score
from stroma.data import ImageData
from stroma.jobs.options import TrainOptions
from stroma.jobs.plan import budget_of, budget_reason, data_settings
from stroma.jobs.roads import Road
from stroma.jobs.scratch import Trained
from stroma.jobs.watch import Watch
from stroma.models import Model
from stroma.training.fitting import choose_device, predict
from stroma.training.precision import Precision, choose_precision
from stroma.transfer import RidgeHead, feature_extractor, features, with_head
from stroma.zoo.weights import FoundWeights

_PROBE = 8  # photos that a base is timed on


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
    options: TrainOptions, data: ImageData, road: Road, watch: Watch
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
    reasons = {
        "weights": f"{found.path} ({found.place}), {found.licence or 'licence not known'}",
        "image size": "you said so" if options.size else "what the weights were trained on",
        "precision": precision.reason,
        "head": "ridge regression, its penalty by exact leave-one-out on the training photos",
        "budget": budget_reason(options),
    } | _not_used(options)
    plan = Plan(
        road="features", why=road.why, other_road=road.other, model=f"{name}, frozen + ridge head",
        parameters=extractor.count_params(), image_size=size,
        device=str(choose_device(options.device)), precision=precision.name, batch_size=64,
        budget_seconds=budget, estimated_seconds=round(photos * each, 1), seed=options.seed,
        reasons=reasons,
        settings=base.to_json() | data_settings(options, data),
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


def train_features(base: Base, extractor: Model, data: ImageData, watch: Watch) -> Trained:
    """Features of the training photos, then the head in closed form."""
    watch.stage("features")
    rows = features(extractor, data.train, precision=base.precision, progress=watch.progress)
    head = RidgeHead().fit(rows, data.train.labels, len(data.class_names))
    return Trained(with_head(extractor, head.as_layers()), None, probabilities=True)


def validation_score(base: Base, trained: Trained, data: ImageData, watch: Watch) -> Score:
    """How the head does on validation: the figure that the next choices would be made by."""
    batches = data.validation.batches(64, shuffle=False)
    answers = np.asarray(predict(trained.model, batches)).argmax(1)
    return Score.of("val_accuracy", int((answers == data.validation.labels).sum()), len(answers))


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
