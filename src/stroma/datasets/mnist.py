"""MNIST: 70,000 handwritten digits of 28 × 28 pixels, in ten classes.

Reference: LeCun, Cortes & Burges, "The MNIST database of handwritten digits".
"""

from __future__ import annotations

from stroma.datasets.reading import GOOGLE, Pair, read_arrays
from stroma.utils.files import get_file

__all__ = ["load_data"]
_HASH = "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1"


def load_data(path: str = "mnist.npz") -> tuple[Pair, Pair]:
    """60,000 digits to train with and 10,000 to test with, fetched once (11 MB).

    Args:
        path: Name of the file in the cache.
    Returns: ((pictures, labels), (pictures, labels)): uint8, (N, 28, 28) and (N,).
    Raises: DataError: it is not there and cannot be fetched. FileFormatError: another file.
    """
    arrays = read_arrays(get_file(path, GOOGLE + "mnist.npz", file_hash=_HASH))
    return (arrays["x_train"], arrays["y_train"]), (arrays["x_test"], arrays["y_test"])
