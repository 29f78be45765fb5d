"""Activation maximisation: the picture that a channel asks for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from stroma.core.checks import check_int, check_number, check_positive_int, check_tuple
from stroma.core.errors import GraphError
from stroma.explain import picture
from stroma.explain.features import channel_values
from stroma.explain.subject import Layout, Preprocess, Subject, as_array, noise
from stroma.explain.watch import catching, named_layer, run_watched
from stroma.network.network import Network


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Maximised:
    """A picture made to excite one channel.

    Args:
        image: (H, W, C) float32, in [0, `highest`].
        layer: Path of the layer; `channel` which of its channels.
        activations: Mean activation of the channel before each step.
        highest: Value of a white pixel.
    """

    image: np.ndarray = field(repr=False)
    layer: str
    channel: int
    activations: tuple[float, ...] = field(repr=False)
    highest: float

    def picture(self, *, side: int = 224) -> Image.Image:
        """The picture with what it is for.

        Args:
            side: Its longer side, pixels.
        """
        shown = picture.displayable(np.rint(self.image / self.highest * 255).astype(np.uint8))
        panel = picture.enlarged(Image.fromarray(shown), side)
        silent = " The channel was silent all along." if not any(self.activations) else ""
        return picture.figure(
            [panel],
            f"What channel {self.channel} of {self.layer} asks for",
            f"Made by gradient ascent from noise: mean activation from {self.activations[0]:.3g} "
            f"to {self.activations[-1]:.3g}.{silent} Another start gives another picture; real "
            "photos may excite the channel by something else.",
        )


def maximise_activation(
    model: nn.Module,
    layer: str,
    channel: int,
    *,
    size: int | tuple[int, int] | None = None,
    channels: int | None = None,
    steps: int = 128,
    rate: float = 0.05,
    smoothness: float = 2.0,
    jitter: int = 4,
    highest: float = 255.0,
    seed: int = 0,
    preprocessing: Preprocess | None = None,
    layout: Layout | None = None,
) -> Maximised:
    """A picture that a channel answers to most: gradient ascent on pixels, kept smooth.

    Follows the gradient of mean a / |mean a| (its denominator taken as a number) minus
    smoothness * TV over x = highest * sigmoid(z). TV, the total variation, is the mean absolute
    difference of neighbours as a share of `highest`. z is a sum of pictures of sides 1, 1/2,
    1/4, ... of the full one, which lets large forms grow as fast as single pixels, and the picture
    is shifted at random by up to `jitter` pixels before each step, so that no pattern can hang on
    the grid of strides.

    Args:
        model: Any network or `nn.Module`.
        layer: Path of a layer with a map or a vector for each picture.
        channel: Which of its channels (or units), from 0; of the last layer: a class.
        size: (height, width) of the picture, pixels; None: what the network declares, else 64.
        channels: Of the picture; None: what the network declares, else what its first convolution
            takes, else 3.
        steps: Of ascent (Adam), >= 1.
        rate: Of ascent, in units of z, > 0.
        smoothness: Weight of the total variation, >= 0; 0 leaves the dots that networks like.
        jitter: Largest shift, pixels, >= 0.
        highest: Value of a white pixel as `preprocessing`, else the model, takes it.
        seed: Of the first picture and of the shifts.
        preprocessing: Applied to the picture (0 to `highest`) first. None: the model's own
            (`model.preprocessing`), if it has one; False: nothing.
        layout: What a plain PyTorch module takes: "NCHW" or "NHWC".
    Shape: -> image (*size, channels)
    Raises: ArgumentError: no such layer or channel. GraphError: no gradient reaches the pixels.
    Example:
        >>> from stroma import zoo
        >>> made = maximise_activation(zoo.small_cnn(), "stage2.1.relu", 3, steps=4, highest=1.0)
        >>> made.image.shape
        (32, 32, 3)

    Reference: Erhan et al. 2009; Simonyan et al. 2013; jitter after Mordvintsev et al. 2015,
        total variation after Mahendran & Vedaldi 2015, many sizes at once after Olah et al. 2017
        (there as frequencies).
    """
    subject = Subject(model, preprocessing, layout)
    height, width, depth = _input_shape(model, subject.layout, size, channels)
    channel = check_int("channel", channel, owner="maximise_activation", minimum=0)
    steps = check_positive_int("steps", steps, owner="maximise_activation")
    reach = check_int("jitter", jitter, owner="maximise_activation", minimum=0)
    for name, value in (("rate", rate), ("smoothness", smoothness), ("highest", highest)):
        check_number(name, value, owner="maximise_activation", minimum=0)
    sides = [(height, width)]
    while min(sides[-1]) > 4:
        sides.append((-(-sides[-1][0] // 2), -(-sides[-1][1] // 2)))
    parts = [
        (noise((1, depth, *side), seed + number, subject.device) - 0.5).requires_grad_()
        for number, side in enumerate(sides)
    ]
    path = named_layer(subject, run_watched(subject, highest * _picture(parts)), layer).path
    draws = torch.Generator().manual_seed(seed)
    optimizer, history = torch.optim.Adam(parts, lr=rate), list[float]()
    for _ in range(steps):
        shift = torch.randint(-reach, reach + 1, (2,), generator=draws).tolist()
        with subject.inference(gradients=True):
            x = _picture(parts)
            activation = _activation(subject, highest * x.roll(shift, (1, 2)), path, channel)
            history.append(float(activation.detach()))
            gain = activation / (abs(history[-1]) or 1.0) - smoothness * _variation(x)
            for part, gradient in zip(parts, torch.autograd.grad(-gain, parts)):
                part.grad = gradient
        optimizer.step()
    return Maximised(
        image=as_array(highest * _picture(parts)[0]), layer=path, channel=channel,
        activations=tuple(history), highest=highest,
    )  # fmt: skip


def _input_shape(
    model: nn.Module, layout: Layout, size: Any, channels: int | None
) -> tuple[int, int, int]:
    """(height, width, channels) as asked for, else as declared, else 64 x 64 x 3.

    A module that declares nothing takes as many channels as its first convolution.
    """
    declared: tuple[int | None, ...] = (None, None, None)
    if isinstance(model, Network) and len(model.inputs) == 1 and model.inputs[0].ndim == 4:
        declared = model.inputs[0].shape[1:]
        if layout == "NCHW":
            declared = (*declared[1:], declared[0])
    elif first := next((m for m in model.modules() if isinstance(m, nn.Conv2d)), None):
        declared = (None, None, first.in_channels)
    own = tuple(axis or 64 for axis in declared[:2])
    height, width = check_tuple("size", size or own, 2, owner="maximise_activation")
    depth = channels or declared[2] or 3
    return height, width, check_positive_int("channels", depth, owner="maximise_activation")


def _activation(subject: Subject, x: Tensor, path: str, channel: int) -> Tensor:
    """Mean of a channel over its map, with its graph."""
    with catching(subject, path, cut=False) as outputs:
        subject.forward(x)
    value = channel_values(outputs[-1], channel, path).mean()
    if not value.requires_grad:
        raise GraphError(
            f"no gradient goes from layer {path!r} to the pixels",
            where=type(subject.model).__name__,
            why="the model takes whole numbers, or rounds, before its first weights",
            fix="declare a float input: Input(shape) without dtype='uint8'",
        )
    return value


def _picture(parts: list[Tensor]) -> Tensor:
    """The sum of all sizes at the size of the first, in (0, 1): (1, H, W, C)."""
    size = parts[0].shape[2:]
    full = [F.interpolate(part, size, mode="bilinear", align_corners=False) for part in parts]
    return torch.stack(full).sum(0).sigmoid().permute(0, 2, 3, 1)


def _variation(x: Tensor) -> Tensor:
    """Mean absolute difference of neighbouring pixels."""
    return x.diff(dim=1).abs().mean() + x.diff(dim=2).abs().mean()
