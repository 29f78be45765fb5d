"""Fourier transforms; complex numbers are pairs of tensors, real and imaginary, as in Keras."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from stroma.core.errors import ArgumentError

Pair = tuple[Tensor, Tensor]
_WINDOWS = {"hann": torch.hann_window, "hamming": torch.hamming_window}


def _apart(z: Tensor) -> Pair:
    return z.real, z.imag


def fft(real: Tensor, imaginary: Tensor) -> Pair:
    return _apart(torch.fft.fft(torch.complex(real, imaginary)))


def fft2(real: Tensor, imaginary: Tensor) -> Pair:
    return _apart(torch.fft.fft2(torch.complex(real, imaginary)))


def ifft2(real: Tensor, imaginary: Tensor) -> Pair:
    return _apart(torch.fft.ifft2(torch.complex(real, imaginary)))


def rfft(x: Tensor, *, fft_length: int | None = None) -> Pair:
    return _apart(torch.fft.rfft(x, fft_length))


def irfft(real: Tensor, imaginary: Tensor, *, fft_length: int | None = None) -> Tensor:
    y: Tensor = torch.fft.irfft(torch.complex(real, imaginary), fft_length)
    return y


def _window(window: Any, length: int, total: int, like: Tensor) -> Tensor:
    """The weights of a frame, with zeros on both sides up to `total`."""
    if window is None:
        weights = like.new_ones(length)
    elif isinstance(window, str):
        if window not in _WINDOWS:
            raise ArgumentError(
                f"unknown window {window!r}",
                where="window=...",
                why="a window is weights, or the name of a formula for them",
                fix=f"one of: {', '.join(_WINDOWS)}, None, or {length} numbers",
            )
        weights = _WINDOWS[window](length, dtype=like.dtype, device=like.device)
    else:
        weights = torch.as_tensor(window, dtype=like.dtype, device=like.device)
    before = (total - length) // 2
    return F.pad(weights, (before, total - length - before))


def stft(x: Tensor, *, sequence_length: int, sequence_stride: int, fft_length: int,
         window: Any = "hann", center: bool = True) -> Pair:  # fmt: skip
    """Fourier transforms of overlapping frames.

    Args:
        sequence_length: Samples of a frame.
        sequence_stride: Samples from one frame to the next.
        fft_length: Samples of a transform, at least `sequence_length`.
        window: "hann", "hamming", weights, or None for none.
        center: Whether frames are centred on their place: x is reflected at both ends.
    Shape: (*, T) -> two of (*, frames, fft_length // 2 + 1)
    """
    weights = _window(window, sequence_length, fft_length, x)
    flat = x.reshape(-1, 1, x.shape[-1])  # so that none may be padded too
    if center:
        flat = F.pad(flat, (fft_length // 2, fft_length // 2), mode="reflect")
    frames = flat.unfold(-1, fft_length, sequence_stride) * weights
    half = frames[..., : fft_length // 2 + 1]  # MKL refuses to transform none
    z = torch.fft.rfft(frames) if len(frames) else torch.complex(half, half)
    return _apart(z.reshape(*x.shape[:-1], *z.shape[2:]))


def istft(real: Tensor, imaginary: Tensor, *, sequence_length: int, sequence_stride: int,
          fft_length: int, length: int | None = None, window: Any = "hann",
          center: bool = True) -> Tensor:  # fmt: skip
    """The signal whose `stft` this is: overlapping frames added, by the sum of squared windows.

    Args:
        length: Samples of the signal; what the frames cover when None.
    Shape: two of (*, frames, fft_length // 2 + 1) -> (*, T)
    """
    frames = torch.fft.irfft(torch.complex(real, imaginary), fft_length)  # (*, N, fft_length)
    weights = _window(window, sequence_length, fft_length, frames)
    if window is None:
        y, norm = _overlapped(frames, sequence_stride), None
    else:
        y = _overlapped(frames * weights, sequence_stride)
        squares = (weights**2).expand(frames.shape[-2], -1)
        norm = _overlapped(squares, sequence_stride)
    if norm is not None:
        y = torch.where(norm > 1e-11, y / torch.where(norm > 1e-11, norm, 1), y)
    start = fft_length // 2 if center else 0
    stop = start + length if length is not None else y.shape[-1] - start
    return y[..., start:stop]


def _overlapped(frames: Tensor, stride: int) -> Tensor:
    """Frames (*, N, L) added where they lie: (*, (N - 1) stride + L)."""
    *lead, count, size = frames.shape
    columns = frames.reshape(-1, count, size).transpose(1, 2)
    total = (count - 1) * stride + size
    y = F.fold(columns, (1, total), (1, size), stride=(1, stride))
    return y.reshape(*lead, total)
