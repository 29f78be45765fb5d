"""From recorded nodes to code: what is reachable, in which order, under which names."""

from __future__ import annotations

import keyword
import operator
import re
import unicodedata
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from torch import fx, nn

from stroma.core.errors import GraphError
from stroma.core.inputs import InputLayer
from stroma.core.layer import Layer
from stroma.core.names import is_keyword_name, is_plain, numbered, snake_case
from stroma.core.symbolic import Node, SymbolicTensor, any_symbolic, is_symbolic
from stroma.core.tracking import Container

# What fx writes as text that means the same value again
_LITERALS = {bool, int, float, str, type(None), type(...)} | {
    torch.dtype, torch.device, torch.layout, torch.memory_format,
}  # fmt: skip
_CONSTANT = re.compile(r"constant_\d+")  # the names under which constants become attributes
_EMPTY = Container()


def reachable(inputs: list[SymbolicTensor], outputs: list[SymbolicTensor]) -> list[Node]:
    """The nodes between inputs and outputs, in recording order.

    Raises: GraphError: an output depends on an `Input` that is not among `inputs`.
    """
    entries = {id(tensor) for tensor in inputs}
    found: dict[int, Node] = {}
    waiting = [tensor for tensor in outputs if id(tensor) not in entries]
    while waiting:
        node = waiting.pop().node
        if node.index in found:
            continue
        if node.kind == "input":
            raise GraphError(
                f"the outputs also depend on the input {node.target.name!r} of shape "
                f"{node.outputs.shape}, which is not among the inputs",
                where="Model(inputs=..., outputs=...)",
                why="its numbers would be missing when the network runs",
                fix="add that Input(...) to inputs",
            )
        found[node.index] = node
        waiting += [tensor for tensor in node.inputs() if id(tensor) not in entries]
    return [found[index] for index in sorted(found)]


def name_layers(nodes: Iterable[Node], reserved: Callable[[str], bool]) -> dict[str, Layer]:
    """Each layer once, under its key: the given name, else its class, numbered in this network.

    A name that is an attribute of `Model`, or a word of Python's own, gets a trailing `_`. A layer
    that another network has already numbered keeps that name here if it is free.
    """
    layers = {id(node.target): node.target for node in nodes if node.kind == "layer"}
    keys: dict[str, Layer] = {}
    for layer in layers.values():
        if (given := layer._given_name) is None:
            continue
        key = _attribute(given, reserved)
        if key in keys:
            raise GraphError(
                f"two layers are called {given!r}",
                where="Model(inputs=..., outputs=...)",
                why="names are the keys of the weights",
                fix=f"give one of them another name, or none: name={numbered(given, keys)!r}",
            )
        keys[key] = layer
    for layer in layers.values():
        if layer._given_name is None:
            wanted = layer._network_name
            if wanted is None or wanted in keys:
                wanted = numbered(_attribute(snake_case(type(layer).__name__), reserved), keys)
            layer._network_name = layer._network_name or wanted
            keys[wanted] = layer
    order = {id(layer): key for key, layer in keys.items()}
    return {order[identity]: layer for identity, layer in layers.items()}


def name_inputs(inputs: list[SymbolicTensor]) -> None:
    """Give every input that has no name one that no other input of the network has.

    Raises: GraphError: two inputs were given the same name.
    """
    entries = input_layers(inputs)
    taken: set[str] = set()
    for entry in entries:
        if (given := entry._given_name) in taken:
            raise GraphError(
                f"two inputs are called {given!r}",
                where="Model(inputs=..., outputs=...)",
                why="names are the keys of the inputs when they are given as a dict",
                fix=f"give one of them another name: Input(..., name={numbered(given, taken)!r})",
            )
        taken |= {given} if given is not None else set()
    for entry in entries:
        if entry._given_name is None:
            known = entry._network_name
            if known in taken:  # in another network: the number is one that no network gives
                known = f"input_layer_{entry._nodes[0].index}"
            entry._network_name = known or numbered("input_layer", taken)
            taken.add(entry._network_name)


def _attribute(name: str, reserved: Callable[[str], bool]) -> str:
    """A name as the attribute path that generated code can use: `in.conv` is `in_.conv`.

    In Python's own form of letters (NFKC), in which generated code looks attributes up.
    """
    parts = unicodedata.normalize("NFKC", name).split(".")
    first, *rest = [f"{part}_" if keyword.iskeyword(part) else part for part in parts]
    taken = reserved(first) or _CONSTANT.fullmatch(first) is not None
    rest = [f"{part}_" if hasattr(_EMPTY, part) else part for part in rest]
    return ".".join([f"{first}_" if taken else first, *rest])


def register(root: nn.Module, key: str, module: nn.Module, container: type[nn.Module]) -> None:
    """`root.<key> = module`, where a dotted key makes nested modules, as PyTorch's own zoo has."""
    *path, last = key.split(".")
    for part in path:
        if part not in root._modules:
            root.add_module(part, container())
        root = root._modules[part]  # type: ignore[assignment]  # never None: it was just put there
    if last in root._modules:
        raise GraphError(
            f"the name {key!r} is a layer and also a group of layers",
            where=f"layers named {key!r} and {key + '.…'!r}",
            why="a dot in a name makes a group, and one key of state_dict cannot be both",
            fix=f"rename the layer: name={key + '_0'!r}",
        )
    root._modules[last] = module


