"""Writes `torchvision/NAME.json`: what torchvision's own networks are and compute.

torchvision has no build for every torch, so it is no dependency, of the tests neither. This script
wants it; the operators of its compiled half, which no classifier uses, may be missing:

    pip download torchvision --no-deps -d /tmp/tv && unzip -q /tmp/tv/torchvision*.whl -d /tmp/tv
    PYTHONPATH=/tmp/tv:tests python tests/zoo/make_torchvision_reference.py
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import nn

from reference_weights import fill, pictures

NAMES = (
    "mobilenet_v2", "mobilenet_v3_small", "efficientnet_b0", "vgg16", "densenet121",
    "convnext_tiny",
)  # fmt: skip
SIZES = ((64, 64), (71, 90))
_OPERATORS = (
    "roi_align _roi_align_backward ps_roi_align _ps_roi_align_backward roi_pool _roi_pool_backward"
    " ps_roi_pool _ps_roi_pool_backward nms qnms qroi_align deform_conv2d _deform_conv2d_backward"
)


def declare_operators() -> torch.library.Library:
    """Names of the compiled operators, without the operators."""
    library = torch.library.Library("torchvision", "DEF")
    for name in _OPERATORS.split():
        library.define(f"{name}(Tensor x) -> Tensor")
    return library


def settings(network: nn.Module) -> dict[str, list[float]]:
    """By module: (epsilon, momentum) of normalisations, (rate,) of what drops."""
    found = {}
    for name, module in network.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            found[name] = [module.eps, module.momentum]
        elif isinstance(module, nn.LayerNorm):
            found[name] = [module.eps]
        elif type(module).__name__ in ("Dropout", "StochasticDepth"):
            found[name] = [module.p]
    return found


def describe(network: nn.Module) -> dict[str, object]:
    """Names, shapes, settings, size of first weights; outputs and gradients with known weights."""
    network.eval()
    state = network.state_dict()
    first = {
        key: float(f"{value.std().item():.3g}")
        for key, value in state.items()
        if value.dim() in (2, 4) and value.numel() >= 2000
    }
    fill(state)
    outputs = {}
    for size in SIZES:
        with torch.no_grad():
            logits = network(pictures(*size).movedim(-1, 1))
        outputs[f"{size[0]}x{size[1]}"] = [
            [round(x, 6) for x in row[:5].tolist()] for row in logits
        ]
    logits = network(pictures(*SIZES[0]).movedim(-1, 1))
    logits.square().mean().backward()
    return {
        "shapes": {key: list(value.shape) for key, value in state.items()},
        "settings": settings(network),
        "first_deviation": first,
        "outputs": outputs,
        "gradients": {
            key: float(f"{parameter.grad.norm().item():.5g}")
            for key, parameter in network.named_parameters()
        },
    }


if __name__ == "__main__":
    library = declare_operators()
    import torchvision

    for name in NAMES:
        torch.manual_seed(0)
        described = describe(getattr(torchvision.models, name)())
        described["made_by"] = f"torchvision {torchvision.__version__}, torch {torch.__version__}"
        path = Path(__file__).parent / "torchvision" / f"{name}.json"
        path.write_text(json.dumps(described, separators=(",", ":")) + "\n")
        print(path, path.stat().st_size)
