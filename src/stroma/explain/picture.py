"""Drawing with Pillow alone: overlays, colour bars, grids of small pictures, captions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from stroma.explain.colours import sequential, signed

PAPER, INK, FAINT, MARK = (255, 255, 255), (22, 24, 29), (96, 100, 108), (213, 94, 0)
_MARGIN, _GAP = 16, 12
_BAR_WIDTH, _BAR_ROOM = 14, 76  # pixels of the colour bar, and with its numbers


@dataclass(frozen=True, slots=True)
class Bar:
    """A colour bar: its ends' values, what they are values of, and if some lie beyond them."""

    low: float
    high: float
    meaning: str
    beyond: bool = False


def colour(values: np.ndarray, bar: Bar) -> np.ndarray:
    """Values as the bar colours them: signed where it reaches below zero. (*) -> (*, 3) uint8"""
    if bar.low < 0:
        return signed(values / (bar.high or 1))
    return sequential((values - bar.low) / ((bar.high - bar.low) or 1))


def scale_of(values: np.ndarray, meaning: str) -> Bar:
    """A bar for `values`: from 0 to the highest, or symmetric about 0 where some are negative.

    A signed map's few largest pixels would leave all others white: its bar ends at the 99.5th
    percentile of the absolute values, and says so.
    """
    if not (values < 0).any():
        return Bar(0.0, float(values.max(initial=0.0)), meaning)
    sizes = np.abs(values)
    highest = float(np.quantile(sizes, 0.995)) or float(sizes.max())
    return Bar(-highest, highest, meaning, beyond=bool(sizes.max() > highest))


def displayable(image: np.ndarray) -> np.ndarray:
    """Any (H, W, C) input as (H, W, 3) uint8: bytes and 0..255 as they are, 0..1 times 255, other
    numbers (already normalised for a network) stretched from their least to their largest."""
    pixels = np.asarray(image, np.float64)
    low, high = float(pixels.min(initial=0)), float(pixels.max(initial=0))
    if low < 0 or high > 255:
        pixels = (pixels - low) / ((high - low) or 1) * 255
    elif high <= 1 and image.dtype != np.uint8:
        pixels = pixels * 255
    if pixels.shape[-1] != 3:  # grey, or channels without a colour of their own
        pixels = np.repeat(pixels.mean(-1, keepdims=True), 3, axis=-1)
    return np.rint(pixels).astype(np.uint8)


