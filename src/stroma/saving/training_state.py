"""How a model was compiled, and what its optimizer keeps, in Keras' files and back."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from stroma import losses, metrics, optimizers, schedules  # noqa: F401  # schedules by name
from stroma.core.config import Configurable
from stroma.core.errors import FileFormatError, WeightsError
from stroma.core.layer import Layer
from stroma.core.registry import registries
from stroma.core.weight import Weight
from stroma.network.network import Network
from stroma.optimizers import Optimizer, Slot
from stroma.saving.arrays import Order, as_array, ordered_layers
from stroma.saving.hdf5 import StoredArrays
from stroma.saving.vocabulary import REGISTERED, accepted, plain, registered_name, unknown

# A metric with more thresholds or classes would fill the memory; a schedule may count many steps
MAX_SETTING = {"loss": 100_000, "metric": 100_000, "optimizer": 2**40}


def compile_config(compiled: Any) -> dict[str, Any] | None:
    """`fitting.Compiled` as Keras' `compile_config`; None when a function in it has no name."""
    given = compiled.objective.given
    unnamed = [
        value
        for value in _functions([given, compiled.optimizer])
        if getattr(value, "__name__", "") == "<lambda>"
    ]
    if unnamed:
        warnings.warn(
            "the model is saved without how it was compiled: a lambda in compile(...) has no name "
            "that a file could hold; use a def",
            stacklevel=4,
        )
        return None
    return {
        "optimizer": plain(compiled.optimizer),
        "loss": _named(given["loss"]),
        "loss_weights": plain(given["loss_weights"]),
        "metrics": _named(given["metrics"]),
        "weighted_metrics": _named(given["weighted_metrics"]),
        "run_eagerly": False,
        "steps_per_execution": 1,
        "jit_compile": compiled.jit_compile is True,
    }


