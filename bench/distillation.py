"""What a student gains by its teacher, over training alone: scikit-learn's digits, several seeds.

(a) No 3 among the student's pictures: recall of 3. (b) 60 labels and 1,200 pictures without.
(c) The same 60 labels and nothing else. About 1.5 minutes with OMP_NUM_THREADS=1 --threads 1.
"""

from __future__ import annotations

import numpy as np
import torch
from common import arguments, report
from scipy.stats import t
from sklearn.datasets import load_digits

from stroma import layers
from stroma.compress import distill
from stroma.core.seeds import set_random_seed
from stroma.losses import SparseCategoricalCrossentropy
from stroma.models import Model
from stroma.optimizers import Adam


def network(units: int, seed: int) -> Model:
    set_random_seed(seed)
    x = layers.Input((64,))
    return Model(x, layers.Dense(10)(layers.Dense(units, activation="relu")(x)))


def accuracy(model: Model, x: np.ndarray, y: np.ndarray) -> float:
    return float((model.predict(x, verbose=0).argmax(1) == y).mean())


def one(seed: int) -> dict[str, tuple[float, float]]:
    """(alone, with the teacher) of each setting."""
    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(y))
    x, y = (x[order] / 16).astype(np.float32), y[order].astype(np.int64)
    x, test_x, y, test_y = x[:1260], x[1260:], y[:1260], y[1260:]
    teacher = network(256, seed)
    teacher.compile(Adam(), SparseCategoricalCrossentropy(from_logits=True))
    teacher.fit(x, y, epochs=30, batch_size=64, verbose=0, seed=seed)
    seen, three = y != 3, test_y == 3
    found = {}
    for name, labelled, more, scored, epochs in (
        ("a: recall of the unseen 3", seen, None, three, (30, 30)),
        ("b: 60 labels, 1200 without", np.arange(len(y)) < 60, x[60:], three | True, (100, 20)),
        ("c: the same 60 labels", np.arange(len(y)) < 60, None, three | True, (100, 100)),
    ):
        figures = []
        for alpha, rounds in zip((0.0, 1.0 if name[0] == "a" else 0.9), epochs):
            student = network(64, seed + 1000)
            distill(
                teacher, student, (x[labelled], y[labelled]), unlabelled=more if alpha else None,
                alpha=alpha, epochs=rounds, optimizer=Adam(0.003), seed=seed,
            )  # fmt: skip
            figures.append(accuracy(student, test_x[scored], test_y[scored]))
        found[name] = (figures[0], figures[1])
    return found


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    runs = [one(seed) for seed in range(options.seeds)]
    rows = []
    for name in runs[0]:
        alone, taught = np.array([run[name] for run in runs]).T
        gain = taught - alone
        half = (
            t.ppf(0.975, max(len(gain) - 1, 1)) * gain.std(ddof=1) / np.sqrt(len(gain))
            if len(gain) > 1
            else float("nan")
        )
        rows.append({
            "setting": name, "alone": round(float(alone.mean()), 3),
            "with teacher": round(float(taught.mean()), 3), "gain": round(float(gain.mean()), 3),
            "95 %": f"{gain.mean() - half:+.3f} to {gain.mean() + half:+.3f}",
        })  # fmt: skip
    report("distillation", {"seeds": options.seeds, "temperature": 4.0}, rows)


if __name__ == "__main__":
    main()
