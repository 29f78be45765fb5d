"""CIFAR-10: 60,000 colour photos of 32 × 32 pixels, in ten classes. Reference: Krizhevsky 2009."""

from __future__ import annotations

from stroma.datasets.cifar import archive, read
from stroma.datasets.reading import Pair

__all__ = ["load_data"]
_HASH = "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"


def load_data() -> tuple[Pair, Pair]:
    """50,000 photos to train with and 10,000 to test with, fetched once (170 MB).

    Returns: ((pictures, labels), (pictures, labels)): uint8, (N, 32, 32, 3) and (N, 1).
    Raises: DataError: it is not there and cannot be fetched. FileFormatError: another file.
    """
    folder = archive("cifar-10-python.tar.gz", _HASH, "cifar-10-batches-py")
    train = [f"data_batch_{i}" for i in range(1, 6)]
    return read(folder, train, b"labels"), read(folder, ["test_batch"], b"labels")
