"""Writes `foreign/NAME.json`: ResNets as transformers and timm have them, and what they compute.

Neither is a dependency, of the tests neither. This script wants both, and torchvision, which timm
imports (the operators of its compiled half may be missing):

    pip install --target /tmp/foreign --no-deps transformers timm torchvision huggingface_hub ...
    PYTHONPATH=/tmp/foreign:tests:tests/zoo python tests/zoo/make_foreign_reference.py
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from make_torchvision_reference import declare_operators
from torch import Tensor, nn

from reference_weights import fill, pictures

SHOWN = 20  # numbers of each output
RESNETS = {  # builder -> layer_type, depths, hidden_sizes
    "resnet18": ("basic", [2, 2, 2, 2], [64, 128, 256, 512]),
    "resnet50": ("bottleneck", [3, 4, 6, 3], [256, 512, 1024, 2048]),
}


def shapes(network: nn.Module) -> dict[str, list[int]]:
    return {name: list(tensor.shape) for name, tensor in network.state_dict().items()}


@torch.no_grad()
def outputs(network: nn.Module) -> list[list[float]]:
    fill(network.state_dict())
    found = network.eval()(pictures(64, 64).permute(0, 3, 1, 2))
    logits: Tensor = getattr(found, "logits", found)
    return logits[:, :SHOWN].tolist()


def of_transformers(name: str) -> dict[str, Any]:
    from transformers import ConvNextImageProcessor, ResNetConfig, ResNetForImageClassification

    kind, depths, sizes = RESNETS[name]
    config = ResNetConfig(layer_type=kind, depths=depths, hidden_sizes=sizes, num_labels=1000)
    mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    processor = ConvNextImageProcessor(
        size={"shortest_edge": 224}, crop_pct=0.875, image_mean=mean, image_std=std
    )
    grey = np.full((300, 400, 3), 51, np.uint8)
    seen = np.asarray(processor(grey, return_tensors="np")["pixel_values"][0])
    network = ResNetForImageClassification(config)
    told = config.to_dict()
    for table in ("id2label", "label2id"):  # a thousand lines of no news
        told.pop(table, None)
    return {
        "shapes": shapes(network), "outputs": outputs(network), "config.json": told,
        "preprocessor_config.json": processor.to_dict(),
        "grey 51 becomes": {"shape": list(seen.shape), "pixel": seen[:, 0, 0].tolist()},
    }  # fmt: skip


def of_timm(name: str) -> dict[str, Any]:
    import timm
    from timm.data import create_transform, resolve_data_config
    from timm.models._hub import save_config_for_hf

    network = timm.create_model(f"{name}.a1_in1k", pretrained=False)
    settings = resolve_data_config({}, model=network)
    steps = {type(step).__name__: step for step in create_transform(**settings).transforms}
    with tempfile.TemporaryDirectory() as folder:
        save_config_for_hf(network, Path(folder, "config.json"))
        config = json.loads(Path(folder, "config.json").read_text("utf-8"))
    return {
        "shapes": shapes(network), "outputs": outputs(network), "config.json": config,
        "resize": steps["Resize"].size, "crop": list(steps["CenterCrop"].size),
        "mean": steps["Normalize"].mean.tolist(), "std": steps["Normalize"].std.tolist(),
    }  # fmt: skip


def main() -> None:
    declared = declare_operators()  # kept alive for as long as it is used
    folder = Path(__file__).parent / "foreign"
    folder.mkdir(exist_ok=True)
    for name in RESNETS:
        for library, make in (("transformers", of_transformers), ("timm", of_timm)):
            path = folder / f"{library}-{name}.json"
            path.write_text(json.dumps(make(name), indent=0, default=str) + "\n", "utf-8")
    del declared


if __name__ == "__main__":
    main()
