"""What a training must know of labels: that it can learn them, and how they were read."""

from __future__ import annotations

import dataclasses
import shlex

from stroma.core.errors import ArgumentError, DataError
from stroma.core.records import Plan
from stroma.data import ImageData
from stroma.jobs.options import TrainOptions
from stroma.jobs.questions import QUESTIONS
from stroma.jobs.record import label_words


def with_labels(plan: Plan, options: TrainOptions, data: ImageData) -> Plan:
    """The plan says how labels were read, and keeps what a resumed run must be told again."""
    said = {"labels": options.labels, "target_column": options.target_column}
    reasons = {"labels": data.reading} if data.reading else {}
    words = label_words(options.labels, options.target_column)
    other = " ".join([plan.other_road, *([shlex.join(words)] if words else [])])
    return dataclasses.replace(
        plan, settings={**plan.settings, **said}, reasons={**plan.reasons, **reasons},
        other_road=other,
    )  # fmt: skip


def check_task(data: ImageData, options: TrainOptions) -> None:
    """Raises: ArgumentError: something was asked for that only one class a photo has."""
    question = QUESTIONS.get(data.task)
    if question is None:
        return
    asked = {
        f"--folds {options.folds}": bool(options.folds),
        f"--head {options.head}": options.head not in ("auto", "ridge"),
        "--finetune always": options.finetune == "always",
        f"--target {options.target}": options.target != "accuracy",
    }
    if named := [option for option, given in asked.items() if given]:
        raise ArgumentError(
            f"{', '.join(named)} for photos that have {question.noun} each",
            where=f"{options.path}: {data.reading}",
            why="they are learnt by a ridge head or from scratch, and tested on the test part, "
            "once: the rest is for one class a photo",
            fix=f"leave {named[0]} away, or take each label for a class: --labels class",
        )


def check_one_class(data: ImageData, path: str) -> None:
    """Raises: DataError: the photos have several classes each, or a number."""
    question = QUESTIONS.get(data.task)
    if question is not None:
        raise DataError(
            f"the photos have {question.noun} each, and these checks want one class a photo",
            where=f"{path}: {data.reading}",
            why="a label looks wrong where another class is more likely",
            fix="leave --base away: copies and broken files are found without; or take each label "
            "for a class: --labels class",
        )
