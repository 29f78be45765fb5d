"""Where a network can be cut in two, and the stages that fine-tuning treats alike.

A cut is a place where one single tensor carries everything on: never inside a residual block. A
stage begins at the last cut before the map gets smaller, whatever the layers are called.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from stroma import layers
from stroma.core.errors import ArgumentError, GraphError
from stroma.core.layer import Layer
from stroma.core.symbolic import Node, SymbolicTensor, is_symbolic
from stroma.models import Model
from stroma.network.freezing import running_order
from stroma.network.network import Network


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a layer that is no recorded network.

    Args:
        path: The layer's key in the outermost network's `state_dict`.
        layer: The layer.
        places: Places of its output map, height times width; 1 for a vector.
        cut: Whether the network can be cut before it.
    """

    path: str
    layer: Layer
    places: int
    cut: bool


@dataclass(frozen=True, slots=True)
class Stage:
    """A run of layers that are frozen, thawed and paced together.

    Args:
        start: Path of its first layer: what `freeze(until=...)` and `unfreeze(from_=...)` take.
        layers: Its layers, each in the stage of its first call.
    """

    start: str
    layers: tuple[Layer, ...]

    @property
    def parameters(self) -> list[nn.Parameter]:
        """Its parameters, frozen ones included; shared ones once."""
        found = {id(p): p for layer in self.layers for p in layer.parameters()}
        return list(found.values())


def stages(network: Network, head: Sequence[Layer] = ()) -> list[Stage]:
    """The stages of a network, in running order; `head` is one of its own.

    Args:
        network: Recorded, with one input and one output.
        head: The layers at its end that are new.
    Raises: GraphError: a network with its own `call` does not say what runs between its layers.
    Example:
        >>> x = layers.Input((8, 8, 3))
        >>> y = layers.Conv2D(4, 3, padding="same", name="a")(x)
        >>> y = layers.Conv2D(4, 3, padding="same", name="b")(layers.MaxPooling2D(name="pool")(y))
        >>> model = Model(x, layers.Dense(2, name="c")(layers.GlobalAveragePooling2D()(y)))
        >>> [stage.start for stage in stages(model)]
        ['a', 'pool', 'global_average_pooling2d']
    """
    calls = list(_calls(network, "", True))
    if not calls:
        raise GraphError(
            f"{network.name!r} is no recorded network",
            where="stages(network)",
            why="only a functional or sequential model knows the tensors between its layers",
            fix="Model(inputs, outputs), or fine-tune it whole with model.fit",
        )
    own = {id(layer) for layer in head}
    starts, latest, before = [0], 0, calls[0].places
    for at, call in enumerate(calls):
        latest = at if call.cut else latest
        if id(call.layer) in own:
            starts.append(at)
            break
        if call.places < before:
            starts.append(latest)
        before = min(before, call.places)
    return list(_joined(calls, sorted({*starts})))


def _joined(calls: list[Call], starts: list[int]) -> Iterator[Stage]:
    """The stages between these starts; layers without parameters join the stage after them."""
    seen: set[int] = set()
    waiting: list[Layer] = []
    start = ""
    for first, last in zip(starts, [*starts[1:], len(calls)]):
        start = start if waiting else calls[first].path
        for call in calls[first:last]:
            if id(call.layer) not in seen:
                seen.add(id(call.layer))
                waiting.append(call.layer)
        if any(True for layer in waiting for _ in layer.parameters()):
            yield Stage(start, tuple(waiting))
            waiting = []


def _calls(network: Network, prefix: str, alone: bool) -> Iterator[Call]:
    """The calls in running order, those inside nested networks in their place.

    `alone`: whether nothing passes by this network, so that a cut in it cuts the whole.
    """
    keys = {id(layer): key for key, layer in network.keys().items()}
    for at, node in enumerate(network.nodes):
        single = alone and len(_crossing(network, at)) == 1
        if node.kind != "layer":
            continue
        path = prefix + keys[id(node.target)]
        if isinstance(node.target, Network) and node.target.nodes:
            passed_by = {id(t) for t in _crossing(network, at)} & {
                id(t) for t in _crossing(network, at + 1)
            }
            yield from _calls(node.target, f"{path}.", single and not passed_by)
        else:
            yield Call(path, node.target, _places(node), single)


