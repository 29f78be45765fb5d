"""Keras' path of ResNet-50 on its own; see `stroma.applications.resnet`."""

from stroma.applications.resnet import ResNet50, decode_predictions, preprocess_input

__all__ = ["ResNet50", "decode_predictions", "preprocess_input"]
