"""Mixing pictures of a batch with one another, and their labels alike."""

from __future__ import annotations

from typing import Any, Unpack

import torch
from torch import Generator, Tensor

from stroma.core.checks import check_number
from stroma.core.errors import DataError
from stroma.core.layer import LayerOptions
from stroma.functional.geometry import window_mask
from stroma.functional.variates import beta
from stroma.layers.augmenting import Augmentation, Drawn, Factor, bounds, each, uniform
from stroma.layers.registry import register_layer


class _Mixing(Augmentation):
    """Augmentations whose draw is (partner, share of the picture itself, ...), (B,) each."""

    receptive = "unknown"

    def partners(self, images: Tensor, generator: Generator | None) -> Tensor:
        """Each picture's partner: a permutation of the batch."""
        return torch.randperm(len(images), device=images.device, generator=generator)

    def change_labels(self, labels: Tensor, *drawn: Any) -> Tensor:
        owner = type(self).__name__
        partner, share = drawn[:2]
        labels = torch.as_tensor(labels, device=share.device)
        if labels.dim() < 2 and not labels.is_floating_point():
            raise DataError(
                f"{owner}: labels are class numbers of shape {tuple(labels.shape)}",
                where=f"{owner}: labels",
                why="a mixture of two classes is no class, but a share of each",
                fix="stroma.utils.to_categorical(labels, num_classes)",
            )
        labels = labels if labels.is_floating_point() else labels.float()
        share = each(share, labels)
        return share * labels + (1 - share) * labels[partner]


@register_layer("MixUp")
class MixUp(_Mixing):
    """Mix each picture, and its label, with another of the batch: y = w x + (1 - w) x'.

    Args:
        alpha: w is drawn from Beta(alpha, alpha), above 0: small means hardly mixed.
        data_format: "channels_last" (default) or "channels_first".
        seed: Makes the draws of this layer its own; None: torch's generator.
    Shape: (B, H, W, C) -> (B, H, W, C); or a dictionary of "images" and "labels" (B, K), one-hot,
        to one of the same shapes.
    Raises: ArgumentError: alpha is not above 0; DataError: labels are class numbers.
    Example:
        >>> from stroma import layers
        >>> mixed = layers.MixUp()({"images": torch.rand(4, 8, 8, 3), "labels": torch.eye(4)})
        >>> mixed["labels"].sum(1)
        tensor([1., 1., 1., 1.])

    Reference: Zhang et al. 2018, "mixup: beyond empirical risk minimization".
    """

    def __init__(
        self,
        alpha: float = 0.2,
        data_format: str | None = None,
        seed: int | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(seed, data_format, **options)
        self.alpha = check_number(
            "alpha", alpha, owner="MixUp", minimum=0, exclusive=True, example=0.2
        )

    def draw(self, images: Tensor, generator: Generator | None) -> Drawn:
        alpha = torch.full((len(images),), self.alpha, device=images.device)
        return self.partners(images, generator), beta(alpha, generator)

    def change(self, images: Tensor, *drawn: Any) -> Tensor:
        partner, share = drawn[0], each(drawn[1], images)
        return share * images + (1 - share) * images[partner]


@register_layer("CutMix")
class CutMix(_Mixing):
    """Paste a window of another picture of the batch into each; mix labels by area.

    The window is sqrt(1 - w) of the height and of the width, w drawn from Beta(alpha, alpha).

    Args:
        factor: alpha, drawn for each picture: f in [0, 1] means (0, f), a pair its bounds.
        seed: Makes the draws of this layer its own; None: torch's generator.
        data_format: "channels_last" (default) or "channels_first".
    Shape: (B, H, W, C) -> (B, H, W, C); or a dictionary of "images" and "labels" (B, K), one-hot,
        to one of the same shapes.
    Raises: ArgumentError: a factor outside [0, 1]; DataError: labels are class numbers.
    Example:
        >>> from stroma import layers
        >>> mixed = layers.CutMix()({"images": torch.rand(4, 8, 8, 3), "labels": torch.eye(4)})
        >>> mixed["images"].shape
        torch.Size([4, 8, 8, 3])

    Reference: Yun et al. 2019, "CutMix: regularization strategy to train strong classifiers".
        Keras 3 draws one alpha for the whole batch.
    """

    calculates = False

    def __init__(
        self,
        factor: Factor = 1.0,
        seed: int | None = None,
        data_format: str | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(seed, data_format, **options)
        self.factor = bounds("factor", factor, owner="CutMix", lowest=0, symmetric=False)

    def draw(self, images: Tensor, generator: Generator | None) -> Drawn:
        share = beta(uniform(self.factor, images, generator) + 1e-6, generator)
        places = uniform((0, 1), images, generator, 2)
        return self.partners(images, generator), share, places

    def change(self, images: Tensor, *drawn: Any) -> Tensor:
        partner, share, places = drawn
        sizes = (1 - share).sqrt()[:, None].expand(-1, 2)
        return torch.where(window_mask(images, places, sizes), images[partner], images)
