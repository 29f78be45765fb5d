"""What a network is made of: a row per layer with shapes, parameters, work and receptive field.

Shapes come from the recording; multiply-accumulates from torch's own flop counter while each node
runs on the meta device for one sample; receptive fields from what the layers declare.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_map
from torch.utils.flop_counter import FlopCounterMode

from stroma.core.axes import Shape
from stroma.core.layer import Layer
from stroma.core.records import LayerRow
from stroma.core.shape_run import shape_run
from stroma.core.symbolic import Node, SymbolicTensor, is_symbolic
from stroma.network.network import Network

# A tensor's view of the input, per spatial axis: (size of the field, input pixels per step);
# "all": the whole input; None: not known.
Field = tuple[tuple[int, int], ...] | str | None

_POINTWISE = frozenset(
    (
        "add", "sub", "mul", "truediv", "neg", "pow", "abs", "relu", "relu6", "leaky_relu",
        "gelu", "silu", "sigmoid", "tanh", "softmax", "clamp", "exp", "log", "sqrt", "square",
        "where", "maximum", "minimum",
    )
)  # fmt: skip


def design(network: Network, *, nested: bool = False) -> list[LayerRow]:
    """A row for each call in the network, in running order.

    Args:
        network: Recorded from inputs and outputs, or built by a call; a subclass with its own
            `call` gives a row for each layer it holds, with the shape of a layer called before.
        nested: Rows for the layers inside nested networks too, their names prefixed.
    """
    if not network.nodes and not network.inputs:
        return [_plain_row(name, layer) for name, layer in network.keys().items()]
    return list(_rows(network, nested, ""))


def _rows(network: Network, nested: bool, prefix: str) -> Iterator[LayerRow]:
    names = _node_names(network)
    fields: dict[int, Field] = {}
    values: dict[int, Any] = {}
    seen: set[int] = set()
    for tensor in network.inputs:
        rank = max(tensor.ndim - 2, 0)
        fields[id(tensor)] = ((1, 1),) * rank if rank else "all"
        values[id(tensor)] = _one_sample(tensor)
        layer = tensor.node.target if tensor.node.kind == "input" else None
        yield LayerRow(
            name=prefix + (layer.name if layer is not None else "input"),
            kind="InputLayer",
            output_shape=tensor.shape,
        )
    for node in network.nodes:
        macs, value = _run_one(node, values)
        values[id(node.outputs)] = value
        field = _field_after(node, [fields.get(id(tensor)) for tensor in node.inputs()])
        fields[id(node.outputs)] = field
        if node.kind == "item":
            continue
        layer = node.target if node.kind == "layer" else None
        first = layer is not None and id(layer) not in seen  # a shared layer's weights count once
        seen.add(id(layer))
        yield LayerRow(
            name=prefix + names[node.index],
            kind=node.title(),
            output_shape=_output_shape(node),
            parameters=layer.count_params() if layer is not None and first else 0,
            trainable_parameters=_count(layer, True) if layer is not None and first else 0,
            frozen_parameters=_count(layer, False) if layer is not None and first else 0,
            macs=macs,
            receptive_field=_field_size(field, network),
            connected_to=tuple(prefix + _source(tensor, names) for tensor in node.inputs()),
            trainable=layer is None or layer.trainable or not layer.weights,
        )
        if nested and isinstance(layer, Network) and layer.nodes:
            yield from _rows(layer, nested, f"{prefix}{names[node.index]}.")


def _node_names(network: Network) -> dict[int, str]:
    keys = {id(layer): key for key, layer in network.keys().items()}
    names: dict[int, str] = {}
    counts: dict[str, int] = {}
    for node in network.nodes:
        name = keys[id(node.target)] if node.kind == "layer" else node.title()
        number = counts.get(name, 0)
        counts[name] = number + 1
        names[node.index] = f"{name} (call {number + 1})" if number else name
    return names


def _source(tensor: SymbolicTensor, names: dict[int, str]) -> str:
    node = tensor.node
    while node.kind == "item":  # one of several outputs: name what made them
        node = node.args[0].node
    return names.get(node.index) or str(getattr(node.target, "name", "input"))


def _one_sample(tensor: SymbolicTensor) -> Tensor | None:
    sizes = [size for size in tensor.shape[1:] if size is not None]
    if len(sizes) < tensor.ndim - 1:
        return None
    return torch.empty((1, *sizes), dtype=tensor.dtype, device="meta")


def _run_one(node: Node, values: dict[int, Any]) -> tuple[int | None, Any]:
    """Multiply-accumulates and outputs for one sample; None where a size is not known."""
    inputs = [values.get(id(tensor)) for tensor in node.inputs()]
    if any(value is None for value in inputs):
        return None, None
    args, kwargs = tree_map(
        lambda leaf: values[id(leaf)] if is_symbolic(leaf) else leaf, (node.args, node.kwargs)
    )
    counter = FlopCounterMode(display=False)
    try:
        with shape_run(), counter:
            value = node.run(*args, **kwargs)
    except Exception:  # a layer that only declares its shape cannot be run on no numbers
        return None, None
    return int(counter.get_total_flops() // 2), value


def _output_shape(node: Node) -> Shape:
    outputs = node.outputs if node.result is None else tree_flatten(node.result)[0][0]
    return outputs.shape if is_symbolic(outputs) else ()


def _field_after(node: Node, before: list[Field]) -> Field:
    if node.kind == "layer":
        receptive = node.target.receptive
        if isinstance(node.target, Network):
            return _through_network(node.target, before)
    else:
        known = node.kind in ("item",) or node.title() in _POINTWISE
        receptive = None if known else "unknown"
    if not before or any(field is None for field in before) or receptive == "unknown":
        return None
    if receptive == "all" or "all" in before:
        return "all"
    fields = [field for field in before if isinstance(field, tuple)]
    ranks = {len(field) for field in fields}
    if len(ranks) != 1:
        return None
    joined = tuple(
        (max(field[axis][0] for field in fields), max(field[axis][1] for field in fields))
        for axis in range(ranks.pop())
    )
    if receptive is None:
        return joined
    kernel, stride, dilation = receptive
    if len(kernel) != len(joined):
        return None
    return tuple(
        (size + (k - 1) * d * jump, jump * s)
        for (size, jump), k, s, d in zip(joined, kernel, stride, dilation)
    )


def _through_network(network: Network, before: list[Field]) -> Field:
    """The field after a nested network, when it has one input and one output."""
    if len(network.inputs) != 1 or len(network.outputs) != 1 or len(before) != 1:
        return None
    fields: dict[int, Field] = {id(network.inputs[0]): before[0]}
    for node in network.nodes:
        fields[id(node.outputs)] = _field_after(
            node, [fields.get(id(tensor)) for tensor in node.inputs()]
        )
    return fields.get(id(network.outputs[0]))


def _field_size(field: Field, network: Network) -> tuple[int, ...] | None:
    if field == "all":
        sizes = network.inputs[0].shape[1:-1] if len(network.inputs) == 1 else ()
        return None if not sizes or None in sizes else tuple(s for s in sizes if s is not None)
    return tuple(size for size, _ in field) if isinstance(field, tuple) else None


def _count(module: nn.Module, trainable: bool) -> int:
    return sum(w.numel() for w in module.parameters() if w.requires_grad is trainable)


def _plain_row(name: str, layer: Layer) -> LayerRow:
    return LayerRow(
        name=name,
        kind=type(layer).__name__,
        output_shape=_shape_when_built(layer),
        parameters=layer.count_params(),
        trainable_parameters=_count(layer, True),
        frozen_parameters=_count(layer, False),
        trainable=layer.trainable,
    )


def _shape_when_built(layer: Layer) -> Shape:
    """The output's shape for the input that the layer was built on; () when it is not known."""
    if not layer.built or not layer._build_shape:
        return ()
    try:
        shape = layer.compute_output_shape(layer._build_shape)
    except Exception:  # as above: not every layer can be run on no numbers
        return ()
    return tuple(shape) if all(size is None or isinstance(size, int) for size in shape) else ()
