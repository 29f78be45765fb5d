"""`stroma summary`: the layers of a network of the zoo, of a file, or of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from stroma.cli.command import Session, command
from stroma.core.errors import ArgumentError, did_you_mean
from stroma.core.runs import RUN_FILE
from stroma.core.weight import values_come_later
from stroma.network.design import design
from stroma.network.summary import summary_text
from stroma.saving import load_architecture
from stroma.zoo import architectures


@command("summary")
@click.argument("model")
@click.option("--nested", is_flag=True, help="Show the layers inside nested networks too.")
@click.option("--json", "as_json", is_flag=True, help="Print one record a layer as JSON.")
def summary(session: Session, model: str, nested: bool, as_json: bool) -> None:
    """Show the layers of MODEL: a name of the zoo, a .keras file, or a run.

    Output shapes, parameters, multiply-accumulates, receptive fields, and what is connected.
    """
    network, python = _network(model)
    if as_json:
        session.out.json([row.to_json() for row in design(network, nested=nested)])
        return
    for line in summary_text(network, width=session.out.width, nested=nested).splitlines():
        session.out.line(line)
    session.talk.line(f"In Python: {python}.summary()")


def _network(named: str) -> tuple[Any, str]:
    """The network, and the Python that gives it."""
    path = Path(named)
    if path.is_dir() and (path / RUN_FILE).is_file():
        path = path / "model.keras"
    if path.is_file():
        return load_architecture(
            path
        ), f"from stroma import models; models.load_model({str(path)!r})"
    if named in architectures:
        with values_come_later(device="meta"):  # to look at: nothing is drawn
            return architectures.lookup(named)(), f"from stroma import zoo; zoo.{named}()"
    if path.exists():
        what, why = f"{named} holds no model", "it is a folder without run.json"
    elif path.name == "model.keras":
        what, why = f"there is no {named} yet", "a run saves its model when it has been tested"
    else:
        what = f"there is no network {named!r}.{did_you_mean(named, architectures)}"
        why = "it is no file, no run, and no name of the zoo"
    raise ArgumentError(
        what,
        where=f"stroma summary {named}",
        why=why,
        fix=f"one of {', '.join(sorted(architectures))}; a .keras file; or a run",
    )
