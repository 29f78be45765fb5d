"""A functional graph from plain data: its calls made again, each when what it needs is there."""

from __future__ import annotations

import heapq
import inspect
import math
from typing import TYPE_CHECKING, Any

import torch

from stroma.core.dtypes import to_dtype
from stroma.core.errors import StromaError
from stroma.core.layer import Layer
from stroma.core.names import is_keyword_name, snake_case
from stroma.core.symbolic import any_symbolic
from stroma.network.network import Network
from stroma.network.order import leaves
from stroma.saving import vocabulary
from stroma.saving.describe import is_nested_graph
from stroma.saving.operations import find_operation, is_operation, surplus_settings

if TYPE_CHECKING:
    from stroma.saving.rebuild import Rebuilder


class GraphReader:
    """Records a functional graph again, call by call."""

    def __init__(self, owner: Rebuilder, config: dict[str, Any], entries: list[Any]) -> None:
        self.owner, self.config = owner, config
        self.callables: dict[str, Any] = {}
        self.settings: dict[str, dict[str, Any]] = {}
        self.outputs: dict[tuple[str, int], list[Any]] = {}  # flat, by layer and call
        self.nested: set[str] = set()
        self.waiting: dict[tuple[str, int], tuple[float, int, dict[str, Any]]] = {}
        for entry in entries:
            self._enter(entry)

    def _enter(self, entry: Any) -> None:
        bad = self.owner.bad
        name = entry.get("name") if isinstance(entry, dict) else None
        if not isinstance(name, str):
            raise bad("a layer in the graph has no name")
        if name in self.callables:
            raise bad(f"two layers are called {name!r}")
        if is_input(entry):
            tensor = self.owner.input({"name": name, **entry["config"]})
            self.callables[name] = tensor
            self.outputs[name, 0] = [tensor]
            return
        module, kind = entry.get("module"), entry.get("class_name")
        if is_operation(module):
            operation = find_operation(module, kind)
            if operation is None:
                raise vocabulary.unknown(f"{module}.{kind}", where=self.owner.where)
            settings = self._checked_keywords(entry.get("config"), name)
            surplus = surplus_settings(kind, settings)
            if effective := [key for key, matters in surplus.items() if matters]:
                raise bad(f"the operation {kind} has the setting {effective[0]!r}")
            settings = {k: v for k, v in settings.items() if k not in {*surplus, "name"}}
            self.callables[name] = operation
            self.settings[name] = self._keywords(settings, name)
        else:
            layer = self.owner.layer(entry)
            self.callables[name] = layer
            if is_nested_graph(layer):
                self.nested.add(name)
        nodes = entry.get("inbound_nodes") or []
        if not isinstance(nodes, list):
            raise bad(f"the calls of {name!r} are not a list")
        for index, node in enumerate(nodes):
            if isinstance(node, list):  # as Keras 2 wrote them: lists of [layer, call, output, {}]
                node = _from_keras_2(node)
            if not isinstance(node, dict) or not isinstance(node.get("args"), list):
                raise bad(f"a call of {name!r} has no arguments")
            order = node.get("order")
            place = float(order) if type(order) is int else math.inf
            self.waiting[name, index] = (place, len(self.waiting), node)

    def network(self, cls: type[Network]) -> Network:
        self._run_in_order()
        if "input_layers" not in self.config or "output_layers" not in self.config:
            raise self.owner.bad("the graph does not say its inputs and outputs")
        inputs = self._ends(self.config["input_layers"])
        network = cls(inputs=inputs, outputs=self._ends(self.config["output_layers"]))
        self.owner.named(network, self.config, snake_case(cls.__name__))
        return network

    def layers(self) -> list[Layer]:
        """The layers as the file lists them."""
        return [target for target in self.callables.values() if isinstance(target, Layer)]

    def _run_in_order(self) -> None:
        """Make each call as soon as what it needs is there, in the order of the file."""
        needed: dict[tuple[str, int], set[tuple[str, int]]] = {}
        users: dict[tuple[str, int], list[tuple[str, int]]] = {}
        for (name, index), (_, _, node) in self.waiting.items():
            wanted = {(h[0], h[1]) for h in self._histories((node["args"], node.get("kwargs")))}
            if index:
                wanted.add((name, index - 1))
            wanted = {key for key in wanted if key not in self.outputs}
            needed[name, index] = wanted
            for key in wanted:
                users.setdefault(key, []).append((name, index))
        ready = [(*self.waiting[key][:2], key) for key, wanted in needed.items() if not wanted]
        heapq.heapify(ready)
        done = 0
        while ready:
            *_, key = heapq.heappop(ready)
            self._run(key)
            done += 1
            for user in users.get(key, ()):
                needed[user].discard(key)
                if not needed[user]:
                    heapq.heappush(ready, (*self.waiting[user][:2], user))
        if done < len(self.waiting):
            stuck = next(key for key, wanted in needed.items() if wanted)
            raise self.owner.bad(f"the graph runs in a circle, or {stuck[0]!r} has no input")

    def _run(self, key: tuple[str, int]) -> None:
        name, _ = key
        node = self.waiting[key][2]
        args = [self._value(value) for value in node["args"]]
        kwargs = self._keywords(node.get("kwargs"), name)
        target = self.callables[name]
        try:
            if isinstance(target, Layer):
                kwargs = {k: v for k, v in kwargs.items() if v is not None or k == "training"}
                if "training" in kwargs and kwargs["training"] in (None, _by_itself(target)):
                    del kwargs["training"]  # Keras writes defaults too: the model decides
                outputs = target(*args, **kwargs)
            else:
                if not any_symbolic(args, kwargs):
                    raise ValueError("it is given no tensor of the network")
                outputs = target(*args, **kwargs, **self.settings[name])
        except StromaError:
            raise
        except Exception as error:
            raise self.owner.bad(f"{name!r} cannot be called as it says: {error}") from error
        self.outputs[key] = leaves(outputs)

    def _checked_keywords(self, described: Any, name: str) -> dict[str, Any]:
        """Keyword arguments whose names are names and nothing more: they become code."""
        if described is not None and not isinstance(described, dict):
            raise self.owner.bad(f"the keyword arguments of {name!r} are not a dict")
        for key in described or {}:
            if not is_keyword_name(key):
                raise self.owner.bad(f"{name!r} has a keyword argument called {key[:60]!r}")
        return described or {}

    def _keywords(self, described: Any, name: str) -> dict[str, Any]:
        return {k: self._value(v) for k, v in self._checked_keywords(described, name).items()}

    def _histories(self, value: Any) -> list[list[Any]]:
        """Every reference to a tensor in some arguments."""
        found, stack = [], [value]
        while stack:
            item = stack.pop()
            if isinstance(item, dict):
                if item.get("class_name") == "__keras_tensor__":
                    found.append(self._history(item))
                else:
                    stack += item.values()
            elif isinstance(item, (list, tuple)):
                stack += item
        return found

    def _history(self, described: dict[str, Any]) -> list[Any]:
        config = described.get("config")
        history = config.get("keras_history") if isinstance(config, dict) else None
        if not (isinstance(history, list) and [type(part) for part in history] == [str, int, int]):
            raise self.owner.bad(f"a tensor's origin is {str(history)[:60]}")
        if history[0] not in self.callables:
            raise self.owner.bad(f"a tensor comes from {history[0]!r}, and there is no such layer")
        return history

    def _tensor(self, name: Any, index: Any, position: Any) -> Any:
        outputs = self.outputs.get((name, index)) if type(index) is int else None
        if outputs is None or type(position) is not int or not 0 <= position < len(outputs):
            raise self.owner.bad(f"there is no output {position!r} of call {index!r} of {name!r}")
        return outputs[position]

    def _ends(self, described: Any) -> Any:
        if isinstance(described, dict):
            return {key: self._ends(value) for key, value in described.items()}
        if not isinstance(described, list):
            raise self.owner.bad(f"an input or output is {str(described)[:60]!r}")
        if len(described) == 3 and isinstance(described[0], str):
            name, index, position = described
            if name in self.nested and type(index) is int:
                index -= 1  # Keras counts the calls of a nested graph from 1 here
            return self._tensor(name, index, position)
        return [self._ends(item) for item in described]

    def _value(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._value(item) for item in value]
        if not isinstance(value, dict):
            return value
        kind, config = value.get("class_name"), value.get("config")
        if kind is None:
            return {key: self._value(item) for key, item in value.items()}
        if kind == "__keras_tensor__":
            return self._tensor(*self._history(value))
        if kind == "__slice__" and isinstance(config, dict):
            return slice(*(self._value(config.get(part)) for part in ("start", "stop", "step")))
        if kind == "__ellipsis__":
            return Ellipsis
        if kind == "__dtype__" and isinstance(config, dict):
            return to_dtype(config.get("name"))
        if kind in ("__tensor__", "__numpy__"):
            return torch.as_tensor(self.owner.constant(value))
        raise vocabulary.unknown(kind, where=self.owner.where)


def _from_keras_2(node: list[Any]) -> dict[str, Any]:
    """`[[layer, call, output, {}], ...]` in today's form."""
    tensors = [
        {"class_name": "__keras_tensor__", "config": {"keras_history": list(part[:3])}}
        for part in node
        if isinstance(part, list)
    ]
    kwargs = node[0][3] if node and isinstance(node[0], list) and len(node[0]) > 3 else {}
    return {"args": tensors if len(tensors) == 1 else [tensors], "kwargs": kwargs}


def is_input(described: Any) -> bool:
    return (
        isinstance(described, dict)
        and described.get("class_name") == "InputLayer"
        and isinstance(described.get("config"), dict)
    )


def _by_itself(layer: Layer) -> Any:
    """What `training` is when the layer is called outside a model and nobody says."""
    parameter = inspect.signature(layer.call).parameters.get("training")
    return None if parameter is None else parameter.default
