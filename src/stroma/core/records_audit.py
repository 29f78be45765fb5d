"""What features tell about photos, as plain records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from stroma.core.findings import Finding
from stroma.core.plain import Record
from stroma.core.scores import Interval


@dataclass(frozen=True, kw_only=True, slots=True)
class DuplicatePair(Record):
    """Two photos that are nearly the same.

    Args:
        first, second: Their positions, first < second.
        similarity: Cosine of their whitened features, in [-1, 1].
        hash_distance: Differing bits of 64 of their perceptual hashes; None: no hashes given.
        across_parts: Whether they lie in different parts.
        two_labels: Whether they have different labels.
    """

    first: int
    second: int
    similarity: float
    hash_distance: int | None = None
    first_path: str = ""
    second_path: str = ""
    first_part: str = ""
    second_part: str = ""
    two_labels: bool = False

    @property
    def across_parts(self) -> bool:
        return self.first_part != self.second_part


@dataclass(frozen=True, kw_only=True, slots=True)
class NearDuplicates(Record):
    """Pairs of near-duplicates, the most similar first.

    Args:
        count: Photos compared.
        threshold: Similarity from which a pair is listed, from the data's own distribution.
        pairs: What was found.
        groups: Positions that hang together through pairs, each group from two on.
    """

    count: int
    threshold: float
    pairs: tuple[DuplicatePair, ...] = ()
    groups: tuple[tuple[int, ...], ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class SuspectLabel(Record):
    """A photo whose label is probably wrong.

    Args:
        index: Its position.
        label: The class index that it has; `probability` that of this class, held out.
        suggested: The most probable class index; `suggested_probability` its probability.
    """

    index: int
    label: int
    suggested: int
    probability: float
    suggested_probability: float
    path: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class SuspectLabels(Record):
    """Labels to look at, the least believable first.

    Args:
        count: Photos looked at.
        estimated: How many labels are wrong, as confident learning counts them: off the diagonal
            of the confident joint. A network's own mistakes count too.
        odds: From these odds against a label on, it is listed.
        suspects: What was found.
    """

    count: int
    estimated: int
    odds: float
    suspects: tuple[SuspectLabel, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Outlier(Record):
    """A photo unlike the others of its class.

    Args:
        index: Its position.
        label: Its class index.
        score: Distance in robust deviations above the median of its class.
    """

    index: int
    label: int
    score: float
    path: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outliers(Record):
    """Photos far from their class, the farthest first; listed from `threshold` deviations on."""

    count: int
    threshold: float
    found: tuple[Outlier, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassDifficulty(Record):
    """How one class fares with classifiers that did not learn from the photo itself.

    Args:
        name: The class; `count` its photos.
        recall: Share of them that is recognised, with Wilson's `interval`.
        confidence: Mean probability that its photos get for it.
        taken_for: The class it is most often taken for, "" for none.
    """

    name: str
    count: int
    recall: float
    interval: Interval
    confidence: float
    taken_for: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class ConfusedPair(Record):
    """Photos of class `truth` taken for `predicted`: `count` of them, `share` of the class."""

    truth: str
    predicted: str
    count: int
    share: float


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
        odds = f"odds of {self.suspects.odds:g} to 1 against"
        told = (
            (across, "data leakage", "pair of perhaps the same photo lies in different parts",
             "pairs of perhaps the same photo lie in different parts",
             "if they are the same, the figure on the later part is too good",
             "make the split anew, or keep such photos together with --group"),
            (doubtful, "label noise", "pair of perhaps the same photo has two labels",
             "pairs of perhaps the same photo have two labels",
             "if they are the same, one of the two labels is wrong",
             "look at both and correct one"),
            (suspects, "label noise", f"label has {odds} it", f"labels have {odds} them "
             f"(about {self.suspects.estimated} of all are wrong, or hard)",
             "wrong labels cost accuracy, and make a right model look wrong",
             "look at the list from the top and correct what is wrong"),
            (self.outliers.found, "outlier", "photo is unlike all others of its class",
             "photos are unlike all others of their class",
             "they may be of something else, or badly cut", "look at the list from the top"),
        )  # fmt: skip
        return tuple(
            Finding(
                term=term, severity="warning" if term != "outlier" else "info",
                evidence=f"{len(found):,} {one if len(found) == 1 else many}", 
                where=_first(found), means=means, try_next=fix,
            )
            for found, term, one, many, means, fix in told
            if found
        )  # fmt: skip


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
