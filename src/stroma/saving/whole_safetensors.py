"""A whole network in one `.safetensors` file: weights under PyTorch's names, config in the header.

Whoever knows nothing of stroma reads the weights; stroma rebuilds the network around them. How it
was compiled is not kept.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save as safetensors_bytes
from torch import Tensor

from stroma.core.errors import FileFormatError, GraphError
from stroma.core.weight import values_come_later
from stroma.network.network import Network
from stroma.saving import archive
from stroma.saving.assets import assets_of
from stroma.saving.rebuild import Rebuilder
from stroma.saving.safetensors import MAX_HEADER_BYTES, read_metadata, read_safetensors
from stroma.saving.weights import load_into

ENDING, _KEY = ".safetensors", "stroma"


def write(path: Path, model: Network, described: dict[str, Any], extra: dict[str, Any]) -> Path:
    """Write a network that `described` describes."""
    if kept := assets_of(model):
        raise GraphError(
            f"the network keeps more than weights: {', '.join(kept)}",
            where=str(path),
            why="a .safetensors file holds tensors alone, and the vocabulary would be lost",
            fix="save it as .keras",
        )
    text = json.dumps({"model": described, "extra": extra})
    if len(text) > MAX_HEADER_BYTES // 2:
        raise GraphError(
            f"the network's description has {len(text):,} bytes, too many for a header",
            where=str(path),
            why="readers refuse headers that are larger than they need to be",
            fix="save it as .keras",
        )
    content = safetensors_bytes(own_tensors(model), {"format": "pt", _KEY: text})
    archive.write_file(path, content)
    return path


def load(path: Path, custom_objects: Mapping[str, Any] | None) -> Network:
    """The network in a file that `write` wrote.

    Raises: FileFormatError: it holds weights alone, or a network that cannot be rebuilt.
    """
    text = read_metadata(path).get(_KEY)
    if text is None:
        raise FileFormatError(
            f"{path.name!r} holds weights without a network",
            where=str(path),
            why="only files of model.save(...) say in their header which network they belong to",
            fix="build the network in code, then model.load_weights(FILE)",
        )
    found = archive.read_json(path, "header", text.encode())
    described = found.get("model") if isinstance(found, dict) else None
    weights = read_safetensors(path)
    with values_come_later(sum(tensor.numel() for tensor in weights.values())):
        network = Rebuilder(custom_objects, where=str(path)).layer(described)
    if not isinstance(network, Network):
        raise archive.bad(path, f"it holds a {type(network).__name__}, not a network")
    load_into(network, weights, source=str(path))
    return network


def own_tensors(model: Network) -> dict[str, Tensor]:
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
