"""Layers that disturb activations in training and do nothing in inference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

import torch
import torch.nn.functional as F
from torch import Tensor

from stroma.core.checks import check_int, check_number
from stroma.core.config import serialise
from stroma.core.errors import ArgumentTypeError, ShapeError
from stroma.core.layer import BaseOptions, Layer, LayerOptions
from stroma.core.seeds import Draws
from stroma.layers.arguments import check_data_format
from stroma.layers.registry import register_layer
from stroma.regularizers import L1L2


class _Dropping(Layer):
    """What dropout layers share: `_shared_over` says which axes drop together."""

    receptive = None

    def __init__(self, rate: float, seed: int | None, **options: Unpack[LayerOptions]) -> None:
        super().__init__(**options)
        owner = type(self).__name__
        self.rate = check_number("rate", rate, owner=owner, minimum=0, maximum=1)
        self.seed = None if seed is None else check_int("seed", seed, owner=owner)
        self.supports_masking = True
        self._draws = Draws(self.seed)

    def _noise_shape(self, inputs: Tensor) -> Sequence[int]:
        return inputs.shape

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        if not training or self.rate == 0:
            return inputs
        if not isinstance(inputs, Tensor) or not inputs.dtype.is_floating_point:
            given = inputs.dtype if isinstance(inputs, Tensor) else type(inputs).__name__
            raise ArgumentTypeError(
                f"{type(self).__name__} takes one tensor of floating-point numbers, got {given}",
                where=f"layer {self.name!r}",
                why="what is kept is divided by 1 - rate",
                fix="tensor.float(); of several tensors each has a layer of its own",
            )
        if self.rate == 1:
            return torch.zeros_like(inputs)
        shape = self._noise_shape(inputs)
        if self.seed is None and shape == inputs.shape:
            return F.dropout(inputs, self.rate)
        kept = inputs.new_empty(shape).bernoulli_(
            1 - self.rate, generator=self._draws.generator(inputs.device)
        )
        return inputs * kept.div_(1 - self.rate)


@register_layer("Dropout")
class Dropout(_Dropping):
    """Set each number to 0 with probability `rate` in training, and scale the rest.

    y = x * kept / (1 - rate), kept ~ Bernoulli(1 - rate): the mean of y is x. In inference y = x.

    Args:
        rate: Probability of dropping, in [0, 1].
        noise_shape: Shape of `kept`, which is broadcast: 1 makes an axis drop together, None is
            the input's size.
        seed: Makes the draws of this layer its own (`stroma.core.seeds.Draws`); None: torch's
            generator.
    Shape: (B, *) -> (B, *)
    Raises: ArgumentError: rate outside [0, 1], or a size below 1 in noise_shape; ShapeError:
        noise_shape has another rank than the input.
    Example:
        >>> from stroma import layers
        >>> layers.Dropout(0.5)(torch.ones(2)).tolist()
        [1.0, 1.0]
        >>> set(layers.Dropout(0.5)(torch.ones(100), training=True).tolist()) == {0.0, 2.0}
        True

    Reference: Srivastava et al. 2014, scaled in training ("inverted"). In `fit` the draws are a
        function of (seed, step, rank), so a resumed run repeats them; Keras does not save its
        random state.
    """

    def __init__(
        self,
        rate: float,
        noise_shape: Sequence[int | None] | None = None,
        seed: int | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(rate, seed, **options)
        self.noise_shape = check_noise_shape(noise_shape, owner="Dropout")

    def _noise_shape(self, inputs: Tensor) -> Sequence[int]:
        return noise_sizes(self.noise_shape, inputs, self)


@register_layer("StochasticDepth")
class StochasticDepth(_Dropping):
    """Drop a whole sample with probability `rate` in training, and scale the rest.

    y = x * kept / (1 - rate), one draw of `kept` a sample. Before the addition of a residual block
    it makes the sample skip the block. In inference y = x.

    Args:
        rate: Probability of dropping, in [0, 1].
        seed: As in `Dropout`.
    Shape: (B, *) -> (B, *)
    Raises: ArgumentError: rate outside [0, 1].
    Example:
        >>> from stroma import layers
        >>> y = layers.StochasticDepth(0.5)(torch.ones(100, 3), training=True)
        >>> bool((y == y[:, :1]).all()), sorted(set(y.flatten().tolist()))
        (True, [0.0, 2.0])

    Reference: Huang et al. 2016, "Deep Networks with Stochastic Depth", scaled in training as
        torchvision's "row" mode does; the paper scales in inference.
    """

    def __init__(
        self, rate: float, seed: int | None = None, **options: Unpack[LayerOptions]
    ) -> None:
        super().__init__(rate, seed, **options)

    def _noise_shape(self, inputs: Tensor) -> Sequence[int]:
        return [inputs.shape[0], *[1] * (inputs.dim() - 1)]


class _SpatialDropout(_Dropping):
    """Drops whole feature maps: one draw for each sample and channel."""

    data_format: str = "channels_last"

    def _noise_shape(self, inputs: Tensor) -> Sequence[int]:
        ones = [1] * (inputs.dim() - 2)
        if self.data_format == "channels_last":
            return [inputs.shape[0], *ones, inputs.shape[-1]]
        return [inputs.shape[0], inputs.shape[1], *ones]

    def get_config(self) -> dict[str, Any]:
        """The arguments, without `trainable`: Keras' constructors of these layers refuse it."""
        arguments = {**self.arguments(), "name": self.name, "dtype": self.dtype_policy.name}
        return {key: serialise(item) for key, item in arguments.items() if key != "trainable"}


