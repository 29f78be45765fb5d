"""The Hugging Face hub's cache on this machine. It is read; nothing is fetched."""

from __future__ import annotations

import os
import re
from pathlib import Path

from stroma.core.errors import WeightsError

PREFIX = "hf-hub:"  # timm's spelling: "hf-hub:timm/resnet50.a1_in1k"
_FILES = ("model.safetensors", "pytorch_model.bin")
_NAME = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)


def hub_cache() -> Path:
    """Where `huggingface_hub` keeps what it fetched; it may not exist."""
    home = os.environ.get("HF_HOME") or Path("~/.cache/huggingface").expanduser()
    return Path(os.environ.get("HF_HUB_CACHE") or Path(home, "hub"))


def hub_files(repository: str) -> list[Path]:
    """The files of weights of a repository ("timm/resnet50.a1_in1k"), the best first.

    The snapshot that `main` points to comes first, safetensors come before PyTorch's format.
    """
    folder = hub_cache() / f"models--{repository.replace('/', '--')}"
    try:
        main = (folder / "refs" / "main").read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        main = ""
    found = [path for name in _FILES for path in sorted(folder.glob(f"snapshots/*/{name}"))]
    return sorted(found, key=lambda path: path.parent.name != main)


def hub_weights(name: str) -> Path:
    """The file that "hf-hub:owner/name" means, where it lies in the cache.

    Raises: WeightsError: it is no such name, or not there.
    """
    repository = name.removeprefix(PREFIX)
    if not _NAME.fullmatch(repository):
        raise WeightsError(
            f"{name!r} is no repository of the Hugging Face hub",
            where=f"weights={name!r}",
            why="a repository is named by its owner and its name",
            fix=f"weights={PREFIX + 'timm/resnet50.a1_in1k'!r}",
        )
    if files := hub_files(repository):
        return files[0]
    raise WeightsError(
        f"{repository} is not in the Hugging Face cache of this machine",
        where=str(hub_cache()),
        why="stroma fetches nothing from the hub by itself",
        fix=f"hf download {repository} --include '*.json' README.md model.safetensors",
    )
