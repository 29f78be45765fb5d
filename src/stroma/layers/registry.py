"""The closed table of layers: what a `.keras` file or a config may name."""

from __future__ import annotations

from stroma.core.inputs import InputLayer
from stroma.core.layer import Layer
from stroma.core.registry import Registry

layers_registry: Registry[type[Layer]] = Registry("layer", "keras.layers")
register_layer = layers_registry.register
OWN = frozenset({"ConvNeXtBlock", "StochasticDepth"})  # Keras has none: files say "stroma"

register_layer("InputLayer")(InputLayer)  # it stands below this room and cannot enter itself
