"""RidgeHead against brute force, scikit-learn and a planted mistake."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from sklearn.linear_model import Ridge, RidgeClassifierCV
from sklearn.utils.class_weight import compute_sample_weight

from stroma.core.errors import ArgumentError, DataError, RunError
from stroma.transfer.heads import ridge
from stroma.transfer.heads.ridge import RidgeHead
from stroma.transfer.moments import Moments


def sample(count=40, size=7, classes=3, seed=0):
    random = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    centres = random.normal(size=(classes, size))
    x = centres[labels] + random.normal(size=(count, size))
    return x * random.uniform(0.1, 30, size) + random.normal(size=size) * 5, labels


def targets(labels, classes):
    return 2.0 * (labels[:, None] == np.arange(classes)) - 1


def brute_force(x, labels, classes, penalty):
    """Fit N times without one sample each; the scale is that of all samples, as documented."""
    z, t = x / x.std(0), targets(labels, classes)
    out = np.empty_like(t)
    for i in range(len(x)):
        rest = np.arange(len(x)) != i
        model = Ridge(alpha=penalty, solver="cholesky").fit(z[rest], t[rest])
        out[i] = model.predict(z[i : i + 1])
    return out


@pytest.mark.parametrize(("count", "size"), [(40, 7), (12, 30), (20, 20)])
@pytest.mark.parametrize("penalty", [1e-2, 1.0, 300.0])
def test_leave_one_out_is_exact(count, size, penalty):
    x, labels = sample(count, size)
    head = RidgeHead([penalty]).fit(x, labels, 3)
    truth = brute_force(x, labels, 3, penalty)
    np.testing.assert_allclose(head.held_out, truth, atol=1e-6)
    assert head.best.accuracy == (truth.argmax(1) == labels).mean()
    error = ((truth - targets(labels, 3)) ** 2).mean()
    np.testing.assert_allclose(head.best.squared_error, error, rtol=1e-8)


@pytest.mark.parametrize(("count", "size"), [(40, 7), (12, 30)])
def test_leave_one_out_with_weights_is_exact(count, size):
    x, labels = sample(count, size)
    weight = np.random.default_rng(1).uniform(0.3, 3, count)
    weight /= weight.mean()
    mean = weight @ x / count
    z = x / np.sqrt(weight @ (x - mean) ** 2 / count)
    head = RidgeHead([2.0]).fit(x, labels, 3, weight)
    for i in range(count):
        rest = np.arange(count) != i
        model = Ridge(alpha=2.0, solver="cholesky")
        model.fit(z[rest], targets(labels, 3)[rest], sample_weight=weight[rest])
        np.testing.assert_allclose(head.held_out[i], model.predict(z[i : i + 1])[0], atol=1e-6)


def test_balanced_weights_are_those_of_scikit_learn():
    x, labels = sample(60)
    labels = np.minimum(labels, 1)  # 20 and 40
    head = RidgeHead([1.0], class_weight="balanced").fit(x, labels, 2)
    same = RidgeHead([1.0]).fit(x, labels, 2, compute_sample_weight("balanced", labels))
    np.testing.assert_allclose(head.decision(x), same.decision(x), atol=1e-9)


def test_from_moments_by_generalised_cross_validation():
    x, labels = sample(60, 12, classes=4, seed=3)
    penalties = [0.1, 1.0, 10.0, 100.0, 1000.0]
    moments = Moments.of(x[:21], labels[:21], 4).merge(Moments.of(x[21:], labels[21:], 4))
    streamed = RidgeHead(penalties).fit_moments(moments)
    z, t = (x - x.mean(0)) / x.std(0), targets(labels, 4)
    errors = []
    for penalty in penalties:
        hat = z @ np.linalg.solve(z.T @ z + penalty * np.eye(12), z.T) + 1 / 60
        errors.append(((t - hat @ t) ** 2).sum() / (1 - np.trace(hat) / 60) ** 2)
    chosen = penalties[int(np.argmin(errors))]
    assert streamed.setting == f"penalty {chosen:g}"
    whole = RidgeHead([chosen]).fit(x, labels, 4)
    np.testing.assert_allclose(streamed.decision(x), whole.decision(x), atol=1e-9)
    assert streamed.sharpness == 1
    streamed.calibrate(whole.held_out, labels)
    np.testing.assert_allclose(streamed.sharpness, whole.sharpness)


def test_brute_force_would_catch_a_forgotten_intercept():
    """Planted: leverages without the 1/N of the intercept, the classic slip."""
    x, labels = sample()
    head = RidgeHead([1.0]).fit(x, labels, 3)
    seen, t = head.decision(x), targets(labels, 3)
    leverage = (seen - head.held_out) / (t - head.held_out)
    slipped = leverage - 1 / len(x)
    planted = (seen - slipped * t) / (1 - slipped)
    assert np.abs(planted - brute_force(x, labels, 3, 1.0)).max() > 1e-3


@pytest.mark.parametrize(("count", "size"), [(40, 7), (12, 30)])
def test_solution_is_sklearns(count, size):
    x, labels = sample(count, size)
    head = RidgeHead([2.5]).fit(x, labels, 3)
    oracle = Ridge(alpha=2.5).fit((x - x.mean(0)) / x.std(0), targets(labels, 3))
    np.testing.assert_allclose(
        head.decision(x), oracle.predict((x - x.mean(0)) / x.std(0)), atol=1e-9
    )


def test_choice_is_sklearns():
    x, labels = sample(60, 12, classes=4, seed=3)
    penalties = [0.1, 1.0, 10.0, 100.0, 1000.0]
    head = RidgeHead(penalties).fit(x, labels, 4)
    z = (x - x.mean(0)) / x.std(0)
    oracle = RidgeClassifierCV(penalties, store_cv_results=True).fit(z, labels)
    errors = oracle.cv_results_.mean((0, 1))
    np.testing.assert_allclose([s.squared_error for s in head.loo_scores], errors, rtol=1e-6)


@settings(max_examples=30, deadline=None)
@given(
    count=st.integers(2, 25),
    size=st.integers(1, 30),
    cut=st.integers(0, 25),
    seed=st.integers(0, 999),
)
def test_merged_is_whole(count, size, cut, seed):
    x, labels = sample(count, size, seed=seed)
    cut = min(cut, count)
    whole = Moments.of(x, labels, 3)
    merged = Moments.of(x[:cut], labels[:cut], 3).merge(Moments.of(x[cut:], labels[cut:], 3))
    for name in ("count", "mean", "scatter", "class_counts", "class_sums"):
        np.testing.assert_allclose(
            getattr(merged, name), getattr(whole, name), rtol=1e-9, atol=1e-9
        )


@settings(max_examples=25, deadline=None)
@given(
    count=st.integers(4, 30),
    size=st.integers(1, 40),
    seed=st.integers(0, 999),
    factor=st.floats(0.01, 100),
    shift=st.floats(-100, 100),
)
def test_units_of_the_features_do_not_matter(count, size, seed, factor, shift):
    x, labels = sample(count, size, seed=seed)
    head = RidgeHead([1.0]).fit(x, labels, 3)
    other = RidgeHead([1.0]).fit(x * factor + shift, labels, 3)
    np.testing.assert_allclose(other.held_out, head.held_out, atol=1e-5)
    np.testing.assert_allclose(other.decision(x * factor + shift), head.decision(x), atol=1e-5)


def test_chunks_do_not_matter(monkeypatch):
    x, labels = sample(50, 6)
    head = RidgeHead().fit(x, labels, 3)
    monkeypatch.setattr(ridge, "_NUMBERS_AT_ONCE", 100)
    other = RidgeHead().fit(x, labels, 3)
    np.testing.assert_allclose(other.held_out, head.held_out, rtol=1e-9)
    assert other.best.penalty == head.best.penalty


def test_constant_and_repeated_features_are_harmless():
    x, labels = sample(40, 7)
    padded = np.concatenate([x, np.full((40, 2), 3.3), x[:, :1]], axis=1)
    head = RidgeHead().fit(padded, labels, 3)
    assert np.isfinite(head.held_out).all()
    assert np.abs(head.weight[7:9]).max() < 1e-6
    everything_constant = RidgeHead().fit(np.ones((6, 4)), [0, 1, 0, 1, 0, 0], 2)
    np.testing.assert_allclose(everything_constant.decision(np.ones((1, 4)))[0], [1 / 3, -1 / 3])


def test_probabilities_minimise_the_leave_one_out_cross_entropy():
    x, labels = sample(200, 5, seed=1)
    head = RidgeHead().fit(x, labels, 3)

    def cross_entropy(log_factor):
        logits = np.exp(log_factor) * head.held_out
        log_sum = np.log(np.exp(logits).sum(1))
        return (log_sum - logits[np.arange(200), labels]).mean()

    oracle = np.exp(minimize_scalar(cross_entropy, bounds=(-3, 5), method="bounded").x)
    np.testing.assert_allclose(head.sharpness, oracle, rtol=1e-4)
    np.testing.assert_allclose(head.probabilities(x).sum(1), 1)


def test_without_any_mistake_probabilities_stay_finite():
    head = RidgeHead().fit([[0.0], [0.1], [9.0], [9.1]], [0, 0, 1, 1], 2)
    assert head.best.accuracy == 1
    assert np.isfinite(head.probabilities([[0.0], [9.0]])).all()


def test_as_layers_gives_the_probabilities():
    x, labels = sample()
    head = RidgeHead().fit(x, labels, 3)
    (layer,) = head.as_layers()
    np.testing.assert_allclose(
        layer(x.astype("float32")).numpy(force=True), head.probabilities(x), atol=1e-4
    )
    assert layer.get_config()["units"] == 3


def test_refusals():
    x, labels = sample()
    with pytest.raises(ArgumentError, match="penalty"):
        RidgeHead([0.0])
    with pytest.raises(ArgumentError, match="no penalties"):
        RidgeHead([])
    with pytest.raises(DataError, match="do not fit together"):
        RidgeHead().fit(x, labels[:-1], 3)
    with pytest.raises(DataError, match="for 2 classes"):
        RidgeHead().fit(x, labels, 2)
    x[4, 1] = np.nan
    with pytest.raises(DataError, match="row 4"):
        RidgeHead().fit(x, labels, 3)
    with pytest.raises(RunError, match="not fitted"):
        RidgeHead().decision(x)
