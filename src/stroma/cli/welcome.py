"""`stroma` alone: what it is, what to try in order, where the last run is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from stroma.cli.console import Console
from stroma.core.runs import RUN_FILE

# The tour: verb -> the line to type. The first four verbs that exist are shown.
TOUR = {
    "demo": "stroma demo",
    "check": "stroma check photos/",
    "train": "stroma train photos/",
    "report": "stroma report --open",
    "doctor": "stroma doctor",
}


def welcome(out: Console, what: str, verbs: Mapping[str, str]) -> None:
    """At most twelve lines. `verbs` has each command's one line of help."""
    out.paragraph(what)
    out.line()
    out.facts([(line, verbs[verb]) for verb, line in TOUR.items() if verb in verbs][:4])
    out.line()
    last = last_run(Path("runs"))
    out.line(f"Last run: {last}" if last else "No run yet in runs/.")
    out.line("All commands: stroma --help")


def last_run(folder: Path) -> Path | None:
    """The run in `folder` that was written to last."""
    try:
        records = [(path.stat().st_mtime, path.parent) for path in folder.glob(f"*/{RUN_FILE}")]
    except OSError:  # not ours to read, or deleted meanwhile
        return None
    return max(records)[1] if records else None
