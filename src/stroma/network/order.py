"""The order in which Keras has a network's layers: that of `layers`, `weights` and weight files."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from torch.utils._pytree import tree_flatten

from stroma.core.inputs import InputLayer
from stroma.core.layer import Layer
from stroma.core.masks import WITH_MASKS
from stroma.core.symbolic import Node, SymbolicTensor, is_symbolic


@dataclass(frozen=True, slots=True)
class Step:
    """One call on the way from inputs to outputs; an input of the network is one, too.

    Args:
        key: Which call it is.
        owner: What is ordered: the layer, which may be called several times, or the single call
            of a function.
        sources: The tensors that it computes from; none for an input.
    """

    key: Hashable
    owner: Hashable
    sources: Sequence[SymbolicTensor] = ()


def depth_order(
    inputs: Iterable[Step],
    outputs: Iterable[SymbolicTensor],
    step: Callable[[SymbolicTensor], Step],
) -> list[Hashable]:
    """Owners by depth, the longest way to an output first.

    Of equal depth, the first that a depth-first walk from the outputs comes to. Inputs that no
    output depends on have depth 0.

    Args:
        inputs: The network's own.
        outputs: Its outputs.
        step: Gives the call that makes a tensor.
    """
    finished: list[Step] = []
    visit: dict[Hashable, int] = {}
    done: set[Hashable] = set()
    # An explicit stack: a network of a thousand layers would exhaust Python's own
    stack = [(step(tensor), False) for tensor in outputs][::-1]
    while stack:
        at, left = stack.pop()
        if at.key in done:
            continue
        if left:
            done.add(at.key)
            finished.append(at)
            continue
        visit.setdefault(at.owner, len(visit))
        stack.append((at, True))
        stack += [(step(source), False) for source in reversed(at.sources)]
    depths: dict[Hashable, int] = {}
    of_call: dict[Hashable, int] = {}
    for at in reversed(finished):
        depth = max(of_call.get(at.key, 0), depths.get(at.owner, 0))
        depths[at.owner] = of_call[at.key] = depth
        for before in map(step, at.sources):
            of_call[before.key] = max(depth + 1, of_call.get(before.key, 0))
    for unused in inputs:
        if unused.owner not in depths:
            depths[unused.owner], visit[unused.owner] = 0, -1
    return sorted(depths, key=lambda owner: (-depths[owner], visit[owner]))


def layer_order(inputs: list[SymbolicTensor], outputs: Any) -> list[Layer]:
    """The layers between inputs and outputs, entries among them, as Keras' `model.layers`."""
    entries = {id(tensor): Step(("input", n), ("input", n)) for n, tensor in enumerate(inputs)}
    targets: dict[Hashable, Any] = {
        ("input", n): tensor.node.target
        for n, tensor in enumerate(inputs)
        if isinstance(tensor.node.target, InputLayer)  # not where it was cut out of another network
    }

    def step(tensor: SymbolicTensor) -> Step:
        if id(tensor) in entries:
            return entries[id(tensor)]
        node, _ = root(tensor)
        owner = ("layer", id(node.target)) if node.kind == "layer" else ("call", node.index)
        targets[owner] = node.target
        return Step(("call", node.index), owner, sources(node))

    order = depth_order(entries.values(), leaves(outputs), step)
    return [targets[owner] for owner in order if isinstance(targets.get(owner), Layer)]


def sources(node: Node) -> list[SymbolicTensor]:
    """The tensors that a call computes from, but for masks that follow from them."""
    kwargs = without_derived_masks(node) if node.kind == "layer" else node.kwargs
    return [leaf for leaf in leaves((node.args, kwargs)) if is_symbolic(leaf)]


def root(tensor: SymbolicTensor) -> tuple[Node, list[Any]]:
    """The call behind a tensor and the way to it through the call's outputs."""
    node = tensor.node
    path: list[Any] = []
    while node.kind == "item":
        whole, key = node.args
        path.insert(0, key)
        node = whole.node
    return node, path


def without_derived_masks(node: Node) -> dict[str, Any]:
    """Keyword arguments without masks that a rebuilt network finds again by itself."""
    derived = {id(leaf.mask) for leaf in node.inputs() if leaf.mask is not None}
    kwargs = {}
    for name, value in node.kwargs.items():
        if name == WITH_MASKS:
            continue
        given = [leaf for leaf in tree_flatten(value)[0] if leaf is not None]
        is_mask = name == "mask" or name.endswith("_mask")
        if not (is_mask and all(id(leaf) in derived for leaf in given)):
            kwargs[name] = value
    return kwargs


def leaves(structure: Any) -> list[Any]:
    """The leaves of a structure; dicts in the order of their keys, as in Keras."""
    if isinstance(structure, dict):
        return [leaf for key in sorted(structure) for leaf in leaves(structure[key])]
    if isinstance(structure, (list, tuple)):
        return [leaf for item in structure for leaf in leaves(item)]
    return [structure]
