"""Keras' operations by the names of their classes: what each computes, and where Keras keeps it.

Files name an operation by its class (`keras.src.ops.numpy.Take`), its settings are its config, its
inputs the arguments of the call. This table is closed: what is not in it is not looked for.
"""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F

from stroma import activations
from stroma.functional import (
    arrays,
    counting,
    crossentropies,
    ctc,
    matrices,
    nans,
    pictures,
    places,
    reductions,
    signals,
    values,
    windows,
)

# Those that take what torch's take: class -> (function, other spellings of it in torch)
PLAIN: dict[str, tuple[Callable[..., Any], str]] = {
    "Add": (operator.add, "add"), "Subtract": (operator.sub, "sub subtract"),
    "Multiply": (operator.mul, "mul multiply"), "FloorDivide": (operator.floordiv, "floor_divide"),
    "TrueDivide": (operator.truediv, "true_divide"), "Divide": (operator.truediv, "div divide"),
    "Mod": (operator.mod, "remainder"), "Power": (operator.pow, "pow"),
    "Matmul": (operator.matmul, "matmul bmm"), "Negative": (operator.neg, "neg negative"),
    "Absolute": (operator.abs, "abs absolute"), "Abs": (operator.abs, ""),
    "Fabs": (torch.abs, ""), "Fmod": (torch.fmod, "fmod"),
    "Equal": (operator.eq, "eq"), "NotEqual": (operator.ne, "ne not_equal"),
    "Less": (operator.lt, "lt less"), "LessEqual": (operator.le, "le less_equal"),
    "Greater": (operator.gt, "gt greater"), "GreaterEqual": (operator.ge, "ge greater_equal"),
    "BitwiseAnd": (operator.and_, "bitwise_and"), "BitwiseOr": (operator.or_, "bitwise_or"),
    "BitwiseXor": (operator.xor, "bitwise_xor"), "BitwiseNot": (operator.invert, "bitwise_not"),
    "BitwiseInvert": (operator.invert, ""), "LogicalNot": (torch.logical_not, "logical_not"),
    "LeftShift": (operator.lshift, ""), "BitwiseLeftShift": (operator.lshift, ""),
    "RightShift": (operator.rshift, ""), "BitwiseRightShift": (operator.rshift, ""),
    "Exp": (torch.exp, "exp"), "Exp2": (torch.exp2, "exp2"), "Expm1": (torch.expm1, "expm1"),
    "Log": (torch.log, "log"), "Log1p": (torch.log1p, "log1p"), "Log2": (torch.log2, "log2"),
    "Log10": (torch.log10, "log10"), "Sqrt": (torch.sqrt, "sqrt"), "Rsqrt": (torch.rsqrt, "rsqrt"),
    "Square": (torch.square, "square"), "Sign": (torch.sign, "sign"),
    "Signbit": (torch.signbit, ""), "Sin": (torch.sin, "sin"), "Cos": (torch.cos, "cos"),
    "Tan": (torch.tan, "tan"), "Tanh": (torch.tanh, "tanh"), "Sinh": (torch.sinh, "sinh"),
    "Cosh": (torch.cosh, "cosh"), "Arcsin": (torch.asin, "asin arcsin"),
    "Arccos": (torch.acos, "acos arccos"), "Arctan": (torch.atan, "atan arctan"),
    "Arcsinh": (torch.asinh, "asinh"), "Arccosh": (torch.acosh, "acosh"),
    "Arctanh": (torch.atanh, "atanh arctanh"), "Sinc": (torch.sinc, "sinc"),
    "Deg2rad": (torch.deg2rad, "deg2rad"), "Rad2deg": (torch.rad2deg, "rad2deg"),
    "Floor": (torch.floor, "floor"), "Ceil": (torch.ceil, "ceil"),
    "Trunc": (torch.trunc, "trunc fix"), "Reciprocal": (torch.reciprocal, "reciprocal"),
    "Isnan": (torch.isnan, "isnan"), "Isfinite": (torch.isfinite, "isfinite"),
    "Isinf": (torch.isinf, "isinf"), "Isposinf": (torch.isposinf, ""),
    "Isneginf": (torch.isneginf, ""), "Inner": (torch.inner, "inner"),
    "Outer": (torch.outer, "outer"), "Kron": (torch.kron, "kron"),
    "Fliplr": (torch.fliplr, "fliplr"), "Flipud": (torch.flipud, "flipud"),
    "Erf": (torch.erf, "erf"), "Erfc": (torch.erfc, "erfc"), "Erfinv": (torch.erfinv, "erfinv"),
    "Relu": (F.relu, "relu"), "Relu6": (F.relu6, "relu6"), "Sigmoid": (torch.sigmoid, "sigmoid"),
    "Softsign": (F.softsign, "softsign"), "Silu": (F.silu, "silu"), "Selu": (F.selu, "selu"),
    "LogSigmoid": (F.logsigmoid, "logsigmoid"), "TanhShrink": (F.tanhshrink, "tanhshrink"),
    "CDist": (torch.cdist, "cdist"), "GetItem": (arrays.get_item, ""),
}  # fmt: skip


