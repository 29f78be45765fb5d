"""The two ends of a network that ships: pictures as they are in, probabilities out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from stroma import layers
from stroma.core.axes import shape_text
from stroma.core.errors import GraphError, ShapeError
from stroma.core.layer import Layer
from stroma.core.preprocessing import Preprocessing
from stroma.core.symbolic import is_symbolic
from stroma.layers.torch_module import Layout
from stroma.models import Model
from stroma.network.network import Network
from stroma.training.fitting import device_of


def preprocess(x: Any, preprocessing: Preprocessing) -> Any:
    """Pixels 0 to 255 as `preprocessing` wants them, by layers: so that they ship and export.

    (x * scale - mean) / std in one pass: x * (scale / std) - mean / std.

    Shape: (B, H, W, 3) -> (B, H, W, 3)
    """
    if preprocessing.color == "bgr":
        x = torch.flip(x, (-1,))
    factors = [preprocessing.scale / deviation for deviation in preprocessing.std]
    offsets = [-m / deviation for m, deviation in zip(preprocessing.mean, preprocessing.std)]
    if len({*factors}) == 1 and len({*offsets}) == 1:  # holds for any number of channels
        return layers.Rescaling(factors[0], offsets[0])(x)
    return layers.Rescaling(factors, offsets)(x)


def feature_extractor(
    base: nn.Module,
    *,
    layer: str | None = None,
    preprocessing: Preprocessing | None = None,
    input_shape: tuple[int | None, int | None, int] | None = None,
    layout: Layout | None = None,
    pooled: bool = True,
) -> Model:
    """A network from pictures as they are (0 to 255) to one feature vector each.

    Preprocessing, then `base`, then the average of its last feature map over its places. A PyTorch
    module keeps the mode it is in until the extractor is called, which infers.

    Args:
        base: A network whose input is pictures, without its head; or any PyTorch module.
        layer: Layer of `base` whose output is taken instead of the last one's; "top" is the last.
        preprocessing: What `base` wants of pixels; None: its own `base.preprocessing`, if it has
            one, else nothing.
        input_shape: (height, width, channels); None: that of `base`.
        layout: "NCHW" or "NHWC", what a PyTorch module takes.
        pooled: False leaves a map as it is.
    Shape: (B, H, W, C) -> (B, D); not pooled: (B, h, w, D) where it is a map
    Raises: GraphError: `base` has several inputs or outputs, or no layers to choose from.
        ShapeError: the input's shape is not known, or what comes out is no feature vector.
    Example:
        >>> base = layers.Input((32, 32, 3))
        >>> base = Model(base, layers.Conv2D(8, 3)(base))
        >>> feature_extractor(base)(torch.zeros(2, 32, 32, 3, dtype=torch.uint8)).shape
        torch.Size([2, 8])
    """
    with modes_kept(base):
        named = None if layer == "top" else layer
        return _extractor(base, named, preprocessing, input_shape, layout, pooled)


@contextmanager
def modes_kept(network: nn.Module) -> Iterator[None]:
    """After it, every module is in the mode it was in: they are the caller's."""
    modes = [(module, module.training) for module in network.modules()]
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def _extractor(
    base: nn.Module, layer: str | None, preprocessing: Preprocessing | None,
    input_shape: tuple[int | None, int | None, int] | None, layout: Layout | None, pooled: bool,
) -> Model:  # fmt: skip
    preprocessing = preprocessing or getattr(base, "preprocessing", None)
    core = _as_layer(base, layer, layout)
    shape = input_shape
    if shape is None and isinstance(core, Network):
        shape = tuple(core.input_shape[1:])
    if shape is None:
        raise ShapeError(
            f"{type(base).__name__} does not say the shape of its pictures",
            where="feature_extractor",
            why="a PyTorch module takes any",
            fix="feature_extractor(module, input_shape=(224, 224, 3), layout='NCHW')",
        )
    inputs = layers.Input(shape)
    x = core(preprocess(inputs, preprocessing) if preprocessing else inputs)
    if not is_symbolic(x) or x.ndim not in (2, 4) or x.shape[-1] is None:
        raise ShapeError(
            f"the base gives {shape_text(x.shape) if is_symbolic(x) else 'several outputs'}",
            where=f"base {core.name!r}",
            why="features are a map (batch, height, width, D) or a vector (batch, D)",
            fix="name the layer to take: layer='...'",
        )
    if x.ndim == 4 and pooled:
        x = layers.GlobalAveragePooling2D()(x)
    return Model(inputs, x, name="features")


def with_head(extractor: Model, head: Iterable[Layer]) -> Model:
    """`extractor` with the layers of a head on top (`RidgeHead.as_layers`), as one model.

    Shape: (B, H, W, C) -> (B, K)
    """
    x, device = extractor.output, device_of(extractor)  # `features` may have moved it to a GPU
    for layer in head:
        x = layer.to(device)(x)
    return Model(extractor.input, x, name="classifier")


def _as_layer(base: nn.Module, layer: str | None, layout: Layout | None) -> Layer:
    if isinstance(base, Network) and base.nodes:
        if not is_symbolic(base.input):
            raise GraphError(
                f"{base.name!r} has {len(base.inputs)} inputs",
                where="feature_extractor",
                why="features are taken of pictures, one input",
                fix="cut the part that sees the pictures: Model(inputs=..., outputs=...)",
            )
        return Model(base.input, base.get_layer(layer).output, name=base.name) if layer else base
    if layer is not None:
        raise GraphError(
            f"{type(base).__name__} is no recorded network, so layer {layer!r} cannot be cut out",
            where=f"layer={layer!r}",
            why="only a functional or sequential model knows the tensors between its layers",
            fix="hand over a module that ends there",
        )
    return base if isinstance(base, Layer) else layers.TorchModuleWrapper(base, layout=layout)
