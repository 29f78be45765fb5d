"""Checks that look at arrays and return plain records: what is wrong, where, how sure.

Nothing is ever deleted or changed: the records hold indices and paths, people decide.
"""

from stroma.diagnostics.audit import FeatureAudit, audit_features
from stroma.diagnostics.difficulty import ClassDifficulty, ConfusedPair, difficulty
from stroma.diagnostics.duplicates import (
    DuplicatePair,
    NearDuplicates,
    near_duplicates,
    picture_hashes,
)
from stroma.diagnostics.labels import SuspectLabel, SuspectLabels, suspect_labels
from stroma.diagnostics.outliers import Outlier, Outliers, outliers
from stroma.diagnostics.scores import score_number, score_several

__all__ = [
    "audit_features", "FeatureAudit",
    "near_duplicates", "NearDuplicates", "DuplicatePair", "picture_hashes",
    "suspect_labels", "SuspectLabels", "SuspectLabel",
    "outliers", "Outliers", "Outlier",
    "difficulty", "ClassDifficulty", "ConfusedPair",
    "score_several", "score_number",
]  # fmt: skip
