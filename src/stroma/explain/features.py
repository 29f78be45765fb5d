"""What layers see: their feature maps, their filters, and the pictures that excite a channel."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor, nn

from stroma.core.axes import shape_text
from stroma.core.checks import check_int, check_positive_int
from stroma.core.errors import ArgumentError, GraphError, ShapeError
from stroma.core.layer import Layer
from stroma.core.weight import Weight
from stroma.explain import picture
from stroma.explain.subject import Layout, Preprocess, Subject, answers_nan, as_array
from stroma.explain.watch import catching, describe, named_layer, run_watched, spatial_layer
from stroma.training.adapters import as_batches

_MOST = 16  # maps in a picture


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class FeatureMaps:
    """What a layer gives for one picture: how strongly each channel answers at each place.

    Args:
        maps: (h, w, C) float32.
        layer: Path of the layer; `kind` its class, with the activation that it applies itself.
        image: (H, W, C) the picture as the model was given it.
    """

    maps: np.ndarray
    layer: str
    kind: str
    image: np.ndarray = field(repr=False)

    def strongest(self, count: int = _MOST) -> np.ndarray:
        """Channels by their mean absolute answer, the strongest first."""
        order: np.ndarray = np.argsort(-np.abs(self.maps).mean((0, 1)), kind="stable")[:count]
        return order

    def picture(self, *, most: int = _MOST, side: int = 88) -> Image.Image:
        """The strongest maps in a grid, all on one scale: their colours can be compared.

        Args:
            most: Maps shown, >= 1.
            side: Longer side of each, pixels.
        """
        chosen = self.strongest(check_positive_int("most", most, owner="FeatureMaps.picture"))
        bar = picture.scale_of(self.maps[..., chosen], "activation")
        panels = [
            picture.enlarged(
                Image.fromarray(picture.colour(self.maps[..., channel], bar)), side, smooth=False
            )
            for channel in chosen
        ]
        silent = int((np.abs(self.maps).max((0, 1)) == 0).sum())
        text = f"The {len(chosen)} strongest of {self.maps.shape[-1]} channels, on one scale."
        if silent:
            text += f" {silent} channels are zero everywhere on this picture."
        title = f"Feature maps of {self.layer} ({self.kind})"
        labels = [str(channel) for channel in chosen]
        return picture.figure(panels, title, text, bar, labels, columns=min(len(chosen), 8))


def feature_maps(
    model: nn.Module,
    image: Any,
    layer: str | None = None,
    *,
    preprocessing: Preprocess | None = None,
    layout: Layout | None = None,
) -> FeatureMaps:
    """What one layer gives for one picture, channel by channel.

    Args:
        model: Any network or `nn.Module`.
        image: The picture as the model takes it, (H, W, C) or (1, H, W, C).
        layer: Path of a layer; None: the last one with a spatial map.
        preprocessing: Applied to the picture first. None: the model's own
            (`model.preprocessing`), if it has one; False: nothing.
        layout: What a plain PyTorch module takes: "NCHW" or "NHWC".
    Shape: (H, W, C) -> maps (h, w, channels of the layer)
    Raises: ArgumentError: no such layer, or it gives no map. WeightsError: the maps hold NaN.
    Example:
        >>> from stroma import zoo
        >>> feature_maps(zoo.small_cnn(), np.zeros((32, 32, 3)), "stage1.0.conv").maps.shape
        (32, 32, 32)

    Reference: Zeiler & Fergus 2014, "Visualizing and understanding convolutional networks".
    """
    subject = Subject(model, preprocessing, layout)
    x = subject.picture(image)
    seen = spatial_layer(subject, x, layer)
    # Caught where it leaves the layer: a later layer that works in place would write over it.
    with subject.inference(gradients=False), catching(subject, seen.path, cut=True) as outputs:
        subject.forward(x)
    if outputs[-1].isnan().any():
        raise answers_nan(subject.model, f"the maps of {seen.path} hold NaN")
    return FeatureMaps(
        maps=as_array(outputs[-1][0]), layer=seen.path, kind=describe(seen.module),
        image=as_array(x[0]),
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Filters:
    """The kernels of a convolution: (kernel height, kernel width, channels in, filters)."""

    kernels: np.ndarray
    layer: str

    def picture(self, *, most: int = 64, side: int = 40) -> Image.Image:
        """Filters in a grid: in colour where they see three channels, else their mean over them.

        Colour filters show what they answer to most: mid-grey is a weight of 0, each filter is
        stretched by its own largest weight. Others are signed, all on one scale.

        Args:
            most: Filters shown, >= 1.
            side: Side of each, pixels.
        """
        count = min(check_positive_int("most", most, owner="Filters.picture"), self._count)
        kernels, bar = self.kernels[..., :count], None
        if kernels.shape[2] == 3:
            largest = np.abs(kernels).max((0, 1, 2), keepdims=True)
            shown = 127.5 + 127.5 * kernels / np.where(largest > 0, largest, 1)
            tiles = [np.rint(shown[..., number]).astype(np.uint8) for number in range(count)]
            text = "Each on its own scale; mid-grey is a weight of 0."
        else:
            means = kernels.mean(2)
            size = float(np.abs(means).max())
            bar = picture.Bar(-size, size, "weight")
            tiles = [picture.colour(means[..., number], bar) for number in range(count)]
            text = "The mean over the channels that each filter sees, on one scale."
        panels = [picture.enlarged(Image.fromarray(t), side, smooth=False) for t in tiles]
        height, width, channels, _ = self.kernels.shape
        title = f"{self._count} filters of {self.layer}: {height} × {width} × {channels}"
        return picture.figure(panels, title, text, bar, columns=min(count, 16))

    @property
    def _count(self) -> int:
        return int(self.kernels.shape[3])


def filters(model: nn.Module, layer: str | None = None) -> Filters:
    """The kernels of a convolution, of the first one when none is named.

    Args:
        model: Any network or `nn.Module` that has seen data once.
        layer: Path of a layer with kernels over two axes.
    Shape: -> kernels (kernel height, kernel width, channels in, filters)
    Raises: ArgumentError: no such layer. GraphError: the model has no convolution, or is not built.
    Example:
        >>> from stroma import zoo
        >>> filters(zoo.small_cnn()).kernels.shape
        (3, 3, 3, 32)

    Reference: Krizhevsky et al. 2012, figure 3. Only filters of a first layer can be read as
        pictures: later ones see channels, not colours.
    """
    modules = {
        path: module for path, module in model.named_modules() if _kernel(module) is not None
    }
    if layer is not None:
        named = {
            path: module
            for path, module in modules.items()
            if path == layer or (isinstance(module, Layer) and module.name == layer)
        }
    else:
        named = dict(list(modules.items())[:1])
    if not modules and isinstance(model, Layer) and not model.built:
        raise GraphError(
            f"{type(model).__name__} is not built: its layers have no weights yet",
            where="filters(model)",
            why="the kernels' shape follows from that of the pictures",
            fix="call it once on data, or give Input((height, width, channels)) first",
        )
    if not named:
        what = f"there is no convolution {layer!r}" if layer else "there is no convolution"
        raise (ArgumentError if modules else GraphError)(
            f"{what} in {type(model).__name__}",
            where="filters(layer=...)",
            why="filters are weights over height, width and channels",
            fix=f"one of: {', '.join(list(modules)[:8])}"
            if modules
            else "feature_maps shows what a layer gives instead",
        )
    path, module = next(iter(named.items()))
    kernel = _kernel(module)
    assert kernel is not None
    return Filters(kernels=as_array(kernel), layer=path or type(module).__name__)


def _kernel(module: nn.Module) -> Tensor | None:
    """A module's own weight as (height, width, in, out), if it is one over two axes."""
    weight = module._parameters.get("weight")
    if weight is None or weight.ndim != 4:
        return None
    if isinstance(weight, Weight):
        return weight.keras_view
    return weight.permute(2, 3, 1, 0)  # torch's (out, in, height, width)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TopImages:
    """The pictures that excite one channel most, the strongest first.

    Args:
        indices: (N,) their places in the data.
        activations: (N,) the channel's highest value on each.
        places: (N, 2) (row, column) in the layer's map where that was; (0, 0) for a plain unit.
        images: (N, H, W, C) the pictures as the model was given them.
        layer: Path of the layer.
        channel: Its channel or unit, from 0.
        map_size: (h, w) of the layer's map; (1, 1) for a plain unit.
    """

    indices: np.ndarray
    activations: np.ndarray
    places: np.ndarray
    images: np.ndarray = field(repr=False)
    layer: str
    channel: int
    map_size: tuple[int, int]

    def picture(self, *, side: int = 96) -> Image.Image:
        """The pictures, each with a frame about the place that excited the channel most.

        Args:
            side: Longer side of each, pixels.
        """
        panels = []
        for image, place in zip(self.images, self.places):
            panel = picture.enlarged(Image.fromarray(picture.displayable(image)), side)
            if self.map_size != (1, 1):
                panel = picture.outlined(panel, self._frame(place, panel.size))
            panels.append(panel)
        labels = [f"{value:.3g}" for value in self.activations]
        title = f"What excites channel {self.channel} of {self.layer} most"
        text = "Above each: its highest activation." + (
            " The frame is about its place, not as large as all that the channel sees."
            if self.map_size != (1, 1)
            else ""
        )
        return picture.figure(panels, title, text, None, labels, columns=min(len(panels), 8))

    def _frame(self, place: np.ndarray, size: tuple[int, int]) -> tuple[float, float, float, float]:
        """A quarter of the picture about the place's centre, moved inside."""
        height, width = self.map_size
        x, y = (place[1] + 0.5) * size[0] / width, (place[0] + 0.5) * size[1] / height
        half = size[0] / 8, size[1] / 8
        x = min(max(x, half[0]), size[0] - half[0])
        y = min(max(y, half[1]), size[1] - half[1])
        return x - half[0], y - half[1], x + half[0], y + half[1]


