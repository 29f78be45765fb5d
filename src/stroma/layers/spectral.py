"""Spectral normalization: a layer that cannot stretch its input by more than 1."""

from __future__ import annotations

from typing import Any, Unpack

import torch
from torch import Tensor
from torch.func import functional_call

from stroma import initializers
from stroma.core.axes import Shape
from stroma.core.checks import check_positive_int
from stroma.core.errors import ArgumentTypeError
from stroma.core.layer import Layer, LayerOptions
from stroma.core.weight import Weight
from stroma.functional.normalization import unit_length
from stroma.layers.registry import register_layer
from stroma.layers.wrapping import Wrapper

_NORMALIZED = ("kernel", "embeddings")  # Keras' names of the weights that are


@register_layer("SpectralNormalization")
class SpectralNormalization(Wrapper):
    """Divide the wrapped layer's kernel by its largest singular value, in each training step.

    The kernel is seen as a matrix W of all its axes by the last. v = W u / |W u|,
    u = Wᵀ v / |Wᵀ v|, sigma = vᵀ W u, W := W / sigma: one step of the power iteration for each
    training step; u is kept from step to step.

    Args:
        layer: A layer with a kernel (Dense, the convolutions) or an Embedding.
        power_iterations: Steps of the iteration in each training step, >= 1.
    Shape: (B, *) -> (B, *)
    Raises: ArgumentTypeError: the layer has neither a kernel nor embeddings.
    Example:
        >>> from stroma import layers
        >>> layer = SpectralNormalization(layers.Dense(3), power_iterations=100)
        >>> _ = layer(torch.ones(1, 5), training=True)
        >>> bool((torch.linalg.matrix_norm(layer.layer.kernel, 2) - 1).abs() < 1e-3)
        True

    Reference: Miyato et al. 2018, algorithm 1. Like Keras, which divides the stored kernel itself;
        a step that calls the layer twice before its backward (a discriminator of real and made
        pictures) works, where torch refuses Keras' change in place.
    """

    def __init__(
        self,
        layer: Layer | dict[str, Any],
        power_iterations: int = 1,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(layer, **options)
        self.power_iterations = check_positive_int(
            "power_iterations", power_iterations, owner="SpectralNormalization"
        )
        self.receptive = self.layer.receptive

    def build(self, input_shape: Shape) -> None:
        super().build(input_shape)
        self._key, kernel = self._find_kernel()
        self.vector_u = self.add_weight(
            (1, kernel.keras_view.shape[-1]),
            initializers.TruncatedNormal(stddev=0.02),
            trainable=False,
            name="vector_u",
        )

    def own_weights(self) -> list[Weight]:
        """The wrapped layer's kernel and `vector_u`: in Keras' order, and its files, both are."""
        return [self._find_kernel()[1], *super().own_weights()] if self.built else []

    def _find_kernel(self) -> tuple[str, Weight]:
        """The weight that is normalised, and its key in the layer's `state_dict`."""
        for key, spec in self.layer._specs.items():
            if spec.name in _NORMALIZED:
                return key, getattr(self.layer, key)
        kind = type(self.layer).__name__
        raise ArgumentTypeError(
            f"SpectralNormalization: {kind} has neither a kernel nor embeddings",
            where=f"SpectralNormalization({kind}(...))",
            why="it divides that weight by its largest singular value",
            fix="SpectralNormalization(Dense(10)), or a convolution",
        )

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        if not training:
            return self.layer(inputs, training=False)  # type: ignore[no-any-return]
        kernel: Weight = getattr(self.layer, self._key)
        # 16 bits would be too few for a length of 1
        with torch.no_grad(), torch.autocast(kernel.device.type, enabled=False):
            self._normalize(kernel)
        # a copy is what backward keeps: the next call changes the kernel in place again
        copied = {self._key: kernel.clone()}
        return functional_call(self.layer, copied, (inputs,), {"training": True})  # type: ignore[no-any-return]

    def _normalize(self, kernel: Weight) -> None:
        view = kernel.permute(kernel.spec.permutation) if kernel.spec.permutation else kernel
        matrix = view.reshape(-1, view.shape[-1])
        u: Tensor = self.vector_u
        for _ in range(self.power_iterations):
            v = unit_length(u @ matrix.T, [0, 1], 1e-7)
            u = unit_length(v @ matrix, [0, 1], 1e-7)
        sigma = (v @ matrix @ u.T).squeeze()
        zero = (matrix == 0).all()  # then there is no direction, and nothing to divide
        self.vector_u.copy_(torch.where(zero, self.vector_u, u))
        kernel.div_(torch.where(zero, 1.0, sigma))
