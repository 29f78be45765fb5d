"""Explanations on the pixels themselves: integrated gradients and occlusion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from stroma.core.checks import check_positive_int, check_tuple
from stroma.core.errors import ArgumentError
from stroma.explain.explanation import FACTS, Explanation
from stroma.explain.subject import (
    Layout,
    Preprocess,
    Subject,
    Target,
    as_array,
    as_colour,
    choose_class,
)

_AT_ONCE = 32  # pictures


def integrated_gradients(
    model: nn.Module,
    image: Any,
    target: Target = None,
    *,
    baseline: Any = 0.0,
    steps: int = 64,
    class_names: Sequence[str] | None = None,
    preprocessing: Preprocess | None = None,
    layout: Layout | None = None,
) -> Explanation:
    """By how much each pixel moved a class score, on the way from a baseline picture.

    IG_i = (x_i - b_i) * integral over t in [0, 1] of dS/dx_i at b + t (x - b), by Gauss-Legendre
    quadrature; the map is the sum over channels. The whole map adds up to S(x) - S(b): how far
    it is from that is `details["gap"]`, and more `steps` make it smaller.

    Args:
        model: Any network or `nn.Module` that gives one score for each class.
        image: The picture as the model takes it, (H, W, C) or (1, H, W, C).
        target: Class by index or name; None: the most probable.
        baseline: What counts as no picture: a number, one for each channel, or a picture. The
            default, 0, is black for pixels and the mean colour for normalised ones.
        steps: Points of the quadrature, >= 1.
        class_names: Names in the order of the outputs.
        preprocessing: Applied to the picture (and the baseline) first. None: the model's own
            (`model.preprocessing`), if it has one; False: nothing.
        layout: What a plain PyTorch module takes: "NCHW" or "NHWC".
    Shape: (H, W, C) -> map (H, W), signed
    Raises: GraphError: no gradient reaches the pixels. ShapeError: the baseline does not fit.
    Example:
        >>> from stroma import zoo
        >>> found = integrated_gradients(zoo.small_cnn(), np.ones((32, 32, 3)), target=3)
        >>> moved = found.details["score"] - found.details["baseline_score"]
        >>> bool(abs(found.map.sum() - moved) < 0.01 * max(abs(moved), 1))
        True

    Reference: Sundararajan, Taly & Yan 2017, "Axiomatic attribution for deep networks", eq. 1;
        there with a plain sum of 20 to 300 steps.
    """
    steps = check_positive_int("steps", steps, owner="integrated_gradients")
    subject = Subject(model, preprocessing, layout)
    x = subject.picture(image)
    start = as_colour("baseline", baseline, x, "integrated_gradients(baseline=...)")
    with subject.inference(gradients=False):
        answer = subject.run(x)
        index, name = choose_class(target, answer, class_names)
        ends = float(answer.score(index)[0]), float(subject.run(start).score(index)[0])
    total = _integral(subject, x, start, index, steps)
    values = ((x - start).double() * total).sum(-1)[0]
    return Explanation(
        map=as_array(values), layer="", class_index=index, class_name=name,
        probability=answer.probability(index), method="integrated_gradients",
        limits=FACTS["integrated_gradients"].limits, image=as_array(x[0]),
        details={
            "score": ends[0], "baseline_score": ends[1],
            "gap": float(values.sum()) - (ends[0] - ends[1]),
        },
    )  # fmt: skip


def _integral(subject: Subject, x: Tensor, start: Tensor, index: int, steps: int) -> Tensor:
    """The mean gradient of the class score on the straight line from `start` to `x`, float64."""
    at, weights = np.polynomial.legendre.leggauss(steps)
    total = torch.zeros_like(x, dtype=torch.float64)
    with subject.inference(gradients=True):
        for first in range(0, steps, _AT_ONCE):
            part = slice(first, first + _AT_ONCE)
            t = torch.as_tensor((at[part] + 1) / 2).to(x).reshape(-1, 1, 1, 1)
            points = (start + t * (x - start)).requires_grad_()
            score = subject.run(points).score(index)
            gradient = subject.gradient(score, points, "the pixels")
            share = torch.as_tensor(weights[part] / 2, device=x.device)
            total += torch.einsum("b,bhwc->hwc", share, gradient.double())
    return total


def occlusion(
    model: nn.Module,
    image: Any,
    target: Target = None,
    *,
    patch: int | tuple[int, int] | None = None,
    stride: int | tuple[int, int] | None = None,
    fill: Any = "mean",
    class_names: Sequence[str] | None = None,
    preprocessing: Preprocess | None = None,
    layout: Layout | None = None,
) -> Explanation:
    """How a class score falls when a patch is covered, patch by patch. Needs no gradients.

    A pixel's value is the mean of S(x) - S(x covered) over the patches that cover it.

    Args:
        model: Any network or `nn.Module` that gives one score for each class.
        image: The picture as the model takes it, (H, W, C) or (1, H, W, C).
        target: Class by index or name; None: the most probable.
        patch: (height, width) of the cover, pixels, >= 1; None: an eighth of the sides.
        stride: Step between patches, 1 to `patch`; None: half of it.
        fill: What covers: "mean" (of the picture, by channel), a number, one for each channel, or
            a picture that shows through.
        class_names: Names in the order of the outputs.
        preprocessing: Applied to each covered picture. None: the model's own
            (`model.preprocessing`), if it has one; False: nothing.
        layout: What a plain PyTorch module takes: "NCHW" or "NHWC".
    Shape: (H, W, C) -> map (H, W), signed
    Raises: ArgumentError: a patch larger than the picture, or steps that leave gaps.
    Example:
        >>> from stroma import zoo
        >>> occlusion(zoo.small_cnn(), np.zeros((32, 32, 3)), target=3).map.shape
        (32, 32)

    Reference: Zeiler & Fergus 2014, section 4.2, who plot the probability; the score before the
        softmax also moves where the network is sure.
    """
    subject = Subject(model, preprocessing, layout)
    x = subject.picture(image)
    size = int(x.shape[1]), int(x.shape[2])
    cover, step = _patch_and_stride(patch, stride, size)
    fill = x.mean((0, 1, 2)) if isinstance(fill, str) and fill == "mean" else fill
    pixels = as_colour("cover", fill, x, "occlusion(fill=...)")[0]
    corners = [
        (top, left)
        for top in _starts(size[0], cover[0], step[0])
        for left in _starts(size[1], cover[1], step[1])
    ]
    falls = torch.zeros(size, dtype=torch.float64, device=x.device)
    counts = torch.zeros_like(falls)
    with subject.inference(gradients=False):
        answer = subject.run(x)
        index, name = choose_class(target, answer, class_names)
        score = float(answer.score(index)[0])
        for first in range(0, len(corners), _AT_ONCE):
            some = corners[first : first + _AT_ONCE]
            covered = x.repeat(len(some), 1, 1, 1)
            for number, (top, left) in enumerate(some):
                spot = slice(top, top + cover[0]), slice(left, left + cover[1])
                covered[number][spot] = pixels[spot]
            scores = subject.run(covered).score(index).tolist()
            for (top, left), found in zip(some, scores):
                falls[top : top + cover[0], left : left + cover[1]] += score - found
                counts[top : top + cover[0], left : left + cover[1]] += 1
    return Explanation(
        map=as_array(falls / counts), layer="", class_index=index, class_name=name,
        probability=answer.probability(index), method="occlusion", limits=FACTS["occlusion"].limits,
        image=as_array(x[0]),
        details={"score": score, "patch_height": cover[0], "patch_width": cover[1]},
    )  # fmt: skip


def _patch_and_stride(
    patch: Any, stride: Any, size: tuple[int, int]
) -> tuple[tuple[int, int], tuple[int, int]]:
    wanted = tuple(max(side // 8, 1) for side in size) if patch is None else patch
    cover = check_tuple("patch", wanted, 2, owner="occlusion")
    halves = tuple(max(side // 2, 1) for side in cover)
    step = check_tuple("stride", halves if stride is None else stride, 2, owner="occlusion")
    if any(c > s for c, s in zip(cover, size)) or any(s > c for s, c in zip(step, cover)):
        raise ArgumentError(
            f"occlusion: patches of {cover} in steps of {step} on a picture of {size}",
            where="occlusion(patch=..., stride=...)",
            why="a patch must fit into the picture, and steps may leave no pixel uncovered",
            fix=f"patch={tuple(max(side // 8, 1) for side in size)}, stride=None",
        )
    return (cover[0], cover[1]), (step[0], step[1])


def _starts(side: int, cover: int, step: int) -> list[int]:
    """Where patches begin; the last one ends at the edge."""
    return [*range(0, side - cover, step), side - cover]
