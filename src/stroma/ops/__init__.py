"""Keras' operations under Keras' names, as thin names over torch.

They take tensors, arrays, numbers and lists, follow Keras' dtypes (an integer beside a float is a
float; numbers of Python take the dtype beside them), and are recorded on symbolic tensors as the
node that a `.keras` file names as Keras does.
"""

from stroma.ops import image, linalg, nn, numpy

# packed, since one name a line would hide the table
# isort: off
# fmt: off
from stroma.ops.control import (
    associative_scan, cond, custom_gradient, fori_loop, jvp, map, scan, switch, vectorize,
    vectorized_map, while_loop,
)
from stroma.ops.creation import (
    arange, array, cast, constant, convert_to_numpy, convert_to_tensor, dtype, empty,
    empty_like, eye, full, full_like, geomspace, identity, is_tensor, linspace, logspace, ndim,
    ones, ones_like, rank, saturate_cast, shape, size, stop_gradient, tri, zeros, zeros_like,
)
from stroma.ops.elementwise import (
    abs, absolute, angle, arccos, arccosh, arcsin, arcsinh, arctan, arctanh, bitwise_invert,
    bitwise_not, cbrt, ceil, clip, conj, conjugate, copy, cos, cosh, deg2rad, erf, erfc, erfinv,
    exp, exp2, expm1, fabs, floor, i0, imag, isfinite, isinf, isnan, isneginf, isposinf, isreal,
    log, log10, log1p, log2, logical_not, nan_to_num, negative, rad2deg, real, reciprocal,
    round, rsqrt, sign, signbit, sin, sinc, sinh, sqrt, square, tan, tanh, trunc,
    view_as_complex, view_as_real,
)
from stroma.ops.linalg import (
    cholesky, cholesky_inverse, det, eig, eigh, inv, logdet, lstsq, lu_factor, matrix_rank,
    pinv, qr, slogdet, solve, solve_triangular, svd,
)
from stroma.ops.nn import (
    adaptive_average_pool, adaptive_max_pool, average_pool, batch_normalization,
    binary_crossentropy, categorical_crossentropy, celu, conv, conv_transpose, ctc_decode,
    ctc_loss, depth_to_space, depthwise_conv, dot_product_attention, elu, fold, gelu, glu,
    hard_shrink, hard_sigmoid, hard_silu, hard_swish, hard_tanh, layer_normalization,
    leaky_relu, log_sigmoid, log_softmax, max_pool, multi_hot, normalize, one_hot, psnr, relu,
    relu6, rms_normalization, selu, separable_conv, sigmoid, silu, soft_shrink, softmax,
    softplus, softsign, space_to_depth, sparse_categorical_crossentropy, sparse_plus,
    sparse_sigmoid, sparsemax, squareplus, swish, tanh_shrink, threshold, unfold,
)
from stroma.ops.pairs import (
    add, allclose, arctan2, bitwise_and, bitwise_left_shift, bitwise_or, bitwise_right_shift,
    bitwise_xor, cdist, cross, divide, divide_no_nan, dot, einsum, equal, floor_divide, fmax,
    fmin, fmod, gcd, greater, greater_equal, heaviside, hypot, inner, isclose, isin, kron, lcm,
    ldexp, left_shift, less, less_equal, logaddexp, logaddexp2, logical_and, logical_or,
    logical_xor, matmul, maximum, minimum, mod, multiply, nextafter, not_equal, outer, polar,
    power, right_shift, select, subtract, tensordot, true_divide, vdot, where,
)
from stroma.ops.reductions import (
    all, amax, amin, any, argmax, argmin, argpartition, argsort, average, bincount, corrcoef,
    correlate, count_nonzero, cumprod, cumsum, diff, digitize, histogram, in_top_k, logsumexp,
    max, mean, median, min, moments, nanargmax, nanargmin, nancumprod, nancumsum, nanmax,
    nanmean, nanmedian, nanmin, nanpercentile, nanprod, nanquantile, nanstd, nansum, nanvar,
    norm, percentile, prod, ptp, quantile, searchsorted, sort, std, sum, top_k, trapezoid,
    unique, var,
)
from stroma.ops.shapes import (
    append, array_split, broadcast_to, concatenate, diag, diagflat, diagonal, dsplit, dstack,
    expand_dims, extract_sequences, flip, fliplr, flipud, get_item, hsplit, hstack, meshgrid,
    moveaxis, nonzero, pad, ravel, rearrange, repeat, reshape, roll, rot90, scatter,
    scatter_update, segment_max, segment_min, segment_prod, segment_sum, slice, slice_update,
    split, squeeze, stack, swapaxes, take, take_along_axis, tile, trace, transpose, tril, triu,
    unravel_index, unstack, vander, view, vsplit, vstack,
)
from stroma.ops.signal import (
    fft, fft2, ifft2, irfft, istft, rfft, stft,
)
from stroma.ops.windows import (
    bartlett, blackman, hamming, hanning, kaiser,
)
# isort: on

