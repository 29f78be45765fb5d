"""`ImageData`: three parts, their classes, and what the audit found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from stroma.data.cache import Store
from stroma.data.decode import Decoder
from stroma.data.part import Part, Reads
from stroma.data.records import Audit, AuditEntry

FEW = 30  # test photos in a class below which its figure says little


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
        """Photos by class and part: `counts["cat"]["train"]`."""
        bins = {
            name: np.bincount(part.labels, minlength=len(self.class_names))
            for name, part in self.parts.items()
        }
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
        self.test._reads.note(again)
        return self.test.opened()

    def to_json(self) -> dict[str, Any]:
        """Plain data for `run.json`."""
        return {
            "source": self.source,
            "fingerprint": self.fingerprint,
            "class_names": self.class_names,
            "shape": list(self.shape),
            "shapes": [list(shape) for shape in self.shapes],
            "counts": self.counts,
            "test_reads": self.test.reads,
            "audit": self.audit.to_json(),
        }


def build(
    *,
    store: Store,
    rows: np.ndarray,
    parts: np.ndarray,
    labels: np.ndarray,
    names: Sequence[str],
    class_names: list[str],
    audit: Audit,
    original: Sequence[tuple[int, int]],
    source: str,
    fingerprint: str,
    decoder: Decoder | None = None,
) -> ImageData:
    """Put the parts together.

    Args:
        rows: (N,) row of each sample in the store.
        parts: (N,) 0, 1, 2, or -1 for left out.
        original: N sizes in the files.
    """

    def part(code: int, limit: int | None = None) -> Part:
        at = np.flatnonzero(parts == code)
        return Part(store, rows[at], labels[at], [names[i] for i in at.tolist()], Reads(limit))

    data = ImageData(
        class_names, store.shape, part(0), part(1), part(2, limit=1), audit, source, fingerprint,
        _examples(original), decoder,
    )  # fmt: skip
    few = [(name, count["test"]) for name, count in data.counts.items() if count["test"] < FEW]
    if len(data.test):
        audit.entries += [
            AuditEntry("few_test_photos", name, f"{count} test photos: use k-fold", "test")
            for name, count in few
        ]
    return data


def _examples(sizes: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    ordered = sorted(set(sizes), key=lambda size: (size[0] * size[1], size))
    if len(ordered) <= 3:
        return ordered
    return [ordered[0], ordered[len(ordered) // 2], ordered[-1]]
