"""Moving the pixels of a batch of pictures, each by its own transform, without a loop over them.

Pictures are (B, H, W, C). Matrices are (B, 2, 3) and say for each pixel (x, y) of the *output*
where in the input it comes from: (x', y') = M (x, y, 1), in pixels, x to the right, y down.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

FILL_MODES = ("constant", "nearest", "reflect", "wrap")
AFFINE_INTERPOLATIONS = ("nearest", "bilinear")

_PADDING = {"constant": "zeros", "nearest": "border", "reflect": "reflection", "wrap": "zeros"}


def affine(
    images: Tensor,
    matrices: Tensor,
    fill_mode: str = "constant",
    interpolation: str = "bilinear",
    fill_value: float = 0.0,
) -> Tensor:
    """Each picture resampled where its matrix points to, in one `grid_sample`.

    Args:
        images: (B, H, W, C) of any dtype; integers are computed in float32 and rounded.
        matrices: (B, 2, 3) from output pixels to input pixels.
        fill_mode: What lies beyond the edge: "constant" (`fill_value`), "nearest" (a a|a b c|c c),
            "reflect" (b a|a b c|c b) or "wrap" (b c|a b c|a b).
        interpolation: "nearest" or "bilinear".
        fill_value: For "constant", in the units of the pixels.
    """
    x = images.permute(0, 3, 1, 2)
    if x.dtype not in (torch.float32, torch.float64):
        x = x.float()
    columns, rows = _sources(matrices.to(x.dtype), x.shape[2], x.shape[3])  # (B, H, W) each
    if fill_mode == "wrap":  # the kernel cannot wrap: repeat the first row and column at the end
        columns, rows = columns.remainder(x.shape[3]), rows.remainder(x.shape[2])
        x = F.pad(x, (0, 1, 0, 1), mode="circular")
    shifted = fill_mode == "constant" and fill_value != 0  # the kernel fills with 0 only
    if shifted:
        x = x - fill_value
    height, width = x.shape[2:]
    # grid_sample measures from the picture's outer edges, -1 to 1
    grid = torch.stack([(2 * columns + 1) / width - 1, (2 * rows + 1) / height - 1], dim=-1)
    y = F.grid_sample(
        x, grid, mode=interpolation, padding_mode=_PADDING[fill_mode], align_corners=False
    )
    if shifted:
        y = y + fill_value
    return to_dtype_of(y.permute(0, 2, 3, 1), images)


def _sources(matrices: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Column and row in the input for each output pixel, (B, H, W)."""
    dtype, device = matrices.dtype, matrices.device
    x = torch.arange(width, dtype=dtype, device=device)
    y = torch.arange(height, dtype=dtype, device=device)[:, None]
    m = matrices[:, :, :, None, None]
    column, row = (m[:, i, 0] * x + m[:, i, 1] * y + m[:, i, 2] for i in (0, 1))
    return column, row


def to_dtype_of(x: Tensor, like: Tensor) -> Tensor:
    """x in the dtype of `like`; integers are rounded and kept inside their range."""
    if x.dtype == like.dtype or like.is_floating_point():
        return x.to(like.dtype)
    limits = torch.iinfo(like.dtype)
    return x.round().clamp(limits.min, limits.max).to(like.dtype)


def rotation_matrices(angles: Tensor, height: int, width: int) -> Tensor:
    """Turn counter-clockwise by `angles` (B,), in radians, about the centre of the picture."""
    cos, sin = angles.cos(), angles.sin()
    cx, cy = (width - 1) / 2, (height - 1) / 2
    return _rows([cos, -sin, cx - cx * cos + cy * sin], [sin, cos, cy - cx * sin - cy * cos])


def zoom_matrices(rows: Tensor, columns: Tensor, height: int, width: int) -> Tensor:
    """Show `rows` times the height and `columns` times the width, (B,) each: above 1 zooms out."""
    zero = torch.zeros_like(rows)
    cx, cy = (width - 1) / 2, (height - 1) / 2
    return _rows([columns, zero, cx * (1 - columns)], [zero, rows, cy * (1 - rows)])


def translation_matrices(down: Tensor, right: Tensor) -> Tensor:
    """Shift by `down` and `right` pixels, (B,) each."""
    one, zero = torch.ones_like(down), torch.zeros_like(down)
    return _rows([one, zero, -right], [zero, one, -down])


def _rows(first: list[Tensor], second: list[Tensor]) -> Tensor:
    return torch.stack([torch.stack(first, -1), torch.stack(second, -1)], 1)


def flip(images: Tensor, chosen: Tensor, axis: int) -> Tensor:
    """Mirror the pictures of a batch for which `chosen` (B,) is True along `axis`."""
    where = chosen.view(-1, *[1] * (images.dim() - 1))
    return torch.where(where, images.flip(axis), images)


def crop(images: Tensor, top: Tensor, left: Tensor, height: int, width: int) -> Tensor:
    """A window of each picture, with its corner at its own (top, left), (B,) integers each.

    All windows exist at once as an unfolded view, of which one is picked per picture: rows are
    copied whole (a gather of single pixels was measured 60 times slower on a CPU).
    """
    windows = images.unfold(1, height, 1).unfold(2, width, 1)  # (B, top, left, C, h, w), a view
    batch = torch.arange(len(images), device=images.device)
    return windows.permute(0, 1, 2, 4, 5, 3)[batch, top, left]
