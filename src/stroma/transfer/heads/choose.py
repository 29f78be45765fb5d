"""Several heads on the same features, and which is the best by how much."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from stroma.core.checks import check_choice, check_number
from stroma.core.errors import ArgumentError
from stroma.core.records_transfer import HeadScore as HeadScore
from stroma.core.records_transfer import Lead as Lead
from stroma.core.registry import Registry
from stroma.transfer.heads.discriminant import LDAHead
from stroma.transfer.heads.elastic_net import ElasticNetHead
from stroma.transfer.heads.head import ClassWeight, Head
from stroma.transfer.heads.logistic import LogisticHead
from stroma.transfer.heads.neighbours import NeighboursHead
from stroma.transfer.heads.projection import RandomProjectionHead
from stroma.transfer.heads.prototypes import CosineHead, NearestMeanHead
from stroma.transfer.heads.ridge import RidgeHead
from stroma.transfer.heads.scoring import TARGETS, Target, difference, estimate
from stroma.transfer.heads.svm import LinearSVMHead, RBFSVMHead
from stroma.transfer.inputs import as_samples, as_tuple

kinds: Registry[type[Head]] = Registry("head")
for _kind in (
    RidgeHead, LDAHead, NearestMeanHead, CosineHead, LogisticHead, LinearSVMHead, RBFSVMHead,
    ElasticNetHead, NeighboursHead, RandomProjectionHead,
):  # fmt: skip
    kinds.register(_kind.name)(_kind)

# In this order a tie goes to the first. Above this much work (some ten seconds on one core) a head
# costs more than it is likely to gain: the rule is fixed, so a choice repeats on any machine.
_AUTO = (
    "ridge", "lda", "nearest_mean", "cosine", "logistic", "elastic_net", "random_projection",
    "neighbours", "linear_svm", "rbf_svm",
)  # fmt: skip
MOST_WORK = 1e11


@dataclass(frozen=True, kw_only=True, slots=True)
class HeadChoice:
    """What `choose_head` found. `str()` of it is the table.

    Args:
        head: The best one, fitted on all samples.
        table: A row for each head, the best first, those not tried last.
        lead: Over the next one; None where only one was tried.
        target: What was compared.
    """

    head: Head
    table: tuple[HeadScore, ...]
    lead: Lead | None
    target: Target

    def sentence(self) -> str:
        """Which head won, and by how much."""
        first, lead = self.table[0], self.lead
        told = f"{first.name}: {first.score:.1%} {self.target.replace('_', ' ')} ({first.how})"
        if lead is None:
            return told
        clear = "clearly" if lead.low > 0 else "within the noise"
        return (
            f"{told}, {100 * lead.difference:.1f} points above {lead.over} "
            f"({100 * lead.low:+.1f} to {100 * lead.high:+.1f}: {clear})"
        )

    def __str__(self) -> str:
        rows = [
            f"{row.name:18} {row.score:7.2%}  {row.low:6.1%} to {row.high:6.1%}  "
            f"{row.seconds:6.2f} s  {row.how:13}  {row.setting}"
            if row.score is not None
            else f"{row.name:18} not tried: {row.skipped}"
            for row in self.table
        ]
        return "\n".join([*rows, self.sentence()])


def choose_head(
    features: Any,
    labels: Any,
    classes: int,
    heads: Literal["auto"] | str | Head | Sequence[str | Head] = "auto",
    *,
    target: Target = "accuracy",
    class_weight: ClassWeight = None,
    sample_weight: Any = None,
    most_work: float = MOST_WORK,
    seed: int = 0,
) -> HeadChoice:
    """Fit several heads and take the one that does best on samples it has not seen.

    Every sample is predicted by each head without having been fitted on: by exact leave-one-out
    where the head has it in closed form, else in 5 folds (whose heads saw a fifth less, so they
    stand a little lower). The best of several is by chance a little better than it is, so its
    score is no headline: measure that on photos that chose nothing.

    Args:
        features: (N, D) as `stroma.features` gives.
        labels: (N,) class indices.
        classes: Number K of classes, >= 2.
        heads: "auto": those that suit the amount of data; or names, or heads as they are made
            (which then keep their own settings), to compare exactly these.
        target: "accuracy" or "balanced_accuracy".
        class_weight: "balanced", or a weight for each class; as in `Head`.
        sample_weight: (N,) how much each sample counts in fitting.
        most_work: What one head of "auto" may cost, in multiplications: 10^10 are about a second.
            Ridge is tried in any case.
        seed: Of folds and random projections.
    Raises: ArgumentError: an unknown head. DataError: features and labels do not fit together.
    Example:
        >>> from sklearn.datasets import load_digits
        >>> choice = choose_head(*load_digits(return_X_y=True), 10, ["ridge", "nearest_mean"])
        >>> [(row.name, round(row.score, 2)) for row in choice.table]
        [('ridge', 0.94), ('nearest_mean', 0.89)]
        >>> choice.head.as_layers()[0].units
        10

    Reference: intervals as in `heads.scoring`: Wilson 1927; Agresti & Min 2005 for pairs.
    """
    check_choice("target", target, TARGETS, owner="choose_head")
    check_number("most_work", most_work, owner="choose_head", minimum=0, exclusive=True)
    x, y = as_samples(features, labels, classes, owner="choose_head")
    auto = isinstance(heads, str) and heads == "auto"
    options: dict[str, Any] = {"class_weight": class_weight, "target": target, "seed": seed}
    rows, tried = [], []
    for head in _candidates(heads, options):
        work = head.work(len(x), x.shape[1], classes)
        if auto and head.name != "ridge" and work > most_work:  # one has to be there
            skipped = _too_much(work / most_work, x.shape)
            rows.append(HeadScore(name=head.name, skipped=skipped))
            continue
        start = time.perf_counter()
        head.fit(x, y, classes, sample_weight)
        tried.append((_row(head, y, target, time.perf_counter() - start), head))
    tried.sort(key=lambda pair: -(pair[0].score or 0.0))  # stable: the first wins a tie
    return HeadChoice(
        head=tried[0][1],
        table=(*(row for row, _ in tried), *rows),
        lead=_lead(tried[0][1], tried[1][1], y, target) if len(tried) > 1 else None,
        target=target,
    )


def _candidates(wanted: Any, options: dict[str, Any]) -> list[Head]:
    if isinstance(wanted, str) and wanted == "auto":
        wanted = _AUTO
    several: tuple[str | Head, ...] = as_tuple("heads", wanted, (Head, str), owner="choose_head")
    if not several:
        raise ArgumentError(
            "choose_head: no heads to compare",
            where="choose_head(heads=[])",
            why="the best of those given is chosen",
            fix='heads="auto"',
        )
    return [
        head._fresh() if isinstance(head, Head) else kinds.lookup(head)(**options)
        for head in several
    ]


def _too_much(times: float, shape: tuple[int, ...]) -> str:
    return (
        f"{times:.2g} times the work allowed, for {shape[0]} samples of {shape[1]} "
        "features; name it to try it"
    )


def _row(head: Head, y: np.ndarray, target: Target, seconds: float) -> HeadScore:
    right = head.held_out.argmax(1) == y
    found = estimate(right, y, target)
    recalls = [float(right[y == k].mean()) if (y == k).any() else 0.0 for k in range(head.classes)]
    return HeadScore(
        name=head.name, score=found.value, low=found.low, high=found.high, seconds=seconds,
        how=head.how, setting=head.setting, class_recalls=tuple(recalls),
    )  # fmt: skip


def _lead(first: Head, second: Head, y: np.ndarray, target: Target) -> Lead:
    ours, theirs = (head.held_out.argmax(1) == y for head in (first, second))
    found = difference(ours, theirs, y, target)
    return Lead(over=second.name, difference=found.value, low=found.low, high=found.high)