def top_images(
    model: nn.Module,
    images: Any,
    layer: str,
    channel: int,
    *,
    count: int = 9,
    preprocessing: Preprocess | None = None,
    layout: Layout | None = None,
) -> TopImages:
    """The pictures of a data set that excite one channel most.

    One pass; only the best pictures are kept, so the data may be larger than memory.

    Args:
        model: Any network or `nn.Module`.
        images: (N, H, W, C) as the model takes them, or what `fit` takes: a part of
            `stroma.data`, a torch dataset or loader.
        layer: Path of a layer with a map or a vector for each picture.
        channel: Which of its channels (or units), from 0.
        count: Pictures kept, >= 1.
        preprocessing: Applied to the pictures first. None: the model's own
            (`model.preprocessing`), if it has one; False: nothing.
        layout: What a plain PyTorch module takes: "NCHW" or "NHWC".
    Raises: ArgumentError: no such layer or channel.
    Example:
        >>> from stroma import zoo
        >>> pictures = np.random.default_rng(0).random((20, 32, 32, 3))
        >>> found = top_images(zoo.small_cnn(), pictures, "stage1.0.conv", 5, count=3)
        >>> bool(found.activations[0] >= found.activations[1] >= found.activations[2])
        True

    Reference: Zeiler & Fergus 2014, figure 2; Bau et al. 2017, "Network dissection".
    """
    count = check_positive_int("count", count, owner="top_images")
    channel = check_int("channel", channel, owner="top_images", minimum=0)
    subject = Subject(model, preprocessing, layout)
    best: list[tuple[float, int, tuple[int, int], np.ndarray]] = []  # a heap, the weakest first
    path, size, start = "", (1, 1), 0
    for batch in as_batches(images, batch_size=32).epoch(0):
        x = _pictures(batch.x, subject, start)
        if not path:
            path = named_layer(subject, run_watched(subject, x[:1]), layer).path
        with subject.inference(gradients=False), catching(subject, path, cut=True) as outputs:
            subject.forward(x)
        values = channel_values(outputs[-1], channel, path)  # (B, h, w)
        size = int(values.shape[1]), int(values.shape[2])
        highest, at = (part.tolist() for part in values.flatten(1).max(1))
        for number, (value, cell) in enumerate(zip(highest, at)):
            # The index breaks ties (the earlier picture is kept), so arrays are never compared.
            entry = (value, -(start + number), divmod(cell, size[1]), as_array(x[number]))
            if len(best) < count:
                heapq.heappush(best, entry)
            elif entry[:2] > best[0][:2]:
                heapq.heapreplace(best, entry)
        start += len(x)
    best.sort(key=lambda entry: entry[:2], reverse=True)
    return TopImages(
        indices=np.array([-entry[1] for entry in best]),
        activations=np.array([entry[0] for entry in best], np.float32),
        places=np.array([entry[2] for entry in best]),
        images=np.stack([entry[3] for entry in best]) if best else np.zeros((0, 1, 1, 3)),
        layer=path, channel=channel, map_size=size,
    )  # fmt: skip