def fx_graph(
    inputs: list[SymbolicTensor],
    outputs: list[SymbolicTensor],
    nodes: list[Node],
    keys: dict[int, str],
    constants: dict[str, Any],
) -> fx.Graph:
    """The nodes as an fx graph with placeholders `training` and one per input.

    What is no literal among the arguments (tensors, functions, objects of the user's) is entered in
    `constants`, to become an attribute: its text never becomes code. The output is (outputs, masks
    of the outputs).
    """
    graph = fx.Graph()
    training = graph.placeholder("training")
    values: dict[int, fx.Node] = {
        id(tensor): graph.placeholder(f"input_{i}") for i, tensor in enumerate(inputs)
    }

    def argument(value: Any) -> Any:
        if is_symbolic(value):
            return values[id(value)]
        if type(value) in _LITERALS:
            return value
        if isinstance(value, np.generic):
            return argument(value.item())
        if isinstance(value, (list, tuple)):
            parts = [argument(part) for part in value]
            if hasattr(value, "_fields"):
                return type(value)(*parts)
            return parts if isinstance(value, list) else tuple(parts)
        if isinstance(value, dict) and all(type(key) in _LITERALS for key in value):
            return {key: argument(part) for key, part in value.items()}
        if isinstance(value, slice):
            return slice(*map(argument, (value.start, value.stop, value.step)))
        if any_symbolic(value):
            raise GraphError(
                f"an argument of type {type(value).__name__} holds a symbolic tensor",
                where=node.origin or node.label(),
                why="the network could not find the tensor in it when it runs",
                fix="give lists, tuples and dicts with plain keys",
            )
        name = f"constant_{len(constants)}"
        constants[name] = value
        return graph.get_attr(name)

    for node in nodes:
        if id(node.outputs) in values:
            continue
        args = tuple(argument(value) for value in node.args)
        kwargs = {_keyword(key, node): argument(value) for key, value in node.kwargs.items()}
        values[id(node.outputs)] = _emit(graph, node, args, kwargs, keys, training)
    masks = [_mask_value(tensor, values) for tensor in outputs]
    graph.output(([values[id(tensor)] for tensor in outputs], masks))
    return graph


def _mask_value(tensor: SymbolicTensor, values: dict[int, fx.Node]) -> fx.Node | None:
    return values.get(id(tensor.mask)) if tensor.mask is not None else None


def _emit(
    graph: fx.Graph,
    node: Node,
    args: Any,
    kwargs: dict[str, Any],
    keys: dict[int, str],
    training: fx.Node,
) -> fx.Node:
    if node.kind == "layer":
        layer = node.target
        if layer._call_spec.training or layer._modules:  # those who ask, and those who hand it on
            kwargs = {"training": training, **kwargs}
        return graph.call_module(_path(keys[id(layer)]), args, kwargs)
    if node.kind == "method":
        return graph.call_method(node.target, args, kwargs)
    if node.kind == "attribute":
        return graph.call_function(getattr, (*args, node.target))
    if node.kind == "item":
        return graph.call_function(operator.getitem, args)
    if node.target is operator.pow:  # fx writes -2 ** x for (-2) ** x, which is another number
        return graph.call_function(torch.pow, args, kwargs)
    return graph.call_function(node.target, args, kwargs)


def _keyword(name: str, node: Node) -> str:
    """The name of a keyword argument, which generated code holds as it is."""
    if is_keyword_name(name):
        return name
    raise GraphError(
        f"{node.label()} is called with a keyword argument {name!r}, which is no name",
        where=node.origin,
        why="networks become Python code, which could not be written with it",
        fix="name keyword arguments with letters, digits and '_'",
    )


def _path(key: str) -> str:
    """The attribute path of a layer, which generated code holds as it is."""
    if is_plain(key.replace(".", "").replace("-", "").replace(" ", "")):
        return key
    raise GraphError(
        f"a layer cannot be called {key!r}",
        where=f"name={key!r}",
        why="networks become Python code, in which the layer stands under this name",
        fix="use letters, digits and '_', and dots between groups",
    )


def compile_graph(graph: fx.Graph) -> Callable[..., Any]:
    """The Python function that fx writes for the graph: `run(network, training, *inputs)`."""
    code = graph.python_code("self")
    names: dict[str, Any] = dict(code.globals)
    exec(compile(code.src, "<stroma network>", "exec"), names)
    return names["forward"]  # type: ignore[no-any-return]


def input_layers(inputs: list[SymbolicTensor]) -> list[InputLayer]:
    """The `InputLayer`s of a network's inputs (inputs cut from inside a network have none)."""
    return [t.node.target for t in inputs if isinstance(t.node.target, InputLayer)]
