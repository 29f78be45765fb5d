"""Plain records: frozen dataclasses that go to JSON and come back checked.

What a run writes is read later by another program, another version, another person. So reading is
gentle and exact at once: unknown fields are passed over (a newer stroma wrote them), fields with a
default may be missing (an older one did), and a value of the wrong kind raises a `RunError` that
names the file and the field.
"""

from __future__ import annotations

import dataclasses
import math
import types
from collections.abc import Mapping
from typing import Any, Literal, Self, get_args, get_origin, get_type_hints

from stroma.core.errors import RunError

# JSON has no NaN; Python's own extension breaks every other reader, and null would lose the fact.
_SPECIAL = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}

_known: dict[type, tuple[tuple[dataclasses.Field[Any], Any], ...]] = {}


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """Base of the plain records: subclasses are frozen dataclasses of JSON-like types.

    Field types may be `str`, `int`, `float`, `bool`, `Any`, a `Literal` of strings, another
    record, `X | None`, `tuple[X, ...]` and `Mapping[str, X]`. A field with
    `metadata={"json": False}` lives elsewhere (in a file of its own) and is left out.
    """

    def to_json(self) -> dict[str, Any]:
        """The record as dictionaries, lists, strings and numbers: what `json.dumps` takes."""
        return {field.name: _encode(getattr(self, field.name)) for field, _ in _stored(type(self))}

    @classmethod
    def from_json(cls, data: Any, *, where: str = "") -> Self:
        """The record that `to_json` wrote.

        Args:
            data: What `json.loads` gave.
            where: File (and line) that is named when a field is wrong.
        Raises:
            RunError: `data` is no object, a required field is missing, or a value is of the
                wrong kind.
        """
        where = where or cls.__name__
        if not isinstance(data, dict):
            raise _wrong(where, "an object", data)
        given: dict[str, Any] = {}
        for field, hint in _stored(cls):
            if field.name in data:
                given[field.name] = _decode(data[field.name], hint, f"{where}: {field.name}")
            elif _required(field):
                raise RunError(
                    f"the field {field.name!r} is missing",
                    where=where,
                    why="a run cannot be read without it",
                    fix="run `stroma train` again, or bring the file back from a copy",
                )
        return cls(**given)


def _required(field: dataclasses.Field[Any]) -> bool:
    missing = dataclasses.MISSING
    return field.default is missing and field.default_factory is missing


def _stored(cls: type[Record]) -> tuple[tuple[dataclasses.Field[Any], Any], ...]:
    """Fields that go to JSON, each with its type; looked up once per class."""
    if cls not in _known:
        hints = get_type_hints(cls)
        fields = (f for f in dataclasses.fields(cls) if f.metadata.get("json", True))
        _known[cls] = tuple((field, hints[field.name]) for field in fields)
    return _known[cls]


def _encode(value: Any) -> Any:
    if isinstance(value, Record):
        return value.to_json()
    if isinstance(value, Mapping):
        return {str(key): _encode(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_encode(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def _decode(value: Any, hint: Any, where: str) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any:
        return value
    if origin is types.UnionType:  # the only unions here are `X | None`
        inner = next(a for a in arguments if a is not types.NoneType)
        return None if value is None else _decode(value, inner, where)
    if origin is tuple and isinstance(value, list):
        return tuple(_decode(item, arguments[0], f"{where}[{i}]") for i, item in enumerate(value))
    if origin is not None and origin is not tuple and isinstance(value, dict):
        return {key: _decode(item, arguments[1], f"{where}.{key}") for key, item in value.items()}
    if isinstance(hint, type) and origin is None and issubclass(hint, Record):
        return hint.from_json(value, where=where)
    if origin is Literal and value in arguments:
        return value
    if origin is None and (plain := _plain(value, hint)) is not None:
        return plain
    raise _wrong(where, _describe(hint), value)


def _plain(value: Any, kind: type) -> Any:
    """`value` as a str, int, float or bool, or None when it is something else."""
    if kind is float and isinstance(value, str):
        return _SPECIAL.get(value)
    if isinstance(value, bool) or kind is bool:
        return value if isinstance(value, bool) and kind is bool else None
    if kind is float and isinstance(value, int):
        return float(value)
    if kind is int and isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, kind) else None


def _describe(hint: Any) -> str:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return "one of " + ", ".join(repr(a) for a in arguments)
    if origin is tuple:
        return "a list"
    if origin is not None:
        return "an object"
    names = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}
    return names.get(hint, "an object")


def _wrong(where: str, expected: str, value: Any) -> RunError:
    shown = repr(value)
    return RunError(
        f"expected {expected}, got {shown if len(shown) <= 60 else shown[:57] + '...'}",
        where=where,
        why="the file was changed by hand, or it is not what its name says",
        fix="mend that value, or run `stroma train` again",
    )
