"""Operations number by number, and products, under NumPy's names, as Keras' graphs mean them.

Inputs come by position, settings by keyword: a file keeps the two apart.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from stroma.core.dtypes import to_dtype


def cast(x: Tensor, *, dtype: Any) -> Tensor:
    return x.to(to_dtype(dtype))


def saturate_cast(x: Tensor, *, dtype: Any) -> Tensor:
    """Cast with values beyond the range of an integer type set to its ends."""
    wanted = to_dtype(dtype)
    if not wanted.is_floating_point and wanted is not torch.bool:
        x = torch.clamp(x, torch.iinfo(wanted).min, torch.iinfo(wanted).max)
    return x.to(wanted)


def convert_to_tensor(x: Tensor, *, dtype: Any = None) -> Tensor:
    return x if dtype is None else cast(x, dtype=dtype)


def stop_gradient(variable: Tensor) -> Tensor:
    return variable.detach()


def copy(x: Tensor) -> Tensor:
    return torch.clone(x)


def conjugate(x: Tensor) -> Tensor:
    return torch.conj(x).resolve_conj()


def imag(x: Tensor) -> Tensor:
    """The imaginary part; 0 of real numbers."""
    return x.imag if x.is_complex() else torch.zeros_like(x)


def view_as_real(x: Tensor) -> Tensor:
    """Real and imaginary part along a new last axis."""
    return torch.view_as_real(x) if x.is_complex() else torch.stack([x, torch.zeros_like(x)], -1)


def clip(x: Tensor, *, x_min: Any, x_max: Any) -> Tensor:
    return torch.clamp(x, x_min, x_max)


def round_(x: Tensor, *, decimals: int = 0) -> Tensor:
    if not (x.is_floating_point() or decimals < 0):
        return x
    return torch.round(x, decimals=decimals)


def cbrt(x: Tensor) -> Tensor:
    """The real cube root, negative for negative numbers."""
    return torch.sign(x) * torch.abs(x) ** (1 / 3)


def gelu(x: Tensor, *, approximate: bool = True) -> Tensor:
    """The operation approximates by default, `stroma.activations.gelu` does not: as in Keras."""
    return F.gelu(x, approximate="tanh" if approximate else "none")


def divide_no_nan(x1: Tensor, x2: Tensor) -> Tensor:
    """x1 / x2, and 0 where x2 is 0: in the gradient too."""
    x2 = torch.as_tensor(x2, dtype=x1.dtype, device=x1.device)
    safe = torch.where(x2 == 0, 1, x2)
    return torch.where(x2 == 0, 0, x1 / safe)


def nan_to_num(x: Tensor, *, nan: float = 0.0, posinf: float | None = None,
               neginf: float | None = None) -> Tensor:  # fmt: skip
    return torch.nan_to_num(x, nan, posinf, neginf)


def isclose(x1: Tensor, x2: Tensor, rtol: float = 1e-5, atol: float = 1e-8, *,
            equal_nan: bool = False) -> Tensor:  # fmt: skip
    return torch.isclose(x1, x2, rtol, atol, equal_nan)


def full_like(x: Tensor, fill_value: Any, *, dtype: Any = None) -> Tensor:
    wanted = x.dtype if dtype is None else to_dtype(dtype)
    if isinstance(fill_value, Tensor):
        return fill_value.to(wanted).expand(x.shape).clone()
    return torch.full_like(x, fill_value, dtype=wanted)


def zeros_like(x: Tensor, *, dtype: Any = None) -> Tensor:
    return torch.zeros_like(x, dtype=None if dtype is None else to_dtype(dtype))


def ones_like(x: Tensor, *, dtype: Any = None) -> Tensor:
    return torch.ones_like(x, dtype=None if dtype is None else to_dtype(dtype))


def where(condition: Tensor, x1: Any, x2: Any) -> Tensor:
    return torch.where(condition.bool(), x1, x2)


def select(condlist: Any, choicelist: Any, default: Any = 0) -> Tensor:
    """For each place the choice whose condition is the first that holds."""
    y: Any = default
    for condition, choice in zip(reversed(list(condlist)), reversed(list(choicelist))):
        y = torch.where(condition.bool(), choice, y)
    return y  # type: ignore[no-any-return]  # there is one condition at least


# Pairs of which one may be a number


def _pair(x1: Any, x2: Any) -> tuple[Tensor, Tensor]:
    if isinstance(x1, Tensor):
        return x1, torch.as_tensor(x2, device=x1.device)
    return torch.as_tensor(x1, device=x2.device), x2


def maximum(x1: Any, x2: Any) -> Tensor:
    return torch.maximum(*_pair(x1, x2))


def minimum(x1: Any, x2: Any) -> Tensor:
    return torch.minimum(*_pair(x1, x2))


def fmax(x1: Any, x2: Any) -> Tensor:
    return torch.fmax(*_pair(x1, x2))


def fmin(x1: Any, x2: Any) -> Tensor:
    return torch.fmin(*_pair(x1, x2))


def arctan2(x1: Any, x2: Any) -> Tensor:
    return torch.atan2(*_pair(x1, x2))


def hypot(x1: Any, x2: Any) -> Tensor:
    return torch.hypot(*_pair(x1, x2))


def ldexp(x1: Any, x2: Any) -> Tensor:
    first, second = _pair(x1, x2)
    return first * torch.exp2(second)


def heaviside(x1: Any, x2: Any) -> Tensor:
    first, second = _pair(x1, x2)
    return torch.heaviside(first, second.to(first.dtype))


def logaddexp(x1: Any, x2: Any) -> Tensor:
    return torch.logaddexp(*_pair(x1, x2))


def logaddexp2(x1: Any, x2: Any) -> Tensor:
    return torch.logaddexp2(*_pair(x1, x2))


def logical_and(x1: Any, x2: Any) -> Tensor:
    return torch.logical_and(*_pair(x1, x2))


def logical_or(x1: Any, x2: Any) -> Tensor:
    return torch.logical_or(*_pair(x1, x2))


def logical_xor(x1: Any, x2: Any) -> Tensor:
    return torch.logical_xor(*_pair(x1, x2))


# Products


def dot(x1: Tensor, x2: Any) -> Tensor:
    """NumPy's rule: the last axis of x1 with the last but one of x2 (its only one)."""
    x2 = torch.as_tensor(x2, dtype=x1.dtype, device=x1.device)
    if not x1.dim() or not x2.dim():
        product: Tensor = x1 * x2
        return product
    y: Tensor = torch.tensordot(x1, x2, ([-1], [-1 if x2.dim() == 1 else -2]))
    return y


