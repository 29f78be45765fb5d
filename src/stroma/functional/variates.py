"""Random numbers of shapes that torch draws without a generator only: beta and Dirichlet."""

from __future__ import annotations

import torch
from torch import Generator, Tensor


def beta(alpha: Tensor, generator: Generator | None) -> Tensor:
    """Numbers in [0, 1] of Beta(alpha, alpha), one for each alpha."""
    first, second = (_log_gamma(alpha, generator) for _ in range(2))
    return torch.sigmoid(first - second)


def dirichlet(alpha: Tensor, generator: Generator | None) -> Tensor:
    """Parts of 1 along the last axis, of Dirichlet(alpha)."""
    return torch.softmax(_log_gamma(alpha, generator), -1)


def _log_gamma(alpha: Tensor, generator: Generator | None) -> Tensor:
    """Logarithms of Gamma(alpha) draws: those of a small alpha themselves would be 0 in float32.

    G(a) = G(a + 1) U^(1/a). Reference: Marsaglia & Tsang 2000, section 6.
    """
    above = torch._standard_gamma(alpha + 1, generator=generator)
    draw = torch.rand(alpha.shape, device=alpha.device, dtype=alpha.dtype, generator=generator)
    return above.log() + draw.clamp(min=torch.finfo(alpha.dtype).tiny).log() / alpha
