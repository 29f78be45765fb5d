"""Operations over axes that leave out what is not a number, under NumPy's names.

Inputs come by position, settings by keyword: a file keeps the two apart.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from stroma.functional import reductions
from stroma.functional.reductions import Axis


def _filled(x: Tensor, value: float) -> Tensor:
    return torch.where(torch.isnan(x), value, x) if x.is_floating_point() else x


def nan_prod(x: Tensor, *, axis: Axis = None, keepdims: bool = False) -> Tensor:
    return reductions.prod(_filled(x, 1), axis=axis, keepdims=keepdims)


def nan_cumsum(x: Tensor, *, axis: int | None = None, dtype: Any = None) -> Tensor:
    return reductions.cumsum(_filled(x, 0), axis=axis, dtype=dtype)


def nan_cumprod(x: Tensor, *, axis: int | None = None, dtype: Any = None) -> Tensor:
    return reductions.cumprod(_filled(x, 1), axis=axis, dtype=dtype)


def nan_argmax(x: Tensor, *, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """-1 where everything is NaN."""
    places = reductions.argmax(_filled(x, -math.inf), axis=axis, keepdims=keepdims)
    return _unless_all_nan(places, x, axis, keepdims)


def nan_argmin(x: Tensor, *, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """-1 where everything is NaN."""
    places = reductions.argmin(_filled(x, math.inf), axis=axis, keepdims=keepdims)
    return _unless_all_nan(places, x, axis, keepdims)


def _unless_all_nan(places: Tensor, x: Tensor, axis: int | None, keepdims: bool) -> Tensor:
    if not x.is_floating_point():
        return places
    nothing = reductions.all_(torch.isnan(x), axis=axis, keepdims=keepdims)
    return torch.where(nothing, -1, places)


def nan_quantile(x: Tensor, q: Any, *, axis: Axis = None, method: str = "linear",
                 keepdims: bool = False) -> Tensor:  # fmt: skip
    return reductions.quantile_by(torch.nanquantile, x, q, axis, method, keepdims)


def nan_percentile(x: Tensor, q: Any, *, axis: Axis = None, method: str = "linear",
                   keepdims: bool = False) -> Tensor:  # fmt: skip
    shares = torch.as_tensor(q, dtype=torch.float32) / 100
    return nan_quantile(x, shares, axis=axis, method=method, keepdims=keepdims)


def nan_median(x: Tensor, *, axis: Axis = None, keepdims: bool = False) -> Tensor:
    return nan_quantile(x, 0.5, axis=axis, keepdims=keepdims)
