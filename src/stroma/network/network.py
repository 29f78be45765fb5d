"""`Network`: layers as a graph (inputs and outputs given) or as a user's own `call`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_unflatten

from stroma.core.axes import shape_text
from stroma.core.errors import ArgumentError, GraphError, ShapeError, did_you_mean
from stroma.core.inputs import InputLayer
from stroma.core.layer import Layer
from stroma.core.misfit import advice
from stroma.core.recording import remember
from stroma.core.symbolic import Node, SymbolicTensor, is_symbolic
from stroma.core.tracking import Container
from stroma.network import graph as graphs
from stroma.network.order import layer_order

_OWN_ATTRIBUTES = {"graph", "_inputs", "_outputs", "_order", "_keys", "_run"}


class Network(Layer):
    """A layer made of layers.

    Args:
        inputs: Symbolic tensors, or a list or dict of them; None for a subclass with its own call.
        outputs: Symbolic tensors computed from them, in any structure.
        name: Its name.
        trainable: False freezes every layer in it.
    Raises: GraphError: an output depends on an input that is not given, or two layers share a name.
    Example:
        >>> from stroma import layers
        >>> x = layers.Input((4,))
        >>> network = Network(x, layers.Dense(2)(x))
        >>> network(torch.zeros(3, 4)).shape
        torch.Size([3, 2])
    """

    receptive = "unknown"
    mixes_precision = False
    reserved_names: ClassVar[frozenset[str]] = frozenset()

    def __init__(
        self,
        inputs: Any = None,
        outputs: Any = None,
        name: str | None = None,
        trainable: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(name=name, **options)
        self._is_graph = False
        if (inputs is None) != (outputs is None):
            raise ArgumentError(
                "a network needs inputs and outputs, or neither (a subclass with its own call)",
                where=type(self).__name__,
                why="the layers between the two are found by going from outputs to inputs",
                fix="Model(inputs=x, outputs=y)",
            )
        if inputs is not None:
            self._record_graph(inputs, outputs)
            if not trainable:
                self.trainable = False

    # Building

    def _record_graph(self, inputs: Any, outputs: Any) -> None:
        for tree, role in ((inputs, "inputs"), (outputs, "outputs")):
            for leaf in tree_flatten(tree)[0]:
                if not is_symbolic(leaf):
                    raise GraphError(
                        f"{role} must be symbolic tensors, got {type(leaf).__name__}",
                        where=f"Model({role}=...)",
                        why="a network is recorded from Input(...) on",
                        fix="x = Input((224, 224, 3)); y = layer(x); Model(x, y)",
                    )
        self._inputs, self._outputs = inputs, outputs
        flat_inputs: list[SymbolicTensor] = tree_flatten(inputs)[0]
        flat_outputs: list[SymbolicTensor] = tree_flatten(outputs)[0]
        masks = [tensor.mask for tensor in flat_outputs if tensor.mask is not None]
        self._order = graphs.reachable(flat_inputs, flat_outputs + masks)
        self._keys = graphs.name_layers(self._order, self._is_reserved)
        for key, layer in self._keys.items():
            graphs.register(self, key, layer, Container)
        graphs.name_inputs(flat_inputs)
        self._is_graph = True
        self.built = True
        self._compile()

    def __setattr__(self, name: str, value: Any) -> None:
        known = getattr(type(self), name, None)
        if isinstance(known, property) and known.fset is None:
            raise GraphError(
                f"{name!r} is taken: every {type(self).__name__} answers self.{name} itself",
                where=f"self.{name} = ... in {type(self).__name__}",
                why="what was stored there could not be read again",
                fix=f"use another name: self.{name}_layer = ..."
                if isinstance(value, Layer)
                else f"use another name: self.my_{name} = ...",
            )
        super().__setattr__(name, value)

    def _is_reserved(self, name: str) -> bool:
        """Whether a layer's name would hide an attribute of the network."""
        first = name.split(".")[0]
        return hasattr(type(self), first) or first in self.__dict__ or first in _OWN_ATTRIBUTES

    def _compile(self) -> None:
        constants: dict[str, Any] = {}
        keys = {id(layer): key for key, layer in self._keys.items()}
        flat_inputs, flat_outputs = tree_flatten(self._inputs)[0], tree_flatten(self._outputs)[0]
        self.graph = graphs.fx_graph(flat_inputs, flat_outputs, self._order, keys, constants)
        for name, constant in constants.items():
            if not isinstance(constant, Tensor):
                self.__dict__[name] = constant  # not as a part of the network: an argument
            elif name not in self._buffers:
                self.register_buffer(name, constant, persistent=False)
        self._run = graphs.compile_graph(self.graph)

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_run": None, "graph": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        if self._is_graph:
            for node in self._order:  # copied layers know again where they stand
                if node.kind == "layer" and node not in node.target._nodes:
                    remember(node.target, node)
            self._compile()

    @property
    def hands_training_on(self) -> bool:  # type: ignore[override]  # a constant in plain layers
        return self._is_graph

    # Running

    def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        """Run the graph. A subclass made without inputs and outputs defines its own."""
        if not self._is_graph:
            return Layer.call(self, inputs)
        outputs, masks = self._run(self, training, *self._match_inputs(inputs))
        if any(mask is not None for mask in masks) and not torch.compiler.is_compiling():
            for output, output_mask in zip(outputs, masks):
                output._keras_mask = output_mask
        if is_symbolic(self._outputs):
            return outputs[0]
        return tree_unflatten(outputs, tree_flatten(self._outputs)[1])

    def _match_inputs(self, inputs: Any) -> list[Any]:
        """The inputs in the order of the graph, in their declared dtype and rank."""
        if is_symbolic(self._inputs) and isinstance(inputs, (list, tuple)) and len(inputs) == 1:
            inputs = inputs[0]
        elif is_symbolic(self._inputs) and isinstance(inputs, dict):
            inputs = _lookup(inputs, _input_name(self._inputs), self)
        values = _in_order(inputs, self._inputs, self)
        return [_fit(value, tensor, self) for value, tensor in zip(values, self.inputs)]

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """Masks of the outputs: known from the recording for a graph."""
        return None

    # What is in it

    @property
    def inputs(self) -> list[SymbolicTensor]:
        """The symbolic inputs, flat."""
        return tree_flatten(self._inputs)[0] if self._is_graph else []

    @property
    def outputs(self) -> list[SymbolicTensor]:
        """The symbolic outputs, flat."""
        return tree_flatten(self._outputs)[0] if self._is_graph else []

    @property
    def input(self) -> Any:
        return self._inputs if self._is_graph else super().input

    @property
    def output(self) -> Any:
        return self._outputs if self._is_graph else super().output

    @property
    def input_shape(self) -> Any:
        return self.input.shape if is_symbolic(self.input) else [x.shape for x in self.inputs]

    @property
    def output_shape(self) -> Any:
        return self.output.shape if is_symbolic(self.output) else [x.shape for x in self.outputs]

    @property
    def nodes(self) -> list[Node]:
        """The recorded calls in running order."""
        return list(self._order) if self._is_graph else []

    @property
    def layers(self) -> list[Layer]:
        """Its layers and entries in Keras' order (`order.py`); of a subclass, its attributes."""
        if not self._is_graph:
            return list(self.sublayers())
        return layer_order(self.inputs, self._outputs)

    def sublayers(self) -> Iterator[Layer]:
        """The layers that hold weights, in the order of `layers`: `weights` is in Keras' order."""
        if not self._is_graph:
            yield from super().sublayers()
            return
        yield from (layer for layer in self.layers if not isinstance(layer, InputLayer))

    def keys(self) -> dict[str, Layer]:
        """Each layer under its key in `state_dict`."""
        if self._is_graph:
            return dict(self._keys)
        return dict(_below(self))

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """The layer of this name or at this position in `layers`.

        Raises: ArgumentError: there is none; the message names the closest.
        """
        if index is not None:
            if not -len(self.layers) <= index < len(self.layers):
                raise ArgumentError(
                    f"{self.name!r} has {len(self.layers)} layers, there is none at {index}",
                    where="get_layer(index=...)",
                    why="layers are counted from 0, and from -1 backwards",
                    fix=f"get_layer(index={len(self.layers) - 1})"
                    if self.layers
                    else "add layers first",
                )
            return self.layers[index]
        keys = self.keys()
        by_name = {layer.name: layer for layer in self.layers} | keys
        if name in keys:
            return keys[name]
        if len(alike := [key for key, layer in keys.items() if layer.name == name]) > 1:
            raise ArgumentError(
                f"{self.name!r} has {len(alike)} layers named {name!r}",
                where="get_layer(name=...)",
                why="one name must mean one layer",
                fix=f"by its key: one of {', '.join(alike)}",
            )
        if name in by_name:
            return by_name[name]
        raise ArgumentError(
            f"{self.name!r} has no layer {name!r}.{did_you_mean(str(name), by_name)}",
            where="get_layer(name=...)",
            why="a layer has the name it was given, else its class's, numbered in the network",
            fix=f"one of: {', '.join(by_name)}" if by_name else "build it on one batch first",
        )

    def run_for_shapes(self, *args: Any, **kwargs: Any) -> Any:
        return super().run_for_shapes(*args, **kwargs)


