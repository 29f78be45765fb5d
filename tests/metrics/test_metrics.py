"""Metrics against Keras on torch: streamed over random partial batches, weighted, resumed."""

import inspect
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, confusion_matrix, roc_auc_score

from oracle import keras
from stroma import metrics
from stroma.core.errors import ArgumentError, ShapeError, WeightsError

ONE_HOT, SPARSE, BINARY, COLUMN, REAL, NUMBERS = [
    "one_hot",
    "sparse",
    "binary",
    "column",
    "real",
    "numbers",
]
SPREAD = [0.1, 0.5, 0.7]
CASES = [
    ("Accuracy", {}, NUMBERS),
    ("BinaryAccuracy", {}, BINARY),
    ("BinaryAccuracy", {"threshold": 0.3}, COLUMN),
    ("CategoricalAccuracy", {}, ONE_HOT),
    ("SparseCategoricalAccuracy", {}, SPARSE),
    ("TopKCategoricalAccuracy", {"k": 2}, ONE_HOT),
    ("SparseTopKCategoricalAccuracy", {"k": 2}, SPARSE),
    ("Precision", {}, BINARY),
    ("Precision", {}, COLUMN),
    ("Precision", {"thresholds": SPREAD}, BINARY),
    ("Precision", {"thresholds": [0.8, 0.2]}, COLUMN),
    ("Precision", {"top_k": 2}, ONE_HOT),
    ("Precision", {"class_id": 1}, BINARY),
    ("Recall", {}, BINARY),
    ("Recall", {"thresholds": [0.0, 0.5, 1.0]}, BINARY),
    ("Recall", {"top_k": 1, "class_id": 2}, ONE_HOT),
    ("TruePositives", {}, BINARY),
    ("TrueNegatives", {"thresholds": SPREAD}, BINARY),
    ("FalsePositives", {"thresholds": 0.3}, COLUMN),
    ("FalseNegatives", {}, BINARY),
    ("SensitivityAtSpecificity", {"specificity": 0.6}, BINARY),
    ("SpecificityAtSensitivity", {"sensitivity": 0.6}, COLUMN),
    ("PrecisionAtRecall", {"recall": 0.5}, BINARY),
    ("RecallAtPrecision", {"precision": 0.5, "num_thresholds": 50}, BINARY),
    ("AUC", {}, BINARY),
    ("AUC", {"summation_method": "majoring"}, COLUMN),
    ("AUC", {"summation_method": "minoring", "num_thresholds": 40}, BINARY),
    ("AUC", {"curve": "PR"}, BINARY),
    ("AUC", {"curve": "PR", "summation_method": "minoring"}, BINARY),
    ("AUC", {"curve": "PRGAIN"}, BINARY),
    ("AUC", {"thresholds": SPREAD}, BINARY),
    ("AUC", {"multi_label": True}, BINARY),
    ("AUC", {"multi_label": True, "num_labels": 4, "label_weights": [0.1, 0.2, 0.3, 0.4]}, BINARY),
    ("AUC", {"multi_label": True, "curve": "PR"}, BINARY),
    ("AUC", {"label_weights": [0.1, 0.2, 0.3, 0.4]}, BINARY),
    ("AUC", {"from_logits": True}, REAL),
    ("F1Score", {}, ONE_HOT),
    ("F1Score", {"average": "macro"}, ONE_HOT),
    ("F1Score", {"average": "micro", "threshold": 0.4}, BINARY),
    ("FBetaScore", {"average": "weighted", "beta": 2.0}, ONE_HOT),
    ("FBetaScore", {"beta": 0.5, "threshold": 0.3}, BINARY),
    ("MeanSquaredError", {}, REAL),
    ("RootMeanSquaredError", {}, REAL),
    ("MeanAbsoluteError", {}, REAL),
    ("MeanAbsolutePercentageError", {}, REAL),
    ("MeanSquaredLogarithmicError", {}, REAL),
    ("LogCoshError", {}, REAL),
    ("CosineSimilarity", {}, REAL),
    ("R2Score", {}, REAL),
    ("R2Score", {"class_aggregation": None}, REAL),
    ("R2Score", {"class_aggregation": "variance_weighted_average", "num_regressors": 3}, REAL),
    ("KLDivergence", {}, ONE_HOT),
    ("Poisson", {}, BINARY),
    ("BinaryCrossentropy", {}, BINARY),
    ("BinaryCrossentropy", {"from_logits": True, "label_smoothing": 0.1}, BINARY),
    ("CategoricalCrossentropy", {"label_smoothing": 0.1}, ONE_HOT),
    ("SparseCategoricalCrossentropy", {}, SPARSE),
    ("SparseCategoricalCrossentropy", {"ignore_class": 1}, SPARSE),
    ("Hinge", {}, BINARY),
    ("SquaredHinge", {}, BINARY),
    ("CategoricalHinge", {}, ONE_HOT),
    ("IoU", {"num_classes": 4, "target_class_ids": [0, 2]}, NUMBERS),
    ("MeanIoU", {"num_classes": 4, "ignore_class": 3}, NUMBERS),
    ("MeanIoU", {"num_classes": 4, "sparse_y_pred": False}, SPARSE),
    ("OneHotIoU", {"num_classes": 4, "target_class_ids": [1]}, ONE_HOT),
    ("OneHotMeanIoU", {"num_classes": 4}, ONE_HOT),
    ("BinaryIoU", {"threshold": 0.4}, COLUMN),
]
WHOLE_WEIGHTS = ("IoU", "MeanIoU", "OneHotIoU", "OneHotMeanIoU", "BinaryIoU")  # Keras cuts others


