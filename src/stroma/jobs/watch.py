"""What a job tells while it works."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stroma.core.records import DataFacts, EpochRow, Plan
from stroma.training.callbacks import Callback, Logs


class Watch:
    """Told of each stage of a job; override what you want to see. This one is silent."""

    def reading(self, done: int, total: int) -> None:
        """Photos are being decoded."""

    def data(self, facts: DataFacts, class_names: Sequence[str]) -> None:
        """The data are known."""

    def plan(self, plan: Plan) -> None:
        """The plan is made; nothing is trained yet."""

    def stage(self, name: str) -> None:
        """A stage begins: "planning", "training", "features", "heads", "tuning", "test" or
        "understanding"."""

    def fold(self, number: int, count: int) -> None:
        """Fold `number` of `count` begins; 0: they are over, what ships is trained next."""

    def progress(self, done: int, total: int, note: str = "") -> None:
        """How far the stage is; `note` says how it goes ("validation 81 %")."""

    def epoch(self, row: EpochRow) -> None:
        """An epoch is over."""

    def say(self, text: str) -> None:
        """Something worth a line."""


class Told(Callback):
    """Hands the training loop's progress to a `Watch`.

    Args:
        watch: Who is told.
        steps: Steps of the whole training.
    """

    def __init__(self, watch: Watch, steps: int) -> None:
        super().__init__()
        self.watch, self.steps, self._note = watch, steps, ""

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        # The figures of the running epoch stay on the device: reading them would make it wait.
        self.watch.progress(self.state.step, self.steps, self._note)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        figures = dict(logs or {})
        shown = [
            f"{name} {figures[key]:{kind}}"
            for name, key, kind in (
                ("loss", "loss", ".3f"),
                ("accuracy", "accuracy", ".1%"),
                ("validation", "val_accuracy", ".1%"),
                ("validation loss", "val_loss", ".3f"),
            )
            if key in figures and not (key == "val_loss" and "val_accuracy" in figures)
        ]
        self._note = f"epoch {epoch + 1}/{self.state.epochs}: {', '.join(shown)}"
        self.watch.epoch(EpochRow(epoch=epoch + 1, metrics=figures))
        self.watch.progress(self.state.step, self.steps, self._note)
