"""Noise in training: added, multiplied, or drawn so that mean and variance stay."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Unpack

import torch
from torch import Tensor

from stroma.core.checks import check_int, check_number
from stroma.core.errors import ArgumentError, not_defined
from stroma.core.layer import Layer, LayerOptions
from stroma.core.seeds import Draws
from stroma.layers.registry import register_layer
from stroma.layers.regularization import check_noise_shape, noise_sizes

# SELU's constants: its outputs tend to -SCALE * ALPHA for inputs far below zero
ALPHA, SCALE = 1.6732632423543772, 1.0507009873554805


class BaseNoise(Layer):
    """What noisy layers share: `disturb` runs in training only, where `strength` is not 0."""

    receptive = None
    strength: float

    def __init__(self, seed: int | None, **options: Unpack[LayerOptions]) -> None:
        super().__init__(**options)
        self.seed = None if seed is None else check_int("seed", seed, owner=type(self).__name__)
        self.supports_masking = True
        self._draws = Draws(self.seed)

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        return self.disturb(inputs) if training and self.strength > 0 else inputs

    def disturb(self, inputs: Tensor) -> Tensor:
        """The inputs with noise."""
        raise not_defined(self, "disturb(self, inputs)", "it is what happens in training")

    def _normal(self, like: Tensor, mean: float, stddev: float) -> Tensor:
        generator = self._draws.generator(like.device)
        return like.new_empty(like.shape).normal_(mean, stddev, generator=generator)


@register_layer("GaussianNoise")
class GaussianNoise(BaseNoise):
    """Add normal noise in training: y = x + n, n ~ N(0, stddev²). In inference y = x.

    Args:
        stddev: Standard deviation of the noise, in [0, 1].
        seed: As in `Dropout`.
    Shape: (B, *) -> (B, *)
    Raises: ArgumentError: stddev outside [0, 1].
    Example:
        >>> noise = GaussianNoise(0.5)(torch.zeros(10_000), training=True)
        >>> bool(abs(noise.std() - 0.5) < 0.02)
        True

    Reference: Bishop 1995, "Training with Noise is Equivalent to Tikhonov Regularization".
    """

    def __init__(
        self, stddev: float, seed: int | None = None, **options: Unpack[LayerOptions]
    ) -> None:
        super().__init__(seed, **options)
        self.stddev = check_number("stddev", stddev, owner="GaussianNoise", minimum=0, maximum=1)
        self.strength = self.stddev

    def disturb(self, inputs: Tensor) -> Tensor:
        return inputs + self._normal(inputs, 0.0, self.stddev)


@register_layer("GaussianDropout")
class GaussianDropout(BaseNoise):
    """Multiply by normal noise in training: y = x n, n ~ N(1, rate / (1 - rate)).

    Mean and variance of n are those of `Dropout`'s factor. In inference y = x.

    Args:
        rate: As in `Dropout`, in [0, 1).
        seed: As in `Dropout`.
    Shape: (B, *) -> (B, *)
    Raises: ArgumentError: rate outside [0, 1).
    Example:
        >>> y = GaussianDropout(0.2)(torch.ones(10_000), training=True)
        >>> bool(abs(y.std() - 0.5) < 0.02)
        True

    Reference: Srivastava et al. 2014, section 10.
    """

    def __init__(
        self, rate: float, seed: int | None = None, **options: Unpack[LayerOptions]
    ) -> None:
        super().__init__(seed, **options)
        self.rate = self.strength = _check_rate(rate, owner="GaussianDropout")

    def disturb(self, inputs: Tensor) -> Tensor:
        return inputs * self._normal(inputs, 1.0, math.sqrt(self.rate / (1 - self.rate)))


@register_layer("AlphaDropout")
class AlphaDropout(BaseNoise):
    """Dropout for SELU networks: what falls takes SELU's lowest value; mean and variance stay.

    y = a (x kept + m (1 - kept)) + b, m = -1.758, kept ~ Bernoulli(1 - rate),
    a = ((1 - rate) (1 + rate m²))^-1/2, b = -a m rate. In inference y = x.

    Args:
        rate: Probability of falling, in [0, 1).
        noise_shape: As in `Dropout`.
        seed: As in `Dropout`.
    Shape: (B, *) -> (B, *)
    Raises: ArgumentError: rate outside [0, 1); ShapeError: noise_shape has another rank than the
        input.
    Example:
        >>> y = AlphaDropout(0.3)(torch.randn(100_000), training=True)
        >>> bool(y.mean().abs() < 0.03), bool(abs(y.std() - 1) < 0.03)
        (True, True)

    Reference: Klambauer et al. 2017, "Self-Normalizing Neural Networks", page 6.
    """

    def __init__(
        self,
        rate: float,
        noise_shape: Sequence[int | None] | None = None,
        seed: int | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(seed, **options)
        self.rate = self.strength = _check_rate(rate, owner="AlphaDropout")
        self.noise_shape = check_noise_shape(noise_shape, owner="AlphaDropout")

    def disturb(self, inputs: Tensor) -> Tensor:
        shape = noise_sizes(self.noise_shape, inputs, self)
        kept = inputs.new_empty(shape).bernoulli_(
            1 - self.rate, generator=self._draws.generator(inputs.device)
        )
        lowest = -ALPHA * SCALE
        a = 1 / math.sqrt((1 - self.rate) * (1 + self.rate * lowest**2))
        return a * torch.where(kept > 0, inputs, lowest) - a * lowest * self.rate


def _check_rate(rate: float, *, owner: str) -> float:
    number = check_number("rate", rate, owner=owner, minimum=0, maximum=1, example=0.5)
    if number == 1:
        raise ArgumentError(
            f"{owner}: rate must stay below 1",
            where=f"{owner}(rate=...)",
            why="what is kept is scaled up by 1 / (1 - rate)",
            fix=f"{owner}(rate=0.5)",
        )
    return number
