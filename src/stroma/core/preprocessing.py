"""How pictures must be turned into numbers for a given set of weights.

This belongs to the weights, not to the architecture, and travels with the model: the same network
asked with other numbers than it was trained on is quietly wrong.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from stroma.core.checks import check_choice, check_number, check_positive_int, check_tuple
from stroma.core.errors import ArgumentError, ShapeError

Triple = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Preprocessing:
    """Pixels 0 to 255 into a network's input: y = (x * scale - mean) / std, channel by channel.

    Args:
        size: (height, width) the network sees, pixels.
        resize: Shorter side of the picture before its centre is cut out, pixels; 0: as `size`.
        scale: Factor on pixels, first of all; above 0.
        mean: Subtracted after `scale`, one per channel, in the order of `color`.
        std: Divided by, one per channel; above 0.
        color: Order of the channels the network was trained with; pictures come as "rgb".

    Shape: (B, H, W, 3) -> (B, H, W, 3)
    Raises: ArgumentError: a number outside its range.

    Example:
        >>> white = torch.full((1, 1, 1, 3), 255, dtype=torch.uint8)
        >>> PREPROCESSING_MODES["tf"](white).flatten().tolist()
        [1.0, 1.0, 1.0]
    """

    size: tuple[int, int] = (224, 224)
    resize: int = 0
    scale: float = 1 / 255
    mean: Triple = (0.0, 0.0, 0.0)
    std: Triple = (1.0, 1.0, 1.0)
    color: Literal["rgb", "bgr"] = "rgb"

    def __post_init__(self) -> None:
        owner = "Preprocessing"
        check_choice("color", self.color, ("rgb", "bgr"), owner=owner)
        _set(self, "size", check_tuple("size", self.size, 2, owner=owner))
        if self.resize:
            check_positive_int("resize", self.resize, owner=owner)
        check_number("scale", self.scale, owner=owner, minimum=0, exclusive=True)
        for name, minimum in (("mean", -float("inf")), ("std", 0.0)):
            numbers = tuple(getattr(self, name))
            if len(numbers) != 3:
                raise ArgumentError(
                    f"Preprocessing: {name} must have 3 numbers, got {numbers}",
                    where=f"Preprocessing({name}=...)",
                    why="there is one for each of the colours red, green and blue",
                    fix=f"Preprocessing({name}=(a, b, c))",
                )
            checked = [
                check_number(name, number, owner=owner, minimum=minimum, exclusive=True)
                for number in numbers
            ]
            _set(self, name, tuple(checked))

    def __call__(self, images: Any) -> Tensor:
        """`images`, 0 to 255 in RGB (array or tensor of any number type), as float32 input."""
        pixels = torch.as_tensor(images)
        if pixels.ndim < 1 or pixels.shape[-1] != 3:
            raise ShapeError(
                f"Preprocessing: the last axis must hold 3 colours, got {tuple(pixels.shape)}",
                where="Preprocessing(...)(images)",
                why="pictures are (batch, height, width, channels)",
                fix="images.permute(0, 2, 3, 1) for (batch, channels, height, width)",
            )
        if self.color == "bgr":
            pixels = pixels.flip(-1)
        mean, std = (torch.tensor(n, device=pixels.device) for n in (self.mean, self.std))
        return (pixels.to(torch.float32) * self.scale - mean) / std

    def to_dict(self) -> dict[str, Any]:
        """Plain data; `Preprocessing(**data)` makes an equal object."""
        return asdict(self)


def _set(record: Preprocessing, name: str, value: Any) -> None:
    object.__setattr__(record, name, value)  # the dataclass is frozen, this runs while it is made


# The three conventions of pretrained networks, under Keras' names for them
PREPROCESSING_MODES = {
    "torch": Preprocessing(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
    "caffe": Preprocessing(scale=1.0, mean=(103.939, 116.779, 123.68), color="bgr"),
    "tf": Preprocessing(scale=1 / 127.5, mean=(1.0, 1.0, 1.0)),
}
