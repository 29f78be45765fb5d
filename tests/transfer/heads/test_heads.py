"""What holds for every head, and LDA, prototypes and logistic regression against oracles."""

import numpy as np
import pytest
import torch
from sklearn.covariance import LedoitWolf
from sklearn.datasets import load_digits
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import ElasticNet, LogisticRegression
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid
from sklearn.svm import SVC, LinearSVC

from stroma import models
from stroma.core.errors import ArgumentError, DataError, RunError
from stroma.layers import Input
from stroma.transfer.heads import kinds
from stroma.transfer.heads.discriminant import LDAHead
from stroma.transfer.heads.elastic_net import ElasticNetHead
from stroma.transfer.heads.head import CrossValidatedHead
from stroma.transfer.heads.logistic import LogisticHead
from stroma.transfer.heads.neighbours import NeighboursHead
from stroma.transfer.heads.projection import RandomProjectionHead
from stroma.transfer.heads.prototypes import CosineHead, NearestMeanHead
from stroma.transfer.heads.ridge import RidgeHead
from stroma.transfer.heads.scoring import stratified_folds
from stroma.transfer.heads.svm import LinearSVMHead, RBFSVMHead
from stroma.transfer.moments import Moments

KINDS = [pytest.param(kind, id=name) for name, kind in kinds.canonical().items()]


def sample(count=60, size=8, classes=3, seed=0, spread=1.0):
    random = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    x = random.normal(size=(classes, size))[labels] + spread * random.normal(size=(count, size))
    return x * random.uniform(0.1, 30, size) + random.normal(size=size) * 5, labels


def scaled(x):
    return (x - x.mean(0)) / x.std(0)


def centred(decision):
    """Adding the same number to all classes changes no answer."""
    return decision - decision.mean(1, keepdims=True)


# What every head promises


