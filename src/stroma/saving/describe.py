"""Networks as plain data: Keras' config of a functional graph or a stack of layers."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stroma.core.errors import GraphError
from stroma.core.inputs import InputLayer
from stroma.core.layer import Layer
from stroma.core.names import numbered, snake_case
from stroma.core.symbolic import Node, SymbolicTensor, is_symbolic, run_on_probes
from stroma.network.network import Network
from stroma.network.order import Step, depth_order, leaves, root, without_derived_masks
from stroma.network.sequential import SequentialNetwork
from stroma.saving.operations import Written, write_operation
from stroma.saving.vocabulary import describe, networks_registry, plain, refuse_node

MAX_INLINE = 65_536  # numbers in a constant tensor that a graph may hold


def describe_layer(layer: Layer) -> dict[str, Any]:
    """Any layer or network with what it was built on: `{"module", "class_name", "config", ...}`."""
    described = describe(layer)
    shape = layer._build_shape
    if isinstance(layer, SequentialNetwork) and layer._entry is not None:
        shape = layer._entry.shape
    if layer._build_shapes:
        described["build_config"] = {"shapes_dict": plain(layer._build_shapes)}
    elif shape is not None and layer.built:
        described["build_config"] = {"input_shape": plain(shape)}
    return described


def network_config(network: Network) -> dict[str, Any]:
    """The config of a network with a graph, or of a stack, with names as the user gave them."""
    if isinstance(network, SequentialNetwork):
        return _stack_config(network)
    return _GraphWriter(network).config()


def is_nested_graph(layer: Any) -> bool:
    """Whether Keras counts the calls of a layer from 1 at the ends of the network around it."""
    stack = isinstance(layer, SequentialNetwork)
    return isinstance(layer, Network) and layer._is_graph and not stack


def has_graph_config(network: Network) -> bool:
    """Whether its class is made from inputs and outputs, so that its graph is its config."""
    init = next(cls for cls in type(network).__mro__ if "__init__" in cls.__dict__)
    stack = isinstance(network, SequentialNetwork)
    own = {*networks_registry.canonical().values(), Network, SequentialNetwork}
    return init in own and (stack or network._is_graph)


def _stack_config(network: SequentialNetwork) -> dict[str, Any]:
    layers, keys = [], {id(layer): key for key, layer in network.keys().items()}
    if network._entry is not None:
        entry = network._entry
        target = entry.node.target
        name = target.name if isinstance(target, InputLayer) else "input_layer"
        layers.append(_input_layer(entry, numbered(name, set(keys.values()))))
    for layer in network.layers:
        described = describe_layer(layer)
        described["config"]["name"] = layer._given_name or keys.get(id(layer), layer.name)
        layers.append(described)
    config: dict[str, Any] = {
        "name": network.name,
        "trainable": network.trainable,
        "dtype": network.dtype_policy.name,
        "layers": layers,
    }
    if network._entry is not None:
        config["build_input_shape"] = list(network._entry.shape)
    return config


def _input_layer(tensor: SymbolicTensor, name: str) -> dict[str, Any]:
    return {
        "module": "keras.layers",
        "class_name": "InputLayer",
        "config": {
            "batch_shape": list(tensor.shape),
            "dtype": str(tensor.dtype).removeprefix("torch."),
            "sparse": False,
            "name": name,
        },
        "registered_name": None,
    }


@dataclass
class _Call:
    """One recorded call on its way to the file."""

    node: Node
    owner: Hashable  # what Keras calls the operation: a layer, or a function's single call
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    written: Written | None = None
    index: int = 0  # of this call among its owner's
    sources: list[SymbolicTensor] = field(default_factory=list)


class _GraphWriter:
    """Collects the calls between a network's inputs and outputs, in Keras' order of layers.

    Keras numbers the arrays of a weight file by the order of the layers after it has rebuilt the
    graph, so the file must have them in that order.
    """

    def __init__(self, network: Network) -> None:
        self.network = network
        self.inputs: list[SymbolicTensor] = network.inputs
        self.entries = {id(tensor): index for index, tensor in enumerate(self.inputs)}
        self.calls: dict[int, _Call] = {}  # by the node's index
        self.keys = {id(layer): key for key, layer in network.keys().items()}
        self.positions: dict[int, list[Any]] = {}  # paths to a node's outputs

    def config(self) -> dict[str, Any]:
        order = self.order()
        self._number_calls()
        self._name(order)
        layers = []
        for owner in order:
            if isinstance(owner, int):
                described = _input_layer(self.inputs[owner], self.names[owner])
                nodes = []
            else:
                calls = [call for call in self.calls.values() if call.owner == owner]
                calls.sort(key=lambda call: call.index)
                described = self._describe(calls[0])
                nodes = [self._inbound(call) for call in calls]
            layers.append({**described, "name": self.names[owner], "inbound_nodes": nodes})
        return {
            "name": self.network.name,
            "trainable": self.network.trainable,
            "layers": layers,
            "input_layers": _map(self.network._inputs, self._end),
            "output_layers": _map(self.network._outputs, self._end),
        }

    # Which calls, in which order

    def _source(self, tensor: SymbolicTensor) -> tuple[_Call | None, Hashable]:
        """The call that makes a tensor and its owner; an input of the network has no call."""
        if id(tensor) in self.entries:
            return None, self.entries[id(tensor)]
        node, _ = root(tensor)
        if node.index not in self.calls:
            self.calls[node.index] = _call(node)
        call = self.calls[node.index]
        return call, call.owner

    def _step(self, tensor: SymbolicTensor) -> Step:
        call, owner = self._source(tensor)
        if call is None:
            return Step(("input", owner), owner)
        return Step(("call", call.node.index), owner, call.sources)

    def order(self) -> list[Hashable]:
        entries = [Step(("input", number), number) for number in range(len(self.inputs))]
        return depth_order(entries, leaves(self.network._outputs), self._step)

    def _number_calls(self) -> None:
        counts: dict[Hashable, int] = {}
        self.recorded = {index: place for place, index in enumerate(sorted(self.calls))}
        for index in sorted(self.calls):
            call = self.calls[index]
            call.index = counts.get(call.owner, 0)
            counts[call.owner] = call.index + 1

    def _name(self, order: list[Hashable]) -> None:
        self.names: dict[Hashable, str] = {}
        layers = {
            call.owner: call.node.target
            for call in self.calls.values()
            if call.node.kind == "layer"
        }
        for owner, layer in layers.items():
            self.names[owner] = layer._given_name or self.keys[id(layer)]
        for owner in order:
            if isinstance(owner, int):
                target = self.inputs[owner].node.target
                wanted = target.name if isinstance(target, InputLayer) else "input_layer"
                self.names[owner] = numbered(wanted, set(self.names.values()))
        taken = set(self.names.values())
        for owner in order:
            if owner not in self.names:
                call = next(call for call in self.calls.values() if call.owner == owner)
                assert call.written is not None
                base = re.sub(r"[^A-Za-z0-9_]", "_", call.written.class_name.rsplit(".", 1)[-1])
                self.names[owner] = numbered(snake_case(base), taken)
                taken.add(self.names[owner])

    # One call

    def _describe(self, call: _Call) -> dict[str, Any]:
        if call.written is None:
            described = describe_layer(call.node.target)
            described["config"]["name"] = self.names[call.owner]
            return described
        written = call.written
        return {
            "module": written.module,
            "class_name": written.class_name,
            "config": {"name": self.names[call.owner]}
            | {key: self._value(value, call) for key, value in written.config.items()},
            "registered_name": written.class_name,
        }

    def _inbound(self, call: _Call) -> dict[str, Any]:
        return {
            "args": [self._value(value, call) for value in call.args],
            "kwargs": {key: self._value(value, call) for key, value in call.kwargs.items()},
            "order": self.recorded[call.node.index],  # Keras passes it over
        }

    def _value(self, value: Any, call: _Call) -> Any:
        if is_symbolic(value):
            return {
                "class_name": "__keras_tensor__",
                "config": {
                    "shape": list(value.shape),
                    "dtype": str(value.dtype).removeprefix("torch."),
                    "keras_history": self._history(value),
                },
            }
        if isinstance(value, (list, tuple)):
            return [self._value(item, call) for item in value]
        if isinstance(value, dict):
            return {key: self._value(item, call) for key, item in value.items()}
        if isinstance(value, slice):
            parts = {"start": value.start, "stop": value.stop, "step": value.step}
            return {
                "class_name": "__slice__",
                "config": {name: self._value(part, call) for name, part in parts.items()},
            }
        return _constant(value, call.node)

    def _history(self, tensor: SymbolicTensor) -> list[Any]:
        call, owner = self._source(tensor)
        if call is None:
            return [self.names[owner], 0, 0]
        return [self.names[owner], call.index, self._position(tensor)]

    def _end(self, tensor: SymbolicTensor) -> list[Any]:
        """An input or output of the network: nested graphs count their calls from 1 there."""
        name, index, position = self._history(tensor)
        call, _ = self._source(tensor)
        target = call.node.target if call is not None else None
        return [name, index + is_nested_graph(target), position]

    def _position(self, tensor: SymbolicTensor) -> int:
        """Which of the flat outputs of its call a tensor is."""
        node, path = root(tensor)
        if not path:
            return 0
        if node.index not in self.positions:
            self.positions[node.index] = _paths(run_on_probes(node)[0])
        return self.positions[node.index].index(path)


def _call(node: Node) -> _Call:
    if node.kind == "layer":
        args, kwargs = node.args, without_derived_masks(node)
        call = _Call(node, ("layer", id(node.target)), args, kwargs)
    else:
        written = write_operation(node)
        if written is None:
            raise refuse_node(
                f"the function {node.title()}", where=node.origin, name=_camel(node.title())
            )
        args, kwargs = written.args, written.kwargs
        call = _Call(node, ("call", node.index), args, kwargs, written)
    call.sources = [leaf for leaf in leaves((args, kwargs)) if is_symbolic(leaf)]
    return call


def _camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_")) or "MyLayer"


def _paths(structure: Any, path: tuple[Any, ...] = ()) -> list[list[Any]]:
    """The ways to the leaves of a structure; dicts in the order of their keys, as in Keras."""
    if isinstance(structure, dict):
        items: Iterable[tuple[Any, Any]] = ((key, structure[key]) for key in sorted(structure))
    elif isinstance(structure, (list, tuple)):
        items = enumerate(structure)
    else:
        return [list(path)]
    return [way for key, inner in items for way in _paths(inner, (*path, key))]


def _map(structure: Any, function: Any) -> Any:
    if isinstance(structure, dict):
        return {key: _map(value, function) for key, value in structure.items()}
    if isinstance(structure, (list, tuple)):
        return [_map(item, function) for item in structure]
    return function(structure)


def _constant(value: Any, node: Node) -> Any:
    """A constant among the arguments, as Keras writes it."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if value is Ellipsis:
        return {"class_name": "__ellipsis__", "config": {}}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, torch.dtype):
        return {"class_name": "__dtype__", "config": {"name": str(value).removeprefix("torch.")}}
    array = inline_constant(value, what=node.title(), where=node.origin)
    if array is not None:
        return array
    raise GraphError(
        f"{node.title()} has an argument that a file cannot hold: {type(value).__name__}",
        where=node.origin,
        why="arguments in a file are numbers, text, slices and small tensors",
        fix="put the call into the call() of a Layer of yours",
    )


def inline_constant(value: Any, *, what: str = "this", where: str = "") -> dict[str, Any] | None:
    """A small tensor or array as text; None: it is something else.

    Raises: GraphError: it is large.
    """
    if not isinstance(value, (Tensor, np.ndarray)) or np.iscomplexobj(value):
        return None
    if (count := int(np.prod(tuple(value.shape)))) > MAX_INLINE:
        raise GraphError(
            f"a constant of {count:,} numbers in {what} is too large for a config",
            where=where or "serialize_keras_object",
            why=f"constants up to {MAX_INLINE:,} numbers are written as text",
            fix="make it a weight: self.add_weight(..., trainable=False) in a Layer of yours",
        )
    return {
        "class_name": "__tensor__" if isinstance(value, Tensor) else "__numpy__",
        "config": {"value": value.tolist(), "dtype": str(value.dtype).removeprefix("torch.")},
    }
