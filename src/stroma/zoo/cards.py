"""What timm and transformers write beside a file of weights: the network, and its preprocessing."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stroma.core.errors import WeightsError
from stroma.core.preprocessing import PREPROCESSING_MODES, Preprocessing

_MOST_BYTES = 1 << 20
_BLOCKS = {  # what transformers calls layer_type, depths -> the builder in the zoo
    ("basic", (2, 2, 2, 2)): "resnet18",
    ("basic", (3, 4, 6, 3)): "resnet34",
    ("bottleneck", (3, 4, 6, 3)): "resnet50",
    ("bottleneck", (3, 4, 23, 3)): "resnet101",
    ("bottleneck", (3, 8, 36, 3)): "resnet152",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Card:
    """What the files beside the weights say.

    Args:
        architecture: Builder in the zoo, or the name the card gives; empty: not said.
        preprocessing: How pictures were turned into numbers; None: not said.
        licence: Terms of the weights; empty: not said.
        source: Who wrote the card: "timm" or "transformers".
    """

    architecture: str = ""
    preprocessing: Preprocessing | None = None
    licence: str = ""
    source: str = ""


def read_card(path: Path) -> Card | None:
    """The card of the weights at `path`: `config.json` and its kin in the same folder.

    Args:
        path: The file of weights; the folder is that of the path as given, since the Hugging Face
            cache keeps links in one folder and contents in another.
    Returns: None where there is none that timm or transformers wrote.
    Raises: WeightsError: the card describes a network that the weights' names do not tell from
        the zoo's, and that computes something else.
    """
    config = _read_json(path.parent / "config.json")
    licence = _licence(path.parent / "README.md")
    if "pretrained_cfg" in config or ("architecture" in config and "num_classes" in config):
        return _of_timm(config, licence)
    if config.get("model_type") == "resnet":
        _check_resnet(config, path)
        depths = tuple(config.get("depths") or ())
        return Card(
            architecture=_BLOCKS.get((config.get("layer_type", "bottleneck"), depths), ""),
            preprocessing=_of_processor(_read_json(path.parent / "preprocessor_config.json")),
            licence=licence,
            source="transformers",
        )
    return None


def _of_timm(config: dict[str, Any], licence: str) -> Card:
    settings = config.get("pretrained_cfg", config)  # before 2022 it was flat
    preprocessing = None
    if "mean" in settings and "std" in settings:
        _, height, width = settings.get("input_size", (3, 224, 224))
        share = settings.get("crop_pct") or 0.875
        preprocessing = Preprocessing(
            size=(height, width), resize=int(min(height, width) / share),
            mean=tuple(settings["mean"]), std=tuple(settings["std"]),
        )  # fmt: skip
    return Card(
        architecture=str(config.get("architecture", "")).partition(".")[0],
        preprocessing=preprocessing,
        licence=str(settings.get("license") or licence),
        source="timm",
    )


def _of_processor(settings: dict[str, Any]) -> Preprocessing | None:
    """transformers' image processor: the shorter side, then the middle of it."""
    if not settings:
        return None
    given = settings.get("size", 224)
    sizes = given if isinstance(given, dict) else {"shortest_edge": given}
    side = sizes.get("shortest_edge")
    size = (sizes["height"], sizes["width"]) if side is None else (side, side)
    # ConvNeXT's processor, which ResNets use, cuts only what is below 384
    crop = settings.get("crop_pct") if side is not None and side < 384 else None
    normal = settings.get("do_normalize", True)
    usual = PREPROCESSING_MODES["torch"]
    return Preprocessing(
        size=size, resize=int(min(size) / crop) if crop else 0,
        scale=settings.get("rescale_factor", 1 / 255) if settings.get("do_rescale", True) else 1.0,
        mean=tuple(settings.get("image_mean", usual.mean)) if normal else (0.0, 0.0, 0.0),
        std=tuple(settings.get("image_std", usual.std)) if normal else (1.0, 1.0, 1.0),
    )  # fmt: skip


def _check_resnet(config: dict[str, Any], path: Path) -> None:
    """Settings that change what is computed, but not one name or shape."""
    wrong = [
        f"{name}={config[name]!r}"
        for name, usual in (("downsample_in_bottleneck", False), ("hidden_act", "relu"))
        if config.get(name, usual) != usual
    ]
    if wrong:
        raise WeightsError(
            f"the weights in {path.name} are of another ResNet: {', '.join(wrong)}",
            where=str(path.parent / "config.json"),
            why="names and shapes would fit, and every answer would be wrong",
            fix="weights of the usual variant: stride on the 3x3 convolution, ReLU",
        )


def _licence(readme: Path) -> str:
    """The `license:` line in the head of a model card."""
    try:
        with readme.open(encoding="utf-8", errors="replace") as file:
            head = file.read(1 << 14)
    except OSError:
        return ""
    front = re.match(r"---\s*\n(.*?)\n---", head, re.DOTALL)
    line = re.search(r"^license:\s*(\S+)\s*$", front[1], re.MULTILINE) if front else None
    return line[1].strip("'\"") if line else ""


def _read_json(path: Path) -> dict[str, Any]:
    """The object in a file; empty where there is none: any folder may hold a config.json."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            return {}
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
