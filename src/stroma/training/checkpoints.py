"""Checkpoints: everything that a run needs to go on, in one file that is whole or not there.

A checkpoint is a safetensors file: the tensors, and in its header the plain data as JSON. It is
written under a temporary name in the same folder, flushed to the disk and renamed; its name ends
in the first digits of its SHA-256, so damage shows before anything is loaded. Only then are older
ones removed: the newest two stay.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

from safetensors.torch import load, save
from torch import Tensor

from stroma.core.errors import RunError
from stroma.core.trainability import frozen_names, restore_frozen
from stroma.optimizers import Optimizer
from stroma.training.own_steps import OwnSteps, own_optimizers
from stroma.training.state import State

_NAME = re.compile(r"step-(\d{9})-([0-9a-f]{16})\.safetensors")
KEEP = 2


def snapshot(state: State) -> dict[str, Any]:
    """Everything that must survive, as tensors and plain data."""
    return {
        "model": dict(state.model.state_dict()),
        "frozen": frozen_names(state.model),
        "optimizer": dict(state.optimizer.state_dict()),
        "own_optimizers": _own_snapshot(state),
        "objective": state.objective.state_dict(),
        "seed": state.seed,
        "precision": state.precision,
        "epoch": state.epoch,
        "batch": state.batch,
        "step": state.step,
        "history": {
            "history": state.history.history,
            "epoch": state.history.epoch,
            "seconds": state.history.seconds,
        },
        "callbacks": [
            {"name": type(callback).__name__, "state": callback.state_dict()}
            for callback in state.callbacks
        ],
    }


def restore(state: State, saved: dict[str, Any]) -> None:
    """Put a run back where `snapshot` saw it."""
    state.model.load_state_dict(saved["model"])
    if "frozen" in saved:  # also what a callback froze or thawed on the way
        restore_frozen(state.model, saved["frozen"])
    if _own(state):
        _restore_own(state, saved["own_optimizers"])
    else:
        state.optimizer.build(state.model.parameters())
        state.optimizer.load_state_dict(saved["optimizer"])
    state.objective.load_state_dict(saved["objective"])
    state.seed, state.step = saved["seed"], saved["step"]
    state.epoch, state.batch = saved["epoch"], saved["batch"]
    state.history.history = saved["history"]["history"]
    state.history.epoch = saved["history"]["epoch"]
    state.history.seconds = saved["history"]["seconds"]
    waiting = list(saved["callbacks"])
    for callback in state.callbacks:
        for entry in waiting:
            if entry["name"] == type(callback).__name__:
                callback.load_state_dict(entry["state"])
                waiting.remove(entry)
                break


def _own(state: State) -> dict[str, Optimizer]:
    """The optimizers of a model with steps of its own: the compiled one, and its attributes."""
    if not isinstance(state.objective, OwnSteps):
        return {}
    return {"compiled": state.optimizer, **own_optimizers(state.model)}


def _own_snapshot(state: State) -> dict[str, Any]:
    """What each keeps, and for which parameters: the model's steps decide that, not the loop."""
    names = {id(parameter): name for name, parameter in state.model.named_parameters()}
    return {
        key: {
            "parameters": [names[id(parameter)] for parameter in optimizer.parameters],
            "state": dict(optimizer.state_dict()),
        }
        for key, optimizer in _own(state).items()
    }


def _restore_own(state: State, saved: dict[str, Any]) -> None:
    named = dict(state.model.named_parameters())
    for key, optimizer in _own(state).items():
        optimizer.build([named[name] for name in saved[key]["parameters"]])
        optimizer.load_state_dict(saved[key]["state"])


def write_checkpoint(folder: Path, state: State, keep: int = KEEP) -> Path:
    """Save a run's state in `folder`; older checkpoints but the newest `keep` are removed after."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors: dict[str, Tensor] = {}
    plain = _split(snapshot(state), tensors, "")
    content = save(tensors, metadata={"stroma": json.dumps(plain)})
    digest = hashlib.sha256(content).hexdigest()[:16]
    path = folder / f"step-{state.step:09d}-{digest}.safetensors"
    temporary = folder / f".{path.name}.{os.getpid()}.tmp"
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise RunError(
            f"the checkpoint of step {state.step} could not be written: {error.strerror}",
            where=str(path),
            why=f"it needs {len(content):,} bytes; the checkpoints before it are untouched",
            fix="make room or give another folder, then continue the run",
        ) from error
    _sync_folder(folder)
    for old in checkpoints(folder)[keep:]:
        old.unlink(missing_ok=True)
    for leftover in folder.glob(".step-*.tmp"):
        leftover.unlink(missing_ok=True)
    return path


def checkpoints(folder: Path) -> list[Path]:
    """The checkpoints in a folder, newest step first (by their names, never by the clock)."""
    if not folder.is_dir():
        return []
    found = [(int(m[1]), p) for p in folder.iterdir() if (m := _NAME.fullmatch(p.name))]
    return [path for _, path in sorted(found, key=lambda item: (-item[0], item[1].name))]


def read_newest(folder: Path) -> dict[str, Any] | None:
    """The newest checkpoint that is whole; None when there is none.

    Raises: RunError: there are checkpoints and every one is damaged.
    """
    damaged = []
    for path in checkpoints(folder):
        content = path.read_bytes()
        match = _NAME.fullmatch(path.name)
        if match is None or hashlib.sha256(content).hexdigest()[:16] != match[2]:
            damaged.append(path.name)
            print(f"checkpoint {path.name} is damaged: trying the one before", file=sys.stderr)
            continue
        size = int.from_bytes(content[:8], "little")
        plain = json.loads(content[8 : 8 + size])["__metadata__"]["stroma"]
        restored: dict[str, Any] = _join(json.loads(plain), load(content))
        return restored
    if damaged:
        raise RunError(
            f"every checkpoint is damaged: {', '.join(damaged)}",
            where=str(folder),
            why="their content does not match the hash in their names",
            fix="bring the folder back from a copy, or start a new run",
        )
    return None


def _split(value: Any, tensors: dict[str, Tensor], key: str) -> Any:
    """`value` with each tensor moved to `tensors` and its key left in its place."""
    if isinstance(value, Tensor):
        tensors[key] = value.detach().cpu().contiguous()
        return {"__tensor__": key}
    if isinstance(value, dict):
        return {str(name): _split(item, tensors, f"{key}/{name}") for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_split(item, tensors, f"{key}/{i}") for i, item in enumerate(value)]
    return value


def _join(value: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, dict):
        if set(value) == {"__tensor__"}:
            return tensors[value["__tensor__"]]
        return {name: _join(item, tensors) for name, item in value.items()}
    if isinstance(value, list):
        return [_join(item, tensors) for item in value]
    return value


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # Windows cannot open a folder; its rename is enough
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
