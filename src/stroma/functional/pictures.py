"""Operations on pictures: colours, borders, warps, filters. Channels-last, one or a batch.

Inputs come by position, settings by keyword: a file keeps the two apart.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from stroma.core.errors import ArgumentError
from stroma.functional.geometry import to_dtype_of
from stroma.functional.resizing import crop_to_aspect, pad_to_aspect
from stroma.functional.resizing import resize as _resize

Picture = Callable[..., Tensor]


def batched(function: Picture) -> Picture:
    """Let a function of pictures (B, H, W, C) take one without B, and channels first."""

    @wraps(function)
    def call(images: Tensor, *others: Any, data_format: str | None = None, **kw: Any) -> Tensor:
        x = images[None] if images.dim() == 3 else images
        first = data_format == "channels_first"
        y = function(x.permute(0, 2, 3, 1) if first else x, *others, **kw)
        if first:
            y = y.movedim(3, 1)
        return y[0] if images.dim() == 3 else y

    return call


# Colours


@batched
def rgb_to_hsv(images: Tensor, *, data_format: str | None = None) -> Tensor:
    """Hue, saturation and value, all within [0, 1], of red, green and blue within [0, 1]."""
    value, high = images.max(-1)
    spread = value - images.amin(-1)
    red, green, blue = images.unbind(-1)
    safe = torch.where(spread > 0, spread, 1.0)
    sixths = torch.stack(
        [(green - blue) / safe, (blue - red) / safe + 2, (red - green) / safe + 4], -1
    )
    # of equal largest colours red goes first, then green: as `high`, the first of them, says
    hue = (sixths.gather(-1, high[..., None]).squeeze(-1) / 6) % 1.0
    hue = torch.where(spread > 0, hue, 0.0)
    saturation = torch.where(value > 0, spread / torch.where(value > 0, value, 1.0), 0.0)
    return torch.stack([hue, saturation, value], -1)


@batched
def hsv_to_rgb(images: Tensor, *, data_format: str | None = None) -> Tensor:
    """The inverse of `rgb_to_hsv`."""
    hue, saturation, value = (part.unsqueeze(-1) for part in images.unbind(-1))
    shift = torch.tensor([0.0, 4.0, 2.0], dtype=images.dtype, device=images.device)
    away = ((hue * 6 + shift) % 6 - 3).abs()  # from the colour opposite
    return value * (1 + saturation * ((away - 1).clamp(0, 1) - 1))


# Size and place


@batched
def resize(images: Tensor, *, size: Any, interpolation: str = "bilinear", antialias: bool = False,
           crop_to_aspect_ratio: bool = False, pad_to_aspect_ratio: bool = False,
           fill_mode: str = "constant", fill_value: float = 0.0,
           data_format: str | None = None) -> Tensor:  # fmt: skip
    """In another size (height, width); cut or filled first where the aspect ratio must stay."""
    target = tuple(int(n) for n in size)
    if len(target) != 2:
        raise ArgumentError(
            f"resize: size must be (height, width), got {size!r}",
            where="resize(images, size)",
            why="pictures have two axes of space",
            fix="resize(images, (224, 224))",
        )
    if crop_to_aspect_ratio:
        images = crop_to_aspect(images, target)
    elif pad_to_aspect_ratio:
        images = pad_to_aspect(images, target, fill_value)
    return _resize(images, target, interpolation, antialias)


def edges(size: int, before: int | None, after: int | None, target: int | None,
          sign: int) -> tuple[int, int]:  # fmt: skip
    """What is added to (sign 1) or cut from (-1) an axis, of which two of three are given."""
    change = None if target is None else sign * (target - size)
    if before is None and after is None:
        return (0, 0) if change is None else (change // 2, change - change // 2)
    if change is not None and before is None:
        return change - (after or 0), after or 0
    if change is not None and after is None:
        return before or 0, change - (before or 0)
    return before or 0, after or 0


@batched
def pad_images(images: Tensor, *, top_padding: int | None = None, left_padding: int | None = None,
               bottom_padding: int | None = None, right_padding: int | None = None,
               target_height: int | None = None, target_width: int | None = None,
               data_format: str | None = None) -> Tensor:  # fmt: skip
    """Zeros around the picture."""
    top, bottom = edges(images.shape[1], top_padding, bottom_padding, target_height, 1)
    left, right = edges(images.shape[2], left_padding, right_padding, target_width, 1)
    return F.pad(images, (0, 0, left, right, top, bottom))


@batched
def crop_images(images: Tensor, *, top_cropping: int | None = None,
                left_cropping: int | None = None, bottom_cropping: int | None = None,
                right_cropping: int | None = None, target_height: int | None = None,
                target_width: int | None = None,
                data_format: str | None = None) -> Tensor:  # fmt: skip
    """The picture without its borders."""
    height, width = images.shape[1:3]
    top, bottom = edges(height, top_cropping, bottom_cropping, target_height, -1)
    left, right = edges(width, left_cropping, right_cropping, target_width, -1)
    return images[:, top : height - bottom, left : width - right]


# Filters


def gaussian(size: int, sigma: Any, like: Tensor) -> Tensor:
    """`size` weights of a bell of width `sigma`, of sum 1."""
    x = torch.arange(size, dtype=like.dtype, device=like.device) - (size - 1) / 2
    bell = torch.exp(-0.5 * (x / sigma) ** 2)
    return bell / bell.sum()


def _filtered(x: Tensor, rows: Tensor, columns: Tensor, padded: bool = True) -> Tensor:
    """Each channel of (B, H, W, C) weighed along its rows and columns, with zeros beyond."""
    channels = x.shape[-1]
    y = x.permute(0, 3, 1, 2)
    pads = [len(rows) // 2, len(columns) // 2] if padded else [0, 0]
    y = F.conv2d(y, rows.reshape(1, 1, -1, 1).repeat(channels, 1, 1, 1), padding=(pads[0], 0),
                 groups=channels)  # fmt: skip
    y = F.conv2d(y, columns.reshape(1, 1, 1, -1).repeat(channels, 1, 1, 1), padding=(0, pads[1]),
                 groups=channels)  # fmt: skip
    return y.permute(0, 2, 3, 1)


@batched
def gaussian_blur(images: Tensor, *, kernel_size: Any = (3, 3), sigma: Any = (1.0, 1.0),
                  data_format: str | None = None) -> Tensor:  # fmt: skip
    """The mean around each pixel, weighed by a bell; Keras has (across, down) in both settings."""
    columns, rows = (gaussian(int(n), s, images) for n, s in zip(kernel_size, sigma))
    return _filtered(images, rows, columns)


@batched
def sobel_edges(images: Tensor, *, data_format: str | None = None) -> Tensor:
    """Slopes down and to the right: (B, H, W, C) -> (B, H, W, C, 2)."""
    slope, smooth = images.new_tensor([-1.0, 0, 1]), images.new_tensor([1.0, 2, 1])
    return torch.stack([_filtered(images, slope, smooth), _filtered(images, smooth, slope)], -1)


def ssim(image1: Tensor, image2: Tensor, *, max_val: float = 1.0, filter_size: int = 11,
         filter_sigma: float = 1.5, k1: float = 0.01, k2: float = 0.03,
         data_format: str | None = None) -> Tensor:  # fmt: skip
    """Structural similarity, 1 for equal pictures; the mean over windows and channels.

    Reference: Wang et al. 2004, eq. 13.
    """
    a, b = (x[None] if x.dim() == 3 else x for x in (image1, image2))
    if data_format == "channels_first":
        a, b = a.permute(0, 2, 3, 1), b.permute(0, 2, 3, 1)
    bell = gaussian(filter_size, filter_sigma, a)

    def mean(x: Tensor) -> Tensor:
        return _filtered(x, bell, bell, padded=False)

    ma, mb = mean(a), mean(b)
    spread = mean(a * a + b * b) - ma * ma - mb * mb
    shared = mean(a * b) - ma * mb
    c1, c2 = (k1 * max_val) ** 2, (k2 * max_val) ** 2
    light = (2 * ma * mb + c1) / (ma * ma + mb * mb + c1)
    likeness = (light * (2 * shared + c2) / (spread + c2)).mean((1, 2, 3))
    return likeness[0] if image1.dim() == 3 else likeness


# Warps

_FOLDED: dict[str, Callable[[Tensor, int], Tensor]] = {
    "constant": lambda i, n: i.clamp(0, n - 1),
    "nearest": lambda i, n: i.clamp(0, n - 1),
    "wrap": lambda i, n: i % n,
    "mirror": lambda i, n: ((i + n - 1) % max(2 * n - 2, 1) - (n - 1)).abs(),
    "reflect": lambda i, n: torch.where(i % (2 * n) < n, i % (2 * n), 2 * n - 1 - i % (2 * n)),
}


def map_coordinates(inputs: Tensor, coordinates: Tensor, *, order: int,
                    fill_mode: str = "constant", fill_value: Any = 0) -> Tensor:  # fmt: skip
    """The numbers of a tensor between its places.

    Args:
        inputs: Any tensor.
        coordinates: (axes, *): one line of places for each axis of `inputs`.
        order: 0 for the nearest place, 1 for the mean of its neighbours.
        fill_mode: What lies beyond the ends: "constant" (`fill_value`), "nearest", "wrap",
            "mirror" or "reflect".
    """
    check_fill(fill_mode)
    if order not in (0, 1):
        raise ArgumentError(
            f"map_coordinates: order must be 0 or 1, got {order!r}",
            where="map_coordinates(..., order)",
            why="0 takes the nearest place, 1 the mean of its neighbours",
            fix="order=1",
        )
    whole = not inputs.is_floating_point()
    parts: list[tuple[list[Tensor], Tensor, Any]] = [([], coordinates.new_ones(()), True)]
    for line, size in zip(coordinates, inputs.shape):
        near = [(line.round(), 1.0)] if order == 0 else _neighbours(line)
        parts = [
            (
                [*places, _FOLDED[fill_mode](at.long(), size)],
                weight * share,
                inside & (at >= 0) & (at < size) if fill_mode == "constant" else inside,
            )
            for places, weight, inside in parts
            for at, share in near
        ]
    total = coordinates.new_zeros(())
    for places, weight, inside in parts:
        found = inputs[tuple(places)]
        total = total + weight * (
            found if inside is True else torch.where(inside, found, fill_value)
        )
    return (total.round() if whole else total).to(inputs.dtype)


def _neighbours(line: Tensor) -> list[tuple[Tensor, Any]]:
    low = torch.floor(line)
    return [(low, 1 - (line - low)), (low + 1, line - low)]


def check_fill(fill_mode: str) -> None:
    """Raise on a `fill_mode` that is none."""
    if fill_mode not in _FOLDED:
        raise ArgumentError(
            f"unknown fill_mode {fill_mode!r}",
            where="fill_mode=...",
            why="it says what lies beyond the edges",
            fix=f"one of: {', '.join(_FOLDED)}",
        )


def warp(x: Tensor, rows: Tensor, columns: Tensor, interpolation: str, fill_mode: str,
         fill_value: Any) -> Tensor:  # fmt: skip
    """Pictures (B, H, W, C) read at these rows and columns, (B, H', W') each."""
    order = {"nearest": 0, "bilinear": 1}.get(interpolation)
    if order is None:
        raise ArgumentError(
            f"unknown interpolation {interpolation!r}",
            where="interpolation=...",
            why="it says what lies between pixels",
            fix="'bilinear' or 'nearest'",
        )
    exact = x.to(torch.promote_types(x.dtype, torch.float32))
    batch = torch.arange(len(x), device=x.device).reshape(-1, 1, 1, 1).expand(*rows.shape, 1)
    channel = torch.arange(x.shape[-1], device=x.device)
    lines = [line.to(exact.dtype).expand(*rows.shape, x.shape[-1])
             for line in (batch, rows.unsqueeze(-1), columns.unsqueeze(-1), channel)]  # fmt: skip
    y = map_coordinates(exact, torch.stack(lines), order=order,
                        fill_mode=fill_mode, fill_value=fill_value)  # fmt: skip
    return to_dtype_of(y, x)


@batched
def affine_transform(images: Tensor, transform: Tensor, *, interpolation: str = "bilinear",
                     fill_mode: str = "constant", fill_value: Any = 0,
                     data_format: str | None = None) -> Tensor:  # fmt: skip
    """Output pixel (x, y) shows input pixel ((a x + b y + c) / k, (d x + e y + f) / k).

    With k = g x + h y + 1; `transform` is (a, b, c, d, e, f, g, h), one or one a picture. As in
    Keras g and h are left out.
    """
    a, b, c, d, e, f = transform.reshape(-1, 8)[:, :6, None, None].unbind(1)
    y, x = _grid(images, transform.dtype)
    return warp(images, d * x + e * y + f, a * x + b * y + c, interpolation, fill_mode, fill_value)


def _grid(images: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Row and column of each pixel, (B, H, W) both."""
    size = images.shape[:3]
    rows = torch.arange(size[1], dtype=dtype, device=images.device)[:, None]
    columns = torch.arange(size[2], dtype=dtype, device=images.device)
    return rows.expand(size), columns.expand(size)


