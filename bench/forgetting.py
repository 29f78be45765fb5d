"""What a network forgets when it learns something new, and what keeps it from forgetting.

A ResNet-20 that knows CIFAR-10's ten classes (the published weights) is tuned to ten classes of
Imagenette at 32 x 32 pixels, 20 photos each; its old head is left as it is. Every arm begins at the
solved head and takes the same steps; what differs is what holds it to the past. "old %" is what
the old head still gets right on CIFAR-10's test part, "new %" the accuracy on Imagenette's `val`.

Strengths are the methods' own usual ones, looked at once on seed 100, which is not among those
reported. EWC and replay need old photos (200 of CIFAR-10's training part), LwF, L2-SP and averaging
need none.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from cifar import cifar10, half, subset
from common import SHARED, arguments, report

from stroma import Model, zoo
from stroma.data import ImageData, Part, arrays, images
from stroma.transfer import EWC, L2SP, Finetuned, LwF, Replay, finetune

WEIGHTS = "resnet20-12fca82f.th"


def main() -> None:
    options = parse()
    if options.threads:
        torch.set_num_threads(options.threads)
    test = cifar10(options.data, "test")
    old_test = subset(test, test.names, options.test // 10, seed=0)
    photos = images(options.data / "imagenette-mini.zip", size=(32, 32))
    new_test = photos.open_test().take(slice(None, None, max(1, 1500 // options.test)))
    rows = cifar10(options.data, "train")
    results: dict[str, list[tuple[float, float, float]]] = {}
    for seed in range(options.first, options.first + options.seeds):
        data = some_of(photos, options.photos, seed)
        memory = subset(rows, rows.names, 20, seed=seed)
        old = arrays(memory.pixels, memory.labels, rows.names, fractions=(1, 0, 0)).train
        base = known(options)
        answers = [correct(base, old_test.pixels, old_test.labels), float("nan"), 0.0]
        results.setdefault("before", []).append(tuple(answers))
        for name, arm in arms(old, options.epochs, seed).items():
            base, began = known(options), time.perf_counter()
            model = arm(base, data).model
            seconds = time.perf_counter() - began
            before = correct(base, old_test.pixels, old_test.labels)
            after = correct(model, new_test.images(), new_test.labels)
            results.setdefault(name, []).append((before, after, seconds))
            print(f"seed {seed}  {name:20} old {before:.3f}  new {after:.3f}  {seconds:.0f} s",
                  file=sys.stderr)  # fmt: skip
    report("forgetting", {"photos a class": options.photos, "seeds": options.seeds,
                          "epochs": options.epochs}, table(results))  # fmt: skip


def known(options: Any) -> Model:
    return zoo.resnet20(weights=options.weights / WEIGHTS)


def arms(old: Part, epochs: int, seed: int) -> dict[str, Callable[[Model, ImageData], Finetuned]]:
    """Each way to learn the new classes; what is given to `penalties` is made for its base."""

    def tuned(make: Callable[[Any], Any] | None = None, **how: Any) -> Any:
        settings = {"average": False, "rate_decay": 1.0, "epochs": epochs, "seed": seed} | how

        def run(base: Model, data: ImageData) -> Finetuned:
            extra = [] if make is None else [make(base.get_layer("linear"))]
            return finetune(base, data, layer="avgpool", penalties=extra, in_place=True, **settings)

        return run

    return {
        "plain, BatchNorm too": tuned(head="random", batch_normalization=True),
        "plain": tuned(head="random"),
        "LP-FT": tuned(),
        "LP-FT, rates by stage": tuned(rate_decay=1 / 2.6),
        "LP-FT, averaged": tuned(average=True),
        "L2-SP": tuned(lambda head: L2SP(0.1)),
        "EWC": tuned(lambda head: EWC(head, old, strength=300.0)),
        "LwF": tuned(lambda head: LwF(head, strength=1.0)),
        "replay": tuned(lambda head: Replay(head, old)),
    }


def some_of(photos: ImageData, each: int, seed: int) -> ImageData:
    """`each` photos of each class to learn from, and as many again to choose the average on."""
    part, rng = photos.train, np.random.default_rng(seed)
    rows = [rng.permutation(np.flatnonzero(part.labels == k))[: 2 * each] for k in range(10)]
    chosen = np.concatenate(rows)
    return arrays(part.images(chosen), part.labels[chosen], photos.class_names, seed=seed,
                  fractions=(0.5, 0.5, 0.0))  # fmt: skip


def correct(model: Model, pixels: np.ndarray, labels: np.ndarray) -> float:
    """Share that is right; a bare base is given what its weights want of pixels."""
    if (prep := getattr(model, "preprocessing", None)) is not None:
        pixels = prep(pixels).numpy()
    answers = model.predict(pixels, batch_size=250, verbose=0)
    return float((answers.argmax(1) == labels).mean())


def table(results: dict[str, list[tuple[float, float, float]]]) -> list[dict[str, Any]]:
    """Means over seeds with 95 % intervals, and what each arm has over LP-FT, seed by seed."""
    rows = []
    for name, runs in results.items():
        old, new, seconds = (100 * np.array(values) for values in zip(*runs))
        row = {"arm": name, "old %": float(old.mean()), "± old": half(old.tolist())}
        if name != "before":
            row |= {"new %": float(new.mean()), "± new": half(new.tolist())}
        if name not in ("before", "LP-FT"):
            base_old, base_new, _ = (100 * np.array(values) for values in zip(*results["LP-FT"]))
            for kind, gains in (("old", old - base_old), ("new", new - base_new)):
                row |= {f"{kind} over LP-FT": float(gains.mean()), f"± {kind}, paired":
                        half(gains.tolist())}  # fmt: skip
        rows.append(row | {"seconds": float(np.median(seconds)) / 100})
    return rows


def parse() -> Any:
    parser = arguments(__doc__)
    parser.add_argument("--data", type=Path, default=SHARED / "data", help="folder of the data")
    parser.add_argument("--weights", type=Path, default=SHARED / "weights", help="of the weights")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first", type=int, default=0, help="number of the first seed")
    parser.add_argument("--photos", type=int, default=20, help="a class, to learn from")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--test", type=int, default=1000, help="test pictures of each kind")
    return parser.parse_args()


if __name__ == "__main__":
    main()
