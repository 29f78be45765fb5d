"""The base of layers that hold another layer and do more with it."""

from __future__ import annotations

from typing import Any, Unpack

from stroma.core.axes import Shape
from stroma.core.errors import ArgumentTypeError
from stroma.core.layer import Layer, LayerOptions
from stroma.core.recording import recorded_shape
from stroma.core.registry import resolve
from stroma.layers.registry import layers_registry


class Wrapper(Layer):
    """A layer around another one: subclass it, and use `self.layer` in `call`.

    The layer inside is built with the shape that the wrapper is built with, its weights are the
    wrapper's, and the config holds its config.

    Args:
        layer: The layer inside, or its config.
    Raises: ArgumentTypeError: it is no layer.
    Example:
        >>> from stroma import layers
        >>> class Twice(layers.Wrapper):
        ...     def call(self, inputs):
        ...         return self.layer(self.layer(inputs))
        >>> Twice(layers.Dense(3))(torch.zeros(2, 3)).shape
        torch.Size([2, 3])
    """

    def __init__(self, layer: Layer | dict[str, Any], **options: Unpack[LayerOptions]) -> None:
        super().__init__(**options)
        self.layer = resolve(layers_registry, layer) if isinstance(layer, dict) else layer
        if not isinstance(self.layer, Layer):
            owner = type(self).__name__
            raise ArgumentTypeError(
                f"{owner} wraps a layer, got {layer!r} ({type(layer).__name__})",
                where=f"{owner}(layer)",
                why="it builds the layer and has its weights",
                fix=f"{owner}(Dense(10)); a torch module goes in TorchModuleWrapper(module) first, "
                "a function in Lambda(function)",
            )

    def build(self, input_shape: Shape) -> None:
        """Build the layer inside. Call it, as `super().build(...)`, where you override it."""
        if not self.layer.built:
            recorded_shape(self.layer, input_shape)
