"""Operations in Keras' graphs: opened here, computed the same, written for Keras again."""

from __future__ import annotations

import inspect
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from oracle import keras
from stroma import models
from stroma.core.errors import FileFormatError
from stroma.functional import reductions, values
from stroma.saving import keras_operations, operations

ops = keras.ops
draw = np.random.default_rng(0)
X = draw.normal(size=(3, 4, 6)).astype("float32")
OTHER = draw.uniform(0.5, 2, size=(3, 4, 6)).astype("float32")
COUNTS = draw.integers(0, 5, size=(3, 4)).astype("int32")

# Each gets x and o (floats, (B, 4, 6)) and n (whole numbers from 0 to 4, (B, 4))
MADE: dict[str, Any] = {
    # operators
    "arithmetic": lambda x, o, n: (x + 1) * o - x / o + (-x) ** 2 - abs(x),
    "right-hand": lambda x, o, n: (1 - x) * 2 + 3 / o + 2**x,
    "whole": lambda x, o, n: n // 2 + n % 3,
    "floats": lambda x, o, n: x // o + x % o,
    "comparisons": lambda x, o, n: (x > 0) & (o < 1) | (x >= 1) & ~(o <= 0.7),
    "equal": lambda x, o, n: (n == 2) ^ (n != 3),
    "matmul operator": lambda x, o, n: x @ ops.transpose(o, (0, 2, 1)),
    "slices": lambda x, o, n: x[:, ::2, -3:] + x[:, 1::2, :3] + x[:, :2, 0:1],
    "one place": lambda x, o, n: x[:, 0, None] + x[:, -1, :][:, None],
    # shapes
    "reshape": lambda x, o, n: ops.reshape(x, (-1, 24)),
    "transpose": lambda x, o, n: ops.transpose(x, (0, 2, 1)),
    "axes": lambda x, o, n: ops.swapaxes(ops.moveaxis(x, 1, 2), 1, 2),
    "expand": lambda x, o, n: ops.squeeze(ops.expand_dims(x, (1, 3)), axis=1),
    "flip": lambda x, o, n: ops.flip(x, axis=1) + ops.roll(x, 1, axis=2),
    "repeat": lambda x, o, n: ops.repeat(x, 2, axis=1) + ops.tile(x, (1, 2, 1)),
    "broadcast": lambda x, o, n: ops.broadcast_to(ops.mean(x), (4, 6)),
    "pad": lambda x, o, n: ops.pad(x, ((0, 0), (1, 2), (0, 1)), constant_values=2.0),
    "pad reflect": lambda x, o, n: ops.pad(x, ((0, 0), (1, 1), (0, 2)), mode="reflect"),
    "split": lambda x, o, n: ops.split(x, 2, axis=-1)[1] - ops.split(x, [3], axis=-1)[0],
    "array split": lambda x, o, n: ops.array_split(x, 4, axis=2)[0],
    "unstack": lambda x, o, n: ops.unstack(x, axis=1)[2],
    "join": lambda x, o, n: ops.concatenate([x, o], axis=1),
    "stack": lambda x, o, n: ops.stack([x, o, x], axis=1),
    "vertical": lambda x, o, n: ops.vstack([x, o]) * 2,
    "horizontal": lambda x, o, n: ops.hstack([x, o]) + ops.dstack([x, x])[:, :1, :6],
    "append": lambda x, o, n: ops.append(x, o, axis=2),
    "rot90": lambda x, o, n: ops.rot90(x, axes=(1, 2)),
    "slice": lambda x, o, n: ops.slice(x, (0, 1, 2), (1, 2, 3)),
    # reductions
    "sum": lambda x, o, n: ops.sum(x, axis=(1, 2)) + ops.mean(x, axis=(1, 2)),
    "all axes": lambda x, o, n: ops.sum(x) + ops.max(x) - ops.min(x) + ops.mean(n),
    "kept": lambda x, o, n: x - ops.mean(x, axis=-1, keepdims=True) / ops.std(x, -1, keepdims=True),
    "max": lambda x, o, n: ops.max(x, axis=1, initial=0.5) + ops.amin(x, axis=1),
    "var": lambda x, o, n: ops.var(x, axis=(1, 2)) + ops.prod(x, axis=(1, 2)),
    "any": lambda x, o, n: ops.any(x > 1, axis=-1) | ops.all(x < 2, axis=-1),
    "arg": lambda x, o, n: ops.argmax(x, axis=-1) + ops.argmin(x, axis=-1),
    "logsumexp": lambda x, o, n: ops.logsumexp(x, axis=-1, keepdims=True),
    "median": lambda x, o, n: ops.median(x, axis=-1) + ops.quantile(x, 0.3, axis=(1, 2))[:, None],
    "quantiles": lambda x, o, n: ops.quantile(x, [0.25, 0.5], axis=1),
    "percentile": lambda x, o, n: ops.percentile(x, 30.0, axis=1),
    "nan": lambda x, o, n: ops.nansum(ops.log(x), axis=1) + ops.nanmax(ops.log(x), axis=1),
    "nan spread": lambda x, o, n: ops.nanvar(ops.sqrt(x), axis=1) + ops.nanmean(ops.sqrt(x), 1),
    "cumulative": lambda x, o, n: ops.cumsum(x, axis=1) + ops.cumprod(o, axis=2),
    "sort": lambda x, o, n: ops.sort(x, axis=1) + ops.cast(ops.argsort(x, axis=1), "float32"),
    "diff": lambda x, o, n: ops.diff(x, axis=1),
    "average": lambda x, o, n: ops.average(x, axis=1),
    "ptp": lambda x, o, n: ops.ptp(x, axis=1),
    "norm": lambda x, o, n: ops.norm(x, axis=-1) + ops.norm(x, ord=1, axis=-1),
    "normalize": lambda x, o, n: ops.normalize(x, axis=1),
    "moments": lambda x, o, n: ops.moments(x, axes=[1])[0] * ops.moments(x, axes=[1])[1],
    "layer norm": lambda x, o, n: ops.layer_normalization(x, epsilon=1e-3),
    "rms norm": lambda x, o, n: ops.rms_normalization(x, epsilon=1e-3),
    "top k": lambda x, o, n: ops.top_k(x, 2)[0],
    "top k places": lambda x, o, n: ops.top_k(x, 2)[1],
    # places
    "take": lambda x, o, n: ops.take(x, [0, -1, 2], axis=1) + ops.take(x, 1, axis=1)[:, None],
    "take along": lambda x, o, n: ops.take_along_axis(x, ops.argsort(x, axis=1), axis=1),
    "take by input": lambda x, o, n: ops.take(ops.convert_to_tensor(np.eye(5, 3)), n, axis=0),
    "one-hot": lambda x, o, n: ops.one_hot(n, 5) + ops.one_hot(n, 5, dtype="float32"),
    "multi-hot": lambda x, o, n: ops.multi_hot(n, 5),
    "diagonal": lambda x, o, n: ops.diagonal(x, axis1=1, axis2=2) + ops.trace(x, 0, 1, 2)[:, None],
    "triangles": lambda x, o, n: ops.tril(x, -1) + ops.triu(x, 1),
    "digitize": lambda x, o, n: ops.digitize(x, np.array([-0.5, 0.5])),
    # values
    "where": lambda x, o, n: ops.where(x > 0, x, 0.0) + ops.where(x > o, o, x),
    "clip": lambda x, o, n: ops.clip(x, -0.5, 0.5) + ops.maximum(x, 0.1) - ops.minimum(0.2, x),
    "casts": lambda x, o, n: ops.cast(ops.cast(x * 3, "int32"), "float32"),
    "saturate": lambda x, o, n: ops.saturate_cast(x * 500, "uint8"),
    "round": lambda x, o, n: ops.round(x, 1) + ops.floor(x) + ops.ceil(x) + ops.trunc(x),
    "logic": lambda x, o, n: ops.logical_and(x > 0, o > 1) | ops.logical_not(x > 1),
    "logic pairs": lambda x, o, n: ops.logical_xor(x > 0, ops.logical_or(o > 1, x > 1)),
    "powers": lambda x, o, n: ops.sqrt(o) + ops.rsqrt(o) + ops.square(x) + ops.power(o, 1.5),
    "logs": lambda x, o, n: ops.log(o) + ops.log1p(o) + ops.log2(o) + ops.log10(o) + ops.expm1(x),
    "exponentials": lambda x, o, n: ops.exp(x) + ops.exp2(x) + ops.logaddexp(x, o),
    "angles": lambda x, o, n: ops.sin(x) + ops.cos(x) + ops.tan(x) + ops.arctan(x),
    "more angles": lambda x, o, n: ops.arctan2(x, o) + ops.arcsin(x / 9) + ops.arccos(x / 9),
    "hyperbolic": lambda x, o, n: ops.sinh(x) + ops.cosh(x) + ops.tanh(x) + ops.arcsinh(x),
    "reciprocal": lambda x, o, n: ops.reciprocal(o) + ops.sign(x) + ops.erf(x) + ops.cbrt(o),
    "no nan": lambda x, o, n: ops.divide_no_nan(x, ops.floor(o)),
    "nan to num": lambda x, o, n: ops.nan_to_num(ops.log(x), nan=1.0),
    "finite": lambda x, o, n: ops.isfinite(ops.log(x)) & ops.isnan(ops.log(x)) | ops.isinf(x),
    "close": lambda x, o, n: ops.isclose(x, o, atol=0.5),
    "likes": lambda x, o, n: ops.ones_like(x) + ops.zeros_like(o) + ops.full_like(x, 2.0),
    "select": lambda x, o, n: ops.select([x > 1, x > 0], [x, o], 7.0),
    "fmod": lambda x, o, n: ops.fmod(x, 0.7) + ops.hypot(x, o) + ops.fmax(x, o),
    "bits": lambda x, o, n: ops.bitwise_and(n, n) + ops.bitwise_or(n, n) + ops.left_shift(n, n),
    "stop": lambda x, o, n: ops.stop_gradient(x) + ops.copy(x),
    # products
    "matmul": lambda x, o, n: ops.matmul(x, ops.swapaxes(o, 1, 2)),
    "einsum": lambda x, o, n: ops.einsum("bij,bkj->bik", x, o),
    "tensordot": lambda x, o, n: ops.tensordot(x, np.ones((6, 2), "float32"), axes=1),
    "dot": lambda x, o, n: ops.dot(x, np.ones((6, 2), "float32")),
    "inner": lambda x, o, n: ops.inner(x, np.ones((2, 6), "float32")),
    # networks
    "relu": lambda x, o, n: ops.relu(x) + ops.relu6(x * 4) + ops.leaky_relu(x) + ops.elu(x, 0.7),
    "gelu": lambda x, o, n: ops.gelu(x) + ops.gelu(x, approximate=False) + ops.silu(x),
    "softmax": lambda x, o, n: ops.softmax(x, axis=1) + ops.log_softmax(x, axis=-1),
    "sigmoid": lambda x, o, n: ops.sigmoid(x) + ops.log_sigmoid(x) + ops.hard_sigmoid(x),
    "soft": lambda x, o, n: ops.softplus(x) + ops.softsign(x) + ops.soft_shrink(x, 0.3),
    "units": lambda x, o, n: ops.selu(x) + ops.celu(x, 0.8) + ops.hard_silu(x) + ops.hard_tanh(x),
    "glu": lambda x, o, n: ops.glu(x) + ops.glu(o, axis=-1),
    "shrink": lambda x, o, n: ops.hard_shrink(x, 0.3) + ops.tanh_shrink(x) + ops.threshold(x, 0, 1),
    "sparse": lambda x, o, n: ops.sparse_plus(x) + ops.squareplus(x) + ops.sparse_sigmoid(x),
    "pools": lambda x, o, n: ops.max_pool(x, 2) + ops.average_pool(x, 2, padding="same"),
    "grey": lambda x, o, n: keras.ops.image.rgb_to_grayscale(ops.reshape(x, (-1, 4, 2, 3))),
}  # fmt: skip


