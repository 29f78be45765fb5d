"""`stroma check`: look at the photos and say what is odd about them."""

from __future__ import annotations

import sys
from typing import Any

import click

from stroma.cli.blocks import data_block
from stroma.cli.command import Session, command
from stroma.cli.knowing import audit_block
from stroma.cli.reading import label_options, read_photos
from stroma.cli.showing import Shown
from stroma.data import ImageData
from stroma.data.facts import data_facts
from stroma.jobs import TrainOptions
from stroma.jobs.check import look


@command("check")
@click.argument("path")
@click.option(
    "--group",
    metavar="REGEX",
    help="Photos whose paths match alike belong together: same patient, same burst.",
)
@click.option(
    "--base", metavar="NAME", help="Look through a pretrained network, such as squeezenet1_1."
)
@click.option("--weights", metavar="WHICH", help="Its weights: a file, or a name.")
@label_options
@click.option("--json", "as_json", is_flag=True, help="Print the facts as JSON.")
def check(
    session: Session, path: str, group: str | None, base: str | None, weights: str | None,
    as_json: bool, **asked: Any,
) -> None:  # fmt: skip
    """Look at the photos in PATH and name what is odd, train nothing.

    PATH is a folder with one folder per class, a zip of that, or a CSV or Parquet file of paths
    and labels. Broken, empty, tiny and turned photos, copies and near-copies are named; no file
    is changed. With --base or --weights also near-duplicates that were cut or turned, labels that
    look wrong, and photos unlike their class.
    """
    if base is not None or weights is not None:
        options = TrainOptions(
            path=path, group=group, model=base, weights=weights, road="features", **asked
        )
        _with_base(session, options, as_json)
        return
    # Here a faulty file is a finding, not a reason to stop.
    data = read_photos(
        session, path, group=group, drop_empty=True, max_skipped=sys.maxsize, **asked
    )
    if as_json:
        session.out.json(_as_json(data, path))
        return
    _say(session, data, path)


def _with_base(session: Session, options: TrainOptions, as_json: bool) -> None:
    """The audit by features, after the same data block."""
    path = options.path
    with Shown(session, session.talk) as watch:
        found = look(options, watch)
    if as_json:
        audit = {"base": found.base, "photo_audit": found.audit.to_json()}
        session.out.json(_as_json(found.data, path) | audit)
        return
    _say(session, found.data, path)
    audit_block(session.out, found.audit)
    session.out.line()
    session.out.paragraph(f"Seen by {found.base}")


def _as_json(data: ImageData, path: str) -> dict[str, Any]:
    facts = data_facts(data, source=path).to_json()
    labels = {"task": data.task, "labels": data.reading}
    return facts | labels | {"class_names": data.class_names, "tallies": data.audit.tallies}


def _say(session: Session, data: ImageData, path: str) -> None:
    data_block(session.out, data_facts(data, source=path), data.class_names)
    if data.reading:
        session.out.line(f"  Labels: {data.reading}")
    tallies = [f"{name}: {count:,}" for name, count in data.audit.tallies.items() if count]
    if tallies:
        session.out.heading("Also: " + ", ".join(tallies))
