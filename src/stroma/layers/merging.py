"""Several tensors into one: `Add()([x, y])`, or in one word `add([x, y])`.

Element-wise merges broadcast axes of size 1; an input with fewer axes gets them after the batch
axis. A position is masked in the output when it is masked in every input; if one has no mask, none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any, Unpack

import torch
from torch import Tensor

from stroma.core.axes import Shape, shape_text
from stroma.core.checks import check_int
from stroma.core.errors import ShapeError, not_defined
from stroma.core.layer import Layer, LayerOptions
from stroma.layers.registry import register_layer


def check_list(shapes: Any, *, owner: str, count: int | None = None) -> list[Shape]:
    """The shapes of a list of inputs; raise when it is a single one, or not `count` of them."""
    several = isinstance(shapes, (list, tuple)) and all(
        isinstance(s, (list, tuple)) for s in shapes
    )
    if several and shapes and (count is None or len(shapes) == count):
        return [tuple(shape) for shape in shapes]
    raise ShapeError(
        f"{owner} takes a list of {count or 'one or more'} tensors, got "
        + (f"{len(shapes)} of them" if several else f"one of shape {shape_text(shapes)}"),
        where=f"{owner}: inputs",
        why="it merges several tensors into one",
        fix=f"{owner}()([x, y])",
    )


class BaseMerge(Layer):
    """Element-wise merge of a list of tensors: override `merge`, or `call` where masks matter."""

    receptive: Any = None
    count: int | None = None  # how many inputs it takes, where that is fixed

    def __init__(self, **options: Unpack[LayerOptions]) -> None:
        super().__init__(**options)
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        owner = type(self).__name__
        shapes = check_list(input_shape, owner=owner, count=self.count)
        rank = max(len(shape) for shape in shapes)
        aligned = [(s[0], *[1] * (rank - len(s)), *s[1:]) for s in shapes if s]
        for sizes in zip(*aligned):
            if len({size for size in sizes if size not in (None, 1)}) > 1:
                raise ShapeError(
                    f"{owner} cannot merge {', '.join(shape_text(shape) for shape in shapes)}",
                    where=f"layer {self.name!r}",
                    why="each size must be the same, or 1",
                    fix="make the channels equal with Conv2D(filters, 1), the picture sizes with "
                    "strides or padding='same'; to put them side by side use Concatenate()",
                )

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        return self.merge(_align(inputs))

    def merge(self, inputs: list[Tensor]) -> Tensor:
        """The merge of tensors that have the same number of axes."""
        raise not_defined(self, "merge(self, inputs)", "it makes one tensor of several")

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        if previous_mask is None or any(mask is None for mask in previous_mask):
            return None
        return reduce(torch.logical_or, previous_mask)


def _align(inputs: Sequence[Tensor]) -> list[Tensor]:
    """Axes of size 1 after the batch axis, until all have the same number of axes."""
    rank = max(x.dim() for x in inputs)
    return [x[(slice(None), *[None] * (rank - x.dim()))] if x.dim() < rank else x for x in inputs]


def _to_rank(mask: Any, x: Tensor) -> Any:
    """A mask with axes of size 1 at the end, until it has as many as `x`."""
    while mask is not None and mask.dim() < x.dim():
        mask = mask.unsqueeze(-1)
    return mask


@register_layer("Add")
class Add(BaseMerge):
    """Element-wise sum of a list of tensors: the end of a residual block.

    Shape: [(B, *), (B, *)] -> (B, *)
    Raises: ShapeError: not a list, or sizes that differ and are not 1.
    Example:
        >>> Add()([torch.tensor([[1.0]]), torch.tensor([[2.0]])])
        tensor([[3.]])

    Reference: He et al. 2016, eq. 1.
    """

    def merge(self, inputs: list[Tensor]) -> Tensor:
        return reduce(torch.add, inputs)


@register_layer("Subtract")
class Subtract(BaseMerge):
    """Element-wise difference of exactly two tensors: the first minus the second.

    Shape: [(B, *), (B, *)] -> (B, *)
    Raises: ShapeError: not two tensors, or sizes that differ and are not 1.
    Example:
        >>> Subtract()([torch.tensor([[3.0]]), torch.tensor([[2.0]])])
        tensor([[1.]])
    """

    count = 2

    def merge(self, inputs: list[Tensor]) -> Tensor:
        return inputs[0] - inputs[1]


@register_layer("Multiply")
class Multiply(BaseMerge):
    """Element-wise product of a list of tensors: gates and attention weights.

    A masked position counts as 1; where every input is masked the product is 0.

    Shape: [(B, *), (B, *)] -> (B, *)
    Raises: ShapeError: not a list, or sizes that differ and are not 1.
    Example:
        >>> Multiply()([torch.tensor([[3.0]]), torch.tensor([[2.0]])])
        tensor([[6.]])
    """

    def call(self, inputs: Sequence[Tensor], mask: Any = None) -> Tensor:
        tensors = _align(inputs)
        if mask is None:
            return reduce(torch.mul, tensors)
        masks = [_to_rank(m, x) for m, x in zip(mask, tensors)]
        product = reduce(
            torch.mul, [x if m is None else torch.where(m, x, 1.0) for m, x in zip(masks, tensors)]
        )
        if any(m is None for m in masks):
            return product
        return torch.where(reduce(torch.logical_or, masks), product, 0.0)


@register_layer("Average")
class Average(BaseMerge):
    """Element-wise mean of a list of tensors: an ensemble.

    Shape: [(B, *), (B, *)] -> (B, *)
    Raises: ShapeError: not a list, or sizes that differ and are not 1.
    Example:
        >>> Average()([torch.tensor([[1.0]]), torch.tensor([[2.0]])])
        tensor([[1.5000]])
    """

    def merge(self, inputs: list[Tensor]) -> Tensor:
        return reduce(torch.add, inputs) / len(inputs)


class _Extremum(BaseMerge):
    """Maximum and Minimum: a masked position gives way to the other inputs."""

    pick: Callable[[Tensor, Tensor], Tensor]

    def call(self, inputs: Sequence[Tensor], mask: Any = None) -> Tensor:
        tensors = _align(inputs)
        masks = mask if mask is not None else [None] * len(tensors)
        best, best_mask = tensors[0], _to_rank(masks[0], tensors[0])
        for x, x_mask in zip(tensors[1:], (_to_rank(m, x) for m, x in zip(masks[1:], tensors[1:]))):
            other = x if x_mask is None else torch.where(x_mask, x, best)
            best = best if best_mask is None else torch.where(best_mask, best, other)
            both = x_mask is not None and best_mask is not None
            best_mask = torch.logical_or(best_mask, x_mask) if both else None
            best = type(self).pick(best, other)
        return best


@register_layer("Maximum")
class Maximum(_Extremum):
    """Element-wise maximum of a list of tensors; masked positions give way to the others.

    Shape: [(B, *), (B, *)] -> (B, *)
    Raises: ShapeError: not a list, or sizes that differ and are not 1.
    Example:
        >>> Maximum()([torch.tensor([[1.0, 4.0]]), torch.tensor([[2.0, 3.0]])])
        tensor([[2., 4.]])

    Reference: Goodfellow et al. 2013 (maxout). At a tie the gradient is shared.
    """

    pick = staticmethod(torch.maximum)


@register_layer("Minimum")
class Minimum(_Extremum):
    """Element-wise minimum of a list of tensors; masked positions give way to the others.

    Shape: [(B, *), (B, *)] -> (B, *)
    Raises: ShapeError: not a list, or sizes that differ and are not 1.
    Example:
        >>> Minimum()([torch.tensor([[1.0, 4.0]]), torch.tensor([[2.0, 3.0]])])
        tensor([[1., 3.]])
    """

    pick = staticmethod(torch.minimum)


@register_layer("Concatenate")
class Concatenate(Layer):
    """Tensors put one after the other along an axis.

    Args:
        axis: The axis along which they are joined, by default the last (channels).
    Shape: [(B, *, C), (B, *, C)] -> (B, *, 2C)
    Raises: ShapeError: not a list, or another axis than `axis` differs.
    Example:
        >>> Concatenate()([torch.zeros(2, 3), torch.zeros(2, 4)]).shape
        torch.Size([2, 7])

    Reference: Szegedy et al. 2015 (Inception), Huang et al. 2017 (DenseNet).
    """

    receptive = None

    def __init__(self, axis: int = -1, **options: Unpack[LayerOptions]) -> None:
        super().__init__(**options)
        self.supports_masking = True
        self.axis = check_int("axis", axis, owner="Concatenate")

    def build(self, input_shape: Any) -> None:
        shapes = check_list(input_shape, owner="Concatenate")
        rank = len(shapes[0])
        fits = all(len(shape) == rank for shape in shapes) and -rank <= self.axis < rank
        others = [axis for axis in range(rank) if axis != self.axis % rank] if fits else []
        if not fits or any(len({s[a] for s in shapes} - {None}) > 1 for a in others):
            raise ShapeError(
                f"Concatenate(axis={self.axis}) cannot join "
                f"{', '.join(shape_text(shape) for shape in shapes)}",
                where=f"layer {self.name!r}",
                why=f"all axes but axis {self.axis} must have the same sizes",
                fix="make the picture sizes equal with padding='same', Cropping2D or UpSampling2D",
            )

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        return torch.cat(list(inputs), self.axis)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """Keras' rule: an input without a mask counts as valid, and the last axis is merged."""
        if previous_mask is None or all(mask is None for mask in previous_mask):
            return None
        whole = [
            torch.ones_like(x, dtype=torch.bool)
            if mask is None
            else torch.logical_or(_to_rank(mask, x), torch.zeros_like(x, dtype=torch.bool))
            for x, mask in zip(inputs, previous_mask)
        ]
        return torch.any(torch.cat(whole, self.axis), dim=-1)


