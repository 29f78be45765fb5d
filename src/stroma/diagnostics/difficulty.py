"""Which classes are hard, and which are taken for which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from stroma.core.records_audit import ClassDifficulty as ClassDifficulty
from stroma.core.records_audit import ConfusedPair as ConfusedPair
from stroma.core.scores import Interval
from stroma.diagnostics.inputs import checked_labels, checked_probabilities, named


def difficulty(
    probabilities: Any, labels: Any, class_names: Sequence[str]
) -> tuple[tuple[ClassDifficulty, ...], tuple[ConfusedPair, ...]]:
    """(classes, the hardest first; confused pairs, the commonest first).

    Args:
        probabilities: (N, K), as in `suspect_labels`.
        labels: (N,) class indices.
        class_names: K names.
    Shape: (N, K), (N,) -> at most K classes, at most K (K - 1) pairs
    Raises: DataError: arrays that do not fit together.
    Example:
        >>> p = np.array([[0.9, 0.1], [0.3, 0.7], [0.2, 0.8]])
        >>> classes, pairs = difficulty(p, [0, 0, 1], ["ant", "bee"])
        >>> [(c.name, c.recall) for c in classes], (pairs[0].truth, pairs[0].predicted)
        ([('ant', 0.5), ('bee', 1.0)], ('ant', 'bee'))
    """
    p = checked_probabilities(probabilities, owner="difficulty")
    y = checked_labels(labels, len(p), p.shape[1], owner="difficulty")
    names = named(class_names, p.shape[1], "class_names")
    table = np.zeros((p.shape[1], p.shape[1]), np.int64)
    np.add.at(table, (y, p.argmax(1)), 1)
    classes, pairs = [], []
    for k, name in enumerate(names):
        count = int(table[k].sum())
        if not count:
            continue
        wrong = {j: n for j, n in enumerate(table[k].tolist()) if n and j != k}
        classes.append(
            ClassDifficulty(
                name=name, count=count, recall=int(table[k, k]) / count,
                interval=Interval.wilson(int(table[k, k]), count),
                confidence=float(p[y == k, k].mean()),
                taken_for=names[max(wrong, key=wrong.__getitem__)] if wrong else "",
            )
        )  # fmt: skip
        pairs += [
            ConfusedPair(truth=name, predicted=names[j], count=n, share=n / count)
            for j, n in wrong.items()
        ]
    return (
        tuple(sorted(classes, key=lambda c: (c.recall, c.confidence))),
        tuple(sorted(pairs, key=lambda pair: (-pair.count, -pair.share))),
    )
