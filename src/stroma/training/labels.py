"""Labels that no output stands for: found on the host, with the same words on every device."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from stroma.core.errors import ArgumentError


def classes_of(loss: Any, output: Tensor) -> tuple[int, int | None] | None:
    """(number of classes, label that costs nothing) of a loss on class numbers; None: another."""
    if getattr(getattr(loss, "fn", None), "__name__", "") != "sparse_categorical_crossentropy":
        return None
    axis = getattr(loss, "axis", -1)
    return output.shape[axis], getattr(loss, "ignore_class", None)


def check_labels(y: Any, classes: int, ignored: int | None, indices: np.ndarray | None) -> None:
    """Every label a whole number from 0 to `classes` - 1.

    Labels that lie on an accelerator already are not looked at: the loop would wait for them.

    Raises: ArgumentError: one is not; it is named by its sample.
    """
    if not isinstance(y, Tensor) or y.device.type != "cpu" or not y.numel():
        return
    y = y if y.is_floating_point() else y.long()  # not every integer type can be compared
    low, high = torch.aminmax(y)
    fractional = y.is_floating_point() and not torch.equal(y, y.floor())
    if low >= 0 and high < classes and not fractional:
        return
    wrong = ~((y >= 0) & (y < classes) & (y == y.floor() if fractional else True))
    if ignored is not None:
        wrong &= y != ignored
    found = wrong.nonzero()
    if not len(found):
        return
    row = int(found[0, 0])
    label = y[tuple(found[0])].item()
    sample = f"row {row} of a batch" if indices is None else f"sample {int(indices[row])}"
    if label != label // 1:
        what, fix = "not a whole number", "class numbers from 0 on; for shares of classes: "
        fix += 'loss="categorical_crossentropy" and one column per class'
    else:
        what = f"out of range: the network has {classes} outputs (labels 0 to {classes - 1})"
        fix = f"number the classes from 0 on, or make the last layer Dense({int(high) + 1})"
    if label < 0:
        fix = "number the classes from 0 on; a label that marks what is to be left out: "
        fix += f"SparseCategoricalCrossentropy(ignore_class={label:g})"
    raise ArgumentError(
        f"label {label:g} is {what}",
        where=f"{sample} ({len(found)} such labels)",
        why="a label is the number of the output that should be high",
        fix=fix,
    )
