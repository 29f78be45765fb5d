"""CIFAR-10 from its Parquet files, and random subsets of it."""

from __future__ import annotations

import io
import math
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
import torch
import torch.nn.functional as F
from PIL import Image
from scipy.stats import t
from torch import Tensor

from stroma import Model, layers, zoo
from stroma.core.layer import Layer
from stroma.core.preprocessing import Preprocessing
from stroma.core.seeds import set_random_seed
from stroma.data import ImageData, arrays
from stroma.losses import SparseCategoricalCrossentropy
from stroma.transfer import preprocess

NAMES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
TARGETS = NAMES[5:]  # what is transferred to; the other five are pretrained on
WEIGHTS = "resnet20-12fca82f.th"


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


def pretrained(path: Path, train: Pictures, options: Any) -> Preprocessing:
    """Make a ResNet-20 that has seen the other five classes only, unless `path` holds it already.

    Args:
        path: Of its weights, the five classes' head among them.
        train: CIFAR-10's training part.
        options: `weights` (folder), `pretrain` (epochs) and `pretrain_pictures`.
    """
    prep: Preprocessing = zoo.resnet20(weights=options.weights / WEIGHTS).preprocessing
    if path.exists():
        return prep
    others = [name for name in NAMES if name not in TARGETS]
    data = subset(train, others, options.pretrain_pictures // len(others), seed=0).data(0, 0.1)
    began = time.perf_counter()
    set_random_seed(0)
    core = zoo.resnet20(classes=len(others))
    inputs = layers.Input((32, 32, 3))
    model = Model(inputs, core(preprocess(View()(inputs), prep)))
    model.compile("adamw", SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    model.fit(data.train, epochs=options.pretrain, batch_size=64, seed=0, verbose=0)
    right = model.evaluate(data.validation, verbose=0)[1]
    print(f"pretrained: {right:.3f} in {time.perf_counter() - began:.0f} s", file=sys.stderr)
    core.save_weights(path)
    return prep


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


def half(values: Sequence[float]) -> float:
    """Half of the 95 % interval of the mean (Student's t)."""
    count = len(values)
    if count < 2:
        return float("nan")
    return float(t.ppf(0.975, count - 1)) * statistics.stdev(values) / math.sqrt(count)
