"""The plan of a training from scratch: what fits these photos, this machine and this budget."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence

from stroma.core.records import Plan
from stroma.data import ImageData
from stroma.jobs.folds import Testing
from stroma.jobs.options import TrainOptions
from stroma.jobs.pace import Pace, measure
from stroma.jobs.questions import QUESTIONS, Question
from stroma.jobs.recipe import SMALL, Recipe
from stroma.jobs.roads import Road
from stroma.jobs.watch import Watch
from stroma.training.fitting import choose_device

LARGEST_SIDE = 160  # pixels that a small network from scratch makes use of
QUICK_SECONDS = 45.0  # the rest of the minute is reading, testing and the report
_WIDTHS = (96, 64, 48, 32)
_USUAL_WIDTH = 32
_MOST_SECONDS, _LEAST_SECONDS = 300.0, 60.0
_PIXELS_FOR_MOST = 80_000_000  # of training photos: from here on the whole default budget pays
# A budget is a promise, and the pace of other programs' machines varies.
_SAFETY = 0.92
_NUMBER_WORDS = {
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    "left", "right",
}  # fmt: skip


def budget_of(options: TrainOptions, data: ImageData, work: float = 1.0) -> float:
    """Seconds for training: what was said, else about five minutes, less for few small photos.

    Folds are `work` trainings: they make of the usual minute up to five.
    """
    if options.budget is not None:
        return options.budget
    if options.quick:
        return QUICK_SECONDS
    height, width, _ = data.shape
    share = len(data.train) * height * width / _PIXELS_FOR_MOST
    return min(_MOST_SECONDS, max(_LEAST_SECONDS, _MOST_SECONDS * share) * work)


def budget_reason(options: TrainOptions) -> str:
    """Where the budget comes from."""
    if options.budget is not None:
        return "you said so"
    if options.quick:
        return "--quick: the rest of a minute is reading, testing and the report"
    return "1 to 5 min, by how many pixels there are to learn from; --budget says otherwise"


def plan_scratch(
    options: TrainOptions, data: ImageData, road: Road, watch: Watch, testing: Testing
) -> tuple[Plan, Recipe]:
    """Choose network, views and epochs; the pace is measured, the rest follows from the data."""
    watch.stage("planning")
    recipe, reasons = _fixed_settings(options, data)
    pace = measure(recipe, data, options.device)
    testing = _affordable(testing, options, data, _epoch_seconds(recipe, pace, data))
    budget = budget_of(options, data, testing.work)
    share = budget / testing.work  # of one training on the training part
    if options.model is None and (options.epochs is None or options.budget is not None):
        wanted = options.epochs or _epochs_of_use(data)[0]
        width = _widest(recipe, pace, data, wanted, share)
        if width != recipe.width:
            recipe = dataclasses.replace(recipe, width=width)
            pace = measure(recipe, data, options.device)
        reasons["width"] = f"the widest of {len(_WIDTHS)} that leaves time for {wanted} epochs"
    epochs = options.epochs or _epochs_that_fit(recipe, pace, data, share)
    seconds = epochs * _epoch_seconds(recipe, pace, data) * testing.work
    reasons["epochs"] = (
        f"{pace.training:,.0f} photos/s were measured; more would exceed the budget or teach little"
        if not options.epochs else "you said so" if seconds <= budget else
        f"you said so; they take about {seconds / budget:.1f} times the budget, which is not kept"
    )  # fmt: skip
    reasons["budget"] = budget_reason(options)
    reasons |= testing.reason()
    reasons["precision"] = pace.precision.reason
    recipe = dataclasses.replace(
        recipe, epochs=epochs, precision=pace.precision.name,
        validate_every=max(1, -(-epochs // 15)),
    )  # fmt: skip
    plan = Plan(
        road="from scratch", why=road.why, other_road=road.other, model=_described(recipe),
        parameters=pace.parameters, image_size=recipe.shape[:2],
        device=str(choose_device(options.device)), precision=recipe.precision,
        batch_size=recipe.batch_size, epochs=epochs, budget_seconds=budget,
        estimated_seconds=round(seconds, 1),
        seed=options.seed, reasons=reasons,
        settings=recipe.to_json() | data_settings(options, data) | testing.settings(),
    )  # fmt: skip
    return plan, recipe


def _affordable(
    testing: Testing, options: TrainOptions, data: ImageData, epoch_seconds: float
) -> Testing:
    """The same, or the test part where folds that nobody asked for would make poor networks."""
    if not testing.folds or options.folds is not None:
        return testing
    epochs = options.epochs or _epochs_of_use(data)[0]
    needed = epochs * epoch_seconds * testing.work / _SAFETY
    if needed <= budget_of(options, data, testing.work):
        return testing
    return testing.without_folds(data, needed)


def data_settings(options: TrainOptions, data: ImageData) -> dict[str, object]:
    """What `images` must be told again to give the same three parts, and where to compute."""
    return {
        "photos": options.path, "size": list(data.size), "split_seed": options.seed,
        "group": options.group, "drop_empty": options.drop_empty, "device_asked": options.device,
    }  # fmt: skip


def _fixed_settings(options: TrainOptions, data: ImageData) -> tuple[Recipe, dict[str, str]]:
    """What the data decide by themselves."""
    height, width, _ = data.shape
    side, count = min(height, width), len(data.train)
    small = side <= 64
    signs = has_signs(data.class_names)
    mirror = not signs if options.mirror is None else options.mirror
    batch = options.batch or (16 if count < 500 else 32 if count < 2000 else 64)
    if options.batch is None and count >= 20_000:
        batch = 128
    batch = min(batch, count)
    # The whole picture in small ones; windows of four fifths, which then show things as large as
    # the whole picture does in the test, in others. A network of the zoo may know one size only.
    question = QUESTIONS.get(data.task)
    whole = small or options.model is not None or question is not None
    view = (height, width) if whole else (_fifths(height), _fifths(width))
    rate = 0.1 * (batch / 64) ** 0.5 * (question.rate if question else 1.0)
    recipe = Recipe(
        model=options.model or SMALL,
        shape=data.shape, classes=len(data.class_names),
        width=_USUAL_WIDTH, stem=1 if side <= 40 else 4,
        blocks=(1, 1) if side <= 12 else (1, 1, 1) if small else (1, 1, 1, 1),
        view=view,
        visible=(0.85, 1.15) if signs else (1.0, 1.0) if small else (0.5, 1.0),
        stretch=1.15 if signs else 1.0 if small else 1.3,
        turn=10.0 if signs else 0.0,
        shift=0.1 if signs else 0.125 if small else 0.0,
        mirror=mirror,
        batch_size=batch,
        learning_rate=options.lr or round(rate, 4),
        seed=options.seed,
    )  # fmt: skip
    reasons = {
        "model": "you named it" if options.model else "photos of this size need no more",
        "image size": "you said so" if options.size else
        f"the photos' own, at most {LARGEST_SIDE}: a small network makes no use of more",
        "batch": "you said so" if options.batch == batch else
        f"there are {count:,} training photos" + (", fewer than you said" if options.batch else ""),
        "learning rate": "you said so" if options.lr else f"suits a batch of {batch}",
        "mirrored views": "you said so" if options.mirror is not None else
        "the classes are numbers, letters or sides" if signs else
        "a mirrored photo still shows its class",
    }  # fmt: skip
    if question is not None:
        recipe, reasons = _of_question(question, recipe, reasons, data, options)
    return recipe, reasons


def _of_question(
    question: Question, recipe: Recipe, reasons: dict[str, str], data: ImageData,
    options: TrainOptions,
) -> tuple[Recipe, dict[str, str]]:  # fmt: skip
    """The same for several classes or a number: photos are seen whole, in their own light."""
    mirror = options.mirror is None or options.mirror
    recipe = dataclasses.replace(
        recipe, task=data.task, scale=question.scale(data.train.targets), mirror=mirror,
        visible=(1.0, 1.0), stretch=1.0, turn=0.0, shift=0.0,
    )  # fmt: skip
    reasons["views"] = f"whole: a window, or another size, may change {question.noun}"
    if options.mirror is None:
        reasons["mirrored views"] = (
            "a mirrored photo still has its number, or its classes; if not: --no-mirror"
        )
    return recipe, reasons


def has_signs(class_names: Sequence[str]) -> bool:
    """Whether the classes are signs or sides, whose mirror image is another one or none.

    Example:
        >>> has_signs(["zero", "one"]), has_signs(["A", "B"]), has_signs(["tench", "church"])
        (True, True, False)
    """
    words = [re.findall(r"[a-z]+|\d+", name.lower()) for name in class_names]
    signs = sum(
        bool(found) and all(w.isdigit() or len(w) == 1 or w in _NUMBER_WORDS for w in found)
        for found in words
    )
    sides = {"left", "right"} <= {word for found in words for word in found}
    return sides or 2 * signs > len(class_names)


def _fifths(side: int) -> int:
    return max(32, round(side * 0.8 / 32) * 32)


def _epochs_of_use(data: ImageData) -> tuple[int, int]:
    """(fewest that make a good network, most that still teach it something)."""
    fewest = min(60, max(8, round(75_000 / max(len(data.train), 1))))
    return fewest, 5 * fewest


def _epoch_seconds(recipe: Recipe, pace: Pace, data: ImageData) -> float:
    validated = len(recipe.validated) / recipe.epochs if recipe.epochs > 1 else 1 / 5
    return len(data.train) / pace.training + validated * len(data.validation) / pace.validation


def _epochs_that_fit(recipe: Recipe, pace: Pace, data: ImageData, budget: float) -> int:
    most = _epochs_of_use(data)[1]
    return max(1, min(most, int(_SAFETY * budget / _epoch_seconds(recipe, pace, data))))


def _widest(recipe: Recipe, pace: Pace, data: ImageData, epochs: int, budget: float) -> int:
    """The widest network of which `epochs` fit into the budget, judged from one measured width.

    Work grows with the square of the width, time a little less: narrow layers leave the
    processor waiting for memory.
    """
    for width in _WIDTHS:
        slower = (width / recipe.width) ** 1.6
        if epochs * _epoch_seconds(recipe, pace, data) * slower <= _SAFETY * budget:
            return width
    return _WIDTHS[-1]


def _described(recipe: Recipe) -> str:
    if recipe.model != SMALL:
        return recipe.model
    last = recipe.width * 2 ** (len(recipe.blocks) - 1)
    blocks = sum(recipe.blocks)
    return f"{SMALL}: {blocks} blocks, {recipe.width} to {last} channels"