def outer(x1: Tensor, x2: Tensor) -> Tensor:
    """Of all numbers of both: (N,), (M,) -> (N, M)."""
    return torch.outer(x1.flatten(), x2.flatten())


def distances(x: Tensor, y: Tensor) -> Tensor:
    """Euclidean, between rows: (*, N, D), (*, M, D) -> (*, N, M)."""
    lengths: Tensor = torch.linalg.vector_norm(x.unsqueeze(-2) - y.unsqueeze(-3), dim=-1)
    return lengths


def vdot(x1: Tensor, x2: Tensor) -> Tensor:
    y: Tensor = torch.dot(x1.flatten(), x2.flatten())
    return y


def tensordot(x1: Tensor, x2: Tensor, *, axes: Any = 2) -> Tensor:
    if not isinstance(axes, int):
        axes = [[a] if isinstance(a, int) else list(a) for a in axes]
    y: Tensor = torch.tensordot(x1, x2, axes)
    return y


def einsum(*operands: Tensor, subscripts: str) -> Tensor:
    y: Tensor = torch.einsum(subscripts, *operands)
    return y


def cross(x1: Tensor, x2: Tensor, *, axisa: int = -1, axisb: int = -1, axisc: int = -1,
          axis: int | None = None) -> Tensor:  # fmt: skip
    """Of vectors along axes of their own, or along `axis` in both and in the result."""
    if axis is not None:
        axisa = axisb = axisc = axis
    y: Tensor = torch.linalg.cross(x1.movedim(axisa, -1), x2.movedim(axisb, -1), dim=-1)
    return y.movedim(-1, axisc)
