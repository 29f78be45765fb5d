"""What networks are made of, as functions: activations, convolutions, pooling, losses."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F

from stroma import activations
from stroma.core.checks import check_positive_int
from stroma.core.errors import ShapeError
from stroma.functional import arrays, attention, crossentropies, ctc, reductions, values, windows
from stroma.ops.calling import apply, floating, operation, to_tensor
from stroma.ops.pairs import polar
from stroma.ops.reductions import moments

__all__ = [
    "adaptive_average_pool", "adaptive_max_pool", "average_pool", "batch_normalization",
    "binary_crossentropy", "categorical_crossentropy", "celu", "conv", "conv_transpose",
    "ctc_decode", "ctc_loss", "depth_to_space", "depthwise_conv", "dot_product_attention", "elu",
    "fold", "gelu", "glu", "hard_shrink", "hard_sigmoid", "hard_silu", "hard_swish", "hard_tanh",
    "layer_normalization", "leaky_relu", "log_sigmoid", "log_softmax", "max_pool", "moments",
    "multi_hot", "normalize", "one_hot", "polar", "psnr", "relu", "relu6", "rms_normalization",
    "selu", "separable_conv", "sigmoid", "silu", "soft_shrink", "softmax", "softplus", "softsign",
    "space_to_depth", "sparse_categorical_crossentropy", "sparse_plus", "sparse_sigmoid",
    "sparsemax", "squareplus", "swish", "tanh_shrink", "threshold", "unfold",
]  # fmt: skip

relu = operation(F.relu, "max(x, 0).", "x")
relu6 = operation(F.relu6, "x kept between 0 and 6.", "x")
sigmoid = operation(torch.sigmoid, "1 / (1 + e^-x).", "x", inputs="floating")
log_sigmoid = operation(F.logsigmoid, "log(sigmoid(x)).", "x")
silu = operation(F.silu, "x sigmoid(x).", "x")
swish = silu
selu = operation(F.selu, "ELU with the slope that keeps mean 0 and variance 1.", "x")
softsign = operation(F.softsign, "x / (1 + |x|).", "x")
tanh_shrink = operation(F.tanhshrink, "x - tanh(x).", "x")
softmax = operation(activations.softmax, "e^x, divided by its sum over an axis.")
log_softmax = operation(activations.log_softmax, "log(softmax(x)).")
gelu = operation(values.gelu, "x times the normal distribution function of x.")
glu = operation(activations.glu, "One half of an axis times the sigmoid of the other.")
leaky_relu = operation(activations.leaky_relu, "x above 0, negative_slope x below.")
elu = operation(activations.elu, "x above 0, alpha (e^x - 1) below.")
celu = operation(activations.celu, "x above 0, alpha (e^(x / alpha) - 1) below.")
softplus = operation(activations.softplus, "log(1 + e^x).")
squareplus = operation(activations.squareplus, "(x + sqrt(x² + b)) / 2.")
hard_sigmoid = operation(activations.hard_sigmoid, "(x + 3) / 6 kept between 0 and 1.")
hard_silu = operation(activations.hard_silu, "x hard_sigmoid(x).")
hard_swish = hard_silu
hard_tanh = operation(activations.hard_tanh, "x kept between -1 and 1.")
hard_shrink = operation(activations.hard_shrink, "x, and 0 within the threshold of 0.")
soft_shrink = operation(activations.soft_shrink, "x, moved to 0 by the threshold.")
sparse_plus = operation(activations.sparse_plus, "0, then (x + 1)² / 4, then x.")
sparse_sigmoid = operation(activations.sparse_sigmoid, "(x + 1) / 2 kept between 0 and 1.")
sparsemax = operation(activations.sparsemax, "The distribution nearest to x: most of it 0.")
threshold = operation(activations.threshold, "x above the threshold, default_value below.")

conv = operation(windows.conv, "A convolution; kernels (*S, C / groups, filters).", inputs="alike")
conv_transpose = operation(windows.conv_transpose, "A transposed convolution.", inputs="alike")
depthwise_conv = operation(windows.depthwise_conv, "A convolution of each channel by itself.",
                           inputs="alike")  # fmt: skip
separable_conv = operation(windows.separable_conv, "A depthwise, then a pointwise convolution.",
                           inputs="alike")  # fmt: skip
max_pool = operation(arrays.max_pool, "The largest number in each window.")
average_pool = operation(arrays.average_pool, "The mean of each window, padding left out.")
adaptive_max_pool = operation(windows.adaptive_max_pool, "The largest number in each of "
                              "`output_size` windows.")  # fmt: skip
adaptive_average_pool = operation(windows.adaptive_average_pool, "The mean of each of "
                                  "`output_size` windows.")  # fmt: skip
fold = operation(windows.fold, "Columns of windows added where they lie, in (B, C, H, W).")
unfold = operation(windows.unfold, "Windows of (B, C, H, W) as columns.")
depth_to_space = operation(windows.depth_to_space, "Channels as blocks of pixels.")
space_to_depth = operation(windows.space_to_depth, "Blocks of pixels as channels.")

normalize = operation(reductions.normalize, "x / ‖x‖ along an axis.", inputs="floating")
ctc_loss = operation(ctc.loss, "-log of the probability of a label sequence in any alignment.")
ctc_decode = operation(ctc.decode, "The likeliest label sequences, and their scores.")
psnr = operation(crossentropies.peak_signal_to_noise, "10 log10(max_val² / mean((x1 - x2)²)).")


def layer_normalization(
    x: Any, gamma: Any = None, beta: Any = None, axis: Any = -1, epsilon: float | None = None
) -> Any:
    """(x - mean) / sqrt(variance + epsilon) of each sample, times gamma, plus beta.

    Args:
        x: Any tensor.
        gamma, beta: Of x's size along the axes; 1 and 0 when None.
        axis: One axis, or several.
        epsilon: Added to the variance; 1e-7 when None.
    Shape: (*) -> (*)
    Example:
        >>> layer_normalization([[1.0, 3.0]]).round(decimals=3)
        tensor([[-1.,  1.]])
    """
    return apply(reductions.layer_norm, x, gamma, beta, inputs="floating", axis=axis,
                 epsilon=epsilon)  # fmt: skip


def rms_normalization(
    x: Any, scale: Any = None, axis: Any = -1, epsilon: float | None = None
) -> Any:
    """x / sqrt(mean(x²) + epsilon) of each sample, times scale.

    Args:
        x: Any tensor.
        scale: Of x's size along the axes; 1 when None.
        axis: One axis, or several.
        epsilon: Added to the mean square; 1e-7 when None.
    Shape: (*) -> (*)
    Example:
        >>> rms_normalization([[3.0, 3.0]]).round(decimals=3)
        tensor([[1., 1.]])
    """
    return apply(reductions.rms_norm, x, scale, inputs="floating", axis=axis, epsilon=epsilon)


def one_hot(
    x: Any, num_classes: int, axis: int = -1, dtype: Any = None, sparse: bool = False
) -> Any:
    """A 1 at each index and 0 elsewhere, along a new axis; an index out of range gives zeros.

    Args:
        x: Class indices, any shape.
        num_classes: Size of the new axis.
        axis: Where it goes.
        dtype: float32 when None.
        sparse: Accepted for Keras' signature: tensors here are dense.
    Shape: (*) -> (*, num_classes)
    Example:
        >>> one_hot([0, 2], 3).tolist()
        [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    """
    size = check_positive_int("num_classes", num_classes, owner="one_hot")
    return apply(arrays.one_hot, x, num_classes=size, axis=axis, dtype=dtype)


def multi_hot(
    inputs: Any,
    num_classes: int | None = None,
    axis: int = -1,
    dtype: Any = None,
    sparse: bool = False,
    **kwargs: Any,
) -> Any:
    """A 1 at each index that occurs in a row, 0 elsewhere.

    Args:
        inputs: Class indices, (T,) or (B, T).
        num_classes: Size of the new axis; Keras' older `num_tokens` is taken too.
        axis: Where it goes.
        dtype: float32 when None.
        sparse: Accepted for Keras' signature: tensors here are dense.
    Shape: (B, T) -> (B, num_classes)
    Example:
        >>> multi_hot([0, 2, 2], 4).tolist()
        [1.0, 0.0, 1.0, 0.0]
    """
    count = kwargs.get("num_tokens", num_classes)
    size = check_positive_int("num_classes", count, owner="multi_hot")
    return apply(arrays.multi_hot, inputs, num_classes=size, axis=axis, dtype=dtype)


def batch_normalization(
    x: Any,
    mean: Any,
    variance: Any,
    axis: int,
    offset: Any = None,
    scale: Any = None,
    epsilon: float = 1e-3,
) -> Any:
    """(x - mean) / sqrt(variance + epsilon) * scale + offset, with statistics of each channel.

    Args:
        x: Any tensor.
        mean, variance: (C,).
        axis: That of the channels.
        offset, scale: (C,), 0 and 1 when None.
        epsilon: Added to the variance.
    Shape: (*) -> (*)
    Example:
        >>> batch_normalization([[1.0], [3.0]], [2.0], [1.0], 1, epsilon=0.0).tolist()
        [[-1.0], [1.0]]
    """
    return apply(reductions.batch_norm, x, mean, variance, offset, scale, axis=axis,
                 epsilon=epsilon)  # fmt: skip


def binary_crossentropy(target: Any, output: Any, from_logits: bool = False) -> Any:
    """-target log(p) - (1 - target) log(1 - p), number by number.

    Args:
        target: Labels 0 and 1, or between.
        output: Probabilities, held within [1e-7, 1 - 1e-7], or logits.
        from_logits: Which of them.
    Shape: (*), (*) -> (*)
    Example:
        >>> binary_crossentropy([1.0], [0.5])
        tensor([0.6931])
    """
    return apply(crossentropies.binary, target, output, inputs="alike floating",
                 from_logits=from_logits)  # fmt: skip


def categorical_crossentropy(
    target: Any, output: Any, from_logits: bool = False, axis: int = -1
) -> Any:
    """-sum(target * log(p)) over the classes.

    Args:
        target: One-hot or soft targets.
        output: Probabilities, made to sum to 1, or logits.
        from_logits: Which of them.
        axis: That of the classes.
    Shape: (*, K), (*, K) -> (*)
    Example:
        >>> categorical_crossentropy([[0.0, 1.0]], [[0.5, 0.5]])
        tensor([0.6931])
    """
    return apply(crossentropies.categorical, target, output, from_logits=from_logits,
                 axis=axis)  # fmt: skip


def sparse_categorical_crossentropy(
    target: Any, output: Any, from_logits: bool = False, axis: int = -1
) -> Any:
    """-log(p[target]) over the classes.

    Args:
        target: Class numbers.
        output: Probabilities, made to sum to 1, or logits.
        from_logits: Which of them.
        axis: That of the classes.
    Shape: (*), (*, K) -> (*)
    Example:
        >>> sparse_categorical_crossentropy([1], [[0.5, 0.5]])
        tensor([0.6931])
    """
    return apply(crossentropies.sparse_categorical, target, output,
                 from_logits=from_logits, axis=axis)  # fmt: skip


def dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    bias: Any = None,
    mask: Any = None,
    scale: float | None = None,
    is_causal: bool = False,
    flash_attention: bool | None = None,
    attn_logits_soft_cap: float | None = None,
) -> Any:
    """softmax(scale * query keyᵀ + bias) value, head by head, on torch's fused kernels.

    Args:
        query: (B, T, N, D); key, value: (B, S, N, D).
        bias: Added to the scores; broadcasts with (B, N, T, S).
        mask: True where a query may see a key.
        scale: Factor on the scores; 1 / sqrt(D) when None.
        is_causal: Whether query t sees keys 0 to t only.
        flash_attention: Accepted for Keras' signature: torch picks its fastest kernel.
        attn_logits_soft_cap: Scores are cap * tanh(scores / cap).
    Shape: (B, T, N, D) -> (B, T, N, D)
    Raises: ShapeError: a tensor has not four axes.
    Example:
        >>> dot_product_attention(*[torch.ones(1, 2, 1, 4)] * 3).flatten()
        tensor([1., 1., 1., 1., 1., 1., 1., 1.])
    """
    tensors = [floating(to_tensor(x)) for x in (query, key, value)]
    if any(x.ndim != 4 for x in tensors):
        raise ShapeError(
            f"dot_product_attention got shapes {[tuple(x.shape) for x in tensors]}",
            where="ops.dot_product_attention(query, key, value)",
            why="it takes (batch, length, heads, features)",
            fix="x[:, :, None] makes one head",
        )
    others = [None if x is None else to_tensor(x) for x in (bias, mask)]
    return apply(attention.headed_attention, *tensors, *others, scale=scale, causal=is_causal,
                 cap=attn_logits_soft_cap)  # fmt: skip
