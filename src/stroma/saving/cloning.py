"""Copies of a network's structure, layer by layer, with new weights."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from torch.utils._pytree import tree_flatten

from stroma.core.custom_objects import get_registered_name
from stroma.core.errors import ArgumentError
from stroma.core.inputs import Input, InputLayer
from stroma.core.layer import Layer
from stroma.core.symbolic import SymbolicTensor, is_symbolic, map_symbolic
from stroma.network.network import Network
from stroma.network.sequential import SequentialNetwork
from stroma.saving.rebuild import Rebuilder
from stroma.saving.vocabulary import describe

Clone = Callable[[Layer], Layer]
Call = Callable[..., Any]


def clone_model(
    model: Network,
    input_tensors: Any = None,
    clone_function: Clone | None = None,
    call_function: Call | None = None,
    recursive: bool = False,
) -> Network:
    """A new model of the same structure and names, its weights at new initial values.

    Args:
        model: The model; own classes in it need no registration.
        input_tensors: Symbolic tensors to build the new one on, instead of new inputs.
        clone_function: Gives the layer that stands for a layer; by default one of the same config.
        call_function: `f(layer, *args, **kwargs)` calls a new layer; by default the layer itself.
        recursive: `clone_function` for the layers of networks inside, too, not for them as wholes.
    Raises: ArgumentError: the model has a `call` of its own, and more than `model` is given.
    Example:
        >>> from stroma import layers, models
        >>> model = models.Sequential([layers.Input((3,)), layers.Dense(2, activation="relu")])
        >>> def linear(layer):
        ...     return type(layer).from_config({**layer.get_config(), "activation": None})
        >>> clone_model(model, clone_function=linear).layers[0].get_config()["activation"]
    """
    if input_tensors is None and clone_function is None and call_function is None:
        copied: Network = _same(model)
        return copied
    if not model._is_graph:
        raise ArgumentError(
            f"{type(model).__name__} has a call of its own, or no inputs yet",
            where="clone_model(model, ...)",
            why="layers can be exchanged only where the calls between them are recorded",
            fix="clone_model(model); or build the model from Input(...) on",
        )
    return _Cloner(clone_function or _same, call_function, recursive).network(model, input_tensors)


def _same(layer: Any) -> Any:
    """A layer or network of the same class and config."""
    own = {get_registered_name(type(inner)): type(inner) for inner in layer.modules()}
    described = copy.deepcopy(describe(layer))
    kind = type(layer) if isinstance(layer, Network) else None
    return Rebuilder(own, where="clone_model").layer(described, kind)


class _Cloner:
    def __init__(self, clone: Clone, call: Call | None, recursive: bool) -> None:
        self.clone, self.call, self.recursive = clone, call, recursive
        self.clones: dict[int, Layer] = {}  # a layer that is called twice stays one layer

    def network(self, model: Network, input_tensors: Any = None) -> Network:
        """The calls of a network made again with the new layers."""
        inputs = model.input if input_tensors is None else input_tensors
        if input_tensors is None:
            inputs = map_symbolic(_new_input, inputs)
        values: dict[int, Any] = dict(zip(map(id, model.inputs), tree_flatten(inputs)[0]))
        for node in model.nodes:
            if id(node.outputs) in values:  # an input
                continue
            args, kwargs = map_symbolic(lambda x: values[id(x)], (node.args, node.kwargs))
            if node.kind == "layer":
                layer = self.layer(node.target)
                values[id(node.outputs)] = (self.call or _plainly)(layer, *args, **kwargs)
            else:
                values[id(node.outputs)] = node.run(*args, **kwargs)
        if isinstance(model, SequentialNetwork) and is_symbolic(inputs):
            stack = [self.clones[id(layer)] for layer in model.layers]
            return type(model)([inputs, *stack], name=model._given_name)
        outputs = map_symbolic(lambda x: values[id(x)], model.output)
        return type(model)(inputs, outputs, name=model._given_name)

    def layer(self, layer: Layer) -> Layer:
        if id(layer) not in self.clones:
            inside = self.recursive and isinstance(layer, Network) and layer._is_graph
            made = self.network(layer) if inside else self.clone(layer)  # type: ignore[arg-type]
            if made._given_name is None:
                made._network_name = layer._network_name
            self.clones[id(layer)] = made
        return self.clones[id(layer)]


def _plainly(layer: Layer, *args: Any, **kwargs: Any) -> Any:
    return layer(*args, **kwargs)


def _new_input(tensor: SymbolicTensor) -> SymbolicTensor:
    target = tensor.node.target
    name = target._given_name if isinstance(target, InputLayer) else None
    return Input(batch_shape=tensor.shape, dtype=tensor.dtype, name=name)
