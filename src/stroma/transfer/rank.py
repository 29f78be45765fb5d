"""Which pretrained base suits these photos: its score, its time, its size, side by side."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from os import PathLike
from typing import Any

import numpy as np
import torch
from torch import nn

from stroma.core.checks import check_choice, check_positive_int
from stroma.core.errors import ArgumentError
from stroma.core.preprocessing import Preprocessing
from stroma.core.records_rank import BaseScore as BaseScore
from stroma.core.records_rank import Ranking as Ranking
from stroma.core.records_transfer import Lead
from stroma.core.seeds import mix_array
from stroma.data import ImageData, Part
from stroma.layers.torch_module import Layout
from stroma.models import Model
from stroma.network.folding import fold_batch_norm
from stroma.training.fitting import choose_device
from stroma.transfer.bases import load_base, provenance
from stroma.transfer.compose import feature_extractor, modes_kept
from stroma.transfer.features import features, verdict_path
from stroma.transfer.heads.ridge import RidgeHead
from stroma.transfer.heads.scoring import TARGETS, Target, difference, estimate
from stroma.transfer.inputs import as_base, as_part, check_pictures
from stroma.transfer.rounding import feature_precision
from stroma.transfer.transferability import h_score, log_maximum_evidence

Base = nn.Module | str | PathLike[str]

_BATCHES = 5  # timed, after one that is not
_ERRORS_ALLOWED = 1.5  # times those of the best base
_LEAST_SECONDS = 1e-7  # clocks tick no finer


def rank(
    bases: Base | Sequence[Base] | Mapping[str, Base],
    data: ImageData | Part,
    *,
    photos: int | None = 2000,
    target: Target = "accuracy",
    preprocessing: Preprocessing | None = None,
    layout: Layout | None = None,
    batch_size: int | None = None,
    precision: str = "auto",
    device: str = "auto",
    cache: bool = True,
    seed: int = 0,
    progress: Callable[[str, int, int], None] | None = None,
) -> Ranking:
    """Try pretrained bases, frozen, on the training photos; nothing is tuned.

    The score is that of a ridge head on the base's features, each photo predicted by the head
    fitted on all others (exact leave-one-out): what a frozen base is for. Beside it stand the
    median time a photo takes on this machine, the size of the weights, and LogME and the H-score,
    which decide nothing: as predictors of a fine-tuned network they are no better than ImageNet
    accuracy. The Pareto front is what no other base beats in score, time and size at once.

    The base that is `chosen`: among those whose errors are at most 1.5 times the fewest, or that
    cannot be told from the best (the paired 95 % interval of the difference holds 0), the one with
    the most score above guessing per second. Without the first condition the quotient would always
    take the fastest network, however bad.

    Args:
        bases: Networks without their heads, PyTorch modules, or what `load_base` takes: names
            ("squeezenet1_1"), files. A mapping names them.
        data: Its training photos are used, or those of a part.
        photos: At most so many photos, drawn by chance, >= 2; None: all.
        target: "accuracy" or "balanced_accuracy".
        preprocessing: What bases that do not say it themselves want of pixels.
        layout: "NCHW" or "NHWC", what PyTorch modules take.
        batch_size, precision, device, cache: As in `features`. Times hold for these.
        seed: Of the draw of photos.
        progress: Called with (base, done, total) while photos go through it.
    Raises: ArgumentError: no base, or two of one name. DataError: photos of one class.
        WeightsError, FileFormatError: of a base that is a name or a file.
    Example:
        >>> from stroma import layers
        >>> from stroma.data import digits
        >>> def base(kernel):
        ...     x = layers.Input((8, 8, 1))
        ...     return Model(x, layers.Flatten()(layers.Conv2D(8, kernel)(x)))
        >>> ranking = rank({"small": base(1), "large": base(3)}, digits(), photos=500)
        >>> sorted(row.name for row in ranking.rows), ranking.photos
        (['large', 'small'], 500)

    Reference: leave-one-out: Allen 1974; the paired interval: Agresti & Min 2005; LogME: You et al.
        2021; H-score: Bao et al. 2019, Ibrahim et al. 2021.
    """
    check_choice("target", target, TARGETS, owner="rank")
    part = data.train if isinstance(data, ImageData) else as_part(data, owner="rank")
    if photos is not None and len(part) > check_positive_int("photos", photos, owner="rank"):
        order = np.argsort(mix_array(seed, 0, np.arange(len(part))), kind="stable")
        part = part.take(np.sort(order[:photos]))
    place = choose_device(device)
    tried: list[tuple[BaseScore, np.ndarray]] = []
    for name, base in _named(bases, part.shape).items():
        extractor = feature_extractor(
            base, preprocessing=getattr(base, "preprocessing", None) or preprocessing,
            input_shape=part.shape, layout=layout,
        )  # fmt: skip
        told = _telling(progress, name)
        with modes_kept(base):
            extractor.to(place).eval()
            verdict = verdict_path(extractor, part, place) if cache else None
            chosen = feature_precision(precision, extractor, part, place, verdict)
            found = features(
                extractor, part, batch_size=batch_size, precision=chosen.name, device=device,
                cache=cache, progress=told,
            )  # fmt: skip
            seconds = _seconds_per_photo(extractor, part, batch_size, chosen.dtype, place)
        row, right = _score(name, found, part.labels, target, seconds)
        tried.append((_with_facts(row, base, extractor), right))
    rows = _compared(tried, part.labels, target)
    return Ranking(
        rows=rows, photos=len(part), classes=_classes(part.labels), target=target,
        device=str(place), precision=precision, why=_why(rows),
    )  # fmt: skip


def pareto_front(costs: Any) -> np.ndarray:
    """Which rows no other row dominates: none is as low everywhere and lower somewhere.

    Args:
        costs: (N, M) of what should be low; turn the sign of what should be high.
    Shape: (N, M) -> (N,) of truth values
    Example:
        >>> pareto_front([[1, 3], [2, 2], [3, 3], [1, 3]]).tolist()
        [True, True, False, True]
    """
    x = np.asarray(costs, np.float64)
    no_worse = (x[:, None] <= x[None]).all(2)  # (N, N): row i against row j
    better = (x[:, None] < x[None]).any(2)
    front: np.ndarray = np.logical_not((no_worse & better).any(0))
    return front


def _named(
    bases: Base | Sequence[Base] | Mapping[str, Base], shape: tuple[int, ...]
) -> dict[str, nn.Module]:
    if isinstance(bases, Mapping):
        given: list[tuple[str | None, Base]] = list(bases.items())
    else:
        several = [bases] if isinstance(bases, (nn.Module, str, PathLike)) else bases
        given = [(None, base) for base in several]
    named: dict[str, nn.Module] = {}
    for name, source in given:
        base = (
            load_base(source, input_shape=(shape[0], shape[1], shape[2]))
            if isinstance(source, (str, PathLike))
            else as_base(source, owner="rank")
        )
        check_pictures(base, shape, owner="rank")
        name = name or provenance(base).architecture
        if name in named:
            raise ArgumentError(
                f"rank: two bases are called {name!r}",
                where="rank(bases, data)",
                why="the table names each base",
                fix="name them yourself: rank({'first': base, 'second': other}, data)",
            )
        named[name] = base
    if not named:
        raise ArgumentError(
            "rank: no bases to compare",
            where="rank(bases, data)",
            why="each is tried on the photos",
            fix="rank(['squeezenet1_1', 'resnet50'], data)",
        )
    return named


def _telling(
    progress: Callable[[str, int, int], None] | None, name: str
) -> Callable[[int, int], None] | None:
    return (lambda done, total: progress(name, done, total)) if progress else None


def _seconds_per_photo(
    extractor: Model, part: Part, batch_size: int | None, dtype: torch.dtype | None,
    place: torch.device,
) -> float:  # fmt: skip
    """The median over a few batches, computed as `features` does."""
    size = min(batch_size or (16 if place.type == "cpu" else 256), len(part))
    network = fold_batch_norm(extractor)
    x = torch.from_numpy(part.take(slice(size)).images(range(size))).to(place).float()
    times = []
    with torch.no_grad(), torch.autocast(place.type, dtype, enabled=dtype is not None):
        for _ in range(_BATCHES + 1):
            start = time.perf_counter()
            float(network(x, training=False).float().sum())  # a read waits for the device
            times.append(time.perf_counter() - start)
    return max(statistics.median(times[1:]) / size, _LEAST_SECONDS)


def _classes(labels: np.ndarray) -> int:
    return int(labels.max()) + 1 if len(labels) else 0


def _score(
    name: str, found: np.ndarray, labels: np.ndarray, target: Target, seconds: float
) -> tuple[BaseScore, np.ndarray]:
    """The row, as far as features tell, and which photos were right."""
    classes = max(_classes(labels), 2)
    head = RidgeHead(target=target).fit(found, labels, classes)
    right = head.held_out.argmax(1) == labels
    figure = estimate(right, labels, target)
    shares = np.bincount(labels) / len(labels)
    guessing = float(shares.max() if target == "accuracy" else 1 / np.count_nonzero(shares))
    row = BaseScore(
        name=name, score=figure.value, low=figure.low, high=figure.high, seconds=seconds,
        bytes=0, parameters=0, features=found.shape[1],
        log_evidence=log_maximum_evidence(found, labels, classes),
        h_score=h_score(found, labels, classes),
        score_per_second=(figure.value - guessing) / seconds,
    )  # fmt: skip
    return row, right


def _with_facts(row: BaseScore, base: nn.Module, extractor: Model) -> BaseScore:
    known = provenance(base)
    # One batch norm statistic weighs as much as one weight; counters of batches do not ship
    tensors = [t for t in extractor.state_dict().values() if t.is_floating_point()]
    return replace(
        row, bytes=4 * sum(t.numel() for t in tensors), parameters=extractor.count_params(),
        weights_file=known.weights_file, sha256=known.sha256, licence=known.licence,
        preprocessing=known.preprocessing,
    )  # fmt: skip


def _compared(
    tried: Sequence[tuple[BaseScore, np.ndarray]], labels: np.ndarray, target: Target
) -> tuple[BaseScore, ...]:
    """The rows, the best first, each with its place among the others."""
    tried = sorted(tried, key=lambda pair: (-pair[0].score, pair[0].seconds))
    best, best_right = tried[0]
    front = pareto_front([(-row.score, row.seconds, row.bytes) for row, _ in tried])
    rows, eligible = [], []
    for (row, right), on_front in zip(tried, front):
        lead = None
        if row is not best:
            gap = difference(best_right, right, labels, target)
            lead = Lead(over=row.name, difference=gap.value, low=gap.low, high=gap.high)
        rows.append(replace(row, lead=lead, on_front=bool(on_front)))
        close = 1 - row.score <= _ERRORS_ALLOWED * (1 - best.score)
        eligible.append(lead is None or lead.low <= 0 or close)
    at = max(
        (at for at, allowed in enumerate(eligible) if allowed),
        key=lambda at: rows[at].score_per_second,
    )
    rows[at] = replace(rows[at], chosen=True)
    return tuple(rows)


def _why(rows: Sequence[BaseScore]) -> str:
    chosen, best = next(row for row in rows if row.chosen), rows[0]
    if len(rows) == 1:
        return f"{chosen.name}: the only base that was tried"
    if chosen is best:
        return (
            f"{chosen.name}: the best score, and the most of it per second among those that come"
            f" close (errors at most {_ERRORS_ALLOWED:g} times as many, or a difference that may"
            " be chance)"
        )
    lead = chosen.lead
    assert lead is not None
    return (
        f"{chosen.name}: the most score per second of those that come close; {best.name} is"
        f" {100 * lead.difference:.1f} points better ({100 * lead.low:+.1f} to"
        f" {100 * lead.high:+.1f}) and takes {best.seconds / chosen.seconds:.1f} times as long"
    )
