"""Losses that compare a whole sequence, or the samples of a batch with one another."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from stroma.core.errors import ShapeError
from stroma.functional.pairing import as_float, as_tensor

BLANK = 0  # Keras' index of "no letter": targets are padded with it


def ctc(y_true: Any, y_pred: Any) -> Tensor:
    """-log of the probability of a label sequence, summed over all its alignments in time.

    Args:
        y_true: Labels from 1, padded with 0, which is the blank.
        y_pred: Logits of the blank and the labels at each time.

    Shape: (B, L), (B, T, K) -> (B,)
    Raises: ShapeError: the shapes are others.
    Example:
        >>> ctc([[1]], [[[0.0, 0.0], [0.0, 0.0]]])  # 3 of 4 paths of length 2 spell "1"
        tensor([0.2877])

    Reference: Graves et al. 2006, section 4. A sequence that does not fit into T costs infinity,
    as in Keras.
    """
    logits = as_float(y_pred)
    labels = as_tensor(y_true, logits).long()
    if labels.ndim != 2 or logits.ndim != 3 or len(labels) != len(logits):
        raise ShapeError(
            f"ctc: y_true has shape {tuple(labels.shape)}, y_pred {tuple(logits.shape)}",
            where="ctc(y_true, y_pred)",
            why="expected (samples, labels) and (samples, times, labels and blank)",
            fix="pad the label sequences with 0 to one length",
        )
    samples, times = logits.shape[:2]
    return F.ctc_loss(
        logits.log_softmax(-1).transpose(0, 1),  # (T, B, K)
        labels,
        torch.full((samples,), times, device=logits.device),
        (labels != BLANK).sum(-1),
        blank=BLANK,
        reduction="none",
    )


def circle(
    y_true: Any,
    y_pred: Any,
    ref_labels: Any = None,
    ref_embeddings: Any = None,
    remove_diagonal: bool = True,
    gamma: float = 80,
    margin: float = 0.4,
) -> Tensor:
    """Pull embeddings of one class together, push others apart, most where it is most needed.

    With d = max(1 - cos, 0), m the margin, p over the same class and n over the others:
    softplus(log Σ_p exp(γ (m + d) (d - m)) + log Σ_n exp(γ max(1 + m - d, 0) (1 - m - d))).

    Args:
        y_true: Class numbers.
        y_pred: Embeddings of length 1.
        ref_labels, ref_embeddings: What they are compared with; themselves when None.
        remove_diagonal: Leave each sample's likeness to itself out.
        gamma: Scale γ, above 0.
        margin: m.

    Shape: (B,), (B, D) -> (B,)
    Example:
        >>> circle([0, 0, 1], [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
        tensor([7.6219e-12, 7.6219e-12, 0.0000e+00])

    Reference: Sun et al. 2020, eq. 6. As in Keras a sample with no other of its class, or none
    of another, costs 0 and is masked.
    """
    embeddings = as_float(y_pred)
    labels = as_tensor(y_true, embeddings).flatten()
    others = embeddings if ref_embeddings is None else as_float(ref_embeddings, embeddings.dtype)
    other_labels = labels if ref_labels is None else as_tensor(ref_labels, embeddings).flatten()
    same = labels[:, None] == other_labels[None, :]  # (B, R)
    different = ~same
    if remove_diagonal:
        same = same & ~torch.eye(*same.shape, dtype=torch.bool, device=same.device)
    distance = (1 - embeddings @ others.T).clamp_min(0.0)
    pull = gamma * (margin + distance) * (distance - margin)
    push = gamma * (1 + margin - distance).clamp_min(0.0) * (1 - margin - distance)
    pulled = pull.masked_fill(~same, -torch.inf).logsumexp(1)
    pushed = push.masked_fill(~different, -torch.inf).logsumexp(1)
    loss = F.softplus(pulled + pushed)
    loss._keras_mask = loss > 0  # type: ignore[attr-defined]  # Keras' mark of what counts
    return loss
