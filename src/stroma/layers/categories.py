"""Layers that encode whole numbers and sort numbers into bins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Unpack

import numpy as np
import torch
from torch import Tensor

from stroma.core.checks import check_choice, check_number, check_positive_int
from stroma.core.errors import ArgumentError, DataError
from stroma.core.layer import BaseOptions, Layer, LayerOptions
from stroma.core.shape_run import in_shape_run
from stroma.functional.categories import boundaries, encode, merge, summarize
from stroma.layers.registry import register_layer
from stroma.layers.texts import refuse_sparse

Encoding = Literal["int", "one_hot", "multi_hot", "count"]


@register_layer("CategoryEncoding")
class CategoryEncoding(Layer):
    """Whole numbers as vectors: one each, or one for a whole row (the bag of words).

    Args:
        num_tokens: Length N of a vector, >= 1; inputs lie in [0, N - 1].
        output_mode: "one_hot": a 1 at the number, for each number (an axis of length 1 at the end
            gives way to the vector); "multi_hot": which numbers are in a row; "count": how often.
        sparse: Must stay False.
    Call: `count_weights` of the inputs' shape: what each number counts, in "count".
    Shape: (B, L) -> (B, num_tokens)
    Raises: ArgumentError: num_tokens below 1 or missing, an unknown mode, weights in another mode;
        DataError: a number outside [0, N - 1] (on the CPU).
    Example:
        >>> from stroma import layers
        >>> layers.CategoryEncoding(4, output_mode="count")(torch.tensor([[0, 2, 2]]))
        tensor([[1., 0., 2., 0.]])

    Reference: Harris 1954 (the bag of words). Of inputs with more than 2 axes the last one is the
        row, as Keras' documentation says; Keras on torch takes the second.
    """

    receptive = "unknown"

    def __init__(
        self,
        num_tokens: int | None = None,
        output_mode: str = "multi_hot",
        sparse: bool = False,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**options)
        owner = "CategoryEncoding"
        refuse_sparse(sparse, owner=owner)
        if num_tokens is None:
            raise ArgumentError(
                "CategoryEncoding: num_tokens is missing",
                where="CategoryEncoding(num_tokens=...)",
                why="it is the length of the vectors",
                fix="CategoryEncoding(num_tokens=10), or IntegerLookup, which counts them itself",
            )
        self.num_tokens = check_positive_int("num_tokens", num_tokens, owner=owner)
        self.output_mode: Encoding = check_choice(
            "output_mode",
            "multi_hot" if output_mode == "binary" else output_mode,
            ("multi_hot", "one_hot", "count"),
            owner=owner,
        )
        self.autocast = False

    def call(self, inputs: Any, count_weights: Any = None) -> Tensor:
        indices = torch.as_tensor(inputs)
        if count_weights is not None and self.output_mode != "count":
            raise ArgumentError(
                f"CategoryEncoding: count_weights in mode {self.output_mode!r}",
                where="CategoryEncoding(...)(inputs, count_weights=...)",
                why="weights are added up, and only 'count' adds",
                fix="CategoryEncoding(num_tokens, output_mode='count')",
            )
        if count_weights is not None:
            count_weights = torch.as_tensor(count_weights).to(self._compute_dtype)
        if indices.device.type == "cpu" and not (in_shape_run() or torch.compiler.is_compiling()):
            self._check_range(indices)
        return encode(
            indices, self.output_mode, self.num_tokens, self._compute_dtype, count_weights
        )

    def _check_range(self, indices: Tensor) -> None:
        if indices.numel() and (indices.min() < 0 or indices.max() >= self.num_tokens):
            raise DataError(
                f"CategoryEncoding: the inputs lie in [{indices.min()}, {indices.max()}], not in "
                f"[0, {self.num_tokens - 1}]",
                where=f"layer {self.name!r}",
                why="each input is a place in a vector",
                fix=f"CategoryEncoding({int(indices.max()) + 1}), or IntegerLookup for numbers "
                "with gaps",
            )


@register_layer("Discretization")
class Discretization(Layer):
    """Numbers into bins: the number of boundaries that are not above it.

    Boundaries are given, or learned by `adapt`: then each bin holds about as many numbers.

    Args:
        bin_boundaries: Numbers in rising order; n of them make n + 1 bins.
        num_bins: How many bins `adapt` makes, >= 1; instead of the boundaries.
        epsilon: How exact `adapt` is: about 1/epsilon numbers stand for all, in (0, 1).
        output_mode: "int": the bin; "one_hot", "multi_hot", "count": as in `CategoryEncoding`.
        sparse: Must stay False.
    Shape: (B, L) -> (B, L)
    Raises: ArgumentError: neither or both of boundaries and bins; DataError: called before
        `adapt`.
    Example:
        >>> from stroma import layers
        >>> layers.Discretization([0.0, 1.0])(torch.tensor([-1.5, 0.0, 3.4])).tolist()
        [0, 1, 2]

    Reference: Greenwald & Khanna 2001 for the idea of a summary; the numbers are those of Keras.
    """

    receptive = None
    not_in_config = ("trainable",)

    def __init__(
        self,
        bin_boundaries: Sequence[float] | None = None,
        num_bins: int | None = None,
        epsilon: float = 0.01,
        output_mode: str = "int",
        sparse: bool = False,
        **options: Unpack[BaseOptions],
    ) -> None:
        super().__init__(**options)
        owner = "Discretization"
        refuse_sparse(sparse, owner=owner)
        if (bin_boundaries is None) == (num_bins is None):
            raise ArgumentError(
                f"Discretization: bin_boundaries={bin_boundaries!r} and num_bins={num_bins!r}",
                where="Discretization(...)",
                why="either the boundaries are known, or adapt() finds them for so many bins",
                fix="Discretization([0.0, 1.0]), or Discretization(num_bins=3)",
            )
        self.bin_boundaries = None if bin_boundaries is None else [float(b) for b in bin_boundaries]
        self.num_bins = (
            None if num_bins is None else check_positive_int("num_bins", num_bins, owner=owner)
        )
        self.epsilon = check_number(
            "epsilon", epsilon, owner=owner, minimum=0, maximum=1, exclusive=True
        )
        self.output_mode: Encoding = check_choice(
            "output_mode", output_mode, ("int", "one_hot", "multi_hot", "count"), owner=owner
        )

    def call(self, inputs: Any) -> Tensor:
        if self.bin_boundaries is None:
            raise DataError(
                "Discretization: the boundaries are not known yet",
                where=f"layer {self.name!r}",
                why="num_bins says how many bins there are, not where they begin",
                fix="layer.adapt(data) first",
            )
        values = torch.as_tensor(inputs)
        values = values if values.is_floating_point() else values.to(self._compute_dtype)
        edges = torch.tensor(self.bin_boundaries, dtype=values.dtype, device=values.device)
        bins = torch.bucketize(values.contiguous(), edges, right=True)
        dtype = torch.int32 if self.output_mode == "int" else self._compute_dtype
        return encode(bins, self.output_mode, len(self.bin_boundaries) + 1, dtype)

    def adapt(self, data: Any, steps: int | None = None) -> None:
        """Learn the boundaries from data; what was learned before is forgotten.

        Args:
            data: An array or tensor, or an iterable of such batches.
            steps: How many batches are taken; None: all.
        """
        if self.num_bins is None:
            raise ArgumentError(
                "Discretization: adapt() on a layer that was given its boundaries",
                where="adapt",
                why="they would be overwritten",
                fix="Discretization(num_bins=...)",
            )
        whole = isinstance(data, (np.ndarray, Tensor))
        summary = np.zeros((2, 0), dtype=np.float32)
        for number, batch in enumerate([data] if whole else data):
            if steps is not None and number >= steps:
                break
            values = np.asarray(batch.cpu() if isinstance(batch, Tensor) else batch, np.float32)
            summary = merge(summarize(values, self.epsilon), summary, self.epsilon)
        if not summary.size:
            raise DataError(
                "Discretization: adapt() got no data",
                where="adapt",
                why="bins are made from numbers",
                fix="give an array, or an iterable that is not used up",
            )
        self._found(boundaries(summary, self.num_bins))

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Discretization:
        """A layer that was adapted has both settings: bins asked for, boundaries found."""
        config = dict(config)
        found = config.get("bin_boundaries")
        if config.get("num_bins") is not None:
            config.pop("bin_boundaries", None)
        layer = cls(**config)
        if found is not None:
            layer._found(found)
        return layer

    def _found(self, edges: Sequence[float]) -> None:
        self.bin_boundaries = [float(edge) for edge in edges]
        self._noted(type(self))["bin_boundaries"] = (
            self.bin_boundaries
        )  # files hold them, as Keras'
