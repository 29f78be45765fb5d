"""What the sweep over `keras.ops` cannot make up by itself: arguments, and where we differ."""

from __future__ import annotations

from typing import Any

import numpy as np

_R = np.random.default_rng(1)


def f(*shape: int) -> np.ndarray:
    return _R.normal(size=shape).astype("float32")


def i(*shape: int, high: int = 5) -> np.ndarray:
    return _R.integers(0, high, size=shape).astype("int32")


_BOOLS = ("bool",)
# Inputs of the sweep for which stroma's answer is another than that of Keras on torch, and why.
ANOTHER_WAY: dict[str, tuple[str, ...]] = {
    # torch has no arithmetic of truth values there, and Keras' answer is one of them
    **dict.fromkeys(("abs", "absolute", "trunc", "heaviside", "isin", "tensordot"), _BOOLS),
    # a number of Python takes the dtype of the tensor beside it, as with all other operations
    **dict.fromkeys(("append", "inner", "kron", "outer", "dot"),
                    ("uint8/an int", "an int/uint8", "bool", "bool/bool")),
    **dict.fromkeys(("left_shift", "right_shift", "bitwise_left_shift", "bitwise_right_shift"),
                    ("bool/an int",)),
    # float32, as of all other integers
    **dict.fromkeys(("cbrt", "deg2rad", "rad2deg", "i0", "corrcoef"), ("int64",)),
    # Keras rounds the normalised numbers to integers
    **dict.fromkeys(("layer_normalization", "rms_normalization"),
                    ("int32", "uint8", "int64", "bool")),
    "normalize": ("a float", "an int"),  # Keras adds an axis to a number
    "sparse_sigmoid": ("uint8",),  # Keras computes modulo 256
    # logarithms of what is not above 0
    "geomspace": ("float32", "int32", "uint8", "int64", "bool", "float64"),
    "take": ("float32", "float64", "positive", "floats"),  # places are whole numbers
    "take_along_axis": ("float32", "float64", "positive", "floats"),
    "repeat": ("a float", "floats"),
    # one number pads all axes, as in NumPy and in Keras on its other backends
    "pad": ("an int", "ints"),
    "convert_to_numpy": ("a float", "an int", "ints", "floats"),  # Keras' array is one of NumPy's
    "get_item": ("ints", "floats", "uint8"),  # numbers of Python, and what torch gives up
    "where": ("a float", "an int"),  # of no axis
    "view": ("an int", "ints", "int32", "uint8", "int64", "float64", "bool"),  # read as it is
    "sparsemax": ("float32", "positive", "int32", "float64", "floats"),  # Keras' rows sum to
    # another number than 1
    "argpartition": ("float32", "positive", "int32", "uint8", "int64", "bool", "float64"),
}  # fmt: skip
# Inputs of the sweep mean nothing to these. Keras takes matrices for the last two, as torch's
# kernels happen to read them.
ONLY_CASES = {"select", "correlate", "cross", "corrcoef"}
# Not compared by value, each for its reason; tested by what they are in test_ops_meaning.py.
NOT_COMPARED = {
    "empty": "numbers that were in memory", "empty_like": "numbers that were in memory",
    "custom_gradient": "gives a function", "vectorize": "gives a function",
    "size": "a number of Python, as on JAX; Keras on torch gives a tensor",
    "argpartition": "any order is right that has one number in its place",
    "eig": "vectors have no sign of their own", "eigh": "vectors have no sign of their own",
    "svd": "vectors have no sign of their own", "qr": "vectors have no sign of their own",
    "sparsemax": "Keras' rows on torch sum to another number than 1",
    **dict.fromkeys(("cond", "switch", "while_loop", "fori_loop", "map", "scan",
                     "associative_scan", "vectorized_map", "jvp"), "takes functions"),
}  # fmt: skip

Case = tuple[tuple[Any, ...], dict[str, Any]]


def shared(*names: str, cases: list[Case]) -> dict[str, list[Case]]:
    return dict.fromkeys(names, cases)


def c(*args: Any, **kwargs: Any) -> Case:
    return args, kwargs


