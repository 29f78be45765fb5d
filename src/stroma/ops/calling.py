"""How an operation of Keras is made of a function of tensors: arguments, dtypes, graphs.

The functions below this room take inputs by position and settings by keyword, because files keep
the two apart. Keras' operations take both either way, lists and numbers for tensors, and symbolic
tensors, on which the whole operation is recorded as one node that a file names as Keras does.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import reduce
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from stroma.core.dtypes import dtype_policy, to_dtype
from stroma.core.symbolic import any_symbolic, is_symbolic, record
from stroma.ops.arguments import documented

Inputs = Literal["any", "floating", "alike", "several", "alike floating", "made"]
Result = torch.dtype | Callable[[torch.dtype], torch.dtype] | None


def operation(
    function: Callable[..., Any],
    doc: str,
    names: str = "",
    *,
    inputs: Inputs = "any",
    result: Result = None,
    **defaults: Any,
) -> Callable[..., Any]:
    """An operation with Keras' arguments over a function of tensors.

    Args:
        function: Takes inputs by position, settings by keyword.
        doc: What it computes, in a sentence.
        names: Of its inputs, for torch's functions, whose own cannot be asked for.
        inputs: "floating": integers become floating-point numbers first; "alike": all get the
            dtype that holds each of them; "several": each is a list of tensors; "made": they are
            tensors already; "any": as they are.
        result: Its dtype, or that of the result by the dtype of the first input.
        defaults: Of settings, where the operation's differ from the function's.
    """
    signature = _signature(function, names, defaults)
    settings = _settings(function, names, defaults)

    def call(*args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(*args, **kwargs)
        given: list[Any] = []
        chosen = dict(defaults)
        for name, value in bound.arguments.items():
            if name in settings:
                chosen[name] = value
            elif signature.parameters[name].kind is inspect.Parameter.VAR_POSITIONAL:
                given.extend(value)
            else:
                given.append(value)
        return apply(function, *given, inputs=inputs, result=result, **chosen)

    call.__signature__ = signature  # type: ignore[attr-defined]  # what help() and editors show
    call.__doc__ = documented(doc, signature)
    call.__name__ = call.__qualname__ = getattr(function, "__name__", "operation").strip("_")
    return call


def _settings(function: Callable[..., Any], names: str, defaults: dict[str, Any]) -> set[str]:
    """The parameters that the function takes by keyword."""
    if names:
        return set(defaults)
    parameters = list(inspect.signature(function).parameters.values())
    if function.__module__.endswith("activations"):
        return {p.name for p in parameters[1:]}
    return {p.name for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY}


def _signature(
    function: Callable[..., Any], names: str, defaults: dict[str, Any]
) -> inspect.Signature:
    """Keras' signature: inputs first, then settings, each by position or by keyword."""
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    if names:
        made = [inspect.Parameter(name, kind) for name in names.split()]
        made += [inspect.Parameter(n, kind, default=value) for n, value in defaults.items()]
        return inspect.Signature(made)
    parameters = list(inspect.signature(function).parameters.values())
    if not any(p.kind is inspect.Parameter.VAR_POSITIONAL for p in parameters):
        parameters = [p.replace(kind=kind) for p in parameters]
    parameters = [p.replace(default=defaults.get(p.name, p.default)) for p in parameters]
    return inspect.Signature([p.replace(annotation=p.empty) for p in parameters])


def apply(
    function: Callable[..., Any],
    *given: Any,
    inputs: Inputs = "any",
    result: Result = None,
    **settings: Any,
) -> Any:
    """The function on tensors made of what was given, or its record on symbolic ones."""
    symbolic = any_symbolic(given)
    if inputs == "several":
        values = [[to_tensor(x) for x in _listed(value)] for value in given]
    elif inputs == "made":
        values = list(given)
    elif "alike" in inputs and not symbolic:
        values = alike(*given)
    else:
        values = [_input(value, keep_number=symbolic) for value in given]
    if inputs.endswith("floating"):
        values = [floating(value) for value in values]
    dtype = next((v.dtype for v in values if hasattr(v, "dtype")), None)
    y = (
        record("function", function, tuple(values), settings)
        if symbolic
        else (function(*values, **settings))
    )
    wanted = result(dtype) if callable(result) and dtype is not None else result
    return y if wanted is None or y.dtype == wanted else y.to(wanted)


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else list(to_tensor(value))


