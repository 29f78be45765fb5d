"""stroma: build, train, transfer, understand and ship convolutional networks.

Keras-shaped, PyTorch-native, fast by default. Rooms and names load on first use (PEP 562), so
`import stroma` loads nothing optional, and `stroma --help` does not even load torch.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_ROOMS = (
    "activations", "applications", "backend", "callbacks", "compress", "config", "constraints",
    "data", "datasets", "diagnostics", "dtype_policies", "explain", "initializers", "layers",
    "losses", "metrics", "mixed_precision", "models", "ops", "optimizers", "preprocessing",
    "random", "regularizers", "saving", "schedules", "transfer", "tree", "utils", "zoo",
)  # fmt: skip
_NAMES = {  # public name -> the module that defines it
    "Input": "stroma.layers",
    "Layer": "stroma.layers",
    "Model": "stroma.models",
    "Sequential": "stroma.models",
    "fit": "stroma.models",
    **dict.fromkeys(("finetune", "features", "choose_head"), "stroma.transfer"),
    **dict.fromkeys(("constant", "zeros", "ones", "shape", "one_hot"), "stroma.ops"),
    "rank": "stroma",  # below
    "DTypePolicy": "stroma.dtype_policies",
    "set_random_seed": "stroma.core.seeds",
}


def rank(x: Any, *data: Any, **options: Any) -> Any:
    """`rank(tensor)`, as in `tf.rank`: how many axes; `rank(bases, data)`: which base suits best.

    See `stroma.ops.rank` and `stroma.transfer.rank`.
    """
    room = "stroma.transfer" if data or options else "stroma.ops"
    return importlib.import_module(room).rank(x, *data, **options)


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        if name == "optimizers":  # Keras' path optimizers.schedules
            importlib.import_module("stroma.optimizers.schedules")
        return importlib.import_module(f"stroma.{name}")
    if name in _NAMES:
        return getattr(importlib.import_module(_NAMES[name]), name)
    from stroma.core.errors import did_you_mean

    meant = did_you_mean(name, [*_ROOMS, *_NAMES])
    raise AttributeError(f"module 'stroma' has no attribute {name!r}.{meant}")


def __dir__() -> list[str]:
    dunders = {name for name in globals() if name.startswith("__")}
    return sorted({*dunders, *_ROOMS, *_NAMES})
