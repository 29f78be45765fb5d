"""Operations over axes under NumPy's names: what Keras' graphs and files mean by `mean`, `var`, ...

Inputs come by position, settings by keyword: a file keeps the two apart.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from stroma.core.dtypes import to_dtype

Axis = int | list[int] | tuple[int, ...] | None


def _dims(axis: Axis) -> Any:
    """torch's `dim`: an empty tuple means all axes."""
    return () if axis is None else tuple(axis) if isinstance(axis, (list, tuple)) else axis


def _every(x: Tensor, axis: Axis) -> Any:
    """The same for functions to which an empty tuple means no axis."""
    return tuple(range(x.dim())) if axis is None else _dims(axis)


def _floating(x: Tensor) -> Tensor:
    return x if x.is_floating_point() else x.float()


def _merged(x: Tensor, axis: Axis) -> Tensor:
    """The axes joined into the last one, for functions that reduce one axis alone."""
    if axis is None:
        return x.reshape(-1)
    dims = sorted(d % x.dim() for d in (axis if isinstance(axis, (list, tuple)) else [axis]))
    return torch.movedim(x, dims, list(range(-len(dims), 0))).flatten(-len(dims))


def _kept(y: Tensor, x: Tensor, axis: Axis, keepdims: bool) -> Tensor:
    """`y`, reduced from `x` over `axis`, with axes of size 1 where `keepdims` wants them."""
    if not keepdims:
        return y
    dims = range(x.dim()) if axis is None else axis if isinstance(axis, (list, tuple)) else [axis]
    for dim in sorted(d % x.dim() for d in dims):
        y = y.unsqueeze(dim)
    return y


def sum_(x: Tensor, *, axis: Axis = None, keepdims: bool = False) -> Tensor:
    return torch.sum(x, _dims(axis), keepdim=keepdims)


def mean(x: Tensor, *, axis: Axis = None, keepdims: bool = False) -> Tensor:
    return torch.mean(_floating(x), _dims(axis), keepdim=keepdims)


def average(x: Tensor, weights: Tensor | None = None, *, axis: Axis = None) -> Tensor:
    """Mean with weights of x's shape, or of its size along `axis`."""
    if weights is None:
        return mean(x, axis=axis)
    weights = torch.as_tensor(weights, dtype=_floating(x).dtype, device=x.device)
    if isinstance(axis, int) and weights.dim() == 1 < x.dim():
        weights = weights.reshape([-1 if d == axis % x.dim() else 1 for d in range(x.dim())])
    weights = weights.expand(x.shape)
    return torch.sum(x * weights, _dims(axis)) / torch.sum(weights, _dims(axis))


def var(x: Tensor, *, axis: Axis = None, keepdims: bool = False) -> Tensor:
    return torch.var(_floating(x), _every(x, axis), keepdim=keepdims, correction=0)


def std(x: Tensor, *, axis: Axis = None, keepdims: bool = False) -> Tensor:
    return torch.std(_floating(x), _every(x, axis), keepdim=keepdims, correction=0)


def moments(x: Tensor, *, axes: Axis, keepdims: bool = False) -> tuple[Tensor, Tensor]:
    """Mean and variance."""
    return mean(x, axis=axes, keepdims=keepdims), var(x, axis=axes, keepdims=keepdims)


def max_(x: Tensor, *, axis: Axis = None, keepdims: bool = False,
         initial: float | None = None) -> Tensor:  # fmt: skip
    y = torch.amax(x, _dims(axis), keepdim=keepdims)
    return y if initial is None else torch.clamp(y, min=initial)


def min_(x: Tensor, *, axis: Axis = None, keepdims: bool = False,
         initial: float | None = None) -> Tensor:  # fmt: skip
    y = torch.amin(x, _dims(axis), keepdim=keepdims)
    return y if initial is None else torch.clamp(y, max=initial)


def amax(x: Tensor, *, axis: Axis = None, keepdims: bool = False) -> Tensor:
    return torch.amax(x, _dims(axis), keepdim=keepdims)


def amin(x: Tensor, *, axis: Axis = None, keepdims: bool = False) -> Tensor:
    return torch.amin(x, _dims(axis), keepdim=keepdims)


