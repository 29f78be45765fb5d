"""What a user may say about a training run, checked once."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from stroma.core.checks import check_choice, check_int, check_number
from stroma.core.errors import ArgumentError
from stroma.data.labels import LabelsAre
from stroma.transfer.heads.choose import kinds
from stroma.transfer.heads.scoring import TARGETS, Target

_UNITS = {"": 1.0, "s": 1.0, "sec": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
_SEEDS = 2**32
Finetune = Literal["auto", "always", "never"]


def seconds_of(text: str) -> float:
    """A time as people type it, in seconds.

    Raises: ArgumentError: no number above 0, or an unknown unit.
    Example:
        >>> seconds_of("10m"), seconds_of("90"), seconds_of("1.5h")
        (600.0, 90.0, 5400.0)
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", text.strip().lower())
    if match is None or match[2] not in _UNITS or float(match[1]) == 0:
        raise ArgumentError(
            f"budget {text!r} is no time",
            where=f"--budget {text}",
            why="it is a number above 0 and s, m or h: as long as training may take",
            fix="--budget 10m",
        )
    return float(match[1]) * _UNITS[match[2]]


def folds_of(text: str) -> int | None:
    """What `--folds` takes: "auto" (None), 0, or 2 and more.

    Raises: ArgumentError: anything else.
    Example:
        >>> folds_of("auto"), folds_of("5"), folds_of("0")
        (None, 5, 0)
    """
    if text == "auto":
        return None
    if not re.fullmatch(r"[0-9]{1,6}", text) or int(text) == 1:
        raise ArgumentError(
            f"folds {text!r} is neither auto, nor 0, nor 2 or more",
            where=f"--folds {text}",
            why="k-fold trains k times, each time without one share of the photos; 0 tests the "
            "test part",
            fix="--folds 5",
        )
    return int(text)


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainOptions:
    """Settings of `jobs.train`; None leaves the choice to the plan.

    Args:
        path: What `stroma.data.images` takes, or "digits".
        model: A name of the zoo.
        weights: "none", a path, or a name of `stroma.zoo.weights`.
        epochs: Passes over the training photos, >= 1.
        budget: Seconds that planning, training and validation may take, > 0.
        size: Side of the photos in pixels, >= 8.
        batch: Photos a step, >= 2.
        lr: Highest learning rate, > 0.
        seed: Of the split, the first weights, the order and the views.
        out: Folder of the run; None: `runs/<date>_<subject>_<name>`.
        quick: A plan for one minute.
        group: As in `stroma.data.images`.
        mirror: Whether left and right may be swapped; None: by what the class names say.
        drop_empty: Leave out classes without pictures instead of stopping.
        device: "auto", "cpu", "cuda".
        folds: Number k >= 2 of folds that the headline comes from; 0: the test part, whatever its
            size; None: folds where a class has under 30 test photos and the budget allows.
        road: "features" where it must be a pretrained base, as for `stroma transfer`; "auto" takes
            one where it is named or at hand.
        head: On the road of features: "ridge" or another name, or "auto": the best of those that
            take about a second.
        finetune: On the road of features: "auto" tunes the base as well where a budget was said
            and as far as it goes; "always" also where the budget is too small; "never" does not.
            What does best on validation ships.
        layer: Layer of the base whose output the features are; None: the last.
        target: What heads are chosen by: "accuracy" or "balanced_accuracy".
        labels, target_column: As in `stroma.data.images`: what the labels of a table are.
        command: The line that was typed, for the record.
    """

    path: str
    model: str | None = None
    weights: str | None = None
    epochs: int | None = None
    budget: float | None = None
    size: int | None = None
    batch: int | None = None
    lr: float | None = None
    seed: int = 0
    out: Path | None = None
    quick: bool = False
    group: str | None = None
    mirror: bool | None = None
    drop_empty: bool = False
    device: str = "auto"
    folds: int | None = None
    road: Literal["auto", "features"] = "auto"
    head: str = "auto"
    finetune: Finetune = "auto"
    layer: str | None = None
    target: Target = "accuracy"
    labels: LabelsAre = "auto"
    target_column: str | None = None
    command: str = ""

    def __post_init__(self) -> None:
        for name, minimum in (("epochs", 1), ("size", 8), ("batch", 2), ("seed", 0)):
            if (value := getattr(self, name)) is not None:
                check_int(name, value, owner="train", minimum=minimum)
        if self.folds is not None and self.folds != 0:
            check_int("folds", self.folds, owner="train", minimum=2)
        check_choice("road", self.road, ("auto", "features"), owner="train")
        check_choice("finetune", self.finetune, ("auto", "always", "never"), owner="train")
        check_choice("target", self.target, TARGETS, owner="train")
        check_choice("labels", self.labels, get_args(LabelsAre), owner="train")
        if self.head != "auto":
            kinds.lookup(self.head)
        for name in ("budget", "lr"):
            if (value := getattr(self, name)) is not None:
                check_number(name, value, owner="train", minimum=0, exclusive=True)
        if self.seed >= _SEEDS:
            raise ArgumentError(
                f"train: seed must be below {_SEEDS:,}, got {self.seed}",
                where="train(seed=...)",
                why="NumPy's and torch's generators take 32 bits",
                fix="train(seed=0)",
            )
