"""Products of two tensors, sample by sample."""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_lowercase
from typing import Any, Unpack

import torch
from torch import Tensor

from stroma.core.axes import shape_text
from stroma.core.checks import check_bool, check_int
from stroma.core.errors import ArgumentError, ShapeError
from stroma.core.layer import LayerOptions
from stroma.functional.normalization import unit_length
from stroma.layers.merging import BaseMerge, check_list
from stroma.layers.registry import register_layer


@register_layer("Dot")
class Dot(BaseMerge):
    """Sum of products of two tensors along one axis of each, sample by sample.

    y[b, *, *] = sum over d of x1[b, *, d] x2[b, *, d]: the other axes of the first, then those of
    the second. Two vectors give (B, 1).

    Args:
        axes: The axis of both, or one for each; never 0, the batch.
        normalize: Scale vectors along the axis to length 1 first: y is then their cosine.
    Shape: [(B, D), (B, D)] -> (B, 1)
    Raises: ArgumentError: axis 0, or not one or two axes; ShapeError: not two tensors, or sizes
        that differ.
    Example:
        >>> Dot(1)([torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 4.0]])])
        tensor([[11.]])

    Reference: Luong, Pham & Manning 2015, eq. 8, for its use in attention.
    """

    count = 2
    receptive = "unknown"

    def __init__(
        self,
        axes: int | Sequence[int],
        normalize: bool = False,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**options)
        given = [axes, axes] if isinstance(axes, int) else list(axes)
        if len(given) != 2 or 0 in given:
            raise ArgumentError(
                f"Dot: axes must be one axis or two, none of them 0, got {axes!r}",
                where="Dot(axes=...)",
                why="it sums over one axis of each input; axis 0 is the batch",
                fix="Dot(axes=-1), or Dot(axes=(1, 2))",
            )
        self.axes = tuple(check_int("axes", axis, owner="Dot") for axis in given)
        self.normalize = check_bool("normalize", normalize, owner="Dot")

    def build(self, input_shape: Any) -> None:
        shapes = check_list(input_shape, owner="Dot", count=2)
        inside = [-len(s) < axis < len(s) for s, axis in zip(shapes, self.axes)]
        sizes = {s[a] for s, a, fits in zip(shapes, self.axes, inside) if fits} - {None}
        if not all(inside) or len(sizes) > 1:
            raise ShapeError(
                f"Dot(axes={self.axes}) cannot take {', '.join(map(shape_text, shapes))}",
                where=f"layer {self.name!r}",
                why="the two axes must be there and have the same size, for their numbers are "
                "multiplied in pairs",
                fix="axes=(first, second) names one axis of each",
            )

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        names = iter(ascii_lowercase[2:])
        letters = []
        for x, axis in zip(inputs, self.axes):
            own = ["b", *(next(names) for _ in range(x.dim() - 1))]
            own[axis] = "a"
            letters.append("".join(own))
        if self.normalize:
            inputs = [unit_length(x, [axis], 1e-7) for x, axis in zip(inputs, self.axes)]
        kept = "".join(letters).replace("a", "").replace("b", "")
        y = torch.einsum(f"{letters[0]},{letters[1]}->b{kept}", inputs[0], inputs[1])
        return y if y.dim() > 1 else y.unsqueeze(1)  # (B, *, *)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> None:
        """None: the axis that was masked is summed over."""


def dot(inputs: Sequence[Any], axes: int | Sequence[int] = -1, **options: Any) -> Any:
    """`Dot(axes, **options)(inputs)`."""
    return Dot(axes, **options)(inputs)
