"""Symbolic tensors: any stroma layer or torch function applied to one is recorded as a node."""

from __future__ import annotations

import inspect
import itertools
import operator
import sys
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_map, tree_map_only

from stroma.core.axes import Shape, shape_text
from stroma.core.dtypes import dtype_name
from stroma.core.errors import GraphError, ShapeError, StromaError
from stroma.core.shape_run import common_shape, difference, probes, shape_run

_recorded = itertools.count()


class Node:
    """One recorded call.

    Args:
        kind: "input", "layer", "function", "method", "attribute" or "item".
        target: The layer, the function, or the name of the method or attribute.
        args, kwargs: Its arguments; those that are symbolic tensors are its inputs.
    """

    def __init__(
        self,
        kind: str,
        target: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> None:
        self.kind, self.target, self.args, self.kwargs = kind, target, args, kwargs or {}
        self.index = next(_recorded)
        self.outputs: Any = None
        self.result: Any = None  # what a layer's caller got: several outputs in their structure
        self.origin = _origin()

    def run(self, *args: Any, **kwargs: Any) -> Any:
        """Do what was recorded, on tensors."""
        if self.kind == "layer":
            return self.target.run_for_shapes(*args, **kwargs)
        if self.kind == "attribute":
            return getattr(args[0], self.target)
        if self.kind == "method":
            return getattr(args[0], self.target)(*args[1:], **kwargs)
        return self.target(*args, **kwargs)

    def inputs(self) -> list[SymbolicTensor]:
        """The symbolic tensors among the arguments, in order."""
        return [leaf for leaf in tree_flatten((self.args, self.kwargs))[0] if is_symbolic(leaf)]

    def label(self) -> str:
        """Name and kind, for tables and messages."""
        name = getattr(self.target, "name", None) if self.kind in ("layer", "input") else None
        return f"{name} ({self.title()})" if name else self.title()

    def title(self) -> str:
        """What messages and tables call it."""
        if self.kind in ("layer", "input"):
            return type(self.target).__name__
        name = self.target if isinstance(self.target, str) else self.target.__name__
        return str(name).strip("_")


def _origin() -> str:
    """File and line of the user's code that is being recorded, for messages."""
    frame = sys._getframe(2)
    while frame is not None:
        name = frame.f_globals.get("__name__", "")
        if not name.startswith(("stroma.", "torch.")):
            return f"{frame.f_code.co_filename}:{frame.f_lineno}"
        frame = frame.f_back  # type: ignore[assignment]
    return ""


def is_symbolic(thing: Any) -> bool:
    """Whether `thing` is a symbolic tensor."""
    return isinstance(thing, SymbolicTensor)


def any_symbolic(*trees: Any) -> bool:
    """Whether a symbolic tensor stands anywhere in these structures."""
    return any(is_symbolic(leaf) for leaf in tree_flatten(trees)[0])


class SymbolicTensor:
    """A tensor whose numbers are not known yet; `None` in `shape` is a size not known yet.

    Operators, methods, properties and torch functions applied to it are recorded. What would need
    numbers (`bool()`, `float()`, `.numpy()`, `.item()`) raises and says so.
    """

    __slots__ = ("__weakref__", "mask", "name", "node", "probes")

    def __init__(
        self, node: Node, probe_pair: tuple[Tensor, Tensor], name: str | None = None
    ) -> None:
        self.node, self.probes = node, probe_pair
        self.mask: SymbolicTensor | None = None
        self.name = name

    # What is known of it

    @property
    def shape(self) -> Shape:
        return common_shape(*self.probes)

    @property
    def dtype(self) -> torch.dtype:
        return self.probes[0].dtype

    @property
    def ndim(self) -> int:
        return self.probes[0].dim()

    @property
    def device(self) -> torch.device:
        return torch.device("cpu")  # constants made beside it are real and move with the network

    @property
    def is_meta(self) -> bool:
        return False

    def dim(self) -> int:
        return self.ndim

    def size(self, dim: int | None = None) -> Any:
        return self.shape if dim is None else self.shape[dim]

    def __repr__(self) -> str:
        dtype = dtype_name(self.dtype)
        return f"<SymbolicTensor shape={shape_text(self.shape)} dtype={dtype}>"

    # What is recorded

    def __getattr__(self, name: str) -> Any:
        attribute = None if name.startswith("__") else getattr(torch.Tensor, name, None)
        if attribute is None:
            raise AttributeError(f"a symbolic tensor has no attribute {name!r}")
        if name in _NEEDS_NUMBERS:
            return lambda *args, **kwargs: _needs_numbers(f".{name}()")
        if not callable(attribute):
            return record("attribute", name, (self, name), {})

        def method(*args: Any, **kwargs: Any) -> Any:
            _refuse_unrecordable(attribute, name, args, kwargs)
            return record("method", name, (self, *args), kwargs)

        return method

    def __getitem__(self, index: Any) -> Any:
        parts = index if isinstance(index, tuple) else (index,)
        if any(getattr(part, "dtype", None) == torch.bool for part in parts):
            _needs_numbers("indexing with a boolean mask")
        return record("function", operator.getitem, (self, index), {})

    @classmethod
    def __torch_function__(
        cls,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        _refuse_unrecordable(func, name, args, kwargs)
        if name.startswith("__") and (function := getattr(operator, name, None)) is not None:
            return record("function", function, args, kwargs)
        if name.startswith("__r") and hasattr(operator, f"__{name[3:]}"):
            function = getattr(operator, f"__{name[3:]}")
            return record("function", function, args[::-1], kwargs)
        if inspect.ismethoddescriptor(func) and hasattr(torch.Tensor, name):
            return record("method", name, args, kwargs)
        return record("function", func, args, kwargs)

    # What needs numbers

    def __setitem__(self, index: Any, value: Any) -> NoReturn:
        _refuse_in_place("x[...] = value", "torch.where(condition, value, x)")

    def __bool__(self) -> NoReturn:
        _needs_numbers("bool()")

    def __float__(self) -> NoReturn:
        _needs_numbers("float()")

    def __int__(self) -> NoReturn:
        _needs_numbers("int()")

    def __index__(self) -> NoReturn:
        _needs_numbers("use as an index")

    def __len__(self) -> int:
        if self.ndim and self.shape[0] is not None:
            return self.shape[0]
        _needs_numbers("len()")

    def __iter__(self) -> Iterator[Any]:
        return iter([self[i] for i in range(len(self))])

    def __contains__(self, item: Any) -> NoReturn:
        _needs_numbers("in")

    def __array__(self, *args: Any, **kwargs: Any) -> NoReturn:
        _needs_numbers("conversion to NumPy")

    __array_ufunc__ = None  # so that `array * x` asks x, and is recorded
    __hash__ = object.__hash__


def _operator(function: Callable[..., Any], swapped: bool = False) -> Callable[..., Any]:
    def apply(self: SymbolicTensor, *others: Any) -> Any:
        return record("function", function, (*others, self) if swapped else (self, *others), {})

    return apply


_BINARY = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and", "or", "xor")
for _name in (*_BINARY, "lshift", "rshift"):
    _function = getattr(operator, f"__{_name}__")
    setattr(SymbolicTensor, f"__{_name}__", _operator(_function))
    setattr(SymbolicTensor, f"__r{_name}__", _operator(_function, swapped=True))
for _name in ["eq", "ne", "lt", "le", "gt", "ge", "neg", "pos", "abs", "invert"]:
    setattr(SymbolicTensor, f"__{_name}__", _operator(getattr(operator, f"__{_name}__")))

_NEEDS_NUMBERS = {"numpy", "item", "tolist", "cpu", "cuda", "backward", "nonzero"}


def _needs_numbers(what: str) -> NoReturn:
    raise GraphError(
        f"{what} needs the numbers of a tensor, and a symbolic tensor has none yet",
        where=_origin(),
        why="the network is being recorded: its input comes later",
        fix="use torch functions on it (torch.where instead of if), or put the code into the "
        "call() of your own Layer",
    )


def _refuse_in_place(what: str, instead: str) -> NoReturn:
    raise GraphError(
        f"{what} changes a tensor in place and cannot be recorded",
        where=_origin(),
        why="another part of the network may read the tensor before the change",
        fix=f"use {instead}",
    )


def _refuse_unrecordable(
    func: Callable[..., Any], name: str, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    """Raise on what must not be a node: in-place work, hidden weights, a `training` switch."""
    if (
        (name.endswith("_") and not name.endswith("__"))
        or kwargs.get("out") is not None
        or kwargs.get("inplace")
    ):
        _refuse_in_place(name, f"{name.rstrip('_')} without in-place or out=")
    holds_weights = any(isinstance(a, nn.Parameter) for a in tree_flatten((args, kwargs))[0])
    if not holds_weights and "training" not in kwargs and not _takes_training(func):
        return
    raise GraphError(
        f"{name} cannot be recorded: it "
        + ("receives a weight of its own" if holds_weights else "behaves differently in training"),
        where=_origin(),
        why="the network would not know the weights to train, or whether it trains",
        fix="wrap the module: layers.TorchModuleWrapper(module, layout='NCHW')(x), or use the "
        "stroma layer",
    )


def _takes_training(func: Callable[..., Any]) -> bool:
    try:
        return "training" in inspect.signature(func).parameters
    except (TypeError, ValueError):  # builtins without a signature: torch.relu
        return False


def record(kind: str, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Record a torch function, method or attribute; its shapes come from running it."""
    args, kwargs = tree_map_only(np.ndarray, torch.from_numpy, (args, kwargs))
    return finish(Node(kind, target, args[:1] if kind == "attribute" else args, kwargs))


def finish(node: Node, fallback: Callable[[], Any] | None = None) -> Any:
    """Run a node on both probes and give its symbolic outputs, nested as the real ones are."""
    try:
        first, second = run_on_probes(node)
    except StromaError:
        raise
    except Exception as error:
        if fallback is not None:
            outputs = fallback()
            if outputs is not None:
                first, second = outputs
                return symbolic_outputs(node, first, second)
        shapes = ", ".join(shape_text(tensor.shape) for tensor in node.inputs())
        raise ShapeError(
            f"{node.title()} does not work on {shapes}: {_first_line(error)}",
            where=node.origin,
            why="shapes are found by running the code on tensors that have no numbers",
            fix=_fix_for(error),
        ) from error
    if differing := difference(first, second):
        raise GraphError(
            f"{node.title()} gives {differing} on a size that is not known yet",
            where=node.origin,
            why="the network is recorded once for every size, so it would be frozen",
            fix="give that size a number: Input(shape, batch_size=...), or put the code into the "
            "call() of your own Layer",
        )
    return symbolic_outputs(node, first, second)


def run_on_probes(node: Node) -> tuple[Any, Any]:
    """What the node gives for the first and for the second probe sizes."""

    def outputs(which: int) -> Any:
        args, kwargs = tree_map_only(
            SymbolicTensor, lambda tensor: tensor.probes[which], (node.args, node.kwargs)
        )
        with shape_run():
            return node.run(*args, **kwargs)

    return outputs(0), outputs(1)


def symbolic_outputs(node: Node, first: Any, second: Any) -> Any:
    """Symbolic tensors for a node's outputs; several outputs become `item` nodes."""
    if isinstance(first, Tensor):
        node.outputs = SymbolicTensor(node, (first.detach(), second.detach()))
        return node.outputs
    if not isinstance(first, (list, tuple, dict)):  # a number, a shape: the same in every run
        node.outputs = first
        return first
    keys = list(first) if isinstance(first, dict) else list(range(len(first)))
    whole = SymbolicTensor(node, probes((1,), torch.float32))  # stands for the structure itself
    node.outputs = whole
    items = {}
    for key in keys:
        item = Node("item", operator.getitem, (whole, key))
        items[key] = symbolic_outputs(item, first[key], second[key])
    if isinstance(first, dict):
        return items
    made = [items[key] for key in keys]
    if hasattr(first, "n_sequence_fields"):  # torch.max(x, 1).values, torch.topk(x, 3).indices
        return type(first)(made)
    return made if type(first) is list else tuple(made)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _fix_for(error: Exception) -> str:
    text = str(error).lower()
    if "meta" in text or "data-dependent" in text or "item" in text:
        return (
            "the code needs numbers (.item(), a Python if on values): define "
            "compute_output_shape(self, input_shape) in the layer"
        )
    return "change the layer before it, or this one's arguments, so that the shapes fit"


def map_symbolic(function: Callable[[SymbolicTensor], Any], tree: Any) -> Any:
    """`function` on every symbolic tensor of a structure; the rest stays."""
    return tree_map(lambda leaf: function(leaf) if is_symbolic(leaf) else leaf, tree)
