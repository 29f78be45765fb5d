"""What layers on pictures share: any order of axes in, (B, H, W, C) inside."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from stroma.core.errors import ShapeError


def as_pictures(
    inputs: Tensor, data_format: str, *, owner: str
) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """A (B, H, W, C) view of one picture or a batch of them, and the function that goes back."""
    if inputs.dim() not in (3, 4):
        raise ShapeError(
            f"{owner} takes pictures, got a tensor of shape {tuple(inputs.shape)}",
            where=f"{owner}: input",
            why="a batch of pictures is (B, H, W, C), a single one (H, W, C)",
            fix="Reshape((height, width, channels)) before it",
        )
    batch = inputs if inputs.dim() == 4 else inputs.unsqueeze(0)
    first = data_format == "channels_first"
    pictures = batch.permute(0, 2, 3, 1) if first else batch

    def restore(pictures: Tensor) -> Tensor:
        batch = pictures.permute(0, 3, 1, 2) if first else pictures
        return batch if inputs.dim() == 4 else batch.squeeze(0)

    return pictures, restore
