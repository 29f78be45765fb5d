"""`stroma evaluate`: a trained model on other labelled photos."""

from __future__ import annotations

from pathlib import Path

import click

from stroma.cli.command import Session, command
from stroma.cli.showing import Shown
from stroma.core.records import SMALL_SUPPORT
from stroma.jobs import Evaluated
from stroma.jobs import evaluate as measure
from stroma.report.facts import between, percent

_ROWS = 5  # of files that could not be read


@command("evaluate")
@click.argument("model", metavar="RUN", type=click.Path(path_type=Path))
@click.argument("data", metavar="PATH")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def evaluate(session: Session, model: Path, data: str, as_json: bool) -> None:
    """Measure the model in RUN on the labelled photos in PATH.

    Where PATH has a test part, or else a validation part, that alone is measured.
    """
    with Shown(session, session.talk) as watch:
        found = measure(model, data, watch)
    if as_json:
        session.out.json(found.to_json())
        return
    _say(session, found)
    session.talk.line(
        f"In Python: from stroma.jobs import evaluate; evaluate({str(model)!r}, {data!r})"
    )


def _say(session: Session, found: Evaluated) -> None:
    out, score = session.out, found.score
    out.line(
        f"{percent(score.value)} right on {score.count:,} photos ({between(score.interval)}), "
        f"part: {found.part}"
    )
    if found.seen:
        out.paragraph(
            "Careful: these are the photos that the model was trained on. It has learnt most of "
            "them, so this says little about new ones; the run's own test does."
        )
    out.line()
    rows = [
        [
            row.name, f"{row.support:,}", percent(row.precision), percent(row.recall),
            between(row.interval) + (" rough" if row.support < SMALL_SUPPORT else ""),
        ]
        for row in found.classes
    ]  # fmt: skip
    out.table(["class", "photos", "precision", "recall", "recall 95 %"], rows, right=range(1, 4))
    if found.skipped:
        out.heading(f"Left out: {len(found.skipped):,}")
        for line in found.skipped[:_ROWS]:
            out.line(f"  {line}")
