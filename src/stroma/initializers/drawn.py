"""Initial values that are drawn: normal, uniform, scaled by the fans, orthogonal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, Self, TypeAlias

import torch
from torch import Tensor

from stroma.core.checks import check_choice, check_int, check_number
from stroma.core.dtypes import DTypeLike, at_least_float32, to_dtype
from stroma.core.errors import ArgumentError, ShapeError
from stroma.core.seeds import draw_seed
from stroma.initializers.base import Initializer, Shape, registry

Axes: TypeAlias = Sequence[int] | None
Mode: TypeAlias = Literal["fan_in", "fan_out", "fan_avg"]
Distribution: TypeAlias = Literal["truncated_normal", "untruncated_normal", "uniform", "normal"]

# Standard deviation of a standard normal cut off at two standard deviations.
_TRUNCATED_STDDEV = 0.87962566103423978


class RandomInitializer(Initializer):
    """Base of initializers that draw numbers.

    Args:
        seed: Whole number; None draws one from Python's `random`, once, here.
    """

    def __init__(self, seed: int | None = None) -> None:
        if seed is not None:
            seed = check_int("seed", seed, owner=type(self).__name__)
        self.seed = draw_seed() if seed is None else seed

    def _generator(self) -> torch.Generator:
        return torch.Generator(device="cpu").manual_seed(self.seed & 0xFFFFFFFF)

    def _uniform(self, shape: Shape, low: float, high: float, dtype: DTypeLike) -> Tensor:
        wanted = to_dtype(dtype or "float32")
        drawn = torch.rand(
            tuple(shape) or (1,),  # as Keras, which draws a vector of one for a scalar
            generator=self._generator(),
            dtype=at_least_float32(wanted),
            device="cpu",
        )
        # in place, and before the reshape: a second copy of a large kernel costs as much as drawing
        return drawn.mul_(high - low).add_(low).reshape(tuple(shape)).to(wanted)

    def _normal(self, shape: Shape, mean: float, stddev: float, dtype: DTypeLike) -> Tensor:
        wanted = to_dtype(dtype or "float32")
        return torch.normal(
            mean,
            stddev,
            size=tuple(shape),
            generator=self._generator(),
            dtype=at_least_float32(wanted),
            device="cpu",
        ).to(wanted)

    def _truncated(self, shape: Shape, mean: float, stddev: float, dtype: DTypeLike) -> Tensor:
        """The first of four standard normal draws that lies within two standard deviations."""
        wanted = to_dtype(dtype or "float32")
        four = self._normal((*shape, 4), 0.0, 1.0, at_least_float32(wanted))
        first = (four.abs() < 2).max(dim=-1, keepdim=True).indices
        # All four miss for 4 values in a million; Keras returns such a value as it is.
        drawn = four.gather(-1, first).squeeze(-1).clamp(-2, 2)
        return (drawn * stddev + mean).to(wanted)


@registry.register("RandomNormal", "random_normal", "normal")
class RandomNormal(RandomInitializer):
    """Normal numbers.

    Args:
        mean: Of the distribution.
        stddev: Its standard deviation, 0 or more.
        seed: As for `RandomInitializer`.
    """

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: int | None = None) -> None:
        super().__init__(seed)
        self.mean = mean
        self.stddev = check_number("stddev", stddev, owner="RandomNormal", minimum=0)

    def __call__(self, shape: Shape, dtype: DTypeLike = None) -> Tensor:
        return self._normal(shape, self.mean, self.stddev, dtype)


@registry.register("TruncatedNormal", "truncated_normal")
class TruncatedNormal(RandomInitializer):
    """Normal numbers, those beyond two standard deviations drawn again.

    Args:
        mean: Of the distribution.
        stddev: Its standard deviation before the cut: the values have 0.88 of it.
        seed: As for `RandomInitializer`.
    """

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: int | None = None) -> None:
        super().__init__(seed)
        self.mean = mean
        self.stddev = check_number("stddev", stddev, owner="TruncatedNormal", minimum=0)

    def __call__(self, shape: Shape, dtype: DTypeLike = None) -> Tensor:
        return self._truncated(shape, self.mean, self.stddev, dtype)


@registry.register("RandomUniform", "random_uniform", "uniform")
class RandomUniform(RandomInitializer):
    """Uniform numbers in [minval, maxval)."""

    def __init__(
        self, minval: float = -0.05, maxval: float = 0.05, seed: int | None = None
    ) -> None:
        super().__init__(seed)
        self.minval, self.maxval = minval, maxval

    def __call__(self, shape: Shape, dtype: DTypeLike = None) -> Tensor:
        return self._uniform(shape, self.minval, self.maxval, dtype)


def compute_fans(
    shape: Shape, input_axes: Axes = None, output_axes: Axes = None
) -> tuple[int, int]:
    """How many inputs feed one output, and how many outputs one input feeds.

    The last two axes of a kernel are channels in and out, those before them the receptive field.

    Args:
        shape: Of the weight, in Keras' order of axes.
        input_axes, output_axes: Its axes that count as inputs and outputs, when both are given.

    Example:
        >>> compute_fans((3, 3, 16, 32)), compute_fans((784, 10)), compute_fans((5,))
        ((144, 288), (784, 10), (5, 5))
    """
    if input_axes is not None and output_axes is not None:
        return math.prod(shape[i] for i in input_axes), math.prod(shape[i] for i in output_axes)
    if len(shape) < 2:
        size = math.prod(shape)
        return size, size
    *field, fan_in, fan_out = shape
    return fan_in * math.prod(field), fan_out * math.prod(field)


@registry.register("VarianceScaling", "variance_scaling")
class VarianceScaling(RandomInitializer):
    """Numbers whose variance is scale / n, so that signals keep their size from layer to layer.

    Args:
        scale: Factor on the variance, > 0.
        mode: n is the inputs of one output ("fan_in"), the outputs of one input ("fan_out"), or
            their average ("fan_avg").
        distribution: "truncated_normal" (or "normal"), "untruncated_normal" or "uniform".
        seed: Whole number; None draws one when the initializer is made.
        input_axes, output_axes: Axes whose sizes multiply to the fans, for weights of other
            layouts than kernels (both or none).

    Example:
        >>> limit = (6 / (3 * 3 * 16 + 3 * 3 * 32)) ** 0.5
        >>> values = VarianceScaling(1.0, "fan_avg", "uniform", seed=0)((3, 3, 16, 32))
        >>> bool(values.abs().max() <= limit)
        True
    """

    def __init__(
        self,
        scale: float = 1.0,
        mode: Mode = "fan_in",
        distribution: Distribution = "truncated_normal",
        seed: int | None = None,
        input_axes: Axes = None,
        output_axes: Axes = None,
    ) -> None:
        super().__init__(seed)
        owner = type(self).__name__
        if scale <= 0:
            raise ArgumentError(
                f"{owner}: scale must be positive, got {scale!r}",
                where=f"{owner}(scale=...)",
                why="the variance is proportional to it",
                fix=f"{owner}(scale=1.0)",
            )
        kinds = ("truncated_normal", "untruncated_normal", "uniform", "normal")
        self.scale = scale
        self.mode = check_choice("mode", mode, ("fan_in", "fan_out", "fan_avg"), owner=owner)
        chosen = check_choice("distribution", distribution.lower(), kinds, owner=owner)
        self.distribution = "truncated_normal" if chosen == "normal" else chosen
        self.input_axes, self.output_axes = input_axes, output_axes

    def over(self, input_axes: Sequence[int], output_axes: Sequence[int]) -> Self:
        """The same draw, told which axes are inputs and which outputs; itself, told before."""
        if None not in (self.input_axes, self.output_axes):
            return self
        config = {**self.get_config(), "seed": self.seed}
        return type(self)(
            **{**config, "input_axes": list(input_axes), "output_axes": list(output_axes)}
        )

    def __call__(self, shape: Shape, dtype: DTypeLike = None) -> Tensor:
        fan_in, fan_out = compute_fans(shape, self.input_axes, self.output_axes)
        fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        variance = self.scale / max(1.0, fan)
        if self.distribution == "uniform":
            limit = math.sqrt(3 * variance)
            return self._uniform(shape, -limit, limit, dtype)
        if self.distribution == "untruncated_normal":
            return self._normal(shape, 0.0, math.sqrt(variance), dtype)
        return self._truncated(shape, 0.0, math.sqrt(variance) / _TRUNCATED_STDDEV, dtype)


@registry.register("GlorotUniform", "glorot_uniform")
class GlorotUniform(VarianceScaling):
    """Uniform within sqrt(6 / (fan_in + fan_out)). Reference: Glorot & Bengio 2010, eq. 16."""

    def __init__(
        self, seed: int | None = None, input_axes: Axes = None, output_axes: Axes = None
    ) -> None:
        super().__init__(1.0, "fan_avg", "uniform", seed, input_axes, output_axes)


@registry.register("GlorotNormal", "glorot_normal")
class GlorotNormal(VarianceScaling):
    """Truncated normal of variance 2 / (fan_in + fan_out). Reference: Glorot & Bengio 2010."""

    def __init__(
        self, seed: int | None = None, input_axes: Axes = None, output_axes: Axes = None
    ) -> None:
        super().__init__(1.0, "fan_avg", "truncated_normal", seed, input_axes, output_axes)


@registry.register("LecunNormal", "lecun_normal")
class LecunNormal(VarianceScaling):
    """Truncated normal of variance 1 / fan_in: with SELU. Reference: Klambauer et al. 2017."""

    def __init__(
        self, seed: int | None = None, input_axes: Axes = None, output_axes: Axes = None
    ) -> None:
        super().__init__(1.0, "fan_in", "truncated_normal", seed, input_axes, output_axes)


@registry.register("LecunUniform", "lecun_uniform")
class LecunUniform(VarianceScaling):
    """Uniform within sqrt(3 / fan_in). Reference: LeCun et al. 1998, "Efficient backprop"."""

    def __init__(
        self, seed: int | None = None, input_axes: Axes = None, output_axes: Axes = None
    ) -> None:
        super().__init__(1.0, "fan_in", "uniform", seed, input_axes, output_axes)


@registry.register("HeNormal", "he_normal")
class HeNormal(VarianceScaling):
    """Truncated normal of variance 2 / fan_in: with ReLU. Reference: He et al. 2015, eq. 10."""

    def __init__(
        self, seed: int | None = None, input_axes: Axes = None, output_axes: Axes = None
    ) -> None:
        super().__init__(2.0, "fan_in", "truncated_normal", seed, input_axes, output_axes)


@registry.register("HeUniform", "he_uniform")
class HeUniform(VarianceScaling):
    """Uniform within sqrt(6 / fan_in): with ReLU. Reference: He et al. 2015."""

    def __init__(
        self, seed: int | None = None, input_axes: Axes = None, output_axes: Axes = None
    ) -> None:
        super().__init__(2.0, "fan_in", "uniform", seed, input_axes, output_axes)


@registry.register("Orthogonal", "orthogonal", "OrthogonalInitializer")
class Orthogonal(RandomInitializer):
    """Rows or columns, whichever are fewer, orthonormal, times `gain`; uniform over such matrices.

    All axes but the last are taken together. Reference: Saxe et al. 2014, sec. 3; the signs by
    Mezzadri 2007, sec. 5.

    Raises: ShapeError: the shape has fewer than 2 axes.
    """

    def __init__(self, gain: float = 1.0, seed: int | None = None) -> None:
        super().__init__(seed)
        self.gain = gain

    def __call__(self, shape: Shape, dtype: DTypeLike = None) -> Tensor:
        if len(shape) < 2:
            raise ShapeError(
                f"Orthogonal: needs at least 2 axes, got shape {tuple(shape)}",
                where="Orthogonal()(shape)",
                why="orthogonality is between the rows or columns of a matrix",
                fix="use 'random_normal' or 'zeros' for vectors",
            )
        wanted = to_dtype(dtype or "float32")
        rows, columns = math.prod(shape[:-1]), shape[-1]
        tall = (max(rows, columns), min(rows, columns))
        q: Tensor
        q, r = torch.linalg.qr(self._normal(tall, 0.0, 1.0, at_least_float32(wanted)))
        q = q * torch.sign(torch.diagonal(r))  # else QR's choice of signs makes q not uniform
        return self.gain * (q if rows >= columns else q.T).reshape(tuple(shape)).to(wanted)