def data(kind, rows=97, width=4, seed=0):
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(rows, width)).astype("float32")
    classes = rng.integers(0, width, size=rows)
    softmax = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    sigmoid = 1 / (1 + np.exp(-logits))
    return {
        ONE_HOT: (np.eye(width, dtype="float32")[classes], softmax),
        SPARSE: (classes, softmax),
        BINARY: (rng.integers(0, 2, size=(rows, width)).astype("float32"), sigmoid),
        COLUMN: (rng.integers(0, 2, size=rows), sigmoid[:, :1]),
        REAL: (rng.normal(size=(rows, width)).astype("float32"), logits),
        NUMBERS: (classes, rng.integers(0, width, size=rows)),
    }[kind]


def pair(name, arguments, kind):
    y_true, y_pred = data(kind)
    if name == "AUC" and arguments.get("from_logits"):
        y_true = (y_true > 0).astype("float32")
    return y_true, y_pred


def stream(metric, y_true, y_pred, weight, cuts):
    for part in np.split(np.arange(len(y_true)), cuts):
        chunk = None if weight is None else weight[part]
        metric.update_state(y_true[part], y_pred[part], sample_weight=chunk)
    return metric.result()


@pytest.mark.parametrize("weigh", [False, True])
@pytest.mark.parametrize(("name", "arguments", "kind"), CASES, ids=str)
def test_streaming_equals_keras(name, arguments, kind, weigh):
    y_true, y_pred = pair(name, arguments, kind)
    rng = np.random.default_rng(3)
    weight = None
    if weigh:
        weight = rng.integers(0, 4, size=len(y_true))
        weight = weight if name in WHOLE_WEIGHTS else (weight * 0.7 + 0.1).astype("float32")
    cuts = np.sort(rng.integers(1, len(y_true), size=5))
    cuts = np.unique(cuts)
    mine = stream(getattr(metrics, name)(**arguments), y_true, torch.tensor(y_pred), weight, cuts)
    theirs = getattr(keras.metrics, name)(**arguments)
    theirs = stream(theirs, y_true, torch.tensor(y_pred), weight, cuts)
    theirs = torch.as_tensor(theirs).detach()
    torch.testing.assert_close(mine, theirs.to(mine.dtype), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("name", "arguments", "kind"), CASES, ids=str)
