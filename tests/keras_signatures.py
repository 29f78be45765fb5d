"""Whether a function or class may be called in every way in which Keras' may."""

from __future__ import annotations

import inspect
from typing import Any

from keras_differences import meant


def positional(thing: Any) -> list[tuple[str, Any]]:
    """Name and default of each parameter that may be given by position."""
    return [
        (p.name, p.default)
        for p in inspect.signature(thing).parameters.values()
        if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]


def disagreement(path: str, ours: Any, theirs: Any) -> str | None:
    """None where `ours` may be called in every way in which `theirs` may."""
    mine, wanted = positional(ours), positional(theirs)
    known = {name for name, _ in mine}
    expected = [(n, default) for n, default in wanted
                if n in known or not meant(path, f"without {n}")]  # fmt: skip
    return None if mine == expected else f"{path}{told(mine)} is not Keras' {told(expected)}"


def told(parameters: list[tuple[str, Any]]) -> str:
    parts = (n if d is inspect.Parameter.empty else f"{n}={d!r}" for n, d in parameters)
    return f"({', '.join(parts)})"
