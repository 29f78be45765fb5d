"""Sound as pictures of time and frequency."""

from __future__ import annotations

import math
from typing import Any, Literal, Unpack

import torch
from torch import Tensor

from stroma.core.axes import Shape
from stroma.core.checks import check_bool, check_choice, check_int, check_number, check_positive_int
from stroma.core.errors import ArgumentError
from stroma.core.layer import Layer, LayerOptions
from stroma.functional.convolution import convolve
from stroma.functional.mel import mel_weights
from stroma.functional.signals import stft
from stroma.initializers import STFT
from stroma.layers.arguments import check_data_format, check_spatial_rank
from stroma.layers.registry import register_layer

_SMALLEST = 1e-7  # Keras' epsilon: below it a power has no root or logarithm


def _check_lengths(longer: str, shorter: str, lengths: tuple[int, int], *, owner: str) -> None:
    if lengths[0] < lengths[1]:
        raise ArgumentError(
            f"{owner}: {longer}={lengths[0]} is below {shorter}={lengths[1]}",
            where=f"{owner}({longer}=...)",
            why="it must have room for the whole of it",
            fix=f"{owner}({longer}={lengths[1]})",
        )


@register_layer("MelSpectrogram")
class MelSpectrogram(Layer):
    """How strong each pitch is at each moment, on the scale of pitches that ears have.

    |STFT|^mag_exp, summed with triangular weights into `num_mel_bins` bands that are equally wide
    in mel = 1127 ln(1 + f / 700); then 10 log10(y / ref_power), in decibels.

    Args:
        fft_length: Samples of a transform.
        sequence_stride: Samples from one moment to the next.
        sequence_length: Samples that are weighed with the window; None: `fft_length`.
        window: "hann", "hamming", weights, or None for none.
        sampling_rate: Samples a second.
        num_mel_bins: Bands, >= 1.
        min_freq, max_freq: Where bands begin and end, in Hz; None: half the sampling rate.
        power_to_db: Whether the answer is in decibels.
        top_db: What lies further below a sound's loudest place is raised to there, in decibels.
        mag_exp: 1 for amplitude, 2 for power.
        min_power: Powers below count as this.
        ref_power: What 0 decibels are.
    Shape: (B, T) -> (B, F, N); T samples to F bands at N moments; a single sound (T,) may be
        given too.
    Raises: ArgumentError: `sequence_length` above `fft_length`.
    Example:
        >>> from stroma import layers
        >>> layers.MelSpectrogram(num_mel_bins=64)(torch.zeros(2, 16000)).shape
        torch.Size([2, 64, 32])

    Reference: Davis & Mermelstein 1980. Keras 3 measures `top_db` from the loudest place of the
        whole batch; here each sound has its own, so that an answer does not depend on neighbours.
    """

    receptive = "unknown"

    def __init__(
        self,
        fft_length: int = 2048,
        sequence_stride: int = 512,
        sequence_length: int | None = None,
        window: Any = "hann",
        sampling_rate: int = 16000,
        num_mel_bins: int = 128,
        min_freq: float = 20.0,
        max_freq: float | None = None,
        power_to_db: bool = True,
        top_db: float = 80.0,
        mag_exp: float = 2.0,
        min_power: float = 1e-10,
        ref_power: float = 1.0,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**options)
        owner = "MelSpectrogram"
        self.fft_length = check_positive_int("fft_length", fft_length, owner=owner)
        self.sequence_stride = check_positive_int("sequence_stride", sequence_stride, owner=owner)
        self.sequence_length = check_positive_int(
            "sequence_length", sequence_length or fft_length, owner=owner
        )
        lengths = (self.fft_length, self.sequence_length)
        _check_lengths("fft_length", "sequence_length", lengths, owner=owner)
        self.window = window
        self.sampling_rate = check_positive_int("sampling_rate", sampling_rate, owner=owner)
        self.num_mel_bins = check_positive_int("num_mel_bins", num_mel_bins, owner=owner)
        self.min_freq = check_number("min_freq", min_freq, owner=owner, minimum=0)
        self.max_freq = check_number(
            "max_freq", max_freq or int(sampling_rate / 2), owner=owner, minimum=0
        )
        self.power_to_db = check_bool("power_to_db", power_to_db, owner=owner)
        self.top_db = check_number("top_db", top_db, owner=owner)
        self.mag_exp = check_number("mag_exp", mag_exp, owner=owner)
        self.min_power = check_number("min_power", min_power, owner=owner, minimum=0)
        self.ref_power = check_number("ref_power", ref_power, owner=owner)

    def call(self, inputs: Tensor) -> Tensor:
        wide = torch.float64 if self._compute_dtype == torch.float64 else torch.float32
        real, imaginary = stft(
            inputs.to(wide),
            sequence_length=self.sequence_length,
            sequence_stride=self.sequence_stride,
            fft_length=self.fft_length,
            window=self.window,
        )
        power = (real.square() + imaginary.square()) ** (self.mag_exp / 2)
        bands = (self.min_freq, self.max_freq)
        weights = mel_weights(self.num_mel_bins, power.shape[-1], self.sampling_rate, bands)
        y = power @ weights.to(power)  # (*, N, F)
        if self.power_to_db:
            y = self._decibels(y)
        return y.transpose(-1, -2).to(self._compute_dtype)

    def _decibels(self, power: Tensor) -> Tensor:
        reference = max(abs(self.ref_power), self.min_power)
        loud = 10 * (power.clamp(min=self.min_power).log10() - math.log10(reference))
        return torch.maximum(loud, loud.amax((-2, -1), keepdim=True) - self.top_db)


