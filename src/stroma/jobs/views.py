"""`RandomView`: what a photo is seen as in training."""

from __future__ import annotations

import math
from typing import Any, Unpack

import torch
import torch.nn.functional as F
from torch import Tensor

from stroma.core.layer import Layer, LayerOptions


class RandomView(Layer):
    """One random look at each picture: a window, stretched, turned and mirrored by one sampling.

    The window covers a share of the picture's sides drawn from `visible` (one draw for the scale,
    one for the aspect ratio), lies at a random place, and is seen at `size` pixels. Chained
    augmentation layers would sample the picture once each; on a CPU that is what costs. In
    inference pictures pass whole, at the size they have: larger than in training, as Touvron et
    al. found right, since windows enlarge what they show.

    A view that only shifts and mirrors moves by whole pixels: sampling between them would blur
    what the network sees in training, and small pictures are sharp when it is asked.

    It belongs to training and is never part of a model that ships.

    Args:
        size: (height, width) of the views, pixels.
        visible: Bounds of the share of each side that is seen; above 1 shows a border.
        stretch: Largest ratio between the enlargement of width and height, >= 1.
        turn: Largest turn to each side, degrees.
        shift: Largest shift of the window beyond what `visible` leaves free, as a share.
        mirror: Whether half of the views are mirrored.
    Shape: (B, H, W, C) -> (B, *size, C) in training, (B, H, W, C) in inference
    Reference: Szegedy et al. 2015, section 6 (random windows); Touvron et al. 2019, "Fixing the
        train-test resolution discrepancy".
    """

    def __init__(
        self,
        size: tuple[int, int],
        visible: tuple[float, float],
        stretch: float = 1.0,
        turn: float = 0.0,
        shift: float = 0.0,
        mirror: bool = False,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**options)
        self.size, self.visible, self.stretch = size, visible, stretch
        self.turn, self.shift, self.mirror = turn, shift, mirror
        self.moves_only = tuple(visible) == (1.0, 1.0) and stretch == 1.0 and turn == 0.0

    def call(self, inputs: Tensor, training: Any = None) -> Tensor:
        pictures = inputs.float()
        if not training:
            return pictures
        x = pictures.permute(0, 3, 1, 2)  # (B, C, H, W)
        shape = [len(x), x.shape[1], *self.size]
        grid = F.affine_grid(self.windows(len(x), x.device), shape, align_corners=False)
        seen = F.grid_sample(x, grid, padding_mode="reflection", align_corners=False)
        return seen.permute(0, 2, 3, 1)

    def windows(self, count: int, device: torch.device) -> Tensor:
        """Maps from a view to its picture, both measured from -1 to 1: (B, 2, 3)."""

        def draw(low: float, high: float) -> Tensor:
            return torch.empty(count, device=device).uniform_(low, high)

        # Area, not side, is drawn evenly: else small windows would be too many
        side = draw(self.visible[0] ** 2, self.visible[1] ** 2).sqrt()
        ratio = draw(-math.log(self.stretch), math.log(self.stretch)).exp().sqrt()
        width, height = side * ratio, side / ratio
        x, y = (
            draw(-1, 1) * ((1 - extent).clamp(min=0) + self.shift) for extent in (width, height)
        )
        if self.moves_only:
            step_x, step_y = 2 / self.size[1], 2 / self.size[0]  # one pixel, from -1 to 1
            x, y = (x / step_x).round() * step_x, (y / step_y).round() * step_y
        angle = draw(-math.radians(self.turn), math.radians(self.turn))
        if self.mirror:
            width = width * (torch.rand(count, device=device) < 0.5).float().mul(2).sub(1)
        cos, sin = angle.cos(), angle.sin()
        rows = [torch.stack([width * cos, -height * sin, x], -1),
                torch.stack([width * sin, height * cos, y], -1)]  # fmt: skip
        return torch.stack(rows, 1)
