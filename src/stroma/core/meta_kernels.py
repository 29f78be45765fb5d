"""Torch's kernels for the meta device, and its flop counter, spared the import of the compiler.

Many kernels (`relu`, `add`, `addmm`...) are Python functions behind `_disable_dynamo`, which
hides them from `torch.compile`. To do that it imports the compiler with its first call: 350 modules
and over half a second, also in a process that never compiles. Where the compiler is not loaded
there is nothing to hide from: the hidden function itself does the same.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator
from types import FunctionType
from typing import Any

_COMPILER = "torch._dynamo"
_READY = "__dynamo_disable"  # where `_disable_dynamo` keeps what it made at its first call


@functools.cache
def spare_the_compiler() -> None:
    """Let torch's meta kernels run without importing the compiler, until somebody else does.

    This rests on how torch is written inside. Where that changes nothing is found here, and shapes
    are learned as before, only slower; a test says so.
    """
    if _COMPILER in sys.modules:
        return
    for hiding, hidden in _hidden_kernels():
        if not hasattr(hidden, _READY):
            setattr(hidden, _READY, _plain_while_alone(hiding, hidden))


def _plain_while_alone(hiding: Callable[..., Any], hidden: FunctionType) -> Callable[..., Any]:
    def run(*args: Any, **kwargs: Any) -> Any:
        if _COMPILER not in sys.modules:
            return hidden(*args, **kwargs)
        vars(hidden).pop(_READY, None)  # the compiler came: from here on torch's own way
        return hiding(*args, **kwargs)

    return run


def _hidden_kernels() -> Iterator[tuple[FunctionType, FunctionType]]:
    """Each function that `_disable_dynamo` made among them, and the one it hides."""
    try:  # none of these names is a promise of torch's
        from torch._compile import _disable_dynamo
        from torch._decomp import global_decomposition_table
        from torch.utils import flop_counter
    except ImportError:
        return
    made = getattr(_disable_dynamo(_hidden_kernels), "__code__", None)
    left: list[Any] = [f for table in global_decomposition_table.values() for f in table.values()]
    counting = getattr(flop_counter, "_FlopCounterMode", None)
    left.append(getattr(counting, "__torch_dispatch__", None))
    seen: set[int] = set()
    while left:
        function = left.pop()
        if not isinstance(function, FunctionType) or id(function) in seen:
            continue
        seen.add(id(function))
        # what a decorator was put around stands in the closure of what it made
        inside = dict(zip(function.__code__.co_freevars, _captured(function)))
        if function.__code__ is made and isinstance(inside.get("fn"), FunctionType):
            yield function, inside["fn"]
        left += inside.values()


def _captured(function: FunctionType) -> Iterator[Any]:
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # not filled yet: a name that is assigned later
            yield None
