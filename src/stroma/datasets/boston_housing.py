"""Boston housing is refused: one of its features was made from an assumption about race."""

from __future__ import annotations

from typing import NoReturn

from stroma.core.errors import DataError

__all__ = ["load_data"]


def load_data(
    path: str = "boston_housing.npz", test_split: float = 0.2, seed: int = 113
) -> NoReturn:
    """Refused in words.

    Raises: DataError: always.
    """
    raise DataError(
        "the Boston housing data is not loaded",
        where="datasets.boston_housing.load_data()",
        why="its feature B assumes that prices depend on the share of Black residents, and its "
        "source cannot be checked (Carlisle 2019)",
        fix="datasets.california_housing.load_data()",
    )
