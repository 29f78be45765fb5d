"""What a small network gains by a pretrained teacher on photos: Imagenette, several seeds.

The teacher is what `stroma.transfer` begins with, SqueezeNet's features at 128 pixels and a ridge
head; the student, a CNN of 100,000 weights, sees the same photos at 64 and starts at random. Both
learn the same labelled photos; the student's steps are as many in every arm. "alone": the labels.
"teacher": its answers too. "features": its last features as well. "unlabelled": the rest of the
photos, without labels, of which it hears only what the teacher says. Gains are paired.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from cifar import View, half
from common import SHARED, arguments, report

from stroma import layers, zoo
from stroma.compress import distill
from stroma.core.seeds import set_random_seed
from stroma.data import images
from stroma.models import Model
from stroma.optimizers import Adam
from stroma.transfer import RidgeHead, feature_extractor, features, with_head

WEIGHTS = "squeezenet1_1-imagenet-fp16.safetensors"
SIDE = 128


def main() -> None:
    options = parse()
    if options.threads:
        torch.set_num_threads(options.threads)
    data = images(options.data / "imagenette-mini.zip", size=SIDE, cache="memory")
    base = zoo.squeezenet1_1(
        weights=options.weights / WEIGHTS, include_top=False, input_shape=(SIDE, SIDE, 3)
    )
    extractor = feature_extractor(base, input_shape=(SIDE, SIDE, 3))
    found = features(extractor, data.train, cache=False)
    pixels, labels, test = data.train.images(), data.train.labels, data.open_test()
    runs: dict[str, list[float]] = {}
    for seed in range(options.seeds):
        order = np.random.default_rng(seed).permutation(len(labels))
        few, rest = order[: options.photos], order[options.photos :]
        head = RidgeHead().fit(found[few], labels[few], len(data.class_names))
        teacher = with_head(extractor, head.as_layers())
        runs.setdefault("the teacher", []).append(accuracy(teacher, test))
        for name, how in arms(pixels[rest], options).items():
            began = time.perf_counter()
            trained = student(len(data.class_names), seed)
            distill(teacher, trained, (pixels[few], labels[few]), batch_size=32,
                    optimizer=Adam(0.003), seed=seed, **how)  # fmt: skip
            runs.setdefault(name, []).append(accuracy(trained, test))
            print(f"seed {seed}  {name:32} {runs[name][-1]:.3f}"
                  f"  {time.perf_counter() - began:.0f} s", file=sys.stderr)  # fmt: skip
    settings = {
        "labelled photos": options.photos, "seeds": options.seeds, "epochs": options.epochs,
        "temperature": 4.0, "parameters": trained.count_params(),
    }  # fmt: skip
    report("distillation on photos", settings, table(runs))


def arms(rest: np.ndarray, options: Any) -> dict[str, dict[str, Any]]:
    """What each student is told beyond the labels, in as many steps."""
    many, share = options.epochs, options.photos / (options.photos + len(rest))
    matched = {"features": {"pooled": "global_average_pooling2d"}}
    return {
        "alone": {"alpha": 0.0, "epochs": many},
        "teacher": {"epochs": many},
        "teacher and features": {"epochs": many, **matched},
        "teacher and unlabelled photos": {"epochs": round(many * share), "unlabelled": rest},
    }


def student(classes: int, seed: int) -> Model:
    set_random_seed(seed + 1000)
    inputs = layers.Input((SIDE, SIDE, 3))
    x = View()(layers.AveragePooling2D(2)(layers.Rescaling(1 / 127.5, -1.0)(inputs)))
    for filters, stride in ((16, 2), (32, 1), (64, 2), (128, 2)):
        x = layers.Conv2D(filters, 3, stride, padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
    x = layers.GlobalAveragePooling2D(name="pooled")(x)
    return Model(inputs, layers.Dense(classes)(x))


def accuracy(model: Model, part: Any) -> float:
    answers = model.predict(part, batch_size=100, verbose=0)
    return float((answers.argmax(1) == part.labels).mean())


def table(runs: dict[str, list[float]]) -> list[dict[str, Any]]:
    rows = []
    for name, values in runs.items():
        row: dict[str, Any] = {"who": name, "accuracy %": 100 * float(np.mean(values))}
        row["± 95 %"] = 100 * half(values)
        if name not in ("the teacher", "alone"):
            gains = (100 * (np.array(values) - runs["alone"])).tolist()
            row |= {"gain, points": float(np.mean(gains)), "± paired": half(gains)}
        rows.append(row)
    return rows


def parse() -> Any:
    parser = arguments(__doc__)
    parser.add_argument("--data", type=Path, default=SHARED / "data", help="folder of the data")
    parser.add_argument("--weights", type=Path, default=SHARED / "weights", help="of the weights")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--photos", type=int, default=1000, help="with labels")
    parser.add_argument("--epochs", type=int, default=30, help="over the labelled photos")
    return parser.parse_args()


if __name__ == "__main__":
    main()
