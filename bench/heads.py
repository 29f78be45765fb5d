"""Two questions to cached features: do random projections beat ridge, and does LogME or the H-score
order bases better?

Features of SqueezeNet's and the CIFAR ResNets' layers on Imagenette, and of a ResNet-20 that has
seen CIFAR-10's other five classes on the last five (made first, `--base` keeps it).

(1) Test accuracy of a ridge head on relu(z P), P random (RanPAC), minus that of plain ridge, on the
same draws of training photos. (2) Each score of each base from few photos, against what a ridge
head on all of them gets right in the test part: Kendall's τ over the bases, mean over draws. The
leave-one-out score that `rank` goes by stands beside.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from cifar import TARGETS, WEIGHTS, cifar10, half, pretrained, subset
from common import SHARED, arguments, report
from scipy.stats import kendalltau

from stroma import zoo
from stroma.core.seeds import set_random_seed
from stroma.data import Part, arrays, images
from stroma.transfer import (
    RandomProjectionHead,
    RidgeHead,
    feature_extractor,
    features,
    h_score,
    log_maximum_evidence,
)

Samples = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]  # x, y, test x, test y
SQUEEZENET = "squeezenet1_1-imagenet-fp16.safetensors"
WIDTH = 1024  # RandomProjectionHead's own
SIDE = 112  # pixels of SqueezeNet's photos: its layers are compared, not shown at their best
TRAIN, TEST = 2000, 750  # photos of Imagenette


def main() -> None:
    options = parse()
    if options.threads:
        torch.set_num_threads(options.threads)
    found = on_imagenette(options)
    with tempfile.TemporaryDirectory() as folder:
        path = options.base or Path(folder) / "base.safetensors"
        cifar = on_cifar(path, options)
    chosen = {
        "SqueezeNet, Imagenette": found["squeezenet"],
        "ResNet-56, Imagenette": found["resnet56"],
        "ResNet-20, CIFAR-10's other five": cifar,
    }
    rows = [
        row for name, samples in chosen.items() for row in projected(name, samples, options.seeds)
    ]
    report("random projections over ridge", {"draws": options.seeds, "width": WIDTH}, rows)
    settings = {"bases": len(found), "draws": options.seeds, "task": "Imagenette"}
    report("scores of bases: Kendall's τ with test accuracy", settings, ordered(found, options))


def on_imagenette(options: Any) -> dict[str, Samples]:
    """Features by base. Inner layers and random weights are bases too: worse ones."""
    file = options.data / "imagenette-mini.zip"
    photos, small = (images(file, size=size, cache="memory") for size in (SIDE, 32))
    squeezenet = zoo.squeezenet1_1(
        weights=options.weights / SQUEEZENET, include_top=False, input_shape=photos.shape
    )
    bases: dict[str, tuple[Any, str | None]] = {"squeezenet": (squeezenet, None)}
    for at in (4, 7, 10):
        bases[f"squeezenet:{at}"] = squeezenet, f"features.{at}.concatenate"
    for depth, name in ((20, WEIGHTS), (56, "resnet56-4bfd9763.th")):
        make = getattr(zoo, f"resnet{depth}")
        resnet = make(weights=options.weights / name, include_top=False)
        bases[f"resnet{depth}"] = resnet, None
        for layer in ("relu", *(f"layer{stage}.{(depth - 2) // 6 - 1}.relu" for stage in (1, 2))):
            bases[f"resnet{depth}:{layer}"] = resnet, layer
    set_random_seed(0)
    bases["resnet20, random"] = zoo.resnet20(include_top=False), None
    prep = bases["resnet20"][0].preprocessing
    found = {}
    for name, (base, layer) in bases.items():
        data = photos if name.startswith("squeezenet") else small
        extractor = feature_extractor(base, layer=layer, preprocessing=prep, input_shape=data.shape)
        found[name] = seen(extractor, some(data.train, TRAIN), some(data.open_test(True), TEST))
        print(f"{name}: {found[name][0].shape}", file=sys.stderr)
    return found


def some(part: Part, most: int) -> Part:
    return part.take(np.random.default_rng(0).permutation(len(part))[:most])


def on_cifar(path: Path, options: Any) -> Samples:
    train, test = (cifar10(options.data, part) for part in ("train", "test"))
    prep = pretrained(path, train, options)
    base = zoo.resnet20(weights=path, include_top=False)
    parts = [
        arrays(few.pixels, few.labels, few.names, fractions=(1, 0, 0)).train
        for few in (subset(train, TARGETS, 1000, seed=0), subset(test, TARGETS, 400, seed=0))
    ]
    return seen(feature_extractor(base, preprocessing=prep), *parts)


def seen(extractor: Any, train: Part, test: Part) -> Samples:
    x, test_x = (features(extractor, part, cache=False) for part in (train, test))
    return x, train.labels, test_x, test.labels


def drawn(samples: Samples, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    at = np.random.default_rng(seed).permutation(len(samples[1]))[:count]
    return samples[0][at], samples[1][at]


def right(head: Any, x: np.ndarray, y: np.ndarray, samples: Samples) -> float:
    head.fit(x, y, int(samples[3].max()) + 1)
    return float((head.predict(samples[2]) == samples[3]).mean())


def projected(name: str, samples: Samples, seeds: int) -> list[dict[str, Any]]:
    rows = []
    for count in (50, 200, 1000, len(samples[1])):
        scores = 100 * np.array([
            [right(head, *drawn(samples, count, seed), samples)
             for head in (RidgeHead(), RandomProjectionHead(WIDTH, seed=seed))]
            for seed in range(seeds)
        ])  # fmt: skip
        gains = scores[:, 1] - scores[:, 0]
        row = {"features": name, "D": samples[0].shape[1], "photos": count}
        row |= {"ridge %": float(scores[:, 0].mean()), "projected %": float(scores[:, 1].mean())}
        row |= {"gain": float(gains.mean()), "± paired": half(gains.tolist())}
        rows.append(row)
        print(row, file=sys.stderr)
    return rows


def ordered(found: dict[str, Samples], options: Any) -> list[dict[str, Any]]:
    classes = 10
    truth = [right(RidgeHead(), samples[0], samples[1], samples) for samples in found.values()]
    print(dict(zip(found, truth)), file=sys.stderr)
    scores = {
        "leave-one-out": lambda x, y: RidgeHead().fit(x, y, classes).best.accuracy,
        "LogME": lambda x, y: log_maximum_evidence(x, y, classes),
        "H-score, shrunk": lambda x, y: h_score(x, y, classes),
        "H-score, original": lambda x, y: h_score(x, y, classes, shrinkage=0),
    }
    rows = []
    for count in (100, 300, 1000):
        row: dict[str, Any] = {"photos": count}
        for name, score in scores.items():
            values = [
                float(kendalltau(
                    [score(*drawn(samples, count, seed)) for samples in found.values()], truth
                ).statistic)
                for seed in range(options.seeds)
            ]  # fmt: skip
            row |= {name: float(np.mean(values)), f"{name} ±": half(values)}
        rows.append(row)
        print(row, file=sys.stderr)
    return rows


def parse() -> Any:
    parser = arguments(__doc__)
    parser.add_argument("--data", type=Path, default=SHARED / "data", help="folder of the data")
    parser.add_argument("--weights", type=Path, default=SHARED / "weights", help="of the weights")
    parser.add_argument("--base", type=Path, help="where to keep the base, and find it again")
    parser.add_argument("--pretrain", type=int, default=10, help="epochs of the base")
    parser.add_argument("--pretrain-pictures", type=int, default=25_000)
    parser.add_argument("--seeds", type=int, default=5)
    return parser.parse_args()


if __name__ == "__main__":
    main()
