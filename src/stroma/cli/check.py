"""`stroma check`: look at the photos and say what is odd about them."""

from __future__ import annotations

import sys

import click

from stroma.cli.blocks import data_block
from stroma.cli.command import Session, command
from stroma.cli.reading import read_photos
from stroma.data.facts import data_facts


@command("check")
@click.argument("path")
@click.option(
    "--group",
    metavar="REGEX",
    help="Photos whose paths match alike belong together: same patient, same burst.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the facts as JSON.")
def check(session: Session, path: str, group: str | None, as_json: bool) -> None:
    """Look at the photos in PATH and name what is odd, train nothing.

    PATH is a folder with one folder per class, a zip of that, or a CSV or Parquet file of paths
    and labels. Broken, empty, tiny and turned photos, copies and near-copies are named; no file
    is changed.
    """
    # Here a faulty file is a finding, not a reason to stop.
    data = read_photos(session, path, group=group, drop_empty=True, max_skipped=sys.maxsize)
    facts = data_facts(data, source=path)
    if as_json:
        more = {"class_names": data.class_names, "tallies": data.audit.tallies}
        session.out.json(facts.to_json() | more)
        return
    data_block(session.out, facts, data.class_names)
    tallies = [f"{name}: {count:,}" for name, count in data.audit.tallies.items() if count]
    if tallies:
        session.out.heading("Also: " + ", ".join(tallies))