def _crossing(network: Network, at: int) -> list[SymbolicTensor]:
    """The tensors that exist before node number `at` and are needed from it on."""
    later = {node.index for node in network.nodes[at:]}
    needed = [t for node in network.nodes[at:] for t in node.inputs()] + network.outputs
    return list({id(t): t for t in needed if t.node.index not in later}.values())


def _places(node: Node) -> int:
    output = node.outputs
    if not is_symbolic(output) or output.ndim != 4:
        return 1
    height, width = output.shape[1:3]
    # Where sizes are open, the probes tell which map is larger
    sizes = (height, width) if height and width else output.probes[0].shape[1:3]
    return math.prod(int(size) for size in sizes)


def split(network: Network, layer: Layer) -> tuple[Model, Model]:
    """`network` in two halves that share its layers: what runs before `layer`, and the rest.

    Training the second half on the outputs of the first trains the network itself.

    Args:
        network: Recorded, with one input.
        layer: A layer of it, nested ones included; its first call counts.
    Raises: GraphError: nothing runs before it, or more than one tensor leads past the cut.
    Example:
        >>> x = layers.Input((4,))
        >>> model = Model(x, layers.Dense(2, name="b")(layers.Dense(3, name="a")(x)))
        >>> below, above = split(model, model.get_layer("b"))
        >>> below.output_shape, above.output_shape
        ((None, 3), (None, 2))
    """
    for at, node in enumerate(network.nodes):
        if node.kind != "layer":
            continue
        inside = isinstance(node.target, Network) and layer in list(node.target.modules())
        if node.target is not layer and not inside:
            continue
        crossing = _crossing(network, at)
        if len(crossing) != 1:
            raise _no_cut(network, layer, f"{len(crossing)} tensors lead past it")
        entry = crossing[0]
        if node.target is layer or not node.target.nodes:
            if entry is network.inputs[0]:
                raise _no_cut(network, layer, "nothing runs before it")
            return Model(network.input, entry), Model(entry, network.output)
        first = next(inner for inner in node.target.nodes if inner.kind == "layer")
        if first.target is layer and _crossing(node.target, 0)[0] is node.target.inputs[0]:
            return Model(network.input, entry), Model(entry, network.output)
        if any(tensor is entry for tensor in _crossing(network, at + 1)):
            raise _no_cut(network, layer, f"2 tensors lead past it, one around {node.target.name}")
        below, above = split(node.target, layer)
        whole = network.input
        start = whole if entry is whole else Model(whole, entry)(whole)
        again = layers.Input(batch_shape=above.input.shape)
        return (
            Model(whole, below(start)),
            Model(again, Model(node.outputs, network.output)(above(again)))
            if node.outputs is not network.output
            else above,
        )
    raise _no_cut(network, layer, "it is not in there")


def layer_at(network: Network, path: str) -> Layer:
    """The first layer that `path` means, by the rules of `freeze(until=...)`."""
    for place in running_order(network):
        if place.answers_to(path) is not None:
            return place.layer
    raise ArgumentError(
        f"{network.name!r} has no layer {path!r}",
        where="until=...",
        why="the name says where the frozen part ends",
        fix=f"a stage: {', '.join(stage.start for stage in stages(network))}",
    )


def _no_cut(network: Network, layer: Any, why: str) -> GraphError:
    names = [stage.start for stage in stages(network)[1:]]
    return GraphError(
        f"{network.name!r} cannot be cut before {layer.name!r}",
        where="split(network, layer)",
        why=why,
        fix=f"cut where a stage begins: {', '.join(names) or 'there is only one'}",
    )