@pytest.fixture(scope="module")
def theirs() -> Any:
    x, o = keras.Input((4, 6), name="x"), keras.Input((4, 6), name="o")
    n = keras.Input((4,), dtype="int32", name="n")
    return keras.Model([x, o, n], {name: make(x, o, n) for name, make in MADE.items()})


@pytest.fixture(scope="module")
def expected(theirs: Any) -> dict[str, np.ndarray]:
    with torch.no_grad():
        found = theirs([X, OTHER, COUNTS])
    return {name: value.numpy() for name, value in found.items()}


@pytest.fixture(scope="module")
def opened(theirs: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = tmp_path_factory.mktemp("operations") / "theirs.keras"
    theirs.save(path)
    return models.load_model(path)


def outputs(model: Any) -> dict[str, np.ndarray]:
    with torch.no_grad():
        found = model([torch.from_numpy(X), torch.from_numpy(OTHER), torch.from_numpy(COUNTS)])
    return {name: value.numpy() for name, value in found.items()}


def same(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    wrong = []
    assert set(found) == set(expected)
    for name, value in expected.items():
        scale = max(1.0, float(np.abs(np.nan_to_num(value.astype("float64"))).max()))
        close = found[name].shape == value.shape and np.allclose(
            found[name].astype("float64"), value.astype("float64"), atol=1e-5 * scale,
            rtol=0, equal_nan=True,
        )  # fmt: skip
        wrong += [] if close else [name]
    assert wrong == []


def test_keras_operations_compute_the_same_here(opened: Any, expected: Any) -> None:
    same(outputs(opened), expected)


def test_what_was_opened_is_written_as_keras_wrote_it(
    opened: Any, expected: Any, tmp_path: Path
) -> None:
    path = opened.save(tmp_path / "ours.keras")
    with zipfile.ZipFile(path) as archive:
        described = archive.read("config.json").decode()
    assert f'"{operations.OWN_MODULE}"' not in described
    same(outputs(models.load_model(path)), expected)
    there = keras.models.load_model(path)
    with torch.no_grad():
        found = there([X, OTHER, COUNTS])
    same({name: value.numpy() for name, value in found.items()}, expected)


def test_every_class_of_the_table_is_keras_own() -> None:
    for name, module in keras_operations.MODULES.items():
        assert hasattr(getattr(keras.src.ops, module), name), (module, name)
    assert set(keras_operations.MODULES) == set(keras_operations.READERS)


def test_settings_have_keras_names_and_defaults() -> None:
    without_effect = {"self", "name", "sparse", "ragged", "synchronized", "kwargs"}
    for name, function in keras_operations.FUNCTIONS.items():
        kind = getattr(getattr(keras.src.ops, keras_operations.MODULES[name]), name)
        wanted = inspect.signature(kind.__init__).parameters
        ours = inspect.signature(function).parameters
        for setting in set(wanted) - without_effect:
            assert setting in keras_operations.settings_of(function), (name, setting)
            defaults = {wanted[setting].default, ours[setting].default} - {inspect.Parameter.empty}
            assert len(defaults) <= 1, (name, setting)


def test_where_keras_on_torch_is_no_oracle() -> None:
    x, o = torch.from_numpy(X)[..., :3], torch.from_numpy(OTHER)[..., :3]
    np.testing.assert_allclose(values.cross(x, o), np.cross(x, o), rtol=1e-5)
    moved = values.cross(x.movedim(-1, 0), o, axisa=0, axisc=1)
    np.testing.assert_allclose(moved, np.cross(x.movedim(-1, 0), o, axisa=0, axisc=1), rtol=1e-5)
    counts = reductions.count_nonzero(torch.from_numpy(X) > 0, axis=1)  # Keras transposes it
    np.testing.assert_array_equal(counts, np.count_nonzero(X > 0, axis=1))
    weights = np.arange(4.0)
    np.testing.assert_allclose(
        reductions.average(torch.from_numpy(X), weights, axis=1),
        np.average(X, axis=1, weights=weights), rtol=1e-5,
    )  # fmt: skip


def test_the_planted_mistake_is_caught(theirs: Any, expected: Any) -> None:
    wrong = {**expected, "take": expected["take"] * 1.0001}
    with pytest.raises(AssertionError, match="take"):
        same(expected, wrong)


def test_settings_that_would_change_something_are_refused(tmp_path: Path) -> None:
    n = keras.Input((4,), dtype="int32")
    path = tmp_path / "model.keras"
    keras.Model(n, ops.one_hot(n, 5)).save(path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(members["config.json"])
    next(e for e in config["config"]["layers"] if e["class_name"] == "OneHot")["config"] |= {
        "sparse": True
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in (members | {"config.json": json.dumps(config).encode()}).items():
            archive.writestr(name, content)
    with pytest.raises(FileFormatError, match="sparse"):
        models.load_model(path)