@pytest.mark.parametrize("kind", KINDS)
def test_layers_give_the_probabilities(kind):
    x, labels = sample()
    x = x.astype(np.float32)
    head = kind().fit(x, labels, 3)
    inputs = out = Input((x.shape[1],))
    for layer in head.as_layers():
        out = layer(out)
    shipped = models.Model(inputs, out)(torch.from_numpy(x)).numpy(force=True)
    np.testing.assert_allclose(shipped, head.probabilities(x), atol=1e-5)
    np.testing.assert_allclose(shipped.sum(1), 1, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_layers_survive_a_file(kind, tmp_path):
    x, labels = sample()
    head = kind().fit(x, labels, 3)
    inputs = out = Input((x.shape[1],))
    for layer in head.as_layers():
        out = layer(out)
    models.Model(inputs, out).save(tmp_path / "head.keras")
    again = models.load_model(tmp_path / "head.keras")
    got = again(torch.from_numpy(x).float()).numpy(force=True)
    np.testing.assert_allclose(got, head.probabilities(x.astype(np.float32)), atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_class_without_samples_is_never_predicted(kind):
    x, labels = sample()
    shifted = labels * 2  # classes 1 and 3 of 5 (and 5 of 6) are empty
    head = kind().fit(x, shifted, 6)
    assert set(head.predict(x)) <= {0, 2, 4}
    assert head.held_out.shape == (len(x), 6)
    assert np.isfinite(head.held_out).all()
    probabilities = head.probabilities(x)
    assert probabilities[:, [1, 3, 5]].max() < 1e-6
    np.testing.assert_allclose(probabilities[:, ::2], kind().fit(x, labels, 3).probabilities(x),
                               atol=1e-6)  # fmt: skip
    (*_, last) = head.as_layers()
    assert np.isfinite(np.concatenate([w.ravel() for w in last.get_weights()])).all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_class_of_one_sample_is_learnt_and_counted_as_missed(kind):
    x, labels = sample(30)
    x, labels = np.concatenate([x, [x.max(0) + 100]]), np.append(labels, 3)
    head = kind().fit(x, labels, 4)
    assert head.held_out[-1].argmax() != 3  # who has never seen it cannot name it
    assert np.isfinite(head.probabilities(x)).all()


@pytest.mark.parametrize("kind", KINDS)
def test_units_of_all_features_together_do_not_matter(kind):
    x, labels = sample()
    head, other = kind().fit(x, labels, 3), kind().fit(x * 7 + 3, labels, 3)
    np.testing.assert_allclose(other.probabilities(x * 7 + 3), head.probabilities(x), atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_balanced_weights_raise_the_recall_of_a_rare_class(kind):
    random = np.random.default_rng(0)
    labels = (np.arange(400) % 10 == 0).astype(int)
    x = random.normal(size=(400, 5)) + 1.2 * labels[:, None] * np.array([1, 0, 0, 0, 0])
    plain, balanced = kind().fit(x, labels, 2), kind(class_weight="balanced").fit(x, labels, 2)
    recall = [(head.held_out.argmax(1) == 1)[labels == 1].mean() for head in (plain, balanced)]
    if kind.name not in ("nearest_mean", "cosine"):  # these weigh all classes alike anyway
        assert recall[1] > recall[0] + 0.04
    if kind.name in ("ridge", "lda", "logistic", "linear_svm", "elastic_net"):
        assert recall[1] > recall[0] + 0.3


@pytest.mark.parametrize("kind", KINDS)
def test_a_sample_of_weight_0_is_not_there(kind):
    x, labels = sample(40)
    wrong = np.concatenate([x, x[:6]])
    head = kind(seed=1)
    if isinstance(head, CrossValidatedHead):
        head.settings = head.settings[:1]  # folds are drawn over all rows: compare one setting
    weight = np.append(np.ones(40), np.zeros(6))
    given = head.fit(wrong, np.append(labels, (labels[:6] + 1) % 3), 3, weight).decision(x)
    np.testing.assert_allclose(given, head.fit(x, labels, 3).decision(x), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_bfloat16_features_do_not_change_what_a_head_is_worth(kind):
    """Features computed in bfloat16 keep 8 bits; so do these."""
    x, labels = (part[::4] for part in load_digits(return_X_y=True))
    x = x.astype(np.float32) + np.random.default_rng(0).normal(size=x.shape).astype(np.float32)
    rough = torch.from_numpy(x).bfloat16().float().numpy()
    scores = [(kind().fit(f, labels, 10).held_out.argmax(1) == labels).mean() for f in (x, rough)]
    assert abs(scores[0] - scores[1]) < 0.015


def test_refusals():
    x, labels = sample()
    for kind in kinds.canonical().values():
        with pytest.raises(RunError, match="not fitted"):
            kind().predict(x)
        with pytest.raises(DataError, match="do not fit together"):
            kind().fit(x, labels[:-1], 3)
    with pytest.raises(DataError, match="all 60 samples are of class 0"):
        LDAHead().fit(x, labels * 0, 3)
    with pytest.raises(DataError, match="sample_weight"):
        LDAHead().fit(x, labels, 3, -np.ones(60))
    with pytest.raises(DataError, match="all of weight 0"):
        LDAHead().fit(x, labels, 3, labels)
    with pytest.raises(ArgumentError, match="class_weight"):
        LDAHead(class_weight="balance")
    with pytest.raises(ArgumentError, match="class_weight"):
        LDAHead(class_weight={0: 0.0})
    with pytest.raises(ArgumentError, match="target"):
        LDAHead(target="f1")
    with pytest.raises(ArgumentError, match="shrinkage"):
        LDAHead(0.0)
    with pytest.raises(ArgumentError, match="no penalties"):
        LogisticHead([])


# Leave-one-out by brute force: N fits without one sample each


def brute_force(fit, x, labels, weight):
    """Features are scaled by all samples, as documented, so the fits are on scaled ones."""
    out = np.empty((len(x), labels.max() + 1))
    for i in range(len(x)):
        rest = np.arange(len(x)) != i
        out[i] = fit(x[rest], labels[rest], weight[rest])(x[i])
    return out


def lda_formula(shrinkage):
    """The definition, with an inverse."""

    def fit(z, labels, w):
        n = np.bincount(labels, w)
        means = np.stack([w[labels == k] @ z[labels == k] / n[k] for k in range(len(n))])
        residuals = z - means[labels]
        scatter = (residuals * w[:, None]).T @ residuals / w.sum()
        mu = np.trace(scatter) / len(scatter)
        inverse = np.linalg.inv((1 - shrinkage) * scatter + shrinkage * mu * np.eye(len(scatter)))
        bias = np.log(n / w.sum()) - ((means @ inverse) * means).sum(1) / 2
        return lambda x: x @ inverse @ means.T + bias

    return fit


def nearest_mean_formula(z, labels, w):
    n = np.bincount(labels, w)
    means = np.stack([w[labels == k] @ z[labels == k] / n[k] for k in range(len(n))])
    return lambda x: -((x - means) ** 2).sum(1) / 2


def cosine_formula(z, labels, w):
    unit = z / np.linalg.norm(z, axis=1, keepdims=True)
    sums = np.stack([w[labels == k] @ unit[labels == k] for k in range(labels.max() + 1)])
    sums /= np.linalg.norm(sums, axis=1, keepdims=True)
    return lambda x: sums @ x / np.linalg.norm(x)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("count", "size"), [(40, 7), (15, 30)])
@pytest.mark.parametrize(
    ("head", "fit"),
    [
        (LDAHead(0.2), lda_formula(0.2)),
        (LDAHead(1.0), lda_formula(1.0)),
        (NearestMeanHead(), nearest_mean_formula),
        (CosineHead(), cosine_formula),
    ],
)
def test_leave_one_out_is_exact(head, fit, count, size, weighted):
    x, labels = sample(count, size)
    weight = np.random.default_rng(1).uniform(0.5, 2, count) if weighted else np.ones(count)
    weight /= weight.mean()
    mean = weight @ x / count
    scale = np.sqrt(weight @ (x - mean) ** 2 / count)
    z = x - mean if isinstance(head, CosineHead) else (x - mean) / scale
    truth = brute_force(fit, z, labels, weight)
    head.fit(x, labels, 3, weight)
    np.testing.assert_allclose(centred(head.held_out), centred(truth), rtol=1e-6, atol=1e-6)
    whole = np.stack([fit(z, labels, weight)(row) for row in z])
    np.testing.assert_allclose(centred(head.decision(x)), centred(whole), rtol=1e-6, atol=1e-6)


def test_brute_force_would_catch_a_mean_that_stays():
    """Planted: the class mean not moved when its sample is left out."""
    x, labels = sample(40, 7)
    head = NearestMeanHead().fit(x, labels, 3)
    truth = brute_force(nearest_mean_formula, scaled(x), labels, np.ones(40))
    assert np.abs(centred(head.decision(x)) - centred(truth)).max() > 1e-2


# scikit-learn


@pytest.mark.parametrize(("count", "size"), [(60, 8), (15, 30)])
def test_lda_is_sklearns(count, size):
    x, labels = sample(count, size)
    oracle = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.3).fit(scaled(x), labels)
    head = LDAHead(0.3).fit(x, labels, 3)
    np.testing.assert_allclose(
        centred(head.decision(x)), centred(oracle.decision_function(scaled(x))), atol=1e-8
    )
    residuals = scaled(x)
    residuals = residuals - np.stack([residuals[labels == k].mean(0) for k in range(3)])[labels]
    found = LDAHead("ledoit-wolf").fit(x, labels, 3)
    oracle = LedoitWolf(assume_centered=True).fit(residuals)
    np.testing.assert_allclose(found.chosen, oracle.shrinkage_, rtol=1e-9)


def test_lda_from_merged_moments_is_lda():
    x, labels = sample()
    moments = Moments.of(x[:25], labels[:25], 3).merge(Moments.of(x[25:], labels[25:], 3))
    streamed = LDAHead(0.3).fit_moments(moments)
    whole = LDAHead(0.3).fit(x, labels, 3)
    np.testing.assert_allclose(streamed.decision(x), whole.decision(x), atol=1e-8)


def test_nearest_mean_is_sklearns():
    x, labels = sample(spread=3.0)
    oracle = NearestCentroid().fit(scaled(x), labels)
    head = NearestMeanHead().fit(x, labels, 3)
    np.testing.assert_array_equal(head.predict(x), oracle.predict(scaled(x)))


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize(("count", "size"), [(90, 8), (20, 30)])
def test_logistic_regression_is_sklearns(count, size, classes):
    x, labels = sample(count, size, classes, spread=2.0)
    weight = np.random.default_rng(1).uniform(0.5, 2, count)
    weight /= weight.mean()
    mean = weight @ x / count
    z = (x - mean) / np.sqrt(weight @ (x - mean) ** 2 / count)
    head = LogisticHead([0.02]).fit(x, labels, classes, weight)
    # of two classes scikit-learn penalises the difference, which costs half as much as both
    oracle = LogisticRegression(C=(4 - classes) / (0.02 * count), tol=1e-10, max_iter=10_000)
    expected = oracle.fit(z, labels, sample_weight=weight).predict_log_proba(z)
    np.testing.assert_allclose(centred(head.decision(x)), centred(expected), atol=1e-3)


def test_the_slope_of_the_logistic_loss_is_autograds():
    from stroma.transfer.heads.logistic import _Loss

    x, labels = sample(30, 4)
    random = np.random.default_rng(0)
    weight, lengths, at = random.uniform(size=30), random.uniform(size=4), random.normal(size=15)
    value, slope = _Loss(x, np.eye(3)[labels], weight, lengths)(at, 0.3)
    w = torch.tensor(at, requires_grad=True)
    table = w.reshape(5, 3)
    losses = torch.nn.functional.cross_entropy(
        torch.tensor(x) @ table[:-1] + table[-1], torch.tensor(labels), reduction="none"
    )
    penalty = 0.3 / 2 * ((torch.tensor(lengths)[:, None] * table[:-1]) ** 2).sum()
    loss = (losses * torch.tensor(weight)).sum() / weight.sum() + penalty
    loss.backward()
    np.testing.assert_allclose(value, loss.item(), rtol=1e-9)
    np.testing.assert_allclose(slope, w.grad.numpy(), rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("classes", [2, 3])
def test_linear_svm_is_sklearns(classes):
    x, labels = sample(90, 8, classes, spread=2.0)
    head = LinearSVMHead([0.02]).fit(x, labels, classes)
    oracle = LinearSVC(C=1 / (0.02 * 90), tol=1e-9, max_iter=100_000).fit(scaled(x), labels)
    expected = oracle.decision_function(scaled(x))
    got = head.decision(x) if classes > 2 else head.decision(x)[:, 1]
    np.testing.assert_allclose(got, expected, atol=2e-3)
    if classes == 2:
        np.testing.assert_allclose(head.decision(x).sum(1), 0, atol=1e-12)


@pytest.mark.parametrize("classes", [2, 4])
def test_the_pairs_of_the_rbf_svm_are_sklearns(classes):
    x, labels = sample(90, 6, classes, spread=2.0)
    head = RBFSVMHead([3.0]).fit(x, labels, classes)
    oracle = SVC(C=3.0, gamma=1 / 6, decision_function_shape="ovo").fit(scaled(x), labels)
    pairs, expected = head.solution.pair_decision(x), oracle.decision_function(scaled(x))
    np.testing.assert_allclose(pairs, expected if classes > 2 else -expected[:, None], atol=1e-8)
    assert (head.predict(x) == oracle.predict(scaled(x))).mean() > 0.94
    if classes == 2:
        np.testing.assert_array_equal(head.predict(x), oracle.predict(scaled(x)))


@pytest.mark.parametrize("mix", [1.0, 0.5])
def test_elastic_net_is_sklearns(mix):
    x, labels = sample(90, 8, spread=2.0)
    weight = np.random.default_rng(1).uniform(0.5, 2, 90)
    weight /= weight.mean()
    mean = weight @ x / 90
    z = (x - mean) / np.sqrt(weight @ (x - mean) ** 2 / 90)
    head = ElasticNetHead([0.05], mix).fit(x, labels, 3, weight)
    for k in range(3):
        oracle = ElasticNet(alpha=0.05, l1_ratio=mix, tol=1e-10, max_iter=10_000)
        oracle.fit(z, 2.0 * (labels == k) - 1, sample_weight=weight)
        np.testing.assert_allclose(head.decision(x)[:, k], oracle.predict(z), atol=2e-3)
    assert head.share_used == np.mean((head.decision(np.eye(8)) != head.decision(np.zeros((1, 8))))
                                      .any(1))  # fmt: skip


@pytest.mark.parametrize("k", [1, 5])
def test_neighbours_are_sklearns_and_leave_one_out_passes_the_own_over(k):
    x, labels = sample(60, 5, spread=2.0)
    head = NeighboursHead([k]).fit(x, labels, 3)
    oracle = KNeighborsClassifier(k).fit(scaled(x), labels)
    other = x[:20] + 0.1
    z = (other - x.mean(0)) / x.std(0)
    np.testing.assert_allclose(head.decision(other), oracle.predict_proba(z), atol=1e-6)
    for i in range(60):
        rest = np.arange(60) != i
        oracle.fit(scaled(x)[rest], labels[rest])
        expected = oracle.predict_proba(scaled(x)[i : i + 1])[0]
        np.testing.assert_allclose(head.held_out[i], expected, atol=1e-6)


def test_the_random_projection_is_ridge_on_its_random_features():
    x, labels = sample(50, 6)
    head = RandomProjectionHead(32, [0.5], seed=3).fit(x, labels, 3)
    inner = head.solution.inner
    hidden = np.maximum(x @ inner.weight + inner.bias, 0)
    ridge = RidgeHead([0.5]).fit(hidden.astype(np.float32), labels, 3)
    np.testing.assert_allclose(head.held_out, ridge.held_out, atol=1e-9)
    np.testing.assert_allclose(head.decision(x), ridge.decision(hidden), atol=1e-4)
    directions = inner.weight * x.std(0)[:, None] * np.sqrt(6)
    assert abs(directions.std() - 1) < 0.15 and abs(directions.mean()) < 0.2


def test_curved_classes_need_a_curved_head():
    random = np.random.default_rng(0)
    x = random.normal(size=(300, 2))
    labels = (np.linalg.norm(x, axis=1) > 1.2).astype(int)
    compared = (LogisticHead, RBFSVMHead, NeighboursHead, RandomProjectionHead)
    reached = {
        kind: (kind().fit(x, labels, 2).held_out.argmax(1) == labels).mean() for kind in compared
    }
    assert reached.pop(LogisticHead) < 0.7
    assert min(reached.values()) > 0.93


# Cross-validation


def test_held_out_decisions_are_those_of_heads_that_did_not_see_the_fold():
    x, labels = sample(60)
    head = LogisticHead([0.1]).fit(x, labels, 3)
    folds = stratified_folds(labels, 5, 0)
    z = scaled(x)
    for fold in range(5):
        seen = folds != fold
        count = seen.sum()
        oracle = LogisticRegression(C=1 / (0.1 * count), tol=1e-10, max_iter=10_000)
        expected = oracle.fit(z[seen], labels[seen]).predict_log_proba(z[~seen])
        np.testing.assert_allclose(
            centred(head.held_out[~seen]), centred(expected), rtol=1e-3, atol=1e-3
        )


def test_noise_is_not_learnt():
    """Planted: features that say nothing. A head judged on what it saw would look good."""
    random = np.random.default_rng(0)
    x, labels = random.normal(size=(80, 60)), np.arange(80) % 2
    for kind in kinds.canonical().values():
        head = kind().fit(x, labels, 2)
        assert (head.held_out.argmax(1) == labels).mean() < 0.72, kind.name
    assert (LogisticHead([1e-3]).fit(x, labels, 2).predict(x) == labels).mean() > 0.95


def test_folds_are_even_and_repeat():
    labels = np.repeat([0, 1, 2], [50, 23, 7])
    folds = stratified_folds(labels, 5, seed=3)
    np.testing.assert_array_equal(folds, stratified_folds(labels, 5, seed=3))
    assert (folds != stratified_folds(labels, 5, seed=4)).any()
    for members in (labels >= 0, *(labels == k for k in range(3))):
        counts = np.bincount(folds[members], minlength=5)
        assert counts.max() - counts.min() <= 1
