"""The closed table between torch functions in a network and their names in files.

Where Keras has an operation of the same meaning a file names Keras' (`keras.src.ops.numpy.Add`), so
Keras can open it; else the function's own name under the module `stroma.ops` ("torch.chunk"). Both
ways the table is all there is: nothing is imported, and no attribute is looked up, because a file
says so.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F

from stroma.core.symbolic import Node, record
from stroma.functional.arrays import get_item
from stroma.saving import operation_names as names
from stroma.saving.keras_operations import CLASS_OF, FUNCTIONS, MODULES, READERS, settings_of
from stroma.saving.torch_calls import WRITERS, NoCounterpartError, index

OWN_MODULE = "stroma.ops"


def _own_table() -> dict[str, tuple[str, Any]]:
    """Name in files -> (kind of node, target)."""
    table: dict[str, tuple[str, Any]] = {}
    for name in names.OPERATORS:
        table[f"operator.{name}"] = ("function", getattr(operator, name))
    for name in (*names.BOTH, *names.TORCH_ONLY):
        if hasattr(torch, name):
            table[f"torch.{name}"] = ("function", getattr(torch, name))
    for name in names.FUNCTIONAL:
        if hasattr(F, name):
            table[f"torch.nn.functional.{name}"] = ("function", getattr(F, name))
    for name in (*names.BOTH, *names.METHODS_ONLY):
        table[f"torch.Tensor.{name}"] = ("method", name)
    for name in names.ATTRIBUTES:
        table[f"torch.Tensor.{name}"] = ("attribute", name)
    return table


_OWN = _own_table()
_OWN_NAMES = {(kind, target): name for name, (kind, target) in reversed(_OWN.items())}


class Written(NamedTuple):
    """How one recorded call goes to a file: Keras' or our module and name, arguments, settings."""

    module: str
    class_name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    config: dict[str, Any]


def write_operation(node: Node) -> Written | None:
    """A recorded function, method or attribute under its name in files; None: it has none."""
    target = node.target
    if getattr(type(target), "__hash__", None) is None:
        return None
    if node.kind == "function" and target in CLASS_OF:
        settings = settings_of(target)
        config = {key: value for key, value in node.kwargs.items() if key in settings}
        rest = {key: value for key, value in node.kwargs.items() if key not in settings}
        return _in_keras(CLASS_OF[target], node.args, rest, config)
    kwargs = {k: v for k, v in node.kwargs.items() if (k, v) not in _WITHOUT_EFFECT}
    writer = WRITERS.get((node.kind, target))
    if writer is not None:
        try:
            class_name, inputs, config = writer(*node.args, **kwargs)
        except (TypeError, NoCounterpartError):  # arguments that Keras' operation has not
            pass
        else:
            return _in_keras(class_name, inputs, {}, config)
    name = _OWN_NAMES.get((node.kind, target))
    if name is None:
        return None
    args = tuple(node.args)
    if target is operator.getitem:
        args = (args[0], index(args[1]))
    return Written(OWN_MODULE, name, args, kwargs, {})


def _in_keras(
    class_name: str, args: tuple[Any, ...], kwargs: dict[str, Any], config: dict[str, Any]
) -> Written:
    return Written(f"keras.src.ops.{MODULES[class_name]}", class_name, args, kwargs, config)


# torch.nn.functional hands these on from its defaults
_WITHOUT_EFFECT = [("inplace", False), ("_stacklevel", 3), ("dtype", None), ("out", None)]


def find_operation(module: Any, class_name: Any) -> Callable[..., Any] | None:
    """What records an operation named in a file, with Keras' arguments; None: not in the table."""
    if module == OWN_MODULE:
        kind, target = _OWN.get(class_name, ("", ""))
        if target is operator.getitem:
            return get_item
        if kind == "function":
            function: Callable[..., Any] = target
            return function
        if kind == "method":
            return lambda first, *args, **kwargs: getattr(first, target)(*args, **kwargs)
        return (lambda first: getattr(first, target)) if kind == "attribute" else None
    if not is_operation(module):
        return None
    if class_name in FUNCTIONS:
        return partial(_recorded, FUNCTIONS[class_name])
    return READERS.get(class_name)


def is_operation(module: Any) -> bool:
    """Whether a module in a file is one of those that hold Keras' operations, or our own."""
    return isinstance(module, str) and (
        module == OWN_MODULE or module.startswith(("keras.src.ops", "keras.ops"))
    )


def surplus_settings(class_name: Any, settings: Mapping[str, Any]) -> dict[str, bool]:
    """Settings that one of Keras' operations does not take here: whether each has an effect.

    Keras writes every setting, and the operation's dtype policy, under the name "dtype", too.
    """
    if class_name not in READERS:
        return {}
    known = settings_of(FUNCTIONS[class_name]) if class_name in FUNCTIONS else set()
    return {
        key: key not in ("name", "dtype") and value not in (None, False)
        for key, value in settings.items()
        if key not in known
    }


def _recorded(function: Callable[..., Any], *args: Any, **settings: Any) -> Any:
    """One node for the whole operation, so that a file names it again as it was named."""
    return record("function", function, args, settings)


def known_operations() -> list[str]:
    """Every name of an operation that a file may hold."""
    return sorted({*_OWN, *READERS})
