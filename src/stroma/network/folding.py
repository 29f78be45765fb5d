"""BatchNormalization folded into the layer before it: the same function with less to compute."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten

from stroma.core.inputs import Input
from stroma.core.layer import Layer
from stroma.core.symbolic import Node, SymbolicTensor, is_symbolic, map_symbolic
from stroma.layers import BatchNormalization, Conv2D, Dense, DepthwiseConv2D
from stroma.network.network import Network

_BEFORE = (Conv2D, DepthwiseConv2D, Dense)


def fold_batch_norm(network: Network) -> Network:
    """`network` for inference alone, without the BatchNormalization that can be folded.

    In inference y = s (W x + b - mean) + beta with s = gamma / sqrt(var + epsilon) is one affine
    map: W' = s W, b' = s (b - mean) + beta. That holds where a convolution or dense layer without
    activation, called once, gives its output to the normalisation alone. Networks inside are
    folded too; whatever else there is stays as it is and shares its weights with `network`, of
    which nothing is changed.

    Args:
        network: Recorded from Input on; one that is not comes back as it is.
    Shape: that of `network`
    Example:
        >>> from stroma import layers
        >>> x = layers.Input((8, 8, 3))
        >>> y = layers.BatchNormalization()(layers.Conv2D(4, 3, use_bias=False)(x))
        >>> network = Network(x, y)
        >>> folded = fold_batch_norm(network)
        >>> [type(layer).__name__ for layer in folded.layers]
        ['InputLayer', 'Conv2D']
        >>> x = torch.randn(2, 8, 8, 3)
        >>> bool(torch.allclose(folded(x), network(x), atol=1e-5))
        True

    Reference: Jacob et al. 2018, section 3.2. Folded in float64, so the two differ by float32's
        rounding.
    """
    if not network.nodes or not any(isinstance(m, BatchNormalization) for m in network.modules()):
        return network
    return _folded(network)


@torch.no_grad()
def _folded(network: Network) -> Network:
    """`network` recorded anew, with twins of its layers."""
    found = _foldable(network)
    skipped = {id(node) for node in found.values()}
    twins: dict[int, Layer] = {}  # a layer that is called twice stays one layer
    inputs: Any = map_symbolic(lambda x: Input(batch_shape=x.shape, dtype=x.dtype), network.input)
    values: dict[int, Any] = dict(zip(map(id, network.inputs), tree_flatten(inputs)[0]))

    def of(tensor: SymbolicTensor) -> Any:
        return values[id(tensor)]

    for node in network.nodes:
        if id(node.outputs) in values:  # an input
            continue
        args, kwargs = map_symbolic(of, node.args), map_symbolic(of, node.kwargs)
        if id(node) in skipped:
            outputs = args[0]
        elif id(node) in found:
            outputs = _merged(node.target, found[id(node)].target, args[0])
        elif node.kind == "layer":
            if id(node.target) not in twins:
                twins[id(node.target)] = _twin(node.target)
            outputs = twins[id(node.target)](*args, **kwargs)
        else:
            outputs = node.run(*args, **kwargs)
        values[id(node.outputs)] = outputs
    return Network(inputs, map_symbolic(of, network.output), name=network.name)


def _twin(layer: Layer) -> Layer:
    """The same layer for another graph: the one it stands in must not hear of it."""
    if isinstance(layer, Network) and layer.nodes:
        return _folded(layer)
    return copy.copy(layer)  # its weights are the same tensors


def _foldable(network: Network) -> dict[int, Node]:
    """By the id of the node of a layer: the node of the normalisation that goes into it."""
    readers: dict[int, list[Node]] = {}
    calls: dict[int, int] = {}
    for node in network.nodes:
        calls[id(node.target)] = calls.get(id(node.target), 0) + 1
        for tensor in node.inputs():
            readers.setdefault(id(tensor), []).append(node)
    outputs = {id(tensor) for tensor in network.outputs}
    found = {}
    for node in network.nodes:
        after = readers.get(id(node.outputs), [])
        if (
            isinstance(node.target, _BEFORE)
            and len(after) == 1
            and isinstance(after[0].target, BatchNormalization)
            and calls[id(node.target)] == 1
            and id(node.outputs) not in outputs
            and is_symbolic(node.outputs)
            and node.outputs.mask is None
            and node.target.get_config()["activation"] in (None, "linear")
            and _on_channels(node.target, after[0].target, node.outputs.ndim)
        ):
            found[id(node)] = after[0]
    return found


def _on_channels(layer: Layer, norm: BatchNormalization, rank: int) -> bool:
    last = getattr(layer, "data_format", "channels_last") == "channels_last"
    return norm.axis % rank == (rank - 1 if last else 1)


def _merged(layer: Any, norm: BatchNormalization, inputs: SymbolicTensor) -> Any:
    """The output of a new layer that does what both did."""
    made = type(layer).from_config({**layer.get_config(), "use_bias": True})
    outputs = made(inputs)
    made.to(layer.weight.device)
    mean, variance = norm.running_mean.double(), norm.running_var.double()
    scale = (variance + norm.epsilon).rsqrt()
    if norm.weight is not None:
        scale = scale * norm.weight.double()
    bias = -mean if layer.bias is None else layer.bias.double() - mean
    bias = bias * scale
    if norm.bias is not None:
        bias = bias + norm.bias.double()
    weight: Tensor = layer.weight.double()
    rows = weight.reshape(len(scale), -1)  # outputs come first; (C, M) of a depthwise one, too
    made.weight.copy_((rows * scale[:, None]).reshape(weight.shape))
    made.bias.copy_(bias)
    return outputs