_spd = (lambda a: a @ a.T + 4 * np.eye(4, dtype="float32"))(f(4, 4))
_square, _nan = f(4, 4), f(3, 4)
_nan[0, 1] = _nan[2] = np.nan
_image = _R.uniform(size=(2, 8, 6, 3)).astype("float32")
_axes: list[Case] = [
    c(f(2, 3, 4), axis=1),
    c(f(2, 3, 4), axis=-1, keepdims=True),
    c(f(2, 3, 4), axis=(0, 2)),
]
_one_axis: list[Case] = [c(f(2, 3, 4), axis=1), c(f(2, 3, 4), axis=-1)]
_nans: list[Case] = [c(_nan, axis=0), c(_nan, axis=1, keepdims=True)]
_xs: list[Case] = [c([f(2, 3, 4), f(2, 3, 4)])]
_points = np.array([[[0, 0], [5, 0], [0, 7], [5, 7]]] * 2, dtype="float32")
_complex = (f(3, 4) + 1j * f(3, 4)).astype("complex64")
CASES: dict[str, list[Case]] = {
    **shared(
        "sum",
        "mean",
        "var",
        "std",
        "max",
        "min",
        "amax",
        "amin",
        "any",
        "all",
        "prod",
        "logsumexp",
        "ptp",
        "median",
        cases=_axes,
    ),
    **shared(
        "argmax",
        "argmin",
        "sort",
        "argsort",
        "cumsum",
        "cumprod",
        "diff",
        "softmax",
        "log_softmax",
        "flip",
        "unstack",
        cases=_one_axis,
    ),
    **shared(
        "nansum",
        "nanmean",
        "nanvar",
        "nanstd",
        "nanmax",
        "nanmin",
        "nanmedian",
        "nanprod",
        "nanargmax",
        "nanargmin",
        cases=_nans,
    ),
    "nancumsum": [c(_nan, axis=1)],
    "nancumprod": [c(_nan, axis=1)],
    "nanquantile": [c(_nan, 0.3, axis=0)],
    "nanpercentile": [c(_nan, [30.0, 50.0], axis=1, keepdims=True)],
    **shared("concatenate", "stack", "hstack", "vstack", "dstack", cases=_xs),
    **shared("imag", "real", "view_as_real", "angle", "conj", cases=[c(_complex)]),
    "moments": [c(f(3, 4), [0]), c(f(3, 4), [0, 1], keepdims=True)],
    "average": [c(f(3, 4), axis=1, weights=f(4))],
    "quantile": [c(f(3, 4), [0.1, 0.6], axis=1), c(f(3, 4), 0.4, method="nearest")],
    "percentile": [c(f(3, 4), 40.0, axis=0, keepdims=True)],
    "norm": [c(f(3, 4), axis=1, ord=1), c(f(3, 4), ord="fro")],
    "histogram": [c(f(30), bins=5), c(f(30), bins=4, range=(-1, 1))],
    "bincount": [c(i(20), minlength=8), c(i(2, 7, high=4), minlength=4)],
    "correlate": [c(f(7), f(3), mode=m) for m in ("valid", "same", "full")],
    "corrcoef": [c(f(3, 9))],
    "trapezoid": [c(f(3, 5), dx=0.5), c(f(3, 5), np.sort(f(5)))],
    "unique": [
        c(i(20)),
        c(i(20), return_counts=True, return_inverse=True, return_index=True),
        c(i(20, high=3), size=5, return_counts=True),
    ],
    "searchsorted": [c(np.sort(f(6)), f(4), side="right")],
    "digitize": [c(f(6), np.sort(f(3)))],
    "top_k": [c(f(3, 6), 2)],
    "in_top_k": [c(i(4, high=3), f(4, 3), 2)],
    "clip": [c(f(3, 4), -0.5, 0.5), c(i(3, 4), 1, 3)],
    "round": [c(f(4) * 9, decimals=1)],
    "nan_to_num": [c(_nan, nan=7.0)],
    "cast": [c(f(3), "int32"), c(i(3), "float16")],
    "saturate_cast": [c(f(5) * 300, "uint8")],
    "isclose": [c(f(3), f(3), atol=1.0)],
    "allclose": [c(f(3), f(3), atol=10.0)],
    "isin": [c(i(5), i(3), invert=True)],
    "where": [c(i(3, 4) > 2, f(3, 4), f(3, 4)), c(i(3) > 2, 1.5, i(3))],
    "select": [c([i(4) > 2, i(4) > 1], [f(4), f(4)], 0.5)],
    "cross": [c(f(3), f(3))],
    "tensordot": [c(f(2, 3, 4), f(4, 3, 5), axes=[[1, 2], [1, 0]]), c(f(3, 4), f(4, 2), axes=1)],
    "einsum": [c("bij,bjk->bik", f(2, 3, 4), f(2, 4, 5))],
    "matmul": [c(f(2, 3, 4), f(4, 5))],
    "cdist": [c(f(3, 4), f(5, 4))],
    "polar": [c(f(3) ** 2, f(3))],
    "view_as_complex": [c(f(3, 2))],
    "divide_no_nan": [c(f(3), np.zeros(3, "float32"))],
    "reshape": [c(f(3, 4), (2, -1))],
    "transpose": [c(f(2, 3, 4), axes=(2, 0, 1))],
    "expand_dims": [c(f(3, 4), 1), c(f(3, 4), (0, -1))],
    "swapaxes": [c(f(2, 3, 4), 0, 2)],
    "moveaxis": [c(f(2, 3, 4), [0, 1], [-1, 0])],
    "broadcast_to": [c(f(3, 1), (2, 3, 4))],
    "rot90": [c(f(3, 4), k=3)],
    "roll": [c(f(3, 4), 1, axis=1), c(f(3, 4), 2)],
    "repeat": [c(f(3, 4), 2, axis=0)],
    "tile": [c(f(3, 4), (2, 1))],
    "pad": [
        c(f(3, 4), ((1, 2), (0, 1)), constant_values=5.0),
        c(f(3, 4), ((1, 1), (2, 1)), mode="reflect"),
    ],
    "split": [c(f(6, 4), 3), c(f(6, 4), [1, 4]), c(f(6, 4), 2, axis=1)],
    "array_split": [c(f(7, 4), 3)],
    "hsplit": [c(f(3, 4), 2)],
    "vsplit": [c(f(4, 3), 2)],
    "dsplit": [c(f(2, 3, 4), 2)],
    "meshgrid": [c(f(3), f(4)), c(f(3), f(4), indexing="ij")],
    "append": [c(f(2, 3), f(2, 3), axis=1)],
    "take": [c(f(3, 4), i(2, 2, high=3), axis=1)],
    "take_along_axis": [c(f(3, 4), i(3, 2, high=4), axis=1)],
    "get_item": [c(f(3, 4), (slice(1, 3), 0))],
    "diag": [c(f(3), k=1)],
    "diagflat": [c(f(2, 2), k=-1)],
    "diagonal": [c(f(2, 3, 4), offset=1, axis1=1, axis2=2)],
    "trace": [c(f(2, 3, 3), axis1=1, axis2=2)],
    "tril": [c(f(4, 4), k=-1)],
    "triu": [c(f(4, 4), k=1)],
    "vander": [c(f(3), N=4, increasing=True)],
    "unravel_index": [c(i(5, high=12), (3, 4))],
    "slice": [c(f(4, 5), (1, 2), (2, 3))],
    "slice_update": [c(f(4, 5), (1, 2), f(2, 3))],
    "scatter": [c(i(4, 1, high=6), f(4, 2), (6, 2))],
    "scatter_update": [
        c(f(6, 2), np.array([[1], [4], [1]]), f(3, 2), reduction=r)
        for r in ("add", "max", "min", "mul")
    ]
    + [c(f(3, 4), np.array([[1, 2], [0, 3]]), f(2))],
    **{
        f"segment_{how}": [
            c(f(6, 2), np.array([0, 0, 1, 2, 2, 2])),
            c(f(6, 2), np.array([0, -1, 1, 2, 9, 2]), num_segments=4),
        ]
        for how in ("sum", "max", "min", "prod")
    },
    "extract_sequences": [c(f(2, 9), 4, 2)],
    "rearrange": [c(f(2, 4, 6, 3), "b (h p) w c -> b h (p w) c", p=2)],
    "arange": [c(5), c(1, 7, 2), c(0.5, 2.0, 0.5), c(5, dtype="float32")],
    "linspace": [c(0, 5, num=4, endpoint=False, retstep=True), c(f(3), f(3), num=5)],
    "logspace": [c(0, 2, num=4, base=2)],
    "geomspace": [c(1.0, 8.0, num=4), c(2.0, 9.0, num=3, endpoint=False)],
    "eye": [c(3, M=4, k=1)],
    "tri": [c(3, M=4, k=-1)],
    "identity": [c(3, dtype="int32")],
    "full": [c((2, 3), 1.5), c((2,), 3, dtype="int32")],
    "full_like": [c(f(2, 3), 1.5), c(f(2, 3), f(3))],
    "zeros": [c((2, 3), dtype="int32")],
    "ones": [c((2, 3))],
    "zeros_like": [c(i(3))],
    **{name: [c(n) for n in (4, 7)] for name in ("bartlett", "blackman", "hamming", "hanning")},
    "kaiser": [c(7, 8.0)],
    "dtype": [c(f(2))],
    "shape": [c(f(2, 3))],
    "ndim": [c(f(2, 3))],
    "is_tensor": [c(f(2)), c(2)],
    "convert_to_numpy": [c(f(3))],
    "fft": [c((f(2, 8), f(2, 8)))],
    "fft2": [c((f(4, 8), f(4, 8)))],
    "ifft2": [c((f(4, 8), f(4, 8)))],
    "rfft": [c(f(2, 9)), c(f(2, 9), fft_length=6)],
    "irfft": [c((f(2, 5), f(2, 5) * 0))],
    "stft": [
        c(f(2, 40), 8, 4, 16),
        c(f(40), 8, 3, 8, window="hamming", center=False),
        c(f(2, 3, 40), 8, 4, 8, window=None),
    ],
    "istft": [c((f(2, 9, 9), f(2, 9, 9)), 16, 4, 16)],
    "cholesky": [c(_spd), c(_spd, upper=True)],
    "cholesky_inverse": [c(np.linalg.cholesky(_spd))],
    "det": [c(_square)],
    "inv": [c(_spd)],
    "logdet": [c(_spd)],
    "slogdet": [c(_square)],
    "solve": [c(_spd, f(4, 2)), c(_spd, f(4))],
    "lu_factor": [c(_spd)],
    "solve_triangular": [c(np.triu(_spd), f(4, 2)), c(np.tril(_spd), f(4, 2), lower=True)],
    "pinv": [c(f(4, 3))],
    "matrix_rank": [c(f(4, 3))],
    "lstsq": [c(f(6, 3), f(6, 2)), c(f(6, 3), f(6))],
    "conv": [
        c(f(2, 8, 6, 4), f(3, 3, 4, 5), strides=2, padding="same"),
        c(f(2, 9, 4), f(3, 2, 6)),
        c(f(2, 8, 6, 4), f(3, 3, 4, 5), dilation_rate=2),
    ],
    "conv_transpose": [
        c(f(2, 4, 3, 4), f(3, 3, 5, 4), strides=2, padding=p) for p in ("same", "valid")
    ],
    "depthwise_conv": [c(f(2, 8, 6, 4), f(3, 3, 4, 2), padding="same")],
    "separable_conv": [c(f(2, 8, 6, 4), f(3, 3, 4, 2), f(1, 1, 8, 5))],
    "max_pool": [c(f(2, 8, 6, 4), 2), c(f(2, 9, 4), 3, strides=2, padding="same")],
    "average_pool": [c(f(2, 8, 6, 4), 2)],
    "adaptive_max_pool": [c(f(2, 8, 6, 4), (2, 3))],
    "adaptive_average_pool": [c(f(2, 8, 6, 4), 2), c(f(2, 9, 4), 3)],
    "unfold": [c(f(2, 3, 6, 5), 2, stride=2, padding=1)],
    "fold": [c(f(2, 12, 6), (4, 6), 2, stride=2)],
    **{
        name: [c(f(2, 4, 6, 8), 2), c(f(2, 8, 4, 6), 2, data_format="channels_first")]
        for name in ("depth_to_space", "space_to_depth")
    },
    "batch_normalization": [
        c(f(2, 3, 4), f(4), f(4) ** 2, -1, offset=f(4), scale=f(4)),
        c(f(2, 3, 4), f(3), f(3) ** 2, 1),
    ],
    "layer_normalization": [c(f(2, 3, 4), gamma=f(4), beta=f(4), epsilon=0.001)],
    "rms_normalization": [c(f(2, 4), f(4))],
    "normalize": [c(f(3, 4), axis=0, order=1)],
    "one_hot": [c(i(3, 2), 5, axis=1), c(i(3), 5, dtype="int32")],
    "multi_hot": [c(i(3, 2), 5)],
    "binary_crossentropy": [c(f(3) * 0 + 1, f(3), from_logits=True)],
    "categorical_crossentropy": [
        c(np.eye(3, dtype="float32"), f(3, 3), from_logits=True),
        c(np.eye(3, dtype="float32"), f(3, 3) ** 2),
    ],
    "sparse_categorical_crossentropy": [c(i(4, high=3), f(4, 3), from_logits=True)],
    "ctc_loss": [c(i(2, 3) + 1, f(2, 8, 6), np.array([3, 2]), np.array([8, 7]))],
    "ctc_decode": [
        c(f(2, 8, 5), np.array([8, 6])),
        c(f(2, 6, 4), np.array([6, 5]), strategy="beam_search", top_paths=2, beam_width=40),
    ],
    "dot_product_attention": [
        c(f(2, 5, 3, 4), f(2, 6, 3, 4), f(2, 6, 3, 4)),
        c(f(2, 5, 3, 4), f(2, 5, 3, 4), f(2, 5, 3, 4), is_causal=True, scale=0.3),
    ],
    "psnr": [c(f(2, 4), f(2, 4), 1.0)],
    "gelu": [c(f(5), approximate=False)],
    "threshold": [c(f(5), 0.1, -2.0)],
    "leaky_relu": [c(f(5), negative_slope=0.1)],
    "elu": [c(f(5), alpha=0.5)],
    "celu": [c(f(5), alpha=0.5)],
    "stop_gradient": [c(f(3))],
    "array": [c(f(3))],
    "view": [c(f(3), "int32")],
    "image.resize": [
        c(_image, (4, 9)),
        c(_image[0], (4, 9), interpolation="nearest"),
        c(_image, (6, 6), crop_to_aspect_ratio=True),
        c(_image, (6, 6), pad_to_aspect_ratio=True, fill_value=0.5),
        c(_image.transpose(0, 3, 1, 2), (4, 4), data_format="channels_first", antialias=True),
    ],
    "image.rgb_to_grayscale": [c(_image)],
    "image.rgb_to_hsv": [c(_image), c(_image[0])],
    "image.hsv_to_rgb": [c(_image)],
    "image.pad_images": [
        c(_image, top_padding=1, left_padding=2, target_height=12, target_width=10),
        c(_image[0], top_padding=1, left_padding=0, bottom_padding=2, right_padding=3),
    ],
    "image.crop_images": [
        c(_image, top_cropping=1, left_cropping=2, target_height=4, target_width=3)
    ],
    "image.extract_patches": [
        c(_image, 2),
        c(_image, (3, 2), strides=1, padding="same"),
        c(_image[0], 3, dilation_rate=2, strides=1),
    ],
    "image.extract_patches_3d": [c(f(2, 4, 4, 4, 2), 2)],
    "image.gaussian_blur": [
        c(_image, data_format="channels_last"),
        c(_image, kernel_size=(5, 5), sigma=(2.0, 1.0), data_format="channels_last"),
    ],
    "image.sobel_edges": [c(_image, data_format="channels_last")],
    "image.ssim": [c(_image, _image * 0.9, filter_size=3)],
    "image.map_coordinates": [
        c(f(5, 6), _R.uniform(-3, 8, size=(2, 7)).astype("float32"), o, fill_mode=m)
        for o in (0, 1)
        for m in ("constant", "nearest", "wrap", "mirror", "reflect")
    ],
    "image.affine_transform": [
        c(
            _image,
            np.array([[0.9, 0.2, -1, 0.1, 1.1, 0.5, 0, 0]] * 2, "float32"),
            interpolation=n,
            fill_mode=m,
        )
        for n in ("bilinear", "nearest")
        for m in ("constant", "reflect")
    ],
    "image.perspective_transform": [
        c(_image, _points, _points + _R.uniform(0, 1, size=(2, 4, 2)).astype("float32"))
    ],
    "image.scale_and_translate": [
        c(
            _image,
            (2, 5, 9, 3),
            np.array([0.6, 1.5], "float32"),
            np.array([0.2, -0.3], "float32"),
            (1, 2),
            m,
        )
        for m in ("linear", "cubic", "lanczos3")
    ],
}
