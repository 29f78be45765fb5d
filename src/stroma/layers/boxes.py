"""Bounding boxes beside pictures."""

from __future__ import annotations

from typing import Any, Unpack

import torch.nn.functional as F

from stroma.core.checks import check_int, check_positive_int
from stroma.core.layer import Layer, LayerOptions
from stroma.layers.arguments import check_data_format
from stroma.layers.registry import register_layer


@register_layer("MaxNumBoundingBoxes")
class MaxNumBoundingBoxes(Layer):
    """Give every picture the same number of bounding boxes: cut off, or fill up.

    Args:
        max_number: Boxes of each picture afterwards, >= 1.
        fill_value: The whole number that boxes and labels are filled up with.
        bounding_box_format: How boxes are written, e.g. "xyxy": for files only, since filling up
            is the same for all.
        data_format: "channels_last" (default) or "channels_first": for files only.
    Shape: (B, *) -> (B, *): a tensor stays as it is; in a dictionary "bounding_boxes", which is
        {"boxes": (B, N, 4), "labels": (B, N)}, comes out as (B, max_number, 4), (B, max_number).
    Raises: ArgumentError: fewer than one box.
    Example:
        >>> from stroma import layers
        >>> boxes = {"boxes": torch.ones(1, 1, 4), "labels": torch.ones(1, 1)}
        >>> data = {"images": torch.zeros(1, 8, 8, 3), "bounding_boxes": boxes}
        >>> layers.MaxNumBoundingBoxes(3)(data)["bounding_boxes"]["labels"]
        tensor([[ 1., -1., -1.]])

    Reference: Keras 3 `keras.layers.MaxNumBoundingBoxes`. Augmentations of stroma do not move
        boxes.
    """

    receptive = None

    def __init__(
        self,
        max_number: int,
        fill_value: int = -1,
        *,
        bounding_box_format: str | None = None,
        data_format: str | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**options)
        owner = "MaxNumBoundingBoxes"
        self.max_number = check_positive_int("max_number", max_number, owner=owner)
        self.fill_value = check_int("fill_value", fill_value, owner=owner)
        self.bounding_box_format = bounding_box_format
        self.data_format = check_data_format(data_format, owner=owner)

    def call(self, inputs: Any) -> Any:
        if not isinstance(inputs, dict) or "bounding_boxes" not in inputs:
            return inputs
        boxes, labels = (inputs["bounding_boxes"][key] for key in ("boxes", "labels"))
        missing = max(self.max_number - labels.shape[-1], 0)
        boxes = F.pad(boxes[..., : self.max_number, :], (0, 0, 0, missing), value=self.fill_value)
        labels = F.pad(labels[..., : self.max_number], (0, missing), value=self.fill_value)
        filled = {**inputs["bounding_boxes"], "boxes": boxes, "labels": labels}
        return {**inputs, "bounding_boxes": filled}
