"""What a training must know of labels: that it can learn them, and how they were read."""

from __future__ import annotations

import dataclasses

from stroma.core.errors import DataError
from stroma.core.records import Plan
from stroma.data import ImageData
from stroma.jobs.options import TrainOptions


def with_labels(plan: Plan, options: TrainOptions, data: ImageData) -> Plan:
    """The plan says how labels were read, and keeps what a resumed run must be told again."""
    said = {"labels": options.labels, "target_column": options.target_column}
    reasons = {"labels": data.reading} if data.reading else {}
    return dataclasses.replace(
        plan, settings={**plan.settings, **said}, reasons={**plan.reasons, **reasons}
    )


def check_task(data: ImageData, path: str) -> None:
    """Raises: DataError: the photos have several classes each, or a number."""
    if data.task == "one class":
        return
    several = data.task == "several classes"
    head = "MultiLabelRidge" if several else "RidgeRegression"
    raise DataError(
        f"the photos have {data.task if several else 'a number'} each, and training from here "
        "knows one class a photo",
        where=f"{path}: {data.reading}",
        why="its choices, its test and its report would measure anything else wrongly",
        fix=f"in Python: stroma.transfer.{head}, on stroma.transfer.features; or take each "
        f"{'combination' if several else 'number'} for a class: --labels class",
    )
