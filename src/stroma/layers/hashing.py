"""Layers that put texts and numbers into a fixed number of bins by a hash."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Unpack

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stroma.core.checks import check_choice, check_positive_int
from stroma.core.dtypes import to_dtype
from stroma.core.errors import ArgumentError, ShapeError
from stroma.core.layer import LayerOptions
from stroma.functional.categories import encode
from stroma.functional.hashing import Words, combine, fingerprints, siphash
from stroma.layers.registry import register_layer
from stroma.layers.texts import (
    EagerLayer,
    as_texts,
    as_whole_numbers,
    is_text,
    refuse_sparse,
    salt_key,
)

_CROSS_SEED = np.uint64(0xDECAFCAFFE)  # TensorFlow's, with which every crossing begins


def buckets(texts: Sequence[bytes], count: int, key: tuple[int, int] | None) -> NDArray[np.int64]:
    """The bin of each text out of `count`: FarmHash64, or SipHash under a key."""
    hashes = fingerprints(texts) if key is None else siphash(texts, key)
    return (hashes % np.uint64(count)).astype(np.int64)


def digits(numbers: NDArray[np.int64]) -> list[bytes]:
    """Whole numbers as texts: what is hashed of them."""
    return [b"%d" % number for number in numbers.ravel().tolist()]


@register_layer("Hashing")
class Hashing(EagerLayer):
    """The bin of a text or whole number: hash(x) mod num_bins; nothing is learned or kept.

    Args:
        num_bins: How many bins, >= 1, that of `mask_value` included.
        mask_value: What goes to bin 0 alone; None: nothing does.
        salt: One or two whole numbers: SipHash-2-4 under this key; None: FarmHash64.
        output_mode: "int": the bin; "one_hot", "multi_hot", "count": as in `CategoryEncoding`.
        sparse: Must stay False.
    Shape: (B, L) -> (B, L)
    Raises: ArgumentError: num_bins below 1, an unknown mode, a salt that is no number; GraphError:
        called on a symbolic tensor.
    Example:
        >>> from stroma import layers
        >>> layers.Hashing(num_bins=3)([["A"], ["B"], ["C"]]).tolist()
        [[1], [0], [1]]

    Reference: Weinberger et al. 2009; Pike & Alakuijala 2014; Aumasson & Bernstein 2012. The bins
        are those of Keras on TensorFlow, whose machine they are computed on does not matter.
    """

    def __init__(
        self,
        num_bins: int,
        mask_value: Any = None,
        salt: Any = None,
        output_mode: str = "int",
        sparse: bool = False,
        **options: Unpack[LayerOptions],
    ) -> None:
        if options.get("dtype") is None:
            options["dtype"] = "int64" if output_mode == "int" else "float32"
        super().__init__(**options)
        owner = "Hashing"
        refuse_sparse(sparse, owner=owner)
        self.num_bins = check_positive_int("num_bins", num_bins, owner=owner)
        self.mask_value, self.salt = mask_value, salt_key(salt, owner=owner)
        self.output_mode: Literal["int", "one_hot", "multi_hot", "count"] = check_choice(
            "output_mode", output_mode, ("int", "one_hot", "multi_hot", "count"), owner=owner
        )
        if output_mode == "int" and self._compute_dtype not in (torch.int32, torch.int64):
            raise ArgumentError(
                f"Hashing: bins as {self.dtype} numbers",
                where="Hashing(dtype=...)",
                why="with output_mode='int' the output is the number of a bin",
                fix="Hashing(..., dtype='int64')",
            )

    def call(self, inputs: Any) -> Tensor:
        masked: Any
        if is_text(inputs):
            texts, shape = as_texts(inputs, "utf-8", owner="Hashing")
            mask = self.mask_value.encode() if isinstance(self.mask_value, str) else self.mask_value
            masked = np.array([text == mask for text in texts], dtype=bool)
        else:
            numbers = as_whole_numbers(inputs, owner="Hashing")
            texts, shape = digits(numbers), numbers.shape
            masked = numbers.ravel() == self.mask_value
        reserved = self.mask_value is not None and self.num_bins > 1
        bins = buckets(texts, self.num_bins - reserved, self.salt)
        bins = np.where(masked, 0, bins + 1) if reserved else bins
        indices = torch.from_numpy(bins.reshape(shape))
        return encode(indices, self.output_mode, self.num_bins, self._compute_dtype)


@register_layer("HashedCrossing")
class HashedCrossing(EagerLayer):
    """The bin of several features together: a combination falls where its hash says.

    Args:
        num_bins: How many bins, >= 1.
        output_mode: "int": the bin; "one_hot": a vector with a 1 at the bin.
        sparse: Must stay False.
    Call: Two or more features, texts or whole numbers, each (B,), (B, 1) or a single one.
    Shape: [(B, 1), (B, 1)] -> (B, 1)
    Raises: ArgumentError: num_bins below 1, an unknown mode; ShapeError: fewer than two features,
        or of different or other shapes; GraphError: called on a symbolic tensor.
    Example:
        >>> from stroma import layers
        >>> layers.HashedCrossing(num_bins=5)((["A", "B", "A"], [101, 101, 102])).tolist()
        [1, 4, 3]

    Reference: Cheng et al. 2016 (wide & deep), section 3.1; the bins are those of Keras on
        TensorFlow.
    """

    def __init__(
        self,
        num_bins: int,
        output_mode: str = "int",
        sparse: bool = False,
        **options: Unpack[LayerOptions],
    ) -> None:
        if options.get("dtype") is None:
            options["dtype"] = "int64" if output_mode == "int" else "float32"
        super().__init__(**options)
        refuse_sparse(sparse, owner="HashedCrossing")
        self.num_bins = check_positive_int("num_bins", num_bins, owner="HashedCrossing")
        self.output_mode: Literal["int", "one_hot"] = check_choice(
            "output_mode", output_mode, ("int", "one_hot"), owner="HashedCrossing"
        )

    def call(self, inputs: Any) -> Tensor:
        features = [self._hashed(feature) for feature in inputs]
        shapes = {shape for _, shape in features}
        if len(features) < 2 or len(shapes) > 1 or not _is_column(features[0][1]):
            raise ShapeError(
                f"HashedCrossing takes two or more features of one shape, got {len(features)} of "
                f"{', '.join(str(shape) for shape in sorted(shapes))}",
                where=f"layer {self.name!r}",
                why="it says for each sample where its combination of features falls",
                fix="HashedCrossing(num_bins)((first, second)), each (batch,) or (batch, 1)",
            )
        crossed = np.full(len(features[0][0]), _CROSS_SEED)
        for hashes, _ in features:
            crossed = combine(crossed, hashes)
        bins = (crossed % np.uint64(self.num_bins)).astype(np.int64).reshape(features[0][1])
        dtype = to_dtype(self.dtype)
        return encode(torch.from_numpy(bins), self.output_mode, self.num_bins, dtype)

    def _hashed(self, feature: Any) -> tuple[Words, tuple[int, ...]]:
        """Fingerprints of texts; whole numbers stand for themselves."""
        if is_text(feature):
            texts, shape = as_texts(feature, "utf-8", owner="HashedCrossing")
            return fingerprints(texts), shape
        numbers = as_whole_numbers(feature, owner="HashedCrossing")
        return numbers.ravel().astype(np.uint64), numbers.shape


def _is_column(shape: tuple[int, ...]) -> bool:
    return len(shape) < 2 or (len(shape) == 2 and shape[1] == 1)