def resized(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A map (h, w) at (H, W), between its points linearly; float32."""
    picture = Image.fromarray(np.ascontiguousarray(values, np.float32))
    return np.asarray(picture.resize(size[::-1], Image.Resampling.BILINEAR))


def overlay(image: np.ndarray, values: np.ndarray, bar: Bar, opacity: float) -> Image.Image:
    """The colours of a map over a grey version of the photo, so that hue is the map's alone."""
    grey = displayable(image).astype(np.float64) @ np.array([0.299, 0.587, 0.114])
    colours = colour(resized(values, grey.shape), bar)
    mixed = opacity * colours + (1 - opacity) * grey[..., None]
    return Image.fromarray(np.rint(mixed).astype(np.uint8))


def enlarged(picture: Image.Image, side: int, *, smooth: bool = True) -> Image.Image:
    """`picture` with its longer side `side` pixels long."""
    factor = side / max(picture.size)
    size = tuple(max(round(length * factor), 1) for length in picture.size)
    how = Image.Resampling.BICUBIC if smooth else Image.Resampling.NEAREST
    return picture.resize((size[0], size[1]), how)


def figure(
    panels: Sequence[Image.Image],
    title: str,
    text: str,
    bar: Bar | None = None,
    labels: Sequence[str] = (),
    columns: int | None = None,
) -> Image.Image:
    """Panels in a grid, a title above, a colour bar beside them, text below."""
    columns = columns or len(panels)
    rows = math.ceil(len(panels) / columns)
    cell = (max(p.width for p in panels), max(p.height for p in panels))
    label = 18 if any(labels) else 0
    gap = _GAP if cell[0] > 100 else 6
    width = columns * cell[0] + (columns - 1) * gap
    height = rows * (cell[1] + label) + (rows - 1) * gap
    whole = max(width + (_BAR_ROOM if bar else 0), 380)
    heads, lines = wrapped(title, whole, 16), wrapped(text, whole, 12)
    top = _MARGIN + 22 * len(heads) + 6
    bottom = 17 * len(lines) + (_GAP if lines else 0)
    canvas = Image.new("RGB", (whole + 2 * _MARGIN, top + height + bottom + _MARGIN), PAPER)
    draw = ImageDraw.Draw(canvas)
    for number, line in enumerate(heads):
        draw.text((_MARGIN, _MARGIN - 2 + 22 * number), line, INK, font(16))
    for number, panel in enumerate(panels):
        row, column = divmod(number, columns)
        x, y = _MARGIN + column * (cell[0] + gap), top + row * (cell[1] + label + gap)
        canvas.paste(panel, (x, y + label))
        if label and number < len(labels):
            draw.text((x, y), labels[number], FAINT, font(12))
    if bar is not None:
        _draw_bar(canvas, bar, (_MARGIN + width + gap, top + label), height - label)
    for number, line in enumerate(lines):
        draw.text((_MARGIN, top + height + _GAP + 17 * number), line, FAINT, font(12))
    return canvas


def _draw_bar(canvas: Image.Image, bar: Bar, at: tuple[int, int], height: int) -> None:
    height = min(height, 320)
    values = np.linspace(bar.high, bar.low, height)[:, None].repeat(_BAR_WIDTH, 1)
    canvas.paste(Image.fromarray(colour(values, bar)), at)
    draw, x = ImageDraw.Draw(canvas), at[0] + _BAR_WIDTH + 5
    above, below = ("> ", "< ") if bar.beyond else ("", "")
    draw.text((x, at[1]), f"{above}{bar.high:.3g}", INK, font(11))
    draw.text((x, at[1] + height), f"{below}{bar.low:.3g}", INK, font(11), anchor="ls")
    words = bar.meaning.split()
    for number, word in enumerate(words):
        middle = at[1] + height // 2 + 13 * number - 13 * len(words) // 2
        draw.text((x, middle), word, FAINT, font(11))


def beside(pictures: Sequence[Image.Image], columns: int) -> Image.Image:
    """Whole figures as one sheet, column by column, each as far up as it goes."""
    width = max(picture.width for picture in pictures)
    heights, places = [0] * columns, []
    for picture in pictures:
        column = heights.index(min(heights))
        places.append((column * width, heights[column]))
        heights[column] += picture.height
    sheet = Image.new("RGB", (width * columns, max(heights)), PAPER)
    for picture, place in zip(pictures, places):
        sheet.paste(picture, place)
    return sheet


def outlined(
    picture: Image.Image,
    box: tuple[float, float, float, float],
    colour: tuple[int, int, int] = MARK,
) -> Image.Image:
    """A copy with a rectangle (left, top, right, bottom; pixels, ends outside) drawn on it."""
    copy = picture.copy()
    left, top, right, bottom = box
    ImageDraw.Draw(copy).rectangle((left, top, right - 1, bottom - 1), outline=colour, width=2)
    return copy


def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own, so that a picture looks the same on every machine."""
    return ImageFont.load_default(size)


def wrapped(text: str, width: int, size: int) -> list[str]:
    """Lines of `text` that fit into `width` pixels."""
    lines: list[str] = []
    for paragraph in text.replace("×", "x").splitlines():  # the font has no such sign
        line = ""
        for word in paragraph.split():
            longer = f"{line} {word}".strip()
            if line and font(size).getlength(longer) > width:
                lines.append(line)
                longer = word
            line = longer
        lines.append(line)
    return lines
