"""What ranking pretrained bases gives, as plain records."""

from __future__ import annotations

from dataclasses import dataclass

from stroma.core.plain import Record
from stroma.core.records_transfer import Lead
from stroma.core.text import table, wrap

_HEADERS = ("base", "score", "95 % interval", "ms/photo", "MB", "LogME", "H-score", "")


@dataclass(frozen=True, kw_only=True, slots=True)
class BaseScore(Record):
    """How one base does on one set of photos.

    Args:
        name: Of the weights ("resnet50:imagenet-v1"), else of the network.
        score: Accuracy, or balanced accuracy, of a ridge head on its frozen features, each photo
            predicted by the head fitted on all others.
        low, high: Its 95 % confidence interval.
        seconds: One photo through the base, on this machine.
        bytes: Of its weights in float32; `parameters` their number, `features` the length D.
        log_evidence: LogME, nats a photo. h_score: Shrunk H-score. Beside the score: they decide
            nothing.
        score_per_second: (score - what guessing gives) / seconds.
        lead: Of the best base over this one, on the same photos; None for the best.
        on_front: No other base is as good, as fast and as small, and better in one of the three.
        chosen: Whether it is the one to take by the rule of `rank`.
        weights_file, sha256, licence: Where its weights come from; empty: not known.
        preprocessing: What it wants of pixels, as `Preprocessing.to_dict` gives it.
    """

    name: str
    score: float
    low: float
    high: float
    seconds: float
    bytes: int
    parameters: int
    features: int
    log_evidence: float
    h_score: float
    score_per_second: float
    lead: Lead | None = None
    on_front: bool = False
    chosen: bool = False
    weights_file: str = ""
    sha256: str = ""
    licence: str = ""
    preprocessing: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ranking(Record):
    """Pretrained bases in the order of their scores. `str()` of it is the table.

    Args:
        rows: The best score first.
        photos: Training photos that were looked at, of `classes` classes.
        target: "accuracy" or "balanced_accuracy".
        device, precision: Where and in what the bases computed.
        why: How the chosen one was chosen.
    """

    rows: tuple[BaseScore, ...]
    photos: int
    classes: int
    target: str
    device: str
    precision: str
    why: str

    @property
    def chosen(self) -> BaseScore:
        """The base to take."""
        return next(row for row in self.rows if row.chosen)

    def cells(self) -> list[list[str]]:
        """The table's cells, a row for each base."""
        return [
            [
                row.name, f"{row.score:.1%}", f"{100 * row.low:.1f} to {100 * row.high:.1f}",
                f"{1000 * row.seconds:.2f}", f"{row.bytes / 1e6:.1f}", f"{row.log_evidence:.3f}",
                f"{row.h_score:.2f}", _notes(row),
            ]
            for row in self.rows
        ]  # fmt: skip

    def lines(self, width: int = 120) -> list[str]:
        """The table and what follows from it, in lines of `width`."""
        rows = table(_HEADERS, self.cells(), width, right=range(1, 7))
        return [*rows, "", *wrap(self.why, width)]

    def __str__(self) -> str:
        return "\n".join(self.lines())


def _notes(row: BaseScore) -> str:
    return ", ".join(["front"] * row.on_front + ["chosen"] * row.chosen)
