"""Operations on shapes and places under NumPy's names, as Keras' graphs mean them.

Inputs come by position, settings by keyword: a file keeps the two apart.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from stroma.core.dtypes import to_dtype
from stroma.functional.pooling import average_pool as _average_pool
from stroma.functional.pooling import max_pool as _max_pool


def _whole(axis: Any) -> Any:
    return tuple(axis) if isinstance(axis, list) else axis


# Shapes


def reshape(x: Tensor, *, newshape: Any) -> Tensor:
    """A size of None is inferred, like -1."""
    return torch.reshape(x, [-1 if size is None else size for size in newshape])


def transpose(x: Tensor, *, axes: Any = None) -> Tensor:
    return torch.permute(x, tuple(axes if axes is not None else reversed(range(x.ndim))))


def squeeze(x: Tensor, *, axis: Any = None) -> Tensor:
    return torch.squeeze(x) if axis is None else torch.squeeze(x, _whole(axis))


def expand_dims(x: Tensor, *, axis: Any) -> Tensor:
    axes = axis if isinstance(axis, (list, tuple)) else [axis]
    rank = x.dim() + len(axes)
    for place in sorted(a % rank for a in axes):
        x = torch.unsqueeze(x, place)
    return x


def swapaxes(x: Tensor, *, axis1: int, axis2: int) -> Tensor:
    return torch.transpose(x, axis1, axis2)


def moveaxis(x: Tensor, *, source: Any, destination: Any) -> Tensor:
    return torch.movedim(x, _whole(source), _whole(destination))


def ravel(x: Tensor) -> Tensor:
    return torch.ravel(x)


def broadcast_to(x: Tensor, *, shape: Any) -> Tensor:
    return torch.broadcast_to(x, shape)


def flip(x: Tensor, *, axis: Any = None) -> Tensor:
    axes = range(x.ndim) if axis is None else axis if isinstance(axis, (list, tuple)) else [axis]
    return torch.flip(x, tuple(axes))


def rot90(array: Tensor, *, k: int = 1, axes: Any = (0, 1)) -> Tensor:
    return torch.rot90(array, k, list(axes))


def roll(x: Tensor, *, shift: Any, axis: Any = None) -> Tensor:
    return torch.roll(x, _whole(shift), _whole(axis))


def repeat(x: Tensor, *, repeats: Any, axis: int | None = None) -> Tensor:
    counts = repeats if isinstance(repeats, int) else torch.as_tensor(repeats, device=x.device)
    return torch.repeat_interleave(x, counts, axis)


def tile(x: Tensor, *, repeats: Any) -> Tensor:
    return torch.tile(x, (repeats,) if isinstance(repeats, int) else tuple(repeats))


def pad(
    x: Tensor, constant_values: Any = None, *, pad_width: Any, mode: str = "constant"
) -> Tensor:
    """Before and after each axis, or one pair or number for all.

    Args:
        mode: "constant", "reflect", or "symmetric", which Keras on torch does as replication.
    """
    if isinstance(pad_width, int):
        pad_width = (pad_width, pad_width)
    if isinstance(pad_width[0], int):
        pad_width = [pad_width] * x.dim()
    pads = [size for pair in reversed(pad_width) for size in pair]
    if mode == "constant":
        return F.pad(x, pads, value=constant_values)
    while len(pads) > 2 and pads[-2:] == [0, 0]:  # torch takes no axes that nothing is added to
        del pads[-2:]
    lead = max(0, len(pads) // 2 + 1 - x.dim())
    y = F.pad(x[(None,) * lead], pads, mode="replicate" if mode == "symmetric" else mode)
    return y[(0,) * lead]


# Joining and parting


def concatenate(xs: Any, *, axis: int = 0) -> Tensor:
    return torch.cat(list(xs), axis)


def stack(x: Any, *, axis: int = 0) -> Tensor:
    return torch.stack(list(x), axis)


def append(x1: Tensor, x2: Tensor, *, axis: int | None = None) -> Tensor:
    parts = [x1.flatten(), x2.flatten()] if axis is None else [x1, x2]
    return torch.cat(parts, axis or 0)


def hstack(xs: Any) -> Tensor:
    return torch.hstack(list(xs))


def vstack(xs: Any) -> Tensor:
    return torch.vstack(list(xs))


def dstack(xs: Any) -> Tensor:
    return torch.dstack(list(xs))


def split(x: Tensor, *, indices_or_sections: Any, axis: int = 0) -> list[Tensor]:
    return list(torch.tensor_split(x, _whole(indices_or_sections), axis))


def array_split(x: Tensor, *, indices_or_sections: Any, axis: int = 0) -> list[Tensor]:
    return split(x, indices_or_sections=indices_or_sections, axis=axis)


def hsplit(x: Tensor, *, indices_or_sections: Any) -> list[Tensor]:
    return split(x, indices_or_sections=indices_or_sections, axis=min(1, x.dim() - 1))


def vsplit(x: Tensor, *, indices_or_sections: Any) -> list[Tensor]:
    return split(x, indices_or_sections=indices_or_sections, axis=0)


def dsplit(x: Tensor, *, indices_or_sections: Any) -> list[Tensor]:
    return split(x, indices_or_sections=indices_or_sections, axis=2)


def unstack(x: Tensor, *, num: int | None = None, axis: int = 0) -> list[Tensor]:
    """One tensor for each place along the axis; `num` is their number, for those who know it."""
    return list(torch.unbind(x, axis))


def meshgrid(*x: Tensor, indexing: str = "xy") -> list[Tensor]:
    return list(torch.meshgrid(*x, indexing=indexing))


# Places


def get_item(x: Any, key: Any) -> Any:
    """`x[key]`; a list of parts is a tuple in a file."""
    return x[tuple(key)] if isinstance(key, list) else x[key]


def slice_(inputs: Tensor, start_indices: Any, *, shape: Any) -> Tensor:
    ends = zip(start_indices, shape)
    return inputs[tuple(slice(start, None if n == -1 else start + n) for start, n in ends)]


def take(x: Tensor, indices: Any, *, axis: int | None = None) -> Tensor:
    """Entries at `indices` along the axis; of the flat tensor when it is None."""
    places = torch.as_tensor(indices, device=x.device).long()
    if axis is None:
        x, axis = x.reshape(-1), 0
    axis %= x.dim()
    places = torch.where(places < 0, places + x.shape[axis], places)
    found = torch.index_select(x, axis, places.reshape(-1))
    return found.reshape((*x.shape[:axis], *places.shape, *x.shape[axis + 1 :]))


def take_along_axis(x: Tensor, indices: Any, *, axis: int | None = None) -> Tensor:
    places = torch.as_tensor(indices, device=x.device).long()
    size = x.numel() if axis is None else x.shape[axis]
    return torch.take_along_dim(x, torch.where(places < 0, places + size, places), axis)


def diag(x: Tensor, *, k: int = 0) -> Tensor:
    return torch.diag(x, k)


def diagonal(x: Tensor, *, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    return torch.diagonal(x, offset, axis1, axis2)


def trace(x: Tensor, *, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    return torch.sum(torch.diagonal(x, offset, axis1, axis2), -1)


def tril(x: Tensor, *, k: int = 0) -> Tensor:
    return torch.tril(x, k)


def triu(x: Tensor, *, k: int = 0) -> Tensor:
    return torch.triu(x, k)


def one_hot(x: Tensor, *, num_classes: int, axis: int = -1, dtype: Any = None) -> Tensor:
    """A 1 at each index; an index out of range gives zeros."""
    hot = x.long().unsqueeze(-1) == torch.arange(num_classes, device=x.device)
    return hot.to(to_dtype(dtype or "float32")).movedim(-1, axis)


def multi_hot(inputs: Tensor, *, num_classes: int, axis: int = -1, dtype: Any = None) -> Tensor:
    """A 1 for each index that occurs along the second axis, of a vector along its only one."""
    hot = one_hot(inputs, num_classes=num_classes, axis=axis, dtype=dtype)
    return torch.amax(hot, 1 if inputs.dim() > 1 else 0)


def searchsorted(sorted_sequence: Tensor, values: Any, *, side: str = "left") -> Tensor:
    return torch.searchsorted(sorted_sequence, torch.as_tensor(values), side=side).int()


def digitize(x: Tensor, bins: Any) -> Tensor:
    return torch.bucketize(x, torch.as_tensor(bins, device=x.device), right=True).int()


# Pictures


def max_pool(inputs: Tensor, *, pool_size: Any, strides: Any = None, padding: str = "valid",
             data_format: str | None = None) -> Tensor:  # fmt: skip
    return _pooled(_max_pool, inputs, pool_size, strides, padding, data_format)


def average_pool(inputs: Tensor, *, pool_size: Any, strides: Any = None, padding: str = "valid",
                 data_format: str | None = None) -> Tensor:  # fmt: skip
    return _pooled(_average_pool, inputs, pool_size, strides, padding, data_format)


def _pooled(pool: Any, x: Tensor, size: Any, strides: Any, padding: str, layout: Any) -> Tensor:
    rank = x.dim() - 2
    sizes = (size,) * rank if isinstance(size, int) else tuple(size)
    steps = sizes if strides is None else (strides,) * rank if isinstance(strides, int) else strides
    first = layout == "channels_first"
    y: Tensor = pool(x if first else x.movedim(-1, 1), sizes, tuple(steps), padding)
    return y if first else y.movedim(1, -1)


def rgb_to_grayscale(images: Tensor, *, data_format: str | None = None) -> Tensor:
    """Rec. 601: 0.2989 R + 0.5870 G + 0.1140 B, with one channel left."""
    axis = -3 if data_format == "channels_first" else -1
    shares = torch.tensor([0.2989, 0.5870, 0.1140], dtype=images.dtype, device=images.device)
    y: Tensor = torch.tensordot(images.movedim(axis, -1), shares, 1)
    return y.unsqueeze(axis)
