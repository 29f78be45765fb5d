"""What CIFAR-10 and CIFAR-100 share: archives of pickles of pixels, channel after channel."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from stroma.core.errors import FileFormatError
from stroma.datasets.reading import Pair, unpickle
from stroma.utils.files import get_file

_ORIGIN = "https://www.cs.toronto.edu/~kriz/"


def archive(name: str, digest: str, inner: str) -> Path:
    """The folder of an archive that was fetched and unpacked."""
    folder = get_file(f"{inner}-target", f"{_ORIGIN}{name}", extract=True, file_hash=digest)
    return Path(folder) / inner


def read(folder: Path, names: Sequence[str], labels: bytes) -> Pair:
    """Pictures (N, 32, 32, 3) and their class numbers (N, 1), of files one after the other."""
    pixels, numbers = [], []
    for name in names:
        with (folder / name).open("rb") as file:
            batch = unpickle(file, str(folder / name), encoding="bytes")
        if not isinstance(batch, dict) or not {b"data", labels} <= set(batch):
            raise FileFormatError(
                f"{name} holds no pictures",
                where=str(folder / name),
                why=f"it is a table of b'data' and {labels!r}",
                fix="remove its folder and load the data again",
            )
        pixels.append(batch[b"data"].reshape(-1, 3, 32, 32))
        numbers += batch[labels]
    pictures = np.concatenate(pixels).transpose(0, 2, 3, 1).copy()
    return pictures, np.array(numbers, np.uint8)[:, None]
