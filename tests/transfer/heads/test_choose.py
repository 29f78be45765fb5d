"""Which head is the best, by how much, and whether the intervals keep their promise."""

import numpy as np
import pytest
from scipy.stats import binom
from sklearn.datasets import load_digits
from sklearn.metrics import balanced_accuracy_score

from stroma.core.errors import ArgumentError
from stroma.core.records import Interval
from stroma.transfer.heads import choose
from stroma.transfer.heads.choose import HeadScore, choose_head
from stroma.transfer.heads.ridge import RidgeHead
from stroma.transfer.heads.scoring import difference, estimate, importance


@pytest.fixture(scope="module")
def digits():
    x, y = load_digits(return_X_y=True)
    return x[::3].astype(np.float32), y[::3]


def test_the_best_on_held_out_samples_is_chosen(digits):
    choice = choose_head(*digits, 10)
    scores = [row.score for row in choice.table]
    assert scores == sorted(scores, reverse=True)
    assert choice.head.name == choice.table[0].name
    assert {row.name for row in choice.table} == set(choose._AUTO)
    right = choice.head.held_out.argmax(1) == digits[1]
    assert choice.table[0].score == pytest.approx(right.mean())
    assert choice.lead.over == choice.table[1].name
    assert choice.lead.difference == pytest.approx(scores[0] - scores[1])
    assert choice.lead.low <= choice.lead.difference <= choice.lead.high
    assert choice.table[0].low < choice.table[0].score < choice.table[0].high
    row = choice.table[0]
    assert HeadScore.from_json(row.to_json()) == row
    recalls = [right[digits[1] == k].mean() for k in range(10)]
    np.testing.assert_allclose(row.class_recalls, recalls)


def test_the_table_tells_who_won_by_how_much(digits):
    told = str(choose_head(*digits, 10, ["nearest_mean", "ridge"]))
    first, second, sentence = told.splitlines()
    assert first.startswith("ridge") and second.startswith("nearest_mean")
    assert "leave-one-out" in first and "points above nearest_mean" in sentence
    assert "clearly" in sentence
    same = choose_head(*digits, 10, [RidgeHead([5.0]), RidgeHead([5.01])])
    assert "within the noise" in same.sentence()


def test_the_same_seed_chooses_the_same(digits):
    first, again = (choose_head(*digits, 10, ["logistic"], seed=5) for _ in range(2))
    np.testing.assert_array_equal(first.head.held_out, again.head.held_out)


def test_what_costs_too_much_is_named_and_not_tried(digits):
    choice = choose_head(*digits, 10, most_work=5e7)
    skipped = [row for row in choice.table if row.skipped]
    assert "logistic" in {row.name for row in skipped}
    assert choice.table[-1].score is None and "times the work" in str(choice)
    asked = choose_head(*digits, 10, "logistic")  # who names it gets it
    assert asked.table[0].score is not None and asked.lead is None


def test_heads_may_be_given_as_made_and_are_not_changed(digits):
    head = RidgeHead([1.0, 2.0])
    choice = choose_head(*digits, 10, [head, "cosine"])
    assert isinstance(choice.head, RidgeHead) and choice.head is not head
    assert [score.penalty for score in choice.head.loo_scores] == [1.0, 2.0]
    assert not head.loo_scores


def test_the_target_decides():
    random = np.random.default_rng(0)
    labels = (random.uniform(size=600) < 0.06).astype(int)
    x = random.normal(size=(600, 4)) + 1.5 * labels[:, None] * np.array([1.0, 0, 0, 0])
    heads = [RidgeHead(), RidgeHead(class_weight="balanced")]
    assert choose_head(x, labels, 2, heads).head.class_weight is None
    balanced = choose_head(x, labels, 2, heads, target="balanced_accuracy")
    assert balanced.head.class_weight == "balanced"
    answers = balanced.head.held_out.argmax(1)
    assert balanced.table[0].score == pytest.approx(balanced_accuracy_score(labels, answers))


def test_refusals(digits):
    with pytest.raises(ArgumentError, match="Did you mean 'ridge'"):
        choose_head(*digits, 10, "rigde")
    with pytest.raises(ArgumentError, match="no heads"):
        choose_head(*digits, 10, [])
    with pytest.raises(ArgumentError, match="target"):
        choose_head(*digits, 10, target="f1")


def test_importance_makes_both_targets_one_formula():
    random = np.random.default_rng(0)
    labels = random.integers(0, 4, 80) ** 2 // 3  # classes 0, 1, 3
    answers = np.where(random.uniform(size=80) < 0.6, labels, 1)
    right = answers == labels
    balanced = importance(labels, "balanced_accuracy") @ right
    assert balanced == pytest.approx(balanced_accuracy_score(labels, answers))
    assert importance(labels, "accuracy") @ right == pytest.approx(right.mean())
    assert estimate(right, labels, "balanced_accuracy").value == pytest.approx(balanced)


def test_accuracy_has_wilsons_interval():
    right = np.arange(50) < 47
    found, wilson = estimate(right, right * 1, "accuracy"), Interval.wilson(47, 50)
    assert (found.low, found.high) == pytest.approx((wilson.low, wilson.high))


def test_the_interval_of_balanced_accuracy_covers_the_truth():
    random = np.random.default_rng(0)
    labels, recalls = np.repeat([0, 1, 2], [120, 40, 15]), np.array([0.95, 0.8, 0.6])
    covered = 0
    for _ in range(600):
        right = random.uniform(size=len(labels)) < recalls[labels]
        found = estimate(right, labels, "balanced_accuracy")
        covered += found.low <= recalls.mean() <= found.high
    assert covered > binom.ppf(0.001, 600, 0.94)


@pytest.mark.parametrize("target", ["accuracy", "balanced_accuracy"])
def test_the_paired_interval_covers_the_truth_and_beats_the_unpaired(target):
    random = np.random.default_rng(1)
    labels = np.repeat([0, 1], [150, 60])
    covered, widths, unpaired = 0, [], []
    for _ in range(600):
        common = random.uniform(size=210)
        first, second = common < 0.92, (common + (random.uniform(size=210) < 0.03)) < 0.90
        truth = 0.92 - 0.90 * 0.97
        found = difference(first, second, labels, target)
        covered += found.low <= truth <= found.high
        widths.append(found.high - found.low)
        alone = estimate(first, labels, target)
        unpaired.append(alone.high - alone.low)
    assert covered > binom.ppf(0.001, 600, 0.94)
    assert np.mean(widths) < np.mean(unpaired) * np.sqrt(2) * 0.8


def test_a_planted_tie_is_called_one():
    """Planted: one answer of 200 differs. An interval that leaves 0 out would be a mistake."""
    right = np.arange(200) < 190
    other = right.copy()
    other[0] = False
    found = difference(right, other, np.zeros(200, int), "accuracy")
    assert found.low < 0 < found.value < found.high
