"""Calls of torch as Keras' operations: how a recorded call's arguments become Keras' settings.

A writer takes the arguments of torch's function and gives Keras' class, inputs and settings. Where
it raises TypeError or `NoCounterpartError`, Keras has no operation that does the same, and the call
goes to the file under torch's own name.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from stroma.core.symbolic import SymbolicTensor
from stroma.saving.keras_operations import PLAIN
from stroma.saving.operation_names import PAIRS

Call = tuple[str, tuple[Any, ...], dict[str, Any]]  # Keras' class, inputs, settings
Writer = Callable[..., Call]


class NoCounterpartError(Exception):
    """Keras has no operation for these arguments."""


def _require(condition: bool) -> None:
    if not condition:
        raise NoCounterpartError


def _plain(class_name: str) -> Writer:
    arity = 2 if class_name in PAIRS else 1

    def write(*args: Any) -> Call:
        _require(len(args) == arity)
        return class_name, args, {}

    return write


def _reduction(class_name: str) -> Writer:
    def write(x: Any, dim: Any = None, keepdim: bool = False) -> Call:
        axis = None if dim == () else list(dim) if isinstance(dim, tuple) else dim
        return class_name, (x,), {"axis": axis, "keepdims": keepdim}

    return write


def _spread(class_name: str) -> Writer:
    def write(x: Any, dim: Any = None, correction: int = 1, keepdim: bool = False) -> Call:
        _require(correction == 0)
        return _reduction(class_name)(x, dim, keepdim)

    return write


def _along(class_name: str, setting: str = "axis", default: Any = ...) -> Writer:
    """One number, torch's `dim`, under Keras' name of it."""

    def write(x: Any, dim: Any = default) -> Call:
        _require(dim is not ...)
        return class_name, (x,), {setting: dim}

    return write


def _sequence(class_name: str) -> Writer:
    def write(tensors: Any, dim: int = 0) -> Call:
        return class_name, (list(tensors),), {"axis": dim}

    return write


def _sizes(x: Any, *sizes: Any) -> list[Any]:
    """`x.reshape(2, 3)` and `x.reshape((2, 3))` are one call."""
    return list(sizes[0]) if len(sizes) == 1 and not isinstance(sizes[0], int) else list(sizes)


def _reshape(x: Any, *shape: Any) -> Call:
    return "Reshape", (x,), {"newshape": _sizes(x, *shape)}


def _flatten(x: Any, start_dim: int = 0, end_dim: int = -1) -> Call:
    shape = list(x.shape)
    end = end_dim % len(shape)
    joined = shape[start_dim % len(shape) : end + 1]
    shape[start_dim % len(shape) : end + 1] = [None if None in joined else math.prod(joined)]
    _require(shape.count(None) <= 1)
    return "Reshape", (x,), {"newshape": [-1 if size is None else size for size in shape]}


def _permute(x: Any, *dims: Any) -> Call:
    return "Transpose", (x,), {"axes": _sizes(x, *dims)}


def _transpose(x: Any, dim0: int, dim1: int) -> Call:
    return "Swapaxes", (x,), {"axis1": dim0, "axis2": dim1}


def _moveaxis(x: Any, source: Any, destination: Any) -> Call:
    return "Moveaxis", (x,), {"source": source, "destination": destination}


def _clamp(x: Any, min: Any = None, max: Any = None) -> Call:  # torch's names
    if min is not None and max is not None:
        return "Clip", (x,), {"x_min": min, "x_max": max}
    return ("Minimum", (x, max), {}) if min is None else ("Maximum", (x, min), {})


def _tensor_split(x: Any, indices_or_sections: Any, dim: int = 0) -> Call:
    return "Split", (x,), {"indices_or_sections": indices_or_sections, "axis": dim}


def _chunk(x: Any, chunks: int, dim: int = 0) -> Call:
    size = x.shape[dim]
    _require(size is not None and size % chunks == 0)
    return _tensor_split(x, chunks, dim)


def _split(x: Any, split_size_or_sections: Any, dim: int = 0) -> Call:
    size, part = x.shape[dim], split_size_or_sections
    _require(isinstance(part, int) and size is not None and size % part == 0)
    return _tensor_split(x, size // part, dim)


def _flip(x: Any, *dims: Any) -> Call:
    return "Flip", (x,), {"axis": _sizes(x, *dims)}


def _roll(x: Any, shifts: Any, dims: Any = None) -> Call:
    _require(dims is not None)
    return "Roll", (x,), {"shift": shifts, "axis": dims}


def _tile(x: Any, *repeats: Any) -> Call:
    return "Tile", (x,), {"repeats": _sizes(x, *repeats)}


def _repeat_interleave(x: Any, repeats: Any, dim: Any = None) -> Call:
    _require(isinstance(repeats, int))
    return "Repeat", (x,), {"repeats": repeats, "axis": dim}


def _index_select(x: Any, dim: int, index: Any) -> Call:
    return "Take", (x, index), {"axis": dim}


def _take_along_dim(x: Any, indices: Any, dim: Any = None) -> Call:
    return "TakeAlongAxis", (x, indices), {"axis": dim}


def _masked_fill(x: Any, mask: Any, value: Any) -> Call:
    return "Where", (mask, value, x), {}


def _where(condition: Any, input: Any, other: Any) -> Call:
    return "Where", (condition, input, other), {}


def _pad(x: Any, pad: Any, mode: str = "constant", value: Any = None) -> Call:
    _require(mode == "constant" and min(pad) >= 0)
    pairs = [list(pad[i : i + 2]) for i in range(0, len(pad), 2)][::-1]
    widths = [[0, 0]] * (x.ndim - len(pairs)) + pairs
    return "Pad", (x,) if value is None else (x, value), {"pad_width": widths}


def _norm(x: Any, p: Any = "fro", dim: Any = None, keepdim: bool = False) -> Call:
    _require(isinstance(dim, int) and p in ("fro", None, 1, 2, math.inf))
    order = 2 if p in ("fro", None) else p
    _require(order != math.inf)  # JSON has no number for it
    return "Norm", (x,), {"ord": order, "axis": dim, "keepdims": keepdim}


def _normalize(x: Any, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Call:
    _require(p == 2 and eps >= 1e-12)
    return "Normalize", (x,), {"axis": dim, "order": 2, "epsilon": eps}


def _one_hot(tensor: Any, num_classes: int = -1) -> Call:
    _require(num_classes > 0)
    return "OneHot", (tensor,), {"num_classes": num_classes, "dtype": "int64"}


def _topk(x: Any, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Call:
    _require(dim in (-1, x.ndim - 1) and largest)
    return "TopK", (x,), {"k": k, "sorted": sorted}


def _einsum(equation: str, *operands: Any) -> Call:
    listed = len(operands) == 1 and isinstance(operands[0], (list, tuple))
    return "Einsum", tuple(operands[0] if listed else operands), {"subscripts": equation}


def _tensordot(a: Any, b: Any, dims: Any = 2) -> Call:
    return "Tensordot", (a, b), {"axes": dims}


def _triangle(class_name: str) -> Writer:
    def write(x: Any, diagonal: int = 0) -> Call:
        return class_name, (x,), {"k": diagonal}

    return write


def _diagonal(x: Any, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Call:
    return "Diagonal", (x,), {"offset": offset, "axis1": dim1, "axis2": dim2}


def _to(x: Any, dtype: Any) -> Call:
    _require(isinstance(dtype, torch.dtype))
    return "Cast", (x,), {"dtype": str(dtype).removeprefix("torch.")}


def _as(dtype: str) -> Writer:
    def write(x: Any) -> Call:
        return "Cast", (x,), {"dtype": dtype}

    return write


# Activations whose settings have other names or defaults


def _leaky_relu(x: Any, negative_slope: float = 0.01) -> Call:
    return "LeakyRelu", (x,), {"negative_slope": negative_slope}


def _gelu(x: Any, approximate: str = "none") -> Call:
    return "Gelu", (x,), {"approximate": approximate == "tanh"}


def _alpha(class_name: str) -> Writer:
    def write(x: Any, alpha: float = 1.0) -> Call:
        return class_name, (x,), {"alpha": alpha}

    return write


def _shrink(class_name: str) -> Writer:
    def write(x: Any, lambd: float = 0.5) -> Call:
        return class_name, (x,), {"threshold": lambd}

    return write


def _hardtanh(x: Any, min_val: float = -1.0, max_val: float = 1.0) -> Call:
    _require((min_val, max_val) == (-1.0, 1.0))
    return "HardTanh", (x,), {}


def _softplus(x: Any, beta: float = 1, threshold: float = 20) -> Call:
    _require((beta, threshold) == (1, 20))
    return "Softplus", (x,), {}


def _get_item(x: Any, key: Any) -> Call:
    for part in key if isinstance(key, tuple) else (key,):
        _require(not isinstance(part, (list, Tensor, SymbolicTensor)))
    return "GetItem", (x, index(key)), {}


def index(key: Any) -> Any:
    """An index for a file: a list is the tuple there, so a list of positions is a tensor."""
    if isinstance(key, tuple):
        return [index(part) for part in key]
    return torch.as_tensor(key) if isinstance(key, list) else key


_WITH_SETTINGS: dict[str, Writer] = {  # spellings in torch -> writer
    **{name: _reduction(name.capitalize()) for name in ("sum", "mean", "any", "all", "logsumexp",
                                                        "argmax", "argmin", "nansum", "nanmean")},
    "amax": _reduction("Max"), "amin": _reduction("Min"), "var": _spread("Var"),
    "std": _spread("Std"), "softmax": _along("Softmax"), "log_softmax": _along("LogSoftmax"),
    "cumsum": _along("Cumsum"), "cumprod": _along("Cumprod"), "squeeze": _along("Squeeze", "axis",
                                                                                None),
    "unsqueeze": _along("ExpandDims"), "unbind": _along("Unstack", default=0),
    "argsort": _along("Argsort", default=-1), "glu": _along("Glu", default=-1),
    "reshape view": _reshape, "flatten": _flatten, "ravel": _plain("Ravel"), "permute": _permute,
    "transpose swapaxes swapdims": _transpose, "movedim moveaxis": _moveaxis,
    "cat concat concatenate": _sequence("Concatenate"), "stack": _sequence("Stack"),
    "hstack": _plain("Hstack"), "vstack": _plain("Vstack"), "dstack": _plain("Dstack"),
    "clamp clip": _clamp, "clamp_min": lambda x, min: _clamp(x, min),
    "clamp_max": lambda x, max: _clamp(x, None, max), "tensor_split": _tensor_split,
    "chunk": _chunk, "split": _split, "flip": _flip, "roll": _roll, "tile repeat": _tile,
    "repeat_interleave": _repeat_interleave, "index_select": _index_select,
    "take_along_dim": _take_along_dim, "masked_fill": _masked_fill, "where": _where, "pad": _pad,
    "norm": _norm, "normalize": _normalize, "one_hot": _one_hot, "topk": _topk,
    "einsum": _einsum, "tensordot": _tensordot, "tril": _triangle("Tril"),
    "triu": _triangle("Triu"), "diagonal": _diagonal, "clone": _plain("Copy"),
    "detach": _plain("StopGradient"), "leaky_relu": _leaky_relu, "gelu": _gelu,
    "elu": _alpha("Elu"), "celu": _alpha("Celu"), "softshrink": _shrink("SoftShrink"),
    "hardshrink": _shrink("HardShrink"), "hardtanh": _hardtanh, "softplus": _softplus,
    "hardsigmoid": _plain("HardSigmoid"), "hardswish": _plain("HardSilu"), "to": _to,
    "float": _as("float32"), "double": _as("float64"), "half": _as("float16"),
    "bfloat16": _as("bfloat16"), "int": _as("int32"), "long": _as("int64"), "bool": _as("bool"),
    **{spelling: _plain(name) for spelling, name in {
        "maximum": "Maximum", "minimum": "Minimum", "fmax": "Fmax", "fmin": "Fmin",
        "atan2 arctan2": "Arctan2", "hypot": "Hypot", "heaviside": "Heaviside",
        "logaddexp": "Logaddexp", "logical_and": "LogicalAnd", "logical_or": "LogicalOr",
        "logical_xor": "LogicalXor", "zeros_like": "ZerosLike", "ones_like": "OnesLike",
    }.items()},
}  # fmt: skip


def _writers() -> dict[tuple[str, Any], Writer]:
    table: dict[tuple[str, Any], Writer] = {}

    def enter(spellings: str, writer: Writer) -> None:
        for name in spellings.split():
            for module in (torch, F):
                if (function := getattr(module, name, None)) is not None:
                    table["function", function] = writer
            if hasattr(Tensor, name):
                table["method", name] = writer

    for class_name, (function, spellings) in PLAIN.items():
        table.setdefault(("function", function), _plain(class_name))
        enter(spellings, _plain(class_name))
    for spellings, writer in _WITH_SETTINGS.items():
        enter(spellings, writer)
    table["function", operator.getitem] = _get_item
    return table


WRITERS = _writers()
