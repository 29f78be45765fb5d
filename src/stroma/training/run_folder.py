"""The run folder as training writes it: figures and checkpoints. Reports are made elsewhere."""

from __future__ import annotations

import datetime
import hashlib
import time
from pathlib import Path
from typing import Any

from stroma.core.errors import RunError
from stroma.core.records import EpochRow, RunRecord
from stroma.core.runs import (
    CHECKPOINTS_FOLDER,
    EVENTS_FILE,
    METRICS_FILE,
    RUN_FILE,
    JsonLines,
    write_run,
)
from stroma.training.checkpoints import read_newest, write_checkpoint
from stroma.training.state import State

_ADJECTIVES = (
    "calm", "bright", "quiet", "brave", "gentle", "swift", "clear", "warm", "keen", "bold",
    "fresh", "kind", "lively", "mellow", "neat", "proud",
)  # fmt: skip
_NOUNS = (
    "fern", "otter", "maple", "heron", "cedar", "finch", "birch", "lynx", "willow", "robin",
    "clover", "tern", "aspen", "wren", "thistle", "marten",
)  # fmt: skip


class RunFolder:
    """One run on disk.

    Args:
        path: The folder.
        save_seconds: Time between checkpoints within an epoch.
    """

    def __init__(self, path: Path, save_seconds: float = 30.0) -> None:
        self.path, self.save_seconds = path, save_seconds
        self._saved_at = time.monotonic()

    @classmethod
    def create(cls, where: str | Path, subject: str = "run", **options: Any) -> RunFolder:
        """A new folder: `where` itself, or `runs/<date>_<subject>_<name>` when it is "auto".

        Raises: RunError: the folder is there already and holds a run.
        """
        path = _fresh_path(subject) if where == "auto" else Path(where)
        if (path / RUN_FILE).exists():
            raise RunError(
                f"{path} holds a run already",
                where=str(path),
                why="a run is never overwritten",
                fix=f"give another folder, or continue that run: resume={str(path)!r}",
            )
        path.mkdir(parents=True, exist_ok=True)
        folder = cls(path, **options)
        write_run(path, RunRecord(name=path.name, created=_now()))
        return folder

    def is_due(self) -> bool:
        """Whether it is time for a checkpoint in mid-epoch."""
        return time.monotonic() - self._saved_at >= self.save_seconds

    def save(self, state: State) -> str:
        """Write a checkpoint; returns the folder, for the message that says how to go on."""
        write_checkpoint(self.path / CHECKPOINTS_FOLDER, state)
        self._saved_at = time.monotonic()
        return str(self.path)

    def end_epoch(self, state: State, logs: dict[str, float], seconds: float) -> None:
        """Note an epoch's figures and write a checkpoint."""
        finite = {key: value for key, value in logs.items() if isinstance(value, (int, float))}
        row = EpochRow(
            epoch=state.epoch,
            metrics={key: value for key, value in finite.items() if value - value == 0},
            seconds=seconds,
            learning_rate=float(state.optimizer.learning_rate),
        )
        with JsonLines(self.path / METRICS_FILE) as lines:
            lines.append(row)
        self.save(state)

    def event(self, kind: str, **facts: Any) -> None:
        """Note something that happened."""
        with JsonLines(self.path / EVENTS_FILE) as lines:
            lines.append({"time": _now(), "event": kind, **facts})

    def newest(self) -> dict[str, Any]:
        """The newest checkpoint that is whole.

        Raises: RunError: there is none to go on from.
        """
        saved = read_newest(self.path / CHECKPOINTS_FOLDER)
        if saved is None:
            raise RunError(
                f"{self.path} has no checkpoint to continue from",
                where=str(self.path / CHECKPOINTS_FOLDER),
                why="it was stopped before the first one was written",
                fix="start it again",
            )
        return saved


def _fresh_path(subject: str) -> Path:
    day = datetime.date.today().isoformat()
    root = Path("runs")
    for attempt in range(10_000):
        digest = hashlib.sha256(f"{time.time_ns()}{attempt}".encode()).digest()
        name = f"{_ADJECTIVES[digest[0] % 16]}-{_NOUNS[digest[1] % 16]}"
        if attempt > 256:
            name += f"-{attempt}"
        path = root / f"{day}_{subject}_{name}"
        if not path.exists():
            return path
    raise RunError(
        f"{root} is full of runs of today",
        where=str(root.resolve()),
        why="a run never takes the name of another",
        fix="name its folder: --out FOLDER",
    )


def _now() -> str:
    return datetime.datetime.now().astimezone().isoformat(timespec="seconds")
