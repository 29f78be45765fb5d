"""An epoch of a small CNN on 28x28 pictures: `Model.fit` beside a hand-written loop and Keras.

The network is so small that what a loop costs besides its arithmetic shows. All train from arrays
in memory, shuffled, with Adam, cross-entropy and a running accuracy, in float32; Keras runs on
PyTorch, in the same process, so that the three take turns.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from importlib.util import find_spec

os.environ["KERAS_BACKEND"] = "torch"  # read when Keras is imported

import numpy as np
import torch
import torch.nn.functional as F
from common import arguments, compared, in_turn, report
from torch import nn

from stroma import layers, losses, metrics, models
from stroma.training.fitting import choose_device

CLASSES, RATE = 10, 1e-3


def main() -> None:
    options = parse()
    device = choose_device(options.device)
    if options.threads:
        torch.set_num_threads(options.threads)
    generator = np.random.default_rng(0)
    samples = options.batch * options.steps
    x = generator.random((samples, 28, 28, 1), dtype=np.float32)
    y = generator.integers(0, CLASSES, samples)
    contestants = {
        "by hand": by_hand(x, y, options.batch, device),
        "stroma": with_stroma(x, y, options.batch, device),
    }
    if options.keras and find_spec("keras"):
        contestants["keras on torch"] = with_keras(x, y, options.batch)
    elif options.keras:
        print("Keras is not installed: it is left out", file=sys.stderr)
    seconds = in_turn(contestants, options.rounds, warmup=1, device=device)
    rows = [
        {"who": name, "samples/s": 1e3 * options.batch / figures["median_ms"], **figures}
        for name, figures in compared(seconds, per=options.steps).items()
    ]
    settings = {"batch": options.batch, "steps": options.steps, "device": device.type}
    report("small CNN, ms a step", settings | {"rounds": options.rounds}, rows)


def by_hand(x: np.ndarray, y: np.ndarray, batch: int, device: torch.device) -> Callable[[], float]:
    """What a careful PyTorch user writes; figures stay on the device until the epoch's end."""
    module = nn.Sequential(
        nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 3), nn.ReLU(),
        nn.MaxPool2d(2), nn.Flatten(), nn.Dropout(0.5), nn.Linear(1600, CLASSES),
    ).to(device, memory_format=torch.channels_last)  # fmt: skip
    pictures, labels = torch.from_numpy(x).permute(0, 3, 1, 2), torch.from_numpy(y)
    optimizer = torch.optim.Adam(module.parameters(), lr=RATE, fused=True)

    def epoch() -> float:
        module.train()
        total = torch.zeros((), device=device)
        right = torch.zeros((), device=device)
        for chosen in torch.randperm(len(labels)).split(batch):
            inputs, targets = pictures[chosen].to(device), labels[chosen].to(device)
            optimizer.zero_grad(set_to_none=True)
            outputs = module(inputs)
            loss = F.cross_entropy(outputs, targets)
            loss.backward()
            optimizer.step()
            with torch.no_grad():
                total += loss * len(targets)
                right += (outputs.argmax(1) == targets).sum()
        return float(total) / len(labels) + float(right) / len(labels)

    return epoch


def with_stroma(
    x: np.ndarray, y: np.ndarray, batch: int, device: torch.device
) -> Callable[[], object]:
    """`Model.fit` for one epoch, its preparations included."""
    model = models.Sequential(network(layers))
    model.compile(
        "adam",
        losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[metrics.SparseCategoricalAccuracy()],
        precision="float32",
    )
    return lambda: model.fit(x, y, batch_size=batch, verbose=0, device=device.type)


def with_keras(x: np.ndarray, y: np.ndarray, batch: int) -> Callable[[], object]:
    """The same lines, run by Keras."""
    import keras  # takes seconds to import: only where it takes part

    model = keras.Sequential(network(keras.layers))
    model.compile(
        "adam",
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[keras.metrics.SparseCategoricalAccuracy()],
    )
    return lambda: model.fit(x, y, batch_size=batch, verbose=0)


def network(layers: object) -> list[object]:
    """The layers, from stroma's module or from Keras': the names are the same."""
    return [
        layers.Input((28, 28, 1)),
        layers.Conv2D(32, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Conv2D(64, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Flatten(),
        layers.Dropout(0.5),
        layers.Dense(CLASSES),
    ]


def parse() -> argparse.Namespace:
    parser = arguments(__doc__)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--steps", type=int, default=100, help="steps an epoch")
    parser.add_argument("--rounds", type=int, default=5, help="timed epochs of each")
    parser.add_argument("--keras", action=argparse.BooleanOptionalAction, default=True)
    return parser.parse_args()


if __name__ == "__main__":
    main()
