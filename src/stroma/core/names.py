"""Names: snake-case class names, numbering, and which names are safe in code and files."""

from __future__ import annotations

import keyword
import re
import unicodedata
from collections.abc import Container

from stroma.core.errors import ArgumentError

# Names become attribute paths, keys in files and text in generated code: nothing else is allowed.
_LONGEST = 128


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


def is_plain(name: str, besides: str = "") -> bool:
    """Whether every character may stand in an identifier of Python, in any script, or in `besides`.

    No such character can end a string or a name in generated code, or lead out of a folder.

    Example:
        >>> is_plain("größe_1"), is_plain("a.b", besides="."), is_plain("a'b")
        (True, True, False)
    """
    whole = all(letter in besides or f"_{letter}".isidentifier() for letter in name)
    return whole and 0 < len(name) <= _LONGEST


def is_keyword_name(name: object) -> bool:
    """Whether `name` may stand before the `=` of a keyword argument, and mean itself there.

    Python reads identifiers in their compatible form (NFKC): any other form would become another
    name on the way through generated code.
    """
    return (
        isinstance(name, str)
        and name.isidentifier()
        and not keyword.iskeyword(name)
        and name != "__debug__"
        and unicodedata.normalize("NFKC", name) == name
    )


def check_name(name: str, *, owner: str) -> str:
    """`name` when it may name a layer: letters, digits, `_`, `-`, space, and `.` for nesting."""
    plain = isinstance(name, str) and is_plain(name, "-. ") and name[0] not in "- "
    if plain and all(name.split(".")):
        return name
    raise ArgumentError(
        f"{owner}: {name!r} cannot be a layer's name",
        where=f"{owner}(name=...)",
        why="names become keys in files: letters, digits, '_-', space, single dots for nesting",
        fix=f"{owner}(name={re.sub(r'[^A-Za-z0-9_]+', '_', str(name)).strip('_') or 'layer'!r})",
    )
