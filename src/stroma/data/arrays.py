"""Pictures that are arrays already, and scikit-learn's digits."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from stroma.core.errors import DataError
from stroma.core.optional import require
from stroma.data.cache import ArrayStore
from stroma.data.copies import exact_copies, join, pairs_of
from stroma.data.dataset import ImageData, build, split_sentence
from stroma.data.records import Audit, AuditEntry, first_names
from stroma.data.split import check_fractions, split


def arrays(
    x: Any,
    y: Any,
    class_names: Sequence[str] | None = None,
    *,
    seed: int = 0,
    fractions: tuple[float, float, float] = (0.70, 0.15, 0.15),
    groups: Sequence[Any] | None = None,
    source: str = "arrays",
) -> ImageData:
    """Pictures and labels in memory as the same `ImageData` that `images` gives.

    Args:
        x: uint8 pictures, NumPy or torch.
        y: Class indices, 0 to K - 1.
        class_names: K names; None numbers them.
        seed: Of the split.
        fractions: Shares of train, validation and test.
        groups: A value for each sample; equal ones stay in one part, as equal pictures do.
        source: What messages call the data.
    Shape: x (N, H, W, C) or (N, H, W); y (N,)
    Raises:
        DataError: dtypes, shapes or labels that cannot be meant.
    """
    pixels = _pictures(x)
    labels = _labels(y, len(pixels), class_names)
    names_of_classes = (
        [str(name) for name in class_names]
        if class_names is not None
        else [str(label) for label in range(int(labels.max()) + 1)]
    )
    digests = np.array(
        [hashlib.sha256(memoryview(p).cast("B")).digest()[:16] for p in pixels], dtype="V16"
    )
    copies = exact_copies(digests)
    units = copies if groups is None else _joined(copies, groups)
    names = [f"sample {row}" for row in range(len(pixels))]
    parts = split(
        labels, units, names, names_of_classes, fractions=check_fractions(fractions), seed=seed
    )
    audit = Audit(found=len(pixels))
    audit.entries += [
        AuditEntry("duplicate", names[row], f"the same pixels as {names[first]}", names[first])
        for row, first in enumerate(copies.tolist())
        if row != first
    ]
    digest = hashlib.sha256(b"".join(d.tobytes() for d in digests) + labels.tobytes())
    height, width = pixels.shape[1:3]
    return build(
        store=ArrayStore(pixels), rows=np.arange(len(pixels)), parts=parts, labels=labels,
        units=units, names=names, class_names=names_of_classes, audit=audit,
        original=[(height, width)], source=source, fingerprint=digest.hexdigest(),
        split=split_sentence(fractions),
    )  # fmt: skip


def digits(*, seed: int = 0, fractions: tuple[float, float, float] = (0.57, 0.10, 0.33)
           ) -> ImageData:  # fmt: skip
    """scikit-learn's 1,797 handwritten digits, 8 x 8, grey: a real data set that is always there.

    Their 17 grey levels (0 to 16) become 0 to 255.

    Args:
        seed: Of the split.
        fractions: Shares of train, validation and test, stratified.
    Shape: -> pictures (N, 8, 8, 1)
    Reference: Alpaydin & Kaynak 1998, UCI "Optical recognition of handwritten digits", test set.
    Example:
        >>> data = digits()
        >>> data.shape, len(data.train) + len(data.validation) + len(data.test)
        ((8, 8, 1), 1797)
    """
    # on use: scikit-learn takes a second and more to import, and photos do not need it
    raw = require("sklearn.datasets").load_digits()
    pixels = np.rint(raw.images * (255 / 16)).astype(np.uint8)
    names = [str(name) for name in raw.target_names]
    return arrays(pixels, raw.target, names, seed=seed, fractions=fractions, source="digits")


def _pictures(x: Any) -> np.ndarray:
    pixels = x.detach().cpu().numpy() if isinstance(x, torch.Tensor) else np.asarray(x)
    if pixels.dtype != np.uint8:
        raise DataError(
            f"arrays: x must be uint8, got {pixels.dtype}", where="arrays(x, ...)",
            why="pictures are kept as bytes, 0 to 255",
            fix="values in 0..1: (x * 255).round().astype('uint8')",
        )  # fmt: skip
    if pixels.ndim == 3:
        pixels = pixels[..., None]  # (N, H, W, 1)
    if pixels.ndim != 4 or not pixels.size:
        raise DataError(
            f"arrays: x must be (N, H, W, C) or (N, H, W), got {pixels.shape}",
            where="arrays(x, ...)",
            why="pictures are channels-last",
            fix="from (N, C, H, W): x.transpose(0, 2, 3, 1)",
        )
    return np.ascontiguousarray(pixels)


def _labels(y: Any, count: int, class_names: Sequence[str] | None) -> np.ndarray:
    labels = y.detach().cpu().numpy() if isinstance(y, torch.Tensor) else np.asarray(y)
    whole = labels.dtype.kind in "iu" or (
        labels.dtype.kind == "f" and bool((labels == np.floor(labels)).all())
    )
    if labels.shape != (count,) or not whole:
        raise DataError(
            f"arrays: y must be {count} class indices, got {labels.dtype} of {labels.shape}",
            where="arrays(..., y)", why="one whole number a picture says its class",
            fix="from one-hot rows: y.argmax(1)",
        )  # fmt: skip
    labels = labels.astype(np.int64)
    top = len(class_names) if class_names is not None else int(labels.max()) + 1
    strange = np.flatnonzero((labels < 0) | (labels >= top))
    if len(strange):
        found = first_names([f"sample {row}: {labels[row]}" for row in strange])
        raise DataError(
            f"arrays: labels outside 0..{top - 1}: {found}", where="arrays(..., y)",
            why="a label is the index of a class name", fix="number the classes from 0",
        )  # fmt: skip
    return labels


def _joined(copies: np.ndarray, groups: Sequence[Any]) -> np.ndarray:
    if len(groups) != len(copies):
        raise DataError(
            f"arrays: {len(groups)} groups for {len(copies)} samples", where="arrays(groups=...)",
            why="each sample belongs to one group", fix="give one value a sample",
        )  # fmt: skip
    same = np.stack([np.arange(len(copies)), copies], axis=1)
    return join(len(copies), same, pairs_of(groups))
