"""torch's functions that a file may name: pure functions of tensors, and nothing else.

What makes random numbers, holds weights, touches files or takes a function is not among them.
"""

from __future__ import annotations


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


OPERATORS = _words(  # in Python's `operator`
    """
    add sub mul truediv floordiv mod pow matmul and_ or_ xor lshift rshift eq ne lt le gt ge neg
    pos abs invert getitem
    """
)
BOTH = _words(  # functions of torch and methods of a tensor
    """
    abs absolute acos acosh add addcdiv addcmul all amax amin angle any arccos arcsin arctan
    argmax argmin argsort asin asinh atan atan2 atanh bitwise_and bitwise_not bitwise_or
    bitwise_xor bmm broadcast_to bucketize ceil chunk clamp clamp_max clamp_min clip conj
    copysign cos cosh count_nonzero cross cummax cummin cumprod cumsum deg2rad det diag
    diag_embed diagonal diff dist div divide dot eq erf erfc erfinv exp exp2 expm1 fix flatten
    flip fliplr flipud float_power floor floor_divide fmax fmin fmod frac gather ge greater
    greater_equal gt heaviside hypot index_select inner inverse isclose isfinite isinf isnan
    kron kthvalue le lerp less less_equal lgamma log log10 log1p log2 logaddexp logcumsumexp
    logical_and logical_not logical_or logical_xor logit logsumexp lt masked_fill matmul max
    maximum mean median min minimum mm movedim moveaxis mul multiply mv nan_to_num nanmean
    nansum narrow ne neg negative norm not_equal outer permute positive pow prod quantile
    rad2deg ravel reciprocal relu remainder renorm repeat_interleave reshape roll rot90 round
    rsqrt scatter scatter_add select sgn sigmoid sign sin sinc sinh softmax log_softmax sort
    split sqrt square squeeze std sub subtract sum swapaxes swapdims t take take_along_dim tan
    tanh tensor_split tile topk trace transpose tril triu true_divide trunc unbind unflatten
    unsqueeze var xlogy
    """
)
TORCH_ONLY = _words(  # functions of torch
    """
    addmm baddbmm cat concat concatenate einsum hstack vstack dstack stack where tensordot
    zeros_like ones_like full_like meshgrid cdist celu selu cosine_similarity pixel_shuffle
    pixel_unshuffle
    """
)
METHODS_ONLY = _words(  # methods of a tensor
    """
    expand expand_as view view_as reshape_as repeat to type_as float double half bfloat16 int
    long bool contiguous clone detach unfold unsafe_chunk new_zeros new_ones
    """
)
FUNCTIONAL = _words(  # functions of torch.nn.functional
    """
    relu relu6 elu celu selu gelu leaky_relu silu mish sigmoid logsigmoid tanh tanhshrink
    softplus softsign softshrink hardshrink hardtanh hardsigmoid hardswish threshold softmax
    log_softmax softmin glu normalize pad interpolate one_hot pixel_shuffle pixel_unshuffle
    avg_pool1d avg_pool2d avg_pool3d max_pool1d max_pool2d max_pool3d adaptive_avg_pool1d
    adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool1d adaptive_max_pool2d lp_pool2d
    unfold fold grid_sample affine_grid cosine_similarity pairwise_distance channel_shuffle
    local_response_norm scaled_dot_product_attention layer_norm rms_norm instance_norm
    group_norm
    """
)
ATTRIBUTES = _words(  # properties of a tensor
    """
    T mT H mH real imag
    """
)
PAIRS = _words(  # Keras' operations of two inputs
    """
    Add Subtract Multiply FloorDivide TrueDivide Divide Mod Power Matmul Equal NotEqual Less
    LessEqual Greater GreaterEqual BitwiseAnd BitwiseOr BitwiseXor LeftShift RightShift
    BitwiseLeftShift BitwiseRightShift Fmod Inner Outer Kron CDist Maximum Minimum Fmax Fmin
    Arctan2 Hypot Heaviside Logaddexp Logaddexp2 LogicalAnd LogicalOr LogicalXor
    """
)
