"""In which dtype a layer computes: inputs cast on entry, autocast under a mixed policy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_map

from stroma.core.dtypes import DTypePolicy
from stroma.core.shape_run import in_shape_run


def cast_inputs(args: tuple[Any, ...], dtype: torch.dtype) -> tuple[Any, ...]:
    """Floating inputs in the compute dtype, unless torch's autocast is choosing dtypes."""
    for arg in args:
        for leaf in arg if type(arg) in (list, tuple) else (arg,):
            if isinstance(leaf, Tensor) and leaf.dtype is not dtype and _castable(leaf):
                return _cast(args, dtype)  # type: ignore[no-any-return]  # a tuple stays one
    return args


def floating(x: Tensor, dtype: torch.dtype) -> Tensor:
    """Whole numbers in `dtype`, for what is computed with weights or means; floats as they are."""
    return x if x.is_floating_point() else x.to(dtype)


def call_mixed(
    call: Callable[..., Any], policy: DTypePolicy, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """`call` under a mixed policy: it computes in 16 bits from weights in 32."""
    if in_shape_run():  # meta kernels want one dtype: only the result's is of interest
        outputs = call(*_cast(args, policy.variable_dtype), **kwargs)
    else:
        leaves = tree_flatten(args)[0]
        device = next((x.device.type for x in leaves if isinstance(x, Tensor)), "cpu")
        with torch.autocast(device, policy.compute_dtype):
            outputs = call(*args, **kwargs)
    return _cast(outputs, policy.compute_dtype)


def _cast(tree: Any, dtype: torch.dtype) -> Any:
    return tree_map(
        lambda leaf: leaf.to(dtype) if isinstance(leaf, Tensor) and _castable(leaf) else leaf, tree
    )


def _castable(leaf: Tensor) -> bool:
    if not leaf.is_floating_point():
        return False
    return leaf.is_meta or not torch.is_autocast_enabled(leaf.device.type)  # meta has no autocast