def add(inputs: Sequence[Any], **options: Unpack[LayerOptions]) -> Any:
    """`Add(**options)(inputs)`."""
    return Add(**options)(inputs)


def subtract(inputs: Sequence[Any], **options: Unpack[LayerOptions]) -> Any:
    """`Subtract(**options)(inputs)`."""
    return Subtract(**options)(inputs)


def multiply(inputs: Sequence[Any], **options: Unpack[LayerOptions]) -> Any:
    """`Multiply(**options)(inputs)`."""
    return Multiply(**options)(inputs)


def average(inputs: Sequence[Any], **options: Unpack[LayerOptions]) -> Any:
    """`Average(**options)(inputs)`."""
    return Average(**options)(inputs)


def maximum(inputs: Sequence[Any], **options: Unpack[LayerOptions]) -> Any:
    """`Maximum(**options)(inputs)`."""
    return Maximum(**options)(inputs)


def minimum(inputs: Sequence[Any], **options: Unpack[LayerOptions]) -> Any:
    """`Minimum(**options)(inputs)`."""
    return Minimum(**options)(inputs)


def concatenate(inputs: Sequence[Any], axis: int = -1, **options: Unpack[LayerOptions]) -> Any:
    """`Concatenate(axis, **options)(inputs)`."""
    return Concatenate(axis, **options)(inputs)
