"""Linear algebra on matrices, or stacks of them, along the last two axes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from stroma.functional import matrices
from stroma.ops.calling import alike, floating, operation, to_tensor
from stroma.ops.control import jvp
from stroma.ops.reductions import norm

__all__ = [
    "cholesky", "cholesky_inverse", "det", "eig", "eigh", "inv", "jvp", "lstsq", "lu_factor",
    "matrix_rank", "norm", "pinv", "qr", "solve", "solve_triangular", "svd",
]  # fmt: skip

cholesky = operation(matrices.cholesky, "The triangular L with L Lᵀ = x, or its transpose.",
                     inputs="floating")  # fmt: skip
cholesky_inverse = operation(matrices.cholesky_inverse, "The inverse, from Cholesky's factor.",
                             inputs="floating")  # fmt: skip
det = operation(torch.linalg.det, "The determinant.", "x", inputs="floating")
inv = operation(torch.linalg.inv, "The inverse.", "x", inputs="floating")
solve = operation(matrices.solve, "The x with a x = b.", inputs="alike floating")
solve_triangular = operation(matrices.solve_triangular, "The x with a x = b, a triangular.",
                             inputs="alike floating")  # fmt: skip
logdet = operation(torch.logdet, "The logarithm of the determinant.", "x", inputs="floating")
pinv = operation(matrices.pinv, "Moore and Penrose's inverse.", inputs="floating")
matrix_rank = operation(matrices.matrix_rank, "How many singular values exceed `tol`.",
                        inputs="floating", result=torch.int32)  # fmt: skip
qr = operation(matrices.qr, "An orthogonal Q and a triangular R with Q R = x.", inputs="floating")
svd = operation(matrices.svd, "U, the singular values, and Vᵀ.", inputs="floating")


def eig(x: Any) -> tuple[Tensor, Tensor]:
    """Eigenvalues and eigenvectors, complex numbers both.

    Example:
        >>> values, vectors = eig([[2.0, 0.0], [0.0, 3.0]])
        >>> values.real
        tensor([2., 3.])
    """
    values, vectors = torch.linalg.eig(floating(to_tensor(x)))
    return values, vectors


def eigh(x: Any) -> tuple[Tensor, Tensor]:
    """Eigenvalues, rising, and eigenvectors of symmetric matrices.

    Example:
        >>> eigh([[2.0, 0.0], [0.0, 3.0]])[0]
        tensor([2., 3.])
    """
    values, vectors = torch.linalg.eigh(floating(to_tensor(x)))
    return values, vectors


def slogdet(x: Any) -> tuple[Tensor, Tensor]:
    """The determinant's sign, and the logarithm of its magnitude.

    Example:
        >>> slogdet([[1.0, 0.0], [0.0, -1.0]])
        (tensor(-1.), tensor(0.))
    """
    sign, logarithm = torch.linalg.slogdet(floating(to_tensor(x)))
    return sign, logarithm


def lu_factor(x: Any) -> tuple[Tensor, Tensor]:
    """L and U in one matrix, and where the rows went, counted from 0.

    Example:
        >>> lu_factor([[0.0, 1.0], [2.0, 0.0]])[1]
        tensor([1, 1], dtype=torch.int32)
    """
    factors, pivots = torch.linalg.lu_factor(floating(to_tensor(x)))
    return factors, pivots - 1


def lstsq(a: Any, b: Any, rcond: float | None = None) -> Tensor:
    """The x with the smallest ‖a x - b‖, and of these the shortest.

    Args:
        a: (M, N).
        b: (M,) or (M, K).
        rcond: Singular values below this share of the largest count as 0.
    Example:
        >>> lstsq([[1.0], [1.0]], [1.0, 3.0]).round(decimals=3)
        tensor([2.])
    """
    first, second = (floating(x) for x in alike(a, b))
    return matrices.lstsq(first, second, rcond)
