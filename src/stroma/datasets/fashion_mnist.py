"""Fashion-MNIST: 70,000 pictures of clothes of 28 × 28 pixels, in ten classes.

Reference: Xiao, Rasul & Vollgraf 2017.
"""

from __future__ import annotations

import gzip
import math
from pathlib import Path

import numpy as np

from stroma.core.errors import FileFormatError
from stroma.datasets.reading import GOOGLE, Pair
from stroma.utils.files import get_file

__all__ = ["load_data"]
_MOST_BYTES = 100 << 20  # the largest of the four holds 47 MB


def load_data() -> tuple[Pair, Pair]:
    """60,000 pictures to train with and 10,000 to test with, fetched once (30 MB).

    Keras knows no hash of these files; their own headers are checked.

    Returns: ((pictures, labels), (pictures, labels)): uint8, (N, 28, 28) and (N,).
    Raises: DataError: it is not there and cannot be fetched. FileFormatError: another file.
    """
    parts = [(_read(f"{name}-images-idx3-ubyte.gz"), _read(f"{name}-labels-idx1-ubyte.gz"))
             for name in ("train", "t10k")]  # fmt: skip
    return parts[0], parts[1]


def _read(name: str) -> np.ndarray:
    """The numbers of a file in LeCun's format: a magic number, sizes, then bytes."""
    path = Path(get_file(name, GOOGLE + name, cache_subdir="datasets/fashion-mnist"))
    try:
        with gzip.open(path) as file:
            data = file.read(_MOST_BYTES)
        rank = data[3]
        shape = tuple(int(n) for n in np.frombuffer(data, ">i4", rank, 4))
        if data[:3] != b"\0\0\x08" or len(data) != 4 + 4 * rank + math.prod(shape):
            raise ValueError("its header does not fit")
    except (OSError, EOFError, ValueError, IndexError) as error:
        raise FileFormatError(
            f"this is not the data set's file: {error}",
            where=str(path),
            why="pictures are bytes behind a header that says how many",
            fix="remove the file and load the data again",
        ) from error
    return np.frombuffer(data, np.uint8, offset=4 + 4 * rank).reshape(shape).copy()
