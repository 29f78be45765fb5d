"""Connectionist temporal classification: label sequences of a length of their own.

Inputs come by position, settings by keyword: a file keeps the two apart.
Reference: Graves et al. 2006; prefix beam search: Hannun et al. 2014.
"""

from __future__ import annotations

import math
from collections import defaultdict

import torch
import torch.nn.functional as F
from torch import Tensor

from stroma.core.errors import ArgumentError


def loss(target: Tensor, output: Tensor, target_length: Tensor, output_length: Tensor, *,
         mask_index: int = 0) -> Tensor:  # fmt: skip
    """-log of the probability of each label sequence, summed over its alignments.

    Args:
        target: Labels (B, L), of which the first `target_length` (B,) count.
        output: Logits (B, T, K), of which the first `output_length` (B,) count.
        mask_index: The label that means "no letter".
    """
    logits = output.to(torch.promote_types(output.dtype, torch.float32)).log_softmax(-1)
    return F.ctc_loss(logits.transpose(0, 1), target.long(), output_length, target_length,
                      blank=mask_index, reduction="none")  # fmt: skip


def decode(inputs: Tensor, sequence_lengths: Tensor, *, strategy: str = "greedy",
           beam_width: int = 100, top_paths: int = 1, merge_repeated: bool = True,
           mask_index: int = 0) -> tuple[Tensor, Tensor]:  # fmt: skip
    """The likeliest label sequences, filled up with -1, and their scores.

    Args:
        inputs: Logits (B, T, K), of which the first `sequence_lengths` (B,) count.
        strategy: "greedy": the likeliest label at each time; "beam_search": the likeliest
            sequences over all their alignments, as far as `beam_width` of them show.
        top_paths: Sequences wanted of a beam search.
        merge_repeated: Whether a greedy path's repeated label is one.
        mask_index: The label that means "no letter".
    Shape: (B, T, K), (B,) -> (paths, B, T), (B, paths)
    """
    x = inputs.to(torch.promote_types(inputs.dtype, torch.float32))
    if strategy == "greedy":
        return _greedy(x, sequence_lengths, merge_repeated, mask_index)
    if strategy == "beam_search":
        return _searched(x, sequence_lengths, beam_width, top_paths, mask_index)
    raise ArgumentError(
        f"ctc_decode: strategy must be 'greedy' or 'beam_search', got {strategy!r}",
        where="ctc_decode(strategy=...)",
        why="these are the two ways in which it searches",
        fix="strategy='greedy'",
    )


def _greedy(x: Tensor, lengths: Tensor, merge: bool, blank: int) -> tuple[Tensor, Tensor]:
    best, labels = x.max(-1)
    beyond = torch.arange(x.shape[1], device=x.device) >= lengths[:, None]
    labels = torch.where(beyond, blank, labels)
    gone = labels == blank
    if merge:
        gone = gone | F.pad(labels[:, 1:] == labels[:, :-1], (1, 0))
    order = torch.argsort(gone.int(), dim=-1, stable=True)  # letters first, in their order
    found = torch.where(gone, -1, labels).gather(-1, order)
    return found[None].int(), -torch.where(beyond, 0.0, best).sum(-1, keepdim=True)


def _searched(
    x: Tensor, lengths: Tensor, width: int, paths: int, blank: int
) -> tuple[Tensor, Tensor]:
    found = torch.full((paths, *x.shape[:2]), -1, dtype=torch.int32)
    scores = torch.full((len(x), paths), -math.inf)
    for row, logits in enumerate(x.log_softmax(-1)):
        table = logits[: int(lengths[row])].tolist()
        for rank, (labels, score) in enumerate(_prefixes(table, width, blank)[:paths]):
            found[rank, row, : len(labels)] = torch.tensor(labels, dtype=torch.int32)
            scores[row, rank] = score
    return found.to(x.device), scores.to(x)


def _add(first: float, second: float) -> float:
    """log(e^a + e^b)."""
    high, low = max(first, second), min(first, second)
    return high if low == -math.inf else high + math.log1p(math.exp(low - high))


def _prefixes(
    table: list[list[float]], width: int, blank: int
) -> list[tuple[tuple[int, ...], float]]:
    """Label sequences by falling score; each is kept as (ends in a blank, ends in its letter)."""
    nothing = (-math.inf, -math.inf)
    beams: dict[tuple[int, ...], tuple[float, float]] = {(): (0.0, -math.inf)}
    for step in table:
        grown: dict[tuple[int, ...], tuple[float, float]] = defaultdict(lambda: nothing)
        for labels, (in_blank, in_letter) in beams.items():
            whole = _add(in_blank, in_letter)
            for label, score in enumerate(step):
                if label == blank:
                    kept = grown[labels]
                    grown[labels] = (_add(kept[0], whole + score), kept[1])
                    continue
                again = bool(labels) and labels[-1] == label
                longer = grown[(*labels, label)]
                before = in_blank if again else whole
                grown[(*labels, label)] = (longer[0], _add(longer[1], before + score))
                if again:
                    kept = grown[labels]
                    grown[labels] = (kept[0], _add(kept[1], in_letter + score))
        ranked = sorted(grown.items(), key=lambda item: -_add(*item[1]))
        beams = dict(ranked[:width])
    return [(labels, _add(*scores)) for labels, scores in beams.items()]
