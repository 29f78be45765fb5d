"""Heads on what hardly is data: one sample a class, huge and tiny features, no numbers."""

import warnings

import numpy as np
import pytest
import torch

from stroma import models
from stroma.core.errors import ArgumentError, ArgumentTypeError, DataError, StromaError
from stroma.layers import Input
from stroma.transfer import Moments, choose_head
from stroma.transfer.heads import LDAHead, NeighboursHead, RandomProjectionHead, RidgeHead, kinds

KINDS = [pytest.param(kind, id=name) for name, kind in kinds.canonical().items()]


def sample(count=60, size=8, classes=3, seed=0):
    random = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    return random.normal(size=(classes, size))[labels] + random.normal(size=(count, size)), labels


def shipped(head, x):
    inputs = out = Input((x.shape[1],))
    for layer in head.as_layers():
        out = layer(out)
    return models.Model(inputs, out)(torch.from_numpy(x.astype(np.float32))).numpy(force=True)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [4, 30])
def test_one_sample_a_class_is_never_right_and_never_nan(kind, size):
    x, labels = np.random.default_rng(1).normal(size=(6, size)), np.arange(6)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        head = kind().fit(x, labels, 6)
    assert (head.held_out.argmax(1) == labels).sum() == 0  # none had seen the class
    assert np.isfinite(head.sharpness)
    np.testing.assert_allclose(head.probabilities(x).sum(1), 1)
    np.testing.assert_allclose(shipped(head, x), head.probabilities(x), atol=1e-4)


def test_lda_of_classes_without_spread_is_the_nearest_mean():
    x = np.repeat(np.array([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]]), 3, 0)
    head = LDAHead().fit(x, np.repeat([0, 1, 2], 3), 5)  # classes 3 and 4 have no samples
    assert head.predict([[0.5, 0.4], [3.0, 1.0], [1.0, 3.0]]).tolist() == [0, 1, 2]
    assert (head.held_out.argmax(1) == np.repeat([0, 1, 2], 3)).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("unit", [1e20, 1e-20, 1e-30])
def test_the_unit_of_features_does_not_matter_in_what_ships(kind, unit):
    x, labels = sample()
    x = x.astype(np.float32).astype(float)
    head, same = kind().fit(x * unit, labels, 3), kind().fit(x, labels, 3)
    np.testing.assert_allclose(head.probabilities(x * unit), same.probabilities(x), atol=1e-4)
    np.testing.assert_allclose(shipped(head, x * unit), head.probabilities(x * unit), atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_one_row_far_away_ships_as_it_is(kind):
    x, labels = sample()
    x = x.astype(np.float32).astype(float)
    x[7] = 1e8
    head = kind().fit(x, labels, 3)
    np.testing.assert_allclose(shipped(head, x), head.probabilities(x), atol=0.02)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_table_of_numbers_is_refused(kind):
    x, labels = sample()
    bad = x.copy()
    bad[4, 2] = np.nan
    wrong = [
        (bad, "row 4"), (x[:, :0], r"\(60, 0\)"), (x[0], r"\(8,\)"), (x * 1e200, "exceed"),
        (x.astype(complex), "complex"), (x.astype(str), "no table"), (x.astype(object), "object"),
        ([[1.0, 2.0], [3.0]], "no table"), (None, "no table"),
    ]  # fmt: skip
    head = kind().fit(x, labels, 3)
    for features, message in wrong:
        with pytest.raises(DataError, match=message):
            kind().fit(features, labels, 3)
        with pytest.raises(DataError, match=message):
            head.predict(features)
    with pytest.raises(DataError, match="8 as those that were fitted"):
        head.predict(x[:, :5])
    with pytest.raises(DataError, match="row 4"):
        head.probabilities(bad)
    for options in ({"classes": "3"}, {"classes": 3, "sample_weight": ["a"] * 60}):
        with pytest.raises(StromaError):
            kind().fit(x, labels, **options)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_tensors_of_every_float_with_gradients_are_features(dtype):
    x, labels = sample()
    given = torch.from_numpy(x).to(dtype).requires_grad_()
    choice = choose_head(given, torch.from_numpy(labels), 3, ["ridge", "lda"])
    expected = RidgeHead().fit(given.detach().double().numpy(), labels, 3)
    ridge = choice.head if choice.head.name == "ridge" else RidgeHead().fit(given, labels, 3)
    np.testing.assert_allclose(ridge.decision(given), expected.decision(x), atol=0.1)


def test_moments_name_what_does_not_fit():
    x, y = sample(20)
    bad = x.copy()
    bad[3] = np.inf
    with pytest.raises(DataError, match="row 3"):
        Moments.of(bad, y, 3)
    with pytest.raises(DataError, match="labels from 0 to 2 for 2 classes"):
        Moments.of(x, y, 2)
    for other in (Moments.of(x[:, :4], y, 3), Moments.of(x, y, 4)):
        with pytest.raises(DataError, match="same features and the same classes"):
            Moments.of(x, y, 3).merge(other)


def test_a_single_number_is_a_list_of_one():
    x, y = sample()
    assert RidgeHead(penalties=1.0).fit(x, y, 3).best.penalty == 1.0
    assert NeighboursHead(neighbours=5).fit(x, y, 3).chosen == 5
    for kind in kinds.canonical().values():
        with pytest.raises(StromaError, match="seed"):
            kind(seed=-1)
        with pytest.raises(StromaError, match="seed"):
            kind(seed="a")


def test_what_choose_head_cannot_mean():
    x, y = sample()
    with pytest.raises(ArgumentTypeError, match="RidgeHead") as raised:
        choose_head(x, y, 3, [RidgeHead])
    assert "RidgeHead(...)" in raised.value.fix and "is the class" in raised.value.why
    for heads in (RidgeHead, 5, None, [3]):
        with pytest.raises((ArgumentError, ArgumentTypeError)):
            choose_head(x, y, 3, heads)
    with pytest.raises(ArgumentError, match="most_work"):
        choose_head(x, y, 3, most_work=0)
    table = choose_head(x, y, 3, most_work=1e-9).table
    assert [row.name for row in table if row.score is not None] == ["ridge"]
    for weight in (np.ones(3), {"a": 1.0}, {7: 2.0}, {0: 0.0}, {0: "b"}, [1, 2, 3], "even"):
        with pytest.raises((ArgumentError, ArgumentTypeError), match="class_weight"):
            choose_head(x, y, 3, "ridge", class_weight=weight)
    with pytest.raises(ArgumentError, match="65,536"):
        RandomProjectionHead(width=10**9)