@batched
def perspective_transform(images: Tensor, start_points: Tensor, end_points: Tensor, *,
                          interpolation: str = "bilinear", fill_value: Any = 0,
                          data_format: str | None = None) -> Tensor:  # fmt: skip
    """The picture whose corners `start_points` have moved to `end_points`, (B, 4, 2) of (x, y)."""
    source, seen = start_points.reshape(-1, 4, 2), end_points.reshape(-1, 4, 2)
    source, seen = (p.to(torch.promote_types(p.dtype, torch.float32)) for p in (source, seen))
    (u, v), (x, y) = source.unbind(-1), seen.unbind(-1)
    one, zero = torch.ones_like(x), torch.zeros_like(x)
    for_u = torch.stack([x, y, one, zero, zero, zero, -x * u, -y * u], -1)
    for_v = torch.stack([zero, zero, zero, x, y, one, -x * v, -y * v], -1)
    system, wanted = torch.cat([for_u, for_v], 1), torch.cat([u, v], 1)
    a, b, c, d, e, f, g, h = torch.linalg.solve(system, wanted)[:, :, None, None].unbind(1)
    rows, columns = _grid(images, source.dtype)
    share = g * columns + h * rows + 1
    return warp(images, (d * columns + e * rows + f) / share, (a * columns + b * rows + c) / share,
                interpolation, "constant", fill_value)  # fmt: skip


