"""Operations on shapes and places: turning, joining, parting, picking."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from stroma.core.errors import ArgumentError
from stroma.functional import arrays, places
from stroma.functional.rearranging import rearrange as _rearrange
from stroma.ops.calling import apply, operation, to_tensor
from stroma.ops.reductions import summed

reshape = operation(arrays.reshape, "The same numbers in another shape; one size may be -1.")
transpose = operation(arrays.transpose, "The axes in another order, or reversed.")
squeeze = operation(arrays.squeeze, "Without axes of size 1.")
expand_dims = operation(arrays.expand_dims, "With axes of size 1 at these places.")
swapaxes = operation(arrays.swapaxes, "Two axes exchanged.")
moveaxis = operation(arrays.moveaxis, "Axes moved to other places.")
ravel = operation(arrays.ravel, "All numbers along one axis.")
broadcast_to = operation(arrays.broadcast_to, "Repeated along axes of size 1, without a copy.")
flip = operation(arrays.flip, "Reversed along axes.")
fliplr = operation(torch.fliplr, "Reversed along the second axis.", "x")
flipud = operation(torch.flipud, "Reversed along the first axis.", "x")
rot90 = operation(arrays.rot90, "Turned by `k` quarters in the plane of two axes.")
roll = operation(arrays.roll, "Shifted; what leaves at one end comes in at the other.")
repeat = operation(arrays.repeat, "Each entry repeated.")
tile = operation(arrays.tile, "The whole repeated along each axis.")

concatenate = operation(arrays.concatenate, "Joined along an axis that exists.", inputs="several")
stack = operation(arrays.stack, "Joined along a new axis.", inputs="several")
hstack = operation(arrays.hstack, "Joined along the second axis.", inputs="several")
vstack = operation(arrays.vstack, "Joined along the first axis.", inputs="several")
dstack = operation(arrays.dstack, "Joined along the third axis.", inputs="several")
append = operation(arrays.append, "x2 after x1; both flat when axis is None.", inputs="alike")
split = operation(arrays.split, "Equal parts, or the parts between these places.")
array_split = operation(arrays.array_split, "Parts of nearly equal size.")
hsplit = operation(arrays.hsplit, "Parts along the second axis.")
vsplit = operation(arrays.vsplit, "Parts along the first axis.")
dsplit = operation(arrays.dsplit, "Parts along the third axis.")
unstack = operation(arrays.unstack, "One tensor for each place along an axis.")
meshgrid = operation(arrays.meshgrid, "Coordinates of a grid, one tensor for each axis.")

take = operation(arrays.take, "Entries at these places along an axis.")
take_along_axis = operation(arrays.take_along_axis, "The entry at its own place for each number.")
diag = operation(arrays.diag, "A matrix with this diagonal, or the diagonal of a matrix.")
diagflat = operation(places.diagflat, "A matrix with all numbers on a diagonal.")
diagonal = operation(arrays.diagonal, "The diagonal of two axes, as the last axis.")
trace = operation(arrays.trace, "The sum of a diagonal.", result=summed)
tril = operation(arrays.tril, "Zeros above the diagonal `k`.")
triu = operation(arrays.triu, "Zeros below the diagonal `k`.")
vander = operation(places.vander, "Powers of each number, one to a column.")
unravel_index = operation(places.unravel_index, "Places in the flat tensor as one place an axis.",
                          result=None)  # fmt: skip
scatter_update = operation(places.scatter_update, "With `updates` at these places, or joined "
                           "with what is there.")  # fmt: skip
segment_sum = operation(places.segment_sum, "Sums of the rows that have the same number.")
segment_max = operation(places.segment_max, "The largest of rows that have the same number.")
segment_min = operation(places.segment_min, "The smallest of rows that have the same number.")
segment_prod = operation(places.segment_prod, "Products of rows that have the same number.")
extract_sequences = operation(places.extract_sequences, "Windows along the last axis.")


def pad(x: Any, pad_width: Any, mode: str = "constant", constant_values: Any = None) -> Any:
    """Numbers added before and after each axis.

    Args:
        x: A tensor.
        pad_width: (before, after) for each axis, or one pair or number for all.
        mode: "constant", "reflect", or "symmetric".
        constant_values: For "constant", 0 when None.
    Example:
        >>> pad([1, 2], (1, 2)).tolist()
        [0, 1, 2, 0, 0]
    """
    if mode not in ("constant", "reflect", "symmetric"):
        raise ArgumentError(
            f"pad: mode must be 'constant', 'reflect' or 'symmetric', got {mode!r}",
            where="ops.pad(x, pad_width, mode)",
            why="these say what lies beyond the ends",
            fix="ops.pad(x, 1, mode='reflect')",
        )
    values = () if constant_values is None else (constant_values,)
    return apply(arrays.pad, x, *values, pad_width=pad_width, mode=mode)


def slice(inputs: Any, start_indices: Any, shape: Any) -> Any:
    """The part of `shape` that starts at these places; a size of -1 takes the rest.

    Args:
        inputs: Any tensor.
        start_indices: Where it starts, one place an axis.
        shape: Its size.
    Example:
        >>> slice([[1, 2, 3], [4, 5, 6]], (0, 1), (2, 2)).tolist()
        [[2, 3], [5, 6]]
    """
    return apply(arrays.slice_, to_tensor(inputs), start_indices, inputs="made", shape=shape)


def slice_update(inputs: Any, start_indices: Any, updates: Any) -> Any:
    """With `updates` in place of the part that starts at these places.

    Args:
        inputs: Any tensor.
        start_indices: Where the part starts, one place an axis.
        updates: The part.
    Example:
        >>> slice_update([1, 2, 3, 4], [1], [7, 8]).tolist()
        [1, 7, 8, 4]
    """
    given = (to_tensor(inputs), start_indices, to_tensor(updates))
    return apply(places.slice_update, *given, inputs="made")


def get_item(x: Any, key: Any) -> Any:
    """x[key].

    Example:
        >>> get_item([[1, 2], [3, 4]], (0, 1))
        tensor(2, dtype=torch.int32)
    """
    return to_tensor(x)[key]


def nonzero(x: Any) -> Tensor:
    """The places of numbers that are not 0: (axes, places).

    Example:
        >>> nonzero([0, 5, 6])
        tensor([[1, 2]], dtype=torch.int32)
    """
    return torch.nonzero(to_tensor(x)).T.int()


def scatter(indices: Any, values: Any, shape: Any) -> Tensor:
    """Zeros with values added at places: indices (N, axes), values (N, *).

    Args:
        indices: Places (N, axes).
        values: What is added there (N, *).
        shape: That of the result.
    Example:
        >>> scatter([[0], [2]], [1.0, 5.0], (4,))
        tensor([1., 0., 5., 0.])
    """
    return apply(places.scatter, indices, values, shape=shape)  # type: ignore[no-any-return]


def rearrange(tensor: Any, pattern: str, **axes_lengths: int) -> Any:
    """Axes split, merged and moved as a pattern of names says.

    Args:
        tensor: Any tensor.
        pattern: "b h w c -> b (h w) c": names of axes before and after; those in parentheses are
            one axis.
        axes_lengths: Sizes of names that cannot be found from the shape.
    Example:
        >>> rearrange([[1, 2, 3, 4]], "a (b c) -> (a c) b", b=2).tolist()
        [[1, 3], [2, 4]]

    Reference: Rogozhnikov 2022, "Einops".
    """
    return _rearrange(to_tensor(tensor), pattern, axes_lengths)


def view(x: Any, dtype: Any = None) -> Tensor:
    """The same bytes read as numbers of another dtype.

    Example:
        >>> view([1.0], "int32")
        tensor([1065353216], dtype=torch.int32)
    """
    from_bytes: Tensor = places.view(to_tensor(x), dtype)
    return from_bytes
