"""Attention over a list [query, value, key]: without projections, one head."""

from __future__ import annotations

from typing import Any, Unpack

import torch
from torch import Tensor

from stroma.core.axes import shape_text
from stroma.core.checks import check_choice, check_int, check_number
from stroma.core.errors import ShapeError, not_defined
from stroma.core.layer import Layer, LayerOptions
from stroma.core.seeds import Draws
from stroma.functional.attention import additive_scores, dropped, visible
from stroma.layers.registry import register_layer


class _ListAttention(Layer):
    """What both layers share: how masks, dropout and the list of inputs are handled."""

    receptive = "unknown"

    def __init__(self, dropout: float, seed: int | None, **options: Unpack[LayerOptions]) -> None:
        super().__init__(**options)
        owner = type(self).__name__
        self.dropout = check_number("dropout", dropout, owner=owner, minimum=0, maximum=1)
        self.seed = None if seed is None else check_int("seed", seed, owner=owner)
        self._draws = Draws(self.seed)

    def _check(self, inputs: Any) -> None:
        several = isinstance(inputs, (list, tuple)) and not any(
            item is None or isinstance(item, int) for item in inputs
        )
        if several and len(inputs) in (2, 3):
            return
        given = f"{len(inputs)} tensors" if several else "one tensor"
        raise ShapeError(
            f"{type(self).__name__} takes a list of 2 or 3 tensors, got {given}",
            where=f"layer {self.name!r}",
            why="a query looks for values, and for keys where those are not the values",
            fix=f"{type(self).__name__}()([query, value]), or ([query, value, key])",
        )

    def build(self, input_shape: Any) -> None:
        self._check(input_shape)
        if any(len(shape) != 3 for shape in input_shape):
            shapes = ", ".join(shape_text(tuple(shape)) for shape in input_shape)
            raise ShapeError(
                f"{type(self).__name__} takes tensors (batch, time, features), got {shapes}",
                where=f"layer {self.name!r}",
                why="each place in time of the query looks at each of the value",
                fix="x[:, None] for one place in time; MultiHeadAttention(attention_axes=...) "
                "for more axes",
            )
        self._make_weights(input_shape[0][-1])

    def _make_weights(self, features: int | None) -> None:
        """What the scores are computed with."""

    def _scores(self, query: Tensor, key: Tensor) -> Tensor:
        raise not_defined(self, "_scores(self, query, key)", "the weights are its softmax")

    def call(
        self,
        inputs: list[Tensor],
        mask: list[Tensor | None] | None = None,
        training: bool = False,
        return_attention_scores: bool = False,
        use_causal_mask: bool = False,
    ) -> Tensor | tuple[Tensor, Tensor]:
        self._check(inputs)
        query, value = inputs[0], inputs[1]  # (B, T, D), (B, S, E)
        key = inputs[2] if len(inputs) == 3 else value
        query_mask, value_mask = (mask[0], mask[1]) if mask else (None, None)
        scores = self._scores(query, key)  # (B, T, S)
        sees = None if value_mask is None else value_mask.bool().unsqueeze(-2)
        if use_causal_mask:
            before = visible(scores.shape[1], scores.shape[2], True, None, scores)
            sees = before if sees is None else sees & before
        if sees is not None:
            # as in Keras a step down, not -inf: a row that sees nothing stays a distribution
            far = 65504.0 if scores.dtype is torch.float16 else 1e9
            scores = torch.where(sees, scores, scores - far)
        weights = scores.softmax(-1)
        output = self._dropped(weights, training) @ value  # (B, T, E)
        if query_mask is not None:
            output = output.masked_fill(~query_mask.bool().unsqueeze(-1), 0.0)
        return (output, weights) if return_attention_scores else output

    def _dropped(self, weights: Tensor, training: bool) -> Tensor:
        if not training or self.dropout == 0:
            return weights
        return dropped(weights, self.dropout, self._draws.generator(weights.device))

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """The query's mask."""
        return previous_mask[0] if previous_mask else None


