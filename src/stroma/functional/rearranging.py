"""Axes split, merged and moved by a pattern of names, as einops writes them."""

from __future__ import annotations

import math
import re

from torch import Tensor

from stroma.core.errors import ArgumentError

_WORD = re.compile(r"\(([^()]*)\)|(\w+)|(\S)")


def _groups(side: str, pattern: str) -> list[list[str]]:
    """The axes of one side, each as the names that it is made of."""
    groups = []
    for inside, name, other in _WORD.findall(side):
        if other:
            raise _wrong(pattern, f"{other!r} is no name of an axis")
        groups.append([name] if name else inside.split())
    return groups


def rearrange(x: Tensor, pattern: str, lengths: dict[str, int]) -> Tensor:
    """See `stroma.ops.rearrange`."""
    left, arrow, right = pattern.partition("->")
    before, after = _groups(left, pattern), _groups(right, pattern)
    names = [name for group in before for name in group]
    wanted = [name for group in after for name in group]
    if not arrow or sorted(names) != sorted(wanted) or len(set(names)) != len(names):
        raise _wrong(pattern, "each name must stand once on both sides of '->'")
    if len(before) != x.ndim:
        raise _wrong(pattern, f"it names {len(before)} axes, and the tensor has {x.ndim}")
    sizes: dict[str, int] = dict(lengths)
    for group, size in zip(before, x.shape):
        sizes.update(_split(group, size, sizes, pattern))
    apart = x.reshape([sizes[name] for name in names]).permute([names.index(n) for n in wanted])
    return apart.reshape([math.prod(sizes[name] for name in group) for group in after])


def _split(group: list[str], size: int, known: dict[str, int], pattern: str) -> dict[str, int]:
    """The sizes of the names that one axis is made of, of which one may be found by division."""
    unknown = [name for name in group if name not in known]
    share = math.prod(known[name] for name in group if name in known)
    if len(unknown) > 1:
        raise _wrong(pattern, f"the sizes of {' and '.join(unknown)} are not given")
    if unknown and share and size % share == 0:
        return {unknown[0]: size // share}
    if unknown or share != size:
        raise _wrong(pattern, f"({' '.join(group)}) does not make an axis of size {size}")
    return {}


def _wrong(pattern: str, what: str) -> ArgumentError:
    return ArgumentError(
        f"rearrange: {what}",
        where=repr(pattern),
        why="a pattern names all axes before and after",
        fix='rearrange(x, "b (h w) c -> b h w c", h=8)',
    )
