"""What a network is called with, brought into the order, dtype and rank of its inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten

from stroma.core.axes import shape_text
from stroma.core.errors import ShapeError
from stroma.core.misfit import advice
from stroma.core.symbolic import SymbolicTensor, is_symbolic

if TYPE_CHECKING:
    from stroma.network.network import Network


def in_order(given: Any, wanted: Any, network: Network) -> list[Any]:
    """The values of a structure, in the order in which the network's own structure has them."""
    if is_symbolic(wanted):
        if isinstance(given, (list, tuple)) and len(given) == 1 and _holds_tensors(given):
            return in_order(given[0], wanted, network)
        if isinstance(given, (list, tuple, dict)) and _holds_tensors(given):
            raise one_input(network, len(given))
        return [given]
    alone = isinstance(given, Tensor) or is_symbolic(given)
    if alone and isinstance(wanted, (list, tuple)) and len(wanted) == 1:
        return in_order(given, wanted[0], network)  # Model([x], y) is called with x too
    if isinstance(wanted, dict):
        pairs = [(lookup(given, key, network), part) for key, part in wanted.items()]
    elif isinstance(given, dict):  # by the names of the inputs
        pairs = [(lookup(given, input_name(part), network), part) for part in wanted]
    elif isinstance(given, (list, tuple)) and len(given) == len(wanted):
        pairs = list(zip(given, wanted))
    else:
        count = len(given) if isinstance(given, (list, tuple)) else 1
        raise ShapeError(
            f"network {network.name!r} has {len(wanted)} inputs, {count} were given",
            where=f"{type(network).__name__}.call",
            why="each input of the network needs its numbers",
            fix="give a list with one tensor per input, or a dict by input name",
        )
    return [value for part_given, part in pairs for value in in_order(part_given, part, network)]


def lookup(inputs: Any, key: str, network: Network) -> Any:
    if isinstance(inputs, dict) and key in inputs:
        return inputs[key]
    given = list(inputs) if isinstance(inputs, dict) else type(inputs).__name__
    own = network.input
    names = list(own) if isinstance(own, dict) else [input_name(x) for x in network.inputs]
    raise ShapeError(
        f"network {network.name!r} has an input {key!r} that was not given",
        where=f"inputs: {given}",
        why="inputs in a dict are found by their names",
        fix=f"give a dict with the keys {names}",
    )


def input_name(tensor: SymbolicTensor) -> str:
    return getattr(tensor.node.target, "name", None) or tensor.node.title()


def _holds_tensors(tree: Any) -> bool:
    return any(isinstance(leaf, Tensor) or is_symbolic(leaf) for leaf in tree_flatten(tree)[0])


def one_input(network: Network, count: int) -> ShapeError:
    """What to raise when a network with one input gets several arrays."""
    return ShapeError(
        f"network {network.name!r} has one input, {count} arrays were given",
        where=f"{type(network).__name__}.call",
        why="a list or dict gives each input of a network its own array",
        fix="give the array itself: model(x); more samples: torch.cat([a, b]), np.concatenate",
    )


def fit(value: Any, wanted: SymbolicTensor, network: Network) -> Any:
    """One input: cast to the declared dtype, a missing or extra last axis of 1 mended, checked."""
    if is_symbolic(value):
        given = value.shape
    else:
        value = torch.as_tensor(value)
        moved = network._moved and wanted.dtype.is_floating_point
        dtype = network._compute_dtype if moved else wanted.dtype  # after model.double()
        if value.dtype is not dtype and not (
            value.is_floating_point()
            and torch.is_autocast_enabled(value.device.type)
            and value.dtype in (torch.bfloat16, torch.float16)
        ):
            value = value.to(dtype)
        given = tuple(value.shape)
    shape, mended = wanted.shape, given
    if len(given) == len(shape) + 1 and given[-1] == 1:
        value, mended = value.squeeze(-1), given[:-1]
    elif len(given) == len(shape) - 1 and shape[-1] == 1:
        value, mended = value.unsqueeze(-1), (*given, 1)
    if len(mended) != len(shape) or any(
        a != b for a, b in zip(mended[1:], shape[1:]) if a is not None and b is not None
    ):
        raise _misfit(given, shape, network)
    return value


def _misfit(
    given: tuple[int | None, ...], shape: tuple[int | None, ...], network: Network
) -> ShapeError:
    why, fix = advice(given, shape) or (
        "every size that the network declares must be the data's",
        f"reshape or resize the data to {shape_text(shape)}, or build the network for it",
    )
    return ShapeError(
        f"network {network.name!r} takes {shape_text(shape)}, got {shape_text(given)}",
        where=f"{type(network).__name__}.call",
        why=why,
        fix=fix,
    )