def ptp(x: Tensor, *, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Largest minus smallest."""
    return max_(x, axis=axis, keepdims=keepdims) - min_(x, axis=axis, keepdims=keepdims)


def any_(x: Tensor, *, axis: Axis = None, keepdims: bool = False) -> Tensor:
    return torch.any(x.bool(), _every(x, axis), keepdim=keepdims)


def all_(x: Tensor, *, axis: Axis = None, keepdims: bool = False) -> Tensor:
    return torch.all(x.bool(), _every(x, axis), keepdim=keepdims)


def prod(x: Tensor, *, axis: Axis = None, keepdims: bool = False, dtype: Any = None) -> Tensor:
    wanted = None if dtype is None else to_dtype(dtype)
    return _kept(torch.prod(_merged(x, axis), -1, dtype=wanted), x, axis, keepdims)


def logsumexp(x: Tensor, *, axis: Axis = None, keepdims: bool = False) -> Tensor:
    return torch.logsumexp(x, _every(x, axis), keepdims)


def count_nonzero(x: Tensor, *, axis: Axis = None) -> Tensor:
    return torch.sum(x != 0, _dims(axis), dtype=torch.int32)


def _ordered(x: Tensor) -> Tensor:
    return x.int() if x.dtype == torch.bool else x  # torch has no order of truth values


def argmax(x: Tensor, *, axis: int | None = None, keepdims: bool = False) -> Tensor:
    return torch.argmax(_ordered(x), axis, keepdims)


def argmin(x: Tensor, *, axis: int | None = None, keepdims: bool = False) -> Tensor:
    return torch.argmin(_ordered(x), axis, keepdims)


def quantile(x: Tensor, q: Any, *, axis: Axis = None, method: str = "linear",
             keepdims: bool = False) -> Tensor:  # fmt: skip
    """Quantiles `q` in [0, 1]; several come first in the result."""
    return quantile_by(torch.quantile, x, q, axis, method, keepdims)


def quantile_by(find: Callable[..., Tensor], x: Tensor, q: Any, axis: Axis, method: str,
                keepdims: bool) -> Tensor:  # fmt: skip
    """The same by one of torch's two functions: of all numbers, or of those that are no NaN."""
    x = _floating(x)
    shares = torch.as_tensor(q, dtype=x.dtype, device=x.device)
    y = find(_merged(x, axis), shares, -1, interpolation=method)
    if not shares.dim():
        return _kept(y, x, axis, keepdims)
    return _kept(y.movedim(0, -1), x, axis, keepdims).movedim(-1, 0) if keepdims else y


def percentile(x: Tensor, q: Any, *, axis: Axis = None, method: str = "linear",
               keepdims: bool = False) -> Tensor:  # fmt: skip
    shares = torch.as_tensor(q, dtype=torch.float32) / 100
    return quantile(x, shares, axis=axis, method=method, keepdims=keepdims)


def median(x: Tensor, *, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The middle one, or the mean of the middle two (torch's takes the lower of them)."""
    return quantile(x, 0.5, axis=axis, keepdims=keepdims)


def norm(x: Tensor, *, ord: Any = None, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Norm of vectors along one axis, of matrices over two; all numbers as one vector by default.

    Args:
        ord: An order, ".inf", "fro" or "nuc".
    """
    dims = None if axis is None else _dims(axis)
    y: Tensor = torch.linalg.norm(_floating(x), ord, dims, keepdims)
    return y


def normalize(x: Tensor, *, axis: Axis = -1, order: int = 2,
              epsilon: float | None = None) -> Tensor:  # fmt: skip
    """x divided by its norm, or by `epsilon` (1e-7) where that is larger."""
    length = torch.linalg.vector_norm(x, order, _dims(axis), keepdim=True)
    return x / torch.clamp(length, min=1e-7 if epsilon is None else epsilon)


def layer_norm(x: Tensor, gamma: Tensor | None = None, beta: Tensor | None = None, *,
               axis: Axis = -1, epsilon: float | None = None,
               rms_scaling: bool = False) -> Tensor:  # fmt: skip
    """(x - mean) / sqrt(var + epsilon) over the axes, times gamma, plus beta."""
    dims = sorted(d % x.dim() for d in (axis if isinstance(axis, (list, tuple)) else [axis or -1]))
    y = x if rms_scaling else x - mean(x, axis=dims, keepdims=True)
    y = y * torch.rsqrt(var(x, axis=dims, keepdims=True) + (1e-7 if epsilon is None else epsilon))
    shape = [x.shape[d] if d in dims else 1 for d in range(x.dim())]
    y = y if gamma is None else y * gamma.reshape(shape)
    return y if beta is None else y + beta.reshape(shape)


def rms_norm(x: Tensor, scale: Tensor | None = None, *, axis: Axis = -1,
             epsilon: float | None = None) -> Tensor:  # fmt: skip
    """x / sqrt(mean(x²) + epsilon) over the axes, times scale."""
    squares = mean(x.square(), axis=axis, keepdims=True)
    y = x * torch.rsqrt(squares + (1e-7 if epsilon is None else epsilon))
    return y if scale is None else y * scale


def batch_norm(x: Tensor, mean: Tensor, variance: Tensor, offset: Tensor | None = None,
               scale: Tensor | None = None, *, axis: int,
               epsilon: float = 1e-3) -> Tensor:  # fmt: skip
    """(x - mean) / sqrt(variance + epsilon) * scale + offset, with one of each a channel."""
    shape = [-1 if d == axis % x.dim() else 1 for d in range(x.dim())]
    factor = torch.rsqrt(variance + epsilon) * (1 if scale is None else scale)
    y = (x - mean.reshape(shape)) * factor.reshape(shape)
    return y if offset is None else y + offset.reshape(shape)


def cumsum(x: Tensor, *, axis: int | None = None, dtype: Any = None) -> Tensor:
    x = x.flatten() if axis is None else x
    return torch.cumsum(x, axis or 0, dtype=None if dtype is None else to_dtype(dtype))


def cumprod(x: Tensor, *, axis: int | None = None, dtype: Any = None) -> Tensor:
    x = x.flatten() if axis is None else x
    return torch.cumprod(x, axis or 0, dtype=None if dtype is None else to_dtype(dtype))


def sort(x: Tensor, *, axis: int = -1) -> Tensor:
    return torch.sort(x, axis).values


def argsort(x: Tensor, *, axis: int | None = -1) -> Tensor:
    x, dim = (x.flatten(), -1) if axis is None else (x, axis)
    return torch.argsort(x, dim=dim, stable=True)


def top_k(x: Tensor, *, k: int, sorted: bool = True) -> tuple[Tensor, Tensor]:
    values, indices = torch.topk(x, k, sorted=sorted)
    return values, indices


def in_top_k(targets: Tensor, predictions: Tensor, *, k: int) -> Tensor:
    """Whether the score of the target is among the k largest; ties count as inside."""
    own = torch.take_along_dim(predictions, targets.long()[..., None], -1)
    return (predictions > own).sum(-1) < k


def diff(a: Tensor, *, n: int = 1, axis: int = -1) -> Tensor:
    return torch.diff(a, n, axis)


def nan_sum(x: Tensor, *, axis: Axis = None, keepdims: bool = False) -> Tensor:
    return torch.nansum(x, _dims(axis), keepdim=keepdims)


def nan_mean(x: Tensor, *, axis: Axis = None, keepdims: bool = False) -> Tensor:
    return torch.nanmean(x, _dims(axis), keepdim=keepdims)


def nan_max(x: Tensor, *, axis: Axis = None, keepdims: bool = False) -> Tensor:
    if not x.is_floating_point():
        return max_(x, axis=axis, keepdims=keepdims)
    known = torch.nan_to_num(x, -math.inf, math.inf, -math.inf)
    return _unless_all_nan(max_(known, axis=axis, keepdims=keepdims), x, axis, keepdims)


def nan_min(x: Tensor, *, axis: Axis = None, keepdims: bool = False) -> Tensor:
    if not x.is_floating_point():
        return min_(x, axis=axis, keepdims=keepdims)
    known = torch.nan_to_num(x, math.inf, math.inf, -math.inf)
    return _unless_all_nan(min_(known, axis=axis, keepdims=keepdims), x, axis, keepdims)


def _unless_all_nan(y: Tensor, x: Tensor, axis: Axis, keepdims: bool) -> Tensor:
    nothing = all_(torch.isnan(x), axis=axis, keepdims=keepdims)
    return torch.where(nothing, math.nan, y)


def nan_var(x: Tensor, *, axis: Axis = None, keepdims: bool = False) -> Tensor:
    away = x - nan_mean(x, axis=axis, keepdims=True)
    return nan_mean(away.square(), axis=axis, keepdims=keepdims)


def nan_std(x: Tensor, *, axis: Axis = None, keepdims: bool = False) -> Tensor:
    return torch.sqrt(nan_var(x, axis=axis, keepdims=keepdims))
