"""Records of how well several classes, or a number, are predicted; a run keeps them."""

from __future__ import annotations

from dataclasses import dataclass

from stroma.core.plain import Record
from stroma.core.tasks import Task


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure(Record):
    """A figure with its 95 % interval.

    Args:
        name: What it is, for people ("mean average precision").
        value: None where it cannot be said (no photo has the class; all numbers are equal).
        low, high: Of the interval; None where there is none.
    """

    name: str
    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassFigures(Record):
    """One of several classes.

    Args:
        name: Of the class.
        support: Photos that have it.
        average_precision, f1: None where no photo has it.
        share: Average precision of an answer by chance: the share of photos that have it.
    """

    name: str
    support: int
    average_precision: float | None
    f1: float | None
    share: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured(Record):
    """How well several classes or a number are predicted, on photos that chose nothing.

    Args:
        task: "several classes" or "number".
        count: Photos.
        figures: The first is the headline.
        baseline: The same figures for answers that do not look at the photo: the share of each
            class, or the mean of the training photos.
        classes: One row each, of several classes.
    """

    task: Task
    count: int
    figures: tuple[Figure, ...]
    baseline: tuple[Figure, ...] = ()
    classes: tuple[ClassFigures, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class MeasuredAnswer(Record):
    """What was said about one photo of the test part: a line of answers.jsonl.

    Args:
        path: The photo, as the user would type it.
        truth: The number; or for each class of `RunRecord.class_names` 1 where the photo has it.
        answer: The number that was said; or the probability of each class.
        thumbnail: Small picture relative to the run folder, where one is kept.
    """

    path: str
    truth: tuple[float, ...]
    answer: tuple[float, ...]
    thumbnail: str | None = None
