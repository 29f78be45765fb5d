"""Names: snake-case class names, numbering, and which names are safe in code and files."""

from __future__ import annotations

import re
from collections.abc import Container

from stroma.core.errors import ArgumentError

# Names become attribute paths, keys in files and text in generated code: nothing else is allowed.
_SAFE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\- ]{0,127}")


def snake_case(name: str) -> str:
    """Keras' rule from class name to layer name.

    Example:
        >>> snake_case("Conv2D"), snake_case("ReLU"), snake_case("MultiHeadAttention")
        ('conv2d', 're_lu', 'multi_head_attention')
    """
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def numbered(base: str, taken: Container[str]) -> str:
    """`base`, else `base_1`, `base_2`, ...: the first that is not taken."""
    if base not in taken:
        return base
    number = 1
    while f"{base}_{number}" in taken:
        number += 1
    return f"{base}_{number}"


def check_name(name: str, *, owner: str) -> str:
    """`name` when it may name a layer: letters, digits, `_`, `-`, space, and `.` for nesting."""
    parts = name.split(".") if isinstance(name, str) else [""]
    if isinstance(name, str) and _SAFE.fullmatch(name) and all(parts):
        return name
    raise ArgumentError(
        f"{owner}: {name!r} cannot be a layer's name",
        where=f"{owner}(name=...)",
        why="names become keys in files: letters, digits, '_-', space, single dots for nesting",
        fix=f"{owner}(name={re.sub(r'[^A-Za-z0-9_]+', '_', str(name)).strip('_') or 'layer'!r})",
    )
