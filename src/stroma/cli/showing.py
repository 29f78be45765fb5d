"""A job as the terminal shows it: its blocks as they come, a bar while something is counted."""

from __future__ import annotations

from collections.abc import Sequence

from stroma.cli.blocks import data_block, plan_block
from stroma.cli.command import Session
from stroma.cli.console import Console
from stroma.cli.progress import Progress
from stroma.core.records import DataFacts, Plan
from stroma.jobs import Watch

_LABELS = {
    "planning": "planning", "training": "training", "features": "looking at the photos once",
    "heads": "solving for heads", "tuning": "tuning", "test": "testing",
    "understanding": "looking for what is odd",
}  # fmt: skip


class Shown(Watch):
    """Use it as a context: it leaves no bar behind.

    Args:
        session: Bars and talk go to its stderr.
        blocks: Where data and plan are printed.
    """

    def __init__(self, session: Session, blocks: Console) -> None:
        self.talk, self.blocks = session.talk, blocks
        self._label, self._fold = "", ""
        self._bar: Progress | None = None

    def __enter__(self) -> Shown:
        return self

    def __exit__(self, *error: object) -> None:
        self._close()

    def reading(self, done: int, total: int) -> None:
        self._label = "looking at the photos"
        self.progress(done, total)

    def data(self, facts: DataFacts, class_names: Sequence[str]) -> None:
        self._close()
        data_block(self.blocks, facts, class_names)

    def plan(self, plan: Plan) -> None:
        self._close()
        plan_block(self.blocks, plan)

    def stage(self, name: str) -> None:
        self._close()
        self._label = f"{self._fold}{_LABELS[name]}"
        if name == "planning":
            self.talk.line("planning: a few steps to see how fast this machine is…")

    def fold(self, number: int, count: int) -> None:
        self._fold = f"fold {number} of {count}, " if number else ""

    def progress(self, done: int, total: int, note: str = "") -> None:
        if self._bar is None:
            self._bar = self.talk.progress(total, self._label)
            self._bar.__enter__()
        self._bar.total = total
        self._bar.update(done, note)

    def say(self, text: str) -> None:
        self._close()
        self.talk.line(text)

    def _close(self) -> None:
        if self._bar is not None:
            bar, self._bar = self._bar, None
            bar.__exit__(None, None, None)
