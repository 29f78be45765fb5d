"""`stroma predict`: one line a photo, as CSV or JSON."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import click

from stroma.cli import errors
from stroma.cli.command import Session, command
from stroma.core.errors import StromaError
from stroma.core.text import printable
from stroma.jobs import Said
from stroma.jobs import predict as answers


@command("predict")
@click.argument("model", metavar="RUN", type=click.Path(path_type=Path))
@click.argument("photos", metavar="IMAGE...", nargs=-1, required=True,
                type=click.Path(path_type=Path))  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of CSV.")
def predict(session: Session, model: Path, photos: tuple[Path, ...], as_json: bool) -> None:
    """Say what the model in RUN sees in each IMAGE, as CSV on stdout.

    RUN is a folder that `stroma train` made, or the model.keras in it. What is no photo is named
    on stderr, the others are answered, and the exit code is 2. Where the model can tell, `unlike`
    is the share of your own photos that are more like those it learnt from: 0.99 and above means
    that the photo is probably of something else.
    """
    failed: list[StromaError] = []
    found = list(answers(model, photos, failed.append))
    if as_json:
        session.out.json([said.to_json() for said in found])
    elif found:
        _table(session, found)
        listed = json.dumps([found[0].path])
        session.talk.line(
            f"In Python: from stroma.package import Artefact; "
            f"Artefact.load({str(_file(model))!r}).predict({listed})"
        )
    for error in failed:  # on stderr, so that a table in a file holds answers only
        print(f"\n{errors.render(error, session.talk.width)}", file=session.talk.stream)
    if failed:
        raise click.exceptions.Exit(2)


def _table(session: Session, found: list[Said]) -> None:
    table = csv.writer(session.out.stream, lineterminator="\n")
    table.writerow(found[0].to_json())
    for said in found:
        table.writerow(
            [
                printable(said.path), said.predicted, f"{said.probability:.4f}", said.runner_up,
                f"{said.runner_up_probability:.4f}",
                *([] if said.unlike is None else [f"{said.unlike:.3f}"]),
            ]
        )  # fmt: skip
    session.out.stream.flush()


def _file(model: Path) -> Path:
    return model / "model.keras" if model.is_dir() else model
