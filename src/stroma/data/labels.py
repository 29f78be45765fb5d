"""What a column of labels means: one class each, several, or a number. Where in doubt, it asks."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from stroma.core.checks import check_choice
from stroma.core.errors import DataError
from stroma.core.tasks import SEPARATOR, Task
from stroma.data.records import first_names, printable

LabelsAre = Literal["auto", "class", "several", "number"]
NONE = SEPARATOR  # a cell that says: looked at, and none of the classes is there
_TASKS: dict[str, Task] = {
    "class": "one class", "several": "several classes", "number": "number",
}  # fmt: skip
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_WHOLE = re.compile(r"[+-]?\d+(\.0*)?")
_FEW, _EACH = 10, 5  # different numbers, and rows of each, as a list of classes has them
_YES, _NO = {"1", "1.0", "true", "yes"}, {"0", "0.0", "false", "no"}


@dataclass(frozen=True, slots=True)
class Asked:
    """What the user says about labels.

    Args:
        are: "class", "several" or "number"; "auto": the cells decide.
        columns: The column of labels, or several columns of 0 and 1; none: by their usual names.
    """

    are: LabelsAre = "auto"
    columns: tuple[str, ...] = ()

    @classmethod
    def of(cls, labels: str, target_column: str | Sequence[str] | None) -> Asked:
        """Raises: ArgumentError: `labels` is none of the words."""
        check_choice("labels", labels, get_args(LabelsAre), owner="images")
        columns = (target_column,) if isinstance(target_column, str) else target_column or ()
        return cls(next(word for word in get_args(LabelsAre) if word == labels), tuple(columns))


AUTO = Asked()


@dataclass(frozen=True, slots=True)
class Reading:
    """How a column was read.

    Args:
        task: What is learnt from it.
        class_names: Sorted; of a number the one name of its column.
        said: One sentence for people, with the way to say otherwise.
    """

    task: Task
    class_names: list[str]
    said: str


def read_labels(labels: Sequence[str], column: str, asked: Asked, table: str) -> Reading:
    """The meaning of the cells of a column, none of them empty.

    A `|` in any cell: several classes. Numbers with decimals: a number. Whole numbers: classes,
    as digits and class indices are; but where they are many and each is rare (years, prices), or
    decimals are few and each is common (ratings), nothing is guessed.

    Raises: DataError: it may be either, or a cell is no number.
    """
    task = _TASKS[asked.are] if asked.are != "auto" else _task_of(labels, column, table)
    name = printable(column)
    otherwise = {
        "one class": "--labels number or several", "several classes": "--labels class",
        "number": "--labels class",
    }[task]  # fmt: skip
    if task == "number":
        for label in labels:
            if _NUMBER.fullmatch(label) is None or not np.isfinite(float(label)):
                raise _no_number(label, column, table)
        return Reading(task, [column], f"a number, from column {name!r}; if not: {otherwise}")
    if task == "several classes":
        names = sorted_labels(set(classes_in(labels, task)))
        said = f"several classes a photo, from column {name!r}; if not: {otherwise}"
        return Reading(task, names, said)
    names = sorted_labels(set(labels))
    return Reading(task, names, f"one class a photo, from column {name!r}; if not: {otherwise}")


def words_of(label: str) -> list[str]:
    """The classes in a cell such as `cat|dog`.

    Example:
        >>> words_of("cat | dog|"), words_of("|")
        (['cat', 'dog'], [])
    """
    return [word.strip() for word in label.split(SEPARATOR) if word.strip()]


def classes_in(labels: Sequence[str], task: Task) -> list[str]:
    """Every class that the cells name, as often as they name it."""
    if task == "one class":
        return list(labels)
    return [word for label in labels for word in words_of(label)]


def joined_columns(cells: Mapping[str, str], where: str) -> str:
    """The cell that says the same as columns of 0 and 1, one a class; "" where one is empty.

    Example:
        >>> joined_columns({"cat": "1", "dog": "0", "tree": "1"}, "line 2")
        'cat|tree'
    """
    if any(not cell.strip() for cell in cells.values()):
        return ""
    for name, cell in cells.items():
        if cell.strip().lower() not in _YES | _NO:
            raise DataError(
                f"{where}: {printable(cell)!r} in column {printable(name)!r} is neither 0 nor 1",
                where=where, why="each of these columns says whether its class is there",
                fix="mend the cell, or name other columns: --target-column a,b,c",
            )  # fmt: skip
    present = [name for name, cell in cells.items() if cell.strip().lower() in _YES]
    return SEPARATOR.join(present) or NONE


def are_yes_no(cells: Sequence[str]) -> bool:
    """Whether a column holds nothing but 0 and 1, both of them."""
    found = {cell.strip().lower() for cell in cells} - {""}
    return found <= _YES | _NO and bool(found & _YES) and bool(found & _NO)


def targets_of(labels: Sequence[str], task: Task, class_names: Sequence[str]) -> np.ndarray:
    """What is learnt: int64 (N,) of one class, float32 (N, K) of several, float64 (N,) of a number.

    Example:
        >>> targets_of(["b", "a|b"], "several classes", ["a", "b"]).tolist()
        [[0.0, 1.0], [1.0, 1.0]]
    """
    if task == "number":
        return np.array([float(label) for label in labels])
    index = {name: at for at, name in enumerate(class_names)}
    if task == "one class":
        return np.array([index[label] for label in labels], np.int64)
    targets = np.zeros((len(labels), len(class_names)), np.float32)
    for row, label in zip(targets, labels):
        row[[index[word] for word in words_of(label)]] = 1
    return targets


def strata_of(targets: np.ndarray, units: np.ndarray, least: int = 20) -> np.ndarray:
    """(N,) groups of alike targets, each of `least` units or more: each part gets some of each.

    Numbers: up to ten groups by size, equally many in each. Several classes: by the rarest class
    of each photo, classes with too few photos together.

    Reference: Sechidis et al. 2011, "On the stratification of multi-label data": rarest first.
    """
    if targets.ndim == 1:
        groups = max(1, min(10, len(np.unique(units)) // least))
        order = np.argsort(targets, kind="stable")
        strata = np.empty(len(targets), np.int64)
        strata[order] = np.arange(len(targets)) * groups // len(targets)
        # equal numbers stay together, so that a group is a range of numbers
        strata = strata[order][np.searchsorted(targets[order], targets)]
    else:
        rarity = np.where(targets > 0, targets.sum(0), np.inf)
        strata = np.where(targets.any(1), rarity.argmin(1), targets.shape[1])
    small = [k for k in np.unique(strata) if len(np.unique(units[strata == k])) < least]
    strata[np.isin(strata, small)] = -1
    if 0 < len(np.unique(units[strata == -1])) < least:
        large = np.bincount(strata[strata >= 0]).argmax() if (strata >= 0).any() else 0
        strata[strata == -1] = large
    merged: np.ndarray = np.unique(strata, return_inverse=True)[1]
    return merged


def sorted_labels(labels: set[str]) -> list[str]:
    """Class names in order: by value where all are whole numbers (10 after 9), else by text."""
    if all(re.fullmatch(r"-?\d+", label) for label in labels):
        return sorted(labels, key=lambda label: (int(label), label))
    return sorted(labels)


def _task_of(labels: Sequence[str], column: str, table: str) -> Task:
    distinct = set(labels)
    if any(SEPARATOR in label for label in distinct):
        return "several classes"
    if not all(_NUMBER.fullmatch(label) for label in distinct):
        return "one class"
    whole = all(_WHOLE.fullmatch(label) for label in distinct)
    few, common = len(distinct) <= _FEW, len(labels) >= _EACH * len(distinct)
    if whole and (few or common):
        return "one class"
    if not whole and not (few and common):
        return "number"
    each = f"{len(distinct):,} different in {len(labels):,} rows"
    raise DataError(
        f"column {printable(column)!r} of {table} may hold numbers or the names of classes",
        where=f"{each}, such as {first_names(sorted(distinct), 4)}",
        why="a number is measured by how far off it is, a class is right or wrong; stroma does "
        "not guess where both can be meant",
        fix="say it: --labels number or --labels class (labels= in Python)",
    )


def _no_number(label: str, column: str, table: str) -> DataError:
    return DataError(
        f"{printable(label)!r} in column {printable(column)!r} of {table} is no number",
        where=f"column {printable(column)!r}",
        why="the labels are read as numbers",
        fix="write it as 1.5 or 2e3, or read them as classes: --labels class",
    )
