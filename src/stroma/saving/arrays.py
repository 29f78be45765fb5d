"""Where each weight of a network stands in Keras' weight files, and getting it there and back."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from stroma.core.config import Configurable
from stroma.core.errors import WeightsError
from stroma.core.inputs import InputLayer
from stroma.core.layer import Layer
from stroma.core.names import snake_case
from stroma.core.tracking import TrackedDict, TrackedList
from stroma.layers.torch_module import TorchModuleWrapper
from stroma.network.network import Network
from stroma.saving.hdf5 import Arrays, StoredArrays
from stroma.saving.vocabulary import class_name
from stroma.saving.weights import warn_skipped

Order = Callable[[Network], list[Layer]]


def ordered_layers(network: Network) -> list[Layer]:
    """Its layers in the order in which Keras numbers their arrays in a weight file."""
    return [layer for layer in network.layers if not isinstance(layer, InputLayer)]


_SHOWN = 5
_NOT_STORED = "num_batches_tracked"  # PyTorch's count; Keras has none


class Place(NamedTuple):
    """One group of a weight file: its path, the name noted on it, and its tensors in order."""

    path: str
    name: str
    tensors: list[Tensor]
    layer: Layer | None = None  # None: a torch module


def places(network: Layer, order: Order = ordered_layers) -> Iterator[Place]:
    """The groups of a network's weight file, each layer once, where Keras would first meet it."""
    yield from _walk(network, "", order, set())


def _walk(layer: nn.Module, path: str, order: Order, seen: set[int]) -> Iterator[Place]:
    if id(layer) in seen:
        return
    seen.add(id(layer))
    if not isinstance(layer, Layer):
        tensors = [t for key, t in _state(layer).items() if not key.endswith(_NOT_STORED)]
        yield Place(path, path.rsplit("/", 1)[-1], tensors)
        return
    yield Place(path, layer.name, own_tensors(layer), layer)
    if isinstance(layer, TorchModuleWrapper):  # all of its module counts as its own
        return
    members: dict[str, Any] = {
        name: child for name, child in layer._modules.items() if child is not None
    }
    if isinstance(layer, Network):
        graph = layer._is_graph or hasattr(layer, "_stack")
        listed = order(layer)
        if graph:
            yield from _walk_list(listed, _join(path, "layers"), order, seen)
            return
        members["layers"] = listed  # of a subclass Keras meets `layers` among the attributes
    names: dict[str, str] = getattr(layer, "names_in_files", {})
    members = {names.get(name, name): child for name, child in members.items()}
    for name in sorted(members, key=lambda name: f"~{name}" if name.startswith("_") else name):
        child = members[name]
        if isinstance(child, (TrackedList, TrackedDict, list)):
            items = child.values() if isinstance(child, TrackedDict) else child
            yield from _walk_list(list(items), _join(path, name), order, seen)
        else:
            yield from _walk(child, _join(path, name), order, seen)


def _walk_list(items: list[Any], path: str, order: Order, seen: set[int]) -> Iterator[Place]:
    counts: dict[str, int] = {}
    for item in items:
        nested = isinstance(item, (TrackedList, TrackedDict))
        if not isinstance(item, nn.Module):
            continue
        known_as = getattr(item, "class_in_files", "") or class_name(type(item))
        base = "container" if nested else snake_case(known_as)
        counts[base] = counts.get(base, -1) + 1
        inner = _join(path, f"{base}_{counts[base]}" if counts[base] else base)
        if isinstance(item, (TrackedList, TrackedDict)):
            members = list(item.values()) if isinstance(item, TrackedDict) else list(item)
            yield from _walk_list(members, inner, order, seen)
        else:
            yield from _walk(item, inner, order, seen)


def _join(path: str, name: str) -> str:
    return f"{path}/{name}" if path else name


def _state(module: nn.Module) -> dict[str, Tensor]:
    state = module.state_dict(keep_vars=True)
    return {key: value for key, value in state.items() if isinstance(value, Tensor)}


def own_tensors(layer: Layer) -> list[Tensor]:
    """The layer's weights in Keras' order, then parameters that it holds in torch's own way."""
    own: list[Tensor] = list(layer.own_weights())
    known = {id(tensor) for tensor in own}
    hidden = layer._non_persistent_buffers_set | {_NOT_STORED}
    for key, tensor in (*layer._parameters.items(), *layer._buffers.items()):
        if tensor is not None and id(tensor) not in known and key not in hidden:
            own.append(tensor)
    return own


def keras_view(tensor: Tensor) -> Tensor:
    """The numbers with their axes in Keras' order."""
    permutation = getattr(getattr(tensor, "spec", None), "permutation", None)
    return tensor.detach() if permutation is None else tensor.detach().permute(permutation)


