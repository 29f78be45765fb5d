"""The closed table between torch functions in a network and their names in files.

Where Keras has an operation of the same meaning a file names Keras' (`keras.src.ops.numpy.Add`), so
Keras can open it; else the function's own name under the module `stroma.ops` ("torch.chunk"). Both
ways the table is all there is: nothing is imported, and no attribute is looked up, because a file
says so.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from stroma import activations
from stroma.core.dtypes import to_dtype
from stroma.core.symbolic import Node, SymbolicTensor
from stroma.saving import operation_names as names

OWN_MODULE = "stroma.ops"


def _own_table() -> dict[str, tuple[str, Any]]:
    """Name in files -> (kind of node, target)."""
    table: dict[str, tuple[str, Any]] = {}
    for name in names.OPERATORS:
        table[f"operator.{name}"] = ("function", getattr(operator, name))
    for name in (*names.BOTH, *names.TORCH_ONLY):
        if hasattr(torch, name):
            table[f"torch.{name}"] = ("function", getattr(torch, name))
    for name in names.FUNCTIONAL:
        if hasattr(F, name):
            table[f"torch.nn.functional.{name}"] = ("function", getattr(F, name))
    for name in (*names.BOTH, *names.METHODS_ONLY):
        table[f"torch.Tensor.{name}"] = ("method", name)
    for name in names.ATTRIBUTES:
        table[f"torch.Tensor.{name}"] = ("attribute", name)
    return table


_OWN = _own_table()
_OWN_NAMES = {(kind, target): name for name, (kind, target) in reversed(_OWN.items())}


class Written(NamedTuple):
    """How one recorded call goes to a file: Keras' or our module and name, arguments, settings."""

    module: str
    class_name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    config: dict[str, Any]


def write_operation(node: Node) -> Written | None:
    """A recorded function, method or attribute under its name in files; None: it has none."""
    target = node.target
    if getattr(type(target), "__hash__", None) is None:
        return None
    kwargs = {k: v for k, v in node.kwargs.items() if (k, v) not in _WITHOUT_EFFECT}
    writer = _WRITERS.get((node.kind, target))
    if writer is not None:
        try:
            class_name, args, config = writer(*node.args, **kwargs)
        except (TypeError, NotImplementedError):  # arguments that Keras' operation has not
            pass
        else:
            return Written(f"keras.src.ops.{_MODULES[class_name]}", class_name, args, {}, config)
    name = _OWN_NAMES.get((node.kind, target))
    if name is None:
        return None
    args = tuple(node.args)
    if target is operator.getitem:
        args = (args[0], _index(args[1]))
    return Written(OWN_MODULE, name, args, kwargs, {})


# torch.nn.functional hands these on from its defaults
_WITHOUT_EFFECT = [("inplace", False), ("_stacklevel", 3), ("dtype", None), ("out", None)]


def find_operation(module: Any, class_name: Any) -> Callable[..., Any] | None:
    """What runs for an operation named in a file, with Keras' arguments; None: not in the table."""
    if module == OWN_MODULE:
        kind, target = _OWN.get(class_name, ("", ""))
        if target is operator.getitem:
            return _get_item
        if kind == "function":
            function: Callable[..., Any] = target
            return function
        if kind == "method":
            return lambda first, *args, **kwargs: getattr(first, target)(*args, **kwargs)
        return (lambda first: getattr(first, target)) if kind == "attribute" else None
    if isinstance(module, str) and module.startswith(("keras.src.ops", "keras.ops")):
        return _READERS.get(class_name)
    return None


def known_operations() -> list[str]:
    """Every name of an operation that a file may hold."""
    return sorted({*_OWN, *_READERS})


# Keras' operations: those that take what torch's take

