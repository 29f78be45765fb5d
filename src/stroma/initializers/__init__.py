"""Initial values of weights, looked up by name.

An initializer is called with a shape in the **Keras view** of a weight (a convolution kernel is
height, width, channels in, channels out) and gives a CPU tensor. Its random numbers come from its
own generator, seeded when it is made: one object called twice gives the same values, and two
objects made without a seed differ. With the same integer seed the values are those of Keras on
torch, bit for bit, except where Keras' truncated normal lets a value escape (see there).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stroma.core.config import serialise
from stroma.core.dtypes import DTypeLike, to_dtype
from stroma.core.errors import ShapeError
from stroma.core.registry import resolve
from stroma.initializers.base import Initializer, Shape, registry
from stroma.initializers.constants import STFT, Constant, Identity, Ones, Zeros
from stroma.initializers.drawn import (
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    LecunNormal,
    LecunUniform,
    Orthogonal,
    RandomInitializer,
    RandomNormal,
    RandomUniform,
    TruncatedNormal,
    VarianceScaling,
    compute_fans,
)


def get(identifier: Any) -> Callable[..., Tensor] | None:
    """The initializer named by a string, config, class, instance, function or array; None is None.

    A string makes a new object each time, with its own seed. An array is used as the values
    themselves, and must have the shape asked for.

    Example:
        >>> get("he_normal")((3, 3, 16, 32)).shape
        torch.Size([3, 3, 16, 32])
    """
    if isinstance(identifier, (Tensor, np.ndarray, np.generic)):
        return _given(torch.as_tensor(identifier, device="cpu"))
    return resolve(registry, identifier)  # type: ignore[no-any-return]


def _given(values: Tensor) -> Callable[..., Tensor]:
    def initialize(shape: Shape, dtype: DTypeLike = None) -> Tensor:
        if tuple(shape) != tuple(values.shape):
            raise ShapeError(
                f"the given values have shape {tuple(values.shape)}, the weight {tuple(shape)}",
                where="initializer=<array>",
                why="an array given as an initializer is taken as the values themselves",
                fix="give an array of the weight's shape (kernels: height, width, in, out)",
            )
        return values.to(to_dtype(dtype or "float32")).clone()

    return initialize


def serialize(initializer: Any) -> Any:
    """What a file holds for an initializer."""
    return serialise(initializer)


def deserialize(config: Any) -> Callable[..., Tensor] | None:
    """The initializer that `serialize` wrote."""
    return get(config)


IdentityInitializer, OrthogonalInitializer, STFTInitializer = Identity, Orthogonal, STFT
constant, identity, ones, zeros, stft = Constant, Identity, Ones, Zeros, STFT
random_normal, random_uniform, truncated_normal = RandomNormal, RandomUniform, TruncatedNormal
variance_scaling, orthogonal = VarianceScaling, Orthogonal
glorot_normal, glorot_uniform = GlorotNormal, GlorotUniform
lecun_normal, lecun_uniform = LecunNormal, LecunUniform
he_normal, he_uniform = HeNormal, HeUniform

__all__ = [
    "Initializer", "RandomInitializer", "get", "serialize", "deserialize", "compute_fans",
    "Constant", "Identity", "IdentityInitializer", "Ones", "OrthogonalInitializer", "STFT",
    "STFTInitializer", "Zeros",
    "GlorotNormal", "GlorotUniform", "HeNormal", "HeUniform", "LecunNormal", "LecunUniform",
    "Orthogonal", "RandomNormal", "RandomUniform", "TruncatedNormal", "VarianceScaling",
    "constant", "identity", "ones", "stft", "zeros",
    "glorot_normal", "glorot_uniform", "he_normal", "he_uniform", "lecun_normal", "lecun_uniform",
    "orthogonal", "random_normal", "random_uniform", "truncated_normal", "variance_scaling",
]  # fmt: skip
