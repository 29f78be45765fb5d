"""CIFAR-10 from its Parquet files, and random subsets of it."""

from __future__ import annotations

import io
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from stroma.core.layer import Layer
from stroma.data import ImageData, arrays

NAMES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


@dataclass(frozen=True, slots=True)
class Pictures:
    """uint8 pixels (N, 32, 32, 3) with labels (N,) that index `names`."""

    pixels: np.ndarray
    labels: np.ndarray
    names: list[str]

    def data(self, seed: int, validation: float = 0.2) -> ImageData:
        """As a data set without a test part."""
        share = (1 - validation, validation, 0.0)
        return arrays(self.pixels, self.labels, self.names, seed=seed, fractions=share)


def cifar10(folder: Path, part: str) -> Pictures:
    """All of "train" or "test"; decoding the former takes some ten seconds."""
    rows = pyarrow.parquet.read_table(folder / f"cifar10-jpeg-{part}.parquet").to_pydict()
    pixels = np.stack([np.asarray(Image.open(io.BytesIO(row["bytes"]))) for row in rows["img"]])
    return Pictures(pixels, np.asarray(rows["label"]), NAMES)


def subset(pictures: Pictures, names: Sequence[str], each: int, *, seed: int) -> Pictures:
    """`each` random pictures of each of these classes, numbered from 0."""
    rng = np.random.default_rng(seed)
    rows = [
        rng.permutation(np.flatnonzero(pictures.labels == pictures.names.index(name)))[:each]
        for name in names
    ]
    labels = np.repeat(np.arange(len(names)), [len(at) for at in rows])
    return Pictures(pictures.pixels[np.concatenate(rows)], labels, list(names))


class View(Layer):
    """CIFAR's usual view in training: mirrored, and shifted by up to four whole pixels."""

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        if not training:
            return inputs
        count, side = inputs.shape[:2]
        padded = F.pad(inputs, (0, 0, 4, 4, 4, 4))
        steps = torch.arange(side)
        top, left = torch.randint(0, 9, (2, count, 1))
        columns = torch.where(torch.rand(count, 1) < 0.5, steps, side - 1 - steps) + left
        rows = steps + top
        return padded[torch.arange(count)[:, None, None], rows[:, :, None], columns[:, None, :]]


# Student's t for a 95 % interval, by the number of seeds
_T = {2: 12.71, 3: 4.30, 4: 3.18, 5: 2.78, 6: 2.57, 7: 2.45, 8: 2.36, 9: 2.31, 10: 2.26}


def half(values: Sequence[float]) -> float:
    """Half of the 95 % interval of the mean over seeds."""
    if len(values) < 2:
        return float("nan")
    return _T.get(len(values), 1.96) * statistics.stdev(values) / math.sqrt(len(values))
