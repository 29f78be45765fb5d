"""The block of ConvNeXt: one layer, because its scale stands beside its other layers' weights."""

from __future__ import annotations

from typing import Unpack

from torch import Tensor, nn

from stroma.core.axes import Shape
from stroma.core.checks import check_number
from stroma.core.layer import Layer, LayerOptions
from stroma.initializers import Constant, RandomNormal
from stroma.layers.arguments import check_spatial_rank
from stroma.layers.dense import Dense
from stroma.layers.depthwise import DepthwiseConv2D
from stroma.layers.normalization import LayerNormalization
from stroma.layers.registry import register_layer
from stroma.layers.regularization import StochasticDepth

_STDDEV = 0.02  # of the first weights; torchvision cuts them off only at 100 of it


@register_layer("ConvNeXtBlock")
class ConvNeXtBlock(Layer):
    """A residual block like a transformer's: 7x7 depthwise, normalise, widen fourfold, narrow.

    y = x + scale * (W2 gelu(W1 norm(depthwise(x)))), one scale per channel ("layer scale"). In
    training a sample skips the block with probability `drop_rate`.

    Args:
        drop_rate: Probability of skipping the block, in [0, 1] (`StochasticDepth`).
        layer_scale: First value of the scales: small, so that a deep network starts as the
            identity.
    Shape: (B, H, W, C) -> (B, H, W, C)
    Raises: ArgumentError: drop_rate outside [0, 1]; ShapeError: not four axes.
    Example:
        >>> x = torch.randn(2, 14, 14, 8)
        >>> bool((ConvNeXtBlock(layer_scale=0.0)(x) == x).all())
        True

    Reference: Liu et al. 2022, "A ConvNet for the 2020s", figure 4; the scale is of Touvron et al.
        2021, "Going deeper with Image Transformers". Weights have torchvision's names and shapes.
        Keras has no such layer, so it cannot read a file with one.
    """

    receptive = ((7, 7), (1, 1), (1, 1))

    def __init__(
        self, drop_rate: float = 0.0, layer_scale: float = 1e-6, **options: Unpack[LayerOptions]
    ) -> None:
        super().__init__(**options)
        self.scale_initializer = Constant(
            check_number("layer_scale", layer_scale, owner="ConvNeXtBlock")
        )
        self.stochastic_depth = StochasticDepth(drop_rate, dtype=self.dtype_policy.name)

    def build(self, input_shape: Shape) -> None:
        check_spatial_rank(input_shape, 2, "channels_last", owner="ConvNeXtBlock")
        channels, dtype = input_shape[-1], self.dtype_policy.name
        self.layer_scale = self.add_weight(
            (1, 1, channels), self.scale_initializer, name="layer_scale", layout="HWC->CHW"
        )
        assert channels is not None, "add_weight refuses an unknown size"
        self.block = nn.ModuleDict(  # torchvision's places; 1, 4 and 6 have no weights
            {
                "0": DepthwiseConv2D(
                    7, padding="same", depthwise_initializer=RandomNormal(stddev=_STDDEV),
                    dtype=dtype,
                ),
                "2": LayerNormalization(epsilon=1e-6, dtype=dtype),
                "3": Dense(
                    4 * channels, "gelu", kernel_initializer=RandomNormal(stddev=_STDDEV),
                    dtype=dtype,
                ),
                "5": Dense(channels, kernel_initializer=RandomNormal(stddev=_STDDEV), dtype=dtype),
            }
        )  # fmt: skip

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        y: Tensor = inputs
        for layer in self.block.values():
            y = layer(y)
        y = y * self.layer_scale.flatten()
        y = self.stochastic_depth(y, training=training)
        return inputs + y