_PLAIN: dict[str, tuple[Callable[..., Any], str]] = {  # class -> (function, other spellings)
    "Add": (operator.add, "add"), "Subtract": (operator.sub, "sub subtract"),
    "Multiply": (operator.mul, "mul multiply"), "FloorDivide": (operator.floordiv, ""),
    "TrueDivide": (operator.truediv, "true_divide"), "Divide": (operator.truediv, "div divide"),
    "Mod": (operator.mod, "remainder"), "Power": (operator.pow, "pow"),
    "Matmul": (operator.matmul, "matmul bmm"), "Negative": (operator.neg, "neg negative"),
    "Absolute": (operator.abs, "abs absolute"), "Abs": (operator.abs, ""),
    "Equal": (operator.eq, "eq"), "NotEqual": (operator.ne, "ne not_equal"),
    "Less": (operator.lt, "lt less"), "LessEqual": (operator.le, "le less_equal"),
    "Greater": (operator.gt, "gt greater"), "GreaterEqual": (operator.ge, "ge greater_equal"),
    "LogicalAnd": (torch.logical_and, "logical_and"), "LogicalOr": (torch.logical_or, "logical_or"),
    "LogicalNot": (torch.logical_not, "logical_not"),
    "LogicalXor": (torch.logical_xor, "logical_xor"),
    "Maximum": (torch.maximum, "maximum"), "Minimum": (torch.minimum, "minimum"),
    "Where": (torch.where, "where"), "Exp": (torch.exp, "exp"), "Expm1": (torch.expm1, "expm1"),
    "Log": (torch.log, "log"), "Log1p": (torch.log1p, "log1p"), "Log2": (torch.log2, "log2"),
    "Log10": (torch.log10, "log10"), "Sqrt": (torch.sqrt, "sqrt"), "Rsqrt": (torch.rsqrt, "rsqrt"),
    "Square": (torch.square, "square"), "Sign": (torch.sign, "sign"), "Sin": (torch.sin, "sin"),
    "Cos": (torch.cos, "cos"), "Tan": (torch.tan, "tan"), "Tanh": (torch.tanh, "tanh"),
    "Sinh": (torch.sinh, "sinh"), "Cosh": (torch.cosh, "cosh"), "Arctan": (torch.atan, "atan"),
    "Arctan2": (torch.atan2, "atan2"), "Arcsin": (torch.asin, "asin"),
    "Arccos": (torch.acos, "acos"), "Floor": (torch.floor, "floor"), "Ceil": (torch.ceil, "ceil"),
    "Trunc": (torch.trunc, "trunc"), "Reciprocal": (torch.reciprocal, "reciprocal"),
    "Isnan": (torch.isnan, "isnan"), "Isfinite": (torch.isfinite, "isfinite"),
    "Isinf": (torch.isinf, "isinf"), "ZerosLike": (torch.zeros_like, "zeros_like"),
    "OnesLike": (torch.ones_like, "ones_like"), "Logaddexp": (torch.logaddexp, "logaddexp"),
    "Outer": (torch.outer, "outer"), "Ravel": (torch.ravel, "ravel"), "Erf": (torch.erf, "erf"),
    "Erfinv": (torch.erfinv, "erfinv"), "Relu": (F.relu, "relu"), "Relu6": (F.relu6, "relu6"),
    "Sigmoid": (torch.sigmoid, "sigmoid"), "Softsign": (F.softsign, "softsign"),
    "Silu": (F.silu, "silu"), "LogSigmoid": (F.logsigmoid, "logsigmoid"), "Selu": (F.selu, "selu"),
    "TanhShrink": (F.tanhshrink, "tanhshrink"),
}  # fmt: skip
_MODULES = dict.fromkeys(_PLAIN, "numpy") | dict.fromkeys(
    names.KERAS_NN,
    "nn",
)
_MODULES |= dict.fromkeys(["Rsqrt", "Erf", "Erfinv", "Logsumexp", "TopK"], "math")
_MODULES["Cast"] = "core"
# torch's where with one argument, and div by a rounding mode, are other functions: see the arity
_ARITY = {"Where": 3} | dict.fromkeys(
    names.KERAS_PAIRS,
    2,
)


def _plain_writer(class_name: str) -> Callable[..., Any]:
    arity = _ARITY.get(class_name, 1)

    def write(*args: Any) -> Any:
        if len(args) != arity:
            raise NotImplementedError
        return class_name, args, {}

    return write


# Keras' operations with settings: how a file's settings become a call of torch


def _axes(axis: Any) -> Any:
    return () if axis is None else tuple(axis) if isinstance(axis, list) else axis


def _reshape(x: Any, newshape: Any) -> Any:
    return torch.reshape(x, [-1 if size is None else size for size in newshape])


def _transpose(x: Any, axes: Any = None) -> Any:
    return torch.permute(x, tuple(axes if axes is not None else reversed(range(x.ndim))))


def _split(x: Any, indices_or_sections: Any, axis: int = 0) -> Any:
    return torch.tensor_split(x, indices_or_sections, axis)


def _squeeze(x: Any, axis: Any = None) -> Any:
    return torch.squeeze(x) if axis is None else torch.squeeze(x, _axes(axis))


def _repeat(x: Any, repeats: Any, axis: Any = None) -> Any:
    return torch.repeat_interleave(x, repeats, axis)


