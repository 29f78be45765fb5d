"""stroma: build, train, transfer, understand and ship convolutional networks.

Keras-shaped, PyTorch-native, fast by default. Rooms and names load on first use (PEP 562), so
`import stroma` loads torch and nothing optional, and `import stroma.cli` not even that.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_ROOMS = {
    "activations", "applications", "callbacks", "constraints", "data", "initializers", "layers",
    "losses", "metrics", "models", "optimizers", "regularizers", "zoo",
}  # fmt: skip
_NAMES: dict[str, str] = {}  # public name -> the module that defines it


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return importlib.import_module(f"stroma.{name}")
    if name in _NAMES:
        return getattr(importlib.import_module(_NAMES[name]), name)
    raise AttributeError(f"module 'stroma' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_ROOMS, *_NAMES})
