"""California housing: 20,640 districts of the census of 1990, and what a house cost there.

Reference: Pace & Barry 1997, "Sparse spatial autoregressions".
"""

from __future__ import annotations

from stroma.core.checks import check_choice
from stroma.datasets.reading import GOOGLE, Pair, parted, read_arrays
from stroma.datasets.texts import shuffled
from stroma.utils.files import get_file

__all__ = ["load_data"]
_HASH = "1a2e3a52e0398de6463aebe6f4a8da34fb21fbb6b934cf88c3425e766f2a1a6f"


def load_data(
    version: str = "large",
    path: str = "california_housing.npz",
    test_split: float = 0.2,
    seed: int = 113,
) -> tuple[Pair, Pair]:
    """Eight numbers of each district and the median price of a house, fetched once (0.7 MB).

    Args:
        version: "large", or "small" for the first 600 districts.
        path: Name of the file in the cache.
        test_split: Share of the districts to test with.
        seed: Of the order.
    Returns: ((features, prices), (features, prices)): float32, (N, 8) and (N,), in dollars.
    Raises: DataError: it is not there and cannot be fetched. FileFormatError: another file.
    """
    check_choice("version", version, ("large", "small"), owner="load_data")
    origin = GOOGLE + "california_housing.npz"
    arrays = read_arrays(get_file(path, origin, file_hash=_HASH))
    count = 600 if version == "small" else None
    return parted(*shuffled(arrays["x"][:count], arrays["y"][:count], seed), test_split)
