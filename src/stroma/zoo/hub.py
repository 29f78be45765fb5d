"""Weights of the Hugging Face hub: those in its cache on this machine; others when asked for."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

from stroma.core.errors import WeightsError
from stroma.zoo.fetch import download_repository

PREFIXES = ("hf://", "hf-hub:")  # the hub's spelling and timm's: "hf://timm/resnet50.a1_in1k"
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


def is_hub_name(name: object) -> bool:
    """Whether it is text that names a repository of the hub."""
    return isinstance(name, str) and name.startswith(PREFIXES)


def hub_weights(
    name: str, *, download: bool = False, say: Callable[[str], None] | None = None
) -> Path:
    """The file that "hf://owner/name" means, where it lies in the hub's cache.

    Args:
        name: Of the repository, after "hf://" or "hf-hub:".
        download: Whether one that is not there may be fetched.
        say: Told what will be fetched, before it is; None: stderr is.
    Raises: WeightsError: it is no such name, or not there, or could not be fetched.
        MissingDependencyError: the extra `hub` is not installed.
    """
    repository = name.removeprefix(PREFIXES[0]).removeprefix(PREFIXES[1])
    if not _NAME.fullmatch(repository):
        raise WeightsError(
            f"{name!r} is no repository of the Hugging Face hub",
            where=f"weights={name!r}",
            why="a repository is named by its owner and its name",
            fix=f"weights={PREFIXES[0] + 'timm/resnet50.a1_in1k'!r}",
        )
    if files := hub_files(repository):
        return files[0]
    if download:
        return download_repository(repository, _FILES, hub_cache(), say or _to_stderr)
    raise WeightsError(
        f"{repository} is not in the Hugging Face cache of this machine",
        where=str(hub_cache()),
        why="it was not to be fetched",
        fix=f"hf download {repository} --include '*.json' README.md model.safetensors",
    )


def _to_stderr(text: str) -> None:
    print(text, file=sys.stderr)
