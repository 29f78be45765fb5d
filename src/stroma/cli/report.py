"""`stroma report`: the page of a run, made anew from its records, or runs side by side."""

from __future__ import annotations

import webbrowser
from pathlib import Path

import click

from stroma.cli.command import Session, command
from stroma.cli.welcome import last_run
from stroma.core.errors import RunError
from stroma.core.runs import read_run, write_atomic
from stroma.report import compare, write_report


@command("report")
@click.argument("run", required=False, type=click.Path(path_type=Path))
@click.option(
    "--compare",
    "others",
    multiple=True,
    metavar="RUN",
    type=click.Path(path_type=Path),
    help="Set this run beside it; may be repeated.",
)
@click.option("--open", "show", is_flag=True, help="Open the page in the browser.")
@click.option("--no-photos", is_flag=True, help="Leave the photos out, to share the page.")
@click.option("--json", "as_json", is_flag=True, help="Print path and size as JSON.")  # fmt: skip
def report(
    session: Session, run: Path | None, others: tuple[Path, ...], show: bool, no_photos: bool,
    as_json: bool,
) -> None:  # fmt: skip
    """Write the report of RUN, the latest in runs/ when none is named, and print its path."""
    folder = run or _latest()
    if others:
        runs = [read_run(folder), *map(read_run, others)]
        names = "-".join(other.name for other in others)
        path = write_atomic(folder / f"compare-{names}.html"[-200:], compare(runs).encode())
    else:
        path = write_report(folder, photos=not no_photos)
    size = path.stat().st_size
    if as_json:
        session.out.json({"report": str(path), "bytes": size})
    else:
        session.out.line(f"{path} ({size / 1e6:.1f} MB, works offline)")
        session.talk.line(
            f"In Python: from stroma.report import write_report; write_report({str(folder)!r})"
        )
    if show:
        webbrowser.open(path.resolve().as_uri())


def _latest() -> Path:
    found = last_run(Path("runs"))
    if found is None:
        raise RunError(
            "there is no run yet",
            where=str(Path("runs").resolve()),
            why="a report is made from the records of a run",
            fix="stroma train photos/, or name the folder of a run",
        )
    return found
