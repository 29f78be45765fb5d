"""The road from scratch: train a recipe, keep the weights that did best on validation."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from stroma.core.errors import RunError
from stroma.core.runs import CHECKPOINTS_FOLDER
from stroma.data import ImageData, Part
from stroma.jobs.recipe import Recipe, how_to_train, pupil, shipped
from stroma.jobs.watch import Told, Watch
from stroma.models import Model
from stroma.training import fitting
from stroma.training.callbacks import Callback, Logs, copy_state
from stroma.training.checkpoints import checkpoints
from stroma.training.run_folder import RunFolder
from stroma.transfer.calibration import fit_temperature, tempered

_BATCH = 64  # photos that are answered at once


class KeepBest(Callback):
    """Keeps the weights of the epoch with the best validation accuracy; of equals, the lowest loss.

    Where there is no accuracy (a number, several classes) all are equals.

    They travel in the checkpoint, so a resumed run still has them.

    Args:
        rate: Highest learning rate, for the advice to a run that diverges.
    Raises: RunError: the loss is no number any more.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate
        self.accuracy, self.loss, self.epoch = -1.0, 0.0, 0
        self.weights: dict[str, torch.Tensor] | None = None

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        validated = 0.0 if "val_loss" in (logs or {}) else None
        accuracy = (logs or {}).get("val_accuracy", validated)
        loss = (logs or {}).get("loss", 0.0)
        if not math.isfinite(loss):
            raise RunError(
                f"training diverged: the loss of epoch {epoch + 1} is {loss}",
                where=f"step {self.state.step}",
                why="no step after this one could mend the weights",
                fix=f"a smaller --lr: this one rose to {self.rate:g}",
            )
        doubt = float((logs or {}).get("val_loss", 0.0))
        if accuracy is not None and (accuracy, -doubt) >= (self.accuracy, -self.loss):
            self.accuracy, self.loss, self.epoch = float(accuracy), doubt, epoch + 1
            self.weights = copy_state(self.model)

    def on_train_end(self, logs: Any = None) -> None:
        if self.weights is not None:
            self.model.load_state_dict(self.weights)

    def state_dict(self) -> dict[str, Any]:
        return {
            "accuracy": self.accuracy, "loss": self.loss, "epoch": self.epoch,
            "weights": self.weights,
        }  # fmt: skip

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.accuracy, self.epoch = state["accuracy"], state["epoch"]
        self.loss = state["loss"]
        self.weights = state["weights"]


@dataclass(frozen=True, slots=True)
class Trained:
    """A network that ends in class scores, or in answers, and when it was best.

    Args:
        probabilities: Whether its outputs are answers as they are; else they are logits.
        temperature: What its logits are divided by, so that probabilities can be believed.
    """

    model: Model
    best_epoch: int | None
    probabilities: bool = False
    temperature: float = 1.0

    def answers(self, part: Part) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """(first..last position, their (B, K) answers), batch by batch, in order."""
        start = 0
        for outputs in fitting.predict_batches(self.model, part.batches(_BATCH, shuffle=False)):
            scores = torch.from_numpy(outputs)
            shares = scores if self.probabilities else scores.softmax(1)
            rows = shares.numpy()
            if self.temperature != 1:
                rows = tempered(rows, self.temperature)
            yield np.arange(start, start + len(rows)), rows
            start += len(shares)

    def network(self) -> Trained:
        """What ships: itself."""
        return self


def calibrated(trained: Trained, validation: Part) -> Trained:
    """The same with the temperature that its answers on validation ask for."""
    if not len(validation):
        return trained
    shares = np.concatenate([rows for _, rows in trained.answers(validation)])
    return dataclasses.replace(trained, temperature=temperature_of(shares, validation.labels))


def temperature_of(shares: np.ndarray, labels: np.ndarray) -> float:
    """The best temperature, but none that makes the mean confidence exceed (right + 1) / (n + 2).

    Where few photos are all right the best one is 0: "certain", which few photos cannot say. The
    bound is Laplace's rule of succession.

    Args:
        shares: (N, K) probabilities at temperature 1.
        labels: (N,) of photos that were not learnt from.
    """
    found = fit_temperature(np.log(np.maximum(shares, np.finfo(np.float32).tiny)), labels)
    most = (int((shares.argmax(1) == labels).sum()) + 1) / (len(labels) + 2)
    low, high = math.log(found), math.log(max(found, 1e3))
    if tempered(shares, found).max(1).mean() <= most:
        return found
    for _ in range(40):
        middle = (low + high) / 2
        sure = tempered(shares, math.exp(middle)).max(1).mean() > most
        low, high = (middle, high) if sure else (low, middle)
    return math.exp(high)


def train_recipe(
    recipe: Recipe,
    data: ImageData,
    *,
    run: RunFolder | None = None,
    device: str = "auto",
    watch: Watch | None = None,
) -> Trained:
    """Train from the start, or from the run's newest checkpoint where it has one.

    Args:
        recipe: How.
        data: Train and validation are read; test is not.
        run: Where checkpoints and figures go; None: nowhere.
        device: "auto", "cpu", "cuda".
        watch: Who is told.
    Raises: Interrupted: asked to stop; the run holds what is needed to go on.
    """
    learner, core = pupil(recipe)
    batches = data.train.batches(recipe.batch_size, seed=recipe.seed)
    steps = recipe.epochs * len(batches)
    best = KeepBest(recipe.learning_rate)
    begun = run is not None and bool(checkpoints(run.path / CHECKPOINTS_FOLDER))
    fitting.fit(
        learner, how_to_train(recipe, steps), batches,
        epochs=recipe.epochs, verbose=0, callbacks=[best, Told(watch or Watch(), steps)],
        validation_data=data.validation.batches(2 * recipe.batch_size, shuffle=False),
        validation_freq=recipe.validated, run=run, seed=recipe.seed, device=device,
        resume=run.path if run is not None and begun else None,
    )  # fmt: skip
    finished = shipped(recipe)
    finished.load_state_dict(core.state_dict())
    answering = recipe.task != "one class"
    return Trained(finished.eval(), best.epoch or None, probabilities=answering)