def as_array(tensor: Tensor) -> np.ndarray:
    """The Keras view as NumPy's; HDF5 has no bfloat16, float32 holds it exactly."""
    view = keras_view(tensor).cpu()
    return (view.float() if view.dtype is torch.bfloat16 else view).contiguous().numpy()


def arrays_of(network: Layer) -> dict[str, tuple[str, Arrays]]:
    """Every group that holds something, for `write_hdf5`."""
    return {
        place.path: (place.name, named or [as_array(tensor) for tensor in place.tensors])
        for place in places(network)
        if (named := named_arrays(place)) or place.tensors or not place.path
    }


def named_arrays(place: Place) -> dict[str, np.ndarray]:
    """Arrays that a layer keeps by names, as it has no weights for them."""
    arrays: dict[str, np.ndarray] = getattr(place.layer, "named_arrays", dict)()
    return arrays


def load_arrays(
    network: Layer,
    stored: StoredArrays,
    order: Order = ordered_layers,
    *,
    skip_mismatch: bool = False,
) -> None:
    """Copy all arrays into the network's weights, or none.

    Args:
        network: Where they go.
        stored: Where they are.
        order: Gives the layers of a network as the file numbers them.
        skip_mismatch: Pass over the layers that differ, with a warning that names them.
    Raises: WeightsError: an array is missing, left over, or of another shape.
    """
    found = list(places(network, order))
    wanted = {
        _join(place.path, f"vars/{index}"): tensor
        for place in found
        for index, tensor in enumerate(place.tensors)
    }
    kept = {
        _join(place.path, f"vars/{name}")
        for place in found
        for name in getattr(place.layer, "ARRAYS", ())
    }
    wrong = _differing(network, stored, wanted, kept)
    if wrong and not skip_mismatch:
        raise _do_not_fit(wrong, stored.where)
    if wrong:
        warn_skipped(wrong, stored.where)
        bad = {path.rpartition("/vars/")[0] for path in wrong}
        wanted = {p: t for p, t in wanted.items() if p.rpartition("/vars/")[0] not in bad}
    _copy({tensor: stored[path] for path, tensor in wanted.items()}, stored.where)
    for place in found:
        if place.layer is not None and hasattr(place.layer, "load_named_arrays"):
            names = {name: _join(place.path, f"vars/{name}") for name in place.layer.ARRAYS}
            place.layer.load_named_arrays(
                {name: stored[path] for name, path in names.items() if path in stored}
            )


def _differing(
    network: Layer, stored: StoredArrays, wanted: Mapping[str, Tensor], kept: set[str]
) -> dict[str, str]:
    """Places where file and network differ, with what is wrong there."""
    wrong = {path: "missing in the file" for path in wanted if path not in stored}
    wrong |= {
        path: "the network has no such weight"
        for path in stored
        if path not in wanted and path not in kept and not _is_no_weight(path, network)
    }
    return wrong | {
        path: f"{stored.shape(path)} in the file, {tuple(keras_view(tensor).shape)} here"
        for path, tensor in wanted.items()
        if path in stored and stored.shape(path) != tuple(keras_view(tensor).shape)
    }


def _is_no_weight(path: str, network: Layer) -> bool:
    """Whether Keras keeps something there that is no part of the network itself.

    The optimizer; random state, which stroma keeps by position; optimizers, metrics and losses in
    attributes of a model, which are made anew.
    """
    holder = vars(network).get(path.split("/", 1)[0])
    return (
        path.startswith("optimizer/")
        or "seed_generator/" in path
        or (isinstance(holder, Configurable) and not isinstance(holder, Layer))
    )


def _do_not_fit(wrong: Mapping[str, str], where: str) -> WeightsError:
    more = f"\n  and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
    lines = [f"{path}: {what}" for path, what in wrong.items()][:_SHOWN]
    return WeightsError(
        "the weights in the file are not those of the network:\n  " + "\n  ".join(lines) + more,
        where=where,
        why="they are matched by their place; nothing was loaded",
        fix="build the network that the file was saved from",
    )


@torch.no_grad()
def _copy(values: Mapping[Tensor, np.ndarray], where: str) -> None:
    broken = 0
    for tensor, value in values.items():
        broken += value.dtype.kind == "f" and not bool(np.isfinite(value).all())
        keras_view(tensor).copy_(torch.from_numpy(value))
    if broken:
        warnings.warn(
            f"{where}: {broken} weights hold NaN or infinity; the network's outputs will not be "
            "numbers either",
            stacklevel=4,
        )
