"""The whole look at a data set through the features of a network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from stroma.core.plain import Record
from stroma.core.records import Finding
from stroma.diagnostics.difficulty import ClassDifficulty, ConfusedPair, difficulty
from stroma.diagnostics.duplicates import NearDuplicates, near_duplicates
from stroma.diagnostics.labels import SuspectLabels, suspect_labels
from stroma.diagnostics.outliers import Outliers, outliers


@dataclass(frozen=True, kw_only=True, slots=True)
class FeatureAudit(Record):
    """What features tell about a data set; nothing in it was changed.

    Args:
        class_names: In the order of the label indices.
        duplicates, suspects, outliers: See their records.
        classes: The hardest first. `confused`: the commonest confusions first.
    """

    class_names: tuple[str, ...]
    duplicates: NearDuplicates
    suspects: SuspectLabels
    outliers: Outliers
    classes: tuple[ClassDifficulty, ...]
    confused: tuple[ConfusedPair, ...]

    def findings(self) -> tuple[Finding, ...]:
        """One finding for each thing that is there, with its numbers and the next step."""
        pairs, suspects = self.duplicates.pairs, self.suspects.suspects
        across = [pair for pair in pairs if pair.across_parts]
        doubtful = [pair for pair in pairs if pair.two_labels]
        told = (
            (across, "data leakage", "pairs of nearly the same photo lie in different parts",
             "the figure on the later part is too good",
             "make the split anew, or keep such photos together with --group"),
            (doubtful, "label noise", "pairs of nearly the same photo have two labels",
             "one of the two labels is wrong", "look at both and correct one"),
            (suspects, "label noise", f"labels have odds of {self.suspects.odds:g} to 1 against "
             f"them (about {self.suspects.estimated} are wrong, or hard)",
             "wrong labels cost accuracy, and make a right model look wrong",
             "look at the list from the top and correct what is wrong"),
            (self.outliers.found, "outlier", "photos are unlike all others of their class",
             "they may be of something else, or badly cut", "look at the list from the top"),
        )  # fmt: skip
        return tuple(
            Finding(
                term=term, severity="warning" if term != "outlier" else "info",
                evidence=f"{len(found):,} {what}", where=_first(found), means=means,
                try_next=fix,
            )
            for found, term, what, means, fix in told
            if found
        )  # fmt: skip


def audit_features(
    features: Any,
    labels: Any,
    probabilities: Any,
    class_names: Sequence[str],
    *,
    hashes: np.ndarray | None = None,
    parts: Sequence[str] | None = None,
    paths: Sequence[str] | None = None,
) -> FeatureAudit:
    """Near-duplicates, suspected labels, outliers and hard classes, from one set of features.

    Args:
        features: (N, D) of all photos to look at.
        labels: (N,) class indices.
        probabilities: (N, K) of classifiers that did not learn from the photo itself.
        class_names: K names.
        hashes, parts, paths: As in `near_duplicates`.
    Raises: DataError: arrays that do not fit together.
    Example:
        >>> random = np.random.default_rng(0)
        >>> y = np.arange(60) % 2
        >>> x = random.normal(size=(60, 30)) + 4 * y[:, None]
        >>> p = np.where(np.eye(2)[y] == 1, 0.9, 0.1)
        >>> audit_features(x, y, p, ["ant", "bee"]).findings()
        ()
    """
    classes, confused = difficulty(probabilities, labels, class_names)
    return FeatureAudit(
        class_names=tuple(class_names),
        duplicates=near_duplicates(
            features, hashes=hashes, labels=labels, parts=parts, paths=paths
        ),
        suspects=suspect_labels(probabilities, labels, paths=paths),
        outliers=outliers(features, labels, paths=paths),
        classes=classes,
        confused=confused,
    )


def _first(found: Sequence[Any]) -> str:
    """The first few by name, or by position where they have none."""
    names = []
    for item in found[:3]:
        if hasattr(item, "first"):
            one, other = item.first_path or item.first, item.second_path or item.second
            names.append(f"{one} and {other}")
        else:
            names.append(str(item.path or item.index))
    more = f" and {len(found) - 3:,} more" if len(found) > 3 else ""
    return ", ".join(names) + more
