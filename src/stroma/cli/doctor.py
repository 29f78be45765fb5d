"""`stroma doctor`: what this machine has, in one block that fits a bug report."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Any

import click
import torch

import stroma
from stroma.cli.command import Session, command
from stroma.core.errors import StromaError
from stroma.core.optional import EXTRAS
from stroma.data.cache import cache_root
from stroma.zoo.weights import find_local

_PACKAGES = (
    "torch",
    "numpy",
    "pillow",
    "scikit-learn",
    "h5py",
    "safetensors",
    "click",
    "rich",
    "jinja2",
)


@command("doctor")
@click.option("--json", "as_json", is_flag=True, help="Print the facts as JSON.")
def doctor(session: Session, as_json: bool) -> None:
    """Say what this machine has: versions, devices, threads, disk, caches, optional packages.

    Nothing leaves the machine: copy what you want to share.
    """
    found = examine()
    if as_json:
        session.out.json(found)
        return
    for title, values in found.items():
        session.out.heading(title)
        session.out.facts([(name, _shown(value)) for name, value in values.items()])


def examine() -> dict[str, dict[str, Any]]:
    """Everything `doctor` says, as plain data."""
    return {
        "versions": _versions(),
        "machine": _machine(),
        "device": _device(),
        "disk": _disk(),
        "caches": _caches(),
        "pretrained weights on this machine": _weights(),
        "optional packages": _optional(),
    }


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return "none" if value is None else str(value)


def _versions() -> dict[str, Any]:
    installed = {name: metadata.version(name) for name in _PACKAGES}
    return {"stroma": stroma.__version__, "python": platform.python_version()} | installed


def _machine() -> dict[str, Any]:
    return {
        "system": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "cores this process may use": _usable_cores(),
        "threads used by PyTorch": torch.get_num_threads(),
        "memory": _gigabytes(_memory()),
        "vector instructions": torch.backends.cpu.get_cpu_capability(),
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS"),
        "encoding": f"{sys.stdout.encoding} (files: {sys.getfilesystemencoding()})",
    }


def _usable_cores() -> int | None:
    """Containers and `taskset` give fewer cores than the machine has."""
    affinity = getattr(os, "sched_getaffinity", None)  # Linux only
    return len(affinity(0)) if affinity else os.cpu_count()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _memory() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf
        return None


def _gigabytes(size: int | None) -> str | None:
    return None if size is None else f"{size / 1e9:.1f} GB"


def _device() -> dict[str, Any]:
    cuda = torch.cuda.is_available()
    native = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    found: dict[str, Any] = {
        "cuda": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
        if cuda
        else [],
        "mps": torch.backends.mps.is_available(),
        "bf16 in the processor": bool(native and native()),
        "STROMA_DEVICE": os.environ.get("STROMA_DEVICE"),
    }
    if cuda:
        found["bf16 on the GPU"] = torch.cuda.is_bf16_supported()
    return found


def _disk() -> dict[str, Any]:
    places = {"here": Path.cwd(), "temporary files": Path(tempfile.gettempdir())}
    if Path("/dev/shm").is_dir():
        places["shared memory (/dev/shm)"] = Path("/dev/shm")
    return {name: f"{_gigabytes(shutil.disk_usage(p).free)} free" for name, p in places.items()}


def _caches() -> dict[str, Any]:
    """Where decoded pictures and weights may already be."""
    home = Path.home()
    hub = os.environ.get("HF_HOME") or home / ".cache" / "huggingface"
    places = {
        "stroma": cache_root(),
        "STROMA_WEIGHTS": os.environ.get("STROMA_WEIGHTS"),
        "torch hub": Path(torch.hub.get_dir()) / "checkpoints",
        "hugging face": Path(hub) / "hub",
        "keras": home / ".keras" / "models",
    }
    return {name: _contents(Path(place)) if place else None for name, place in places.items()}


def _weights() -> dict[str, Any]:
    try:
        found = find_local()
    except StromaError as error:  # a wrong setting is for the report, not the end of it
        return {"not looked for": error.what}
    return {f.entry.name: str(f.path) for f in found if f.entry} or {"none": "in those places"}


def _contents(folder: Path) -> str:
    try:
        count = sum(1 for _ in folder.iterdir())
    except OSError:
        return f"{folder} (not there)"
    return f"{folder} ({count:,} entries)"


def _optional() -> dict[str, Any]:
    found = {}
    for module, (extra, purpose) in EXTRAS.items():
        if "." in module:
            continue
        try:
            found[module] = metadata.version(module)
        except metadata.PackageNotFoundError:
            found[module] = f"missing: pip install 'stroma[{extra}]' for {purpose}"
    return found
