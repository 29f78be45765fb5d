"""What stroma adds to `import torch`, each in a fresh interpreter, medians over rounds.

Goals (issue 2): `import stroma` with layers and models at most 0.3 s over `import torch`, the
summary of the simple CNN of the design at most 1.3 s over it, of which torch's own first operation
on the meta device takes most: it is measured beside.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import report

BUILD = """
from stroma import layers, models
model = models.Sequential()
model.add(layers.Conv2D(filters=32, kernel_size=(3, 3), strides=(1, 1), padding="same",
                        activation="relu", input_shape=(224, 224, 3)))
model.add(layers.MaxPooling2D(pool_size=(2, 2)))
model.add(layers.Flatten())
model.add(layers.Dense(128, activation="relu"))
model.add(layers.Dense(10, activation="softmax"))
"""
BASE = "import torch"
PROGRAMS = {  # what, program, most seconds over `import torch`
    BASE: (BASE, None),
    "first meta operation of torch": (
        "import torch; torch.relu(torch.empty(2, device='meta'))",
        None,
    ),
    "import stroma": ("import torch, stroma", 0.3),
    "import layers and models": ("import torch, stroma.layers, stroma.models", 0.3),
    "build and summary of the simple CNN": (f"import torch{BUILD}model.summary()", 1.3),
    "stroma summary simple.keras": (
        "import torch; from stroma.cli.main import main; main(['summary', {file!r}])",
        1.3,
    ),
    "stroma --help": ("from stroma.cli.main import main; main(['--help'])", None),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder, "simple.keras"))
        run(f"{BUILD}model.save({file!r})")  # this also writes the .pyc files
        programs = {
            name: (program.replace("{file!r}", repr(file)), goal)
            for name, (program, goal) in PROGRAMS.items()
        }
        seconds: dict[str, list[float]] = {name: [] for name in programs}
        for warm in (True, *[False] * options.rounds):
            for name, (program, _) in programs.items():
                took = run(program)
                if not warm:
                    seconds[name].append(took)
    rows = [
        {
            "what": name,
            "seconds": statistics.median(seconds[name]),
            "over import torch": statistics.median(
                mine - base for mine, base in zip(seconds[name], seconds[BASE], strict=True)
            ),
            "goal": goal,
        }
        for name, (_, goal) in programs.items()
    ]
    report("import_time", {"rounds": options.rounds}, rows)


def run(program: str) -> float:
    """Seconds that a fresh interpreter takes for it."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
