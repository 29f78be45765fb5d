"""Layers as plain data and back, by the closed table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stroma.core.config import serialise
from stroma.core.errors import ArgumentTypeError
from stroma.core.layer import Layer
from stroma.core.registry import registries
from stroma.layers.registry import layers_registry, refuse_unsafe


def serialize(layer: Layer) -> dict[str, Any]:
    """A layer as `{"module", "class_name", "config", "registered_name"}`, without its numbers.

    Args:
        layer: Any layer or network.
    Raises: ArgumentTypeError: it is no layer; GraphError: it holds a function or a torch module.
    Example:
        >>> from stroma import layers
        >>> serialize(layers.Flatten(name="f"))["class_name"]
        'Flatten'
    """
    if not isinstance(layer, Layer):
        raise ArgumentTypeError(
            f"serialize takes a layer, got {layer!r} ({type(layer).__name__})",
            where="layers.serialize(layer)",
            why="other things have a serialize in their own rooms",
            fix="layers.serialize(Dense(10))",
        )
    described: dict[str, Any] = serialise(layer)
    return described


def deserialize(config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The layer that `serialize` described, new: its class is looked up, nothing is imported.

    Args:
        config: What `serialize` gave.
        custom_objects: Own classes by the names under which `config` holds them.
    Raises: ArgumentError: a name that no table has; FileFormatError: a layer that is code.
    Example:
        >>> from stroma import layers
        >>> deserialize(serialize(layers.Dense(3))).units
        3
    """
    made = _made(config, dict(custom_objects or {}))
    if isinstance(made, Layer):
        return made
    raise ArgumentTypeError(
        f"deserialize takes what layers.serialize gave, got {str(config)[:60]}",
        where="layers.deserialize(config)",
        why="a layer is found by its 'class_name' and made from its 'config'",
        fix="layers.deserialize({'class_name': 'Dense', 'config': {'units': 10}})",
    )


def _made(value: Any, custom: dict[str, Any]) -> Any:
    """The layers in a value made, those within others first; the rest as it is."""
    if isinstance(value, list):
        return [_made(item, custom) for item in value]
    if not isinstance(value, Mapping):
        return value
    name, config = value.get("class_name"), value.get("config")
    if not isinstance(name, str) or not isinstance(config, Mapping):
        return {key: _made(item, custom) for key, item in value.items()}
    networks = registries().get("network")  # filled where `stroma.models` is in use
    if name in custom:
        found = custom[name]
    elif networks is not None and name in networks:  # its config is a graph, which it reads itself
        return networks.lookup(name).from_config(dict(config))
    elif name in layers_registry or value.get("module") == layers_registry.keras_module:
        refuse_unsafe(name, where=f"layers.deserialize: {name}")
        found = layers_registry.lookup(name)
    else:
        return value  # an initializer or the like: the layer that takes it looks it up
    return found.from_config({key: _made(item, custom) for key, item in config.items()})