def _input(value: Any, keep_number: bool) -> Any:
    if value is None or (keep_number and isinstance(value, (bool, int, float, complex))):
        return value
    return to_tensor(value)


def to_tensor(value: Any, dtype: Any = None, like: Tensor | None = None) -> Any:
    """A tensor of what was given: Python's integers are int32, its floats have the default dtype.

    Tensors, symbolic ones too, stay as they are unless another dtype is asked for.
    """
    wanted = None if dtype is None else to_dtype(dtype)
    if isinstance(value, Tensor) or is_symbolic(value):
        return value if wanted in (None, value.dtype) else value.to(wanted)
    if isinstance(value, (list, tuple)) and any(isinstance(v, Tensor) or is_symbolic(v)
                                                for v in value):  # fmt: skip
        return to_tensor(torch.stack(alike(*value)), dtype)
    array = value if isinstance(value, np.ndarray) else np.asarray(value)
    if wanted is None and not isinstance(value, (np.ndarray, np.generic)):
        wanted = _of_python(array)
    if array.dtype in (np.uint16, np.uint32):  # torch calculates with few of them
        array = array.astype(np.int64)
    if not (array.flags.writeable and all(step >= 0 for step in array.strides)):
        array = array.copy()
    return torch.as_tensor(array, dtype=wanted, device=None if like is None else like.device)


def _of_python(array: np.ndarray) -> torch.dtype | None:
    if array.dtype.kind == "f":
        return dtype_policy().variable_dtype
    if array.dtype.kind == "i" and (not array.size or abs(array).max() < 2**31):
        return torch.int32
    return torch.complex64 if array.dtype.kind == "c" else None


def floating(value: Any) -> Any:
    """Integers and truth values as floating-point numbers; the rest as it is."""
    dtype = getattr(value, "dtype", None)
    if dtype is None or dtype.is_floating_point or dtype.is_complex:
        return value
    return value.to(dtype_policy().variable_dtype)


def alike(*values: Any) -> list[Any]:
    """Tensors of the one dtype that holds each of them; Python's numbers take the others' dtype.

    A float beside integers makes them floating-point numbers, as everywhere in Keras.
    """
    if any_symbolic(values):
        return [to_tensor(value) for value in values]
    numbers = [v for v in values if isinstance(v, (bool, int, float, complex))]
    tensors = [None if isinstance(v, (bool, int, float, complex)) else to_tensor(v) for v in values]
    known = [tensor for tensor in tensors if tensor is not None]
    if not known:
        known = tensors = [to_tensor(v) for v in values]
        numbers = []
    dtype = reduce(torch.promote_types, [tensor.dtype for tensor in known])
    if numbers:
        dtype = _beside(dtype, numbers)
    return [
        to_tensor(value, dtype, like=known[0]) if tensor is None else tensor.to(dtype)
        for value, tensor in zip(values, tensors)
    ]


def _beside(dtype: torch.dtype, numbers: list[Any]) -> torch.dtype:
    """The dtype of tensors beside numbers of Python."""
    if any(isinstance(n, complex) for n in numbers):
        return torch.promote_types(dtype, torch.complex64)
    if any(isinstance(n, float) for n in numbers):
        if dtype.is_floating_point or dtype.is_complex:
            return dtype
        return dtype_policy().variable_dtype
    whole = any(not isinstance(n, bool) for n in numbers)
    return torch.int32 if whole and dtype == torch.bool else dtype
