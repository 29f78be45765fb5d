"""Losses against Keras on torch: values, gradients, weights, masks, reductions; closed forms."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from oracle import keras
from stroma import losses
from stroma.core.errors import ArgumentError, ShapeError

REDUCTIONS = ["sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", "none", None]
ONE_HOT, SPARSE, BINARY, REAL, SIGNS = "one_hot", "sparse", "binary", "real", "signs"
CASES = [
    ("MeanSquaredError", {}, REAL),
    ("MeanAbsoluteError", {}, REAL),
    ("MeanAbsolutePercentageError", {}, REAL),
    ("MeanSquaredLogarithmicError", {}, REAL),
    ("Huber", {}, REAL),
    ("Huber", {"delta": 0.3}, REAL),
    ("LogCosh", {}, REAL),
    ("CosineSimilarity", {}, REAL),
    ("CosineSimilarity", {"axis": 0}, REAL),
    ("KLDivergence", {}, ONE_HOT),
    ("Poisson", {}, BINARY),
    ("Hinge", {}, BINARY),
    ("Hinge", {}, SIGNS),
    ("SquaredHinge", {}, BINARY),
    ("SquaredHinge", {}, SIGNS),
    ("CategoricalHinge", {}, ONE_HOT),
    ("Dice", {}, BINARY),
    ("Dice", {"axis": (1,)}, BINARY),
    ("Tversky", {"alpha": 0.2, "beta": 0.7}, BINARY),
    ("Tversky", {"axis": (0,)}, BINARY),
    ("BinaryCrossentropy", {}, BINARY),
    ("BinaryCrossentropy", {"from_logits": True, "label_smoothing": 0.1}, BINARY),
    ("BinaryCrossentropy", {"label_smoothing": 0.2, "axis": 0}, BINARY),
    ("BinaryFocalCrossentropy", {}, BINARY),
    ("BinaryFocalCrossentropy", {"apply_class_balancing": True, "from_logits": True}, BINARY),
    ("BinaryFocalCrossentropy", {"gamma": 1.0, "alpha": 0.7, "label_smoothing": 0.1}, BINARY),
    ("CategoricalCrossentropy", {}, ONE_HOT),
    ("CategoricalCrossentropy", {"from_logits": True, "label_smoothing": 0.1}, ONE_HOT),
    ("CategoricalCrossentropy", {"label_smoothing": 0.3}, ONE_HOT),
    ("CategoricalFocalCrossentropy", {}, ONE_HOT),
    ("CategoricalFocalCrossentropy", {"from_logits": True, "gamma": 1.0}, ONE_HOT),
    ("CategoricalFocalCrossentropy", {"alpha": [0.1, 0.2, 0.3, 0.4]}, ONE_HOT),
    ("SparseCategoricalCrossentropy", {}, SPARSE),
    ("SparseCategoricalCrossentropy", {"from_logits": True}, SPARSE),
    ("SparseCategoricalCrossentropy", {"ignore_class": 2}, SPARSE),
    ("SparseCategoricalCrossentropy", {"from_logits": True, "ignore_class": 0}, SPARSE),
    ("CategoricalGeneralizedCrossEntropy", {"q": 0.7}, SPARSE),
]


def batch(kind, rows=6, width=4, seed=0):
    """Targets, probabilities and logits of (rows, width)."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(rows, width)).astype("float32") * 2
    classes = rng.integers(0, width, size=rows)
    if kind == SPARSE:
        y_true = classes
    elif kind == ONE_HOT:
        y_true = np.eye(width, dtype="float32")[classes]
    elif kind == BINARY:
        y_true = rng.integers(0, 2, size=(rows, width)).astype("float32")
    elif kind == SIGNS:
        y_true = rng.choice([-1.0, 1.0], size=(rows, width)).astype("float32")
    else:
        y_true = rng.normal(size=(rows, width)).astype("float32")
    if kind in (SPARSE, ONE_HOT):
        probability = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    else:
        probability = 1 / (1 + np.exp(-logits))
    return y_true, probability.astype("float32"), logits


def predictions(kind, arguments, **shape):
    y_true, probability, logits = batch(kind, **shape)
    raw = arguments.get("from_logits") or kind in (REAL, SIGNS)
    return y_true, torch.tensor(logits if raw else probability)


