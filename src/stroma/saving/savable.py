"""What a model can do with files and configs: the methods that `Model` has from this room."""

from __future__ import annotations

import copy
import inspect
import json
import warnings
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any, Self

from stroma.core.custom_objects import in_scope
from stroma.core.errors import ArgumentError
from stroma.network.network import Network
from stroma.saving import archive, keras_format, weight_files
from stroma.saving.describe import describe_layer, has_graph_config, network_config
from stroma.saving.rebuild import Rebuilder
from stroma.saving.training_state import compile_arguments, compile_config


class Savable(Network):
    """Mixed into `Model`: files, configs, JSON."""

    def save(
        self,
        filepath: str | PathLike[str],
        overwrite: bool = True,
        zipped: bool | None = None,
        *,
        include_optimizer: bool = True,
        extra: Mapping[str, Any] | None = None,
    ) -> Path:
        """Write the whole model to a `.keras` file, which Keras 3 opens too, or a `.safetensors`.

        Args:
            filepath: File to write. `.safetensors` leaves out how the model was compiled.
            overwrite: False: refuse when the file is there.
            zipped: Must not be False: a folder is not written.
            include_optimizer: False leaves out how it was compiled.
            extra: Plain data to keep with it (class names, preprocessing): `saving.read_extra`.
        """
        return keras_format.save_model(
            self, filepath, overwrite, zipped, include_optimizer=include_optimizer, extra=extra
        )

    def save_weights(
        self,
        filepath: str | PathLike[str],
        overwrite: bool = True,
        max_shard_size: float | None = None,
    ) -> Path:
        """Write the weights alone: `.weights.h5` (Keras' layout), `.safetensors` or `.pth`."""
        return weight_files.save_weights(self, filepath, overwrite, max_shard_size)

    def load_weights(
        self, filepath: str | PathLike[str], skip_mismatch: bool = False, **options: Any
    ) -> None:
        """Load weights: `.weights.h5`, `.keras`, `.safetensors`, `.pth`.

        Args:
            filepath: The file.
            skip_mismatch: Pass over what differs, with a warning; else all or none is loaded.
            options: `head=`: how the names of the head begin, which may differ.
        """
        weight_files.load_weights(self, filepath, skip_mismatch, **options)

    def get_compile_config(self) -> dict[str, Any]:
        """How it was compiled, as plain data; empty when it was not, or holds a lambda."""
        compiled = getattr(self, "_compiled", None)
        return {} if compiled is None else compile_config(compiled) or {}

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compile as `get_compile_config` says. A class with a `compile` of its own overrides both.

        Args:
            config: What `get_compile_config` gave.
        """
        compile = getattr(self, "compile", None)
        if compile is None or not compile.__func__.__module__.startswith("stroma."):
            warnings.warn(
                f"{type(self).__name__} has a compile() of its own, so it was loaded without being"
                " compiled: call compile(), or define get_compile_config() and"
                " compile_from_config(config)",
                stacklevel=3,
            )
            return
        arguments = compile_arguments(config, in_scope(), where="compile_from_config")
        if arguments is not None:
            compile(**arguments)

    def get_config(self) -> dict[str, Any]:
        """The graph or stack as plain data; of a subclass, its constructor's arguments."""
        if has_graph_config(self):
            return network_config(self)
        config = {
            **self._captured_config(Savable),
            "name": self.name,
            "trainable": self.trainable,
            "dtype": self.dtype_policy.name,
        }
        parameters = inspect.signature(type(self)).parameters
        takes_all = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
        return {
            key: value
            for key, value in config.items()
            if (takes_all or key in parameters) and key not in ("inputs", "outputs")
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None
    ) -> Self:
        """A new model, its weights at their initial values, from what `get_config` gave."""
        if not isinstance(config.get("layers"), list):
            return cls(**config)
        archive.check_depth(config, where=f"{cls.__name__}.from_config")
        network = Rebuilder(custom_objects).network(cls, copy.deepcopy(config))
        assert isinstance(network, cls)
        return network

    def to_json(self, **options: Any) -> str:
        """The model's class and config as JSON, for `model_from_json`.

        Args:
            options: Passed to `json.dumps`.
        """
        return json.dumps(describe_layer(self), **options)


def model_from_json(json_string: str, custom_objects: Mapping[str, Any] | None = None) -> Network:
    """A new model from what `to_json` wrote: the same closed vocabulary as for files.

    Args:
        json_string: What `to_json` gave.
        custom_objects: Own classes and functions, by the names in the JSON.
    Raises: FileFormatError: it names what stroma does not know.
    Example:
        >>> from stroma import layers, models
        >>> model = models.Sequential([layers.Input((3,)), layers.Dense(2)])
        >>> model_from_json(model.to_json()).count_params()
        8
    """
    described = archive.read_json(Path("json"), "json_string", json_string.encode())
    network = Rebuilder(custom_objects, where="model_from_json").layer(described)
    if isinstance(network, Network):
        return network
    raise ArgumentError(
        f"the JSON describes a {type(network).__name__}, not a model",
        where="model_from_json(json_string)",
        why="only a network can be trained and saved by itself",
        fix="give what model.to_json() wrote",
    )
