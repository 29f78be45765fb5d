"""Five classes of CIFAR-10, 50 pictures each: what do pretrained weights and a solved head give?

A ResNet-20 is trained from scratch, probed (features once, ridge), tuned from a random head (plain
fine-tuning), and tuned from the solved head (LP-FT), with and without averaging (WiSE-FT), on the
same pictures in every arm: 40 a class to learn, 10 a class to choose the average. Test pictures are
others, from CIFAR's own test part.

By default the weights are the published ones, *which have seen all ten classes*: the figures say
how well what is known survives tuning, not how well it transfers. `--pretrain` makes the honest
base: a ResNet-20 that has only seen the other five classes.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from cifar import TARGETS, View, cifar10, half, pretrained, subset
from common import SHARED, arguments, report

from stroma import Model, layers, zoo
from stroma.core.preprocessing import Preprocessing
from stroma.core.seeds import set_random_seed
from stroma.data import ImageData
from stroma.models import fit
from stroma.transfer import RidgeHead, feature_extractor, features, finetune, with_head
from stroma.transfer.wise import accuracy_and_loss


def main() -> None:
    options = parse()
    if options.threads:
        torch.set_num_threads(options.threads)
    train, test = (cifar10(options.data, part) for part in ("train", "test"))
    first, prep = options.weights / "resnet20-12fca82f.th", None
    with tempfile.TemporaryDirectory() as folder:
        if options.pretrain:
            first = options.base or Path(folder) / "base.safetensors"
            prep = pretrained(first, train, options)
        kept = subset(test, TARGETS, options.test // len(TARGETS), seed=0)
        results: dict[str, list[tuple[float, float]]] = {}
        for seed in range(options.seeds):
            pictures = subset(train, TARGETS, options.pictures, seed=seed)
            data = pictures.data(seed)
            for name, arm in arms(first, prep, options.epochs, seed).items():
                began = time.perf_counter()
                model = arm(data)
                seconds = time.perf_counter() - began
                answers = model.predict(kept.pixels, batch_size=250, verbose=0)
                accuracy = accuracy_and_loss(answers, kept.labels)[0]
                results.setdefault(name, []).append((accuracy, seconds))
                print(f"seed {seed}  {name:24} {accuracy:.3f}  {seconds:.1f} s", file=sys.stderr)
    report(
        "transfer_cifar",
        {"base": (
            f"{options.pretrain_pictures} pictures of the other five classes, "
            f"{options.pretrain} epochs"
            if options.pretrain else "published, all ten classes seen"
         ),
         "pictures a class": options.pictures, "test": len(kept.labels), "seeds": options.seeds},
        table(results),
    )  # fmt: skip


def arms(
    weights: Path, prep: Preprocessing | None, epochs: int, seed: int
) -> dict[str, Callable[[ImageData], Model]]:
    """Each way to a classifier of pictures 0 to 255; every one makes its own base."""

    def base() -> Model:
        model = zoo.resnet20(weights=weights, include_top=False)
        return model

    def tuned(**how: Any) -> Callable[[ImageData], Model]:
        return lambda data: (
            finetune(
                base(), data, preprocessing=prep, epochs=epochs, seed=seed, augment=[View()], **how
            ).model
        )

    return {
        "from scratch": lambda data: scratch(data, base().preprocessing, 3 * epochs, seed),
        "features + ridge": lambda data: probed(base(), prep, data),
        "plain fine-tuning": tuned(head="random", average=False),
        "LP-FT": tuned(average=False),
        "LP-FT, averaged": tuned(),
    }


def scratch(data: ImageData, prep: Preprocessing, epochs: int, seed: int) -> Model:
    """Everything learns from random weights, on the same views of the same pictures."""
    set_random_seed(seed)
    base = feature_extractor(zoo.resnet20(include_top=False), preprocessing=prep)
    head = layers.Dense(len(data.class_names), activation="softmax", name="head")
    model = with_head(base, [head])
    inputs = layers.Input(model.input_shape[1:])
    seen = Model(inputs, model(View()(inputs)))
    fit(seen, data.train, loss="sparse_categorical_crossentropy", optimizer="adamw",
        epochs=epochs, batch_size=32, seed=seed, verbose=0)  # fmt: skip
    return model


def probed(base: Model, prep: Preprocessing | None, data: ImageData) -> Model:
    extractor = feature_extractor(base, preprocessing=prep)
    found = features(extractor, data.train, cache=False)
    head = RidgeHead().fit(found, data.train.labels, len(data.class_names))
    return with_head(extractor, head.as_layers())


def table(results: dict[str, list[tuple[float, float]]]) -> list[dict[str, Any]]:
    """Mean, 95 % interval over seeds (Student's t), and the paired gain over plain fine-tuning."""
    plain = [accuracy for accuracy, _ in results["plain fine-tuning"]]
    rows = []
    for name, runs in results.items():
        values = [accuracy for accuracy, _ in runs]
        gains = [mine - its for mine, its in zip(values, plain)]
        rows.append({
            "arm": name,
            "accuracy %": 100 * statistics.mean(values),
            "± 95 %": 100 * half(values),
            "over plain, points": 100 * statistics.mean(gains),
            "± paired": 100 * half(gains),
            "seconds": statistics.median(seconds for _, seconds in runs),
        })  # fmt: skip
    return rows


def parse() -> Any:
    parser = arguments(__doc__)
    parser.add_argument("--data", type=Path, default=SHARED / "data", help="folder of the data")
    parser.add_argument("--weights", type=Path, default=SHARED / "weights", help="of the weights")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--pictures", type=int, default=50, help="a class, to learn and choose")
    parser.add_argument("--epochs", type=int, default=10, help="of tuning; scratch gets 3 times")
    parser.add_argument("--test", type=int, default=1000, help="test pictures")
    parser.add_argument("--pretrain", type=int, default=0, metavar="EPOCHS",
                        help="pretrain on the other five classes for so many epochs")  # fmt: skip
    parser.add_argument("--pretrain-pictures", type=int, default=25_000, help="at most 25,000")
    parser.add_argument("--base", type=Path, help="where to keep that base, and find it again")
    return parser.parse_args()


if __name__ == "__main__":
    main()
