"""Layers in a row as one layer, for data on its way into a model."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Unpack

from torch.utils._pytree import tree_map

from stroma.core.errors import ArgumentTypeError
from stroma.core.layer import BaseOptions, Layer
from stroma.core.registry import resolve
from stroma.layers.registry import layers_registry, register_layer


@register_layer("Pipeline")
class Pipeline(Layer):
    """Layers one after the other, of whatever the first one takes: a tensor, or a dictionary.

    Called on its own its augmentations augment, as each of them does; in a model the model's
    `training` decides. Inputs are not cast: each layer does that.

    Args:
        layers: Layers, or their configs, in order.
    Shape: (B, *) -> (B, *): what the first layer takes, and what the last one gives.
    Raises: ArgumentTypeError: something in the list is no layer.
    Example:
        >>> from stroma import layers
        >>> prepare = layers.Pipeline([layers.RandomFlip(), layers.Rescaling(1 / 255)])
        >>> prepare(torch.zeros(4, 8, 8, 3)).shape
        torch.Size([4, 8, 8, 3])

    Reference: Keras 3 `keras.layers.Pipeline`.
    """

    not_in_config = ("trainable", "dtype")
    mixes_precision = False

    def __init__(self, layers: Iterable[Any], **options: Unpack[BaseOptions]) -> None:
        super().__init__(**options)
        self.layers = [
            resolve(layers_registry, layer) if isinstance(layer, dict) else layer
            for layer in layers
        ]
        for layer in self.layers:
            if not isinstance(layer, Layer):
                raise ArgumentTypeError(
                    f"Pipeline: {layer!r} ({type(layer).__name__}) is no layer",
                    where="Pipeline(layers)",
                    why="each is called on what the one before it gives",
                    fix="Pipeline([layers.RandomFlip(), layers.Rescaling(1 / 255)]); a function "
                    "goes in layers.Lambda(function)",
                )
        self.autocast = False
        self.training = True

    def call(self, inputs: Any, training: bool = True, mask: Any = None) -> Any:
        for layer in self.layers:
            given = {"mask": mask} if layer._call_spec.mask else {}
            inputs = layer(inputs, training=training, **given)
            mask = tree_map(lambda leaf: getattr(leaf, "_keras_mask", None), inputs)
        return inputs
