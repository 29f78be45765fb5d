"""Any object of stroma as plain data and back, through the same closed tables as files."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import torch

from stroma.core.config import Configurable, serialise
from stroma.core.custom_objects import get_registered_name, in_scope
from stroma.core.dtypes import dtype_name, to_dtype
from stroma.core.layer import Layer
from stroma.core.registry import registries
from stroma.saving import archive, vocabulary
from stroma.saving.describe import describe_layer, inline_constant
from stroma.saving.rebuild import Rebuilder


def serialize_keras_object(obj: Any) -> Any:
    """A layer, model, loss, function, tensor or structure of them as JSON's types.

    Example:
        >>> from stroma import losses
        >>> described = serialize_keras_object(losses.MeanSquaredError())
        >>> described["module"], described["class_name"]
        ('keras.losses', 'MeanSquaredError')
    """
    if isinstance(obj, (list, tuple)):
        items = [serialize_keras_object(item) for item in obj]
        return items if isinstance(obj, list) else _marked("__tuple__", {"value": items})
    if isinstance(obj, dict):
        return {key: serialize_keras_object(value) for key, value in obj.items()}
    if isinstance(obj, Layer):
        return describe_layer(obj)
    if isinstance(obj, torch.dtype):
        return dtype_name(obj)
    if isinstance(obj, slice):
        return _marked("__slice__", {"start": obj.start, "stop": obj.stop, "step": obj.step})
    if callable(obj) and not isinstance(obj, Configurable):
        return _function(obj)
    constant = inline_constant(obj)
    return vocabulary.plain(serialise(obj)) if constant is None else constant


def _marked(kind: str, config: dict[str, Any]) -> dict[str, Any]:
    return {"class_name": kind, "config": config}


def _function(function: Any) -> dict[str, Any]:
    for registry in registries().values():
        if (name := registry.name_of(function)) is not None:
            described = {"module": registry.keras_module, "class_name": "function"}
            return {**described, "config": name, "registered_name": name}
    name = get_registered_name(function)
    return {"module": None, "class_name": "function", "config": name, "registered_name": name}


def deserialize_keras_object(
    config: Any, custom_objects: Mapping[str, Any] | None = None, safe_mode: bool = True
) -> Any:
    """The object that `serialize_keras_object`, stroma's or Keras', described.

    Args:
        config: The description.
        custom_objects: Own classes and functions by the names in it.
        safe_mode: Accepted; nothing in a description is ever run, whatever it says.
    Raises: FileFormatError: it names what no table has.
    Example:
        >>> from stroma import layers
        >>> deserialize_keras_object(serialize_keras_object(layers.Dense(3))).units
        3
    """
    archive.check_depth(config, where="deserialize_keras_object")
    return _Reader(custom_objects).object(config)


class _Reader(Rebuilder):
    def __init__(self, custom_objects: Mapping[str, Any] | None) -> None:
        super().__init__(custom_objects, where="deserialize_keras_object")

    def object(self, config: Any) -> Any:
        if isinstance(config, list):
            return [self.object(item) for item in config]
        if not isinstance(config, dict):
            return config
        kind, inner = config.get("class_name"), config.get("config")
        if not isinstance(kind, str) or "config" not in config:
            return {key: self.object(item) for key, item in config.items()}
        if kind == "__tuple__" and isinstance(inner, dict):
            return tuple(self.object(inner.get("value", [])))
        if kind == "__slice__" and isinstance(inner, dict):
            return slice(*(self.object(inner.get(part)) for part in ("start", "stop", "step")))
        if kind == "__dtype__" and isinstance(inner, dict):
            return to_dtype(inner.get("name"))
        if kind == "function":
            return self._named_function(config)
        value = self.value(config)
        if not isinstance(value, dict):
            return value
        cls = vocabulary.builtin_class(value)
        if cls is None or not isinstance(value["config"], dict):
            raise vocabulary.unknown(kind, where=self.where)
        return cls.from_config(value["config"])  # type: ignore[attr-defined]  # all Configurable

    def _named_function(self, described: dict[str, Any]) -> Any:
        name, module = described.get("config"), described.get("module")
        if isinstance(name, str):
            own = in_scope(self.custom).get(name)
            if callable(own):
                return own
            for registry in registries().values():
                known = registry.lookup(name) if name in registry else None
                named = module in (registry.keras_module, "builtins")
                if named and callable(known) and not inspect.isclass(known):
                    return known
        raise vocabulary.unknown(name, where=self.where)
