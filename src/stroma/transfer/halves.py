"""A classifier in pieces: what is frozen and run once, what learns, and the head."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from stroma.core.errors import ArgumentError
from stroma.core.layer import Layer
from stroma.data import ImageData, Part
from stroma.models import Model
from stroma.transfer.maps import boundary_maps, maps_fit
from stroma.transfer.stages import layer_at, split
from stroma.transfer.wise import accuracy_and_loss


@dataclass(frozen=True, slots=True)
class Halves:
    """The model, and the pieces of it that training runs.

    Args:
        photos: Pictures -> what the head is given.
        body: What training is given -> what the head is given.
        top: The head.
        tuned: What training is given -> what the head gives; all that can change is in it.
        below: Pictures -> maps at the boundary; None where pictures are what training is given.
    """

    photos: Model
    body: Model
    top: Model
    tuned: Model
    below: Model | None

    @classmethod
    def of(
        cls, model: Model, top: list[Layer], until: str | None, augmented: bool,
        cache: bool | None, data: ImageData,
    ) -> Halves:  # fmt: skip
        photos, head = split(model, top[0])
        if until is None or cache is False or (cache is None and augmented):
            return cls(photos, photos, head, model, None)
        if augmented:
            raise ArgumentError(
                "cache=True and augment exclude each other",
                where="finetune(until=..., cache=True, augment=[...])",
                why="maps that are computed once show each picture in one way only",
                fix="leave one of them away",
            )
        cut = layer_at(model, until)
        if cut in top:
            raise ArgumentError(
                f"only the head runs from {until!r} on",
                where=f"finetune(until={until!r})",
                why="a head alone needs no steps: it is solved in closed form",
                fix="stroma.transfer(base, data), or an earlier layer",
            )
        below, above = split(model, cut)
        if not maps_fit(below, len(data.train) + len(data.validation)) and cache is None:
            return cls(photos, photos, head, model, None)
        body, head = split(above, top[0])
        return cls(photos, body, head, above, below)

    @property
    def cached(self) -> bool:
        return self.below is not None

    def inputs_of(self, part: Part) -> Any:
        """What training is given of a part: itself, or its maps at the boundary."""
        if self.below is None:
            return part
        return boundary_maps(self.below, part)

    def scorer(self, part: Part) -> Callable[[], tuple[float, float]]:
        """A function that gives accuracy and cross-entropy of `tuned`, as it is, on a part."""
        if not len(part):
            return lambda: (0.0, 0.0)
        given = self.inputs_of(part)

        def score() -> tuple[float, float]:
            answers = self.tuned.predict(given, batch_size=64, verbose=0)
            return accuracy_and_loss(as_probabilities(answers), part.labels)

        return score


def as_probabilities(answers: np.ndarray) -> np.ndarray:
    """What a head gives, (N, K): softmax of it, unless it gives probabilities already."""
    if are_probabilities(answers):
        return answers
    powers: np.ndarray = np.exp(answers - answers.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)  # type: ignore[no-any-return]  # an array


def are_probabilities(answers: np.ndarray) -> bool:
    """Whether every row is a distribution: a head's last activation is not always to be seen."""
    return bool((answers >= 0).all() and np.allclose(answers.sum(1), 1, atol=1e-3))
