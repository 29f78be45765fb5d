"""Tensors made from nothing: constants, ranges, windows; and what is asked of any tensor."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stroma.core.dtypes import dtype_name, dtype_policy, to_dtype
from stroma.core.symbolic import is_symbolic
from stroma.functional import values
from stroma.ops.calling import alike, floating, operation, to_tensor


def constant(value: Any, dtype: Any = None, shape: Any = None, name: str | None = None) -> Tensor:
    """A tensor of these numbers.

    Args:
        value: A number, nested lists of numbers, or an array.
        dtype: By default int32 for Python integers, float32 for Python floats, and an array's own.
        shape: Reshape to it; a single number fills it.
        name: Accepted for TensorFlow's signature; tensors have no names.
    Example:
        >>> constant(4), constant([2.0, 3.0]).dtype
        (tensor(4, dtype=torch.int32), torch.float32)
    """
    tensor: Tensor = to_tensor(value, dtype)
    if shape is None:
        return tensor.clone() if isinstance(value, (np.ndarray, Tensor)) else tensor
    size = tuple(shape)
    return tensor.expand(size).clone() if tensor.numel() == 1 else tensor.reshape(size)


def zeros(shape: Any, dtype: Any = None) -> Tensor:
    """A tensor of zeros, float32 when no dtype is given.

    Example:
        >>> zeros((2, 3)).shape
        torch.Size([2, 3])
    """
    return torch.zeros(_size(shape), dtype=_floating(dtype))


def ones(shape: Any, dtype: Any = None) -> Tensor:
    """A tensor of ones, float32 when no dtype is given.

    Example:
        >>> float(ones((2, 3)).sum())
        6.0
    """
    return torch.ones(_size(shape), dtype=_floating(dtype))


def shape(x: Any) -> tuple[int, ...]:
    """The size of each axis.

    Example:
        >>> shape([[1, 2, 3]])
        (1, 3)
    """
    return tuple(x.shape) if hasattr(x, "shape") else np.asarray(x).shape


def rank(x: Any) -> int:
    """The number of axes.

    Example:
        >>> rank(3), rank([1, 2]), rank([[1, 2]])
        (0, 1, 2)
    """
    return len(shape(x))


def array(x: Any, dtype: Any = None) -> Tensor:
    """A tensor of these numbers; a tensor stays what it is.

    Example:
        >>> array([1, 2])
        tensor([1, 2], dtype=torch.int32)
    """
    tensor: Tensor = to_tensor(x, dtype)
    return tensor


def convert_to_tensor(
    x: Any, dtype: Any = None, sparse: bool | None = None, ragged: bool | None = None
) -> Tensor:
    """A tensor of these numbers; a tensor stays what it is.

    Args:
        x: Numbers, arrays, tensors, or lists of them.
        dtype: By default int32 for Python integers, float32 for Python floats, and an array's own.
        sparse, ragged: Accepted for Keras' signature: tensors here are dense.
    Example:
        >>> convert_to_tensor([1.5])
        tensor([1.5000])
    """
    return array(x, dtype)


def convert_to_numpy(x: Any) -> np.ndarray:
    """An array of these numbers, without their gradients.

    Example:
        >>> convert_to_numpy([1.0, 2.0])
        array([1., 2.], dtype=float32)
    """
    tensor = array(x).detach().cpu()
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).resolve_conj().numpy()


def is_tensor(x: Any) -> bool:
    """Whether it is a tensor with numbers in it.

    Example:
        >>> is_tensor(constant(1)), is_tensor(1)
        (True, False)
    """
    return isinstance(x, Tensor)


def dtype(x: Any) -> str:
    """The name of its dtype.

    Example:
        >>> dtype([1.0])
        'float32'
    """
    return dtype_name(x.dtype if is_symbolic(x) else array(x).dtype)


def ndim(x: Any) -> int:
    """The number of axes.

    Example:
        >>> ndim([[1, 2]])
        2
    """
    return len(shape(x))


def size(x: Any) -> int:
    """How many numbers it holds.

    Example:
        >>> size([[1, 2, 3]])
        3
    """
    return math.prod(shape(x))


def empty(shape: Any, dtype: Any = None) -> Tensor:
    """A tensor of whatever was in memory.

    Example:
        >>> empty((2, 3)).shape
        torch.Size([2, 3])
    """
    return torch.empty(_size(shape), dtype=_floating(dtype))


def full(shape: Any, fill_value: Any, dtype: Any = None) -> Tensor:
    """A tensor filled with one number, or with what can be broadcast to its shape; float32.

    Args:
        shape: Its size.
        fill_value: The number.
        dtype: float32 when None.
    Example:
        >>> full((2,), 7)
        tensor([7., 7.])
    """
    return array(fill_value, _floating(dtype)).expand(_size(shape)).clone()


def arange(start: Any, stop: Any = None, step: Any = None, dtype: Any = None) -> Tensor:
    """Numbers from start up to, without, stop.

    Args:
        start: The first; 0 when it is given alone, as the stop.
        stop: Where they end.
        step: From one to the next, 1 when None.
        dtype: That of the numbers given when None.
    Example:
        >>> arange(2, 8, 2)
        tensor([2, 4, 6], dtype=torch.int32)
    """
    first, last = (0, start) if stop is None else (start, stop)
    ends = [first, last, 1 if step is None else step]
    wanted = alike(*[e for e in (start, stop, step) if e is not None])[0].dtype
    return torch.arange(*ends, dtype=wanted if dtype is None else to_dtype(dtype))


def eye(
    N: int,  # Keras' name
    M: int | None = None,
    k: int = 0,
    dtype: Any = None,
) -> Tensor:
    """Ones on the diagonal `k` of a matrix (N, M), zeros elsewhere.

    Example:
        >>> eye(2, 3, k=1).tolist()
        [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    columns = N if M is None else M
    distance = torch.arange(columns) - torch.arange(N)[:, None]
    return (distance == k).to(_floating(dtype))


def identity(n: int, dtype: Any = None) -> Tensor:
    """The matrix (n, n) that changes nothing.

    Example:
        >>> identity(2).tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """
    return eye(n, dtype=dtype)


def tri(
    N: int,  # Keras' name
    M: int | None = None,
    k: int = 0,
    dtype: Any = None,
) -> Tensor:
    """Ones on and below the diagonal `k` of a matrix (N, M), zeros above.

    Example:
        >>> tri(2).tolist()
        [[1.0, 0.0], [1.0, 1.0]]
    """
    columns = N if M is None else M
    distance = torch.arange(columns) - torch.arange(N)[:, None]
    return (distance <= k).to(_floating(dtype))


def linspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: Any = None,
    axis: int = 0,
) -> Any:
    """`num` numbers at equal distances.

    Args:
        start: The first; a tensor gives a line of numbers for each of its own.
        stop: The last, or, without `endpoint`, the one after it.
        num: How many.
        endpoint: Whether stop is one of them.
        retstep: Also give the distance.
        dtype: A floating one by default.
        axis: Along which they lie.
    Example:
        >>> linspace(0, 1, 5)
        tensor([0.0000, 0.2500, 0.5000, 0.7500, 1.0000])
    """
    first, last = (floating(x) for x in alike(start, stop))
    gaps = num - 1 if endpoint else num
    step = (last - first) / gaps if gaps else (last - first) * math.nan
    places = torch.arange(num, dtype=first.dtype).reshape(-1, *[1] * first.dim())
    numbers = first + places * step if num > 1 else first.expand(num, *first.shape)
    if endpoint and num > 1:
        numbers = torch.cat([numbers[:-1], last[None]])
    numbers = numbers.movedim(0, axis)
    line = numbers if dtype is None else numbers.to(to_dtype(dtype))
    return (line, step) if retstep else line


def logspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    base: Any = 10,
    dtype: Any = None,
    axis: int = 0,
) -> Tensor:
    """`base` to the powers of a `linspace`.

    Args:
        start: The first power.
        stop: The last power, or, without `endpoint`, the one after it.
        num: How many.
        endpoint: Whether stop is one of them.
        base: What is raised.
        dtype: A floating one by default.
        axis: Along which they lie.
    Example:
        >>> logspace(0, 2, 3)
        tensor([  1.,  10., 100.])
    """
    powers: Tensor = base ** linspace(start, stop, num, endpoint, axis=axis)
    return powers if dtype is None else powers.to(to_dtype(dtype))


def geomspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    dtype: Any = None,
    axis: int = 0,
) -> Tensor:
    """`num` numbers, each the same multiple of the one before.

    Args:
        start: The first.
        stop: The last, or, without `endpoint`, the one after it.
        num: How many.
        endpoint: Whether stop is one of them.
        dtype: A floating one by default.
        axis: Along which they lie.
    Example:
        >>> geomspace(1, 8, 4)
        tensor([1., 2., 4., 8.])
    """
    first, last = (floating(x) for x in alike(start, stop))
    first, last = first + torch.zeros_like(last), last + torch.zeros_like(first)
    numbers = first * linspace(torch.zeros_like(first), torch.log2(last / first), num, endpoint,
                               axis=axis).exp2()  # fmt: skip
    line = numbers.movedim(axis, 0)
    ends = [first[None], line[1:-1], last[None]] if endpoint else [first[None], line[1:]]
    if num > 1:  # powers are rounded, ends are not
        numbers = torch.cat(ends).movedim(0, axis)
    series: Tensor = numbers if dtype is None else numbers.to(to_dtype(dtype))
    return series


zeros_like = operation(values.zeros_like, "Zeros in the shape of x.")
ones_like = operation(values.ones_like, "Ones in the shape of x.")
empty_like = operation(values.zeros_like, "A tensor in the shape of x, to be filled.")
full_like = operation(values.full_like, "One number in the shape of x.")
cast = operation(values.cast, "The same numbers in another dtype.")
saturate_cast = operation(values.saturate_cast, "`cast`, with what is out of range at its ends.")
stop_gradient = operation(values.stop_gradient, "The same numbers, through which nothing learns.")


def _size(size: Any) -> tuple[int, ...]:
    return (size,) if isinstance(size, int) else tuple(size)


def _floating(dtype: Any) -> torch.dtype:
    return dtype_policy().variable_dtype if dtype is None else to_dtype(dtype)
