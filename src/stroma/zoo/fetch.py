"""The one place from which stroma ever downloads: a named file, its hash known beforehand."""

from __future__ import annotations

import os
import sys
import urllib.error
from http.client import HTTPException
from pathlib import Path

import torch

from stroma.core.errors import WeightsError


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
