"""`SequentialNetwork`: a stack of layers, recorded at once when the input's shape is known."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import nn

from stroma.core.errors import ArgumentTypeError, GraphError
from stroma.core.inputs import Input, InputLayer
from stroma.core.layer import Layer
from stroma.core.names import numbered, snake_case
from stroma.core.symbolic import Node, SymbolicTensor, is_symbolic
from stroma.network.matching import one_input
from stroma.network.network import Network


class SequentialNetwork(Network):
    """Layers one after the other.

    With `Input(...)` first, or `input_shape=` in the first layer, it is built as layers are added;
    else on the first call.

    Args:
        layers: Layers to begin with.
        name: Its name.
        trainable: False freezes every layer in it.
    """

    def __init__(
        self, layers: Iterable[Any] | None = None, trainable: bool = True, name: str | None = None
    ) -> None:
        super().__init__(name=name)
        self._stack: list[Layer] = []
        self._entry: SymbolicTensor | None = None
        for layer in layers or ():
            self.add(layer, rebuild=False)
        self._rebuild()
        if not trainable:
            self.trainable = False

    def add(self, layer: Any, rebuild: bool = True) -> None:
        """Put a layer on top. `rebuild=False` waits with recording until the next use."""
        if is_symbolic(layer):
            layer = layer.node.target
        if isinstance(layer, InputLayer):
            if self._stack or self._entry is not None:
                raise GraphError(
                    "an Input comes first in a Sequential",
                    where=f"Sequential {self.name!r}",
                    why="it gives the shape that the first layer is built for",
                    fix="models.Sequential([Input((28, 28, 1)), ...])",
                )
            self._entry = layer.output
            return
        if not isinstance(layer, Layer):
            raise ArgumentTypeError(
                f"a Sequential holds layers, got {type(layer).__name__}",
                where=f"Sequential {self.name!r}.add(...)",
                why="each entry is called on the output of the one before, and keeps its weights",
                fix="wrap a torch module: layers.TorchModuleWrapper(module, layout='NCHW')"
                if isinstance(layer, nn.Module)
                else "add(layers.Dense(10))",
            )
        if any(layer is other for other in self._stack):
            raise GraphError(
                f"layer {layer.name!r} is already in this Sequential",
                where=f"Sequential {self.name!r}.add(...)",
                why="each layer of a Sequential stands at one place, under one key of state_dict",
                fix="make a new layer; to share one: x = layer(x), Model(inputs, outputs)",
            )
        if not self._stack and self._entry is None:
            if layer.declared_batch_shape is not None:
                self._entry = Input(
                    batch_shape=layer.declared_batch_shape, dtype=_input_dtype(layer)
                )
            elif isinstance(layer, Network) and layer._is_graph and is_symbolic(layer.input):
                self._entry = Input(batch_shape=layer.input.shape, dtype=layer.input.dtype)
        self._stack.append(layer)
        if rebuild:
            self._rebuild()

    def pop(self, rebuild: bool = True) -> Layer:
        """Take the top layer off."""
        layer = self._stack.pop()
        self._rebuild()
        return layer

    def _rebuild(self) -> None:
        """Record the stack again from its entry; without an entry, only register the layers."""
        self._modules.clear()
        self._is_graph = self.built = False
        if self._entry is not None and self._stack:
            outputs: Any = self._entry
            for layer in self._stack:
                recorded = _recorded_on(outputs, layer)
                if recorded is None:
                    layer._nodes.clear()
                    outputs = layer(outputs)
                else:
                    outputs = recorded.outputs
            self._record_graph(self._entry, outputs)
            return
        keys: dict[str, Layer] = {}
        for layer in self._stack:
            key = layer._given_name or numbered(snake_case(type(layer).__name__), keys)
            layer._network_name = layer._network_name or key
            keys[key] = layer
            self._modules[key] = layer

    def build(self, input_shape: Any) -> None:
        """Record the stack for inputs of this shape (with the batch axis)."""
        if not self._is_graph and self._stack:
            shapes = input_shape.values() if isinstance(input_shape, dict) else input_shape
            if all(isinstance(shape, (list, tuple)) for shape in shapes):
                if len(shapes) > 1:
                    raise one_input(self, len(shapes))
                (input_shape,) = shapes
            self._entry = Input(batch_shape=(None, *tuple(input_shape)[1:]))
            self._rebuild()

    def call(
        self, inputs: Any, training: Any = None, mask: Any = None, *, with_masks: bool = False
    ) -> Any:
        if not self._stack:
            return inputs
        return super().call(inputs, training=training, mask=mask, with_masks=with_masks)

    @property
    def layers(self) -> list[Layer]:
        """The layers, without the entry."""
        return list(self._stack)


def _recorded_on(inputs: Any, layer: Layer) -> Node | None:
    """Where the layer was recorded on `inputs`, so that n calls of `add` record n layers, not n².

    A network inside may have grown since: it is always recorded again.
    """
    if isinstance(layer, Network):
        return None
    return next((node for node in layer._nodes if node.args and node.args[0] is inputs), None)


def _input_dtype(layer: Layer) -> Any:
    return getattr(layer, "input_dtype", None)
