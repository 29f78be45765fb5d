"""Initial values that are not drawn: constants, the identity, a Fourier transform."""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from torch import Tensor

from stroma.core.checks import check_choice
from stroma.core.dtypes import DTypeLike, to_dtype
from stroma.core.errors import ShapeError
from stroma.core.optional import require
from stroma.initializers.base import Initializer, Shape, registry


@registry.register("Zeros", "zeros", "zero")
class Zeros(Initializer):
    """All zeros."""

    def __call__(self, shape: Shape, dtype: DTypeLike = None) -> Tensor:
        return torch.zeros(tuple(shape), dtype=to_dtype(dtype or "float32"), device="cpu")


@registry.register("Ones", "ones", "one")
class Ones(Initializer):
    """All ones."""

    def __call__(self, shape: Shape, dtype: DTypeLike = None) -> Tensor:
        return torch.ones(tuple(shape), dtype=to_dtype(dtype or "float32"), device="cpu")


@registry.register("Constant", "constant")
class Constant(Initializer):
    """One value everywhere, or an array that is broadcast to the shape.

    Args:
        value: A number, or nested lists or an array of numbers.

    Example:
        >>> Constant(2.0)((2,))
        tensor([2., 2.])
    """

    def __init__(self, value: Any = 0.0) -> None:
        if isinstance(value, dict):  # how Keras' files write an array
            value = value["config"]["value"]
        self.value = value

    def __call__(self, shape: Shape, dtype: DTypeLike = None) -> Tensor:
        value = torch.as_tensor(self.value, dtype=to_dtype(dtype or "float32"), device="cpu")
        return value.broadcast_to(tuple(shape)).clone()


@registry.register("Identity", "identity", "IdentityInitializer")
class Identity(Initializer):
    """`gain` on the diagonal of a matrix, zero elsewhere.

    Raises: ShapeError: the shape is not that of a matrix.
    """

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = gain

    def __call__(self, shape: Shape, dtype: DTypeLike = None) -> Tensor:
        if len(shape) != 2:
            raise ShapeError(
                f"Identity: an identity matrix has 2 axes, got shape {tuple(shape)}",
                where="Identity()(shape)",
                why="the diagonal of ones lies between rows and columns",
                fix="use 'orthogonal' for kernels of more axes",
            )
        return self.gain * torch.eye(*shape, dtype=to_dtype(dtype or "float32"), device="cpu")


@registry.register("STFT", "stft", "STFTInitializer")
class STFT(Initializer):
    """Kernel of a 1-D convolution that computes a short-time Fourier transform.

    w(t) cos(2 pi t f / n) for the real side, -w(t) sin(2 pi t f / n) for the imaginary one, where
    n = 2 (F - 1) for a kernel of shape (frame length, 1, F).

    Args:
        side: "real" or "imag".
        window: Name of one of SciPy's windows, an array of window values, or None.
        scaling: Divide by the window's L2 norm ("density") or L1 norm ("spectrum"), or None.
        periodic: Whether a named window is periodic rather than symmetric.
    """

    def __init__(
        self,
        side: Literal["real", "imag"] = "real",
        window: Any = "hann",
        scaling: Literal["density", "spectrum"] | None = "density",
        periodic: bool = False,
    ) -> None:
        self.side = check_choice("side", side, ("real", "imag"), owner="STFT")
        self.scaling = check_choice("scaling", scaling, ("density", "spectrum", None), owner="STFT")
        self.window, self.periodic = window, periodic

    def __call__(self, shape: Shape, dtype: DTypeLike = None) -> Tensor:
        length, _, bins = shape
        time = torch.arange(length, dtype=torch.float64, device="cpu").reshape(-1, 1, 1)
        frequency = torch.arange(bins, dtype=torch.float64, device="cpu") / (2 * (bins - 1))
        angle = -2 * math.pi * time * frequency  # (T, 1, F)
        kernel = torch.cos(angle) if self.side == "real" else torch.sin(angle)
        if self.window is not None:
            window = self._window(length)
            if self.scaling is not None:
                window = window / torch.linalg.vector_norm(
                    window, ord=2 if self.scaling == "density" else 1
                )
            kernel = kernel * window.reshape(-1, 1, 1)
        return kernel.to(to_dtype(dtype or "float32"))

    def _window(self, length: int) -> Tensor:
        given = self.window
        if isinstance(given, str):
            given = require("scipy.signal").get_window(given, length, self.periodic)
        window = torch.as_tensor(given, dtype=torch.float64, device="cpu")
        if window.shape != (length,):
            raise ShapeError(
                f"STFT: window has shape {tuple(window.shape)}, the frame has {length} samples",
                where="STFT(window=...)",
                why="each sample of the frame is multiplied by its own window value",
                fix=f"give {length} window values, or a name such as 'hann'",
            )
        return window
