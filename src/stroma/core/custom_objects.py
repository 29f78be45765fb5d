"""A program's own classes and functions by name: what files and strings may name besides ours.

They come from `register_keras_serializable`, `get_custom_objects()[name] = ...`, a
`custom_object_scope`, or the `custom_objects=` of a call, the later beating the earlier.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar, Token
from typing import Any, Self, TypeVar

T = TypeVar("T")

REGISTERED: dict[str, Any] = {}  # also "package>name" -> class or function
_scope: ContextVar[dict[str, Any]] = ContextVar("custom objects")


def in_scope(given: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Everything that can be named here, `given` for this call among it."""
    return {**REGISTERED, **_scope.get({}), **(given or {})}


def get_custom_objects() -> dict[str, Any]:
    """The table for the whole program; what is entered in it can be named from then on.

    Example:
        >>> from stroma import layers
        >>> get_custom_objects()["twice"] = lambda x: 2 * x
        >>> layers.Activation("twice")(1.5)
        3.0
        >>> del get_custom_objects()["twice"]
    """
    return REGISTERED


class CustomObjectScope:
    """Inside `with CustomObjectScope({"Mine": Mine}):` files and strings may name these objects.

    Args:
        custom_objects: Classes and functions by name.
    Example:
        >>> from stroma import layers
        >>> with CustomObjectScope({"half": lambda x: x / 2}):
        ...     layer = layers.Activation("half")
        >>> layer(3.0)
        1.5
    """

    def __init__(self, custom_objects: Mapping[str, Any] | None) -> None:
        self.custom_objects = dict(custom_objects or {})
        self._before: list[Token[dict[str, Any]]] = []

    def __enter__(self) -> Self:
        self._before.append(_scope.set({**_scope.get({}), **self.custom_objects}))
        return self

    def __exit__(self, *error: object) -> None:
        _scope.reset(self._before.pop())


custom_object_scope = CustomObjectScope


def register_keras_serializable(
    package: str = "Custom", name: str | None = None
) -> Callable[[T], T]:
    """Decorator: a class or function that files may name from now on, in this program.

    Args:
        package: Keeps names of different libraries apart; files hold "package>name".
        name: Its name; that of the class by default.
    Example:
        >>> from stroma import layers
        >>> @register_keras_serializable("docs")
        ... class Doubling(layers.Layer):
        ...     def call(self, inputs):
        ...         return inputs * 2
        >>> get_registered_name(Doubling)
        'docs>Doubling'
    """

    def enter(thing: T) -> T:
        REGISTERED[f"{package}>{name or getattr(thing, '__name__', '')}"] = thing
        return thing

    return enter


def get_registered_name(obj: Any) -> str:
    """Under which name files hold a class or function: as it was registered, else its own."""
    for name, registered in REGISTERED.items():
        if registered is obj:
            return name
    return str(getattr(obj, "__name__", type(obj).__name__))


def get_registered_object(
    name: str,
    custom_objects: Mapping[str, Any] | None = None,
    module_objects: Mapping[str, Any] | None = None,
) -> Any:
    """What can be named so here, in `custom_objects` or, last, in `module_objects`; else None."""
    return in_scope({}).get(name, {**(module_objects or {}), **(custom_objects or {})}.get(name))
