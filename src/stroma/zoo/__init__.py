"""Architectures as plain builders: each function makes a `Model`, pretrained if asked."""

from stroma.zoo.convnext import convnext_tiny
from stroma.zoo.densenet import densenet121
from stroma.zoo.efficientnet import efficientnet_b0
from stroma.zoo.mobilenet import mobilenet_v2, mobilenet_v3_small
from stroma.zoo.registry import architectures
from stroma.zoo.resnet import (
    resnet18,
    resnet20,
    resnet32,
    resnet34,
    resnet44,
    resnet50,
    resnet56,
    resnet101,
    resnet110,
    resnet152,
)
from stroma.zoo.small import lenet5, small_cnn
from stroma.zoo.squeezenet import squeezenet1_1
from stroma.zoo.vgg import vgg16
from stroma.zoo.weights import FoundWeights, WeightsEntry, find_local, resolve_weights

__all__ = [
    "resnet18", "resnet34", "resnet50", "resnet101", "resnet152",
    "resnet20", "resnet32", "resnet44", "resnet56", "resnet110",
    "mobilenet_v2", "mobilenet_v3_small", "efficientnet_b0", "vgg16", "densenet121",
    "convnext_tiny", "squeezenet1_1", "lenet5", "small_cnn",
    "architectures", "FoundWeights", "WeightsEntry", "find_local", "resolve_weights",
]  # fmt: skip
