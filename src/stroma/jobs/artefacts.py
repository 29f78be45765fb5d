"""From what a user names (a run, a `.keras` file) to the artefact in it."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from stroma.core.errors import RunError
from stroma.core.runs import RUN_FILE, read_run
from stroma.jobs.record import MODEL_FILE, resume_command
from stroma.package.artefact import Artefact


def load_artefact(named: str | Path) -> Artefact:
    """The classifier of a run folder, or in a `.keras` file.

    Raises: RunError: there is no such run or file, or the run has no model yet.
        FileFormatError: the file is damaged, or a model without class names.
    """
    named = Path(named)
    if named.is_file():
        return Artefact.load(named)
    if not named.exists():
        raise RunError(
            f"there is no run {named}",
            where=str(named.resolve()),
            why="predictions need the model that a run left behind",
            fix=f"one that is there: {_runs_beside(named)}",
        )
    run = read_run(named)
    path = named / MODEL_FILE
    if not path.is_file():
        raise RunError(
            f"{named} has no {MODEL_FILE}: it is {run.status}",
            where=str(path),
            why="a run saves its model when it has been tested",
            fix=run.resume_command or resume_command(named),
        )
    return Artefact.load(path)


def latest_model(root: Path = Path("runs")) -> Path:
    """The run in `root` that was written to last, of those that have a model.

    Raises: RunError: none has.
    """
    try:
        runs = [
            (path.stat().st_mtime, path.parent)
            for path in root.glob(f"*/{RUN_FILE}")
            if (path.parent / MODEL_FILE).is_file()
        ]
    except OSError:  # not ours to read, or deleted meanwhile
        runs = []
    if not runs:
        raise RunError(
            f"no run in {root}{os.sep} has a model yet",
            where=str(root.resolve()),
            why="answers need the model that a run left behind, and none was named",
            fix="stroma train photos/, or name a run: stroma predict RUN PATH",
        )
    return max(runs)[1]


def _runs_beside(named: Path) -> str:
    root = named.parent if named.parent.is_dir() and named.parent != Path() else Path("runs")
    try:
        found = sorted(path.parent for path in root.glob(f"*/{RUN_FILE}"))
    except OSError:
        found = []
    return shlex.quote(str(found[-1])) if found else "stroma train photos/ makes one"
