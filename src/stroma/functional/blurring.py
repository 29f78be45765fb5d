"""Smoothing pictures (B, H, W, C), each by its own width; beyond the edge all is 0."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def blur(images: Tensor, sigmas: Tensor, halves: Tensor) -> Tensor:
    """Weighed means with a bell along the rows and along the columns of each picture.

    A product with one small matrix per axis: the width of the bell may then be a draw, while the
    shapes stay fixed.

    Args:
        sigmas: (B, 2), standard deviations down and across, in pixels, above 0.
        halves: (B, 2), how many pixels on each side of the middle one take part.
    """
    down, across = (
        _band(images.shape[1 + axis], sigmas[:, axis], halves[:, axis]).to(images.dtype)
        for axis in (0, 1)
    )
    return torch.einsum("bwv,bhvc->bhwc", across, torch.einsum("bhg,bgwc->bhwc", down, images))


def _band(size: int, sigma: Tensor, half: Tensor) -> Tensor:
    """Weights (B, size, size): row i says of which pixels output i is made."""
    at = torch.arange(size, device=sigma.device)
    weights = _bell(at - at[:, None], sigma[:, None, None], half[:, None, None])
    return weights / _bell_sum(sigma, half)[:, None, None]


def _bell(distance: Tensor, sigma: Tensor, half: Tensor) -> Tensor:
    bell = torch.exp(-0.5 * (distance / sigma) ** 2)
    return torch.where(distance.abs() <= half, bell, 0.0)


def _bell_sum(sigma: Tensor, half: Tensor) -> Tensor:
    """The sum of a whole bell, (B,), also of its part beyond the picture."""
    # a bell is 0 in float32 from 14 sigma on, and sigmas of pictures are below 64
    distance = torch.arange(-1024, 1025, device=sigma.device)
    return _bell(distance, sigma[:, None], half[:, None]).sum(1)


def smooth(images: Tensor) -> Tensor:
    """The mean of 3 x 3 pixels where the middle one counts five times."""
    mean = F.avg_pool2d(images.permute(0, 3, 1, 2), 3, stride=1, padding=1).permute(0, 2, 3, 1)
    return (9 * mean + 4 * images) / 13
