"""What a check found, as a plain record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from stroma.core.plain import Record

Severity = Literal["critical", "warning", "info"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding(Record):
    """Something a check saw, what it means, and the one thing to try next.

    Args:
        term: Word of the glossary that names it ("overfitting").
        severity: "critical" (the result cannot be trusted), "warning" or "info".
        evidence: What was seen, with its numbers.
        where: Layer, class or file it was seen in.
        since: When it began ("epoch 9").
        means: What that means, in one sentence.
        try_next: A command or one change to make.
        confidence: How sure the check is, in [0, 1].
    """

    term: str
    severity: Severity = "warning"
    evidence: str = ""
    where: str = ""
    since: str = ""
    means: str = ""
    try_next: str = ""
    confidence: float | None = None
