"""Keras' older path to the dtype policies.

Example:
    >>> import stroma
    >>> stroma.mixed_precision.set_global_policy("mixed_bfloat16")
    >>> stroma.layers.Dense(1).compute_dtype
    'bfloat16'
    >>> stroma.mixed_precision.set_global_policy(None)
"""

from stroma.core.dtypes import DTypePolicy, dtype_policy, set_dtype_policy
from stroma.optimizers import LossScaleOptimizer

Policy = DTypePolicy
global_policy = dtype_policy
set_global_policy = set_dtype_policy

__all__ = [
    "DTypePolicy", "LossScaleOptimizer", "Policy", "dtype_policy", "global_policy",
    "set_dtype_policy", "set_global_policy",
]  # fmt: skip
