"""`stroma evaluate`: a trained model on other labelled photos."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from stroma.cli.blocks import figures_block
from stroma.cli.command import Session, command
from stroma.cli.showing import Shown
from stroma.core.records import SMALL_SUPPORT
from stroma.jobs import Evaluated, EvaluatedMeasured
from stroma.jobs import evaluate as measure
from stroma.report.facts import between, percent, photos

_ROWS = 5  # of files that could not be read
_SEEN = (
    "Careful: these are the photos that the model was trained on. It has learnt most of them, so "
    "this says little about new ones; the run's own test does."
)


@command("evaluate")
@click.argument("model", metavar="RUN", type=click.Path(path_type=Path))
@click.argument("data", metavar="PATH")
@click.option("--target-column", metavar="NAME", help="Column of labels, where the run's is not.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def evaluate(
    session: Session, model: Path, data: str, target_column: str | None, as_json: bool
) -> None:
    """Measure the model in RUN on the labelled photos in PATH.

    Where PATH has a test part, or else a validation part, that alone is measured.
    """
    with Shown(session, session.talk) as watch:
        found = measure(model, data, watch, target_column=target_column)
    if as_json:
        session.out.json(found.to_json())
        return
    if isinstance(found, EvaluatedMeasured):
        _say_measured(session, found)
    else:
        _say(session, found)
    _say_rest(session, found.skipped)
    column = f", target_column={target_column!r}" if target_column else ""
    session.talk.line(
        f"In Python: from stroma.jobs import evaluate; evaluate({str(model)!r}, {data!r}{column})"
    )


def _say(session: Session, found: Evaluated) -> None:
    out, score = session.out, found.score
    out.line(
        f"{percent(score.value)} right on {score.count:,} photos ({between(score.interval)}), "
        f"part: {found.part}"
    )
    if found.seen:
        out.paragraph(_SEEN)
    out.line()
    rows = [
        [
            row.name, f"{row.support:,}", percent(row.precision), percent(row.recall),
            between(row.interval) + (" rough" if row.support < SMALL_SUPPORT else ""),
        ]
        for row in found.classes
    ]  # fmt: skip
    out.table(["class", "photos", "precision", "recall", "recall 95 %"], rows, right=range(1, 4))


def _say_measured(session: Session, found: EvaluatedMeasured) -> None:
    out, measured = session.out, found.measured
    out.line(f"{photos(measured.count)}, part: {found.part}")
    if found.seen:
        out.paragraph(_SEEN)
    out.line()
    figures_block(out, measured)
    if measured.classes:
        out.line()
        rows = [
            [row.name, f"{row.support:,}", percent(row.average_precision), percent(row.f1)]
            for row in measured.classes
        ]
        out.table(["class", "photos", "average precision", "F1"], rows, right=range(1, 4))


def _say_rest(session: Session, skipped: Sequence[str]) -> None:
    if skipped:
        session.out.heading(f"Left out: {len(skipped):,}")
        for line in skipped[:_ROWS]:
            session.out.line(f"  {line}")
