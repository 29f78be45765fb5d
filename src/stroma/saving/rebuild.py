"""Networks from plain data: every name looked up in closed tables, every size checked first."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from stroma.core.custom_objects import in_scope
from stroma.core.dtypes import to_dtype
from stroma.core.errors import FileFormatError, StromaError
from stroma.core.inputs import Input
from stroma.core.layer import Layer
from stroma.core.names import snake_case
from stroma.core.symbolic import SymbolicTensor, is_symbolic
from stroma.layers.registry import UNSAFE, layers_registry
from stroma.network.network import Network
from stroma.network.sequential import SequentialNetwork
from stroma.saving import vocabulary
from stroma.saving.describe import MAX_INLINE
from stroma.saving.graph_reader import GraphReader, is_input

MAX_LAYERS = 10_000
_PLAIN = ("name", "vocabulary")  # texts that name no function
MAX_SIZE = 2**40  # of one axis: beyond it, it is no size but an attack


class Rebuilder:
    """Makes layers and networks from their descriptions.

    Args:
        custom_objects: Classes and functions by the names under which the description holds them.
        where: The file, for messages.
    """

    def __init__(
        self, custom_objects: Mapping[str, Any] | None = None, *, where: str = "config"
    ) -> None:
        self.custom = in_scope(custom_objects)
        self.where = where
        self.made = 0
        self.shared: dict[Any, Any] = {}
        self.orders: dict[int, list[Layer]] = {}  # by network: its layers as the file lists them

    def bad(self, what: str, fix: str = "fetch or save the file again") -> FileFormatError:
        return FileFormatError(
            f"the network's description is not sound: {what}",
            where=self.where,
            why="what cannot be rebuilt exactly is not rebuilt at all",
            fix=fix,
        )

    # Layers

    def layer(self, described: Any, network_class: type[Network] | None = None) -> Layer:
        """A layer or network from `{"class_name": ..., "config": {...}}`."""
        if not isinstance(described, dict) or not isinstance(described.get("config"), dict):
            raise self.bad(f"expected a layer with a config, got {str(described)[:60]!r}")
        shared = described.get("shared_object_id")
        if isinstance(shared, int) and shared in self.shared:
            return self.shared[shared]  # type: ignore[no-any-return]
        self.made += 1
        self._check_count(self.made)
        cls = vocabulary.find_class(described, self.custom, where=self.where)
        if not (inspect.isclass(cls) and issubclass(cls, Layer)):
            raise self.bad(f"{described.get('class_name')!r} is not a layer")
        layer = self._make(network_class or cls, described)
        if isinstance(shared, int):
            self.shared[shared] = layer
        return layer

    def _check_count(self, count: int) -> None:
        if count > MAX_LAYERS:
            raise self.bad(f"it has more than {MAX_LAYERS:,} layers")

    def _make(self, cls: type[Layer], described: dict[str, Any]) -> Layer:
        config: dict[str, Any] = described["config"]
        _check_sizes(config, self)
        try:
            if issubclass(cls, Network) and "layers" in config:
                return self.network(cls, config)
            known = layers_registry.name_of(cls) is not None
            if known:
                config = vocabulary.accepted(config, cls, where=f"{self.where}: {cls.__name__}")
            return self._layer(cls, config, described)
        except (TypeError, ValueError, KeyError, AttributeError, RuntimeError) as error:
            if isinstance(error, StromaError):
                raise
            raise self.bad(
                f"{cls.__name__} cannot be made from its config: {error}",
                fix="check the class's __init__ and get_config against each other",
            ) from error

    def _layer(self, cls: type[Layer], config: dict[str, Any], described: dict[str, Any]) -> Layer:
        config = dict(config)
        if isinstance(config.get("vocabulary"), str):
            raise self.bad(
                f"a vocabulary is the file {config['vocabulary'][:60]!r}, which is not opened",
                fix="save the model again: the vocabulary then lies in the file itself",
            )
        name = config.get("name")
        if name is not None and not isinstance(name, str):
            raise self.bad(f"a layer is called {name!r}")
        automatic = isinstance(name, str) and _is_automatic(name, cls)
        if automatic:  # so that two files with a "dense" each can meet in one network
            config["name"] = None
        inherited = "from_config" not in {key for c in _above(cls) for key in c.__dict__}
        if inherited:  # a class with a from_config of its own reads its config itself
            config = {k: v if k in _PLAIN else self.value(v) for k, v in config.items()}
        try:
            layer = cls.from_config(config)
        except TypeError:
            if "name" not in config or config["name"] is not None:
                raise
            layer = cls.from_config({k: v for k, v in config.items() if k != "name"})
        if automatic:
            layer._network_name = name
        self._build(layer, described.get("build_config"))
        return layer

    def _build(self, layer: Layer, build_config: Any) -> None:
        """Build a network with a `call` of its own: it has no graph that would build it."""
        if not isinstance(layer, Network) or layer.built or not isinstance(build_config, dict):
            return
        shape = build_config.get("input_shape")
        if isinstance(shape, list) and shape:
            layer.compute_output_shape(_as_shapes(shape))

    def value(self, value: Any) -> Any:
        """A setting: plain data stays, described layers and own classes become objects."""
        if isinstance(value, list):
            return [self.value(item) for item in value]
        if isinstance(value, str):
            return self._function(value)
        if not isinstance(value, dict):
            return value
        kind, config = value.get("class_name"), value.get("config")
        if not isinstance(kind, str) or "config" not in value:
            return {key: self.value(item) for key, item in value.items()}
        if kind in ("__tensor__", "__numpy__"):
            return self.constant(value)
        if kind in UNSAFE and kind not in self.custom:
            vocabulary.find_class(value, self.custom, where=self.where)
        if kind == "function" and isinstance(config, str) and self._function(config) is not config:
            return self._function(config)
        own = self._own(value)
        if own is not None:
            if inspect.isclass(own) and issubclass(own, Layer):
                return self.layer(value)
            made = hasattr(own, "from_config") and isinstance(config, dict)
            return own.from_config(config) if made else own
        if kind in layers_registry or kind in vocabulary.networks_registry:
            return self.layer(value)
        if (cls := vocabulary.builtin_class(value)) is not None and isinstance(config, dict):
            _check_sizes(config, self)
            known = vocabulary.accepted(config, cls, where=f"{self.where}: {kind}")
            return {**value, "config": known}
        return value  # a dtype policy: the class that takes it looks it up

    def _function(self, name: str) -> Any:
        """An own function of this name, else the name: the class that takes it looks it up."""
        own = self.custom.get(name, vocabulary.registered(name))
        return own if callable(own) and not inspect.isclass(own) else name

    def _own(self, described: dict[str, Any]) -> Any:
        for key in (described.get("registered_name"), described.get("class_name")):
            if isinstance(key, str) and key in self.custom:
                return self.custom[key]
        return None

    def constant(self, described: dict[str, Any]) -> Any:
        """A small tensor or array that stands in the description."""
        config = described.get("config")
        if not isinstance(config, dict) or "value" not in config:
            raise self.bad("a constant has no value")
        try:
            array = np.asarray(config["value"])
            if array.dtype.kind not in "fiub" or array.size > MAX_INLINE:
                raise ValueError(f"{array.size:,} entries of kind {array.dtype}")
            tensor = torch.as_tensor(array).to(to_dtype(config.get("dtype", "float32")))
        except (ValueError, TypeError, OverflowError) as error:
            raise self.bad(f"a constant is not an array of numbers: {error}") from error
        return tensor if described["class_name"] == "__tensor__" else tensor.numpy()

    # Networks

    def network(self, cls: type[Network], config: dict[str, Any]) -> Network:
        """A network of class `cls` from the config of a graph or a stack."""
        entries = config.get("layers")
        if not isinstance(entries, list):
            raise self.bad("a network's 'layers' is not a list")
        self._check_count(self.made + len(entries))  # before the first of them is made
        graph = None
        if issubclass(cls, SequentialNetwork):
            network = self._stack(cls, config, entries)
        else:
            graph = GraphReader(self, config, entries)
            network = graph.network(cls)
        self.orders[id(network)] = network.layers if graph is None else graph.layers()
        if config.get("trainable") is False:
            network._trainable = False  # each layer's config says its own
        return network

    def named(self, network: Network, config: dict[str, Any], kind: str) -> None:
        """Give a network its name: as one that it numbered itself, where it looks like one."""
        name = config.get("name")
        if not isinstance(name, str):
            return
        if name in (kind, "model", "functional", "sequential") or _is_automatic(
            name, type(network)
        ):
            network._network_name = name
        else:
            network.name = name

    def _stack(self, cls: type[Network], config: dict[str, Any], entries: list[Any]) -> Network:
        layers: list[Any] = []
        for described in entries:
            if is_input(described):
                layers.append(self.input(described["config"]))
            else:
                layers.append(self.layer(described))
        shape = config.get("build_input_shape") or config.get("batch_input_shape")
        if shape and not (layers and is_symbolic(layers[0])):
            layers.insert(0, Input(batch_shape=_sizes(shape, self)))
        network = cls(layers)
        self.named(network, config, "sequential")
        return network

    def input(self, config: dict[str, Any]) -> SymbolicTensor:
        """The entry that an `InputLayer`'s config describes."""
        shape = config.get("batch_shape", config.get("batch_input_shape"))
        if config.get("sparse") or config.get("ragged"):
            raise self.bad("an input is sparse or ragged", fix="save the model with dense inputs")
        name, dtype = config.get("name"), config.get("dtype") or "float32"
        if isinstance(dtype, dict):
            dtype = (dtype.get("config") or {}).get("name", "float32")
        return Input(batch_shape=_sizes(shape, self), dtype=dtype, name=name)