def _below(module: nn.Module, prefix: str = "") -> Iterator[tuple[str, Layer]]:
    """The layers directly below, through containers, each under its key in `state_dict`."""
    for name, child in module.named_children():
        if isinstance(child, Layer):
            yield prefix + name, child
        else:
            yield from _below(child, f"{prefix}{name}.")


def _in_order(given: Any, wanted: Any, network: Network) -> list[Any]:
    """The values of a structure, in the order in which the network's own structure has them."""
    if is_symbolic(wanted):
        if isinstance(given, (list, tuple, dict)) and _holds_tensors(given):
            raise one_input(network, len(given))
        return [given]
    if isinstance(wanted, dict):
        pairs = [(_lookup(given, key, network), part) for key, part in wanted.items()]
    elif isinstance(given, dict):  # by the names of the inputs
        pairs = [(_lookup(given, _input_name(part), network), part) for part in wanted]
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
    return [value for part_given, part in pairs for value in _in_order(part_given, part, network)]


def _lookup(inputs: Any, key: str, network: Network) -> Any:
    if isinstance(inputs, dict) and key in inputs:
        return inputs[key]
    given = list(inputs) if isinstance(inputs, dict) else type(inputs).__name__
    own = network.input
    names = list(own) if isinstance(own, dict) else [_input_name(x) for x in network.inputs]
    raise ShapeError(
        f"network {network.name!r} has an input {key!r} that was not given",
        where=f"inputs: {given}",
        why="inputs in a dict are found by their names",
        fix=f"give a dict with the keys {names}",
    )


def _input_name(tensor: SymbolicTensor) -> str:
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


def _fit(value: Any, wanted: SymbolicTensor, network: Network) -> Any:
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
