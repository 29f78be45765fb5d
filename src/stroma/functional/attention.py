"""Attention: values averaged by how well their keys fit a query, and who may see whom."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def visible(length: int, source: int, causal: bool, window: int | None, like: Tensor) -> Tensor:
    """Which of `source` keys each of `length` queries may see: (T, S), True where it may.

    Args:
        causal: No key after the query's own place.
        window: Only keys fewer than so many places away; None: any.
        like: A tensor on the device wanted.
    Example:
        >>> visible(3, 3, True, 2, torch.zeros(())).int().tolist()
        [[1, 0, 0], [1, 1, 0], [0, 1, 1]]
    """
    distance = torch.arange(length, device=like.device)[:, None] - torch.arange(
        source, device=like.device
    )
    if window is None:
        return distance >= 0
    near = distance.abs() < window
    return near & (distance >= 0) if causal else near


def dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None = None,
    *,
    scale: float,
    causal: bool = False,
    dropout: float = 0.0,
    blind_sees: str = "nothing",
) -> Tensor:
    """softmax(scale * query keyᵀ) value, by torch's fused kernels, which never keep the weights.

    Args:
        query: (*, N, T, D); key: (*, M, S, D); value: (*, M, S, E), N a multiple of M.
        mask: True where a query may see a key; broadcasts with (*, N, T, S).
        scale: Factor on the scores, usually 1/sqrt(D).
        causal: Whether query t sees keys 0 to t only; not together with a mask.
        dropout: Part of the weights that is dropped.
        blind_sees: What a query gets that may see no key: "nothing" (0) or "all" (the mean).
    Shape: (*, N, T, D) -> (*, N, T, E)
    """
    if mask is not None and blind_sees == "all":
        zero = torch.zeros((), dtype=query.dtype, device=query.device)
        mask = torch.where(mask, zero, 0.7 * torch.finfo(query.dtype).min)
    grouped = query.shape[-3] != key.shape[-3]
    return F.scaled_dot_product_attention(
        query, key, value, mask, dropout, causal, scale=scale, enable_gqa=grouped
    )


def headed_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    bias: Tensor | None = None,
    mask: Tensor | None = None,
    *,
    scale: float | None = None,
    causal: bool = False,
    cap: float | None = None,
) -> Tensor:
    """`dot_product_attention` with heads behind the places, a bias and a cap on the scores.

    Args:
        query: (B, T, N, D); key, value: (B, S, N, D).
        bias: Added to the scores (B, N, T, S).
        mask: True where a query may see a key.
        scale: Factor on the scores; 1/sqrt(D) when None.
        causal: Whether query t sees keys 0 to t only.
        cap: Scores are cap * tanh(scores / cap).
    """
    q, k, v = (x.transpose(1, 2) for x in (query, key, value))
    factor = query.shape[-1] ** -0.5 if scale is None else scale
    if causal:
        seen = visible(q.shape[-2], k.shape[-2], True, None, q)
        mask = seen if mask is None else seen & mask.bool()
    if cap is None:
        added = bias if mask is None else mask.bool()
        if bias is not None and mask is not None:
            added = bias.masked_fill(~mask.bool(), torch.finfo(bias.dtype).min)
        return F.scaled_dot_product_attention(q, k, v, added, scale=factor).transpose(1, 2)
    scores = torch.tanh((q * factor) @ k.transpose(-2, -1) / cap) * cap
    scores = scores if bias is None else scores + bias
    return (masked_softmax(scores, None if mask is None else mask.bool()) @ v).transpose(1, 2)


def attention_weights(query: Tensor, key: Tensor, mask: Tensor | None, *, scale: float) -> Tensor:
    """softmax(scale * query keyᵀ): how much each query takes from each key; (*, N, T, S).

    Args:
        query, key, scale: As in `dot_product_attention`.
        mask: As there; a query that may see nothing has only zeros.
    """
    groups = query.shape[-3] // key.shape[-3]
    if groups > 1:
        key = key.repeat_interleave(groups, -3)
    scores = (query * scale) @ key.transpose(-2, -1)
    return masked_softmax(scores, mask)


def masked_softmax(scores: Tensor, mask: Tensor | None) -> Tensor:
    """Softmax over the last axis where the mask is True, 0 elsewhere."""
    if mask is None:
        return scores.softmax(-1)
    lowest = torch.finfo(scores.dtype).min  # not -inf: a row without any True would be NaN
    return torch.where(mask, scores, lowest).softmax(-1).masked_fill(~mask, 0.0)


def dropped(weights: Tensor, rate: float, generator: torch.Generator | None) -> Tensor:
    """Weights of which a part `rate` is 0 and the rest scaled, by a generator of its own if any."""
    if generator is None or rate == 1:
        return F.dropout(weights, rate)
    kept = torch.empty_like(weights).bernoulli_(1 - rate, generator=generator)
    return weights * kept / (1 - rate)


def weighted_values(weights: Tensor, value: Tensor) -> Tensor:
    """weights @ value, where several heads of `weights` may share one of `value`."""
    groups = weights.shape[-3] // value.shape[-3]
    return weights @ (value.repeat_interleave(groups, -3) if groups > 1 else value)


def additive_scores(query: Tensor, key: Tensor, scale: Tensor | float) -> Tensor:
    """sum over features of scale * tanh(query + key), (B, T, S); Bahdanau et al. 2015.

    Args:
        query: (B, T, D); key: (B, S, D).
        scale: A number or (D,).
    """
    return (scale * torch.tanh(query.unsqueeze(-2) + key.unsqueeze(-3))).sum(-1)
