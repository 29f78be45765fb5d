"""Calling a layer on symbolic tensors: the call becomes a node of the graph."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from torch.utils._pytree import tree_flatten

from stroma.core.errors import StromaError
from stroma.core.input_spec import check_input_spec
from stroma.core.masks import (
    UNSET,
    WITH_MASKS,
    add_argument_masks,
    attach_masks,
    symbolic_masks,
)
from stroma.core.misfit import tell_what_fits
from stroma.core.shape_run import probes
from stroma.core.symbolic import (
    Node,
    SymbolicTensor,
    finish,
    is_symbolic,
)

if TYPE_CHECKING:
    from stroma.core.layer import Layer


def record_call(
    layer: Layer, args: tuple[Any, ...], training: Any, mask: Any, kwargs: dict[str, Any]
) -> Any:
    """The symbolic outputs of `layer` on `args`; when they do not fit, the error says what does."""
    try:
        return _record_fitting(layer, args, training, mask, kwargs)
    except StromaError as error:
        tell_what_fits(error, layer, args)
        raise


def _record_fitting(
    layer: Layer, args: tuple[Any, ...], training: Any, mask: Any, kwargs: dict[str, Any]
) -> Any:
    if layer.input_spec is not None and args:
        check_input_spec(layer.input_spec, args[0], layer=layer.name)
    if not layer.built:
        layer.build_from(args, kwargs)
    spec = layer._call_spec
    if mask is UNSET:
        mask = symbolic_masks(args)
    add_argument_masks(spec, args, kwargs)
    masked = mask is not None or layer._makes_mask()
    given = dict(kwargs)
    if masked:
        given["mask"] = mask if spec.mask else None
    if training is not None:
        given["training"] = training
    masks_come_out = layer.masks_come_out(mask)
    if masks_come_out:
        given[WITH_MASKS] = True
    node = Node("layer", layer, args, given)
    outputs = finish(node, lambda: layer._declared_outputs(args))
    if masks_come_out:
        outputs, masks = outputs
        for output, own in zip(tree_flatten(outputs)[0], masks):
            attach_masks(output, own)
    elif masked:
        attach_masks(outputs, layer.compute_mask(args[0] if args else None, mask))
        _tell_of_lost_mask(layer, mask)
    node.result = outputs
    remember(layer, node)
    return outputs


def _tell_of_lost_mask(layer: Layer, mask: Any) -> None:
    seen = layer.supports_masking or layer._call_spec.mask or layer._makes_mask()
    if mask is not None and not seen:
        warnings.warn(
            f"layer {layer.name!r} ({type(layer).__name__}) gets an input with a mask and knows "
            "none: it, the layers after it and the loss count masked steps like any other",
            stacklevel=2,
        )


def remember(layer: Layer, node: Node) -> None:
    """Note where a layer stands: the first call and the latest.

    A node holds on to everything before it, so a layer that is used again and again (a base under
    many heads) would keep every network alive that it ever was in.
    """
    layer._nodes[1:] = [node] if layer._nodes else []
    if not layer._nodes:
        layer._nodes.append(node)


def recorded_shape(layer: Layer, input_shape: Any) -> Any:
    """The output's shape for one input's shape or a list of them, by a recording thrown away."""
    single = all(size is None or isinstance(size, int) for size in input_shape)
    entries = [
        SymbolicTensor(Node("input", "input"), probes(tuple(shape), layer._compute_dtype))
        for shape in ([input_shape] if single else input_shape)
    ]
    known = list(layer._nodes)
    outputs = layer(entries[0] if single else entries)
    layer._nodes[:] = known
    return tuple(outputs.shape) if is_symbolic(outputs) else [out.shape for out in outputs]
