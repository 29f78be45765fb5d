"""LSTM and GRU in training: stroma, Keras on every backend that is there, torch's own module.

One layer of 128 units over 32 sequences of 100 steps and 128 features, its last output into one
number, SGD, float32: `fit` on batches from memory, plain and with a `Masking` layer before it
(sequences padded on the right, 20 to 100 steps long). Keras has one backend a process, so every
contestant is a process of its own, and they take turns. `--keras PYTHON` names an interpreter that
has Keras with TensorFlow and JAX; this one's Keras runs on torch.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

UNITS, STEPS, BATCH = 128, 100, 32
BACKENDS = ("torch", "tensorflow", "jax")


def main() -> None:
    options = parse()
    if options.worker:
        work(options)
        return
    from common import compared, report  # a worker under another interpreter has no stroma

    for cell in options.cells.split(","):
        for masked in (False, True):
            seconds, left_out = race(options, cell, masked)
            rows = [
                {"who": name, "sequences/s": 1e3 * BATCH / figures["median_ms"], **figures}
                for name, figures in compared(seconds, per=options.steps).items()
            ]
            peers = [row["sequences/s"] for row in rows if row["who"].startswith("keras")]
            settings = {
                "batch": BATCH, "time": STEPS, "units": UNITS, "threads": options.threads,
                "rounds": options.rounds, "steps": options.steps, "left out": left_out or None,
                "stroma over the fastest Keras": rows[0]["sequences/s"] / max(peers)
                if peers else None,
            }  # fmt: skip
            report(f"{cell} training, {'masked' if masked else 'unmasked'}", settings, rows)


def race(
    options: argparse.Namespace, cell: str, masked: bool
) -> tuple[dict[str, list[float]], str]:
    """Seconds of each contestant, in turn; and who could not start."""
    contestants = {"stroma": sys.executable, "torch by hand": sys.executable}
    for backend in BACKENDS:
        python = sys.executable if backend == "torch" else options.keras
        if python:
            contestants[f"keras on {backend}"] = python
    if masked:
        del contestants["torch by hand"]
    seconds: dict[str, list[float]] = {}
    with ExitStack() as stack:
        workers = {}
        for who, python in contestants.items():
            worker = stack.enter_context(started(who, python, cell, masked, options))
            if worker.stdout is not None and worker.stdout.readline().strip() == "ready":
                workers[who], seconds[who] = worker, []
        for number in range(options.rounds + 1):
            for who, worker in workers.items():
                took = ask(worker, options.steps)
                if number:  # the first is a warm-up
                    seconds[who].append(took)
        for worker in workers.values():
            assert worker.stdin is not None
            worker.stdin.close()
    if "stroma" not in seconds:
        raise SystemExit("stroma could not start: see above")
    return seconds, ", ".join(who for who in contestants if who not in seconds)


def started(
    who: str, python: str, cell: str, masked: bool, options: argparse.Namespace
) -> subprocess.Popen[str]:
    """A contestant, building its model."""
    threads = str(options.threads)
    environment = {
        **os.environ, "KERAS_BACKEND": who.rpartition(" ")[2], "OMP_NUM_THREADS": threads,
        "TF_NUM_INTRAOP_THREADS": threads, "TF_CPP_MIN_LOG_LEVEL": "3",
    }  # fmt: skip
    command = [python, str(Path(__file__).resolve()), "--worker", who, "--cells", cell]
    return subprocess.Popen(
        [*command, "--threads", threads, *(["--masked"] if masked else [])],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip


def ask(worker: subprocess.Popen[str], steps: int) -> float:
    """Seconds that a contestant takes for so many steps."""
    assert worker.stdin is not None and worker.stdout is not None
    print(steps, file=worker.stdin, flush=True)
    return float(worker.stdout.readline())


# In a contestant's process


def work(options: argparse.Namespace) -> None:
    """Answer each number of steps with the seconds they take."""
    answers = sys.stdout
    sys.stdout = sys.stderr  # what libraries print is no answer
    x, y = sequences(options.masked)
    if options.worker == "torch by hand":
        train = by_hand(options.cells, options.threads)
    else:
        train = with_fit(options)
    train(x, y)
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        many = int(line)
        repeated = np.tile(x, (many, 1, 1)), np.tile(y, (many, 1))
        began = time.perf_counter()
        train(*repeated)
        print(time.perf_counter() - began, file=answers, flush=True)


def sequences(masked: bool) -> tuple[np.ndarray, np.ndarray]:
    """A batch of sequences and a number for each; masked steps are zeros at the end."""
    draw = np.random.default_rng(0)
    x = draw.standard_normal((BATCH, STEPS, UNITS), dtype=np.float32)
    if masked:
        lengths = draw.integers(STEPS // 5, STEPS + 1, BATCH)
        x[np.arange(STEPS) >= lengths[:, None]] = 0
    return x, draw.standard_normal((BATCH, 1), dtype=np.float32)


def with_fit(options: argparse.Namespace) -> Callable[[np.ndarray, np.ndarray], Any]:
    """`Model.fit` for one epoch: the same lines for stroma and for Keras."""
    if options.worker == "stroma" or options.worker.endswith("torch"):
        import torch

        torch.set_num_threads(options.threads)
    if options.worker == "stroma":
        import stroma as keras
    else:
        import keras

    entry = [keras.layers.Input((STEPS, UNITS))]
    masking = [keras.layers.Masking()] if options.masked else []
    recurrent = getattr(keras.layers, options.cells)(UNITS)
    model = keras.models.Sequential([*entry, *masking, recurrent, keras.layers.Dense(1)])
    own = {"precision": "float32"} if options.worker == "stroma" else {}
    model.compile(optimizer="sgd", loss="mse", **own)
    return lambda x, y: model.fit(x, y, batch_size=BATCH, shuffle=False, verbose=0)


def by_hand(cell: str, threads: int) -> Callable[[np.ndarray, np.ndarray], Any]:
    """torch's own module in a plain loop."""
    import torch

    torch.set_num_threads(threads)
    recurrent = getattr(torch.nn, cell)(UNITS, UNITS, batch_first=True)
    head = torch.nn.Linear(UNITS, 1)
    parameters = [*recurrent.parameters(), *head.parameters()]
    optimizer = torch.optim.SGD(parameters, lr=0.01)

    def train(x: np.ndarray, y: np.ndarray) -> None:
        for start in range(0, len(x), BATCH):
            rows = slice(start, start + BATCH)
            outputs, _ = recurrent(torch.from_numpy(x[rows]))
            loss = ((head(outputs[:, -1]) - torch.from_numpy(y[rows])) ** 2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return train


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cells", default="LSTM,GRU", help="which, between commas")
    parser.add_argument("--rounds", type=int, default=7, help="timed turns of each")
    parser.add_argument("--steps", type=int, default=5, help="batches a turn")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--keras", default="", help="Python with Keras on TensorFlow and JAX")
    parser.add_argument("--worker", default="", help=argparse.SUPPRESS)
    parser.add_argument("--masked", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
