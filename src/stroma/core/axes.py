"""The one legend of shape letters, used in every `Shape:` line and trailing comment.

| letter | axis |
|---|---|
| B | batch |
| T | time, or position in a sequence |
| H, W, (S) | height, width, any spatial axis |
| C | channels |
| D | features |
| K | classes |
| N, E | nodes, edges of a graph |
| * | any number of axes |
"""

from __future__ import annotations

from typing import TypeAlias

Shape: TypeAlias = tuple[int | None, ...]  # None: not known before the data is


def shape_text(shape: object) -> str:
    """A shape as people read it: `(None, 28, 28, 1)`; nested structures stay nested."""
    if isinstance(shape, dict):
        return "{" + ", ".join(f"{key}: {shape_text(item)}" for key, item in shape.items()) + "}"
    if isinstance(shape, (list, tuple)) and any(isinstance(i, (list, tuple, dict)) for i in shape):
        return "[" + ", ".join(shape_text(item) for item in shape) + "]"
    return str(tuple(shape)) if isinstance(shape, (list, tuple)) else str(shape)
