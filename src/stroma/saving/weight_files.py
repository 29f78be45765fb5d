"""Weights alone: `.weights.h5` in Keras' layout, `.safetensors` under PyTorch's names."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any

from safetensors.torch import save as safetensors_bytes
from torch import Tensor

from stroma.core.errors import ArgumentError
from stroma.network.network import Network
from stroma.saving import archive
from stroma.saving.arrays import arrays_of, load_arrays
from stroma.saving.files import regular_file, sniff
from stroma.saving.hdf5 import StoredArrays, write_hdf5
from stroma.saving.keras_format import require_built, target_path
from stroma.saving.weights import load_into, read_weights

ENDINGS = (".weights.h5", ".safetensors")


def save_weights(model: Network, path: str | PathLike[str], overwrite: bool = True) -> Path:
    """Write a network's weights: `.weights.h5` (Keras opens it) or `.safetensors`.

    Raises: ArgumentError: another ending, or the file is there and must stay.
    """
    ending = next((e for e in ENDINGS if str(path).endswith(e)), None)
    if ending is None:
        raise ArgumentError(
            f"weights are saved as {' or '.join(ENDINGS)}, got {Path(path).name!r}",
            where="save_weights(path)",
            why="the ending says the format",
            fix=f"save_weights({Path(path).stem + ENDINGS[0]!r})",
        )
    path = target_path(path, ending, overwrite)
    require_built(model)
    if ending == ".safetensors":
        content = safetensors_bytes(_own_tensors(model))
    else:
        content = write_hdf5(arrays_of(model))
    archive.write_file(path, content)
    return path


def _own_tensors(model: Network) -> dict[str, Tensor]:
    """The `state_dict` without shared memory, which the format does not hold."""
    seen: dict[int, Tensor] = {}
    tensors = {}
    for name, tensor in model.state_dict().items():
        if not isinstance(tensor, Tensor):
            continue
        copied = tensor.detach().cpu().contiguous()
        again = tensor.data_ptr() in seen and tensor.numel() > 0
        tensors[name] = copied.clone() if again else copied
        seen[tensor.data_ptr()] = tensor
    return tensors


def load_weights(model: Network, path: str | PathLike[str], **options: Any) -> None:
    """Load weights into a built network, all or none.

    Args:
        model: The network.
        path: `.weights.h5`, `.keras` (its weights only), `.safetensors`, or PyTorch's `.pth`.
        options: `head=`, as `load_into` takes it, for the last two.
    Raises: FileFormatError: the file is damaged or unsafe; WeightsError: it does not fit.
    """
    file = regular_file(path)
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
        load_arrays(model, StoredArrays(content, where=str(file)))
    else:
        load_into(model, read_weights(file), source=str(file), **options)
