"""Objects that remember how they were made, so that nobody writes `get_config`.

`Configurable` wraps each subclass's `__init__` once, at class creation, to note the arguments it
was called with. `get_config()` gives them back, serialised; `from_config` is `cls(**config)`. A
user's class in Keras' style, with its own `get_config` over `super().get_config()`, gets from
`super()` exactly what the class above it was given, as in Keras.
"""

from __future__ import annotations

import functools
import inspect
from typing import Any, ClassVar, Self

import numpy as np
import torch

from stroma.core.dtypes import dtype_name
from stroma.core.errors import ArgumentTypeError, did_you_mean
from stroma.core.registry import registries


class Configurable:
    """Base of everything that has a config: layers, initializers, losses, optimizers, ..."""

    _arguments: dict[type, dict[str, Any]]
    known_elsewhere_as: ClassVar[dict[str, str]] = {}  # others' names of arguments -> ours

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "__init__" in cls.__dict__:
            cls.__init__ = _noting_arguments(cls, cls.__dict__["__init__"])  # type: ignore[method-assign]

    def _check_initialized(self, error: AttributeError | None = None) -> None:
        """Called after `__init__`, and when it failed for want of an attribute."""

    def arguments(self) -> dict[str, Any]:
        """The arguments as given, defaults filled in, of the most derived class."""
        return dict(self._noted(type(self)))

    def _noted(self, cls: type) -> dict[str, Any]:
        noted = self.__dict__.get("_arguments", {})
        for base in cls.__mro__:
            if base in noted:
                return noted[base]  # type: ignore[no-any-return]
        return {}

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments as plain data: `from_config` makes an equal object."""
        return self._captured_config(Configurable)

    def _captured_config(self, base: type) -> dict[str, Any]:
        """Serialised arguments; under a user's own `get_config`, those of the class above it."""
        classes = type(self).__mro__
        below = classes[: classes.index(base)]
        overriding = [cls for cls in below if "get_config" in cls.__dict__]
        answering = classes[classes.index(overriding[-1]) + 1] if overriding else classes[0]
        return {name: serialise(value) for name, value in self._noted(answering).items()}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """An object made with the arguments in `config`."""
        return cls(**config)


def _noting_arguments(cls: type, init: Any) -> Any:
    signature = inspect.signature(init)

    @functools.wraps(init)
    def noting_init(self: Any, *args: Any, **kwargs: Any) -> None:
        noted = self.__dict__.setdefault("_arguments", {})
        try:
            bound = signature.bind(self, *args, **kwargs)
        except TypeError:
            _refuse_unknown(type(self), signature, kwargs)
            init(self, *args, **kwargs)  # the call itself explains what else is wrong
            raise
        bound.apply_defaults()
        values: dict[str, Any] = {}
        for name, value in list(bound.arguments.items())[1:]:
            kind = signature.parameters[name].kind
            if kind is inspect.Parameter.VAR_KEYWORD:
                values.update(value)
            else:
                values[name] = list(value) if kind is inspect.Parameter.VAR_POSITIONAL else value
        noted[cls] = values
        try:
            init(self, *args, **kwargs)
        except AttributeError as error:
            self._check_initialized(error)
            raise
        if type(self).__init__ is noting_init:  # the outermost
            self._check_initialized()

    return noting_init


def _refuse_unknown(
    cls: type[Configurable], signature: inspect.Signature, given: dict[str, Any]
) -> None:
    kinds = {parameter.kind for parameter in signature.parameters.values()}
    if inspect.Parameter.VAR_KEYWORD in kinds:
        return
    known = list(signature.parameters)[1:]
    for name in given:
        if name not in known:
            ours = cls.known_elsewhere_as.get(name)
            meant = f" Did you mean {ours!r}?" if ours in known else did_you_mean(name, known)
            raise ArgumentTypeError(
                f"{cls.__name__} has no argument {name!r}.{meant}",
                where=f"{cls.__name__}({name}=...)",
                why="an argument that is silently ignored hides a mistake",
                fix=f"one of: {', '.join(known)}" if known else f"{cls.__name__}()",
            )


def serialise(value: Any) -> Any:
    """`value` as plain data (JSON's types), the way Keras' files write it."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)):
        return [serialise(item) for item in value]
    if isinstance(value, dict):
        return {key: serialise(item) for key, item in value.items()}
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    if isinstance(value, torch.dtype):
        return dtype_name(value)
    if isinstance(value, torch.Tensor):
        return value.tolist()
    for registry in registries().values():
        if (name := registry.name_of(value)) is not None:  # a registered function
            return name
        if (name := registry.name_of(type(value))) is not None:
            return {
                "module": registry.keras_module,
                "class_name": name,
                "config": value.get_config(),
                "registered_name": None,
            }
    if isinstance(value, Configurable):
        return {
            "module": None,
            "class_name": type(value).__name__,
            "config": value.get_config(),
            "registered_name": type(value).__name__,
        }
    return getattr(value, "__name__", repr(value))
