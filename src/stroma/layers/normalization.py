"""Normalisation layers: over the batch, or over each sample's own features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

import torch
import torch.nn.functional as F
from torch import Tensor

from stroma import constraints, initializers, regularizers
from stroma.core.axes import Shape, shape_text
from stroma.core.casting import floating
from stroma.core.checks import check_int, check_number
from stroma.core.errors import ArgumentError, ShapeError
from stroma.core.layer import Layer, LayerOptions
from stroma.core.weight import Weight
from stroma.functional.normalization import batch_norm_training, moments, normalize
from stroma.layers.arguments import Con, Init, Reg
from stroma.layers.registry import register_layer


@register_layer("BatchNormalization")
class BatchNormalization(Layer):
    """Normalise each channel by the batch's statistics in training, by running ones in inference.

    y = gamma (x - mean) / sqrt(var + epsilon) + beta.
    In training, running = momentum * running + (1 - momentum) * batch, with the biased variance.
    With `trainable=False` it runs in inference mode even in training, and nothing moves.

    Args:
        axis: The channel axis.
        momentum: Part of the old running statistics that each step keeps, in [0, 1]
            (PyTorch's momentum is 1 minus this).
        epsilon: Added to the variance, > 0.
        center, scale: Whether beta is added, gamma multiplied.
        beta_initializer, gamma_initializer, moving_mean_initializer,
        moving_variance_initializer: First values.
        beta_regularizer, gamma_regularizer: Penalties; beta_constraint, gamma_constraint:
            projections after each update.
        renorm: Must stay False: batch renormalisation is not offered. renorm_clipping,
            renorm_momentum: Keras' arguments for it, without effect.
        synchronized: Take the statistics over all processes of `torch.distributed`.
    Shape: (B, *, C) -> (B, *, C)
    Raises: ShapeError: the input has no such axis; ArgumentError: renorm=True, or a number out of
        its range.
    Example:
        >>> from stroma import layers
        >>> x = torch.arange(8.0).reshape(4, 2)
        >>> layers.BatchNormalization()(x, training=True).mean(0).abs().max() < 1e-6
        tensor(True)

    Reference: Ioffe & Szegedy 2015. Like Keras in all numbers, but computed by the fused kernel:
        an input of 1000 ± 0.01 stays finite, where Keras on torch gives NaN. `synchronized` works,
        where Keras on torch refuses it. Under a mask the statistics count valid steps only.
    """

    receptive = None

    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Init = "zeros",
        gamma_initializer: Init = "ones",
        moving_mean_initializer: Init = "zeros",
        moving_variance_initializer: Init = "ones",
        beta_regularizer: Reg = None,
        gamma_regularizer: Reg = None,
        beta_constraint: Con = None,
        gamma_constraint: Con = None,
        renorm: bool = False,
        renorm_clipping: Any = None,
        renorm_momentum: float = 0.99,
        synchronized: bool = False,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**options)
        owner = "BatchNormalization"
        self.axis = check_int("axis", axis, owner=owner)
        self.momentum = check_number("momentum", momentum, owner=owner, minimum=0, maximum=1)
        self.epsilon = check_number("epsilon", epsilon, owner=owner, minimum=0)
        self.center, self.scale, self.synchronized = center, scale, synchronized
        self.beta_initializer = initializers.get(beta_initializer)
        self.gamma_initializer = initializers.get(gamma_initializer)
        self.moving_mean_initializer = initializers.get(moving_mean_initializer)
        self.moving_variance_initializer = initializers.get(moving_variance_initializer)
        self.beta_regularizer = regularizers.get(beta_regularizer)
        self.gamma_regularizer = regularizers.get(gamma_regularizer)
        self.beta_constraint = constraints.get(beta_constraint)
        self.gamma_constraint = constraints.get(gamma_constraint)
        self.supports_masking = True
        if renorm:
            raise ArgumentError(
                "BatchNormalization: renorm=True is not offered",
                where="BatchNormalization(renorm=...)",
                why="batch renormalisation is no part of stroma",
                fix="for small batches use GroupNormalization or LayerNormalization",
            )

    def build(self, input_shape: Shape) -> None:
        (axis,) = positive_axes([self.axis], input_shape, owner="BatchNormalization")
        channels = (input_shape[axis],)
        self.weight = None
        if self.scale:
            self.weight = self.add_weight(
                channels,
                self.gamma_initializer,
                regularizer=self.gamma_regularizer,
                constraint=self.gamma_constraint,
                name="gamma",
            )
        self.bias = None
        if self.center:
            self.bias = self.add_weight(
                channels,
                self.beta_initializer,
                regularizer=self.beta_regularizer,
                constraint=self.beta_constraint,
                name="beta",
            )
        self.running_mean = self.add_weight(
            channels, self.moving_mean_initializer, trainable=False, name="moving_mean"
        )
        self.running_var = self.add_weight(
            channels, self.moving_variance_initializer, trainable=False, name="moving_variance"
        )
        # PyTorch's key, so that its checkpoints load; no part of Keras' weights
        self.register_buffer("num_batches_tracked", torch.tensor(0))

    def call(self, inputs: Tensor, training: bool = False, mask: Tensor | None = None) -> Tensor:
        x = floating(inputs, self._compute_dtype)
        learning = training and self.trainable
        if learning and (mask is not None or self.synchronized or _one_per_channel(x, self.axis)):
            return self._by_formula(x, mask)
        y = self._fused(_channels_second(x, self.axis), learning)
        return _channels_back(y, self.axis, x.dim())

    def _fused(self, x: Tensor, learning: bool) -> Tensor:  # (B, C, *)
        if not learning:
            return F.batch_norm(
                x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.epsilon
            )
        self.num_batches_tracked.add_(1)
        return batch_norm_training(
            x,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.momentum,
            self.epsilon,
        )

    def _by_formula(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Training where the fused kernel cannot count: a mask, several processes, one value."""
        if mask is not None and mask.dim() != x.dim() - 1:
            raise ShapeError(
                f"BatchNormalization: the mask has shape {tuple(mask.shape)}, the input "
                f"{tuple(x.shape)}",
                where=f"layer {self.name!r}",
                why="a mask says for each position whether it counts",
                fix=f"give a mask of shape {tuple(x.shape[:-1])}",
            )
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        axis = self.axis % x.dim()
        reduced = [a for a in range(x.dim()) if a != axis]
        mean, variance = moments(wide, reduced, mask, self.synchronized)
        self.num_batches_tracked.add_(1)
        for running, batch in ((self.running_mean, mean), (self.running_var, variance)):
            running.lerp_(batch.detach().flatten().to(running.dtype), 1 - self.momentum)
        weight = None if self.weight is None else self.weight.view_as(mean)
        bias = None if self.bias is None else self.bias.view_as(mean)
        return normalize(wide, mean, variance, weight, bias, self.epsilon).to(x.dtype)

    @property
    def gamma(self) -> Weight | None:
        """Keras' name of `weight`."""
        return self.weight

    @property
    def beta(self) -> Weight | None:
        """Keras' name of `bias`."""
        return self.bias

    @property
    def moving_mean(self) -> Weight:
        """Keras' name of `running_mean`."""
        return self.running_mean

    @property
    def moving_variance(self) -> Weight:
        """Keras' name of `running_var`."""
        return self.running_var


@register_layer("LayerNormalization")
class LayerNormalization(Layer):
    """Normalise each sample over its own features: y = gamma (x - mean) / sqrt(var + eps) + beta.

    Mean and variance are taken over `axis` of each sample; gamma and beta have the sizes of
    `axis`, in the order of the input's axes.

    Args:
        axis: The axis or axes to normalise over.
        epsilon: Added to the variance, >= 0.
        center, scale: Whether beta is added, gamma multiplied.
        beta_initializer, gamma_initializer: First values.
        beta_regularizer, gamma_regularizer: Penalties; beta_constraint, gamma_constraint:
            projections after each update.
        rms_scaling: Keras' deprecated option: multiply by gamma / sqrt(var + eps) without taking
            the mean away and without beta. It is not RMS normalisation.
    Shape: (B, *, D) -> (B, *, D)
    Raises: ShapeError: the input has no such axis, or an axis is named twice.
    Example:
        >>> from stroma import layers
        >>> layers.LayerNormalization(epsilon=0)(torch.tensor([[1.0, 3.0]])).tolist()
        [[-1.0, 1.0]]

    Reference: Ba, Kiros & Hinton 2016, eq. 4. Axes that are not the last ones work, where Keras on
        torch fails.
    """

    receptive = None

    def __init__(
        self,
        axis: int | Sequence[int] = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Init = "zeros",
        gamma_initializer: Init = "ones",
        beta_regularizer: Reg = None,
        gamma_regularizer: Reg = None,
        beta_constraint: Con = None,
        gamma_constraint: Con = None,
        *,
        rms_scaling: bool = False,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**options)
        owner = "LayerNormalization"
        axes = axis if isinstance(axis, (list, tuple)) else [axis]
        self.axis = [check_int("axis", item, owner=owner) for item in axes]
        self.epsilon = check_number("epsilon", epsilon, owner=owner, minimum=0)
        self.center, self.scale, self.rms_scaling = center, scale, rms_scaling
        self.beta_initializer = initializers.get(beta_initializer)
        self.gamma_initializer = initializers.get(gamma_initializer)
        self.beta_regularizer = regularizers.get(beta_regularizer)
        self.gamma_regularizer = regularizers.get(gamma_regularizer)
        self.beta_constraint = constraints.get(beta_constraint)
        self.gamma_constraint = constraints.get(gamma_constraint)
        self.supports_masking = True

    def build(self, input_shape: Shape) -> None:
        axes = positive_axes(self.axis, input_shape, owner="LayerNormalization")
        shape = tuple(input_shape[axis] for axis in axes)
        self.weight = None
        if self.scale or self.rms_scaling:
            self.weight = self.add_weight(
                shape,
                self.gamma_initializer,
                regularizer=self.gamma_regularizer,
                constraint=self.gamma_constraint,
                name="gamma",
            )
        self.bias = None
        if self.center and not self.rms_scaling:
            self.bias = self.add_weight(
                shape,
                self.beta_initializer,
                regularizer=self.beta_regularizer,
                constraint=self.beta_constraint,
                name="beta",
            )

    def call(self, inputs: Tensor) -> Tensor:
        x = floating(inputs, self._compute_dtype)
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        axes = sorted(axis % x.dim() for axis in self.axis)
        if axes == list(range(x.dim() - len(axes), x.dim())) and not self.rms_scaling:
            shape = x.shape[axes[0] :]
            return F.layer_norm(wide, shape, self.weight, self.bias, self.epsilon).to(x.dtype)
        mean, variance = moments(wide, axes)
        sizes = [x.shape[axis] if axis in axes else 1 for axis in range(x.dim())]
        weight = None if self.weight is None else self.weight.reshape(sizes)
        bias = None if self.bias is None else self.bias.reshape(sizes)
        mean = torch.zeros_like(mean) if self.rms_scaling else mean
        return normalize(wide, mean, variance, weight, bias, self.epsilon).to(x.dtype)

    @property
    def gamma(self) -> Weight | None:
        """Keras' name of `weight`."""
        return self.weight

    @property
    def beta(self) -> Weight | None:
        """Keras' name of `bias`."""
        return self.bias


def positive_axes(axes: Sequence[int], shape: Shape, *, owner: str) -> list[int]:
    """`axes` counted from the front, in order."""
    rank = len(shape)
    positive = sorted(axis % rank for axis in axes)
    if all(-rank <= axis < rank for axis in axes) and len(set(positive)) == len(positive):
        return positive
    raise ShapeError(
        f"{owner}: axis {list(axes)} does not fit an input of shape {shape_text(shape)}",
        where=f"{owner}(axis=...)",
        why=f"each axis must lie in [{-rank}, {rank - 1}] and be named once",
        fix=f"{owner}(axis=-1)",
    )


def _one_per_channel(x: Tensor, axis: int) -> bool:
    """One value per channel has variance 0, which torch's kernel refuses to compute."""
    return x.numel() == x.shape[axis]


def _channels_second(x: Tensor, axis: int) -> Tensor:
    """A view (B, C, *) without a copy.

    (B, T, C) becomes (B, C, 1, T), since only ranks 4 and 5 have a channels-last memory format.
    """
    if x.dim() == 3 and axis in (-1, 2):
        return x.unsqueeze(1).movedim(-1, 1)
    return x.movedim(axis, 1)


def _channels_back(y: Tensor, axis: int, rank: int) -> Tensor:
    """The inverse view of `_channels_second`."""
    return y.movedim(1, -1).squeeze(1) if y.dim() > rank else y.movedim(1, axis)
