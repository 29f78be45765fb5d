"""Fourier transforms; complex numbers are (real, imaginary) pairs of tensors, as in Keras."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from stroma.functional import signals
from stroma.ops.calling import apply, operation

rfft = operation(signals.rfft, "The Fourier transform of real numbers: half of it, as a pair.")
stft = operation(signals.stft, "Fourier transforms of overlapping frames, as a pair.",
                 inputs="floating")  # fmt: skip


def fft(x: tuple[Any, Any]) -> tuple[Tensor, Tensor]:
    """The Fourier transform over the last axis.

    Example:
        >>> fft(([1.0, 0.0], [0.0, 0.0]))
        (tensor([1., 1.]), tensor([0., 0.]))
    """
    return apply(signals.fft, *x)  # type: ignore[no-any-return]


def fft2(x: tuple[Any, Any]) -> tuple[Tensor, Tensor]:
    """The Fourier transform over the last two axes.

    Example:
        >>> fft2(([[1.0, 1.0]], [[0.0, 0.0]]))
        (tensor([[2., 0.]]), tensor([[0., 0.]]))
    """
    return apply(signals.fft2, *x)  # type: ignore[no-any-return]


def ifft2(x: tuple[Any, Any]) -> tuple[Tensor, Tensor]:
    """The inverse of `fft2`.

    Example:
        >>> ifft2(([[2.0, 0.0]], [[0.0, 0.0]]))
        (tensor([[1., 1.]]), tensor([[0., 0.]]))
    """
    return apply(signals.ifft2, *x)  # type: ignore[no-any-return]


def irfft(x: tuple[Any, Any], fft_length: int | None = None) -> Tensor:
    """The inverse of `rfft`: `fft_length` real numbers.

    Args:
        x: Real and imaginary part.
        fft_length: How many numbers; 2 (n - 1) when None.
    Example:
        >>> irfft(rfft([1.0, 2.0, 3.0, 4.0]))
        tensor([1., 2., 3., 4.])
    """
    return apply(signals.irfft, *x, fft_length=fft_length)  # type: ignore[no-any-return]


def istft(
    x: tuple[Any, Any],
    sequence_length: int,
    sequence_stride: int,
    fft_length: int,
    length: int | None = None,
    window: Any = "hann",
    center: bool = True,
) -> Tensor:
    """The signal whose `stft` this is.

    Args:
        x: Real and imaginary parts (*, frames, fft_length // 2 + 1).
        sequence_length: Samples of a frame.
        sequence_stride: Samples from one frame to the next.
        fft_length: Samples of a transform.
        length: Samples of the signal; what the frames cover when None.
        window: "hann", "hamming", weights, or None for none.
        center: Whether frames are centred on their place.
    Shape: two of (*, frames, fft_length // 2 + 1) -> (*, T)
    Example:
        >>> import torch
        >>> parts = stft(torch.arange(32.0), 8, 2, 8)
        >>> [round(float(v), 3) for v in istft(parts, 8, 2, 8)[10:13]]
        [10.0, 11.0, 12.0]
    """
    return apply(  # type: ignore[no-any-return]
        signals.istft, *x, sequence_length=sequence_length, sequence_stride=sequence_stride,
        fft_length=fft_length, length=length, window=window, center=center,
    )  # fmt: skip
