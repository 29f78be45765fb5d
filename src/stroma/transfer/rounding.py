"""Whether bfloat16 may be used for features: tried on a sample of the very photos."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from stroma.core.errors import StromaError
from stroma.core.runs import write_atomic
from stroma.core.seeds import mix_array
from stroma.data import Part
from stroma.models import Model
from stroma.network.folding import fold_batch_norm
from stroma.network.network import Network
from stroma.training.precision import Precision, choose_precision
from stroma.transfer.heads import CosineHead, NearestMeanHead, RidgeHead

SAMPLE = 128  # photos that are computed in both precisions
_CLASSES = 16  # at most, the commonest: leave-one-out needs several photos of each
_WORTH_IT = 8 * SAMPLE  # photos of a part from which on the trial costs less than it saves
_MOST_CHANGED = 0.02  # share of a head's leave-one-out answers
_MOST_LOST = 0.01  # accuracy of the best head, where bfloat16 makes another one look best
_HEADS = (RidgeHead, NearestMeanHead, CosineHead)  # closed forms: milliseconds each


def feature_precision(
    wanted: str, extractor: Model, part: Part, device: torch.device, verdict: Path | None = None
) -> Precision:
    """What the features of a part are computed in, and why.

    "auto" takes bfloat16 where `choose_precision` expects it to be faster and a trial allows it:
    heads fitted on 128 of the photos, in both precisions, must give the same leave-one-out answers
    but for 2 %, and the head that looks best in bfloat16 must be, in float32, within one point of
    the best. Else, and for parts under 1,024 photos, which the trial would not repay: float32.

    Args:
        wanted: "auto", or a dtype by name, which is obeyed.
        extractor: Pictures (B, H, W, C) to features (B, D).
        part: The photos; of those without classes, the groups that a split spreads evenly.
        device: Where it runs; `extractor` is there.
        verdict: File that keeps the outcome of the trial; None: none.
    """
    example = torch.zeros(1, *part.shape, device=device)
    found = choose_precision(wanted, extractor, example, device)
    if wanted != "auto" or found.dtype is None:
        return found
    if len(part) < _WORTH_IT:
        return Precision(None, f"{len(part)} photos are too few to try whether bfloat16 would do")
    if verdict is not None and (kept := _read(verdict)) is not None:
        return Precision(found.dtype if kept[0] else None, kept[1])
    allowed, reason = bfloat16_keeps_ranking(extractor, part, device)
    if verdict is not None:
        _write(verdict, allowed, reason)
    return Precision(found.dtype if allowed else None, reason)


def bfloat16_keeps_ranking(extractor: Model, part: Part, device: torch.device) -> tuple[bool, str]:
    """Whether heads on bfloat16 features of a sample answer and rank as on float32 ones; why."""
    at = _sample(part.strata)
    labels = np.unique(part.strata[at], return_inverse=True)[1]
    classes = int(labels.max(initial=-1)) + 1
    if classes < 2:
        return False, "float32: photos of one class cannot tell whether bfloat16 would do"
    pixels = torch.from_numpy(part.take(at).images())
    network = fold_batch_norm(extractor)
    try:
        answers = [
            [head().fit(x, labels, classes).held_out.argmax(1) for head in _HEADS]
            for x in (_computed(network, pixels, device, dtype) for dtype in (None, torch.bfloat16))
        ]
    except StromaError as error:  # features that are not finite, in either
        return False, f"float32: the trial of bfloat16 failed ({error.what})"
    exact, rough = np.array(answers)  # (heads, photos) each
    changed = float((exact != rough).mean(1).max())
    right = (exact == labels).mean(1)
    lost = float(right.max() - right[(rough == labels).mean(1).argmax()])
    told = (
        f"on {len(at)} photos bfloat16 changes {changed:.1%} of a head's leave-one-out answers"
        f" and costs {lost:.1%} in the choice of a head"
    )
    if changed <= _MOST_CHANGED and lost <= _MOST_LOST:
        return True, f"bfloat16: {told}"
    return False, f"float32: {told}"


def _sample(strata: np.ndarray) -> np.ndarray:
    """Rows of a sample of the commonest classes, ascending; the same each time."""
    kinds, counts = np.unique(strata, return_counts=True)
    common = kinds[np.argsort(-counts, kind="stable")[:_CLASSES]]
    rows = np.flatnonzero(np.isin(strata, common))
    order = np.argsort(mix_array(0, 0, rows), kind="stable")
    sampled: np.ndarray = np.sort(rows[order[:SAMPLE]])
    return sampled


@torch.no_grad()
def _computed(
    network: Network, pixels: Tensor, device: torch.device, dtype: torch.dtype | None
) -> np.ndarray:
    with torch.autocast(device.type, dtype, enabled=dtype is not None):
        rows = [
            network(x.to(device).float(), training=False).float().cpu()
            for x in torch.split(pixels, 16)
        ]
    found: np.ndarray = torch.cat(rows).numpy()
    return found


def _read(path: Path) -> tuple[bool, str] | None:
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        return bool(kept["allowed"]), str(kept["reason"])
    except (OSError, ValueError, KeyError, TypeError):  # none there, or damaged: as good as none
        return None


def _write(path: Path, allowed: bool, reason: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, json.dumps({"allowed": allowed, "reason": reason}).encode())
    except OSError:  # no room, no permission: it will be tried again
        pass