@pytest.mark.parametrize(("name", "arguments", "kind"), CASES, ids=str)
def test_values_and_gradients_equal_keras(name, arguments, kind):
    y_true, y_pred = predictions(kind, arguments)
    for reduction in REDUCTIONS:
        ours, theirs = (y_pred.clone().requires_grad_() for _ in range(2))
        mine = getattr(losses, name)(**arguments, reduction=reduction)(y_true, ours)
        expected = getattr(keras.losses, name)(**arguments, reduction=reduction)(y_true, theirs)
        torch.testing.assert_close(mine, expected, rtol=1e-5, atol=1e-6)
        mine.sum().backward()
        expected.sum().backward()
        scale = float(theirs.grad.abs().max())
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-4, atol=1e-5 * max(scale, 1e-2))


@pytest.mark.parametrize(("name", "arguments", "kind"), CASES, ids=str)
def test_sample_weights_equal_keras(name, arguments, kind):
    y_true, y_pred = predictions(kind, arguments)
    for reduction in REDUCTIONS:
        mine = getattr(losses, name)(**arguments, reduction=reduction)
        expected = getattr(keras.losses, name)(**arguments, reduction=reduction)
        size = tuple(mine.call(torch.tensor(y_true).float(), y_pred).shape)
        weight = np.random.default_rng(1).uniform(0, 2, size=size).astype("float32")
        torch.testing.assert_close(
            mine(y_true, y_pred, weight), expected(y_true, y_pred, weight), rtol=1e-5, atol=1e-6
        )


@pytest.mark.parametrize(("name", "arguments", "kind"), CASES, ids=str)
def test_double_precision_gradients(name, arguments, kind):
    y_true, y_pred = predictions(kind, arguments, rows=3)
    y_pred = (y_pred.double() * 0.9 + 0.02).requires_grad_()
    loss = getattr(losses, name)(**arguments)
    y_true = torch.tensor(y_true)
    assert loss(y_true, y_pred).dtype == torch.float64
    assert torch.autograd.gradcheck(lambda p: loss(y_true, p), y_pred, atol=1e-4)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weigh", [False, True])
def test_masks_equal_keras(reduction, weigh):
    y_true, y_pred = torch.randn(5, 7, 3), torch.randn(5, 7, 3)
    mask = torch.rand(5, 7) > 0.4
    weight = torch.rand(5, 7) if weigh else None
    ours, theirs = y_pred.clone(), y_pred.clone()
    ours._keras_mask = theirs._keras_mask = mask
    mine = losses.MeanSquaredError(reduction=reduction)(y_true, ours, weight)
    expected = keras.losses.MeanSquaredError(reduction=reduction)(y_true, theirs, weight)
    torch.testing.assert_close(mine, expected)
    if reduction == "mean" and not weigh:  # closed form: the mean over the valid entries
        per_entry = torch.square(y_true - y_pred).mean(-1)
        torch.testing.assert_close(mine, per_entry[mask].mean())
        assert not torch.isclose(mine, per_entry.mean())


def test_a_mask_without_a_valid_entry_gives_zero():
    y_pred = torch.ones(2, 3, 1)
    y_pred._keras_mask = torch.zeros(2, 3, dtype=torch.bool)
    assert losses.MeanSquaredError()(torch.zeros(2, 3, 1), y_pred) == 0


@pytest.mark.parametrize(
    ("true_shape", "pred_shape"),
    [((6,), (6, 1)), ((6, 1), (6,)), ((6, 1), (6, 1)), ((4, 5), (4, 5, 1)), ((4, 5, 1), (4, 5))],
)
def test_rank_rule(true_shape, pred_shape):
    y_true, y_pred = torch.rand(true_shape), torch.rand(pred_shape)
    for name in ("MeanSquaredError", "BinaryCrossentropy", "Huber", "Poisson"):
        mine = getattr(losses, name)(reduction=None)(y_true, y_pred)
        expected = getattr(keras.losses, name)(reduction=None)(y_true, y_pred)
        torch.testing.assert_close(mine, expected)


