"""`stroma train`, as a user types it, on known data: accuracy and seconds over several seeds.

Each run is a process of its own with an empty cache, so that the seconds are those of a first run:
starting Python, reading the photos, planning, training, testing, the report.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from common import SHARED, arguments, report

PYTHON = [sys.executable, "-m", "stroma"]


@dataclass(frozen=True, kw_only=True)
class Task:
    """What is trained on, with which options, and what it should reach."""

    path: str
    options: tuple[str, ...] = ()
    accuracy: float
    seconds: float


TASKS = {
    "digits": Task(path="digits", accuracy=0.988, seconds=120),
    "demo": Task(path="demo-photos", accuracy=0.90, seconds=120),
    "imagenette": Task(
        path="imagenette-mini.zip", options=("--weights", "none", "--budget", "10m"),
        accuracy=0.76, seconds=660,
    ),
    "imagenette-features": Task(
        path="imagenette-mini.zip", accuracy=0.94, seconds=90,
        options=("--weights", "{weights}/squeezenet1_1-imagenet-fp16.safetensors"),
    ),
    "cifar10": Task(
        path="cifar10-jpeg-train.parquet", options=("--weights", "none", "--budget", "10m"),
        accuracy=0.80, seconds=660,
    ),
}  # fmt: skip


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("task", choices=TASKS)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--data", type=Path, default=SHARED / "data", help="folder of the data")
    parser.add_argument("--weights", type=Path, default=SHARED / "weights", help="of the weights")
    parser.epilog = "Other options are handed on to stroma train."
    options, more = parser.parse_known_args()
    task = TASKS[options.task]
    given = [part.format(weights=options.weights) for part in task.options] + more
    environment = {"OMP_NUM_THREADS": str(options.threads)} if options.threads else {}
    given += ["--device", options.device]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        path = _photos(task.path, options.data, Path(folder))
        for seed in range(options.seeds):
            rows.append({"seed": seed} | _run(path, seed, given, Path(folder), environment))
            print(f"{options.task}: {rows[-1]}", file=sys.stderr)
    rows.append(
        {"seed": "mean"}
        | {key: statistics.fmean(row[key] for row in rows) for key in rows[0] if key != "seed"}
    )
    wanted = {"accuracy wanted": task.accuracy, "seconds wanted": task.seconds}
    said = {"data": task.path, "options": " ".join(given) or "none"}
    report(f"stroma train: {options.task}", said | wanted, rows)


def _photos(name: str, data: Path, folder: Path) -> str:
    """The path to train on; the demo's photos are written first, and their time is not counted."""
    if name == "digits":
        return name
    if name != "demo-photos":
        return str(data / name)
    from stroma.data.demo import write_demo_photos  # needed for this one task

    write_demo_photos(folder / name)
    return str(folder / name)


def _run(
    path: str, seed: int, options: list[str], folder: Path, environment: dict[str, str]
) -> dict[str, float]:
    out = folder / f"run{seed}"
    cache = folder / f"cache{seed}"
    command = [*PYTHON, "train", path, "--seed", str(seed), "--out", str(out), "--json", *options]
    environment = os.environ | {"STROMA_CACHE": str(cache)} | environment
    began = time.perf_counter()
    ended = subprocess.run(command, stdout=subprocess.PIPE, env=environment, check=True)
    seconds = time.perf_counter() - began
    run = json.loads(ended.stdout)
    return (
        {"accuracy": run["headline"]["value"], "seconds": seconds}
        | {f"{stage} s": spent for stage, spent in run["seconds"].items()}
        | {score["name"]: score["value"] for score in run["baselines"]}
    )


if __name__ == "__main__":
    main()
