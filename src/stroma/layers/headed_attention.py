"""What layers of attention with heads share: the maps, the masks, the axes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any, Unpack

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from stroma import constraints, initializers, regularizers
from stroma.core.axes import Shape, shape_text
from stroma.core.checks import check_int, check_number, check_positive_int
from stroma.core.config import Configurable
from stroma.core.errors import ArgumentError, ShapeError
from stroma.core.layer import BaseOptions, Layer
from stroma.core.seeds import Draws
from stroma.functional.attention import (
    attention_weights,
    dot_product_attention,
    dropped,
    visible,
    weighted_values,
)
from stroma.layers.projection import Projection


class HeadedAttention(Layer):
    """Query, key and value into heads, attention in each head, and the way back."""

    receptive = "unknown"
    heads: int  # of the query
    shared_heads: int  # of key and value
    key_dim: int
    value_dim: int
    attention_axes: tuple[int, ...] | None = None
    made_shape: tuple[int, ...] | None = None  # of the output's last axes; None: the query's

    def __init__(
        self,
        dropout: float,
        use_bias: bool,
        sliding_window: int | None,
        flash_attention: bool | None,
        settings: dict[str, Any],
        use_gate: bool,
        seed: int | None,
        **options: Unpack[BaseOptions],
    ) -> None:
        super().__init__(**options)
        owner = type(self).__name__
        self.dropout = check_number("dropout", dropout, owner=owner, minimum=0, maximum=1)
        self.use_bias, self.use_gate = use_bias, use_gate
        self.sliding_window = (
            None
            if sliding_window is None
            else check_positive_int("sliding_window", sliding_window, owner=owner)
        )
        self.flash_attention = bool(flash_attention)
        self.seed = None if seed is None else check_int("seed", seed, owner=owner)
        self.supports_masking = True
        self._draws = Draws(self.seed)
        gets = {
            "initializer": initializers.get,
            "regularizer": regularizers.get,
            "constraint": constraints.get,
        }
        self._settings = {n: gets[n.rpartition("_")[2]](v) for n, v in settings.items()}
        self._refuse_flash(self.dropout > 0, "dropout")

    def _refuse_flash(self, condition: bool, what: str) -> None:
        if self.flash_attention and condition:
            owner = type(self).__name__
            raise ArgumentError(
                f"{owner}: flash_attention=True does not go with {what}",
                where=f"{owner}(flash_attention=...)",
                why="the flash kernel never has all weights in memory at once",
                fix=f"{owner}(..., flash_attention=None)",
            )

    # Building

    def build(  # type: ignore[override]  # each data argument of `call` has a shape
        self, query_shape: Shape, value_shape: Shape, key_shape: Shape | None = None
    ) -> None:
        key_shape = value_shape if key_shape is None else key_shape
        self._check_shapes(query_shape, value_shape, key_shape)
        rank = len(query_shape)
        self._axes = (
            tuple(range(1, rank - 1))
            if self.attention_axes is None
            else tuple(axis % rank for axis in self.attention_axes)
        )
        outputs = self.made_shape or query_shape[-1:]
        # registered in the order in which Keras lists their weights
        self.query_dense = self._projection("query", 1, (self.heads, self.key_dim), query_shape)
        key_heads = (self.shared_heads, self.key_dim)
        self.key_dense = self._projection("key", 1, key_heads, key_shape)
        if self.use_gate:
            gates = (self.heads, self.value_dim)
            self.gate_dense = self._projection("gate", 1, gates, query_shape, "sigmoid")
        value_heads = (self.shared_heads, self.value_dim)
        self.value_dense = self._projection("value", 1, value_heads, value_shape)
        joined = (*query_shape[:-1], self.heads, self.value_dim)
        self.output_dense = self._projection("attention_output", 2, outputs, joined)

    def _check_shapes(self, query: Shape, value: Shape, key: Shape) -> None:
        if len(query) == len(value) == len(key) >= 3 and all(
            None in pair or pair[0] == pair[1] for pair in zip(value[1:-1], key[1:-1])
        ):
            return
        raise ShapeError(
            f"{type(self).__name__}: query {shape_text(query)}, value {shape_text(value)} and key "
            f"{shape_text(key)} do not fit",
            where=f"layer {self.name!r}",
            why="they are (batch, time, features), and each value has one key",
            fix="give tensors with the same number of axes, value and key of the same length",
        )

    def _projection(
        self,
        name: str,
        inputs: int,
        outputs: Sequence[Any],  # an unknown size is refused where the weight is made
        shape: Shape,
        activation: str | None = None,
    ) -> Projection:
        settings = {  # one initializer object gives the same values twice: each has its own
            key: type(value).from_config(value.get_config())
            if isinstance(value, Configurable) and key.endswith("initializer")
            else value
            for key, value in self._settings.items()
        }
        activity = settings.pop("activity_regularizer")
        projection = Projection(
            inputs, outputs, self.use_bias, settings, activation,
            name=name, dtype=self._policy, activity_regularizer=activity,
        )  # fmt: skip
        projection.build(shape)
        projection.built = True
        projection.trainable = self.trainable
        return projection

    # Calling

    def call(
        self,
        query: Tensor,
        value: Tensor,
        key: Tensor | None = None,
        query_mask: Tensor | None = None,
        value_mask: Tensor | None = None,
        key_mask: Tensor | None = None,
        attention_mask: Tensor | None = None,
        return_attention_scores: bool = False,
        training: bool = False,
        use_causal_mask: bool = False,
    ) -> Tensor | tuple[Tensor, Tensor]:
        self._refuse_flash(return_attention_scores, "return_attention_scores=True")
        key = value if key is None else key
        q, k, v = (
            self._over_axes(x)  # (B, N, T, H), (B, M, S, H)
            for x in (self.query_dense(query), self.key_dense(key), self.value_dense(value))
        )
        masks = [] if query_mask is None else [query_mask.bool().unsqueeze(-1)]
        masks += [m.bool().unsqueeze(-2) for m in (value_mask, key_mask) if m is not None]
        masks += [] if attention_mask is None else [attention_mask.bool()]
        sizes = [[x.shape[axis] for axis in self._axes] for x in (query, value)]
        explicit = return_attention_scores or self._draws_weights(training)
        banded = use_causal_mask or self.sliding_window is not None
        if banded and (explicit or masks or self.sliding_window or len(self._axes) > 1):
            masks.append(self._band(sizes, use_causal_mask, query))
            banded = False
        mask = self._joined(masks, q.dim(), sizes)
        if explicit:
            joined, weights = self._attend_explicitly(q, k, v, mask, training)
        else:
            joined = self._attend(q, k, v, mask, banded, training)
        heads = self._back(joined, sizes[0])  # (B, T, N, H)
        if self.use_gate:
            heads = heads * self.gate_dense(query)
        output: Tensor = self.output_dense(heads)
        return (output, self._pairs(weights, sizes)) if return_attention_scores else output

    def _draws_weights(self, training: bool) -> bool:
        """Whether dropout has a generator of its own, which no fused kernel takes."""
        return training and self.dropout > 0 and self.seed is not None

    def _attend_explicitly(
        self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, training: bool
    ) -> tuple[Tensor, Tensor]:
        weights = used = attention_weights(query, key, mask, scale=1 / math.sqrt(self.key_dim))
        if training and self.dropout > 0:
            used = dropped(weights, self.dropout, self._draws.generator(weights.device))
        return weighted_values(used, value), weights

    def _attend(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        mask: Tensor | None,
        causal: bool,
        training: bool,
    ) -> Tensor:
        # Keras takes a query without any key for one that sees all on its fused road alone
        fused = self.dropout == 0 and query.dim() == 4
        with sdpa_kernel(SDPBackend.FLASH_ATTENTION) if self.flash_attention else nullcontext():
            return dot_product_attention(
                query,
                key,
                value,
                mask,
                scale=1 / math.sqrt(self.key_dim),
                causal=causal,
                dropout=self.dropout if training else 0.0,
                blind_sees="all" if fused else "nothing",
            )

    def _band(self, sizes: list[list[int]], causal: bool, like: Tensor) -> Tensor:
        if len(self._axes) != 1:
            raise ShapeError(
                f"{type(self).__name__}: a causal mask or a window over {len(self._axes)} axes",
                where=f"layer {self.name!r}",
                why="before and near are defined along one axis",
                fix="attention_axes=1, or an attention_mask of your own",
            )
        return visible(sizes[0][0], sizes[1][0], causal, self.sliding_window, like)

    # Axes

    def _over_axes(self, x: Tensor) -> Tensor:
        """(B, *, N, H) as (B, *, N, T, H), the axes attended over joined in T; a view for one."""
        last = x.dim() - 1
        kept = [axis for axis in range(last) if axis not in self._axes]
        return x.permute(*kept, *self._axes, last).flatten(len(kept), -2)

    def _pairs(self, weights: Tensor, sizes: list[list[int]]) -> Tensor:
        """(B, *, N, T, S) with the axes of queries and keys apart again."""
        return torch.unflatten(torch.unflatten(weights, -1, sizes[1]), -1 - len(sizes[1]), sizes[0])

    def _back(self, x: Tensor, sizes: list[int]) -> Tensor:
        x = torch.unflatten(x, -2, sizes)
        last = x.dim() - 1
        kept = [axis for axis in range(last) if axis not in self._axes]
        order = [*kept, *self._axes, last]
        return x.permute([order.index(axis) for axis in range(last + 1)])

    def _joined(self, masks: list[Tensor], rank: int, sizes: list[list[int]]) -> Tensor | None:
        """All masks in one that broadcasts with the scores (B, *, N, T, S)."""
        mask = None
        tail = 2 * len(self._axes)
        for given in masks:
            if given.dim() < tail:
                raise ShapeError(
                    f"{type(self).__name__}: a mask of shape {tuple(given.shape)} for scores that "
                    f"end in {sizes[0]} queries and {sizes[1]} keys",
                    where=f"layer {self.name!r}",
                    why="an attention mask says for each pair whether it may be used",
                    fix="attention_mask of shape (batch, queries, keys)",
                )
            if len(self._axes) > 1:
                given = given.expand(*given.shape[:-tail], *sizes[0], *sizes[1])
                given = given.flatten(-len(sizes[1])).flatten(-1 - len(sizes[0]), -2)
            if 2 < given.dim() < rank:  # (B, T, S): the same for all heads
                missing = (1,) * (rank - given.dim())
                given = given.reshape(*given.shape[:-2], *missing, *given.shape[-2:])
            mask = given if mask is None else mask & given
        return mask