def _is_automatic(name: str, cls: type) -> bool:
    base = snake_case(cls.__name__)
    return name == base or (name.startswith(f"{base}_") and name[len(base) + 1 :].isdigit())


def _above(cls: type) -> list[type]:
    """The classes that a user wrote: those above stroma's own `Layer`."""
    mro = cls.__mro__
    return [c for c in mro[: mro.index(Layer)] if not c.__module__.startswith("stroma.")]


def _as_shapes(shape: Any) -> Any:
    """JSON's lists as a shape, or as a list of shapes."""
    if isinstance(shape, list) and any(isinstance(item, list) for item in shape):
        return [_as_shapes(item) for item in shape]
    return tuple(shape)


def _sizes(shape: Any, owner: Rebuilder) -> tuple[int | None, ...]:
    whole = isinstance(shape, list) and all(
        size is None or (type(size) is int and 0 <= size < MAX_SIZE) for size in shape
    )
    if not whole or len(shape) > 64:
        raise owner.bad(f"an input has the shape {str(shape)[:60]}")
    return tuple(shape)


def _check_sizes(config: Any, owner: Rebuilder) -> None:
    """Refuse numbers in a config that can be no size, count or setting."""
    stack = [config]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            stack += item.values()
        elif isinstance(item, list):
            stack += item
        elif type(item) is int and abs(item) >= 2**63:
            raise owner.bad(f"it holds the number {str(item)[:40]}, which is no size")
