"""What every measurement shares: contestants in turn, medians, one JSON line and one table."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

import stroma

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"


def arguments(description: str | None) -> argparse.ArgumentParser:
    """A parser with what all measurements take."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--threads", type=int, default=0, help="of torch; 0 leaves its choice")
    return parser


def in_turn(
    contestants: dict[str, Callable[[], object]], rounds: int, *, warmup: int, device: torch.device
) -> dict[str, list[float]]:
    """Seconds of each call, the contestants taking turns: A B A B, so that all meet the same noise.

    Args:
        contestants: Name to what is timed.
        rounds: Timed calls of each; `warmup` calls of each come before them.
        device: What is waited for, where it works on its own.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for number in range(warmup + rounds):
        for name, run in contestants.items():
            began = time.perf_counter()
            run()
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            if number >= warmup:
                seconds[name].append(time.perf_counter() - began)
    return seconds


def compared(seconds: dict[str, list[float]], per: float = 1.0) -> dict[str, dict[str, float]]:
    """Median and best milliseconds of each, and its ratio to the first.

    The ratio is the median of the ratios round by round: neighbours in time share their noise.

    Args:
        seconds: As `in_turn` gives them; the first is the yardstick.
        per: Steps in one timed call.
    """
    first = next(iter(seconds.values()))
    return {
        name: {
            "median_ms": 1e3 * statistics.median(values) / per,
            "best_ms": 1e3 * min(values) / per,
            "ratio": statistics.median(mine / theirs for mine, theirs in zip(values, first)),
        }
        for name, values in seconds.items()
    }


def report(measurement: str, settings: dict[str, Any], rows: Sequence[dict[str, Any]]) -> None:
    """A table for people on stderr, one line of JSON for `bench/results.jsonl` on stdout."""
    print(f"\n{measurement}  {_said(settings)}\n{table(rows)}\n", file=sys.stderr)
    line = {
        "measurement": measurement,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": " ".join([f"bench/{Path(sys.argv[0]).name}", *sys.argv[1:]]),
        "machine": machine(),
        "settings": settings,
        "rows": list(rows),
    }
    print(json.dumps(line), flush=True)


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Rows as a Markdown table; columns in the order in which they first appear."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    cells = [columns, *([_cell(row.get(column)) for column in columns] for row in rows)]
    widths = [max(len(line[at]) for line in cells) for at in range(len(columns))]
    lines = ["| " + " | ".join(c.ljust(w) for c, w in zip(line, widths)) + " |" for line in cells]
    return "\n".join([lines[0], "|" + "|".join("-" * (w + 2) for w in widths) + "|", *lines[1:]])


def machine() -> dict[str, Any]:
    """Where a figure comes from: without it the figure means nothing."""
    cuda = torch.cuda.is_available()
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
        "gpu": torch.cuda.get_device_name() if cuda else None,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "stroma": stroma.__version__,
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _said(settings: dict[str, Any]) -> str:
    return ", ".join(f"{key} {_cell(value)}" for key, value in settings.items())


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.3f}" if abs(value) < 10 else f"{value:,.1f}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
