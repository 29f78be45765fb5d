"""Calls of Keras' functions and classes that the names of their arguments suggest.

Every required argument gets a value by its name; the tensors among them come in several kinds, and
each kind that Keras accepts is one call. What names cannot tell stands in `CASES`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

Call = dict[str, Any]


def _numbers(shape: tuple[int, ...], seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def _shares(shape: tuple[int, ...], seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0.1, 0.9, shape).astype("float32")


def _definite(seed: int) -> np.ndarray:
    a = _numbers((4, 4), seed)
    return a @ a.T + 4 * np.eye(4, dtype="float32")


KINDS: dict[str, Callable[[int], np.ndarray]] = {
    "numbers": lambda seed: _numbers((3, 4), seed),
    "shares": lambda seed: _shares((3, 4), seed),
    "definite": _definite,
    "pictures": lambda seed: _shares((2, 6, 6, 3), seed),
    "vector": lambda seed: _numbers((4,), seed),
    "whole": lambda seed: np.random.default_rng(seed).integers(0, 4, (3, 4)).astype("int32"),
    "truth": lambda seed: _numbers((3, 4), seed) > 0,
}

CLASSES = np.array([0, 2, 1], "int32")
# Values of required arguments that are no plain tensors
SETTINGS: dict[str, Any] = {
    "shape": (3, 4), "newshape": (4, -1), "q": 0.3, "indices_or_sections": 2,
    "indices": np.array([0, 2], "int32"), "num_classes": 4, "target_class_ids": [0, 1],
    "recall": 0.5, "precision": 0.5, "specificity": 0.5, "sensitivity": 0.5,
    "initial_learning_rate": 0.1, "decay_steps": 30, "decay_rate": 0.9, "first_decay_steps": 7,
    "boundaries": [5, 20], "values": np.array([0.2, 0.5, 0.1], "float32"), "start": 1, "stop": 5,
    "segment_ids": CLASSES, "output_size": 4, "dtype": "float32", "threshold": 0.3,
    "default_value": -1.0, "pool_size": 2, "axis": 1, "block_size": 2, "N": 4, "n": 4, "k": 2,
    "kernel_size": 2, "fill_value": 0.5, "fft_length": 8, "sequence_length": 8,
    "sequence_stride": 4, "repeats": 2, "kth": 1, "x_min": -0.5, "x_max": 0.5, "axes": (0,),
    "mean": np.zeros(4, "float32"), "variance": np.ones(4, "float32"), "source": 0,
    "destination": 1, "pad_width": ((1, 0), (2, 1)), "max_val": 1.0, "shift": 2, "axis1": 0,
    "axis2": 1, "bins": np.array([-0.5, 0.0, 0.5], "float32"), "rate": 0.0, "seed": 1,
    "alpha": 0.5, "beta": 0.5, "num_samples": 3, "minval": 0, "maxval": 5, "counts": 5.0,
    "probabilities": 0.4, "order": 2,
}  # fmt: skip
LISTS = {"xs"}  # arguments that are lists of tensors

IMAGE, KERNEL = _shares((2, 6, 6, 3), 1), _numbers((2, 2, 3, 4), 2)
CASES: dict[str, list[Call]] = {
    "schedules.PiecewiseConstantDecay": [{"boundaries": [5, 20], "values": [1.0, 0.5, 0.1]}],
    "losses.CTC": [{}],
    "ops.custom_gradient": [],  # a decorator
    "ops.empty": [], "ops.empty_like": [],  # memory that nobody set holds anything
    "ops.correlate": [{"x1": _numbers((5,), 1), "x2": _numbers((3,), 2)}],
    "ops.conv": [{"inputs": IMAGE, "kernel": KERNEL, "padding": p} for p in ("valid", "same")],
    "ops.depthwise_conv": [{"inputs": IMAGE, "kernel": _numbers((2, 2, 3, 2), 3)}],
    "ops.separable_conv": [{"inputs": IMAGE, "depthwise_kernel": _numbers((2, 2, 3, 1), 3),
                            "pointwise_kernel": _numbers((1, 1, 3, 2), 4)}],
    "ops.conv_transpose": [{"inputs": IMAGE, "kernel": _numbers((2, 2, 4, 3), 3), "strides": 2}],
    "ops.einsum": [{"": ("ij,jk->ik", _numbers((3, 4), 1), _numbers((4, 2), 2))}],
    "ops.meshgrid": [{"": (_numbers((3,), 1), _numbers((2,), 2))}],
    "ops.matmul": [{"x1": _numbers((3, 4), 1), "x2": _numbers((4, 2), 2)}],
    "ops.dot": [{"x1": _numbers((3, 4), 1), "x2": _numbers((4, 2), 2)}],
    "ops.cross": [{"x1": _numbers((2, 3), 1), "x2": _numbers((2, 3), 2)}],
    "ops.outer": [{"x1": _numbers((3,), 1), "x2": _numbers((2,), 2)}],
    "ops.solve": [{"a": _definite(1), "b": _numbers((4, 2), 2)}],
    "ops.lstsq": [{"a": _definite(1), "b": _numbers((4, 2), 2)}],
    "ops.solve_triangular": [{"a": np.tril(_definite(1)), "b": _numbers((4, 2), 2), "lower": True}],
    "ops.where": [{"condition": _numbers((3, 4), 1) > 0, "x1": _numbers((3, 4), 2),
                   "x2": _numbers((3, 4), 3)}],
    "ops.select": [{"condlist": [_numbers((3,), 1) > 0], "choicelist": [_numbers((3,), 2)]}],
    "ops.one_hot": [{"x": CLASSES, "num_classes": 4}],
    "ops.multi_hot": [{"inputs": CLASSES, "num_classes": 4}],
    "ops.in_top_k": [{"targets": CLASSES, "predictions": _shares((3, 4), 1), "k": 2}],
    "ops.take_along_axis": [{"x": _numbers((3, 4), 1), "indices": CLASSES[:, None], "axis": 1}],
    "ops.expand_dims": [{"x": _numbers((3, 4), 1), "axis": a} for a in (0, -1)],
    "ops.squeeze": [{"x": _numbers((3, 1), 1)}],
    "ops.slice": [{"inputs": _numbers((3, 4), 1), "start_indices": (1, 0), "shape": (2, 3)}],
    "ops.slice_update": [{"inputs": _numbers((3, 4), 1), "start_indices": (1, 0),
                          "updates": _numbers((2, 3), 2)}],
    "ops.scatter": [{"indices": np.array([[0], [2]]), "values": _numbers((2, 3), 1),
                     "shape": (4, 3)}],
    "ops.scatter_update": [{"inputs": _numbers((4, 3), 1), "indices": np.array([[0], [2]]),
                            "updates": _numbers((2, 3), 2)}],
    "ops.cond": [{"pred": flag, "true_fn": lambda: 1.0, "false_fn": lambda: 2.0}
                 for flag in (True, False)],
    "ops.fori_loop": [{"lower": 0, "upper": 4, "body_fun": lambda i, x: x + i, "init_val": 1.0}],
    "ops.while_loop": [{"cond": lambda x: x < 5, "body": lambda x: (x * 2,), "loop_vars": (1,)}],
    "ops.map": [{"f": lambda x: x * 2, "xs": _numbers((3, 4), 1)}],
    "ops.scan": [{"f": lambda c, x: (c + x, c * x), "init": np.float32(0),
                  "xs": _numbers((3,), 1)}],
    "ops.switch": [{"": (1, [lambda x: x, lambda x: x * 2], np.float32(3))}],
    "ops.searchsorted": [{"sorted_sequence": np.sort(_numbers((5,), 1)),
                          "values": _numbers((3,), 2)}],
    "ops.resize": [{"images": IMAGE, "size": (4, 8), "interpolation": i, "antialias": a}
                   for i, a in (("nearest", False), ("bilinear", False), ("bilinear", True))],
    "ops.affine_transform": [{"images": IMAGE, "transform": np.array(
        [1, 0.1, 1, 0, 1, -1, 0, 0], "float32")}],
    "ops.dot_product_attention": [{k: _numbers((2, 4, 2, 3), i) for i, k in
                                   enumerate(("query", "key", "value"))}],
    "ops.normalize": [{"x": _numbers((3, 4), 1)}, {"x": _numbers((3, 4), 1), "order": 1}],
    "ops.moments": [{"x": _numbers((3, 4), 1), "axes": [0]}],
    "ops.istft": [{"x": (_numbers((2, 7, 9), 1), _numbers((2, 7, 9), 2)), "sequence_length": 16,
                   "sequence_stride": 4, "fft_length": 16}],
    "ops.polar": [{"abs_": _shares((3,), 1), "angle": _numbers((3,), 2)}],
    "ops.unravel_index": [{"indices": np.array([3, 7]), "shape": (3, 4)}],
    "utils.to_categorical": [{"x": np.array([0, 2, 1]), "num_classes": 4}],
    "utils.pad_sequences": [{"sequences": [[1], [2, 3, 4]], "maxlen": 2, "padding": p}
                            for p in ("pre", "post")],
}  # fmt: skip


def calls(path: str, function: Any) -> Iterator[Call]:
    """Keyword arguments to try; those under "" are by position."""
    if path in CASES:
        yield from CASES[path]
        return
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return
    wanted = [p.name for p in parameters if p.default is p.empty
              and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]  # fmt: skip
    tensors = [name for name in wanted if name not in SETTINGS]
    kinds = (
        [KINDS[k] for k in ("numbers", "shares", "whole")]
        if tensors[:1] == ["y_true"]
        else (KINDS.values())
    )
    for make in kinds if tensors else [lambda seed: None]:
        of_numbers = path.startswith("ops.") and not path.startswith("ops.logical")
        if of_numbers and make is KINDS["truth"]:
            continue  # sums of truth values: each library raises at other places
        call = {name: SETTINGS[name] for name in wanted if name in SETTINGS}
        for seed, name in enumerate(tensors):
            call[name] = [make(seed), make(seed + 7)] if name in LISTS else make(seed)
        yield call
