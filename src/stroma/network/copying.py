"""A copy of a network, however deep it is."""

from __future__ import annotations

import copy
from typing import Any, TypeVar

from torch import nn

from stroma.core.symbolic import Node
from stroma.network.network import Network

M = TypeVar("M", bound=nn.Module)


def copied(module: M) -> M:
    """`copy.deepcopy` that does not go from the last node to the first by recursion.

    Each recorded node holds those before it, so Python's own way takes some 15 calls a node, and
    ends in a RecursionError from about 60 layers on. Copied in the order of recording, each node
    finds those before it done.

    Example:
        >>> from stroma import Model, layers
        >>> x = y = layers.Input((4,))
        >>> for _ in range(200):
        ...     y = y + 1
        >>> copied(Model(x, y)).output_shape
        (None, 4)
    """
    done: dict[int, Any] = {}
    for node in sorted(_reachable(module), key=lambda node: node.index):
        copy.deepcopy(node, done)
    return copy.deepcopy(module, done)


def _reachable(module: nn.Module) -> list[Node]:
    """The nodes of all networks in it, and those before them that are no part of it."""
    networks = [part for part in module.modules() if isinstance(part, Network)]
    waiting = [tensor.node for network in networks for tensor in network.outputs]
    found: dict[int, Node] = {}
    while waiting:
        node = waiting.pop()
        if id(node) not in found:
            found[id(node)] = node
            waiting += [tensor.node for tensor in node.inputs()]
    return list(found.values())
