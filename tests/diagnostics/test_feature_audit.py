"""Faults planted in handwritten digits and in random features are found, and little else."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits

from stroma import diagnostics
from stroma.core.errors import ArgumentError, DataError
from stroma.core.records import Interval
from stroma.data import digits as digits_data
from stroma.diagnostics import duplicates
from stroma.diagnostics.inputs import chance_threshold
from stroma.transfer import RidgeHead


@pytest.fixture(scope="module")
def digits():
    data = load_digits()
    return data.data.astype(np.float32), data.target


def held_out(features, labels):
    """Probabilities of heads that never saw the photo."""
    head = RidgeHead().fit(features, labels, 10)
    logits = head.sharpness * head.held_out
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def test_planted_copies_are_found(digits):
    x, y = digits
    random = np.random.default_rng(0)
    chosen = random.choice(len(x), 60, replace=False)
    exact, near = chosen[:20], chosen[20:]
    noisy = x[near] * random.uniform(0.8, 1, (40, 1)) * random.uniform(0.9, 1.1, (40, 64))
    found = diagnostics.near_duplicates(
        np.concatenate([x, x[exact], noisy]),
        labels=np.concatenate([y, y[exact], (y[near] + 1) % 10]),
        parts=["train"] * len(x) + ["test"] * 60,
        paths=[f"{i}.png" for i in range(len(x) + 60)],
    )
    pairs = {(pair.first, pair.second): pair for pair in found.pairs}
    planted = [(int(source), len(x) + at) for at, source in enumerate(chosen)]
    assert all(pair in pairs for pair in planted[:20])
    assert sum(pair in pairs for pair in planted) >= 57
    assert len(pairs) <= 75  # the rest: digits that are alike by chance
    one = pairs[planted[0]]
    assert (one.first_path, one.second_path) == (f"{planted[0][0]}.png", f"{planted[0][1]}.png")
    assert one.across_parts
    assert not one.two_labels
    assert one.similarity > 0.999
    assert sum(pair.two_labels for pair in pairs.values()) >= 36


def test_blocks_do_not_matter(digits, monkeypatch):
    x = np.concatenate([digits[0][:300], digits[0][:9]])
    whole = diagnostics.near_duplicates(x)
    monkeypatch.setattr(duplicates, "_BLOCK", 7)
    parts = diagnostics.near_duplicates(x)
    assert [(p.first, p.second) for p in parts.pairs] == [(p.first, p.second) for p in whole.pairs]
    assert {(i, 300 + i) for i in range(9)} <= {(p.first, p.second) for p in whole.pairs}


def test_neighbours_are_brute_force(digits):
    z = duplicates._whitened(digits[0][:200])
    similarity, place = duplicates._nearest(z)
    full = z @ z.T
    np.fill_diagonal(full, -2)
    np.testing.assert_allclose(similarity, -np.sort(-full, 1)[:, :8], atol=1e-5)
    np.testing.assert_allclose(np.take_along_axis(full, place, 1), similarity, atol=1e-5)


def test_a_group_hangs_together_and_hashes_confirm():
    random = np.random.default_rng(0)
    x = random.normal(size=(400, 40))
    x[[100, 200, 300]] = x[5] + random.normal(0, 0.05, (3, 40))
    found = diagnostics.near_duplicates(x)
    assert (5, 100, 200, 300) in found.groups
    # Features that agree somewhat count when the perceptual hashes agree as well
    x[50] = 0.6 * x[51] + 0.8 * random.normal(size=40)
    hashes = random.integers(0, 2**63, 400, dtype=np.uint64)
    without = diagnostics.near_duplicates(x, hashes=hashes)
    hashes[50] = hashes[51] ^ np.uint64(0b101)
    pairs = {(p.first, p.second): p for p in diagnostics.near_duplicates(x, hashes=hashes).pairs}
    assert (50, 51) not in {(p.first, p.second) for p in without.pairs}
    assert pairs[50, 51].hash_distance == 2


@settings(max_examples=25, deadline=None)
@given(count=st.integers(0, 30), size=st.integers(1, 50), seed=st.integers(0, 999))
def test_any_shape_is_searched(count, size, seed):
    x = np.random.default_rng(seed).normal(size=(count, size))
    found = diagnostics.near_duplicates(x)
    assert found.count == count
    assert all(0 <= p.first < p.second < count for p in found.pairs)
    assert type(found).from_json(found.to_json()) == found


def test_equal_photos_everywhere():
    found = diagnostics.near_duplicates(np.ones((12, 4)))
    assert found.threshold <= 0.99
    assert not diagnostics.outliers(np.ones((12, 4)), [0] * 12).found


def test_hashes_of_a_part():
    part = digits_data().train.take(slice(70))
    hashes = diagnostics.picture_hashes(part)
    assert hashes.shape == (70,)
    assert len(np.unique(hashes)) > 60


def test_planted_wrong_labels_are_found(digits):
    x, y = digits
    random = np.random.default_rng(1)
    wrong = random.choice(len(x), 36, replace=False)
    labels = y.copy()
    labels[wrong] = (labels[wrong] + random.integers(1, 10, 36)) % 10
    found = diagnostics.suspect_labels(
        held_out(x, labels), labels, paths=list(map(str, range(len(x))))
    )
    named = [suspect.index for suspect in found.suspects]
    caught = set(named) & set(wrong.tolist())
    assert len(caught) >= 0.8 * 36
    assert len(caught) >= 0.5 * len(named)
    assert np.isin(named[:20], wrong).mean() >= 0.9  # the surest come first
    assert 18 <= found.estimated <= 72
    right = [s.suggested == y[s.index] for s in found.suspects if s.index in caught]
    assert np.mean(right) > 0.9
    assert found.suspects[0].path == str(named[0])
    assert found.suspects[0].label == labels[named[0]]
    # planted mistake in the method: probabilities of a head that saw the wrong labels find fewer
    seen = np.eye(10)[labels] * 0.9 + 0.01
    assert not diagnostics.suspect_labels(seen, labels).suspects


def test_confident_joint_against_its_definition():
    random = np.random.default_rng(2)
    p, y = random.dirichlet(np.ones(4), 200), random.integers(0, 4, 200)
    thresholds = [p[y == j, j].mean() for j in range(4)]
    count = 0
    for row, label in zip(p, y):
        sure = [j for j in range(4) if row[j] >= thresholds[j]]
        count += bool(sure) and max(sure, key=lambda j: row[j]) != label
    assert diagnostics.suspect_labels(p, y).estimated == count


def test_planted_outliers_are_found(digits):
    x, y = digits
    random = np.random.default_rng(0)
    odd = random.choice(len(x), 10, replace=False)
    features = x.copy()
    features[odd] = random.permuted(features[odd], axis=1)  # the same ink at other places
    found = diagnostics.outliers(features, y)
    named = [outlier.index for outlier in found.found]
    assert set(odd.tolist()) <= set(named)
    assert set(named[:8]) <= set(odd.tolist())
    assert len(named) <= 30
    few = diagnostics.outliers(features[:5], y[:5])
    assert few.found == ()


def test_difficulty_is_the_confusion_matrix(digits):
    x, y = digits
    p = held_out(x, y)
    classes, pairs = diagnostics.difficulty(p, y, [f"digit {k}" for k in range(10)])
    recalls = {f"digit {k}": (p[y == k].argmax(1) == k).mean() for k in range(10)}
    assert [c.name for c in classes] == sorted(
        recalls, key=lambda n: (recalls[n], p[y == int(n[-1]), int(n[-1])].mean())
    )
    hardest = classes[0]
    assert hardest.recall == pytest.approx(recalls[hardest.name])
    assert hardest.interval == Interval.wilson(round(hardest.recall * hardest.count), hardest.count)
    top = pairs[0]
    rows = p[y == int(top.truth[-1])].argmax(1)
    assert top.count == (rows == int(top.predicted[-1])).sum() == max(q.count for q in pairs)


def test_the_audit_tells_what_it_found(digits):
    x, y = digits
    x, y = np.concatenate([x[:600], x[:3]]), np.concatenate([y[:600], (y[:3] + 1) % 10])
    p = held_out(x, y)
    parts = ["train"] * 600 + ["test"] * 3
    report = diagnostics.audit_features(x, y, p, list("0123456789"), parts=parts)
    assert type(report).from_json(report.to_json()) == report
    terms = [finding.term for finding in report.findings()]
    assert terms[:2] == ["data leakage", "label noise"]
    assert all(f.evidence and f.means and f.try_next and f.where for f in report.findings())


def test_one_is_told_in_the_singular(digits):
    x, y = digits
    x, y = np.concatenate([x[:600], x[:1]]), np.concatenate([y[:600], y[:1]])
    parts = ["train"] * 600 + ["test"]
    report = diagnostics.audit_features(x, y, held_out(x, y), list("0123456789"), parts=parts)
    across = [pair for pair in report.duplicates.pairs if pair.across_parts]
    assert len(across) == 1
    assert (
        report.findings()[0].evidence == "1 pair of perhaps the same photo lies in different parts"
    )


def test_pairs_of_one_scene_are_no_duplicates():
    """Two of a kind at cosines of 0.5 to 0.6, as different photos of one class have them."""
    draws = np.random.default_rng(0)
    scenes = np.repeat(draws.normal(size=(20, 200)), 2, 0)
    scenes += 0.7 * draws.normal(size=scenes.shape)
    x = np.concatenate([draws.normal(size=(560, 200)), scenes])
    assert not diagnostics.near_duplicates(x).pairs  # 5 above a cosine of 0.5


def test_tail_of_a_known_distribution():
    values = np.random.default_rng(0).exponential(size=100_000)
    assert chance_threshold(values, 10) == pytest.approx(np.log(10_000), rel=0.05)


def test_refusals():
    x = np.ones((5, 3))
    with pytest.raises(DataError, match="features have the shape"):
        diagnostics.near_duplicates(np.ones(5))
    with pytest.raises(DataError, match="not finite"):
        diagnostics.near_duplicates(np.full((5, 3), np.nan))
    with pytest.raises(DataError, match="4 paths for 5 photos"):
        diagnostics.near_duplicates(x, paths=list("abcd"))
    with pytest.raises(ArgumentError, match="expected_by_chance"):
        diagnostics.near_duplicates(x, expected_by_chance=0)
    with pytest.raises(DataError, match="rows of probabilities"):
        diagnostics.suspect_labels(x, [0] * 5)
    with pytest.raises(DataError, match="do not fit 5 photos"):
        diagnostics.outliers(x, [0.5] * 5)
    with pytest.raises(DataError, match="do not fit 2 photos"):
        diagnostics.suspect_labels([[0.5, 0.5]] * 2, [0, 2])
