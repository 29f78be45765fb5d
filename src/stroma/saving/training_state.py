"""How a model was compiled, and what its optimizer keeps, in Keras' files and back."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from stroma import losses, metrics, optimizers, schedules  # noqa: F401  # schedules by name
from stroma.core.config import Configurable
from stroma.core.custom_objects import get_registered_name
from stroma.core.errors import FileFormatError, WeightsError
from stroma.core.layer import Layer
from stroma.core.registry import registries
from stroma.core.weight import WeightSpec
from stroma.network.network import Network
from stroma.optimizers import Optimizer
from stroma.saving.arrays import Order, as_array, ordered_layers
from stroma.saving.hdf5 import StoredArrays
from stroma.saving.vocabulary import accepted, plain, unknown

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
        name = get_registered_name(value)
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
        if isinstance(key, str) and (own := custom.get(key)) is not None:
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
    if (own := custom.get(name)) is not None:
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


# The optimizer's variables. Those of the weights being trained lie where Keras looks for them, and
# are as many as it expects. Those of weights that rest, frozen after they were trained, lie beside
# them, where Keras does not look.

_VARIABLES, _RESTING = "optimizer/vars", "optimizer/resting"
_HEAD = 2  # arrays before the slots in the group of resting weights: which they are, and the ages


def parameters_in_order(layer: Layer, order: Order = ordered_layers) -> list[nn.Parameter]:
    """The weights that training changes if none is frozen, in the order of Keras' optimizer."""
    found: dict[int, nn.Parameter] = {}

    def visit(layer: Layer) -> None:
        for weight in layer.own_weights():
            if weight.requires_grad or (weight.spec.trainable and weight.is_floating_point()):
                found.setdefault(id(weight), weight)
        inner = order(layer) if isinstance(layer, Network) else layer.sublayers()
        for child in inner:
            visit(child)

    visit(layer)
    return [*found.values(), *(p for p in layer.parameters() if id(p) not in found)]


def optimizer_groups(
    optimizer: Optimizer, network: Layer
) -> dict[str, tuple[str, list[np.ndarray]]]:
    """What the optimizer keeps, for `write_hdf5`.

    For Keras: calls, learning rate (unless a schedule gives it), then the slots of the weights
    being trained in Keras' order. Beside it, for stroma: which of the others have slots, how many
    updates were done before the first of each weight, and those slots in the same order.
    """
    variables = [np.asarray(optimizer.calls, dtype=np.int32)]
    if not callable(optimizer._learning_rate):
        variables.append(np.asarray(optimizer.learning_rate, dtype=np.float32))
    groups = {"optimizer": (optimizer.name, variables)}
    if not optimizer.built:
        return groups
    optimizer.build(optimizer.parameters)  # slots of what was thawed since the last step
    slots = {(slot.name, id(slot.parameter)): slot for slot in optimizer.slots}
    ages = optimizer.first_iterations
    known = [(at, p) for at, p in enumerate(parameters_in_order(network)) if p in ages]
    trained = [p for _, p in known if p.requires_grad]
    with_slots = {parameter for _, parameter in slots}
    resting = {at: p for at, p in known if not p.requires_grad and id(p) in with_slots}

    def values(parameters: Iterable[nn.Parameter]) -> list[np.ndarray]:
        parameters = list(parameters)
        return [
            as_array(_permuted(slots[name, id(parameter)].value, parameter))
            for block in optimizer.slot_blocks
            for parameter in parameters
            for name in block
            if (name, id(parameter)) in slots
        ]

    variables += values(trained)
    variables += [np.asarray(number, dtype=np.float32) for number in optimizer.file_scalars()]
    head: list[list[int]] = [list(resting), [ages[p] for p in (*trained, *resting.values())]]
    kept = [np.asarray(numbers, np.int64) for numbers in head] + values(resting.values())
    return groups | {_RESTING: ("resting", kept)}


def _permuted(value: Tensor, parameter: Tensor) -> Tensor:
    permutation = _permutation(parameter, value)
    return value if permutation is None else value.permute(permutation)


def _permutation(parameter: Tensor, value: Tensor) -> tuple[int, ...] | None:
    """Torch's axes in Keras' order; None also for a slot whose axes are in that order already."""
    spec: WeightSpec | None = getattr(parameter, "spec", None)
    kept_so = spec is None or value.dim() != parameter.dim()
    return None if kept_so or spec is None else spec.permutation


