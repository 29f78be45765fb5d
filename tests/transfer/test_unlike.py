"""The "unlike your photos" score: conformal, small, and it tells digits' classes apart."""

import base64

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score

from stroma import layers, models
from stroma.core.errors import ArgumentError, DataError, GraphError
from stroma.core.seeds import set_random_seed
from stroma.transfer.unlike import Unlike, below_head, features_of, output_layer


def digits(*classes):
    data = load_digits()
    return data.data[np.isin(data.target, classes)]


def test_left_out_digits_are_told():
    own, foreign = digits(0, 1, 2, 3, 4, 5, 6), digits(7, 8, 9)
    unlike = Unlike.fit(own[:600], own[600:900])
    mine, others = unlike.score(own[900:]), unlike.score(foreign)
    truth = np.r_[np.zeros(len(mine)), np.ones(len(others))]
    assert roc_auc_score(truth, np.r_[mine, others]) > 0.85
    # planted: features in another order are no features of this layer
    shuffled = own[900:][:, np.random.default_rng(0).permutation(64)]
    assert unlike.score(shuffled).mean() > 0.9


def test_false_alarms_are_what_the_score_says():
    random = np.random.default_rng(0)
    shares = []
    for seed in range(20):
        x = np.abs(random.normal(size=(1500, 16))) * np.linspace(1, 3, 16)
        unlike = Unlike.fit(x[:300], x[300:600], prototypes=8, seed=seed)
        shares.append([row.false_alarms for row in unlike.rates(x[600:])])
    np.testing.assert_allclose(np.mean(shares, 0), [0.1, 0.05, 0.02, 0.01], atol=0.012)


def test_rates_count_both_kinds():
    unlike = Unlike([[1.0, 0.0]], np.linspace(0, 0.5, 99))
    near, far = np.array([[1.0, 0.0]] * 3), np.array([[0.0, 1.0]] * 4)
    (row,) = unlike.rates(np.r_[near, far[:1]], far, thresholds=[0.9])
    assert (row.false_alarms, row.caught) == (0.25, 1.0)
    assert row.caught_interval.high == 1
    assert unlike.rates(near)[0].caught is None


def test_score_is_the_conformal_one():
    random = np.random.default_rng(1)
    x, held = random.normal(size=(40, 5)), random.normal(size=(30, 5))
    unlike = Unlike.fit(x, held)
    distances, own = unlike.distance(held), unlike.distance(x)
    p = (1 + (distances >= own[:, None]).sum(1)) / 31
    np.testing.assert_allclose(unlike.score(x), 1 - p)


def test_few_or_equal_photos():
    x = np.ones((30, 3))
    assert len(Unlike.fit(x, x).prototypes) == 1
    assert len(Unlike.fit(x[:1], x[:1]).prototypes) == 1
    many = np.random.default_rng(0).normal(size=(21_000, 2))
    assert len(Unlike.fit(many, many, prototypes=3).distances) == 1024


def test_record_is_exact_and_checked():
    unlike = Unlike.fit(digits(0, 1), digits(2), layer="pool")
    stored = unlike.to_record()
    again = Unlike.from_record(type(stored).from_json(stored.to_json()))
    np.testing.assert_array_equal(again.score(digits(3)), unlike.score(digits(3)))
    assert again.layer == "pool"
    for change in (
        {"prototypes": "no base 64!"},
        {"prototypes": ""},
        {"size": 63},
        {"size": 0},
        {"distances": base64.b64encode(b"abc").decode()},
        {"distances": base64.b64encode(np.full(2, np.nan, "<f4").tobytes()).decode()},
    ):
        with pytest.raises(ArgumentError):
            Unlike.from_record(type(stored).from_json({**stored.to_json(), **change}))


def test_refusals():
    with pytest.raises(DataError, match="held-out features"):
        Unlike.fit(np.ones((3, 2)), np.ones((3, 4)))
    with pytest.raises(DataError, match="row 0 are not finite"):
        Unlike.fit(np.full((3, 2), np.nan), np.ones((3, 2)))
    with pytest.raises(DataError, match="another network"):
        Unlike([[1.0, 0.0]], [0.1]).score(np.ones((2, 3)))
    with pytest.raises(ArgumentError, match="without direction"):
        Unlike([[0.0, 0.0]], [0.1])


def test_where_the_features_of_a_network_are():
    set_random_seed(0)
    x = layers.Input((8, 8, 3))
    pooled = layers.GlobalAveragePooling2D(name="pool")(layers.Conv2D(4, 3)(x))
    model = models.Model(x, layers.Dense(3)(layers.Dropout(0.5, name="drop")(pooled)))
    extractor = below_head(model)
    assert output_layer(extractor) == "drop"
    assert extractor.output_shape == (None, 4)
    assert features_of(model, "pool").shape == (None, 4)
    with pytest.raises(GraphError, match="no layer 'pol'"):
        features_of(model, "pol")
    with pytest.raises(GraphError, match="no layer with weights"):
        below_head(models.Model(x, layers.Flatten()(x)))
    with pytest.raises(GraphError, match="does not end in a layer"):
        output_layer(models.Model(x, pooled * 2))
