"""Do L2-SP, BSS and Co-Tuning help where photos are few?

5, 10 and 20 photos a class; a ResNet-20 is tuned from a random head (plain) and from the solved one
(LP-FT), with each penalty and without. Two tasks: CIFAR-10's last five classes with a base that has
seen only the other five (made first, `--base` keeps it), and Imagenette's ten at 32 x 32 pixels
with the published weights. The same photos, steps and seeds in every arm; differences are paired.

`--look` tries strengths around the papers' on Imagenette and on seeds of its own, from 100 on; what
did best there over both starts is STRENGTHS.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from cifar import TARGETS, WEIGHTS, Pictures, View, cifar10, half, pretrained, subset
from common import SHARED, arguments, report
from torch import Tensor

from stroma import Model, zoo
from stroma.core.preprocessing import Preprocessing
from stroma.data import arrays, images
from stroma.transfer import L2SP, finetune
from stroma.transfer.forgetting import SecondHead, Targets
from stroma.transfer.penalties import Penalty, Tuning


class BSS(Penalty):
    """Batch spectral shrinkage: η times the smallest squared singular value of a batch (B, D).

    Reference: Chen et al. 2019, "Catastrophic forgetting meets negative transfer", eq. 4 and 5,
        with k = 1 as there.
    """

    def __init__(self, strength: float) -> None:
        self.strength = strength

    def begin(self, tuning: Tuning) -> None:
        """It needs to know nothing."""

    def value(self, features: Tensor) -> Tensor:
        with torch.autocast(features.device.type, enabled=False):
            rows = features.flatten(1).float()
            # of the smaller Gram matrix: finite gradients where singular values meet
            gram = rows @ rows.T if len(rows) <= rows.shape[1] else rows.T @ rows
            return self.strength * torch.linalg.eigvalsh(gram)[:1].clamp_min(0).sum()


class CoTuning(SecondHead):
    """The source's own head learns its mean answer over the training photos of each new class.

    Reference: You et al. 2020, "Co-Tuning for transfer learning", eq. 3, "direct approach".
    """

    def targets(self, tuning: Tuning) -> Targets:
        answers, labels = self.answers(tuning), tuning.train.labels
        means = np.stack([answers[labels == k].mean(0) for k in range(labels.max() + 1)])
        return Targets(soft=means[labels])


MAKERS: dict[str, Callable[[Any, float], Any]] = {
    "L2-SP": lambda head, strength: L2SP(strength),
    "BSS": lambda head, strength: BSS(strength),
    "Co-Tuning": lambda head, strength: CoTuning(head, strength),
}
LOOKED_AT = {  # the papers': 0.1, 0.001, 2.3
    "L2-SP": (0.01, 0.1, 1.0), "BSS": (0.001, 0.01, 0.1), "Co-Tuning": (0.02, 0.07, 0.23, 2.3),
}  # fmt: skip
STRENGTHS = {"L2-SP": 0.01, "BSS": 0.01, "Co-Tuning": 0.02}
STARTS = {"plain": "random", "LP-FT": "ridge"}
Task = tuple[str, Path, Preprocessing | None, Pictures, Pictures]
Right = dict[tuple[str, str], dict[int, list[float]]]  # (start, penalty): photos a class: by seed


def main() -> None:
    options = parse()
    if options.threads:
        torch.set_num_threads(options.threads)
    tried = LOOKED_AT if options.look else {name: (at,) for name, at in STRENGTHS.items()}
    first = 100 if options.look else 0
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for task in tasks(options, options.base or Path(folder) / "base.safetensors"):
            right: Right = {}
            for seed in range(first, first + options.seeds):
                for shots in options.shots:
                    for start, name, strength in arms(tried):
                        accuracy = tuned(task, shots, seed, STARTS[start], name, strength, options)
                        label = f"{name} {strength:g}" if options.look and name else name
                        right.setdefault((start, label), {}).setdefault(shots, []).append(accuracy)
                print(f"{task[0]}: seed {seed}", file=sys.stderr)
                print(*compared(task[0], right), "", sep="\n", file=sys.stderr)
            rows += compared(task[0], right)
    if not options.look:
        settings = {"seeds": options.seeds, "epochs": options.epochs, **STRENGTHS}
        report("few photos", settings, rows)


def tasks(options: Any, base: Path) -> Iterable[Task]:
    photos = images(options.data / "imagenette-mini.zip", size=(32, 32), cache="memory")
    names, train = photos.class_names, photos.train
    own = photos.open_test().take(slice(None, None, max(1, 1500 // options.test)))
    yield (
        "Imagenette", options.weights / WEIGHTS, None,
        Pictures(train.images(), train.labels, names), Pictures(own.images(), own.labels, names),
    )  # fmt: skip
    if options.look:
        return
    cifar, test = (cifar10(options.data, part) for part in ("train", "test"))
    prep = pretrained(base, cifar, options)
    held = subset(test, TARGETS, options.test // len(TARGETS), seed=0)
    pool = subset(cifar, TARGETS, len(cifar.labels), seed=0)
    yield "CIFAR-10's other five", base, prep, pool, held


def arms(tried: dict[str, tuple[float, ...]]) -> Iterable[tuple[str, str, float]]:
    """(start, penalty or "", its strength)."""
    for start in STARTS:
        yield start, "", 0.0
        for name, strengths in tried.items():
            for strength in strengths:
                yield start, name, strength


def tuned(
    task: Task, shots: int, seed: int, head: str, name: str, strength: float, options: Any
) -> float:
    """Test accuracy."""
    _, weights, prep, pool, held = task
    few = subset(pool, pool.names, shots, seed=seed)
    data = arrays(few.pixels, few.labels, few.names, fractions=(1, 0, 0))
    classes = 5 if prep else 10  # of the base's own head
    base = zoo.resnet20(weights=weights, classes=classes)
    extra = MAKERS[name](base.get_layer("linear"), strength) if name else ()
    model: Model = finetune(
        base, data, head=head, layer="avgpool", preprocessing=prep, penalties=extra,
        average=False, in_place=True, augment=View(), batch_size=16, epochs=options.epochs,
        seed=seed,
    ).model  # fmt: skip
    answers = model.predict(held.pixels, batch_size=250, verbose=0)
    return float((answers.argmax(1) == held.labels).mean())


def compared(task: str, right: Right) -> list[dict[str, Any]]:
    """Each penalty beside the same start without it, in points; "all": all numbers of photos."""
    rows = []
    for (start, name), by_shots in right.items():
        row: dict[str, Any] = {"task": task, "start": start, "penalty": name or "none"}
        without, every = right[start, ""], []
        for shots, values in by_shots.items():
            row[f"{shots}: %"] = 100 * float(np.mean(values))
            gains = (100 * (np.array(values) - without[shots])).tolist()
            every += gains
            if name:
                row |= {f"{shots}: gain": float(np.mean(gains)), f"{shots}: ±": half(gains)}
        if name:
            row |= {"all: gain": float(np.mean(every)), "all: ±": half(every)}
        rows.append(row)
    return rows


def parse() -> Any:
    parser = arguments(__doc__)
    parser.add_argument("--data", type=Path, default=SHARED / "data", help="folder of the data")
    parser.add_argument("--weights", type=Path, default=SHARED / "weights", help="of the weights")
    parser.add_argument("--base", type=Path, help="where to keep the base, and find it again")
    parser.add_argument("--pretrain", type=int, default=10, help="epochs of the base")
    parser.add_argument("--pretrain-pictures", type=int, default=25_000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--shots", type=int, nargs="+", default=[5, 10, 20])
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--test", type=int, default=500, help="test pictures of each task")
    parser.add_argument("--look", action="store_true", help="try strengths on other seeds")
    return parser.parse_args()


if __name__ == "__main__":
    main()
