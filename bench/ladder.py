"""When does tuning pay? The ladder's rungs on validation and on a test part it never sees.

The base is the published ResNet-20 for CIFAR-10. It learns from pictures of CIFAR's *test* part,
which it has not seen, recompressed as JPEG, which costs it ten points ("jpeg"); or made grey and
turned by 90 degrees as well ("turned"). Test pictures are others of the same kind.
"""

from __future__ import annotations

import statistics
import sys
import time
from typing import Any

import numpy as np
import torch
from cifar import NAMES, Pictures, cifar10, subset
from common import SHARED, arguments, report

import stroma
from stroma import zoo
from stroma.core.records_transfer import Rung
from stroma.transfer.wise import accuracy_and_loss


def main() -> None:
    options = parse()
    if options.threads:
        torch.set_num_threads(options.threads)
    pictures = cifar10(options.data, "test")
    for kind in options.kinds:
        rows: dict[str, list[dict[str, float]]] = {}
        for seed in range(options.seeds):
            for name, row in once(pictures, kind, seed, options).items():
                rows.setdefault(name, []).append(row)
                print(f"{kind}  seed {seed}  {name:32} {row}", file=sys.stderr)
        report(
            "ladder",
            {
                "pictures": kind, "a class": options.pictures, "test": options.test,
                "epochs": options.epochs, "seeds": options.seeds,
            },
            [means(name, found) for name, found in rows.items()],
        )  # fmt: skip


def means(name: str, rows: list[dict[str, float]]) -> dict[str, Any]:
    """Means over the seeds, and how far the test figure scatters between them."""
    row: dict[str, Any] = {"road": name}
    row |= {key: statistics.mean(one[key] for one in rows) for key in rows[0]}
    return row | {"test, least": min(r["test"] for r in rows), "most": max(r["test"] for r in rows)}


def once(pictures: Pictures, kind: str, seed: int, options: Any) -> dict[str, dict[str, float]]:
    """The first rung and the one that was chosen, each by validation and by test pictures."""
    pixels = shifted(pictures.pixels) if kind == "turned" else pictures.pixels
    order = np.random.default_rng(seed).permutation(len(pixels))
    kept, pool = order[: options.test], order[options.test :]
    learnt = subset(
        Pictures(pixels[pool], pictures.labels[pool], NAMES), NAMES, options.pictures, seed=seed
    )
    data = learnt.data(seed)
    rows = {}
    for name, budget in (("features + ridge", None), ("ladder", options.budget)):
        began = time.perf_counter()
        base = zoo.resnet20(weights=options.weights / "resnet20-12fca82f.th", include_top=False)
        found = stroma.transfer(base, data, budget=budget, epochs=options.epochs, seed=seed)
        seconds = time.perf_counter() - began
        if budget is not None:
            print(found, file=sys.stderr)
        answers = found.model.predict(pixels[kept], batch_size=250, verbose=0)
        rows[name] = {
            "validation": found.validation.value,
            "test": accuracy_and_loss(answers, pictures.labels[kept])[0],
            "tuned": float(tuned(found.rungs)),
            "seconds": seconds,
        }
    return rows


def tuned(rungs: tuple[Rung, ...]) -> bool:
    return any(rung.chosen and rung.name.startswith("tuned") for rung in rungs)


def shifted(pixels: np.ndarray) -> np.ndarray:
    """Grey, as three equal channels, and turned by 90 degrees."""
    grey = pixels.astype(np.float32).mean(-1, keepdims=True).round().astype(np.uint8)
    return np.ascontiguousarray(np.rot90(np.repeat(grey, 3, axis=-1), axes=(1, 2)))


def parse() -> Any:
    parser = arguments(__doc__)
    parser.add_argument("--data", type=type(SHARED), default=SHARED / "data")
    parser.add_argument("--weights", type=type(SHARED), default=SHARED / "weights")
    parser.add_argument("--kinds", nargs="+", default=["jpeg", "turned"])
    parser.add_argument("--pictures", type=int, default=100, help="of each class")
    parser.add_argument("--test", type=int, default=2000)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--budget", type=float, default=600.0, help="seconds")
    parser.add_argument("--seeds", type=int, default=3)
    return parser.parse_args()


if __name__ == "__main__":
    main()
