"""A network's graph recorded once more, on inputs that carry masks.

A graph is recorded for inputs without masks. Where it is called on inputs that have some (in
another network, or by hand), its layers must see them, and which nodes there are depends on it.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import torch
from torch.utils._pytree import tree_flatten

from stroma.core.masks import WITH_MASKS
from stroma.core.shape_run import probes
from stroma.core.symbolic import Node, SymbolicTensor, finish, map_symbolic
from stroma.network.order import without_derived_masks

if TYPE_CHECKING:
    from stroma.network.network import Network

Ranks: TypeAlias = tuple[int | None, ...]  # how many axes each input's mask has; None: no mask


class MaskedRun(NamedTuple):
    """The code for one pattern of masks, and whether outputs have masks then."""

    run: Callable[..., Any]
    masks_outputs: bool


def replay(network: Network, ranks: Ranks) -> tuple[list[SymbolicTensor], list[SymbolicTensor]]:
    """Inputs (those of the masks at the end) and outputs of the graph on masked inputs."""
    known = {layer: list(layer._nodes) for layer in network.keys().values()}
    new: dict[int, Any] = {}
    masks = []
    for old, rank in zip(network.inputs, ranks):
        entry = new[id(old)] = SymbolicTensor(Node("input", old.node.target), old.probes)
        if rank is not None:
            entry.mask = SymbolicTensor(
                Node("input", old.node.target), probes(old.shape[:rank], torch.bool)
            )
            masks.append(entry.mask)
    for node in network.nodes:
        new[id(node.outputs)] = _again(node, new)
    for layer, nodes in known.items():  # where they stand in the network has not changed
        layer._nodes[:] = nodes
    return [*(new[id(t)] for t in network.inputs), *masks], [new[id(t)] for t in network.outputs]


def _again(node: Node, new: dict[int, Any]) -> Any:
    """The outputs of a recorded call on the new tensors."""
    if node.kind == "item":
        whole, key = node.args
        return operator.getitem(new[id(whole)], key)
    kwargs = without_derived_masks(node) if node.kind == "layer" else node.kwargs
    args, kwargs = map_symbolic(lambda tensor: new[id(tensor)], (node.args, kwargs))
    if node.kind != "layer":
        return finish(Node(node.kind, node.target, args, kwargs))
    outputs = node.target(*args, **kwargs)
    if WITH_MASKS not in node.kwargs:
        return outputs
    return outputs, [tensor.mask for tensor in tree_flatten(outputs)[0]]
