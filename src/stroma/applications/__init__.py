"""Keras' applications under Keras' names."""

from stroma.applications.densenet import DenseNet121
from stroma.applications.efficientnet import EfficientNetB0
from stroma.applications.inception_v3 import InceptionV3
from stroma.applications.mobilenet_v2 import MobileNetV2
from stroma.applications.resnet import ResNet50, ResNet101, ResNet152
from stroma.applications.xception import Xception

__all__ = [
    "ResNet50", "ResNet101", "ResNet152",
    "MobileNetV2", "EfficientNetB0", "DenseNet121", "Xception", "InceptionV3",
]  # fmt: skip
