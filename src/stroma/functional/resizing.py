"""Changing the size of pictures (B, H, W, C), with the kernels and conventions of TF and JAX.

Pixel centres lie at half numbers. torch's own kernels do "nearest", "bilinear" and what is
antialiased; torch's plain "bicubic" has another coefficient (a = -0.75 for Keys' -0.5), and
Lanczos it has not: those two are products with small matrices, one per axis.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from stroma.functional.geometry import to_dtype_of

RESIZE_INTERPOLATIONS = ("bilinear", "nearest", "bicubic", "lanczos3", "lanczos5")

_RADIUS = {"bicubic": 2.0, "lanczos3": 3.0, "lanczos5": 5.0}


def resize(
    images: Tensor,
    size: tuple[int, int],
    interpolation: str = "bilinear",
    antialias: bool = False,
) -> Tensor:
    """Pictures (B, H, W, C) in another size (height, width), in their own dtype."""
    x = images.permute(0, 3, 1, 2)
    if x.dtype not in (torch.float32, torch.float64):
        x = x.float()
    if interpolation == "nearest":
        y = F.interpolate(x, size, mode="nearest-exact")
    elif interpolation == "bilinear":
        y = F.interpolate(x, size, mode="bilinear", align_corners=False, antialias=antialias)
    else:
        rows = resize_matrix(x.shape[2], size[0], interpolation, antialias).to(x)
        columns = resize_matrix(x.shape[3], size[1], interpolation, antialias).to(x)
        y = rows @ x @ columns.T
    return to_dtype_of(y.permute(0, 2, 3, 1), images)


def resize_matrix(source: int, target: int, interpolation: str, antialias: bool) -> Tensor:
    """Weights (target, source) in float64: row i says of which pixels output i is made.

    Rows are normalised, so that the kernel's part beyond the edge does not darken the picture.
    With `antialias` the kernel is stretched when the picture shrinks.
    """
    scale = source / target
    stretch = max(scale, 1.0) if antialias else 1.0
    centre = (torch.arange(target, dtype=torch.float64) + 0.5) * scale - 0.5
    distance = torch.arange(source, dtype=torch.float64) - centre[:, None]
    radius = _RADIUS[interpolation]
    kernel = _keys if interpolation == "bicubic" else _lanczos
    weights = kernel((distance / stretch).abs(), radius)
    return weights / weights.sum(1, keepdim=True)


def _keys(x: Tensor, radius: float) -> Tensor:
    """Keys 1981, cubic convolution with a = -1/2."""
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return torch.where(x < 1, near, torch.where(x < radius, far, 0.0))


def _lanczos(x: Tensor, radius: float) -> Tensor:
    """sinc(x) sinc(x / radius), cut off at the radius."""
    return torch.where(x < radius, torch.sinc(x) * torch.sinc(x / radius), 0.0)


def aspect_window(height: int, width: int, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """(top, left, height, width) of the largest centred window with the aspect ratio of `size`."""
    crop_height = max(min(height, int(width * size[0] / size[1])), 1)
    crop_width = max(min(width, int(height * size[1] / size[0])), 1)
    return (height - crop_height) // 2, (width - crop_width) // 2, crop_height, crop_width


def crop_to_aspect(images: Tensor, size: tuple[int, int]) -> Tensor:
    """The largest centred window (a view) that has the aspect ratio of `size`."""
    top, left, height, width = aspect_window(images.shape[1], images.shape[2], size)
    return images[:, top : top + height, left : left + width]


def pad_to_aspect(images: Tensor, size: tuple[int, int], value: float) -> Tensor:
    """Filled evenly on the short side until the aspect ratio is that of `size`."""
    height, width = images.shape[1], images.shape[2]
    above = (max(height, int(width * size[0] / size[1])) - height) // 2
    beside = (max(width, int(height * size[1] / size[0])) - width) // 2
    return F.pad(images, (0, 0, beside, beside, above, above), value=value)