def load_optimizer(
    optimizer: Optimizer, network: Layer, stored: StoredArrays, order: Order = ordered_layers
) -> None:
    """Go on from the optimizer's variables in a file; a file without slots leaves it new.

    Keras writes slots of all that it was built with: weights frozen since then have theirs too.

    Raises: WeightsError: the variables are not those of this optimizer on this network.
    """
    values, kept = (_numbered(stored, path) for path in (_VARIABLES, f"{_RESTING}/vars"))
    scheduled = callable(optimizer._learning_rate)
    slot_values = values[1 if scheduled else 2 :]
    if scalars := len(optimizer.file_scalars()):
        slot_values = slot_values[:-scalars]
    if not values or (not slot_values and not kept and int(values[0]) == 0):
        return
    every = parameters_in_order(network, order)
    trained, resting, first = [p for p in every if p.requires_grad], [], None
    if len(kept) >= _HEAD and _is_head(kept, len(trained), len(every)):
        resting, first = [every[at] for at in kept[0]], kept[1].tolist()
    elif _misfit(optimizer, trained, slot_values) and not kept:
        trained = every
    misfit = _misfit(optimizer, trained, slot_values) or values[0].shape != ()
    if misfit or _misfit(optimizer, resting, kept[_HEAD:]):
        raise WeightsError(
            f"the file's optimizer has {len(slot_values)} slots that do not fit the "
            f"{len(_expected(optimizer, trained))} of {type(optimizer).__name__} on this network",
            where=stored.where,
            why="training could not go on where it stopped",
            fix="load_model(FILE, compile=False), then compile the model anew",
        )
    optimizer.build([*trained, *resting], frozen_too=True)
    found = dict(zip(_expected(optimizer, trained), slot_values))
    found |= zip(_expected(optimizer, resting), kept[_HEAD:])
    optimizer.load_slots(
        [_as_kept(found[slot.name, slot.parameter], slot.parameter) for slot in optimizer.slots],
        int(values[0]),
        first,
    )
    optimizer.build(every)  # it knows what it never trained, too: that may be thawed
    if not scheduled and np.float32(optimizer.learning_rate) != np.float32(values[1]):
        optimizer.learning_rate = float(values[1])


def _numbered(stored: StoredArrays, path: str) -> list[np.ndarray]:
    """The arrays of a group in their order."""
    found: list[np.ndarray] = []
    while (key := f"{path}/{len(found)}") in stored:
        found.append(stored[key])
    return found


def _is_head(kept: Sequence[np.ndarray], trained: int, every: int) -> bool:
    places, ages = kept[:_HEAD]
    return (
        places.dtype == ages.dtype == np.int64
        and places.ndim == ages.ndim == 1
        and len(ages) == trained + len(places)
        and len(set(places.tolist())) == len(places)
        and all(0 <= place < every for place in places)
    )


def _expected(
    optimizer: Optimizer, parameters: Sequence[nn.Parameter]
) -> list[tuple[str, nn.Parameter]]:
    """Which slots these parameters have, in the order of a file."""
    return [
        (name, parameter)
        for block in optimizer.slot_blocks
        for parameter in parameters
        for name in block
        if optimizer.slot_shape(name, parameter) is not None
    ]


def _misfit(
    optimizer: Optimizer, parameters: Sequence[nn.Parameter], values: Sequence[np.ndarray]
) -> bool:
    return [value.shape for value in values] != [
        _shape(optimizer, name, parameter) for name, parameter in _expected(optimizer, parameters)
    ]


def _shape(optimizer: Optimizer, name: str, parameter: nn.Parameter) -> tuple[int, ...]:
    """A slot's shape in a file."""
    shape = optimizer.slot_shape(name, parameter)
    assert shape is not None  # what has no such slot is not expected
    whole = len(shape) == parameter.dim()
    return tuple(_permuted(parameter, parameter).shape) if whole else shape


def _as_kept(value: np.ndarray, parameter: nn.Parameter) -> Tensor:
    """A file's slot with its axes in the parameter's own order."""
    tensor = torch.from_numpy(value)
    permutation = _permutation(parameter, tensor)
    if permutation is None:
        return tensor
    return tensor.permute([permutation.index(axis) for axis in range(tensor.dim())])
