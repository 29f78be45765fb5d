"""What one place of a feature map sees of the photo: measured by the gradient, drawn on it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from stroma.core.checks import check_int
from stroma.core.errors import ArgumentError, ArgumentTypeError
from stroma.explain import picture
from stroma.explain.subject import Layout, Preprocess, Subject, as_array, noise
from stroma.explain.watch import catching, spatial_layer
from stroma.network.design import design
from stroma.network.network import Network

_PROBES = 8  # pictures of noise: a ReLU or a maximum hides some pixels of one picture


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ReceptiveField:
    """What one place of a layer's map sees.

    Args:
        box: (left, top, right, bottom), pixels, ends outside: all pixels that can change it.
        influence: (H, W) mean absolute gradient of the place by each pixel, summed over channels.
        declared: (height, width) as the layers declare it; None where they do not.
        layer: Path of the layer.
        place: (row, column) in its map of size `map_size`.
        image: (H, W, C) the photo.
    """

    box: tuple[int, int, int, int]
    influence: np.ndarray
    declared: tuple[int, ...] | None
    layer: str
    place: tuple[int, int]
    map_size: tuple[int, int]
    image: np.ndarray = field(repr=False)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the box; smaller than `declared` where it meets the edge."""
        left, top, right, bottom = self.box
        return bottom - top, right - left

    def effective_area(self) -> float:
        """The smallest share of the box that holds 95 % of the influence."""
        mass = np.sort(self.influence, axis=None)[::-1].astype(np.float64).cumsum()
        pixels = int(np.searchsorted(mass, 0.95 * mass[-1])) + 1
        return pixels / (self.size[0] * self.size[1])

    def picture(self, *, side: int = 320) -> Image.Image:
        """The photo with the box, and beside it how much each pixel counts.

        Args:
            side: Longer side of each panel, pixels.
        """
        photo = Image.fromarray(picture.displayable(self.image))
        bar = picture.scale_of(self.influence, "influence")
        colours = picture.overlay(self.image, self.influence, bar, 0.75)
        factor = side / max(photo.size)
        left, top, right, bottom = (round(edge * factor) for edge in self.box)
        panels = [
            picture.outlined(picture.enlarged(one, side), (left, top, right, bottom))
            for one in (photo, colours)
        ]
        height, width = self.size
        title = f"What place {self.place} of {self.layer} sees: {height} × {width} pixels"
        text = (
            "Nothing outside the frame can change it. 95 % of the influence lies on "
            f"{100 * self.effective_area():.0f} % of the frame."
        )
        return picture.figure(panels, title, text, bar)


def receptive_field_on(
    model: nn.Module,
    image: Any,
    layer: str | None = None,
    *,
    place: tuple[int, int] | None = None,
    preprocessing: Preprocess | None = None,
    layout: Layout | None = None,
) -> ReceptiveField:
    """What one place of a layer's map sees of a photo.

    Measured: the pixels by which the sum over channels at that place has a gradient, on the photo
    and on eight pictures of noise. What the layers declare is given beside it, as
    r = 1 + sum_l (k_l - 1) d_l prod_{m<l} s_m (kernel k, dilation d, stride s).

    Args:
        model: Any network or `nn.Module`.
        image: The picture as the model takes it, (H, W, C) or (1, H, W, C).
        layer: Path of a layer with a spatial map; None: the last one.
        place: (row, column) in its map, from 0; None: the middle.
        preprocessing: Applied to the picture first. None: the model's own
            (`model.preprocessing`), if it has one; False: nothing.
        layout: What a plain PyTorch module takes: "NCHW" or "NHWC".
    Raises: ArgumentError: no such layer or place. GraphError: no gradient reaches the pixels.
    Example:
        >>> from stroma import zoo
        >>> photo = np.random.default_rng(0).random((32, 32, 3))
        >>> found = receptive_field_on(zoo.small_cnn(), photo, "stage1.1.conv")
        >>> found.size, found.declared
        ((5, 5), (5, 5))

    Reference: Luo et al. 2016, "Understanding the effective receptive field".
    """
    subject = Subject(model, preprocessing, layout)
    x = subject.picture(image)
    seen = spatial_layer(subject, x, layer)
    size = int(seen.output.shape[1]), int(seen.output.shape[2])
    row, column = _place(place) if place is not None else (size[0] // 2, size[1] // 2)
    if not (0 <= row < size[0] and 0 <= column < size[1]):
        raise ArgumentError(
            f"place {(row, column)} lies outside the map of {seen.path!r}",
            where="receptive_field_on(place=...)",
            why=f"the map has {size[0]} rows and {size[1]} columns, counted from 0",
            fix=f"place={(size[0] // 2, size[1] // 2)}",
        )
    low, high = float(x.min()), float(x.max())
    probes = low + (high - low or 1.0) * noise((_PROBES, *x.shape[1:]), 0, x.device)
    points = torch.cat([x, probes]).requires_grad_()
    with subject.inference(gradients=True), catching(subject, seen.path, cut=False) as outputs:
        subject.forward(points)
        value = outputs[-1][:, row, column].sum()
        gradient = subject.gradient(value, points, "the pixels")
    influence = as_array(gradient.abs().sum(-1).mean(0))
    rows, columns = np.flatnonzero(influence.any(1)), np.flatnonzero(influence.any(0))
    empty = not len(rows)  # a place that no pixel changes
    box = (0, 0, 0, 0) if empty else (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
    return ReceptiveField(
        box=(int(box[0]), int(box[1]), int(box[2]), int(box[3])), influence=influence,
        declared=_declared(model, seen.path), layer=seen.path, place=(row, column), map_size=size,
        image=as_array(x[0]),
    )  # fmt: skip


def _place(place: Any) -> tuple[int, int]:
    if isinstance(place, (tuple, list)) and len(place) == 2:
        row, column = (check_int("place", at, owner="receptive_field_on") for at in place)
        return row, column
    raise ArgumentTypeError(
        f"place is {place!r:.60}, not (row, column)",
        where="receptive_field_on(place=...)",
        why="a place in a map is two numbers, counted from 0",
        fix="receptive_field_on(..., place=(0, 0)); None: the middle",
    )


def _declared(model: nn.Module, path: str) -> tuple[int, ...] | None:
    if not isinstance(model, Network):
        return None
    return next((row.receptive_field for row in design(model) if row.name == path), None)
