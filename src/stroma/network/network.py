"""`Network`: layers as a graph (inputs and outputs given) or as a user's own `call`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from torch import Tensor, fx, nn
from torch.utils._pytree import tree_flatten, tree_unflatten

from stroma.core.errors import ArgumentError, GraphError, did_you_mean
from stroma.core.inputs import InputLayer
from stroma.core.layer import Layer
from stroma.core.masks import attach_masks
from stroma.core.recording import remember
from stroma.core.symbolic import Node, SymbolicTensor, is_symbolic
from stroma.core.tracking import Container
from stroma.network import graph as graphs
from stroma.network.matching import fit, in_order, input_name, lookup
from stroma.network.order import layer_order
from stroma.network.replay import MaskedRun, Ranks, replay

_OWN_ATTRIBUTES = {"graph", "_inputs", "_outputs", "_order", "_keys", "_run", "_masked_runs"}


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
        self._masked_runs: dict[Ranks, MaskedRun] = {}
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
        self._masked_runs = {}
        self.graph = self._graph_of(self.inputs, self.outputs, self._order, {})
        self._run = graphs.compile_graph(self.graph)

    def _graph_of(
        self,
        inputs: list[SymbolicTensor],
        outputs: list[SymbolicTensor],
        nodes: list[Node],
        constants: dict[str, Any],
    ) -> fx.Graph:
        """The nodes as code whose constants are attributes of this network."""
        keys = {id(layer): key for key, layer in self._keys.items()}
        known = set(constants)
        graph = graphs.fx_graph(inputs, outputs, nodes, keys, constants)
        for name, constant in constants.items():
            if name in known:
                continue
            if not isinstance(constant, Tensor):
                self.__dict__[name] = constant  # not as a part of the network: an argument
            elif name not in self._buffers:
                self.register_buffer(name, constant, persistent=False)
        return graph

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_run": None, "graph": None, "_masked_runs": {}}

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

    def call(
        self, inputs: Any, training: Any = None, mask: Any = None, *, with_masks: bool = False
    ) -> Any:
        """Run the graph. A subclass made without inputs and outputs defines its own.

        Masks of inputs go where the layers take them; those of outputs are their `_keras_mask`,
        or come out as well, in flat order, `with_masks`.
        """
        if not self._is_graph:
            return Layer.call(self, inputs)
        given = self._match_masks(mask)
        run = self._run if all(one is None for one in given) else self._masked_run(given).run
        given = [one for one in given if one is not None]
        outputs, masks = run(self, training, *self._match_inputs(inputs), *given)
        single = is_symbolic(self._outputs)
        result = outputs[0] if single else tree_unflatten(outputs, self._output_structure)
        if with_masks:
            return result, masks
        for output, output_mask in zip(outputs, masks):
            if output_mask is not None:
                attach_masks(output, output_mask)
        return result

    @property
    def _output_structure(self) -> Any:
        return tree_flatten(self._outputs)[1]

    def _match_masks(self, mask: Any) -> list[Any]:
        """A mask or None for each input, in the order of the graph."""
        if mask is None:
            return [None] * len(self.inputs)
        if is_symbolic(self._inputs) and isinstance(mask, (list, tuple)) and len(mask) == 1:
            mask = mask[0]
        elif is_symbolic(self._inputs) and isinstance(mask, dict):
            mask = lookup(mask, input_name(self._inputs), self)
        return in_order(mask, self._inputs, self)

    def _masked_run(self, masks: list[Any]) -> MaskedRun:
        """The graph recorded anew on inputs with masks of these ranks, once for each pattern."""
        ranks = tuple(None if mask is None else len(mask.shape) for mask in masks)
        if ranks not in self._masked_runs:
            inputs, outputs = replay(self, ranks)
            nodes = graphs.reachable(
                inputs, outputs + [t.mask for t in outputs if t.mask is not None]
            )
            held = (*self.__dict__, *self._buffers)
            constants = {name: None for name in held if name.startswith("constant_")}
            graph = self._graph_of(inputs, outputs, nodes, constants)
            self._masked_runs[ranks] = MaskedRun(
                graphs.compile_graph(graph), any(tensor.mask is not None for tensor in outputs)
            )
        return self._masked_runs[ranks]

    def masks_come_out(self, mask: Any) -> bool:
        """Whether outputs have masks, when the inputs have these."""
        if not self._is_graph:
            return False
        given = self._match_masks(mask)
        if all(one is None for one in given):
            return any(tensor.mask is not None for tensor in self.outputs)
        return self._masked_run(given).masks_outputs

    def _match_inputs(self, inputs: Any) -> list[Any]:
        """The inputs in the order of the graph, in their declared dtype and rank."""
        if is_symbolic(self._inputs) and isinstance(inputs, (list, tuple)) and len(inputs) == 1:
            inputs = inputs[0]
        elif is_symbolic(self._inputs) and isinstance(inputs, dict):
            inputs = lookup(inputs, input_name(self._inputs), self)
        values = in_order(inputs, self._inputs, self)
        return [fit(value, tensor, self) for value, tensor in zip(values, self.inputs)]

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