def _argument(function: Callable[..., Any]) -> Callable[..., Any]:
    def run(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        return function(x, axis, keepdims)

    return run


def _statistic(function: Callable[..., Any]) -> Callable[..., Any]:
    def run(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        return function(x, _axes(axis), keepdim=keepdims, correction=0)

    return run


def _reduction(function: Callable[..., Any]) -> Callable[..., Any]:
    def run(x: Any, axis: Any = None, keepdims: bool = False, initial: None = None) -> Any:
        if initial is not None:
            raise NotImplementedError("initial=")
        return function(x, _axes(axis), keepdim=keepdims)

    return run


def _get_item(x: Any, key: Any) -> Any:
    return x[tuple(key)] if isinstance(key, list) else x[key]


def _concatenate(xs: Any, axis: int = 0) -> Any:
    return torch.cat(list(xs), axis)


def _cast(x: Any, dtype: Any) -> Any:
    return x.to(to_dtype(dtype))


def _flip(x: Any, axis: Any = None) -> Any:
    dims = range(x.ndim) if axis is None else axis if isinstance(axis, list) else [axis]
    return torch.flip(x, tuple(dims))


_SETTINGS: dict[str, Callable[..., Any]] = {
    "GetItem": _get_item,
    "Sum": _reduction(torch.sum), "Mean": _reduction(torch.mean), "Any": _reduction(torch.any),
    "All": _reduction(torch.all), "Max": _reduction(torch.amax), "Min": _reduction(torch.amin),
    "Amax": _reduction(torch.amax), "Amin": _reduction(torch.amin),
    "Logsumexp": _reduction(torch.logsumexp),
    "Var": _statistic(torch.var), "Std": _statistic(torch.std),
    "Argmax": _argument(torch.argmax), "Argmin": _argument(torch.argmin),
    "Concatenate": _concatenate,
    "Stack": lambda xs, axis=0: torch.stack(list(xs), axis),
    "ExpandDims": lambda x, axis: torch.unsqueeze(x, axis),
    "Squeeze": _squeeze, "Reshape": _reshape, "Transpose": _transpose, "Split": _split,
    "Swapaxes": lambda x, axis1, axis2: torch.transpose(x, axis1, axis2),
    "Moveaxis": lambda x, source, destination: torch.movedim(x, source, destination),
    "Clip": lambda x, x_min, x_max: torch.clamp(x, x_min, x_max),
    "Flip": _flip, "Repeat": _repeat, "Cast": _cast,
    "Tile": lambda x, repeats: torch.tile(x, (repeats,) if isinstance(repeats, int) else repeats),
    "Roll": lambda x, shift, axis=None: torch.roll(x, shift, _axes(axis) if axis else axis),
    "BroadcastTo": lambda x, shape: torch.broadcast_to(x, shape),
    "Cumsum": lambda x, axis: torch.cumsum(x, axis),
    "Cumprod": lambda x, axis: torch.cumprod(x, axis),
    "Sort": lambda x, axis=-1: torch.sort(x, axis)[0],
    "Round": lambda x, decimals=0: torch.round(x, decimals=decimals),
    "Einsum": lambda *operands, subscripts: torch.einsum(subscripts, *operands),
    "TopK": lambda x, k, sorted=True: torch.topk(x, k, sorted=sorted),
    "Softmax": activations.softmax, "LogSoftmax": activations.log_softmax,
    "Glu": lambda x, axis=-1: F.glu(x, axis),
    "Gelu": activations.gelu, "LeakyRelu": activations.leaky_relu, "Elu": activations.elu,
    "Celu": activations.celu, "SoftShrink": activations.soft_shrink,
    "HardShrink": activations.hard_shrink, "Softplus": activations.softplus,
    "HardSigmoid": activations.hard_sigmoid, "HardSilu": activations.hard_silu,
    "HardTanh": activations.hard_tanh, "SparsePlus": activations.sparse_plus,
    "SparseSigmoid": activations.sparse_sigmoid, "Squareplus": activations.squareplus,
    "Sparsemax": activations.sparsemax, "Threshold": activations.threshold,
}  # fmt: skip
_READERS: Mapping[str, Callable[..., Any]] = {
    **{name: function for name, (function, _) in _PLAIN.items()},
    **_SETTINGS,
}
_MODULES = dict.fromkeys(_SETTINGS, "numpy") | _MODULES

# And the other way: how a call of torch becomes Keras' settings. What does not fit raises
# TypeError, and the call goes to the file under its own name.


def _sized(x: Any, *sizes: Any) -> Any:
    """`x.reshape(2, 3)` and `x.reshape((2, 3))` are one call."""
    return list(sizes[0]) if len(sizes) == 1 and not isinstance(sizes[0], int) else list(sizes)


def _write_reduction(class_name: str) -> Callable[..., Any]:
    def write(x: Any, dim: Any = None, keepdim: bool = False) -> Any:
        axis = None if dim == () else list(dim) if isinstance(dim, tuple) else dim
        return class_name, (x,), {"axis": axis, "keepdims": keepdim}

    return write


def _write_reshape(x: Any, *shape: Any) -> Any:
    return "Reshape", (x,), {"newshape": _sized(x, *shape)}


def _write_permute(x: Any, *dims: Any) -> Any:
    return "Transpose", (x,), {"axes": _sized(x, *dims)}


def _write_softmax(class_name: str) -> Callable[..., Any]:
    def write(x: Any, dim: int) -> Any:
        return class_name, (x,), {"axis": dim}

    return write


def _write_cat(tensors: Any, dim: int = 0) -> Any:
    return "Concatenate", (list(tensors),), {"axis": dim}


def _write_stack(tensors: Any, dim: int = 0) -> Any:
    return "Stack", (list(tensors),), {"axis": dim}


def _write_clamp(x: Any, min: float, max: float) -> Any:  # torch's names
    return "Clip", (x,), {"x_min": min, "x_max": max}


def _write_transpose(x: Any, dim0: int, dim1: int) -> Any:
    return "Swapaxes", (x,), {"axis1": dim0, "axis2": dim1}


def _write_tensor_split(x: Any, indices_or_sections: Any, dim: int = 0) -> Any:
    return "Split", (x,), {"indices_or_sections": indices_or_sections, "axis": dim}


def _write_leaky_relu(x: Any, negative_slope: float = 0.01) -> Any:
    return "LeakyRelu", (x,), {"negative_slope": negative_slope}


def _write_gelu(x: Any, approximate: str = "none") -> Any:
    return "Gelu", (x,), {"approximate": approximate == "tanh"}


def _write_elu(x: Any, alpha: float = 1.0) -> Any:
    return "Elu", (x,), {"alpha": alpha}


def _write_cast(x: Any, dtype: torch.dtype) -> Any:
    if not isinstance(dtype, torch.dtype):
        raise NotImplementedError
    return "Cast", (x,), {"dtype": str(dtype).removeprefix("torch.")}


def _write_get_item(x: Any, key: Any) -> Any:
    for part in key if isinstance(key, tuple) else (key,):
        if isinstance(part, (list, Tensor, SymbolicTensor)):
            raise NotImplementedError
    return "GetItem", (x, _index(key)), {}


def _index(key: Any) -> Any:
    """An index for a file: a list is the tuple there, so a list of positions is a tensor."""
    if isinstance(key, tuple):
        return [_index(part) for part in key]
    return torch.as_tensor(key) if isinstance(key, list) else key


def _write_squeeze(x: Any, dim: Any = None) -> Any:
    return "Squeeze", (x,), {"axis": dim}


def _write_unsqueeze(x: Any, dim: int) -> Any:
    return "ExpandDims", (x,), {"axis": dim}


def _writers() -> dict[tuple[str, Any], Callable[..., Any]]:
    table: dict[tuple[str, Any], Callable[..., Any]] = {}

    def enter(names: str, writer: Callable[..., Any]) -> None:
        for name in names.split():
            for module in (torch, F):
                if (function := getattr(module, name, None)) is not None:
                    table["function", function] = writer
            if hasattr(Tensor, name):
                table["method", name] = writer

    for class_name, (function, spellings) in _PLAIN.items():
        writer = _plain_writer(class_name)
        table.setdefault(("function", function), writer)
        enter(spellings, writer)
    table["function", operator.getitem] = _write_get_item
    for name, class_name in {
        "sum": "Sum", "mean": "Mean", "any": "Any", "all": "All", "amax": "Max", "amin": "Min",
        "logsumexp": "Logsumexp", "argmax": "Argmax", "argmin": "Argmin",
    }.items():  # fmt: skip
        enter(name, _write_reduction(class_name))
    enter("softmax", _write_softmax("Softmax"))
    enter("log_softmax", _write_softmax("LogSoftmax"))
    enter("reshape view", _write_reshape)
    enter("permute", _write_permute)
    enter("cat concat concatenate", _write_cat)
    enter("stack", _write_stack)
    enter("clamp clip", _write_clamp)
    enter("transpose swapaxes swapdims", _write_transpose)
    enter("tensor_split", _write_tensor_split)
    enter("squeeze", _write_squeeze)
    enter("unsqueeze", _write_unsqueeze)
    enter("leaky_relu", _write_leaky_relu)
    enter("gelu", _write_gelu)
    enter("elu", _write_elu)
    table["method", "to"] = _write_cast
    return table


_WRITERS = _writers()