def test_a_weight_for_each_row_of_a_sequence():
    """Keras weighs columns when B = T: leading axes are what a weight belongs to."""
    y_true, y_pred, weight = torch.randn(4, 4, 2), torch.randn(4, 4, 2), torch.rand(4)
    mine = losses.MeanSquaredError()(y_true, y_pred, weight)
    rows = torch.square(y_true - y_pred).mean(-1)
    torch.testing.assert_close(mine, (rows * weight[:, None]).mean())
    planted = (rows * weight).mean()
    assert not torch.isclose(mine, planted)


@pytest.mark.parametrize("axis", [1, -1, 3])
@pytest.mark.parametrize("from_logits", [False, True])
def test_sparse_axis_and_images(axis, from_logits):
    generator = torch.Generator().manual_seed(0)
    y_pred = torch.softmax(torch.randn(2, 5, 4, 3, generator=generator), axis)
    shape = [n for i, n in enumerate(y_pred.shape) if i != axis % 4]
    y_true = torch.randint(0, 3, shape, generator=generator)
    arguments = {"from_logits": from_logits, "axis": axis, "ignore_class": 1}
    mine = losses.SparseCategoricalCrossentropy(**arguments)
    expected = keras.losses.SparseCategoricalCrossentropy(**arguments)
    torch.testing.assert_close(mine(y_true, y_pred), expected(y_true, y_pred))


@pytest.mark.parametrize("label", [torch.uint8, torch.int64, torch.float32, "numpy", "list"])
def test_any_kind_of_label(label):
    y_true, y_pred = predictions(SPARSE, {})
    expected = losses.SparseCategoricalCrossentropy()(y_true, y_pred)
    if label == "list":
        y_true, y_pred = y_true.tolist(), y_pred.tolist()
    elif label == "numpy":
        y_true, y_pred = y_true.astype("uint8")[:, None], y_pred.numpy()
    else:
        y_true = torch.tensor(y_true).to(label)
    torch.testing.assert_close(losses.SparseCategoricalCrossentropy()(y_true, y_pred), expected)


def test_read_only_and_reversed_arrays():
    y_true, y_pred = batch(REAL)[0], batch(REAL)[2]
    expected = losses.MeanSquaredError()(y_true, y_pred)
    locked = y_true.copy()
    locked.flags.writeable = False  # as memory maps are
    torch.testing.assert_close(losses.MeanSquaredError()(locked, y_pred), expected)
    torch.testing.assert_close(losses.MeanSquaredError()(y_true[::-1], y_pred[::-1]), expected)


def test_half_precision_predictions_are_computed_in_float32():
    y_true, y_pred = predictions(ONE_HOT, {"from_logits": True}, rows=512)
    short = y_pred.bfloat16()
    mine = losses.CategoricalCrossentropy(from_logits=True)(y_true, short)
    exact = losses.CategoricalCrossentropy(from_logits=True)(y_true, short.double())
    assert mine.dtype == torch.float32
    torch.testing.assert_close(mine.double(), exact, rtol=1e-6, atol=0)
    planted = -(torch.tensor(y_true) * short.log_softmax(-1)).sum(-1).mean()  # in bfloat16
    assert abs(planted.double() - exact) > 1e-5


@given(st.integers(2, 50), st.floats(0, 1))
@settings(max_examples=30, deadline=None)
def test_a_uniform_prediction_costs_log_k(classes, smoothing):
    y_true = torch.eye(classes)
    uniform = torch.full((classes, classes), 1 / classes)
    loss = losses.CategoricalCrossentropy(label_smoothing=smoothing)
    assert math.isclose(loss(y_true, uniform), math.log(classes), rel_tol=1e-4)
    numbers = losses.SparseCategoricalCrossentropy()(torch.arange(classes), uniform)
    assert math.isclose(numbers, math.log(classes), rel_tol=1e-4)


def test_extreme_logits_stay_finite():
    y_pred = torch.tensor([[1e4, -1e4]], requires_grad=True)
    for loss, target in [
        (losses.CategoricalCrossentropy(from_logits=True), [[0.0, 1.0]]),
        (losses.SparseCategoricalCrossentropy(from_logits=True), [1]),
        (losses.BinaryCrossentropy(from_logits=True), [[0.0, 1.0]]),
        (losses.LogCosh(), [[0.0, 0.0]]),
    ]:
        value = loss(target, y_pred)
        (gradient,) = torch.autograd.grad(value, y_pred)
        assert torch.isfinite(value)
        assert torch.isfinite(gradient).all()


