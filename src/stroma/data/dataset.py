"""`ImageData`: three parts, their classes, and what the audit found."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from stroma.core.records import SMALL_SUPPORT
from stroma.core.tasks import Task
from stroma.data.cache import Store
from stroma.data.decode import Decoder
from stroma.data.part import Part, Reads, joined
from stroma.data.records import Audit, AuditEntry, first_names
from stroma.data.split import TEST, folds, shared_folder, split


@dataclass(slots=True)
class ImageData:
    """A data set that was looked at and split.

    Args:
        class_names: In the order of the label indices.
        shape: (H, W, C) of every picture.
        train: What is learnt from.
        validation: What every choice is made on.
        test: What the headline is measured on: once, see `open_test`.
        audit: What was found.
        source: The path given.
        fingerprint: SHA-256 over names, sizes and labels.
        shapes: Up to three example (height, width) of the files: smallest, middle, largest.
        decoder: How a picture becomes (H, W, C): a model's preprocessing needs it. None for arrays.
        split: One sentence: how the parts were made.
        test_given: Whether the test part is the source's own, not made here.
        task: What is learnt from the labels.
        reading: One sentence: how the labels were read, and how to say otherwise.
    """

    class_names: list[str]
    shape: tuple[int, int, int]
    train: Part
    validation: Part
    test: Part
    audit: Audit
    source: str
    fingerprint: str
    shapes: list[tuple[int, int]] = field(default_factory=list)
    decoder: Decoder | None = None
    split: str = ""
    test_given: bool = False
    task: Task = "one class"
    reading: str = ""

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of every picture."""
        return self.shape[0], self.shape[1]

    @property
    def parts(self) -> dict[str, Part]:
        """The three parts by name."""
        return {"train": self.train, "validation": self.validation, "test": self.test}

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        """Photos by class and part: `counts["cat"]["train"]`.

        With several classes a photo counts for each of them; with numbers all photos count.
        """
        count = len(self.class_names)
        bins = {name: _per_class(part.targets, count) for name, part in self.parts.items()}
        return {
            class_name: {name: int(bins[name][at]) for name in bins}
            for at, class_name in enumerate(self.class_names)
        }

    def open_test(self, again: bool = False) -> Part:
        """The test part, free to be read. The second opening is an error.

        Args:
            again: Open it once more, knowing that a figure chosen after a look is too good; the
                number of openings stays in `test.reads`.
        """
        return self.test.open(again)

    def folds(
        self, count: int = 5, *, seed: int = 0, validation: float = 0.15
    ) -> Iterator[ImageData]:
        """The same samples, `count` times, each time another share of them as the test part.

        For sets whose test part is too small to say much: every photo is tested once. Classes
        are spread evenly; copies and groups stay together.

        Args:
            count: Number of folds, 2 or more.
            seed: Of the draw.
            validation: Share of the rest that becomes the validation part; 0: it stays empty.
        Raises:
            DataError: a class has fewer distinct photos than there are folds.
        """
        whole = joined(list(self.parts.values()))
        wrapper, classes = shared_folder(whole.names), self.class_names
        if self.task != "one class":
            classes = groups_called(whole.strata)
        names = [name[wrapper:] for name in whole.names]
        fold = folds(whole.strata, whole.units, names, classes, count, seed)
        for at in range(count):
            code = np.full(len(whole), TEST, np.int8)
            rest = np.flatnonzero(fold != at)
            code[rest] = split(
                whole.strata[rest], whole.units[rest], [names[i] for i in rest.tolist()], classes,
                fractions=(1 - validation, validation, 0.0), seed=seed,
            )  # fmt: skip
            train, chosen_on, test = _parted(whole, code)
            yield replace(self, train=train, validation=chosen_on, test=test)

    def to_json(self) -> dict[str, Any]:
        """Plain data for `run.json`."""
        return {
            "source": self.source,
            "fingerprint": self.fingerprint,
            "class_names": self.class_names,
            "task": self.task,
            "shape": list(self.shape),
            "shapes": [list(shape) for shape in self.shapes],
            "counts": self.counts,
            "test_reads": self.test.reads,
            "audit": self.audit.to_json(),
        }


def split_sentence(fractions: Sequence[float]) -> str:
    """How parts are made of data that comes in one.

    Example:
        >>> split_sentence((0.7, 0.15, 0.15))
        'made here: 70% train, 15% validation, 15% test, by class; copies stay together'
    """
    train, validation, test = fractions
    shares = f"{train:.0%} train, {validation:.0%} validation, {test:.0%} test"
    return f"made here: {shares}, by class; copies stay together"


def build(
    *,
    store: Store,
    rows: np.ndarray,
    parts: np.ndarray,
    labels: np.ndarray,
    units: np.ndarray,
    names: Sequence[str],
    class_names: list[str],
    audit: Audit,
    original: Sequence[tuple[int, int]],
    source: str,
    fingerprint: str,
    split: str,
    decoder: Decoder | None = None,
    test_given: bool = False,
    targets: np.ndarray | None = None,
    task: Task = "one class",
    reading: str = "",
) -> ImageData:
    """Put the parts together.

    Args:
        rows: (N,) row of each sample in the store.
        parts: (N,) 0, 1, 2, or -1 for left out.
        units: (N,) what must stay together.
        original: N sizes in the files.
        split: How the parts were made.
        test_given, task, reading: As in `ImageData`.
        targets: As in `Part`.
    """
    whole = Part(store, rows, labels, names, units, targets=targets)
    data = ImageData(
        class_names, store.shape, *_parted(whole, parts), audit, source, fingerprint,
        _examples(original), decoder, split, test_given, task, reading,
    )  # fmt: skip
    if len(data.test) and task != "number":
        audit.entries += _few_test_photos(data)
    return data


def _few_test_photos(data: ImageData) -> list[AuditEntry]:
    """One entry for all classes whose figures will be rough: one each would be a wall of text."""
    few = {name: c["test"] for name, c in data.counts.items() if c["test"] < SMALL_SUPPORT}
    if not few:
        return []
    least, most = min(few.values()), max(few.values())
    each = f"{least}" if least == most else f"{least} to {most}"
    remedy = (
        "it was given, so it alone is tested: the intervals are wide"
        if data.test_given
        else "the intervals are wide"
        if data.task != "one class"
        else "training tests every photo once, in folds, where time allows"
    )
    reason = f"{each} a class, so what is measured by class is rough; {remedy}"
    return [AuditEntry("few_test_photos", first_names(list(few), 3), reason, "test")]


def groups_called(strata: np.ndarray) -> list[str]:
    """What messages call groups of alike targets, where they are no classes."""
    return [f"group {number + 1} of alike labels" for number in range(int(strata.max()) + 1)]


def _per_class(targets: np.ndarray, classes: int) -> np.ndarray:
    """(K,) samples of each class."""
    if targets.dtype == np.int64:
        return np.bincount(targets, minlength=classes)
    if targets.ndim == 2:
        counts: np.ndarray = targets.sum(0).astype(np.int64)
        return counts
    return np.array([len(targets)])


def _parted(whole: Part, parts: np.ndarray) -> tuple[Part, Part, Part]:
    train, validation, test = (np.flatnonzero(parts == code) for code in range(3))
    return (
        whole.take(train, Reads()),
        whole.take(validation, Reads()),
        whole.take(test, Reads(limit=1)),
    )


def _examples(sizes: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    ordered = sorted(set(sizes), key=lambda size: (size[0] * size[1], size))
    if len(ordered) <= 3:
        return ordered
    return [ordered[0], ordered[len(ordered) // 2], ordered[-1]]
