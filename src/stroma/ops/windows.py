"""Weights that fade towards the ends."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def _window(formula: Any, x: Any) -> Tensor:
    window: Tensor = formula(int(x), periodic=False)
    return window


def bartlett(x: int) -> Tensor:
    """Bartlett's window of x weights: a triangle.

    Example:
        >>> bartlett(5)
        tensor([0.0000, 0.5000, 1.0000, 0.5000, 0.0000])
    """
    return _window(torch.bartlett_window, x)


def blackman(x: int) -> Tensor:
    """Blackman's window of x weights.

    Example:
        >>> blackman(3)[1]
        tensor(1.)
    """
    return _window(torch.blackman_window, x)


def hamming(x: int) -> Tensor:
    """Hamming's window of x weights.

    Example:
        >>> hamming(3)
        tensor([0.0800, 1.0000, 0.0800])
    """
    return _window(torch.hamming_window, x)


def hanning(x: int) -> Tensor:
    """Von Hann's window of x weights.

    Example:
        >>> hanning(3)
        tensor([0., 1., 0.])
    """
    return _window(torch.hann_window, x)


def kaiser(x: int, beta: float) -> Tensor:
    """Kaiser's window of x weights; a larger beta is narrower.

    Example:
        >>> kaiser(3, 14.0)[1]
        tensor(1.)
    """
    return torch.kaiser_window(int(x), periodic=False, beta=float(beta))
