"""The scale of pitches on which ears measure: mel = 1127 ln(1 + f / 700)."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def mel_weights(bands: int, frequencies: int, rate: float, span: tuple[float, float]) -> Tensor:
    """Weights (frequencies, bands) in float64 that sum a spectrum into bands.

    Bands are triangles, equally wide in mel, each from the middle of the one before it to the
    middle of the one after it. The constant part of a signal belongs to none.

    Args:
        frequencies: Places of the spectrum, from 0 to rate / 2.
        rate: Samples a second.
        span: Where the first band begins and the last one ends, in Hz.
    Reference: O'Shaughnessy 1987, eq. 4.2, as in HTK.
    """
    place = torch.linspace(0, rate / 2, frequencies, dtype=torch.float64)
    mel = (1127 * torch.log1p(place / 700))[:, None]
    first, last = (1127 * math.log1p(end / 700) for end in span)
    edges = torch.linspace(first, last, bands + 2, dtype=torch.float64)
    lower, middle, upper = edges[:-2], edges[1:-1], edges[2:]
    rising, falling = (mel - lower) / (middle - lower), (upper - mel) / (upper - middle)
    weights = torch.minimum(rising, falling).clamp(min=0)
    weights[0] = 0
    return weights
