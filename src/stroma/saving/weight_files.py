"""Weights alone: `.weights.h5` in Keras' layout, `.safetensors` under PyTorch's names."""

from __future__ import annotations

import io
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save as safetensors_bytes

from stroma.core.errors import ArgumentError
from stroma.network.network import Network
from stroma.saving import archive
from stroma.saving.arrays import arrays_of, load_arrays
from stroma.saving.files import regular_file, sniff
from stroma.saving.hdf5 import StoredArrays, write_hdf5
from stroma.saving.keras_format import require_built, target_path
from stroma.saving.weights import load_fitting, load_into, read_weights
from stroma.saving.whole_safetensors import own_tensors

ENDINGS = (".weights.h5", ".safetensors", ".pth", ".pt")


def save_weights(
    model: Network,
    filepath: str | PathLike[str],
    overwrite: bool = True,
    max_shard_size: float | None = None,
) -> Path:
    """Write a network's weights.

    Args:
        model: A built network.
        filepath: `.weights.h5` in Keras' layout (Keras opens it), `.safetensors`, or `.pth` as
            torch.save writes a `state_dict`.
        overwrite: False: refuse when the file is there.
        max_shard_size: Must be None: one file holds all.
    Raises: ArgumentError: another ending, or the file is there and must stay.
    """
    if max_shard_size is not None:
        raise ArgumentError(
            "weights are saved as one file",
            where="save_weights(max_shard_size=...)",
            why="several files can be whole each and not belong together",
            fix="leave max_shard_size away",
        )
    path = target_path(filepath, ENDINGS, overwrite)
    require_built(model)
    content: bytes | memoryview
    if path.name.endswith(".safetensors"):
        content = safetensors_bytes(own_tensors(model))
    elif path.name.endswith(".h5"):
        content = write_hdf5(arrays_of(model))
    else:
        buffer = io.BytesIO()
        torch.save(dict(model.state_dict()), buffer)
        content = buffer.getbuffer()
    archive.write_file(path, content)
    return path


def load_weights(
    model: Network, filepath: str | PathLike[str], skip_mismatch: bool = False, **options: Any
) -> None:
    """Load weights into a built network, all or none.

    Args:
        model: The network.
        filepath: `.weights.h5`, `.keras` (its weights only), `.safetensors`, or PyTorch's `.pth`.
        skip_mismatch: Pass over layers that differ, and say which in a warning.
        options: `head=`, as `load_into` takes it, for the last two.
    Raises: FileFormatError: the file is damaged or unsafe; WeightsError: it does not fit.
    """
    file = regular_file(filepath)
    require_built(model)
    kind = sniff(file)
    if kind == "hdf5" or file.name.endswith(".keras"):
        if kind == "hdf5":
            content = file.read_bytes()
        else:
            members = archive.read_archive(file)
            if archive.WEIGHTS not in members:
                raise archive.bad(file, f"it has no {archive.WEIGHTS}")
            content = members[archive.WEIGHTS]
        stored = StoredArrays(content, where=str(file))
        load_arrays(model, stored, skip_mismatch=skip_mismatch)
    else:
        weights = read_weights(file)
        if skip_mismatch:
            load_fitting(model, weights, source=str(file))
        else:
            load_into(model, weights, source=str(file), **options)
