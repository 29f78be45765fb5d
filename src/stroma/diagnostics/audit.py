"""The whole look at a data set through the features of a network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from stroma.core.records_audit import FeatureAudit as FeatureAudit
from stroma.diagnostics.difficulty import difficulty
from stroma.diagnostics.duplicates import near_duplicates
from stroma.diagnostics.labels import suspect_labels
from stroma.diagnostics.outliers import outliers


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
