"""CIFAR-100: 60,000 colour photos of 32 × 32 pixels, in 100 classes of 20 groups.

Reference: Krizhevsky 2009.
"""

from __future__ import annotations

from stroma.core.checks import check_choice
from stroma.datasets.cifar import archive, read
from stroma.datasets.reading import Pair

__all__ = ["load_data"]
_HASH = "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7"


def load_data(label_mode: str = "fine") -> tuple[Pair, Pair]:
    """50,000 photos to train with and 10,000 to test with, fetched once (170 MB).

    Args:
        label_mode: "fine" for the 100 classes, "coarse" for the 20 groups.
    Returns: ((pictures, labels), (pictures, labels)): uint8, (N, 32, 32, 3) and (N, 1).
    Raises: DataError: it is not there and cannot be fetched. FileFormatError: another file.
    """
    mode = check_choice("label_mode", label_mode, ("fine", "coarse"), owner="load_data")
    folder = archive("cifar-100-python.tar.gz", _HASH, "cifar-100-python")
    labels = f"{mode}_labels".encode()
    return read(folder, ["train"], labels), read(folder, ["test"], labels)
