"""Policies: several random augmentations in a row, which ones drawn for each picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

import torch
from torch import Generator, Tensor
from torch.utils._pytree import tree_map

from stroma.core.checks import check_bool, check_choice, check_number, check_positive_int
from stroma.core.layer import LayerOptions
from stroma.functional.geometry import AFFINE_INTERPOLATIONS
from stroma.functional.variates import beta, dirichlet
from stroma.layers.augmentation import RandomRotation, RandomTranslation
from stroma.layers.augmenting import (
    Augmentation,
    ColourAugmentation,
    Drawn,
    Factor,
    Range,
    bounds,
    each,
)
from stroma.layers.colour import RandomBrightness, RandomColorDegeneration, RandomContrast
from stroma.layers.deforming import RandomShear
from stroma.layers.registry import register_layer
from stroma.layers.sharpness import RandomSharpness
from stroma.layers.tones import AutoContrast, Equalization, RandomPosterization, Solarization


def _without_colours(factor: Range, interpolation: str, values: Range) -> list[Augmentation]:
    """Operations that no test of robustness uses (Hendrycks et al. 2020, appendix C)."""
    return [
        RandomShear(factor, factor, interpolation=interpolation),
        RandomTranslation(factor, factor, interpolation=interpolation),
        RandomRotation(factor, interpolation=interpolation),
        RandomPosterization(max(1, int(8 * factor[1])), value_range=values),
        Solarization(factor, factor, value_range=values),
        AutoContrast(value_range=values),
        Equalization(value_range=values),
    ]


def _of_colours(factor: Range, values: Range) -> list[Augmentation]:
    return [
        RandomBrightness(factor, value_range=values),
        RandomColorDegeneration(factor, value_range=values),
        RandomContrast(factor, value_range=values),
        RandomSharpness(factor, value_range=values),
    ]


class _Policy(ColourAugmentation):
    """A list of operations, of which a draw (B,) of whole numbers picks one for each picture."""

    receptive = "unknown"

    def __init__(
        self,
        factor: Factor,
        interpolation: str,
        value_range: Sequence[float],
        seed: int | None,
        data_format: str | None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(value_range, seed, data_format, **options)
        owner = type(self).__name__
        self.factor = bounds("factor", factor, owner=owner, lowest=0, symmetric=False)
        self.interpolation = check_choice(
            "interpolation", interpolation, AFFINE_INTERPOLATIONS, owner=owner
        )
        self._operations = _without_colours(self.factor, self.interpolation, self.value_range)

    def draw_step(self, images: Tensor, generator: Generator | None, choices: int) -> Drawn:
        """Which operation each picture gets, and the draws of all of them."""
        size = (len(images),)
        which = torch.randint(choices, size, device=images.device, generator=generator)
        return which, tuple(operation.draw(images, generator) for operation in self._operations)

    def step(self, images: Tensor, which: Tensor, draws: Drawn) -> Tensor:
        """Each picture through the operation it drew; a number beyond the list is none."""
        if images.device.type != "cpu" or torch.compiler.is_compiling():
            # compiled code cannot gather a number of pictures that it learns from the draw, and
            # a GPU would wait for it: there each operation gets all pictures
            for number, (operation, drawn) in enumerate(zip(self._operations, draws)):
                changed = operation.change(images, *drawn)
                images = torch.where(each(which == number, images), changed, images)
            return images
        result = images.clone()
        for number, (operation, drawn) in enumerate(zip(self._operations, draws)):
            rows = (which == number).nonzero()[:, 0]
            if len(rows):
                its_draw = tree_map(lambda values: values[rows], drawn)  # noqa: B023  # used at once
                result[rows] = operation.change(images[rows], *its_draw)
        return result


@register_layer("RandAugment")
class RandAugment(_Policy):
    """A few operations in a row, drawn for each picture from eleven, all of one strength.

    The operations are shear, translation, rotation, brightness, colour degeneration, contrast,
    sharpness, posterization, solarization, auto-contrast and equalization.

    Args:
        value_range: Black and white of the pictures: (0, 255) or (0, 1).
        num_ops: How many operations a picture goes through, >= 1.
        factor: Strength, in [0, 1]: what each operation gets as its factor, f as (0, f); a pair
            as it is. Posterization keeps fewer than 8 f bits.
        interpolation: "bilinear" or "nearest".
        seed: Makes the draws of this layer its own; None: torch's generator.
        data_format: "channels_last" (default) or "channels_first".
    Shape: (B, H, W, 3) -> (B, H, W, 3); a single picture (H, W, 3) may be given too.
    Raises: ArgumentError: a factor outside [0, 1], fewer than one operation.
    Example:
        >>> from stroma import layers
        >>> layers.RandAugment()(torch.rand(4, 8, 8, 3) * 255).shape
        torch.Size([4, 8, 8, 3])

    Reference: Cubuk et al. 2020, "RandAugment: practical automated data augmentation". Keras 3
        draws the operations once for the whole batch; here, as in the paper, for each picture.
    """

    def __init__(
        self,
        value_range: Sequence[float] = (0, 255),
        num_ops: int = 2,
        factor: Factor = 0.5,
        interpolation: str = "bilinear",
        seed: int | None = None,
        data_format: str | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(factor, interpolation, value_range, seed, data_format, **options)
        self.num_ops = check_positive_int("num_ops", num_ops, owner="RandAugment")
        self._operations += _of_colours(self.factor, self.value_range)

    def draw(self, images: Tensor, generator: Generator | None) -> Drawn:
        count = len(self._operations)
        return tuple(self.draw_step(images, generator, count) for _ in range(self.num_ops))

    def change(self, images: Tensor, *drawn: Any) -> Tensor:
        for which, draws in drawn:
            images = self.step(images, which, draws)
        return images


@register_layer("AugMix")
class AugMix(_Policy):
    """A mixture of each picture with chains of random operations on it.

    y = m x + (1 - m) sum_i w_i chain_i(x), w from Dirichlet(alpha), m from Beta(alpha, alpha),
    held in the range.

    Args:
        value_range: Black and white of the pictures: (0, 255) or (0, 1).
        num_chains: Chains that are mixed, >= 1.
        chain_depth: Operations in a chain, >= 1; each may also be none.
        factor: Strength of the operations, in [0, 1]: f means (0, f), a pair its bounds.
        alpha: Of the two distributions, above 0.
        all_ops: False leaves out brightness, colour degeneration, contrast and sharpness, which
            tests of robustness use.
        interpolation: "bilinear" or "nearest".
        seed: Makes the draws of this layer its own; None: torch's generator.
        data_format: "channels_last" (default) or "channels_first".
    Shape: (B, H, W, 3) -> (B, H, W, 3); a single picture (H, W, 3) may be given too.
    Raises: ArgumentError: a factor outside [0, 1], alpha not above 0, a count below 1.
    Example:
        >>> from stroma import layers
        >>> layers.AugMix()(torch.rand(4, 8, 8, 3) * 255).shape
        torch.Size([4, 8, 8, 3])

    Reference: Hendrycks et al. 2020, "AugMix: a simple data processing method to improve
        robustness and uncertainty". Keras 3 draws operations and weights once for the whole
        batch; here, as in the paper, for each picture.
    """

    def __init__(
        self,
        value_range: Sequence[float] = (0, 255),
        num_chains: int = 3,
        chain_depth: int = 3,
        factor: Factor = 0.3,
        alpha: float = 1.0,
        all_ops: bool = True,
        interpolation: str = "bilinear",
        seed: int | None = None,
        data_format: str | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(factor, interpolation, value_range, seed, data_format, **options)
        owner = "AugMix"
        self.num_chains = check_positive_int("num_chains", num_chains, owner=owner)
        self.chain_depth = check_positive_int("chain_depth", chain_depth, owner=owner)
        self.alpha = check_number(
            "alpha", alpha, owner=owner, minimum=0, exclusive=True, example=1.0
        )
        self.all_ops = check_bool("all_ops", all_ops, owner=owner)
        if self.all_ops:
            self._operations += _of_colours(self.factor, self.value_range)

    def draw(self, images: Tensor, generator: Generator | None) -> Drawn:
        alpha = torch.full((len(images), self.num_chains), self.alpha, device=images.device)
        choices = len(self._operations) + 1  # the last is none
        chains = tuple(
            tuple(self.draw_step(images, generator, choices) for _ in range(self.chain_depth))
            for _ in range(self.num_chains)
        )
        return dirichlet(alpha, generator), beta(alpha[:, 0], generator), chains

    def change(self, images: Tensor, *drawn: Any) -> Tensor:
        shares, own, chains = drawn
        mixed = torch.zeros_like(images)
        for share, chain in zip(shares.unbind(1), chains):
            changed = images
            for which, draws in chain:
                changed = self.step(changed, which, draws)
            mixed = mixed + each(share, images) * changed
        share = each(own, images)
        return self.clamped(share * images + (1 - share) * mixed)
