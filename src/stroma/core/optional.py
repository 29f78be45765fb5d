"""Optional packages, loaded on use, with a one-line hint when they are missing."""

from __future__ import annotations

import importlib
from types import ModuleType

from stroma.core.errors import MissingDependencyError

# module -> (extra of stroma that brings it, what it is for)
EXTRAS = {
    "simplejpeg": ("jpeg", "decoding JPEG files fast"),
    "pillow_heif": ("heic", "reading HEIC photos, as phones write them"),
    "pyarrow": ("parquet", "reading Parquet files"),
    "pyarrow.parquet": ("parquet", "reading Parquet files"),
    "huggingface_hub": ("hub", "fetching weights from the Hugging Face hub"),
}


def require(name: str) -> ModuleType:
    """The module `name`, or an error that says which extra brings it."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        extra, purpose = EXTRAS.get(name, ("", "this"))
        raise MissingDependencyError(
            f"the package {name.split('.')[0]!r} is not installed",
            where=f"import {name}",
            why=f"it is needed for {purpose}",
            fix=f"pip install 'stroma[{extra}]'" if extra else f"pip install {name}",
        ) from error


def available(name: str) -> bool:
    """Whether the module `name` can be imported."""
    try:
        importlib.import_module(name)
    except ImportError:
        return False
    return True
