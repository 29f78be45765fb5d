"""Class activation maps: Grad-CAM, Grad-CAM++ and HiRes-CAM, on any layer with a spatial map."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from stroma.explain.explanation import FACTS, Explanation
from stroma.explain.subject import (
    Layout,
    Preprocess,
    Subject,
    Target,
    as_array,
    choose_class,
)
from stroma.explain.watch import catching, spatial_layer

# Of a layer's map A and the gradient G of the class score by it, both (H, W, C).
_Combine = Callable[[Tensor, Tensor], Tensor]


def gradcam(
    model: nn.Module,
    image: Any,
    target: Target = None,
    *,
    layer: str | None = None,
    class_names: Sequence[str] | None = None,
    preprocessing: Preprocess | None = None,
    layout: Layout | None = None,
) -> Explanation:
    """Where a layer's features that speak for a class are: Grad-CAM.

    L = ReLU(sum_k w_k A_k) with w_k the mean over places of dS/dA_k, where A is the layer's map
    and S the class score before the softmax.

    Args:
        model: Any network or `nn.Module` that gives one score for each class.
        image: The picture, (H, W, C) or (1, H, W, C), array or tensor, or the path of one: as
            `preprocessing` takes it, else as the model does.
        target: Class by index, or by name where `class_names` is given; None: the most probable.
        layer: Path of a layer with a spatial map; None: the last one (named in the result).
        class_names: Names in the order of the outputs.
        preprocessing: Applied to the picture first. None: the model's own
            (`model.preprocessing`), if it has one; False: nothing.
        layout: What a plain PyTorch module takes: "NCHW" or "NHWC".
    Shape: (H, W, C) -> map (h, w) of the layer's size
    Raises: GraphError: no layer has a map, or no gradient reaches it. ArgumentError: no such
        layer or class. ShapeError: more than one picture, or an output that is no class scores.
    Example:
        >>> from stroma import zoo
        >>> found = gradcam(zoo.small_cnn(), np.zeros((32, 32, 3)), target=3)
        >>> found.layer, found.map.shape
        ('stage3.1.relu', (8, 8))

    Reference: Selvaraju et al. 2017, "Grad-CAM", eq. 1 and 2.
    """
    options = (target, layer, class_names, preprocessing, layout)
    return _explain("gradcam", _gradcam, model, image, *options)


def gradcam_plus_plus(
    model: nn.Module,
    image: Any,
    target: Target = None,
    *,
    layer: str | None = None,
    class_names: Sequence[str] | None = None,
    preprocessing: Preprocess | None = None,
    layout: Layout | None = None,
) -> Explanation:
    """Grad-CAM whose weights do better where a class appears more than once: Grad-CAM++.

    w_k = sum_ij alpha_kij ReLU(g_kij) with alpha = g^2 / (2 g^2 + g^3 sum_ab A_kab) and
    g = dS/dA; the paper's weights for Y = exp(S), whose constant factor exp(S) is left out.

    Args:
        model: Any network or `nn.Module` that gives one score for each class.
        image: The picture as the model takes it, (H, W, C) or (1, H, W, C).
        target: Class by index or name; None: the most probable.
        layer: Path of a layer with a spatial map; None: the last one.
        class_names: Names in the order of the outputs.
        preprocessing: Applied to the picture first. None: the model's own
            (`model.preprocessing`), if it has one; False: nothing.
        layout: What a plain PyTorch module takes: "NCHW" or "NHWC".
    Shape: (H, W, C) -> map (h, w) of the layer's size
    Raises: as `gradcam`.
    Example:
        >>> from stroma import zoo
        >>> gradcam_plus_plus(zoo.small_cnn(), np.zeros((32, 32, 3))).map.shape
        (8, 8)

    Reference: Chattopadhay et al. 2018, "Grad-CAM++", eq. 10 and 19.
    """
    options = (target, layer, class_names, preprocessing, layout)
    return _explain("gradcam_plus_plus", _gradcam_plus_plus, model, image, *options)


def hires_cam(
    model: nn.Module,
    image: Any,
    target: Target = None,
    *,
    layer: str | None = None,
    class_names: Sequence[str] | None = None,
    preprocessing: Preprocess | None = None,
    layout: Layout | None = None,
) -> Explanation:
    """Where a layer's values themselves add to a class score: HiRes-CAM.

    L = ReLU(sum_k dS/dA_k * A_k), place by place, with no average over the gradient: a place
    that the score does not depend on gets nothing, which Grad-CAM does not promise.

    Args:
        model: Any network or `nn.Module` that gives one score for each class.
        image: The picture as the model takes it, (H, W, C) or (1, H, W, C).
        target: Class by index or name; None: the most probable.
        layer: Path of a layer with a spatial map; None: the last one.
        class_names: Names in the order of the outputs.
        preprocessing: Applied to the picture first. None: the model's own
            (`model.preprocessing`), if it has one; False: nothing.
        layout: What a plain PyTorch module takes: "NCHW" or "NHWC".
    Shape: (H, W, C) -> map (h, w) of the layer's size
    Raises: as `gradcam`.
    Example:
        >>> from stroma import zoo
        >>> hires_cam(zoo.small_cnn(), np.zeros((32, 32, 3))).map.shape
        (8, 8)

    Reference: Draelos & Carin 2020, "Use HiResCAM instead of Grad-CAM"; the ReLU, which shows
        evidence for the class alone, is Grad-CAM's.
    """
    options = (target, layer, class_names, preprocessing, layout)
    return _explain("hires_cam", _hires_cam, model, image, *options)


def _gradcam(A: Tensor, G: Tensor) -> Tensor:
    return (G.mean((0, 1)) * A).sum(-1).relu()  # (H, W)


def _gradcam_plus_plus(A: Tensor, G: Tensor) -> Tensor:
    below = 2 * G**2 + G**3 * A.sum((0, 1))
    alpha = torch.where(below != 0, G**2 / torch.where(below != 0, below, 1), 0)
    weights = (alpha * G.relu()).sum((0, 1))
    return (weights * A).sum(-1).relu()  # (H, W)


def _hires_cam(A: Tensor, G: Tensor) -> Tensor:
    return (G * A).sum(-1).relu()  # (H, W)


def _explain(
    method: str,
    combine: _Combine,
    model: nn.Module,
    image: Any,
    target: Target,
    layer: str | None,
    class_names: Sequence[str] | None,
    preprocessing: Preprocess | None,
    layout: Layout | None,
) -> Explanation:
    subject = Subject(model, preprocessing, layout)
    x = subject.picture(image)
    seen = spatial_layer(subject, x, layer)
    with subject.inference(gradients=True), catching(subject, seen.path, cut=True) as leaves:
        answer = subject.run(x)
        index, name = choose_class(target, answer, class_names)
        score = answer.score(index)
        gradient = subject.gradient(score, leaves[-1], f"layer {seen.path!r}")
    values = combine(leaves[-1][0].detach().float(), gradient[0].float())
    return Explanation(
        map=as_array(values), layer=seen.path, class_index=index, class_name=name,
        probability=answer.probability(index), method=method, limits=FACTS[method].limits,
        image=as_array(x[0]), details={"score": float(score.detach()[0])},
    )  # fmt: skip