def test_lookup():
    for name, found in keras.src.losses.ALL_OBJECTS_DICT.items():
        if name.lower() in ("loss", "lossfunctionwrapper", "circle", "ctc"):
            continue
        mine = losses.get(name)
        expected = found() if isinstance(found, type) else found
        assert getattr(mine, "name", None) == getattr(expected, "name", None)
        assert getattr(mine, "__name__", None) == getattr(expected, "__name__", None)
    assert losses.get("mse") is losses.mean_squared_error
    assert losses.get(None) is None
    with pytest.raises(ArgumentError, match="Did you mean 'sparse_categorical_crossentropy'"):
        losses.get("sparse_categorical_crossentropi")
    with pytest.raises(ArgumentError, match="sum_over_batch_size"):
        losses.MeanSquaredError(reduction="average")


@pytest.mark.parametrize(("name", "arguments", "kind"), CASES, ids=str)
def test_configs_go_round_and_keras_reads_them(name, arguments, kind):
    made = getattr(losses, name)(**arguments, reduction="sum")
    config = losses.serialize(made)
    again = losses.deserialize(config)
    assert losses.serialize(again) == config
    y_true, y_pred = predictions(kind, arguments)
    torch.testing.assert_close(again(y_true, y_pred), made(y_true, y_pred))
    theirs = getattr(keras.losses, name).from_config(config["config"])
    torch.testing.assert_close(theirs(y_true, y_pred), made(y_true, y_pred))
    written = getattr(keras.losses, name)(**arguments).get_config()
    assert type(made).from_config(written).name == made.name


def test_positional_order_is_that_of_keras():
    import inspect

    for name in {name for name, _, _ in CASES}:
        mine = inspect.signature(getattr(losses, name).__init__).parameters
        theirs = inspect.signature(getattr(keras.losses, name).__init__).parameters
        assert [(p.name, p.default) for p in mine.values()][1:] == [
            (p.name, p.default) for p in theirs.values()
        ][1:], name


def test_resolve_by_shapes():
    table = {
        ((None, 1), (None, 1)): losses.binary_crossentropy,
        ((None,), (None, 1)): losses.binary_crossentropy,
        ((None,), (None, 10)): losses.sparse_categorical_crossentropy,
        ((None, 1), (None, 10)): losses.sparse_categorical_crossentropy,
        ((None, 10), (None, 10)): losses.categorical_crossentropy,
    }
    for (true_shape, pred_shape), expected in table.items():
        found = losses.resolve("crossentropy", true_shape, pred_shape)
        assert (found.fn, found.name) == (expected, "crossentropy")
    assert losses.resolve("mse", (None,), (None, 1)).name == "mse"
    made = losses.Huber()
    assert losses.resolve(made, (None,), (None, 1)) is made
    wrapped = losses.resolve(lambda t, p: (t - p).abs().sum(-1), (None, 2), (None, 2))
    assert wrapped([[1.0, 2.0]], [[0.0, 0.0]]) == 3


def test_messages():
    with pytest.raises(ShapeError, match="sparse_categorical_crossentropy"):
        losses.CategoricalCrossentropy()(torch.tensor([0, 1]), torch.rand(2, 3))
    with pytest.raises(ShapeError, match="'categorical_crossentropy'"):
        losses.SparseCategoricalCrossentropy()(torch.eye(3), torch.rand(3, 3))
    with pytest.raises(ShapeError, match=r"y_true has shape \(2, 3\)"):
        losses.MeanSquaredError()(torch.rand(2, 3), torch.rand(2, 4))
    with pytest.raises(ArgumentError, match="label_smoothing"):
        losses.CategoricalCrossentropy(label_smoothing=1.5)
    with pytest.warns(SyntaxWarning, match="binary_crossentropy"):
        losses.CategoricalCrossentropy()(torch.ones(2, 1), torch.ones(2, 1))


def test_compiles_without_a_break():
    y_true, y_pred = predictions(SPARSE, {})
    y_true = torch.tensor(y_true)
    for arguments in itertools.product([False, True], [None, 2]):
        loss = losses.SparseCategoricalCrossentropy(*arguments)
        compiled = torch.compile(lambda t, p, f=loss: f(t, p), fullgraph=True, backend="eager")
        torch.testing.assert_close(compiled(y_true, y_pred), loss(y_true, y_pred))
