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

_PADDING = {"constant": "zeros", "nearest": "border", "reflect": "reflection", "wrap": "zeros",
            "mirror": "border"}  # fmt: skip


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
    wide = torch.float64 if images.dtype == torch.float64 else torch.float32
    columns, rows = _sources(matrices.to(wide), images.shape[1], images.shape[2])
    return resample(images, columns, rows, fill_mode, interpolation, fill_value)


def resample(
    images: Tensor,
    columns: Tensor,
    rows: Tensor,
    fill_mode: str = "constant",
    interpolation: str = "bilinear",
    fill_value: float = 0.0,
) -> Tensor:
    """Each picture read at its own places, in one `grid_sample`.

    Args:
        images: (B, H, W, C) of any dtype; integers are computed in float32 and rounded.
        columns, rows: (B, H', W') in pixels, from 0 at the centre of the first.
        fill_mode: As for `affine`, or "mirror" (c b|a b c|b a).
        interpolation: "nearest" or "bilinear".
        fill_value: For "constant", in the units of the pixels.
    """
    x = images.permute(0, 3, 1, 2)
    if x.dtype not in (torch.float32, torch.float64):
        x = x.float()
    columns, rows = columns.to(x.dtype), rows.to(x.dtype)
    if fill_mode == "mirror":  # about the centres of the outermost pixels
        columns, rows = _mirrored(columns, x.shape[3]), _mirrored(rows, x.shape[2])
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


def _mirrored(places: Tensor, size: int) -> Tensor:
    period = 2 * max(size - 1, 1)
    folded = places.remainder(period)
    return torch.minimum(folded, period - folded)


def to_dtype(x: Tensor, dtype: torch.dtype) -> Tensor:
    """x in another dtype; what becomes an integer is rounded and kept inside its range."""
    if x.dtype == dtype or dtype.is_floating_point:
        return x.to(dtype)
    limits = torch.iinfo(dtype)
    whole = x.round() if x.is_floating_point() else x
    return whole.clamp(limits.min, limits.max).to(dtype)


def to_dtype_of(x: Tensor, like: Tensor) -> Tensor:
    """x in the dtype of `like`; integers are rounded and kept inside their range."""
    return to_dtype(x, like.dtype)


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


def shear_matrices(across: Tensor, down: Tensor) -> Tensor:
    """Read x + across y and y + down x, (B,) each: the corner at the top left stays."""
    one, zero = torch.ones_like(across), torch.zeros_like(across)
    return _rows([one, across, zero], [down, one, zero])


def perspective(images: Tensor, corners: Tensor) -> tuple[Tensor, Tensor]:
    """Columns and rows (B, H, W) that show each picture with its corners moved to `corners`.

    Args:
        corners: (B, 4, 2), x and y of top left, top right, bottom left, bottom right, as parts of
            the way from the first pixel to the last.
    """
    height, width = images.shape[1], images.shape[2]
    x, y = corners.unbind(-1)
    one, zero = torch.ones_like(x), torch.zeros_like(x)
    u, v = (x.new_tensor(places).expand_as(x) for places in ([0, 1, 0, 1], [0, 0, 1, 1]))
    for_u = torch.stack([x, y, one, zero, zero, zero, -x * u, -y * u], -1)
    for_v = torch.stack([zero, zero, zero, x, y, one, -x * v, -y * v], -1)
    # in parts of the picture, not in pixels, so that float32 is enough to solve it
    h = torch.linalg.solve(torch.cat([for_u, for_v], 1), torch.cat([u, v], 1))
    a, b, c, d, e, f, g, i = h[:, :, None, None].unbind(1)
    across = torch.arange(width, dtype=x.dtype, device=x.device) / max(width - 1, 1)
    along = torch.arange(height, dtype=x.dtype, device=x.device)[:, None] / max(height - 1, 1)
    depth = g * across + i * along + 1
    columns = (a * across + b * along + c) / depth * (width - 1)
    return columns, (d * across + e * along + f) / depth * (height - 1)


def window_mask(images: Tensor, places: Tensor, sizes: Tensor) -> Tensor:
    """Which pixels (B, H, W, 1) lie in a window of each picture.

    Args:
        places, sizes: (B, 2) in [0, 1]: rows, then columns. A size is a part of the picture, a
            place a part of the room that is left.
    """
    room = torch.tensor(images.shape[1:3], dtype=sizes.dtype, device=images.device)
    starts = (places * (room - sizes * room))[:, :, None]  # (B, 2, 1)
    stops = starts + (sizes * room)[:, :, None]
    rows, columns = (
        (starts[:, axis] <= at) & (at < stops[:, axis])
        for axis, at in (
            (axis, torch.arange(images.shape[axis + 1], device=images.device)) for axis in (0, 1)
        )
    )
    return rows[:, :, None, None] & columns[:, None, :, None]


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