@register_layer("Attention")
class Attention(_ListAttention):
    """Each query gets the values, weighted by how well their keys fit it (Luong's attention).

    y = softmax(s) V, with s = g Q Kᵀ for "dot", s = c Σ tanh(g (q + k)) for "concat"; g and c are
    learned numbers, g only with `use_scale`.

    Args:
        use_scale: Whether the scores are scaled by the learned g; it starts at 1.
        score_mode: "dot" or "concat".
        dropout: Part of the weights that is dropped in training, in [0, 1].
        seed: Makes the draws of this layer its own.
    Call: inputs [query, value] or [query, value, key] (the value serves as key), mask
        [query_mask, value_mask], `return_attention_scores=True` for (y, weights),
        `use_causal_mask=True` where query t may see places 0 to t only.
    Shape: [(B, T, D), (B, S, E)] -> (B, T, E)
    Raises: ShapeError: not 2 or 3 inputs, or one has not 3 axes; ArgumentError: a mode or rate
        out of its range.
    Example:
        >>> from stroma import layers
        >>> query, value = torch.zeros(1, 2, 3), torch.tensor([[[1.0, 0, 0], [3.0, 0, 0]]])
        >>> layers.Attention()([query, value])[0, :, 0].tolist()
        [2.0, 2.0]

    Reference: Luong, Pham & Manning 2015, section 3.1. As Keras: a query whose keys are all masked
        gets their weighted mean, a masked query 0.
    """

    def __init__(
        self,
        use_scale: bool = False,
        score_mode: str = "dot",
        dropout: float = 0.0,
        seed: int | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(dropout, seed, **options)
        self.use_scale = use_scale
        self.score_mode = check_choice(
            "score_mode", score_mode, ("dot", "concat"), owner="Attention"
        )

    def _make_weights(self, features: int | None) -> None:
        self.scale = self.add_weight((), "ones", name="scale") if self.use_scale else None
        if self.score_mode == "concat":
            self.concat_score_weight = self.add_weight((), "ones", name="concat_score_weight")

    def _scores(self, query: Tensor, key: Tensor) -> Tensor:
        if self.score_mode == "concat":
            scale = 1.0 if self.scale is None else self.scale
            return self.concat_score_weight * additive_scores(scale * query, scale * key, 1.0)
        scores = query @ key.transpose(-2, -1)
        return scores if self.scale is None else scores * self.scale


@register_layer("AdditiveAttention")
class AdditiveAttention(_ListAttention):
    """Each query gets the values, weighted by a small network of query and key (Bahdanau's).

    y = softmax(s) V, s = Σ over features of g tanh(q + k).

    Args:
        use_scale: Whether g is learned, one number per feature; False: 1.
        dropout: Part of the weights that is dropped in training, in [0, 1].
        seed: Makes the draws of this layer its own.
    Call: As `Attention`.
    Shape: [(B, T, D), (B, S, D)] -> (B, T, D)
    Raises: ShapeError: not 2 or 3 inputs, or one has not 3 axes; ArgumentError: dropout out of
        its range.
    Example:
        >>> from stroma import layers
        >>> query, value = torch.zeros(1, 2, 3), torch.ones(1, 5, 3)
        >>> layers.AdditiveAttention()([query, value]).shape
        torch.Size([1, 2, 3])

    Reference: Bahdanau, Cho & Bengio 2015, appendix A.1.2, without its two projections.
    """

    def __init__(
        self,
        use_scale: bool = True,
        dropout: float = 0.0,
        *,
        seed: int | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(dropout, seed, **options)
        self.use_scale = use_scale

    def _make_weights(self, features: int | None) -> None:
        self.scale = None
        if self.use_scale:
            self.scale = self.add_weight((features,), "glorot_uniform", name="scale")

    def _scores(self, query: Tensor, key: Tensor) -> Tensor:
        return additive_scores(query, key, 1.0 if self.scale is None else self.scale)
