"""The plan of the road of features: which base, how its features are headed, what is tuned."""

from __future__ import annotations

import dataclasses
import time

import torch

from stroma.core.errors import ArgumentError
from stroma.core.records import Plan
from stroma.core.tasks import Task
from stroma.data import ImageData
from stroma.jobs.folds import Testing
from stroma.jobs.ladder import LadderSettings
from stroma.jobs.options import TrainOptions
from stroma.jobs.plan import budget_of, budget_reason, data_settings
from stroma.jobs.roads import Road
from stroma.jobs.table import Base, FeatureTable, facts_of_base, pretrained
from stroma.jobs.watch import Watch
from stroma.models import Model
from stroma.training.fitting import choose_device
from stroma.training.precision import Precision
from stroma.transfer.features import verdict_path
from stroma.transfer.rounding import feature_precision
from stroma.zoo.weights import FoundWeights

_PROBE = 8  # photos that a base is timed on
_TUNING_EPOCHS = 10


def plan_features(
    options: TrainOptions, data: ImageData, road: Road, watch: Watch, testing: Testing
) -> tuple[Plan, Base, LadderSettings, FeatureTable]:
    """The first base, in the road's order, whose features fit into the budget; and the ladder."""
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
        extractor = pretrained(name, found, data, options.layer)
        precision, each = _timed(extractor, data, options.device)
        if last or photos * each <= budget:
            break
    base = facts_of_base(name, found, extractor, options.layer, precision.name)
    ladder, testing, tuning = _tuning(options, budget, testing, data.task)
    reasons = _reasons(options, found, base, precision, tuning, ladder.head) | testing.reason()
    head = "the best of several heads" if ladder.head == "auto" else f"{ladder.head} head"
    then = ", then tuned if it pays" if ladder.tuning_seconds is not None else ""
    plan = Plan(
        road="features", why=road.why, other_road=road.other,
        model=f"{name}, frozen + {head}{then}", parameters=base.parameters, image_size=data.size,
        device=str(choose_device(options.device)), precision=precision.name, batch_size=64,
        budget_seconds=budget,
        estimated_seconds=round(max(photos * each, ladder.tuning_seconds or 0.0), 1),
        seed=options.seed, reasons=reasons | _not_used(options, ladder),
        settings=base.to_json() | ladder.to_json() | data_settings(options, data)
        | testing.settings(),
    )  # fmt: skip
    return plan, base, ladder, FeatureTable(extractor, precision.name, options.device)


def _reasons(
    options: TrainOptions, found: FoundWeights, base: Base, precision: Precision, tuning: str,
    head: str,
) -> dict[str, str]:  # fmt: skip
    why = (
        "those that take about a second are compared by leave-one-out and cross-validation"
        if head == "auto"
        else f"you said so: {head}"
        if head == options.head
        else "one system for all classes, or for the number; its penalty by exact leave-one-out"
    )
    return {
        "weights": f"{found.path} ({found.place}), {found.licence or 'licence not known'}",
        "image size": "you said so" if options.size else "what the weights were trained on",
        "precision": precision.reason,
        "head": why,
        "fine-tuning": tuning,
        "budget": budget_reason(options),
    } | ({"layer": f"you said so: {base.layer}"} if base.cut else {})


def _tuning(
    options: TrainOptions, budget: float, testing: Testing, task: Task
) -> tuple[LadderSettings, Testing, str]:
    """The ladder's settings, how it is tested, and why it is tuned or not."""
    if task != "one class":
        settings = LadderSettings(head="ridge", finetune="never")
        return settings, testing, "no: that is for one class a photo"
    epochs = options.epochs or _TUNING_EPOCHS
    settings = LadderSettings(
        head=options.head, finetune=options.finetune, target=options.target, tuning_epochs=epochs
    )
    if options.finetune == "never":
        return settings, testing, "no: you said so"
    always = options.finetune == "always"
    if not always and options.budget is None:
        return settings, testing, "no: it takes minutes; --budget 5m allows it as far as it pays"
    if testing.folds and options.folds:
        if always:
            raise ArgumentError(
                f"--finetune always with --folds {options.folds}",
                where=f"--folds {options.folds}",
                why="each fold would be tuned anew, and needs photos to choose by",
                fix="--folds 0 tests the test part; --finetune never tests heads in folds",
            )
        return settings, testing, "no: each of the folds would be tuned anew; --folds 0 allows it"
    if testing.folds and not always:
        return settings, testing, "no: few photos are tested in folds; --folds 0 allows it"
    if testing.folds:
        testing = Testing(why="the test part, once: in folds each would be tuned anew")
    tuned = dataclasses.replace(settings, tuning_seconds=budget)
    return tuned, testing, "you said so" if always else "as the budget allows and as pays"


def _not_used(options: TrainOptions, ladder: LadderSettings) -> dict[str, str]:
    """What was typed for the other road is said to be without effect, not dropped in silence."""
    steering = ["batch", "lr", "mirror"]
    if ladder.tuning_seconds is None:
        steering.insert(0, "epochs")
    given = [f"--{name}" for name in steering if getattr(options, name) is not None]
    if not given:
        return {}
    why = "the head is solved for in one step, on the photos as they are; --weights none uses them"
    return {"not used": f"{', '.join(given)}: {why}"}


def _timed(extractor: Model, data: ImageData, device: str) -> tuple[Precision, float]:
    """The precision that suits, and seconds a photo."""
    place = choose_device(device)
    extractor.to(place)
    x = torch.from_numpy(data.train.images(range(min(_PROBE, len(data.train))))).to(place).float()
    verdict = verdict_path(extractor, data.train, place)
    precision = feature_precision("auto", extractor, data.train, place, verdict)
    with (
        torch.no_grad(),
        torch.autocast(place.type, precision.dtype, enabled=precision.dtype is not None),
    ):
        extractor(x, training=False)
        began = time.perf_counter()
        float(extractor(x, training=False).float().sum())  # a read waits for the device
    return precision, (time.perf_counter() - began) / len(x)