@register_layer("SpatialDropout1D")
class SpatialDropout1D(_SpatialDropout):
    """Dropout of whole channels of a sequence: neighbours in time fall together.

    Args:
        rate: Probability of dropping a channel of a sample, in [0, 1].
        seed: As in `Dropout`.
    Shape: (B, T, C) -> (B, T, C)
    Raises: ArgumentError: rate outside [0, 1].
    Example:
        >>> from stroma import layers
        >>> y = layers.SpatialDropout1D(0.5)(torch.ones(4, 9, 8), training=True)
        >>> bool((y == y[:, :1]).all())
        True

    Reference: Tompson et al. 2015, section 3.2.
    """

    def __init__(
        self, rate: float, seed: int | None = None, **options: Unpack[LayerOptions]
    ) -> None:
        super().__init__(rate, seed, **options)


@register_layer("SpatialDropout2D")
class SpatialDropout2D(_SpatialDropout):
    """Dropout of whole feature maps of a picture: neighbouring pixels fall together.

    Args:
        rate: Probability of dropping a map of a sample, in [0, 1].
        data_format: "channels_last" (default) or "channels_first".
        seed: As in `Dropout`.
    Shape: (B, H, W, C) -> (B, H, W, C)
    Raises: ArgumentError: rate outside [0, 1].
    Example:
        >>> from stroma import layers
        >>> y = layers.SpatialDropout2D(0.5)(torch.ones(4, 3, 3, 8), training=True)
        >>> bool((y == y[:, :1, :1]).all())
        True

    Reference: Tompson et al. 2015, section 3.2.
    """

    def __init__(
        self,
        rate: float,
        data_format: str | None = None,
        seed: int | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(rate, seed, **options)
        self.data_format = check_data_format(data_format, owner="SpatialDropout2D")


@register_layer("SpatialDropout3D")
class SpatialDropout3D(_SpatialDropout):
    """Dropout of whole feature maps of a volume: neighbouring voxels fall together.

    Args:
        rate: Probability of dropping a map of a sample, in [0, 1].
        data_format: "channels_last" (default) or "channels_first".
        seed: As in `Dropout`.
    Shape: (B, S, H, W, C) -> (B, S, H, W, C)
    Raises: ArgumentError: rate outside [0, 1].
    Example:
        >>> from stroma import layers
        >>> y = layers.SpatialDropout3D(0.5)(torch.ones(4, 2, 2, 2, 8), training=True)
        >>> bool((y == y[:, :1, :1, :1]).all())
        True

    Reference: Tompson et al. 2015, section 3.2.
    """

    def __init__(
        self,
        rate: float,
        data_format: str | None = None,
        seed: int | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(rate, seed, **options)
        self.data_format = check_data_format(data_format, owner="SpatialDropout3D")


@register_layer("ActivityRegularization")
class ActivityRegularization(Layer):
    """Pass on the input, and add l1 sum |x| + l2 sum x², divided by the batch's size, to the loss.

    Args:
        l1: Factor on the absolute values, >= 0.
        l2: Factor on the squares, >= 0.
    Shape: (B, *) -> (B, *)
    Raises: ArgumentError: a negative factor.
    Example:
        >>> layer = ActivityRegularization(l2=0.5)
        >>> y = layer(torch.tensor([[1.0, 2.0]]))
        >>> layer.losses
        [tensor(2.5000)]

    Reference: Merity, McCann & Socher 2017, section 2, for the L2 kind.
    """

    receptive = None

    def __init__(self, l1: float = 0.0, l2: float = 0.0, **options: Unpack[BaseOptions]) -> None:
        super().__init__(activity_regularizer=L1L2(l1, l2), **options)
        self.l1, self.l2 = l1, l2
        self.supports_masking = True

    def call(self, inputs: Tensor) -> Tensor:
        return inputs


def check_noise_shape(
    shape: Sequence[int | None] | None, *, owner: str
) -> tuple[int | None, ...] | None:
    """`noise_shape` as a tuple of sizes, None for the input's."""
    if shape is None:
        return None
    if isinstance(shape, str) or not isinstance(shape, Sequence):
        raise ArgumentTypeError(
            f"{owner}: noise_shape must be a tuple of sizes, got {shape!r}",
            where=f"{owner}(noise_shape=...)",
            why="it has one entry for each axis of the input: a size, or None for the input's",
            fix=f"{owner}(rate, noise_shape=(None, 1, None))",
        )
    return tuple(
        None if size is None else check_int("noise_shape", size, owner=owner, minimum=1)
        for size in shape
    )


def noise_sizes(
    noise_shape: tuple[int | None, ...] | None, inputs: Tensor, layer: Layer
) -> Sequence[int]:
    """The sizes in which noise is drawn for an input: those of `noise_shape`, else its own."""
    if noise_shape is None:
        return inputs.shape
    if len(noise_shape) != inputs.dim():
        raise ShapeError(
            f"{type(layer).__name__}: noise_shape {noise_shape} does not fit an input of shape "
            f"{tuple(inputs.shape)}",
            where=f"layer {layer.name!r}",
            why="it has one entry for each axis of the input, the batch included",
            fix=f"give {inputs.dim()} entries; None means the input's size",
        )
    return [given or size for given, size in zip(noise_shape, inputs.shape)]