@batched
def elastic_transform(images: Tensor, *, alpha: float = 20.0, sigma: float = 5.0,
                      interpolation: str = "bilinear", fill_mode: str = "reflect",
                      fill_value: float = 0.0, generator: torch.Generator | None = None,
                      data_format: str | None = None) -> Tensor:  # fmt: skip
    """Pixels moved by random ways that are smooth over `sigma` pixels, times `alpha`."""
    size = int(6 * sigma) | 1
    noise = torch.randn((*images.shape[:3], 2), generator=generator, device=images.device)
    ways = gaussian_blur(noise * sigma, kernel_size=(size, size), sigma=(sigma, sigma)) * alpha
    rows, columns = _grid(images, ways.dtype)
    return warp(images, rows + ways[..., 0], columns + ways[..., 1], interpolation, fill_mode,
                fill_value)  # fmt: skip


# Kernels of scale_and_translate: Keys 1981, Lanczos
_KERNELS: dict[str, Callable[[Tensor], Tensor]] = {
    "linear": lambda x: (1 - x).clamp_min(0),
    "cubic": lambda x: torch.where(
        x < 1, (1.5 * x - 2.5) * x * x + 1, ((-0.5 * x + 2.5) * x - 4) * x + 2
    ).where(x < 2, 0.0),
    "lanczos3": lambda x: (torch.sinc(x) * torch.sinc(x / 3)).where(x < 3, 0.0),
    "lanczos5": lambda x: (torch.sinc(x) * torch.sinc(x / 5)).where(x < 5, 0.0),
}
_METHODS = {
    **dict.fromkeys(("linear", "bilinear", "trilinear", "triangle"), "linear"),
    **dict.fromkeys(("cubic", "bicubic", "tricubic"), "cubic"),
    "lanczos3": "lanczos3", "lanczos5": "lanczos5",
}  # fmt: skip


