"""What can be reached without a network: the figures that every result is held against."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F

from stroma.core.errors import DataError
from stroma.core.records import Score
from stroma.core.seeds import mix_array
from stroma.data import Part
from stroma.transfer.heads.ridge import RidgeHead

_NEIGHBOUR_SIDE, _RIDGE_SIDE = 32, 16  # pixels; the ridge solves for side² * channels unknowns
# Bounds that keep the whole below about ten seconds on two cores, whatever the data
_MOST_TRAIN, _MOST_SCORED = 20_000, 10_000
_MOST_BYTES = 1 << 29  # of pixels to read and shrink
_ROWS = 256  # pictures at once


class PixelBaselines:
    """Classifiers on the bare pixels: the nearest neighbour, ridge regression, and guessing.

    - nearest neighbour: the class of the training picture with the smallest squared distance,
      after shrinking both to at most 32 x 32;
    - ridge: `RidgeHead` on the pixels at 16 x 16;
    - guessing: always the commonest class of the training part.

    A network that does not beat these has learnt nothing about shapes. Large data sets are
    sampled (the same pictures for the same seed), so the whole takes seconds.

    Args:
        train: Part to learn from.
        classes: Number of classes, >= 2.
        seed: Of the sample.
    Raises: DataError: no training pictures.
    Example:
        >>> from stroma.data import digits
        >>> data = digits()
        >>> baselines = PixelBaselines(data.train, 10)
        >>> [(score.name, score.value > 0.9) for score in baselines.scores(data.validation)]
        [('nearest neighbour on pixels', True), ('ridge on pixels', True), ('guessing', False)]
    """

    def __init__(self, train: Part, classes: int, *, seed: int = 0) -> None:
        if not len(train):
            raise DataError(
                "PixelBaselines: the training part is empty",
                where="PixelBaselines(train)",
                why="a nearest neighbour needs pictures to be near to",
                fix="give the part with the training pictures: PixelBaselines(data.train, classes)",
            )
        self.seed = seed
        chosen = self._sample(train, _MOST_TRAIN)
        self.labels = train.labels[chosen]
        pixels = _shrunk(train, chosen, _NEIGHBOUR_SIDE)
        self.train = pixels.flatten(1)
        self.half_norms = self.train.square().sum(1) / 2
        self.common = int(np.bincount(train.labels, minlength=classes).argmax())
        self.ridge = RidgeHead().fit(_ridge_view(pixels), self.labels, classes)

    def scores(self, part: Part) -> tuple[Score, ...]:
        """Accuracy of each on a part: validation while choosing, the opened test part at the end.

        The part is read once. `Score.count` says on how many of its pictures.
        """
        chosen = self._sample(part, _MOST_SCORED)
        truth = part.labels[chosen]
        pixels = _shrunk(part, chosen, _NEIGHBOUR_SIDE)
        answers: dict[str, Callable[[], np.ndarray]] = {
            "nearest neighbour on pixels": lambda: self.labels[self._nearest(pixels.flatten(1))],
            "ridge on pixels": lambda: self.ridge.predict(_ridge_view(pixels)),
            "guessing": lambda: np.full(len(truth), self.common),
        }
        return tuple(
            Score.of(name, int((answer() == truth).sum()), len(truth))
            for name, answer in answers.items()
        )

    def _nearest(self, pixels: torch.Tensor) -> np.ndarray:
        # |a - b|² = |a|² - 2ab + |b|²: |a|² is the same for all b
        parts = [
            torch.addmm(self.half_norms, rows, self.train.T, alpha=-1).argmin(1)
            for rows in torch.split(pixels, _ROWS)
        ]
        return torch.cat(parts).numpy() if parts else np.zeros(0, np.int64)

    def _sample(self, part: Part, most: int) -> np.ndarray:
        count = min(len(part), most, max(1, _MOST_BYTES // int(np.prod(part.shape))))
        order = np.argsort(mix_array(self.seed, 0, np.arange(len(part))), kind="stable")
        return np.sort(order[:count])


def _shrunk(part: Part, chosen: np.ndarray, side: int) -> torch.Tensor:
    """(N, C, h, w) float32 around 0, each pixel the average of those it covers; in one reading."""
    height, width = (min(side, size) for size in part.shape[:2])
    out = torch.empty(len(chosen), part.shape[2], height, width)
    done = 0
    for batch in part.take(chosen).batches(_ROWS, shuffle=False).epoch(0):
        pixels = batch.x.permute(0, 3, 1, 2).float()
        out[done : done + batch.size] = F.adaptive_avg_pool2d(pixels, (height, width))
        done += batch.size
    return out / 255 - 0.5


def _ridge_view(pixels: torch.Tensor) -> np.ndarray:
    height, width = (min(_RIDGE_SIDE, size) for size in pixels.shape[2:])
    return F.adaptive_avg_pool2d(pixels, (height, width)).flatten(1).numpy()
