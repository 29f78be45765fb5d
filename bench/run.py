"""Run the measurements, keep their lines in results.jsonl, and write the newest into RESULTS.md.

python bench/run.py            the quick ones
python bench/run.py --all      the long ones too (an hour and more)
python bench/run.py --render   only write RESULTS.md again
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

from common import table

HERE = Path(__file__).resolve().parent
LINES, PAGE = HERE / "results.jsonl", HERE / "RESULTS.md"
QUICK = (
    ("small_cnn.py",),
    ("resnet50_train.py", "--network", "resnet18", "--image", "128"),
    ("resnet50_train.py",),
    ("parity_weights.py",),
    ("train.py", "digits"),
    ("recurrent.py",),
)
LONG = (
    ("precision_gain.py",),
    ("train.py", "demo"),
    ("train.py", "imagenette-features", "--seeds", "1"),
    ("train.py", "imagenette", "--seeds", "1"),
    ("train.py", "cifar10", "--seeds", "1"),
)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--all", action="store_true", help="the long ones too")
    parser.add_argument("--render", action="store_true", help="measure nothing")
    options = parser.parse_args()
    failed = []
    for script, *given in () if options.render else QUICK + (LONG if options.all else ()):
        command = [sys.executable, str(HERE / script), *given]
        ended = subprocess.run(command, stdout=subprocess.PIPE, text=True)
        if ended.returncode:
            failed.append(script)
            continue
        with LINES.open("a", encoding="utf-8") as file:
            file.write(ended.stdout)
    if LINES.exists():
        PAGE.write_text(page(LINES.read_text(encoding="utf-8")), encoding="utf-8")
        print(f"written: {PAGE}")
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def page(lines: str) -> str:
    """The newest result of each measurement, with the machine and the command that made it."""
    newest = {}
    for line in lines.splitlines():
        result = json.loads(line)
        newest[result["measurement"], json.dumps(_where(result["settings"]))] = result
    parts = [
        "# Measured",
        "Written by `bench/run.py` from `results.jsonl`; how each is measured stands in README.md.",
    ]
    for result in newest.values():
        machine = ", ".join(
            f"{name} {value}" for name, value in result["machine"].items() if value is not None
        )
        settings = ", ".join(
            f"{name} {value:,.6g}" if isinstance(value, float) else f"{name} {value}"
            for name, value in result["settings"].items() if value is not None
        )  # fmt: skip
        parts += [
            f"## {result['measurement']}",
            table(result["rows"]),
            f"{result['date']} · `python {result['command']}` · {settings} · {machine}",
        ]
    return "\n\n".join(parts) + "\n"


def _where(settings: dict[str, object]) -> dict[str, object]:
    """What makes two results different measurements, rather than one repeated."""
    names = ("image", "batch", "device", "precision", "data", "base")
    return {name: settings.get(name) for name in names}


if __name__ == "__main__":
    raise SystemExit(main())
