"""Arrays, tensors, frames and nested lists of numbers, as tensors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_map

from stroma.core.errors import ArgumentError, ArgumentTypeError, ShapeError


def as_tensors(tree: Any) -> Any:
    """A structure with every array, frame and nested list of numbers in it as one tensor."""
    return tree_map(_tensor, lists_as_arrays(tree))


def is_arrays(x: Any) -> bool:
    """Whether x is an array, or a structure of nothing but arrays."""
    leaves = tree_flatten(x)[0] if isinstance(x, (list, tuple, dict)) else [x]
    return bool(leaves) and all(
        isinstance(leaf, (np.ndarray, Tensor)) or _is_frame(leaf) for leaf in leaves
    )


def lists_as_arrays(tree: Any) -> Any:
    """A structure in which nested lists of numbers have become arrays.

    Raises: ShapeError: their rows differ in length.
    """
    if isinstance(tree, dict):
        return {key: lists_as_arrays(value) for key, value in tree.items()}
    if not isinstance(tree, (list, tuple)) or not tree:
        return tree
    if not _is_numbers(tree):
        return type(tree)(map(lists_as_arrays, tree)) if type(tree) in (list, tuple) else tree
    try:
        array = np.asarray(tree)
    except ValueError as error:
        raise ShapeError(
            "the rows of a nested list differ in length",
            where="the data given",
            why="a batch is one array: every sample has the same shape",
            fix="pad them: [row + [0] * (longest - len(row)) for row in rows]",
        ) from error
    return array.astype("float32") if array.dtype.kind == "f" else array


def split_arrays(x: Any, y: Any, weight: Any, fraction: float) -> tuple[Any, Any]:
    """((x, y, w) to train on, (x, y, w) to validate on): the *last* rows, before any shuffling.

    Raises: ArgumentError: not arrays, a fraction outside (0, 1), or a part left empty.
    """
    whole = lists_as_arrays([x, y, weight])
    if not is_arrays(whole[0]):
        raise ArgumentError(
            f"validation_split needs arrays, not {type(x).__name__}",
            where="fit(validation_split=...)",
            why="data that come in batches have no last rows to keep back",
            fix="give validation_data=...",
        )
    count = len(tree_flatten(whole[0])[0][0])
    at = math.floor(count * (1 - fraction))
    if not 0 < fraction < 1 or at in (0, count):
        raise ArgumentError(
            f"validation_split={fraction} of {count} samples leaves a part empty",
            where="fit(validation_split=...)",
            why="there must be samples to train on and samples to validate on",
            fix="give a fraction between 0 and 1 that leaves samples on both sides",
        )
    return (
        tree_map(lambda leaf: leaf if leaf is None else leaf[:at], whole),
        tree_map(lambda leaf: leaf if leaf is None else leaf[at:], whole),
    )


def _is_numbers(tree: Any) -> bool:
    if isinstance(tree, (list, tuple)):
        return all(_is_numbers(item) for item in tree)
    return isinstance(tree, (int, float, np.number))


def _is_frame(leaf: Any) -> bool:
    return hasattr(leaf, "to_numpy") and hasattr(leaf, "iloc")  # a pandas frame or series


def _tensor(leaf: Any) -> Any:
    if _is_frame(leaf):
        leaf = leaf.to_numpy()
    if not isinstance(leaf, np.ndarray):
        return leaf
    if leaf.dtype.kind not in "biufc":
        raise ArgumentTypeError(
            f"an array of {leaf.dtype} is not numbers; it begins with {leaf.flat[:1].tolist()}",
            where="the data given",
            why="a network computes with numbers",
            fix="of numbers: array.astype('float32'); of class names: "
            "np.unique(names, return_inverse=True)[1]",
        )
    leaf = leaf.astype(_SIGNED.get(leaf.dtype.name, leaf.dtype), copy=False)
    if not leaf.flags.writeable:  # torch warns about memory that it may not write
        leaf = leaf.copy()
    return torch.from_numpy(np.ascontiguousarray(leaf))


# torch stores these, and computes with their signed neighbours only
_SIGNED = {"uint16": "int32", "uint32": "int64", "uint64": "int64"}