@register_layer("STFTSpectrogram")
class STFTSpectrogram(Layer):
    """How strong each frequency is at each moment, by convolutions whose weights can be trained.

    Args:
        mode: "log", "magnitude" or "psd" (power) of the transform; its "real" or "imag" part, or
            both after one another ("stft"); or its "angle".
        frame_length: Samples of a frame.
        frame_step: Samples from one frame to the next, at most `frame_length`; None: half of it.
        fft_length: Samples of a transform, at least `frame_length`; None: the next power of two.
        window: Name of one of SciPy's windows, an array of weights, or None.
        periodic: Whether a named window is periodic rather than symmetric.
        scaling: The window's L2 norm becomes 1 ("density"), or its L1 norm ("spectrum"), or None.
        padding: "valid", or "same": a frame for each step, zeros beyond the ends.
        expand_dims: Whether channels get an axis of their own.
        data_format: "channels_last" (default) or "channels_first".
    Shape: (B, T, C) -> (B, N, F); N moments, F = C (fft_length / 2 + 1) frequencies, channel after
        channel; (B, N, F, C) with `expand_dims`.
    Raises: ArgumentError: an unknown mode; a step above, or a transform below, the frame.
    Example:
        >>> from stroma import layers
        >>> layers.STFTSpectrogram(window=None)(torch.zeros(2, 1000, 1)).shape
        torch.Size([2, 6, 129])

    Reference: Keras 3 `keras.layers.STFTSpectrogram`.
    """

    receptive = "unknown"

    def __init__(
        self,
        mode: Literal["log", "magnitude", "psd", "real", "imag", "angle", "stft"] = "log",
        frame_length: int = 256,
        frame_step: int | None = None,
        fft_length: int | None = None,
        window: Any = "hann",
        periodic: bool = False,
        scaling: Literal["density", "spectrum"] | None = "density",
        padding: Literal["valid", "same"] = "valid",
        expand_dims: bool = False,
        data_format: str | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**options)
        owner = "STFTSpectrogram"
        modes = ("log", "magnitude", "psd", "real", "imag", "angle", "stft")
        self.mode = check_choice("mode", mode, modes, owner=owner)
        self.frame_length = check_positive_int("frame_length", frame_length, owner=owner)
        half = max(self.frame_length // 2, 1)
        self.frame_step = check_int(
            "frame_step", half if frame_step is None else frame_step, owner=owner, minimum=1
        )
        self.fft_length = check_positive_int(
            "fft_length", fft_length or 1 << (self.frame_length - 1).bit_length(), owner=owner
        )
        steps = (self.frame_length, self.frame_step)
        _check_lengths("frame_length", "frame_step", steps, owner=owner)
        lengths = (self.fft_length, self.frame_length)
        _check_lengths("fft_length", "frame_length", lengths, owner=owner)
        self.scaling = check_choice("scaling", scaling, ("density", "spectrum", None), owner=owner)
        self.padding = check_choice("padding", padding, ("valid", "same"), owner=owner)
        self.window, self.periodic = window, check_bool("periodic", periodic, owner=owner)
        self.expand_dims = check_bool("expand_dims", expand_dims, owner=owner)
        self.data_format = check_data_format(data_format, owner=owner)

    def build(self, input_shape: Shape) -> None:
        check_spatial_rank(input_shape, 1, self.data_format, owner="STFTSpectrogram")
        for side, without in (("real", "imag"), ("imag", "real")):
            if self.mode != without:
                kernel = self.add_weight(
                    (self.frame_length, 1, self.fft_length // 2 + 1),
                    STFT(side, self.window, self.scaling, self.periodic),  # type: ignore[arg-type]  # one of its two sides
                    layout="WIO->OIW",
                    name=f"{side}_kernel",
                )
                setattr(self, f"{side}_kernel", kernel)

    def call(self, inputs: Tensor) -> Tensor:
        x = inputs.transpose(1, 2) if self.data_format == "channels_last" else inputs  # (B, C, T)
        if self.mode in ("real", "imag"):
            return self._arranged(self._part(x, self.mode))
        real, imaginary = self._part(x, "real"), self._part(x, "imag")  # (B, C, F, N)
        if self.mode == "angle":
            return self._arranged(torch.atan2(imaginary, real))
        if self.mode == "stft":
            return self._arranged(torch.cat([real, imaginary], 2))
        power = real.square() + imaginary.square()
        if self.mode == "psd":  # a real signal's other half has the same power
            twice = power[:, :, 1:-1]
            return self._arranged(torch.cat([power[:, :, :1], 2 * twice, power[:, :, -1:]], 2))
        magnitude = power.clamp(min=_SMALLEST).sqrt()
        if self.mode == "magnitude":
            return self._arranged(magnitude)
        return self._arranged(magnitude.clamp(min=_SMALLEST).log())

    def _part(self, x: Tensor, side: str) -> Tensor:
        batch, channels, time = x.shape
        flat = x.reshape(batch * channels, 1, time)
        kernel = getattr(self, f"{side}_kernel")
        y = convolve(flat, kernel, None, (self.frame_step,), self.padding, (1,), 1)
        return y.reshape(batch, channels, *y.shape[1:])

    def _arranged(self, y: Tensor) -> Tensor:
        """(B, C, F, N) with the axes in the order of the format."""
        last = self.data_format == "channels_last"
        if self.expand_dims:
            return y.permute(0, 3, 2, 1) if last else y.transpose(2, 3)
        y = y.flatten(1, 2)
        return y.transpose(1, 2) if last else y
