"""The one place from which stroma ever downloads: what was named, its hash known beforehand."""

from __future__ import annotations

import hashlib
import os
import sys
import urllib.error
from collections.abc import Callable, Sequence
from http.client import HTTPException
from pathlib import Path
from typing import Any

import torch

from stroma.core.errors import WeightsError
from stroma.core.optional import require

_CARDS = ("config.json", "preprocessor_config.json", "README.md")  # what tells of the weights
_MOST_CARD_BYTES = 1 << 20
_HUB = "https://huggingface.co"


def download_file(url: str, path: Path, hash_prefix: str) -> Path:
    """Fetches `url` to `path`, whole and with the right hash, or leaves nothing behind.

    Args:
        url: Address.
        path: Where it goes; its folder is made. The bytes arrive beside it under another name.
        hash_prefix: First digits of the SHA-256 that the file must have.

    Raises:
        WeightsError: no connection, no such file, not the expected bytes, or no room.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        progress = sys.stderr is not None and sys.stderr.isatty()
        torch.hub.download_url_to_file(url, os.fspath(path), hash_prefix, progress=progress)
    except urllib.error.HTTPError as error:
        error.close()
        raise _failed(url, path, f"the server answered {error.code} {error.reason}") from error
    except (urllib.error.URLError, HTTPException, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", None) or error
        raise _failed(url, path, f"no connection ({reason})") from error
    except RuntimeError as error:  # how torch.hub reports a wrong hash; it has removed the bytes
        raise _failed(
            url,
            path,
            f"what arrived is not this file ({error}): it was cut short, or a proxy or log-in page"
            " answered instead",
        ) from error
    except OSError as error:
        raise _failed(url, path, f"it could not be written ({error})") from error
    return path


def _failed(url: str, path: Path, why: str) -> WeightsError:
    return WeightsError(
        f"{path.name} could not be fetched: {why}",
        where=url,
        why="nothing was kept of the attempt",
        fix=f"fetch it on a machine that can, and put it at {path}",
    )


def download_repository(
    repository: str, names: Sequence[str], cache: Path, say: Callable[[str], None]
) -> Path:
    """Fetches weights of the Hugging Face hub, and what tells of them, into the hub's own cache.

    `$HF_ENDPOINT` and `$HF_HUB_OFFLINE` are respected. The weights come last: where they lie, the
    rest does. Their SHA-256 must be what the hub says.

    Args:
        repository: "owner/name".
        names: Files of weights, the best first; one is fetched.
        cache: Folder of the hub's cache.
        say: Told address, size and licence before anything is fetched.
    Raises: WeightsError: no connection, no such repository, no such file in it, other bytes.
        MissingDependencyError: the extra `hub` is not installed.
    """
    hub = require("huggingface_hub")
    endpoint = (os.environ.get("HF_ENDPOINT") or _HUB).rstrip("/")
    where = f"{endpoint}/{repository}"
    folder = cache / f"models--{repository.replace('/', '--')}"
    place = folder / "snapshots" / "main" / names[0]
    try:
        _refuse_offline()
        found = hub.HfApi(endpoint=endpoint).model_info(repository, files_metadata=True, timeout=10)
        files = {file.rfilename: file for file in found.siblings or ()}
        weights = next((files[name] for name in names if name in files), None)
        if weights is not None:
            say(_announced(where, weights, found, folder))
            for name in (*_CARDS, weights.rfilename):
                if name in files and (name not in _CARDS or _size(files[name]) < _MOST_CARD_BYTES):
                    path = hub.hf_hub_download(
                        repository, name, cache_dir=cache, endpoint=endpoint, revision="main"
                    )
    except Exception as error:  # the hub's library has raised other kinds with each transport
        said = str(error).strip().partition("\n")[0] or type(error).__name__
        raise _unfetched(where, names[0], place, said) from error
    if weights is None:
        raise _unfetched(where, names[0], place, f"it holds none of {', '.join(names)}")
    _check_hash(Path(path), getattr(weights, "lfs", None), where)
    return Path(path)


def _refuse_offline() -> None:
    """The library reads the variable when it is imported; here it holds at once."""
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}:
        raise ConnectionError("HF_HUB_OFFLINE is set")


def _size(file: Any) -> int:
    return int(file.size or 0)


def _announced(where: str, weights: Any, found: Any, folder: Path) -> str:
    card = getattr(found, "card_data", None)
    licence = (card.get("license") if card else None) or "licence not known"
    size = f"{_size(weights) / 1e6:.3g} MB"
    return f"Fetching {where}, {weights.rfilename} ({size}; {licence}) to {folder}"


def _check_hash(path: Path, known: Any, where: str) -> None:
    """Whether the bytes are those the hub tells of; files that are not in its LFS have no hash."""
    wanted = known.get("sha256") if isinstance(known, dict) else getattr(known, "sha256", None)
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    if wanted and sha256 != wanted:
        path.resolve().unlink()  # ours, a minute old, and of no use; the link too
        path.unlink(missing_ok=True)
        raise WeightsError(
            f"what arrived as {path.name} is not this file: its SHA-256 starts with {sha256[:8]},"
            f" not {wanted[:8]}",
            where=where,
            why="it was cut short or changed on the way; it was removed",
            fix="ask again, or look at $HF_ENDPOINT",
        )


def _unfetched(where: str, name: str, place: Path, why: str) -> WeightsError:
    return WeightsError(
        f"{where} could not be fetched: {why}",
        where=f"{where}/resolve/main/{name}",
        why="without it there is no base",
        fix=f"fetch it and config.json on a machine that can, and put both into {place.parent}",
    )
