"""Activation functions, looked up by name.

Plain functions of tensors with Keras' names, signatures and numbers, over torch's own kernels.
Unless a docstring says otherwise each works element by element, on any shape, and keeps the dtype.
They hold no state and never ask a tensor for its values, so they also take symbolic tensors.

Shape: (*) -> (*)
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeAlias

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from stroma.core.config import serialise
from stroma.core.dtypes import floatx, to_dtype
from stroma.core.registry import Registry, registries, resolve

Activation: TypeAlias = Callable[..., Tensor]

registry: Registry[Activation] = Registry("activation", "keras.activations")
P = ParamSpec("P")
Formula: TypeAlias = Callable[Concatenate[Any, P], Tensor]


def _activation(*names: str) -> Callable[[Formula[P]], Formula[P]]:
    """Register a formula; what is no tensor, symbolic or not, becomes one first."""

    def enter(formula: Formula[P]) -> Formula[P]:
        @functools.wraps(formula)
        def activation(x: Any, *args: P.args, **kwargs: P.kwargs) -> Tensor:
            if isinstance(x, (list, tuple, float, int, np.ndarray, np.generic)):
                x = torch.as_tensor(x)
                x = x.to(to_dtype(floatx())) if x.dtype == torch.float64 else x
            return formula(x, *args, **kwargs)

        return registry.register(*names)(activation)  # type: ignore[return-value]  # x= is fine too

    return enter


@_activation("linear")
def linear(x: Tensor) -> Tensor:
    """The identity: x."""
    return x


@_activation("relu")
def relu(
    x: Tensor,
    negative_slope: float = 0.0,
    max_value: float | None = None,
    threshold: float = 0.0,
) -> Tensor:
    """Rectifier: x above `threshold`, at most `max_value`; a line of `negative_slope` below.

    Args:
        x: Any tensor.
        negative_slope: Slope below the threshold, 0 for the plain rectifier.
        max_value: Largest value returned; None for no cap.
        threshold: Value at or below which the slope applies.

    Example:
        >>> relu(torch.tensor([-2.0, 0.0, 3.0, 9.0]), negative_slope=0.5, max_value=6.0)
        tensor([-1.,  0.,  3.,  6.])

    Reference: Nair & Hinton 2010, "Rectified linear units improve restricted Boltzmann machines".
    """
    if negative_slope and max_value is None and not threshold:
        return F.leaky_relu(x, negative_slope)
    positive = F.threshold(x, threshold, 0.0) if threshold else F.relu(x)
    if max_value is not None:
        positive = torch.clamp(positive, 0.0, max_value)
    if not negative_slope:  # 0 * infinity would be NaN
        return positive
    return positive - negative_slope * F.relu(-x + threshold)


@_activation("relu6")
def relu6(x: Tensor) -> Tensor:
    """Rectifier capped at six: min(max(x, 0), 6)."""
    return F.relu6(x)


@_activation("leaky_relu")
def leaky_relu(x: Tensor, negative_slope: float = 0.2) -> Tensor:
    """x above zero, negative_slope * x below (the *layer* LeakyReLU has slope 0.3)."""
    return F.leaky_relu(x, negative_slope)


@_activation("elu")
def elu(x: Tensor, alpha: float = 1.0) -> Tensor:
    """x above zero, alpha * (exp(x) - 1) below. Reference: Clevert et al. 2016, eq. 15."""
    return F.elu(x, alpha)


@_activation("celu")
def celu(x: Tensor, alpha: float = 1.0) -> Tensor:
    """x above zero, alpha * (exp(x / alpha) - 1) below. Reference: Barron 2017, eq. 2."""
    return F.celu(x, alpha)


@_activation("selu")
def selu(x: Tensor) -> Tensor:
    """Scaled ELU whose fixed point is mean 0, variance 1. Reference: Klambauer et al. 2017."""
    return F.selu(x)


@_activation("gelu")
def gelu(x: Tensor, approximate: bool = False) -> Tensor:
    """x * P(N(0, 1) <= x), exact, or by tanh if `approximate`.

    Example:
        >>> gelu(torch.tensor([-1.0, 0.0, 1.0]))
        tensor([-0.1587,  0.0000,  0.8413])

    Reference: Hendrycks & Gimpel 2016, sec. 2.
    """
    return F.gelu(x, approximate="tanh" if approximate else "none")


@_activation("glu")
def glu(x: Tensor, axis: int = -1) -> Tensor:
    """a * sigmoid(b), where a and b are the halves of x along `axis`: that axis gets half as long.

    Reference: Dauphin et al. 2017, sec. 3.
    """
    return F.glu(x, dim=axis)


@_activation("silu", "swish")
def silu(x: Tensor) -> Tensor:
    """x * sigmoid(x). Reference: Elfwing et al. 2017; Ramachandran et al. 2017 (as swish)."""
    return F.silu(x)


@_activation("mish")
def mish(x: Tensor) -> Tensor:
    """x * tanh(softplus(x)). Reference: Misra 2019."""
    return F.mish(x)


@_activation("softplus")
def softplus(x: Tensor) -> Tensor:
    """log(1 + exp(x)), linear above 20 where the two are equal in float32."""
    return F.softplus(x)


@_activation("squareplus")
def squareplus(x: Tensor, b: float = 4) -> Tensor:
    """(x + sqrt(x^2 + b)) / 2: softplus without exponentials. Reference: Barron 2021."""
    return (x + torch.sqrt(x * x + b)) / 2


@_activation("softsign")
def softsign(x: Tensor) -> Tensor:
    """x / (1 + |x|)."""
    return F.softsign(x)


@_activation("sigmoid")
def sigmoid(x: Tensor) -> Tensor:
    """1 / (1 + exp(-x))."""
    return torch.sigmoid(x)


@_activation("log_sigmoid")
def log_sigmoid(x: Tensor) -> Tensor:
    """log(sigmoid(x)), without overflow."""
    return F.logsigmoid(x)


@_activation("hard_sigmoid")
def hard_sigmoid(x: Tensor) -> Tensor:
    """min(max(x + 3, 0), 6) / 6: a sigmoid of three straight lines."""
    return F.hardsigmoid(x)


@_activation("hard_silu", "hard_swish")
def hard_silu(x: Tensor) -> Tensor:
    """x * hard_sigmoid(x). Reference: Howard et al. 2019, sec. 5.2."""
    return F.hardswish(x)


@_activation("sparse_sigmoid")
def sparse_sigmoid(x: Tensor) -> Tensor:
    """(x + 1) / 2, held within [0, 1]: two-class sparsemax. Reference: Blondel et al. 2019."""
    return torch.clamp(0.5 * (x + 1), 0.0, 1.0)


@_activation("sparse_plus")
def sparse_plus(x: Tensor) -> Tensor:
    """The integral of sparse_sigmoid: 0 below -1, (x + 1)^2 / 4 up to 1, x above."""
    parabola = 0.25 * (x + 1) ** 2
    return torch.where(x <= -1, torch.zeros_like(x), torch.where(x < 1, parabola, x))


@_activation("tanh")
def tanh(x: Tensor) -> Tensor:
    """Hyperbolic tangent."""
    return torch.tanh(x)


@_activation("hard_tanh")
def hard_tanh(x: Tensor) -> Tensor:
    """x held within [-1, 1]."""
    return F.hardtanh(x)


@_activation("tanh_shrink")
def tanh_shrink(x: Tensor) -> Tensor:
    """x - tanh(x)."""
    return F.tanhshrink(x)


@_activation("hard_shrink")
def hard_shrink(x: Tensor, threshold: float = 0.5) -> Tensor:
    """x where |x| > threshold, else 0."""
    return F.hardshrink(x, threshold)


@_activation("soft_shrink")
def soft_shrink(x: Tensor, threshold: float = 0.5) -> Tensor:
    """x moved towards 0 by `threshold`, and 0 within it."""
    return F.softshrink(x, threshold)


@_activation("threshold")
def threshold(x: Tensor, threshold: float, default_value: float) -> Tensor:
    """x where x > threshold, else default_value."""
    return F.threshold(x, threshold, default_value)


@_activation("exponential")
def exponential(x: Tensor) -> Tensor:
    """exp(x)."""
    return torch.exp(x)


@_activation("softmax")
def softmax(x: Tensor, axis: int | None = -1) -> Tensor:
    """exp(x) / sum(exp(x)) along `axis` (None: over all of x), without overflow.

    Example:
        >>> softmax(torch.tensor([[0.0, 0.0], [1000.0, 0.0]]))
        tensor([[0.5000, 0.5000],
                [1.0000, 0.0000]])
    """
    if axis is None:
        return F.softmax(x.flatten(), dim=0).reshape_as(x)
    return F.softmax(x, dim=axis)


@_activation("log_softmax")
def log_softmax(x: Tensor, axis: int | None = -1) -> Tensor:
    """log(softmax(x)) along `axis` (None: over all of x), without overflow."""
    if axis is None:
        return F.log_softmax(x.flatten(), dim=0).reshape_as(x)
    return F.log_softmax(x, dim=axis)


@_activation("sparsemax")
def sparsemax(x: Tensor, axis: int = -1) -> Tensor:
    """The point of the probability simplex nearest to x: max(x - tau, 0), sums to 1, often sparse.

    Along `axis`, tau is found by sorting: the largest k with 1 + k x_(k) > x_(1) + ... + x_(k)
    sets the support.

    Example:
        >>> sparsemax(torch.tensor([0.1, 1.1, 0.5]))
        tensor([0.0000, 0.8000, 0.2000])

    Reference: Martins & Astudillo 2016, algorithm 1. Keras 3.15 subtracts the sum of all partial
    sums instead of the last one, so its result does not sum to 1 (0.25 for the example): fixed.
    """
    ordered = torch.sort(x, dim=axis, descending=True)[0]
    rank = torch.cumsum(torch.ones_like(x), dim=axis)  # needs no size: x may be symbolic
    excess = torch.cumsum(ordered, dim=axis) - 1
    support = rank * ordered > excess
    size = torch.sum(support, dim=axis, keepdim=True)
    tau = torch.sum(torch.where(support, ordered, 0.0), dim=axis, keepdim=True) - 1
    return F.relu(x - tau / size)


def get(identifier: Any) -> Activation:
    """The activation named by a string, config, function or layer; None gives `linear`.

    Raises: ArgumentError: nothing has this name (the closest known ones are listed).

    Example:
        >>> get("swish") is silu, get(None) is linear
        (True, True)
    """
    if identifier is None:
        return linear
    if isinstance(identifier, dict) and identifier.get("class_name") not in (None, "function"):
        # Dense(activation=LeakyReLU(0.1)): files hold the layer's config here
        return resolve(registries().get("layer", registry), identifier)  # type: ignore[no-any-return]
    return resolve(registry, identifier)  # type: ignore[no-any-return]


def serialize(activation: Activation) -> Any:
    """What a file holds for an activation: its name, or a layer's config."""
    return serialise(activation)


def deserialize(config: Any) -> Activation:
    """The activation that `serialize` wrote."""
    return get(config)


swish = silu
hard_swish = hard_silu

__all__ = [
    "Activation", "get", "serialize", "deserialize",
    "celu", "elu", "exponential", "gelu", "glu", "hard_shrink", "hard_sigmoid", "hard_silu",
    "hard_swish", "hard_tanh", "leaky_relu", "linear", "log_sigmoid", "log_softmax", "mish",
    "relu", "relu6", "selu", "sigmoid", "silu", "soft_shrink", "softmax", "softplus", "softsign",
    "sparse_plus", "sparse_sigmoid", "sparsemax", "squareplus", "swish", "tanh", "tanh_shrink",
    "threshold",
]  # fmt: skip