def scale_and_translate(images: Tensor, scale: Tensor, translation: Tensor, *, output_shape: Any,
                        spatial_dims: Any, method: str,
                        antialias: bool = True) -> Tensor:  # fmt: skip
    """Each axis of `spatial_dims` stretched by its scale, then moved: x' = scale x + translation.

    Args:
        method: "linear", "cubic", "lanczos3" or "lanczos5".
        antialias: Whether the kernel grows where the picture shrinks.
    """
    if method not in _METHODS:
        raise ArgumentError(
            f"unknown method {method!r}",
            where="scale_and_translate(method=...)",
            why="it is the kernel that lies between pixels",
            fix=f"one of: {', '.join(_METHODS)}",
        )
    y = images.to(torch.promote_types(images.dtype, torch.float32))
    for i, axis in enumerate(spatial_dims):
        target = int(output_shape[axis])
        weights = _spread(y.shape[axis], target, scale[i], translation[i], method, antialias)
        y = torch.tensordot(y, weights.to(y), ([axis], [0])).movedim(-1, axis)
    if images.is_floating_point():
        return y.to(images.dtype)
    return y.round().clamp(images.min(), images.max()).to(images.dtype)


def _spread(source: int, target: int, scale: Tensor, translation: Tensor, method: str,
            antialias: bool) -> Tensor:  # fmt: skip
    """Weights (source, target) of the pixels that each new one is made of."""
    places = (torch.arange(target, device=scale.device) + 0.5 - translation) / scale - 0.5
    stretch = (1 / scale).clamp_min(1) if antialias else 1.0
    distance = (places - torch.arange(source, device=scale.device)[:, None]).abs() / stretch
    weights = _KERNELS[_METHODS[method]](distance)
    total = weights.sum(0)
    weights = torch.where(total.abs() > 1e-4, weights / torch.where(total == 0, 1, total), 0)
    return torch.where((places >= -0.5) & (places <= source - 0.5), weights, 0)
