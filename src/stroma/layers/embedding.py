"""Layers from whole numbers to vectors: a row of a table for each."""

from __future__ import annotations

from typing import Any, Unpack

import torch
import torch.nn.functional as F
from torch import Tensor

from stroma import constraints, initializers, regularizers
from stroma.core.axes import Shape
from stroma.core.checks import check_number, check_positive_int
from stroma.core.dtypes import dtype_name, to_dtype
from stroma.core.errors import DataError
from stroma.core.layer import Layer, LayerOptions
from stroma.core.symbolic import is_symbolic
from stroma.core.weight import Weight
from stroma.layers.arguments import Con, Init, Reg
from stroma.layers.registry import register_layer


@register_layer("Embedding")
class Embedding(Layer):
    """A vector for each whole number: y = E[x], the rows of E learned.

    Args:
        input_dim: Number of rows N, >= 1: inputs are whole numbers in [0, N - 1].
        output_dim: Length of a vector, >= 1.
        embeddings_initializer: First values of E.
        embeddings_regularizer, embeddings_constraint: Penalty on E; projection after each update.
        mask_zero: Whether 0 stands for "nothing here": layers after it get a mask.
        weights: First values of E as an array (N, output_dim), or a list of just that.
        input_length: Accepted for older code, without effect: the data say how long they are.
    Shape: (B, *) -> (B, *, output_dim)
    Raises: ArgumentError: a size below 1; ShapeError: `weights` have another shape; DataError: a
        number that has no row (on the CPU).
    Example:
        >>> from stroma import layers
        >>> layer = layers.Embedding(3, 2, weights=[[[0.0, 0.0], [1.0, 2.0], [3.0, 4.0]]])
        >>> layer(torch.tensor([[2, 1]])).tolist()
        [[[3.0, 4.0], [1.0, 2.0]]]

    Reference: Bengio et al. 2003, section 2. Gradients are dense. A number outside [0, N - 1] is an
        error on the CPU; Keras on torch counts a negative one from the end.
    """

    receptive = "unknown"

    def __init__(  # type: ignore[misc]  # input_dim is its own here
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: Init = "uniform",
        embeddings_regularizer: Reg = None,
        embeddings_constraint: Con = None,
        mask_zero: bool = False,
        weights: Any = None,
        *,
        input_length: int | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**options)
        owner = type(self).__name__
        self.input_dim = check_positive_int("input_dim", input_dim, owner=owner)
        self.output_dim = check_positive_int("output_dim", output_dim, owner=owner)
        self.embeddings_initializer = initializers.get(embeddings_initializer)
        self.embeddings_regularizer = regularizers.get(embeddings_regularizer)
        self.embeddings_constraint = constraints.get(embeddings_constraint)
        self.mask_zero = self.supports_masking = mask_zero
        self.autocast = False  # a 16-bit float could not tell 2,049 from 2,048
        for without_effect in ("weights", "input_length"):  # the numbers are kept as weights are
            self._noted(type(self)).pop(without_effect, None)
        if weights is not None:
            self.build((None,))
            self.built = True
            self.set_weights(weights if isinstance(weights, list) and len(weights) == 1
                             else [weights])  # fmt: skip

    def build(self, input_shape: Shape) -> None:
        self.weight = self.add_weight(
            (self.input_dim, self.output_dim),
            self.embeddings_initializer,
            regularizer=self.embeddings_regularizer,
            constraint=self.embeddings_constraint,
            name="embeddings",
        )

    @property
    def embeddings(self) -> Weight:
        """Keras' name of `weight`."""
        return self.weight

    def call(self, inputs: Tensor) -> Tensor:
        whole = inputs if inputs.dtype in (torch.int32, torch.int64) else inputs.int()
        try:
            return F.embedding(whole, self.weight).to(self._compute_dtype)
        except IndexError as error:
            raise DataError(
                f"{type(self).__name__}: the inputs lie in [{inputs.min()}, {inputs.max()}], the "
                f"table has the rows 0 to {self.input_dim - 1}",
                where=f"layer {self.name!r}",
                why="each input is the number of a row",
                fix=f"input_dim={int(inputs.max()) + 1}, or mend the numbers of the data",
            ) from error

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """True where the input is not 0, when `mask_zero` says so; else none."""
        return inputs != 0 if self.mask_zero else None


@register_layer("ReversibleEmbedding")
class ReversibleEmbedding(Embedding):
    """An embedding that also leads back: from vectors to a score for each whole number.

    y = E[x]; with `reverse=True`, y = x Eᵀ, or x R with a matrix R of its own.

    Args:
        input_dim, output_dim: As in `Embedding`.
        tie_weights: Whether the way back uses E; False: a matrix of its own.
        embeddings_initializer, embeddings_regularizer, embeddings_constraint, mask_zero: As in
            `Embedding`; the initializer also makes R.
        reverse_dtype: Dtype in which the way back is computed; None: the layer's.
        logit_soft_cap: Scores s become c tanh(s / c), which lie in (-c, c); > 0.
    Shape: (B, *) -> (B, *, output_dim); with `reverse=True` (B, *, output_dim) -> (B, *, input_dim)
    Raises: ArgumentError: a size below 1.
    Example:
        >>> from stroma import layers
        >>> layer = layers.ReversibleEmbedding(10, 4)
        >>> vectors = layer(torch.tensor([[1, 2, 3]]))
        >>> layer(vectors, reverse=True).shape
        torch.Size([1, 3, 10])

    Reference: Press & Wolf 2017. A mask follows the numbers, never the scores.
    """

    def __init__(  # type: ignore[misc]  # input_dim is its own here
        self,
        input_dim: int,
        output_dim: int,
        tie_weights: bool = True,
        embeddings_initializer: Init = "uniform",
        embeddings_regularizer: Reg = None,
        embeddings_constraint: Con = None,
        mask_zero: bool = False,
        reverse_dtype: Any = None,
        logit_soft_cap: float | None = None,
        *,
        weights: Any = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(
            input_dim,
            output_dim,
            embeddings_initializer,
            embeddings_regularizer,
            embeddings_constraint,
            mask_zero,
            weights,
            **options,
        )
        self.tie_weights = tie_weights
        self.reverse_dtype = None if reverse_dtype is None else dtype_name(to_dtype(reverse_dtype))
        self.logit_soft_cap = (
            None
            if logit_soft_cap is None
            else check_number(
                "logit_soft_cap",
                logit_soft_cap,
                owner="ReversibleEmbedding",
                minimum=0,
                exclusive=True,
            )
        )

    def build(self, input_shape: Shape) -> None:
        super().build(input_shape)
        if not self.tie_weights:
            self.reverse_weight = self.add_weight(
                (self.output_dim, self.input_dim),
                self.embeddings_initializer,
                layout="DN->ND",
                name="reverse_embeddings",
            )

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """As any layer; scores carry no mask."""
        outputs = super().forward(*args, **kwargs)
        if kwargs.get("reverse", args[1:2] == (True,)):
            if is_symbolic(outputs):
                outputs.mask = None
            elif hasattr(outputs, "_keras_mask"):
                del outputs._keras_mask
        return outputs

    def call(self, inputs: Tensor, reverse: bool = False) -> Tensor:
        if not reverse:
            return super().call(inputs)
        weight = self.weight if self.tie_weights else self.reverse_weight
        dtype = self._compute_dtype if self.reverse_dtype is None else to_dtype(self.reverse_dtype)
        scores = F.linear(inputs.to(dtype), weight.to(dtype))  # (B, *, input_dim)
        cap = self.logit_soft_cap
        return scores if cap is None else torch.tanh(scores / cap) * cap
