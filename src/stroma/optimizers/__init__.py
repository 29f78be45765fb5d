"""Optimizers: update rules with Keras' options and numbers on torch's fused kernels."""

from __future__ import annotations

from typing import Any

from stroma.core.config import serialise
from stroma.core.errors import ArgumentTypeError
from stroma.core.registry import resolve
from stroma.optimizers.adadelta import Adadelta
from stroma.optimizers.adafactor import Adafactor
from stroma.optimizers.adagrad import Adagrad
from stroma.optimizers.adam import Adam, AdamW
from stroma.optimizers.adamax import Adamax
from stroma.optimizers.base import Optimizer, registry
from stroma.optimizers.ftrl import Ftrl
from stroma.optimizers.group import Group
from stroma.optimizers.lamb import Lamb
from stroma.optimizers.lion import Lion
from stroma.optimizers.loss_scale import LossScaleOptimizer
from stroma.optimizers.muon import Muon
from stroma.optimizers.nadam import Nadam
from stroma.optimizers.rmsprop import RMSprop
from stroma.optimizers.schedule_free import ScheduleFreeAdamW
from stroma.optimizers.sgd import SGD
from stroma.optimizers.slots import Slot

__all__ = [
    "Optimizer", "SGD", "RMSprop", "Adagrad", "Adam", "AdamW", "Adadelta", "Adafactor", "Adamax",
    "Ftrl", "Lamb", "Lion", "Muon", "Nadam", "ScheduleFreeAdamW", "LossScaleOptimizer",
    "Group", "Slot", "get", "serialize", "deserialize",
]  # fmt: skip


def get(identifier: Any) -> Any:
    """An optimizer from its name, config, class or itself; None stays None.

    Example:
        >>> get("adam").learning_rate
        0.001
    """
    if isinstance(identifier, str) and identifier not in registry:
        identifier = identifier.lower()  # Keras does not mind capitals
    made = identifier if isinstance(identifier, Optimizer) else resolve(registry, identifier)
    if made is None or isinstance(made, Optimizer):
        return made
    raise ArgumentTypeError(
        f"cannot read {identifier!r} as an optimizer",
        where="optimizer",
        why="it must be a name, a config, or a stroma optimizer",
        fix=f"one of: {', '.join(sorted(registry.canonical()))}",
    )


def serialize(optimizer: Optimizer) -> Any:
    """The optimizer's class and config as plain data, as Keras' files write it."""
    return serialise(optimizer)


def deserialize(config: dict[str, Any]) -> Optimizer:
    """The optimizer that `serialize` described."""
    optimizer: Optimizer = get(config)
    return optimizer