_NN: dict[str, Callable[..., Any]] = {
    "Softmax": activations.softmax, "LogSoftmax": activations.log_softmax, "Glu": activations.glu,
    "Gelu": values.gelu, "LeakyRelu": activations.leaky_relu, "Elu": activations.elu,
    "Celu": activations.celu, "SoftShrink": activations.soft_shrink,
    "HardShrink": activations.hard_shrink, "Softplus": activations.softplus,
    "HardSigmoid": activations.hard_sigmoid, "HardSilu": activations.hard_silu,
    "HardTanh": activations.hard_tanh, "SparsePlus": activations.sparse_plus,
    "SparseSigmoid": activations.sparse_sigmoid, "Squareplus": activations.squareplus,
    "Sparsemax": activations.sparsemax, "Threshold": activations.threshold,
    "OneHot": arrays.one_hot, "MultiHot": arrays.multi_hot, "Moments": reductions.moments,
    "Normalize": reductions.normalize, "LayerNorm": reductions.layer_norm,
    "RMSNorm": reductions.rms_norm, "MaxPool": arrays.max_pool,
    "AveragePool": arrays.average_pool,
    "BatchNorm": reductions.batch_norm, "Conv": windows.conv,
    "ConvTranspose": windows.conv_transpose, "DepthwiseConv": windows.depthwise_conv,
    "SeparableConv": windows.separable_conv, "AdaptiveAveragePool": windows.adaptive_average_pool,
    "AdaptiveMaxPool": windows.adaptive_max_pool, "Unfold": windows.unfold, "Fold": windows.fold,
    "DepthToSpace": windows.depth_to_space, "SpaceToDepth": windows.space_to_depth,
    "BinaryCrossentropy": crossentropies.binary,
    "CategoricalCrossentropy": crossentropies.categorical,
    "SparseCategoricalCrossentropy": crossentropies.sparse_categorical,
    "PSNR": crossentropies.peak_signal_to_noise, "CTCLoss": ctc.loss, "CTCDecode": ctc.decode,
}  # fmt: skip
_MATH: dict[str, Callable[..., Any]] = {
    "Logsumexp": reductions.logsumexp, "TopK": reductions.top_k, "InTopK": reductions.in_top_k,
    "SegmentSum": places.segment_sum, "SegmentMax": places.segment_max,
    "SegmentMin": places.segment_min, "SegmentProd": places.segment_prod,
    "ExtractSequences": places.extract_sequences, "RFFT": signals.rfft, "STFT": signals.stft,
}  # fmt: skip
_CORE: dict[str, Callable[..., Any]] = {
    "Cast": values.cast, "SaturateCast": values.saturate_cast, "Slice": arrays.slice_,
    "StopGradient": values.stop_gradient, "Unstack": arrays.unstack,
    "ConvertToTensor": values.convert_to_tensor,
    "SliceUpdate": places.slice_update, "ScatterUpdate": places.scatter_update,
    "Scatter": places.scatter,
}  # fmt: skip
_NUMPY: dict[str, Callable[..., Any]] = {
    "Sum": reductions.sum_, "Mean": reductions.mean, "Average": reductions.average,
    "Var": reductions.var, "Std": reductions.std, "Max": reductions.max_, "Min": reductions.min_,
    "Amax": reductions.amax, "Amin": reductions.amin, "Ptp": reductions.ptp,
    "Any": reductions.any_, "All": reductions.all_, "Prod": reductions.prod,
    "CountNonzero": reductions.count_nonzero, "Argmax": reductions.argmax,
    "Argmin": reductions.argmin, "Quantile": reductions.quantile,
    "Percentile": reductions.percentile, "Median": reductions.median,
    "Cumsum": reductions.cumsum, "Cumprod": reductions.cumprod, "Sort": reductions.sort,
    "Argsort": reductions.argsort, "Diff": reductions.diff, "Nansum": reductions.nan_sum,
    "Nanmean": reductions.nan_mean, "Nanmax": reductions.nan_max, "Nanmin": reductions.nan_min,
    "Nanvar": reductions.nan_var, "Nanstd": reductions.nan_std, "Reshape": arrays.reshape,
    "Transpose": arrays.transpose, "Squeeze": arrays.squeeze, "ExpandDims": arrays.expand_dims,
    "Swapaxes": arrays.swapaxes, "Moveaxis": arrays.moveaxis, "Ravel": arrays.ravel,
    "BroadcastTo": arrays.broadcast_to, "Flip": arrays.flip, "Rot90": arrays.rot90,
    "Roll": arrays.roll, "Repeat": arrays.repeat, "Tile": arrays.tile, "Pad": arrays.pad,
    "Concatenate": arrays.concatenate, "Stack": arrays.stack, "Append": arrays.append,
    "Hstack": arrays.hstack, "Vstack": arrays.vstack, "Dstack": arrays.dstack,
    "Split": arrays.split, "ArraySplit": arrays.array_split, "Hsplit": arrays.hsplit,
    "Vsplit": arrays.vsplit, "Dsplit": arrays.dsplit, "Meshgrid": arrays.meshgrid,
    "Take": arrays.take, "TakeAlongAxis": arrays.take_along_axis, "Diag": arrays.diag,
    "Diagonal": arrays.diagonal, "Trace": arrays.trace, "Tril": arrays.tril, "Triu": arrays.triu,
    "SearchSorted": arrays.searchsorted, "Digitize": arrays.digitize, "Copy": values.copy,
    "Clip": values.clip, "Round": values.round_, "Cbrt": values.cbrt,
    "DivideNoNan": values.divide_no_nan, "NanToNum": values.nan_to_num, "Isclose": values.isclose,
    "FullLike": values.full_like, "ZerosLike": values.zeros_like, "OnesLike": values.ones_like,
    "Where": values.where, "Select": values.select, "Maximum": values.maximum,
    "Minimum": values.minimum, "Fmax": values.fmax, "Fmin": values.fmin,
    "Arctan2": values.arctan2, "Hypot": values.hypot, "Heaviside": values.heaviside,
    "Logaddexp": values.logaddexp, "Logaddexp2": values.logaddexp2,
    "LogicalAnd": values.logical_and, "LogicalOr": values.logical_or,
    "LogicalXor": values.logical_xor, "Dot": values.dot, "Vdot": values.vdot,
    "Tensordot": values.tensordot, "Einsum": values.einsum, "Cross": values.cross,
    "Nanprod": nans.nan_prod, "Nancumsum": nans.nan_cumsum, "Nancumprod": nans.nan_cumprod,
    "Nanargmax": nans.nan_argmax, "Nanargmin": nans.nan_argmin, "Nanmedian": nans.nan_median,
    "Nanquantile": nans.nan_quantile, "Nanpercentile": nans.nan_percentile,
    "Correlate": counting.correlate, "Corrcoef": counting.correlation,
    "Argpartition": counting.argpartition, "Diagflat": places.diagflat, "Vander": places.vander,
    "Conjugate": values.conjugate, "Imag": values.imag, "Ldexp": values.ldexp,
}  # fmt: skip
_LINALG: dict[str, Callable[..., Any]] = {
    "Norm": reductions.norm,
    "Cholesky": matrices.cholesky, "CholeskyInverse": matrices.cholesky_inverse,
    "Solve": matrices.solve, "SolveTriangular": matrices.solve_triangular, "Pinv": matrices.pinv,
    "MatrixRank": matrices.matrix_rank, "SVD": matrices.svd,
}  # fmt: skip
_IMAGE: dict[str, Callable[..., Any]] = {
    "RGBToGrayscale": arrays.rgb_to_grayscale,
    "Resize": pictures.resize, "RGBToHSV": pictures.rgb_to_hsv, "HSVToRGB": pictures.hsv_to_rgb,
    "PadImages": pictures.pad_images, "CropImages": pictures.crop_images,
    "ExtractPatches": windows.extract_patches, "GaussianBlur": pictures.gaussian_blur,
    "SobelEdges": pictures.sobel_edges, "SSIM": pictures.ssim,
    "MapCoordinates": pictures.map_coordinates, "AffineTransform": pictures.affine_transform,
    "PerspectiveTransform": pictures.perspective_transform,
}  # fmt: skip
_OTHERS: dict[str, dict[str, Callable[..., Any]]] = {
    "nn": _NN, "math": _MATH, "core": _CORE, "numpy": _NUMPY,
    "linalg": _LINALG, "image": _IMAGE,
}  # fmt: skip

FUNCTIONS = {name: function for table in _OTHERS.values() for name, function in table.items()}
READERS: dict[str, Callable[..., Any]] = {
    **{name: function for name, (function, _) in PLAIN.items()},
    **FUNCTIONS,
}
_PLAIN_ELSEWHERE = {
    "math": "Rsqrt Erf Erfc Erfinv CDist",
    "nn": "Relu Relu6 Sigmoid Softsign Silu Selu LogSigmoid TanhShrink",
}
MODULES = (
    dict.fromkeys(PLAIN, "numpy")
    | {name: module for module, names in _PLAIN_ELSEWHERE.items() for name in names.split()}
    | {name: module for module, table in _OTHERS.items() for name in table}
)
# Several classes share a function ("Max", "Amax"): it is written under the first of their names
CLASS_OF = {function: name for name, function in reversed(FUNCTIONS.items())}


def settings_of(function: Callable[..., Any]) -> set[str]:
    """The parameters that are an operation's settings; the others are its inputs."""
    parameters = list(inspect.signature(function).parameters.values())
    if function.__module__ == activations.__name__:
        return {parameter.name for parameter in parameters[1:]}
    return {p.name for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY}