def channel_values(output: Tensor, channel: int, path: str) -> Tensor:
    """One channel of a map (B, h, w, C), or one unit of a vector (B, D), as (B, h, w)."""
    if output.ndim not in (2, 4):
        raise ShapeError(
            f"layer {path!r} gives {shape_text(tuple(output.shape))}",
            where="layer=...",
            why="a channel is one of a map (batch, height, width, channels) or of a vector",
            fix="name a convolution, an activation or a dense layer",
        )
    if channel >= output.shape[-1]:
        raise ArgumentError(
            f"layer {path!r} has no channel {channel}",
            where="channel=...",
            why=f"it has {output.shape[-1]}, counted from 0",
            fix=f"a number from 0 to {output.shape[-1] - 1}",
        )
    values = output[..., channel]
    return values if values.ndim == 3 else values[:, None, None]


def _pictures(x: Any, subject: Subject, first: int) -> Tensor:
    if not isinstance(x, Tensor) or x.ndim != 4:
        given = shape_text(tuple(x.shape)) if isinstance(x, Tensor) else type(x).__name__
        raise ShapeError(
            f"pictures are (batch, height, width, channels), got {given}",
            where="top_images(images)",
            why="each is shown to the model",
            fix="grey pictures: images[..., None]; one: images[None]",
        )
    return subject.pictures(x, first)