def test_partial_batches_equal_one_pass(name, arguments, kind):
    y_true, y_pred = pair(name, arguments, kind)
    whole = getattr(metrics, name)(**arguments)(y_true, y_pred)
    rows = stream(getattr(metrics, name)(**arguments), y_true, y_pred, None, range(1, 97))
    torch.testing.assert_close(rows, whole, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(("name", "arguments", "kind"), CASES, ids=str)
def test_reset_resume_and_config(name, arguments, kind):
    y_true, y_pred = pair(name, arguments, kind)
    metric = getattr(metrics, name)(**arguments)
    expected = metric(y_true, y_pred)
    metric.reset_state()
    metric.update_state(y_true[:40], y_pred[:40])
    states = metric.state_dict()
    again = metrics.deserialize(metrics.serialize(metric))
    assert (again.name, again._direction) == (metric.name, metric._direction)
    again.load_state_dict(states)
    assert torch.equal(torch.as_tensor(again.result()), torch.as_tensor(metric.result()))
    again.update_state(y_true[40:], y_pred[40:])
    torch.testing.assert_close(again.result(), expected, rtol=1e-6, atol=1e-7)
    assert states.keys() == again.state_dict().keys()
    if states:
        with pytest.raises(WeightsError, match="lacks the states"):
            again.load_state_dict({})


@pytest.mark.parametrize(("name", "arguments", "kind"), CASES, ids=str)
def test_signature_direction_and_config_are_those_of_keras(name, arguments, kind):
    mine, theirs = getattr(metrics, name), getattr(keras.metrics, name)
    ours = inspect.signature(mine.__init__).parameters.values()
    keras_parameters = inspect.signature(theirs.__init__).parameters.values()
    assert [(p.name, p.default) for p in ours] == [(p.name, p.default) for p in keras_parameters]
    made, keras_made = mine(**arguments), theirs(**arguments)
    assert made._direction == getattr(keras_made, "_direction", None)
    assert type(theirs.from_config(made.get_config())) is theirs
    again = mine.from_config(keras_made.get_config())
    assert again.name.rstrip("_0123456789") == keras_made.name.rstrip("_0123456789")
    y_true, y_pred = pair(name, arguments, kind)
    torch.testing.assert_close(again(y_true, y_pred), made(y_true, y_pred))


@pytest.mark.parametrize(("name", "arguments", "kind"), CASES, ids=str)
def test_nothing_seen_and_one_class_only_never_give_nan(name, arguments, kind):
    metric = getattr(metrics, name)(**arguments)
    assert torch.isfinite(torch.as_tensor(metric.result())).all()
    y_true, y_pred = pair(name, arguments, kind)
    same = np.repeat(y_true[:1], len(y_true), axis=0)  # every sample of one class
    for _ in range(2):
        assert torch.isfinite(metric(same, y_pred)).all()
        metric.reset_state()


@pytest.mark.parametrize(("name", "arguments", "kind"), CASES, ids=str)
def test_updating_never_reads_the_device(name, arguments, kind):
    """Every way to the host goes through `_local_scalar_dense`; none may run in an update."""

    class Watch(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            assert "_local_scalar_dense" not in str(func), "a value was read on the host"
            assert "nonzero" not in str(func), "a shape that depends on values"
            return func(*args, **(kwargs or {}))

    y_true, y_pred = (torch.tensor(part) for part in pair(name, arguments, kind))
    metric = getattr(metrics, name)(**arguments)
    with Watch():
        metric.update_state(y_true, y_pred, torch.ones(len(y_true)))
    with pytest.raises(AssertionError, match="read on the host"), Watch():
        y_pred.sum().item()  # the planted mistake


@given(st.integers(5, 300), st.integers(0, 10**6))
@settings(max_examples=25, deadline=None)
def test_area_under_the_curves_against_scikit_learn(rows, seed):
    rng = np.random.default_rng(seed)
    y_true = np.concatenate([[0, 1], rng.integers(0, 2, size=rows - 2)])
    score = rng.integers(0, 100, size=rows) / 99  # on the grid of 100 thresholds: exact
    # halfway between scores, so that `score > threshold` splits them without rounding
    cuts = [(i + 0.5) / 99 for i in range(99)]
    mine = metrics.AUC(thresholds=cuts)(y_true, score.astype("float32"))
    assert math.isclose(mine, roc_auc_score(y_true, score), abs_tol=1e-6)
    steps = metrics.AUC(thresholds=cuts, curve="PR", summation_method="majoring")
    assert steps(y_true, score.astype("float32")) >= average_precision_score(y_true, score) - 1e-6


@given(st.integers(1, 60), st.integers(2, 6), st.integers(0, 10**6))
@settings(max_examples=25, deadline=None)
def test_confusion_matrix_against_scikit_learn(rows, classes, seed):
    rng = np.random.default_rng(seed)
    y_true = rng.integers(0, classes, size=rows)
    scores = rng.normal(size=(rows, classes)).astype("float32")
    guess = scores.argmax(-1)
    expected = confusion_matrix(y_true, guess, labels=range(classes))
    metric = metrics.ConfusionMatrix(classes)
    for part in np.array_split(np.arange(rows), 3):
        if len(part):
            metric.update_state(y_true[part], torch.tensor(scores[part]))
    assert metric.result().dtype == torch.int64
    np.testing.assert_array_equal(metric.result(), expected)
    one_hot = np.eye(classes, dtype="float32")[y_true]
    np.testing.assert_array_equal(metrics.ConfusionMatrix(classes)(one_hot, scores), expected)
    np.testing.assert_array_equal(metrics.ConfusionMatrix(classes)(y_true, guess), expected)
    if (expected != expected.T).any():  # planted: rows and columns exchanged
        with pytest.raises(AssertionError):
            np.testing.assert_array_equal(metric.result().T, expected)


def test_confusion_matrix_of_two_classes_weights_and_strangers():
    metric = metrics.ConfusionMatrix(2)
    assert metric([[0], [1], [1]], [[0.2], [0.4], [0.9]]).tolist() == [[1, 0], [1, 1]]
    metric.reset_state()
    assert metric([0, 1], [[1.0, 0], [1.0, 0]], [1.0, 0.0]).tolist() == [[1, 0], [0, 0]]
    metric.reset_state()
    assert metric([0, 5, -1], torch.tensor([0, 0, 1])).tolist() == [[1, 0], [0, 0]]


def test_mean_and_sum_of_nested_weights():
    rng = np.random.default_rng(0)
    for shape, weights in [
        ((6,), (6,)),
        ((6, 5), (6,)),
        ((6, 5), (6, 5)),
        ((6, 5, 2), (6, 1)),
        ((6,), ()),
    ]:
        values = rng.normal(size=shape).astype("float32")
        weight = np.asarray(rng.uniform(size=weights), dtype="float32")
        for name in ("Mean", "Sum"):
            mine, theirs = getattr(metrics, name)(), getattr(keras.metrics, name)()
            torch.testing.assert_close(mine(values, weight), theirs(values, weight).detach())
            torch.testing.assert_close(mine(values), theirs(values).detach())


def test_one_weight_for_each_picture_of_a_segmentation():
    rng = np.random.default_rng(0)
    y_true, y_pred = rng.integers(0, 3, (2, 5, 4, 4))
    weight = np.array([1.0, 0.0, 2.0, 0.5, 1.0])
    each_pixel = np.broadcast_to(weight[:, None, None], y_true.shape)
    by_picture = metrics.MeanIoU(3)(y_true, y_pred, weight)
    torch.testing.assert_close(by_picture, metrics.MeanIoU(3)(y_true, y_pred, each_pixel))
    assert not torch.isclose(by_picture, metrics.MeanIoU(3)(y_true, y_pred))


def test_masks_equal_keras():
    y_true, y_pred, mask = torch.randn(5, 7, 3), torch.randn(5, 7, 3), torch.rand(5, 7) > 0.4
    y_pred._keras_mask = mask
    for weight in (None, torch.rand(5, 7)):
        mine = metrics.MeanSquaredError()(y_true, y_pred, weight)
        theirs = keras.metrics.MeanSquaredError()(y_true, y_pred, weight)
        torch.testing.assert_close(mine, theirs.detach())


def test_counts_beyond_float32():
    """2^24 + 1 cannot be told from 2^24 in float32: long epochs and pixels need more."""
    metric = metrics.TruePositives()
    metric.true_positives.assign(2.0**24)
    metric.update_state([1.0], [1.0])
    assert float(metric.true_positives) == 2**24 + 1
    planted = torch.tensor(2.0**24) + 1
    assert float(planted) == 2**24


def test_half_precision_predictions():
    y_true, y_pred = data(ONE_HOT)
    short = torch.tensor(y_pred).bfloat16()
    for name in ("CategoricalCrossentropy", "MeanSquaredError"):
        mine = getattr(metrics, name)()(y_true, short)
        exact = getattr(metrics, name)()(y_true, short.double())
        torch.testing.assert_close(mine, exact, rtol=1e-6, atol=1e-7)


def test_history_is_not_kept():
    y_pred = torch.rand(4, 3, requires_grad=True)
    metric = metrics.MeanSquaredError()
    assert not metric(torch.rand(4, 3), y_pred).requires_grad


def test_a_metric_in_keras_style():
    class Mine(metrics.Metric):
        def __init__(self, name="mine", **kwargs):
            super().__init__(name=name, **kwargs)
            self.hits = self.add_weight(name="hits", initializer="zeros")
            self.inner = metrics.Mean()

        def update_state(self, y_true, y_pred, sample_weight=None):
            self.hits.assign_add((y_true == y_pred).sum())
            self.hits.assign(self.hits + 1)
            self.inner.update_state(y_pred)

        def result(self):
            return {"hits": self.hits.value, "mean": self.inner.result()}

    metric = Mine()
    result = metric(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 3.0]))
    assert {key: float(value) for key, value in result.items()} == {"hits": 2.0, "mean": 2.0}
    assert sorted(metric.state_dict()) == ["hits", "inner.count", "inner.total"]
    fresh = Mine()
    fresh.load_state_dict(metric.state_dict())
    assert float(fresh.result()["mean"]) == 2.0
    fresh.reset_state()
    assert float(fresh.hits) == float(fresh.inner.total) == 0
    assert Mine.from_config(metric.get_config()).name == "mine"


