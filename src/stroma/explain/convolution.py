"""Why convolutions: what sharing weights saves, and what a shift of the picture does to a layer."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from stroma.core.axes import shape_text
from stroma.core.checks import check_positive_int
from stroma.core.errors import ArgumentError, ShapeError
from stroma.core.layer import Layer
from stroma.core.plain import Record
from stroma.explain.subject import Layout, Preprocess, Subject, as_numbers
from stroma.explain.watch import run_watched


@dataclass(frozen=True, kw_only=True, slots=True)
class ParameterCounts(Record):
    """Weights of three layers from one input to one output, and their multiply-accumulates.

    Args:
        input_shape, output_shape: (H, W, C), without the batch.
        convolution: Weights of the convolution: one kernel for all places.
        unshared: With a kernel of its own at each place (local connections without sharing).
        dense: With each output connected to each input.
        convolution_macs, dense_macs: For one picture; without sharing it is the convolution's.
    """

    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    convolution: int
    unshared: int
    dense: int
    convolution_macs: int
    dense_macs: int


def parameter_counts(layer: Layer, input_shape: tuple[int, ...]) -> ParameterCounts:
    """What a convolution saves against the same map without sharing, and fully connected.

    Args:
        layer: A convolution (`Conv1D`, `Conv2D`, `Conv3D`); it is copied, not built.
        input_shape: (H, W, C) of one picture, without the batch.
    Raises: ArgumentError: the layer is no convolution, or an axis is not known.
    Example:
        >>> from stroma import layers
        >>> counts = parameter_counts(layers.Conv2D(32, 3, padding="same"), (224, 224, 3))
        >>> counts.convolution, counts.unshared, counts.dense
        (896, 44957696, 241694179328)

    Reference: LeCun et al. 1989, "Backpropagation applied to handwritten zip code recognition".
    """
    if not isinstance(layer, Layer) or not isinstance(layer.receptive, tuple):
        raise ArgumentError(
            f"{type(layer).__name__} is no convolution",
            where="parameter_counts(layer)",
            why="a layer without a kernel has no weights to share over places",
            fix='parameter_counts(layers.Conv2D(32, 3, padding="same"), (224, 224, 3))',
        )
    copy = type(layer).from_config(layer.get_config())
    output_shape = tuple(copy.compute_output_shape((None, *input_shape))[1:])
    if None in output_shape or None in input_shape or len(input_shape) < 2:
        raise ArgumentError(
            f"the picture's shape is {shape_text(input_shape)}",
            where="parameter_counts(input_shape=...)",
            why="a dense layer has a weight for each pixel, so all sizes must be known",
            fix="(height, width, channels), such as (224, 224, 3)",
        )
    first = getattr(copy, "data_format", None) == "channels_first"
    places = math.prod(output_shape[1:] if first else output_shape[:-1])
    inputs, outputs, weights = math.prod(input_shape), math.prod(output_shape), copy.count_params()
    filters = output_shape[0] if first else output_shape[-1]
    biases = filters if getattr(copy, "use_bias", False) else 0
    return ParameterCounts(
        input_shape=tuple(input_shape), output_shape=output_shape, convolution=weights,
        unshared=places * weights, dense=inputs * outputs + (outputs if biases else 0),
        convolution_macs=places * (weights - biases), dense_macs=inputs * outputs,
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class ShiftRow(Record):
    """What a shift of the pictures did to one layer's output.

    Args:
        layer: Path of the layer; `kind` its class.
        stride: Pixels of the picture for one step in its map; None for a vector.
        equivariance_error: |f(shifted x) - shifted f(x)| / |f(x)|; 0: the map moves with the
            picture. None where the shift is no whole number of steps, or there is no map.
        error_inside: The same in the middle half of the map, away from the padded border.
        change: |f(shifted x) - f(x)| as a share of how far different pictures lie apart; 0:
            invariant, 1: as if it were another picture.
    """

    layer: str
    kind: str
    stride: int | None
    equivariance_error: float | None
    error_inside: float | None
    change: float


def shift_response(
    model: nn.Module,
    images: Any,
    shift: int = 4,
    *,
    preprocessing: Preprocess | None = None,
    layout: Layout | None = None,
) -> list[ShiftRow]:
    """How far each layer's map moves along when the picture is shifted, and when it stops caring.

    Convolutions are equivariant: their map moves with the picture, exactly where no border and no
    stride interferes. They are not invariant. Pooling makes them so, step by step: read `change`
    before and after each pooling layer. The shift is circular, down and to the right.

    Args:
        model: Any network or `nn.Module`.
        images: (N, H, W, C) as the model takes them, N >= 2.
        shift: Pixels, >= 1 and below the sides.
        preprocessing: Applied to the pictures first. None: the model's own
            (`model.preprocessing`), if it has one; False: nothing.
        layout: What a plain PyTorch module takes: "NCHW" or "NHWC".
    Returns: A row for each layer call with a map or a vector, in order of execution.
    Raises: ShapeError: fewer than two pictures. ArgumentError: a shift as long as a side.
    Example:
        >>> from stroma import zoo
        >>> photos = np.random.default_rng(0).random((4, 32, 32, 3))
        >>> rows = shift_response(zoo.small_cnn(), photos, shift=4)
        >>> rows[0].layer, rows[0].stride, rows[0].error_inside < 1e-6
        ('stage1.0.conv', 1, True)

    Reference: Zhang 2019, "Making convolutional networks shift-invariant again"; Cohen & Welling
        2016 for the words.
    """
    shift = check_positive_int("shift", shift, owner="shift_response")
    subject = Subject(model, preprocessing, layout)
    x = as_numbers(images, "shift_response(images)")
    if x.ndim != 4 or len(x) < 2:
        raise ShapeError(
            f"pictures are (N, height, width, channels), N >= 2, got {shape_text(tuple(x.shape))}",
            where="shift_response(images)",
            why="a change is measured against how far different pictures lie apart",
            fix="images[:32] of a data set",
        )
    if shift >= min(x.shape[1:3]):
        raise ArgumentError(
            f"a shift of {shift} on pictures of {tuple(x.shape[1:3])}",
            where="shift_response(shift=...)",
            why="a circular shift by a whole side changes nothing",
            fix=f"shift={max(min(x.shape[1:3]) // 8, 1)}",
        )
    x = subject.pictures(x)
    before = run_watched(subject, x)
    after = run_watched(subject, x.roll((shift, shift), (1, 2)))
    strides: dict[int, int] = {int(x.shape[1]): 1}
    rows = []
    for seen, moved in zip(before, after):
        if seen.output.ndim not in (2, 4) or not seen.output.is_floating_point():
            continue
        stride = _stride(int(seen.output.shape[1]), strides) if seen.is_map else None
        whole, inside = _equivariance(seen.output, moved.output, shift, stride)
        rows.append(
            ShiftRow(
                layer=seen.path, kind=type(seen.module).__name__, stride=stride,
                equivariance_error=whole, error_inside=inside,
                change=_change(seen.output, moved.output),
            )
        )  # fmt: skip
    return rows


def _stride(side: int, known: dict[int, int]) -> int | None:
    """Pixels for one step, from the next larger map: borders cut off there cost less than half a
    step (32 -> 30 is no stride, 27 -> 13 is one of 2)."""
    larger = [size for size in known if size >= side]
    if not larger:
        return None  # enlarged beyond the picture
    nearest = min(larger)
    return known.setdefault(side, known[nearest] * round(nearest / side))


def _equivariance(
    y: Tensor, moved: Tensor, shift: int, stride: int | None
) -> tuple[float | None, float | None]:
    if stride is None or shift % stride:
        return None, None
    steps = shift // stride
    error, norm = moved - y.roll((steps, steps), (1, 2)), float(y.norm())
    height, width = y.shape[1:3]
    middle = (slice(None), slice(height // 4, height - height // 4),
              slice(width // 4, width - width // 4))  # fmt: skip
    inner = float(y[middle].norm())
    return (
        float(error.norm()) / norm if norm else 0.0,
        float(error[middle].norm()) / inner if inner else 0.0,
    )


def _change(y: Tensor, moved: Tensor) -> float:
    flat, other = y.flatten(1).double(), moved.flatten(1).double()
    apart = float((flat - flat.roll(1, 0)).norm(dim=1).mean())
    return float((other - flat).norm(dim=1).mean()) / apart if apart else 0.0
