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
    python = f"from stroma.report import write_report; write_report({str(folder)!r}"
    python += ", photos=False)" if no_photos else ")"
    if others:
        _check_different(folder, others)
        runs = [read_run(folder), *map(read_run, others)]
        names = "-".join(other.name for other in others)
        path = write_atomic(folder / f"compare-{names[-180:]}.html", compare(runs).encode())
        listed = [str(one) for one in (folder, *others)]
        python = (
            "from pathlib import Path; from stroma.core.runs import read_run; "
            "from stroma.report import compare; "
            f"page = compare([read_run(Path(run)) for run in {listed}]); "
            f"Path({str(path)!r}).write_text(page, encoding='utf-8')"
        )
    else:
        path = write_report(folder, photos=not no_photos)
    size = path.stat().st_size
    if as_json:
        session.out.json({"report": str(path), "bytes": size})
    else:
        weight = f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{max(size / 1e3, 1):.0f} KB"
        session.out.line(f"{path} ({weight}, works offline)")
        session.talk.line(f"In Python: {python}")
    if show:
        webbrowser.open(path.resolve().as_uri())


def _check_different(run: Path, others: tuple[Path, ...]) -> None:
    places = [folder.resolve() for folder in (run, *others)]
    if twice := next((place for place in places if places.count(place) > 1), None):
        raise RunError(
            f"{twice.name} would be compared with itself",
            where=str(twice),
            why="a comparison sets one run against another",
            fix="name another run after --compare",
        )


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
