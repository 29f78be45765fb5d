"""Attention with several heads: multi-head, and grouped where heads share keys and values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Unpack

from stroma.core.checks import check_int, check_positive_int
from stroma.core.errors import ArgumentError
from stroma.core.layer import BaseOptions
from stroma.layers.arguments import Con, Init, Reg
from stroma.layers.headed_attention import HeadedAttention
from stroma.layers.registry import register_layer


@register_layer("MultiHeadAttention")
class MultiHeadAttention(HeadedAttention):
    """Several heads, each with its own view of query, key and value, look at the values.

    head_n = softmax(Q_n K_nᵀ / sqrt(key_dim)) V_n, y = W [head_1; ...; head_N] + b, where Q_n, K_n
    and V_n are affine maps of query, key and value.

    Args:
        num_heads: How many heads N, >= 1.
        key_dim: Size of query and key in *each* head, >= 1 (PyTorch's `embed_dim` is N times it).
        value_dim: Size of the value in each head; None: `key_dim`.
        dropout: Part of the weights that is dropped in training, in [0, 1].
        use_bias: Whether the maps have a bias.
        output_shape: Sizes of the output's last axes; None: the query's features.
        attention_axes: The axes attended over; None: all but the batch and the features.
        sliding_window: A query sees keys fewer than so many places away; None: all.
        flash_attention: True: torch's flash kernel or an error; None, False: torch chooses.
        kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer,
        activity_regularizer, kernel_constraint, bias_constraint: For every map.
        use_gate: Whether a sigmoid of another map of the query gates each head's result.
        seed: Makes the draws of this layer its own.
    Call: (query, value, key=value), attention_mask (B, T, S) where True means "may see",
        `use_causal_mask=True` where query t sees places 0 to t only,
        `return_attention_scores=True` for (y, weights (B, N, T, S)). Masks that the inputs carry
        count too.
    Shape: (B, T, D), (B, S, E) -> (B, T, D)
    Raises: ArgumentError: a size below 1, or flash_attention with dropout or scores; ShapeError:
        query, value and key do not fit.
    Example:
        >>> from stroma import layers
        >>> x = torch.zeros(2, 5, 16)
        >>> y, weights = layers.MultiHeadAttention(4, 8)(x, x, return_attention_scores=True)
        >>> y.shape, weights.shape
        (torch.Size([2, 5, 16]), torch.Size([2, 4, 5, 5]))

    Reference: Vaswani et al. 2017, section 3.2.2; gate: Qiu et al. 2025. On torch's
        `scaled_dot_product_attention`. As in Keras a query that may see no key gets the mean of all
        values, and 0 where the layer has dropout or gives weights. A mask with heads may meet one
        without, and causal masks work along any one axis; Keras refuses the one and takes the
        first axis for the other.
    """

    names_in_files: ClassVar[dict[str, str]] = {"gate_dense": "_gate_dense"}

    def __init__(
        self,
        num_heads: int,
        key_dim: int,
        value_dim: int | None = None,
        dropout: float = 0.0,
        use_bias: bool = True,
        output_shape: int | Sequence[int] | None = None,
        attention_axes: int | Sequence[int] | None = None,
        sliding_window: int | None = None,
        flash_attention: bool | None = None,
        kernel_initializer: Init = "glorot_uniform",
        bias_initializer: Init = "zeros",
        kernel_regularizer: Reg = None,
        bias_regularizer: Reg = None,
        activity_regularizer: Reg = None,
        kernel_constraint: Con = None,
        bias_constraint: Con = None,
        use_gate: bool = False,
        seed: int | None = None,
        **options: Unpack[BaseOptions],
    ) -> None:
        settings = {
            "kernel_initializer": kernel_initializer, "bias_initializer": bias_initializer,
            "kernel_regularizer": kernel_regularizer, "bias_regularizer": bias_regularizer,
            "activity_regularizer": activity_regularizer,
            "kernel_constraint": kernel_constraint, "bias_constraint": bias_constraint,
        }  # fmt: skip
        super().__init__(
            dropout, use_bias, sliding_window, flash_attention, settings, use_gate, seed, **options
        )
        owner = "MultiHeadAttention"
        self.num_heads = check_positive_int("num_heads", num_heads, owner=owner)
        self.heads = self.shared_heads = self.num_heads
        self.key_dim = check_positive_int("key_dim", key_dim, owner=owner)
        self.value_dim = (
            key_dim
            if value_dim is None
            else check_positive_int("value_dim", value_dim, owner=owner)
        )
        self.made_shape = None if output_shape is None else tuple(
            check_positive_int("output_shape", size, owner=owner) for size in _listed(output_shape)
        )  # fmt: skip
        self.attention_axes = None if attention_axes is None else tuple(
            check_int("attention_axes", axis, owner=owner) for axis in _listed(attention_axes)
        )  # fmt: skip


@register_layer("GroupQueryAttention")
class GroupQueryAttention(HeadedAttention):
    """Attention whose heads share keys and values in groups: less to keep while generating.

    As `MultiHeadAttention`, with `num_key_value_heads` heads of key and value; each serves
    num_query_heads / num_key_value_heads heads of the query.

    Args:
        head_dim: Size of each head, >= 1.
        num_query_heads: How many heads the query has, a multiple of `num_key_value_heads`.
        num_key_value_heads: How many heads key and value have.
        dropout, use_bias, sliding_window, flash_attention: As in `MultiHeadAttention`.
        kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer,
        activity_regularizer, kernel_constraint, bias_constraint: For every map.
        use_gate, seed: As in `MultiHeadAttention`.
    Call: As `MultiHeadAttention`.
    Shape: (B, T, D), (B, S, E) -> (B, T, D)
    Raises: ArgumentError: a size below 1, heads that do not divide; ShapeError: query, value and
        key do not fit.
    Example:
        >>> from stroma import layers
        >>> x = torch.zeros(2, 5, 16)
        >>> layers.GroupQueryAttention(8, num_query_heads=4, num_key_value_heads=2)(x, x).shape
        torch.Size([2, 5, 16])

    Reference: Ainslie et al. 2023.
    """

    class_in_files = "GroupedQueryAttention"  # Keras' class behind the public name
    names_in_files: ClassVar[dict[str, str]] = {
        f"{name}_dense": f"_{name}_dense" for name in ("query", "key", "value", "output", "gate")
    }

    def __init__(
        self,
        head_dim: int,
        num_query_heads: int,
        num_key_value_heads: int,
        dropout: float = 0.0,
        use_bias: bool = True,
        sliding_window: int | None = None,
        flash_attention: bool | None = None,
        kernel_initializer: Init = "glorot_uniform",
        bias_initializer: Init = "zeros",
        kernel_regularizer: Reg = None,
        bias_regularizer: Reg = None,
        activity_regularizer: Reg = None,
        kernel_constraint: Con = None,
        bias_constraint: Con = None,
        use_gate: bool = False,
        seed: int | None = None,
        **options: Unpack[BaseOptions],
    ) -> None:
        settings = {
            "kernel_initializer": kernel_initializer, "bias_initializer": bias_initializer,
            "kernel_regularizer": kernel_regularizer, "bias_regularizer": bias_regularizer,
            "activity_regularizer": activity_regularizer,
            "kernel_constraint": kernel_constraint, "bias_constraint": bias_constraint,
        }  # fmt: skip
        super().__init__(
            dropout, use_bias, sliding_window, flash_attention, settings, use_gate, seed, **options
        )
        owner = "GroupQueryAttention"
        self.head_dim = check_positive_int("head_dim", head_dim, owner=owner)
        self.num_query_heads = check_positive_int("num_query_heads", num_query_heads, owner=owner)
        self.num_key_value_heads = check_positive_int(
            "num_key_value_heads", num_key_value_heads, owner=owner
        )
        self.key_dim = self.value_dim = self.head_dim
        self.heads, self.shared_heads = self.num_query_heads, self.num_key_value_heads
        if self.heads % self.shared_heads:
            raise ArgumentError(
                f"GroupQueryAttention: {self.heads} query heads cannot share "
                f"{self.shared_heads} heads of keys evenly",
                where="GroupQueryAttention(num_query_heads=..., num_key_value_heads=...)",
                why="each head of keys and values serves as many heads of the query",
                fix=f"num_query_heads={self.shared_heads * (self.heads // self.shared_heads + 1)}",
            )


def _listed(value: Any) -> Sequence[int]:
    return value if isinstance(value, (list, tuple)) else (value,)
