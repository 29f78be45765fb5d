"""The rungs of the ladder on which the base itself is tuned: how fast, on what, and how far."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from stroma.core.errors import GraphError, RunError
from stroma.core.layer import Layer
from stroma.core.records_transfer import Rung
from stroma.core.scores import Interval, Score
from stroma.data import ImageData, Part
from stroma.layers import RandomFlip, RandomTranslation
from stroma.models import Model
from stroma.network.copying import copied
from stroma.network.freezing import unfreeze
from stroma.training import fitting
from stroma.training.callbacks import Callback
from stroma.transfer.finetune import Finetuned, finetune
from stroma.transfer.halves import as_probabilities
from stroma.transfer.heads.head import Head
from stroma.transfer.heads.scoring import Target, estimate
from stroma.transfer.stages import Stage, layer_at, split, stages
from stroma.transfer.wise import accuracy_and_loss

RATES = (1e-3, 3e-3, 3e-4)  # of the head; the first where there is no time to try them
_TRIAL_EPOCHS = 2
_FEWEST_EPOCHS = 3  # fewer move too little to be worth the wait
_BATCH = 32
_MIRRORS = 0.02  # accuracy that mirrored photos may lose and still be photos of the same things


@dataclass(frozen=True, slots=True)
class Judge:
    """Scores rungs: on validation, or by leave-one-out where there is none."""

    features: np.ndarray
    part: Part
    labels: np.ndarray  # of the training part
    target: Target

    def rung(self, name: str, head: Head, start: float) -> Rung:
        """A rung of a head, that began at `start`."""
        if len(self.part):
            score = self._score(head.predict(self.features) == self.part.labels, self.part.labels)
        else:
            score = self._score(head.held_out.argmax(1) == self.labels, self.labels, head.how)
        return Rung(name=name, seconds=time.perf_counter() - start, score=score)

    def tuned(self, found: Finetuned) -> Score:
        if self.target == "accuracy":
            return found.validation
        right = _answers(found.model, self.part).argmax(1) == self.part.labels
        return self._score(right, self.part.labels)

    def _score(self, right: np.ndarray, labels: np.ndarray, on: str = "validation") -> Score:
        found = estimate(right, labels, self.target)
        return Score(
            name=f"{on} {self.target.replace('_', ' ')}", value=found.value,
            interval=Interval(low=found.low, high=found.high), count=len(labels),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Climb:
    """The rungs of fine-tuning, while there is time."""

    extractor: Model
    data: ImageData
    judge: Judge
    head: Head  # fitted on the training part
    deadline: float  # by time.perf_counter
    epochs: int
    forced: bool
    precision: str
    device: str
    seed: int
    watching: Callable[[int], Sequence[Callback]]

    def on(self, best: Rung) -> tuple[list[Rung], Finetuned | None]:
        """The rungs beyond `best`, and the tuned model where one of them is better."""
        rungs: list[Rung] = []
        kept: Finetuned | None = None
        rate = RATES[0]
        for name, until in self._starts():
            rung, tuned, rate = self._try(name, until, rate)
            rungs.append(rung)
            if tuned is not None and value_of(rung) > value_of(best):
                best, kept = rung, tuned
        return rungs, kept

    def _starts(self) -> list[tuple[str, Stage | None]]:
        """The last stage that learns, then everything."""
        try:
            learning = stages(self.extractor)
        except GraphError:  # a module of unknown inside is tuned as one
            learning = []
        whole: list[tuple[str, Stage | None]] = [("tuned whole", None)]
        if len(learning) < 2:
            return whole
        return [(f"tuned from {learning[-1].start} on", learning[-1]), *whole]

    def _try(
        self, name: str, stage: Stage | None, rate: float
    ) -> tuple[Rung, Finetuned | None, float]:
        """A rung, the tuned model if it was reached, and the rate for the rungs above it."""
        began = time.perf_counter()
        extractor = copied(self.extractor)
        unfreeze(extractor, batch_normalization=False)  # as `finetune` will find it
        pace = self._pace(extractor, stage)
        left = self.deadline - time.perf_counter()
        affordable = int((left - pace.once) / pace.epoch)
        fewest = min(_FEWEST_EPOCHS, self.epochs)
        if affordable < fewest and not self.forced:
            needs = pace.once + fewest * pace.epoch
            why = f"needs {needs:.0f} s, {max(left, 0):.0f} s are left"
            return Rung(name=name, seconds=needs, left_out=why), None, rate
        try:
            trials = len(RATES) * _TRIAL_EPOCHS
            if stage is not None and affordable >= self.epochs + trials:
                rate, affordable = self._rate(extractor, stage), affordable - trials
            epochs = max(fewest, min(self.epochs, affordable))
            steps = epochs * -(-len(self.data.train) // _BATCH)
            tuned = self._tuned(
                extractor, stage, epochs, rate, augment=self._changes() if stage is None else (),
                callbacks=self.watching(steps),
            )  # fmt: skip
        except RunError as error:  # the rungs below are still there
            failed = Rung(name=name, seconds=time.perf_counter() - began, left_out=error.what)
            return failed, None, rate
        score, seconds = self.judge.tuned(tuned), time.perf_counter() - began
        return Rung(name=name, seconds=seconds, score=score, epochs=epochs), tuned, rate

    def _tuned(
        self, extractor: Model, stage: Stage | None, epochs: int, rate: float, **options: Any
    ) -> Finetuned:
        return finetune(
            extractor, self.data, head=self.head.as_layers(), in_place=True, learning_rate=rate,
            until=stage.start if stage else None, epochs=epochs, batch_size=_BATCH,
            precision=self.precision, device=self.device, seed=self.seed, **options,
        )  # fmt: skip

    def _rate(self, extractor: Model, stage: Stage) -> float:
        """The rate after whose short trial on the kept maps validation's cross-entropy is least."""
        losses: list[float] = []
        for rate in RATES:
            try:
                tried = self._tuned(copied(extractor), stage, _TRIAL_EPOCHS, rate, average=False)
            except RunError:  # it diverged
                losses.append(float("inf"))
                continue
            answers = as_probabilities(_answers(tried.model, self.data.validation))
            losses.append(accuracy_and_loss(answers, self.data.validation.labels)[1])
        return RATES[int(np.argmin(losses))]

    def _changes(self) -> tuple[Layer, ...]:
        """How pictures may be changed in training: moved; mirrored, where that changes no answer.

        Letters and digits are others in the mirror: the frozen base with its head is asked.
        """
        moved = RandomTranslation(0.1, 0.1)
        pixels = self.data.validation.images()
        flipped = torch.split(torch.from_numpy(pixels[:, :, ::-1].copy()).float(), _BATCH)
        with torch.no_grad():
            found = [
                self.extractor(x.to(_device(self.extractor)), training=False).float().cpu()
                for x in flipped
            ]
        right = (self.head.predict(torch.cat(found).numpy()) == self.data.validation.labels).mean()
        plain = self.head.predict(self.judge.features) == self.data.validation.labels
        return (RandomFlip("horizontal"), moved) if right >= plain.mean() - _MIRRORS else (moved,)

    def _pace(self, extractor: Model, stage: Stage | None) -> _Pace:
        """Seconds of the maps and averages, once, and of an epoch: one batch each, timed."""
        inputs = torch.zeros(_BATCH, *self.data.shape, device=_device(extractor))
        photos = len(self.data.train) + len(self.data.validation)
        below, above = (None, extractor)
        if stage is not None:
            below, above = split(extractor, layer_at(extractor, stage.start))
        maps = 0.0
        if below is not None:
            with torch.no_grad():
                maps = _timed(lambda: below(inputs)) * photos / _BATCH
                inputs = below(inputs)
        with torch.no_grad():
            forward = _timed(lambda: above(inputs)) / _BATCH
        step = _timed(lambda: above(inputs).sum().backward()) / _BATCH
        for weight in above.parameters():
            weight.grad = None
        averages = 12 * forward * len(self.data.validation)  # the start, and every alpha
        return _Pace(1.2 * (maps + averages), 1.2 * step * len(self.data.train))


@dataclass(frozen=True, slots=True)
class _Pace:
    once: float
    epoch: float


def _timed(run: Callable[[], Any]) -> float:
    run()  # the first call allocates
    start = time.perf_counter()
    run()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return max(time.perf_counter() - start, 1e-6)


def _device(module: nn.Module) -> torch.device:
    return next((p.device for p in module.parameters()), torch.device("cpu"))


def _answers(model: Model, part: Part) -> np.ndarray:
    outputs = list(fitting.predict_batches(model, part.batches(_BATCH, shuffle=False)))
    found: np.ndarray = np.concatenate(outputs)
    return found


def value_of(rung: Rung) -> float:
    return rung.score.value if rung.score is not None else -1.0