__all__ = [
    "abs", "absolute", "adaptive_average_pool", "adaptive_max_pool", "add", "all", "allclose",
    "amax", "amin", "angle", "any", "append", "arange", "arccos", "arccosh", "arcsin",
    "arcsinh", "arctan", "arctan2", "arctanh", "argmax", "argmin", "argpartition", "argsort",
    "array", "array_split", "associative_scan", "average", "average_pool", "bartlett",
    "batch_normalization", "binary_crossentropy", "bincount", "bitwise_and", "bitwise_invert",
    "bitwise_left_shift", "bitwise_not", "bitwise_or", "bitwise_right_shift", "bitwise_xor",
    "blackman", "broadcast_to", "cast", "categorical_crossentropy", "cbrt", "cdist", "ceil",
    "celu", "cholesky", "cholesky_inverse", "clip", "concatenate", "cond", "conj", "conjugate",
    "constant", "conv", "conv_transpose", "convert_to_numpy", "convert_to_tensor", "copy",
    "corrcoef", "correlate", "cos", "cosh", "count_nonzero", "cross", "ctc_decode", "ctc_loss",
    "cumprod", "cumsum", "custom_gradient", "deg2rad", "depth_to_space", "depthwise_conv",
    "det", "diag", "diagflat", "diagonal", "diff", "digitize", "divide", "divide_no_nan", "dot",
    "dot_product_attention", "dsplit", "dstack", "dtype", "eig", "eigh", "einsum", "elu",
    "empty", "empty_like", "equal", "erf", "erfc", "erfinv", "exp", "exp2", "expand_dims",
    "expm1", "extract_sequences", "eye", "fabs", "fft", "fft2", "flip", "fliplr", "flipud",
    "floor", "floor_divide", "fmax", "fmin", "fmod", "fold", "fori_loop", "full", "full_like",
    "gcd", "gelu", "geomspace", "get_item", "glu", "greater", "greater_equal", "hamming",
    "hanning", "hard_shrink", "hard_sigmoid", "hard_silu", "hard_swish", "hard_tanh",
    "heaviside", "histogram", "hsplit", "hstack", "hypot", "i0", "identity", "ifft2", "imag",
    "image", "in_top_k", "inner", "inv", "irfft", "is_tensor", "isclose", "isfinite", "isin",
    "isinf", "isnan", "isneginf", "isposinf", "isreal", "istft", "jvp", "kaiser", "kron",
    "layer_normalization", "lcm", "ldexp", "leaky_relu", "left_shift", "less", "less_equal",
    "linalg", "linspace", "log", "log10", "log1p", "log2", "log_sigmoid", "log_softmax",
    "logaddexp", "logaddexp2", "logdet", "logical_and", "logical_not", "logical_or",
    "logical_xor", "logspace", "logsumexp", "lstsq", "lu_factor", "map", "matmul",
    "matrix_rank", "max", "max_pool", "maximum", "mean", "median", "meshgrid", "min", "minimum",
    "mod", "moments", "moveaxis", "multi_hot", "multiply", "nan_to_num", "nanargmax",
    "nanargmin", "nancumprod", "nancumsum", "nanmax", "nanmean", "nanmedian", "nanmin",
    "nanpercentile", "nanprod", "nanquantile", "nanstd", "nansum", "nanvar", "ndim", "negative",
    "nextafter", "nn", "nonzero", "norm", "normalize", "not_equal", "numpy", "one_hot", "ones",
    "ones_like", "outer", "pad", "percentile", "pinv", "polar", "power", "prod", "psnr", "ptp",
    "qr", "quantile", "rad2deg", "rank", "ravel", "real", "rearrange", "reciprocal", "relu",
    "relu6", "repeat", "reshape", "rfft", "right_shift", "rms_normalization", "roll", "rot90",
    "round", "rsqrt", "saturate_cast", "scan", "scatter", "scatter_update", "searchsorted",
    "segment_max", "segment_min", "segment_prod", "segment_sum", "select", "selu",
    "separable_conv", "shape", "sigmoid", "sign", "signbit", "silu", "sin", "sinc", "sinh",
    "size", "slice", "slice_update", "slogdet", "soft_shrink", "softmax", "softplus",
    "softsign", "solve", "solve_triangular", "sort", "space_to_depth",
    "sparse_categorical_crossentropy", "sparse_plus", "sparse_sigmoid", "sparsemax", "split",
    "sqrt", "square", "squareplus", "squeeze", "stack", "std", "stft", "stop_gradient",
    "subtract", "sum", "svd", "swapaxes", "swish", "switch", "take", "take_along_axis", "tan",
    "tanh", "tanh_shrink", "tensordot", "threshold", "tile", "top_k", "trace", "transpose",
    "trapezoid", "tri", "tril", "triu", "true_divide", "trunc", "unfold", "unique",
    "unravel_index", "unstack", "vander", "var", "vdot", "vectorize", "vectorized_map", "view",
    "view_as_complex", "view_as_real", "vsplit", "vstack", "where", "while_loop", "zeros",
    "zeros_like",
]
# fmt: on
