"""The table of pretrained weights: what exists, where it comes from, how it is recognised."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from stroma.core.preprocessing import PREPROCESSING_MODES, Preprocessing

_TORCHVISION = "https://download.pytorch.org/models/"
_AKAMASTER = "https://github.com/akamaster/pytorch_resnet_cifar10/raw/master/pretrained_models/"


@dataclass(frozen=True, kw_only=True, slots=True)
class WeightsEntry:
    """One file of pretrained weights.

    Args:
        architecture: The builder in `stroma.zoo` that these weights fit ("resnet18").
        tag: What they were trained on, and which recipe ("imagenet-v1").
        file: File name; it ends in the first digits of its SHA-256, as PyTorch's hub has it.
        url: Address to fetch it from; empty: only used where it already lies.
        megabytes: Size, 10^6 bytes, to three digits. The hash is what is checked.
        hash_prefix: First digits of the file's SHA-256.
        classes: Classes of the head.
        preprocessing: How its pictures were turned into numbers.
        licence: Terms of the file.
        source: Who trained it.
        hub: Repository on the Hugging Face hub with the same weights; looked for in its cache.
    """

    architecture: str
    tag: str
    file: str
    url: str
    megabytes: float
    hash_prefix: str
    classes: int
    preprocessing: Preprocessing
    licence: str
    source: str
    hub: str = ""

    @property
    def name(self) -> str:
        """`"resnet18:imagenet-v1"`."""
        return f"{self.architecture}:{self.tag}"


def _torchvision(
    architecture: str,
    digits: str,
    megabytes: float,
    *,
    tag: str = "imagenet-v1",
    resize: int = 256,
    stem: str = "",
    hub: str = "",
) -> WeightsEntry:
    file = f"{stem or architecture}-{digits}.pth"
    return WeightsEntry(
        architecture=architecture,
        tag=tag,
        file=file,
        url=_TORCHVISION + file,
        megabytes=megabytes,
        hash_prefix=digits,
        classes=1000,
        preprocessing=replace(PREPROCESSING_MODES["torch"], resize=resize),
        licence="BSD-3-Clause (torchvision); trained on ImageNet, whose terms are its own",
        source="https://github.com/pytorch/vision",
        hub=hub,
    )


def _cifar10(depth: int, digits: str, megabytes: float) -> WeightsEntry:
    file = f"resnet{depth}-{digits}.th"
    return WeightsEntry(
        architecture=f"resnet{depth}",
        tag="cifar10",
        file=file,
        url=_AKAMASTER + file,
        megabytes=megabytes,
        hash_prefix=digits,
        classes=10,
        preprocessing=replace(PREPROCESSING_MODES["torch"], size=(32, 32)),
        licence="BSD-2-Clause",
        source="https://github.com/akamaster/pytorch_resnet_cifar10",
    )


# The evaluation crops of the two recipes: 224 of 256 (v1), 224 of 232 (v2)
_V2: dict[str, Any] = {"tag": "imagenet-v2", "resize": 232}
# The order is the order of choice for frozen features: "imagenet" means the first line of an
# architecture. v1 comes before v2 because v2's long recipe (label smoothing, mixing) gives features
# that a linear head separates less well, while a fine-tuned network keeps what v2 has gained
# (Kornblith et al. 2021, "Why Do Better Loss Functions Lead to Less Transferable Features?").
TABLE: tuple[WeightsEntry, ...] = (
    _torchvision("resnet18", "f37072fd", 46.8, hub="timm/resnet18.tv_in1k"),
    _torchvision("resnet34", "b627a593", 87.3, hub="timm/resnet34.tv_in1k"),
    _torchvision("resnet50", "0676ba61", 103, hub="timm/resnet50.tv_in1k"),
    _torchvision("resnet50", "11ad3fa6", 103, **_V2, hub="timm/resnet50.tv2_in1k"),
    _torchvision("resnet101", "63fe2227", 179, hub="timm/resnet101.tv_in1k"),
    _torchvision("resnet101", "cd907fc2", 179, **_V2, hub="timm/resnet101.tv2_in1k"),
    _torchvision("resnet152", "394f9c45", 242, hub="timm/resnet152.tv_in1k"),
    _torchvision("resnet152", "f82ba261", 242, **_V2, hub="timm/resnet152.tv2_in1k"),
    _torchvision("squeezenet1_1", "b8a52dc0", 4.96),
    replace(
        _torchvision("squeezenet1_1", "c462713d", 2.48, tag="imagenet-v1-fp16"),
        file="squeezenet1_1-imagenet-fp16.safetensors",
        url="",
        licence="BSD-3-Clause (ncnn-assets); trained on ImageNet, whose terms are its own",
        source="https://github.com/nihui/ncnn-assets",
    ),
    _torchvision("mobilenet_v2", "b0353104", 14.2),
    _torchvision("mobilenet_v2", "7ebf99e0", 14.3, **_V2),
    _torchvision("mobilenet_v3_small", "047dcff4", 10.3),
    # torchvision prepared these pictures by bicubic resizing, all others by bilinear
    _torchvision("efficientnet_b0", "7f5810bc", 21.4, stem="efficientnet_b0_rwightman"),
    _torchvision("vgg16", "397923af", 553),
    _torchvision("densenet121", "a639ec97", 32.3),
    _torchvision("convnext_tiny", "983f1562", 114, resize=236),
    _cifar10(20, "12fca82f", 1.10),
    _cifar10(32, "d509ac18", 1.89),
    _cifar10(44, "014dd654", 2.68),
    _cifar10(56, "4bfd9763", 3.47),
    _cifar10(110, "1d1ed7c2", 7.03),
)
