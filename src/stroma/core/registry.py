"""Closed tables from a name to what it names. Nothing is ever imported because a file says so.

A registry exists only where a *string* must find code: `.keras` files, the command line, the zoo,
and Keras' habit of naming an activation, initializer, loss or metric by a string.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

from stroma.core.custom_objects import in_scope
from stroma.core.errors import ArgumentError, ArgumentTypeError, did_you_mean

T = TypeVar("T")
Entry = TypeVar("Entry")  # what a decorator receives keeps its own, narrower type


class Registry(Generic[T]):
    """Names of one kind of thing.

    Args:
        kind: What the table holds, in one word ("activation"): it is used in messages.
        keras_module: Public Keras module under which files name these ("keras.initializers").
    """

    def __init__(self, kind: str, keras_module: str = "") -> None:
        self.kind, self.keras_module = kind, keras_module
        self._table: dict[str, T] = {}
        self._canonical: dict[int, str] = {}
        _all[kind] = self

    def register(self, *names: str) -> Callable[[Entry], Entry]:
        """Decorator: the first name is the canonical one, the others are aliases."""

        def enter(thing: Any) -> Any:
            for name in names:
                if self._table.get(name, thing) is not thing:
                    raise ArgumentError(
                        f"{self.kind} {name!r} is registered twice",
                        where=f"register({name!r})",
                        why=f"a file that names the {self.kind} could mean either",
                        fix=f"register {getattr(thing, '__name__', 'it')} under another name",
                    )
                self._table[name] = thing
            self._canonical.setdefault(id(thing), names[0])
            return thing

        return enter

    def __contains__(self, name: object) -> bool:
        return name in self._table

    def __iter__(self) -> Iterator[str]:
        return iter(self._table)

    def name_of(self, thing: Any) -> str | None:
        """The canonical name of a registered thing, or None."""
        return self._canonical.get(id(thing))

    def canonical(self) -> dict[str, T]:
        """Each registered thing once, under its canonical name."""
        return {name: self._table[name] for name in self._canonical.values()}

    def lookup(self, name: str) -> T:
        """The thing called `name`; an unknown name raises with the closest known ones."""
        if name in self._table:
            return self._table[name]
        raise ArgumentError(
            f"unknown {self.kind} {name!r}.{did_you_mean(name, self._table)}",
            where=f"{self.kind}={name!r}",
            why=f"stroma knows {len(self.canonical())} {self.kind}s by name",
            fix=f"one of: {', '.join(sorted(self.canonical()))}",
        )


_all: dict[str, Registry[Any]] = {}


def registries() -> dict[str, Registry[Any]]:
    """Every registry made so far, by kind."""
    return dict(_all)


def resolve(registry: Registry[Any], identifier: Any) -> Any:
    """Keras' `get`: None stays None; a string, config, class or instance becomes the thing itself.

    A string that names a class gives an instance made with its defaults. A config
    (`{"class_name": ..., "config": {...}}`) gives `from_config(config)`.
    """
    if identifier is None:
        return None
    if isinstance(identifier, dict):
        name, config = identifier.get("class_name"), identifier.get("config", {})
        if not isinstance(name, str):
            raise ArgumentError(
                f"a {registry.kind} config needs 'class_name', got {identifier!r}",
                where=f"{registry.kind}={{...}}",
                why="the class's name is what it is looked up by",
                fix="{'class_name': " + repr(next(iter(registry), "...")) + ", 'config': {}}",
            )
        thing = _own_or_known(registry, config if name == "function" else name, identifier)
        if inspect.isclass(thing):
            return thing.from_config(config)  # type: ignore[attr-defined]  # all are Configurable
        return thing
    if isinstance(identifier, str):
        thing = _own_or_known(registry, identifier)
        return thing() if inspect.isclass(thing) else thing
    if inspect.isclass(identifier):
        return identifier()
    if callable(identifier):
        return identifier
    raise ArgumentTypeError(
        f"cannot read {identifier!r} as a {registry.kind}",
        where=registry.kind,
        why="it must be a name, a config, or something that can be called",
        fix=f"one of: {', '.join(sorted(registry.canonical()))}",
    )


def _own_or_known(registry: Registry[Any], name: str, described: Any = None) -> Any:
    """A program's own object of this name, else the registry's."""
    own = in_scope()
    registered = str((described or {}).get("registered_name"))
    return own.get(registered, own.get(name)) or registry.lookup(name)


def resolve_by_kind(kind: str, identifier: Any) -> Any:
    """`resolve` in the registry of a kind, whose room is on a higher floor than this one.

    The rooms enter their names when they are imported, and `stroma.layers` imports all of them.
    """
    if identifier is None or (callable(identifier) and not inspect.isclass(identifier)):
        return identifier
    return resolve(registries()[kind], identifier)
