"""Linear probes: how much of the answer each layer already holds, layer by layer."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from stroma.core.checks import check_number, check_positive_int
from stroma.core.errors import ArgumentError, DataError, ShapeError, WeightsError
from stroma.core.optional import require
from stroma.core.plain import Record
from stroma.explain.subject import Layout, Preprocess, Subject, as_numbers
from stroma.explain.watch import Seen, channels_last, named_layer, run_watched

_AT_ONCE = 64  # pictures
_MOST = 8  # layers that are probed when none are named


@dataclass(frozen=True, kw_only=True, slots=True)
class Probe(Record):
    """How well a linear classifier does on what one layer gives.

    Args:
        layer: Path of the layer.
        features: Numbers it was given for each picture.
        accuracy: On pictures that it was not fitted on, in [0, 1].
        shuffled: The same on the model with its weights in random order: what the architecture
            alone gives.
    """

    layer: str
    features: int
    accuracy: float
    shuffled: float


def linear_probes(
    model: nn.Module,
    images: Any,
    labels: Any,
    layers: Sequence[str] | None = None,
    *,
    grid: int = 2,
    held_out: float = 0.3,
    seed: int = 0,
    preprocessing: Preprocess | None = None,
    layout: Layout | None = None,
) -> list[Probe]:
    """How linearly separable the classes are after each layer: features get more abstract.

    A logistic regression is fitted on each layer's output (maps averaged on a small grid of
    places, every number standardised) and scored on held-out pictures, beside the same for the
    model with shuffled weights: without that control a wide untrained layer would look learnt.

    Args:
        model: Any network or `nn.Module`.
        images: (N, H, W, C) as the model takes them: none that it was trained on.
        labels: (N,) class indices.
        layers: Paths; None: up to eight layers with weights, evenly chosen, first and last among
            them.
        grid: Places along each side that a map is averaged to, >= 1.
        held_out: Share of the pictures that is scored, in (0, 1).
        seed: Of the split and of the shuffling.
        preprocessing: Applied to the pictures first. None: the model's own
            (`model.preprocessing`), if it has one; False: nothing.
        layout: What a plain PyTorch module takes: "NCHW" or "NHWC".
    Returns: A probe for each layer, in order of execution.
    Raises: ShapeError: pictures and labels that do not match. ArgumentError: no such layer.
    Example:
        >>> from stroma import data, zoo
        >>> digits = data.digits().train
        >>> model = zoo.lenet5(input_shape=(16, 16, 1))
        >>> pictures = digits.images(range(300)).repeat(2, axis=1).repeat(2, axis=2)
        >>> probes = linear_probes(model, pictures, digits.labels[:300], ["conv1", "fc2"])
        >>> [(probe.layer, probe.features) for probe in probes]
        [('conv1', 24), ('fc2', 84)]

    Reference: Alain & Bengio 2017, "Understanding intermediate layers using linear classifier
        probes".
    """
    grid = check_positive_int("grid", grid, owner="linear_probes")
    check_number("held_out", held_out, owner="linear_probes", minimum=0, maximum=1, exclusive=True)
    x, y = as_numbers(images, "linear_probes(images)"), np.asarray(labels)
    if x.ndim != 4 or y.shape != (len(x),):
        raise ShapeError(
            f"pictures of shape {tuple(x.shape)} and labels of shape {y.shape}",
            where="linear_probes(images, labels)",
            why="each picture (height, width, channels) needs one class index",
            fix="images (N, H, W, C), labels (N,)",
        )
    subject = Subject(model, preprocessing, layout)
    control = Subject(shuffled(model, seed=seed), preprocessing, layout)
    layers = [layers] if isinstance(layers, str) else layers
    split = _split(y, held_out, seed)
    chosen = _chosen(subject, run_watched(subject, subject.pictures(x[:1])), layers)
    found = [_scores(one, x, y, chosen, grid, split) for one in (subject, control)]
    return [
        Probe(layer=path, features=size, accuracy=ours, shuffled=theirs)
        for path, (size, ours), (_, theirs) in zip(chosen, *found)
    ]


def shuffled(model: nn.Module, layers: Sequence[str] | None = None, *, seed: int = 0) -> nn.Module:
    """A copy of a model whose weights stand in random order: same numbers, nothing learnt.

    Args:
        model: Any `nn.Module`.
        layers: Paths of the layers to shuffle; None: all.
        seed: Of the order.
    Raises: ArgumentError: no such layer.
    Example:
        >>> from stroma import zoo
        >>> model = zoo.lenet5()
        >>> other = shuffled(model)
        >>> ours, theirs = (net.conv1.get_weights()[0].ravel() for net in (model, other))
        >>> bool((ours == theirs).all()), bool((np.sort(ours) == np.sort(theirs)).all())
        (False, True)

    Reference: Adebayo et al. 2018, "Sanity checks for saliency maps": a map that does not change
        with the weights explains nothing.
    """
    layers = [layers] if isinstance(layers, str) else layers
    twin = copy.deepcopy(model)
    modules = dict(twin.named_modules())
    if unknown := [path for path in layers or () if path not in modules]:
        raise ArgumentError(
            f"there is no layer {unknown[0]!r}",
            where="shuffled(layers=...)",
            why="layers are named by their path in the model",
            fix=f"such as: {', '.join(list(modules)[-8:])}",
        )
    draws = torch.Generator().manual_seed(seed)
    done: set[int] = set()
    with torch.no_grad():
        for module in modules.values() if layers is None else [modules[path] for path in layers]:
            for weight in module.parameters():
                if weight.ndim > 1 and id(weight) not in done:  # a shared one once
                    done.add(id(weight))
                    order = torch.randperm(weight.numel(), generator=draws).to(weight.device)
                    weight.copy_(weight.flatten()[order].view_as(weight))
    return twin


def _chosen(subject: Subject, calls: list[Seen], names: Sequence[str] | None) -> list[str]:
    if names is not None:
        return [named_layer(subject, calls, name).path for name in names]
    learnt = [
        call.path
        for call in calls
        if call.output.ndim in (2, 4)
        and any(weight.ndim > 1 for weight in call.module.parameters(recurse=False))
    ]
    learnt = list(dict.fromkeys(learnt))
    if not learnt:
        raise ArgumentError(
            f"{type(subject.model).__name__} has no layer with weights",
            where="linear_probes(layers=None)",
            why="there is nothing learnt to look at",
            fix='name layers: linear_probes(..., layers=["conv1", "fc"])',
        )
    places = np.linspace(0, len(learnt) - 1, min(len(learnt), _MOST)).round().astype(int)
    return [learnt[place] for place in places]


def _split(labels: np.ndarray, held_out: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    order = np.random.default_rng(seed).permutation(len(labels))
    cut = round(len(labels) * held_out)
    if not cut or len(np.unique(labels[order[cut:]])) < 2:
        raise DataError(
            f"{len(labels)} pictures of {len(np.unique(labels))} classes cannot be probed",
            where=f"linear_probes(images, labels, held_out={held_out})",
            why="a classifier is fitted on some, of two classes or more, and scored on the others",
            fix="give pictures of at least two classes, some dozen of each",
        )
    return order[cut:], order[:cut]


def _scores(
    subject: Subject,
    x: torch.Tensor,
    y: np.ndarray,
    paths: Sequence[str],
    grid: int,
    split: tuple[np.ndarray, np.ndarray],
) -> list[tuple[int, float]]:
    """(numbers for each picture, accuracy) of each layer."""
    parts: dict[str, list[np.ndarray]] = {path: [] for path in paths}
    for start in range(0, len(x), _AT_ONCE):
        some = subject.pictures(x[start : start + _AT_ONCE], start)
        last = {call.path: call for call in run_watched(subject, some)}
        for path in paths:
            parts[path].append(_features(last[path].output, grid))
    linear = require("sklearn.linear_model")  # on use: a second and more to import
    fit, judge = split
    found = []
    for path in paths:
        rows = np.concatenate(parts[path])
        if not np.isfinite(rows).all():
            raise WeightsError(
                f"layer {path!r} gives NaN or infinity",
                where=f"linear_probes, picture {int(np.isfinite(rows).all(1).argmin())}",
                why="no classifier can be fitted on what is no number",
                fix="load weights that are whole, or look at how the pictures are prepared",
            )
        mean, deviation = rows[fit].mean(0), rows[fit].std(0)
        rows = (rows - mean) / np.where(deviation > 0, deviation, 1)
        probe = linear.LogisticRegression(max_iter=2000).fit(rows[fit], y[fit])
        found.append((rows.shape[1], float((probe.predict(rows[judge]) == y[judge]).mean())))
    return found


def _features(output: torch.Tensor, grid: int) -> np.ndarray:
    """A map averaged on a grid of places, or a vector, as rows of float64."""
    if output.ndim == 4:
        size = min(grid, output.shape[1]), min(grid, output.shape[2])
        pooled = F.adaptive_avg_pool2d(output.permute(0, 3, 1, 2).float(), size)  # (B, C, h, w)
        output = channels_last(pooled, "NCHW").flatten(1)
    rows: np.ndarray = output.double().cpu().numpy()
    return rows
