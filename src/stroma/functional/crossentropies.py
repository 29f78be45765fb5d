"""Cross-entropies number by number, as operations without a mean, a mask or smoothing.

Inputs come by position, settings by keyword: a file keeps the two apart.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from stroma.functional import losses


def binary(target: Tensor, output: Tensor, *, from_logits: bool = False) -> Tensor:
    """One number for each label: the loss of the same name without its mean."""
    return losses.binary_crossentropy(target[..., None], output[..., None], from_logits)


def categorical(target: Tensor, output: Tensor, *, from_logits: bool = False,
                axis: int = -1) -> Tensor:  # fmt: skip
    if from_logits:
        return -(target * F.log_softmax(output, dim=axis)).sum(axis)
    return -(target * torch.log(losses.probabilities(output, axis))).sum(axis)


def sparse_categorical(target: Tensor, output: Tensor, *, from_logits: bool = False,
                       axis: int = -1) -> Tensor:  # fmt: skip
    return losses.sparse_categorical_crossentropy(target, output, from_logits, axis=axis)


def peak_signal_to_noise(x1: Tensor, x2: Tensor, *, max_val: float) -> Tensor:
    """10 log10(max_val² / mean((x1 - x2)²)), in dB."""
    return 10 * torch.log10(max_val**2 / torch.mean((x1 - x2) ** 2))