def test_every_keras_name_is_known():
    missing = {"metric", "pearson_correlation", "concordance_correlation"}
    for name, found in keras.src.metrics.ALL_OBJECTS_DICT.items():
        if keras.src.utils.naming.to_snake_case(found.__name__) not in missing:
            assert metrics.registry.lookup(name).__name__ == found.__name__
    with pytest.raises(ArgumentError, match="Did you mean 'accuracy'"):
        metrics.get("acuracy")
    assert metrics.get(None) is None


def test_resolve_is_the_rule_of_keras():
    get_metric = keras.src.trainers.compile_utils.get_metric
    for shapes in [
        ((8, 1), (8, 1)),
        ((8,), (8, 1)),
        ((8,), (8, 5)),
        ((8, 1), (8, 5)),
        ((8, 5), (8, 5)),
    ]:
        y_true, y_pred = (torch.zeros(shape) for shape in shapes)
        for identifier in ("accuracy", "acc", "mse", "AUC", metrics.mean_squared_error):
            mine = metrics.resolve(identifier, *shapes)
            keras_identifier = identifier
            if callable(identifier):
                keras_identifier = keras.losses.mean_squared_error
            theirs = get_metric(keras_identifier, y_true, y_pred)
            assert type(mine).__name__ == type(theirs).__name__
            assert mine._direction == getattr(theirs, "_direction", None)
            if isinstance(identifier, str):
                assert mine.name == theirs.name
    made = metrics.Recall(name="mine")
    assert metrics.resolve(made, (8,), (8, 1)) is made
    crossentropy = metrics.resolve("ce", (8,), (8, 5))
    assert isinstance(crossentropy, metrics.SparseCategoricalCrossentropy)
    wrapped = metrics.resolve(lambda t, p: (t == p).float(), (2,), (2,))
    assert wrapped(torch.tensor([1, 2]), torch.tensor([1, 3])) == 0.5
    assert wrapped._direction is None


def test_messages():
    with pytest.raises(ShapeError, match="one-hot"):
        metrics.F1Score()([0, 1], [[0.1, 0.9], [0.2, 0.8]])
    with pytest.raises(ShapeError, match="its own label"):
        metrics.Precision()([0, 1], [[0.1, 0.9], [0.2, 0.8]])
    with pytest.raises(ArgumentError, match=r"\[0, 1\]"):
        metrics.Precision(thresholds=1.5)
    with pytest.raises(ArgumentError, match="PrecisionAtRecall: recall must lie in"):
        metrics.PrecisionAtRecall(1.5)
    with pytest.raises(ArgumentError, match="num_labels"):
        metrics.AUC(num_labels=3)
    with pytest.raises(ArgumentError, match="ROC"):
        metrics.AUC(curve="ROCK")
    with pytest.raises(ArgumentError, match="target class 3"):
        metrics.IoU(3, [3])
    with pytest.warns(UserWarning, match="plain score"):
        metrics.R2Score(num_regressors=9)(np.eye(3), np.eye(3)[::-1].copy())