def _functions(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from _functions(item)
    elif callable(value) and not isinstance(value, Configurable):
        yield value


def _named(value: Any) -> Any:
    """Losses or metrics as a file holds them: names, and configs of objects."""
    if isinstance(value, dict):
        return {key: _named(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_named(item) for item in value]
    known = any(registry.name_of(value) for registry in registries().values())
    if callable(value) and not isinstance(value, Configurable) and not known:
        name = registered_name(value)
        return {"module": None, "class_name": "function", "config": name, "registered_name": name}
    return plain(value)


def compile_arguments(
    config: Any, custom: Mapping[str, Any], *, where: str
) -> dict[str, Any] | None:
    """The arguments of `compile` that a file's `compile_config` holds; None when it holds none.

    Raises: FileFormatError: it names something that no table has.
    """
    if not isinstance(config, dict) or not config.get("optimizer"):
        return None
    arguments = {
        "optimizer": _revive(config["optimizer"], "optimizer", custom, where),
        "loss": _revive(config.get("loss"), "loss", custom, where),
        "loss_weights": config.get("loss_weights"),
        "metrics": _revive(config.get("metrics"), "metric", custom, where),
        "weighted_metrics": _revive(config.get("weighted_metrics"), "metric", custom, where),
    }
    return {key: value for key, value in arguments.items() if value is not None}


def _revive(value: Any, kind: str, custom: Mapping[str, Any], where: str) -> Any:
    registry = registries()[kind]
    if isinstance(value, list):
        return [_revive(item, kind, custom, where) for item in value]
    if isinstance(value, str):
        return _by_name(value, kind, custom, where)
    if not isinstance(value, dict):
        return value
    name, config = value.get("class_name"), value.get("config")
    if not isinstance(name, str) or "config" not in value:
        return {key: _revive(item, kind, custom, where) for key, item in value.items()}
    if name == "function":
        return _by_name(str(config), kind, custom, where)
    for key in (value.get("registered_name"), name):
        if isinstance(key, str) and (own := custom.get(key, REGISTERED.get(key))) is not None:
            return own.from_config(config) if hasattr(own, "from_config") else own
    if name not in registry or value.get("module", "keras") is None or not isinstance(config, dict):
        raise unknown(name, where=where)
    _check_numbers(config, MAX_SETTING[kind], where)
    cls = registry.lookup(name)
    if not isinstance(cls, type):
        return cls
    config = accepted(config, cls, where=f"{where}: {name}")
    if "fn" in config and isinstance(config["fn"], (str, dict)):
        config["fn"] = _revive(config["fn"], kind, custom, where)
    return cls.from_config(config)  # type: ignore[attr-defined]  # all are Configurable


def _by_name(name: str, kind: str, custom: Mapping[str, Any], where: str) -> Any:
    if (own := custom.get(name, REGISTERED.get(name))) is not None:
        return own
    aliases = ("accuracy", "acc", "crossentropy", "ce")  # resolved by the shape of the targets
    if name in registries()[kind] or name.lower() in (*aliases, *registries()[kind]):
        return name
    raise FileFormatError(
        f"the model was compiled with the {kind} {name[:80]!r}, which stroma does not know",
        where=where,
        why="nothing is imported because a file says so",
        fix=f"load_model(FILE, custom_objects={{{name[:80]!r}: ...}}), or compile=False",
    )


def _check_numbers(config: Any, limit: int, where: str) -> None:
    stack = [config]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            stack += item.values()
        elif isinstance(item, list):
            stack += item
        elif type(item) is int and abs(item) > limit:
            raise FileFormatError(
                f"a setting of a loss, metric or optimizer is {str(item)[:40]}",
                where=where,
                why="nothing sensible is that large, and it would fill the memory",
                fix="load_model(FILE, compile=False)",
            )


# The optimizer's variables


def trainable_in_order(layer: Layer, order: Order = ordered_layers) -> list[nn.Parameter]:
    """The weights being trained, in the order in which Keras hands them to its optimizer."""
    found: dict[int, Weight] = {}

    def visit(layer: Layer) -> None:
        for weight in layer.own_weights():
            if weight.requires_grad:
                found.setdefault(id(weight), weight)
        inner = order(layer) if isinstance(layer, Network) else layer.sublayers()
        for child in inner:
            visit(child)

    visit(layer)
    rest = (p for p in layer.parameters() if p.requires_grad and id(p) not in found)
    return [*found.values(), *rest]


def optimizer_arrays(optimizer: Optimizer, network: Layer) -> list[np.ndarray]:
    """Calls, learning rate (unless a schedule gives it), then the slots in Keras' order."""
    arrays = [np.asarray(optimizer.calls, dtype=np.int32)]
    if not callable(optimizer._learning_rate):
        arrays.append(np.asarray(optimizer.learning_rate, dtype=np.float32))
    optimizer.build(optimizer.parameters)  # slots of what was thawed since the last step
    slots, known = optimizer.slots, {id(parameter) for parameter in optimizer.parameters}
    wanted = [p for p in trainable_in_order(network) if id(p) in known]
    values = {(slot.name, id(slot.parameter)): slot for slot in slots}
    for block in _blocks(slots):
        for parameter in wanted:
            arrays += [_slot_array(values[name, id(parameter)]) for name in block]
    return arrays


def _blocks(slots: Sequence[Slot]) -> list[list[str]]:
    """Names of slots that go together, parameter by parameter: [["m", "v"]], or [["v"], ["u"]]."""
    blocks: list[list[str]] = []
    before = -2
    for place, slot in enumerate(slots):
        if slot.parameter is slots[0].parameter:
            if place == before + 1:
                blocks[-1].append(slot.name)
            else:
                blocks.append([slot.name])
            before = place
    return blocks


def _permuted(value: Tensor, parameter: Tensor) -> Tensor:
    permutation = getattr(getattr(parameter, "spec", None), "permutation", None)
    return value if permutation is None else value.permute(permutation)


def _slot_array(slot: Slot) -> np.ndarray:
    return as_array(_permuted(slot.value, slot.parameter))


def load_optimizer(
    optimizer: Optimizer, network: Layer, stored: StoredArrays, order: Order = ordered_layers
) -> None:
    """Go on from the optimizer's variables in a file; a file without slots leaves it new.

    Raises: WeightsError: the variables are not those of this optimizer on this network.
    """
    paths = [path for path in stored if path.startswith("optimizer/vars/")]
    values = [stored[f"optimizer/vars/{i}"] for i in range(len(paths)) if _has(stored, i)]
    scheduled = callable(optimizer._learning_rate)
    slot_values = values[1 if scheduled else 2 :]
    if not values or (not slot_values and int(values[0]) == 0):
        return
    optimizer.build(trainable_in_order(network, order))
    slots = optimizer.slots
    shapes = [tuple(_permuted(slot.value, slot.parameter).shape) for slot in slots]
    if [tuple(value.shape) for value in slot_values] != shapes or values[0].shape != ():
        raise WeightsError(
            f"the file's optimizer has {len(slot_values)} slots that do not fit the "
            f"{len(slots)} of {type(optimizer).__name__} on this network",
            where=stored.where,
            why="training could not go on where it stopped",
            fix="load_model(FILE, compile=False), then compile the model anew",
        )
    tensors = []
    for slot, value in zip(slots, slot_values):
        tensor = torch.from_numpy(value)
        permutation = getattr(getattr(slot.parameter, "spec", None), "permutation", None)
        if permutation is not None:
            tensor = tensor.permute([permutation.index(axis) for axis in range(tensor.dim())])
        tensors.append(tensor)
    optimizer.load_slots(tensors, int(values[0]))
    if not scheduled and np.float32(optimizer.learning_rate) != np.float32(values[1]):
        optimizer.learning_rate = float(values[1])


def _has(stored: StoredArrays, index: int) -> bool:
    return f"optimizer/vars/{index}" in stored
