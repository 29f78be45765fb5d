"""Distributions of brightness: stretched, made even, made even place by place.

Pictures are (B, H, W, C); each channel of each picture is by itself, none is looped over.
"""

from __future__ import annotations

import torch
from torch import Tensor


def stretch(images: Tensor, low: float, high: float) -> Tensor:
    """Darkest to `low`, brightest to `high`; a channel of one value stays as it is."""
    darkest, brightest = images.amin((1, 2), keepdim=True), images.amax((1, 2), keepdim=True)
    spread = brightest - darkest
    scale = (high - low) / torch.where(spread > 0, spread, 1.0)
    return torch.where(spread > 0, (images - darkest) * scale + low, images)


def equalize(images: Tensor, bins: int = 256) -> Tensor:
    """Values in [0, 255] replaced by the share of the pixels that are not brighter, times 255.

    The darkest becomes 0; a channel whose pixels share one bin stays as it is.
    """
    batch, height, width, channels = images.shape
    flat = images.permute(0, 3, 1, 2).reshape(batch, channels, height * width)
    histogram = _histogram(((bins - 1) * flat / 255).clamp(0, bins - 1).long(), bins)
    below = histogram.cumsum(-1)
    darkest = histogram.gather(-1, (histogram > 0).long().argmax(-1, keepdim=True))
    rest = height * width - darkest
    table = ((below - darkest) * 255 / rest.clamp(min=1)).round().clamp(0, 255)
    places = (flat / 255 * (bins - 1)).clamp(0, bins - 1).long()
    even = torch.where(rest > 0, table.gather(-1, places), flat)
    return even.reshape(batch, channels, height, width).permute(0, 2, 3, 1)


def _histogram(places: Tensor, bins: int) -> Tensor:
    """How often each of `bins` numbers occurs along the last axis, as floats."""
    counts = torch.zeros(*places.shape[:-1], bins, device=places.device)
    return counts.scatter_add(-1, places, torch.ones_like(places, dtype=counts.dtype))


def equalize_tiles(images: Tensor, clip_limit: float, grid: tuple[int, int]) -> Tensor:
    """Values in [0, 255] made even tile by tile, with histograms cut at a limit.

    Between the centres of tiles their answers are mixed bilinearly. What is cut off a histogram
    is spread over all values, so that even areas do not become noise.

    Args:
        clip_limit: How many times the mean count a value may count, 0: as often as it occurs.
        grid: Tiles down and across.
    Reference: Zuiderveld 1994.
    """
    batch, height, width, channels = images.shape
    sizes = [-(-size // count) for size, count in zip((height, width), grid)]  # of a tile
    rows, columns = (
        _reflected(count * tile, size, images.device)
        for count, tile, size in zip(grid, sizes, (height, width))
    )
    whole = images.clamp(0, 255).long()
    tiles = whole[:, rows][:, :, columns]
    tiles = tiles.reshape(batch, grid[0], sizes[0], grid[1], sizes[1], channels)
    tiles = tiles.permute(0, 5, 1, 3, 2, 4).reshape(batch, channels, *grid, sizes[0] * sizes[1])
    tables = _tables(_histogram(tiles, 256), sizes[0] * sizes[1], clip_limit)  # (B, C, *grid, 256)
    answer: Tensor | float = 0.0
    for row, row_share in _neighbours(height, sizes[0], grid[0], images.device):
        for column, column_share in _neighbours(width, sizes[1], grid[1], images.device):
            place = (row[:, None] * grid[1] + column)[None, :, :, None] * 256 + whole
            found = tables.flatten(2).gather(2, place.permute(0, 3, 1, 2).flatten(2))
            found = found.reshape(batch, channels, height, width).permute(0, 2, 3, 1)
            answer = answer + found * (row_share[:, None] * column_share)[None, :, :, None]
    return torch.as_tensor(answer).to(images.dtype)


def _tables(histogram: Tensor, pixels: int, clip_limit: float) -> Tensor:
    """What each value becomes in a tile: the cut histogram summed up, from 0 to 255."""
    if clip_limit > 0:
        cut = histogram.clamp(max=clip_limit * pixels / 256)
        histogram = cut + (histogram - cut).sum(-1, keepdim=True) / 256
    below = histogram.cumsum(-1)
    first = below[..., :1]
    rest = pixels - first
    return ((below - first) * 255 / torch.where(rest == 0, 1.0, rest)).clamp(0, 255)


def _reflected(target: int, size: int, device: torch.device) -> Tensor:
    """Places 0 .. target - 1, those beyond the picture reflected at its edge (a b c|c b a)."""
    place = torch.arange(target, device=device) % (2 * size)
    return torch.minimum(place, 2 * size - 1 - place)


def _neighbours(
    size: int, tile: int, count: int, device: torch.device
) -> list[tuple[Tensor, Tensor]]:
    """For each pixel along an axis the two tiles whose centres are nearest, and their shares."""
    position = (torch.arange(size, device=device) - tile / 2) / tile
    before = position.floor()
    share = position - before
    return [
        (before.clamp(0, count - 1).long(), 1 - share),
        ((before + 1).clamp(0, count - 1).long(), share),
    ]
