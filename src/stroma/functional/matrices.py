"""Linear algebra under NumPy's names and arguments.

Inputs come by position, settings by keyword: a file keeps the two apart.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def cholesky(x: Tensor, *, upper: bool = False) -> Tensor:
    y: Tensor = torch.linalg.cholesky(x, upper=upper)
    return y


def cholesky_inverse(x: Tensor, *, upper: bool = False) -> Tensor:
    return torch.cholesky_inverse(x, upper)


def solve(a: Tensor, b: Tensor) -> Tensor:
    y: Tensor = torch.linalg.solve(a, b)
    return y


def solve_triangular(a: Tensor, b: Tensor, *, lower: bool = False) -> Tensor:
    """b may be one vector (*, N), or a matrix (*, N, K) of them."""
    vector = b.dim() == a.dim() - 1
    columns = b.unsqueeze(-1) if vector else b
    y: Tensor = torch.linalg.solve_triangular(a, columns, upper=not lower)
    return y.squeeze(-1) if vector else y


def pinv(x: Tensor, *, rcond: float | None = None) -> Tensor:
    y: Tensor = torch.linalg.pinv(x) if rcond is None else torch.linalg.pinv(x, rtol=rcond)
    return y


def matrix_rank(x: Tensor, *, tol: float | None = None) -> Tensor:
    y: Tensor = torch.linalg.matrix_rank(x) if tol is None else torch.linalg.matrix_rank(x, tol=tol)
    return y


def qr(x: Tensor, *, mode: str = "reduced") -> tuple[Tensor, Tensor]:
    """`mode` "complete" gives a square Q."""
    q, r = torch.linalg.qr(x, mode)
    return q, r


def svd(x: Tensor, *, full_matrices: bool = True, compute_uv: bool = True) -> Any:
    """The singular values alone unless `compute_uv`."""
    if not compute_uv:
        return torch.linalg.svdvals(x)
    u, values, v = torch.linalg.svd(x, full_matrices)
    return u, values, v


def lstsq(a: Tensor, b: Tensor, rcond: float | None = None) -> Tensor:
    columns = b.unsqueeze(-1) if b.dim() == a.dim() - 1 else b
    found = torch.linalg.pinv(a, rtol=rcond) @ columns
    y: Tensor = found.squeeze(-1) if b.dim() == a.dim() - 1 else found
    return y
