"""Why convolutions, in figures: counts by formula, shifts against closed forms."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stroma import layers, models
from stroma.core.errors import ArgumentError, ShapeError
from stroma.core.seeds import set_random_seed
from stroma.explain import linear_probes, parameter_counts, shift_response, shuffled


def test_the_counts_of_the_textbook():
    found = parameter_counts(layers.Conv2D(32, 3, padding="same"), (224, 224, 3))
    assert (found.convolution, found.unshared, found.dense) == (896, 44_957_696, 241_694_179_328)
    assert found.convolution_macs == 43_352_064
    assert found.dense_macs == 224 * 224 * 3 * 224 * 224 * 32


@settings(max_examples=20, deadline=None)
@given(
    filters=st.integers(1, 4), kernel=st.integers(1, 3), stride=st.integers(1, 2),
    padding=st.sampled_from(["same", "valid"]), bias=st.booleans(), side=st.integers(3, 7),
)  # fmt: skip
def test_counts_against_layers_that_are_built(filters, kernel, stride, padding, bias, side):
    layer = layers.Conv2D(filters, kernel, stride, padding=padding, use_bias=bias)
    found = parameter_counts(layer, (side, side, 2))
    assert not layer.built
    x = layers.Input((side, side, 2))
    flat = layers.Flatten()(x)
    dense = layers.Dense(int(np.prod(found.output_shape)), use_bias=bias)
    dense(flat)
    layer(x)
    assert found.convolution == layer.count_params()
    assert found.dense == dense.count_params()
    places = found.output_shape[0] * found.output_shape[1]
    assert found.unshared == places * (kernel * kernel * 2 + bias) * filters


def test_counts_of_what_is_no_convolution():
    for layer, shape in ((layers.Dense(3), (8, 8, 3)), (layers.Conv2D(3, 3), (None, 8, 3))):
        with pytest.raises(ArgumentError):
            parameter_counts(layer, shape)


def photos(count=4, side=16):
    return np.random.default_rng(0).random((count, side, side, 3)).astype(np.float32)


class Circular(layers.Layer):
    """A convolution on a ring: the only one that is equivariant everywhere."""

    def __init__(self, stride=1, **options):
        super().__init__(**options)
        self.conv = torch.nn.Conv2d(3, 5, 3, stride, 1, padding_mode="circular")

    def call(self, inputs):
        return self.conv(inputs.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


def response(layer, shift, side=16):
    set_random_seed(0)
    x = layers.Input((side, side, 3))
    return {row.layer: row for row in shift_response(models.Model(x, layer(x)), photos(), shift)}


def test_a_circular_convolution_is_equivariant_everywhere():
    row = response(Circular(name="c"), 3)["c"]
    assert row.stride == 1 and row.equivariance_error < 1e-6
    assert row.change > 0.5  # and invariant nowhere


def test_zero_padding_breaks_it_at_the_border_alone():
    row = response(layers.Conv2D(5, 3, padding="same", name="c"), 3)["c"]
    assert row.error_inside < 1e-6 and row.equivariance_error > 0.05


def test_a_stride_keeps_whole_steps_only():
    rows = {shift: response(Circular(2, name="c"), shift)["c"] for shift in (1, 2, 4)}
    assert rows[1].equivariance_error is None and rows[1].stride == 2
    assert rows[2].equivariance_error < 1e-6 and rows[4].equivariance_error < 1e-6


def test_global_pooling_of_a_ring_is_invariant():
    x = layers.Input((16, 16, 3))
    y = layers.GlobalAveragePooling2D(name="pool")(Circular(name="c")(x))
    rows = {row.layer: row for row in shift_response(models.Model(x, y), photos(), 5)}
    assert rows["c"].change > 0.5 and rows["pool"].change < 1e-5


def test_a_dense_layer_is_neither():
    x = layers.Input((16, 16, 3))
    y = layers.Dense(8, name="d")(layers.Flatten()(x))
    rows = {row.layer: row for row in shift_response(models.Model(x, y), photos(), 4)}
    assert rows["d"].equivariance_error is None and rows["d"].change > 0.5


def test_what_cannot_be_shifted():
    model = models.Model(x := layers.Input((16, 16, 3)), layers.Conv2D(2, 3)(x))
    with pytest.raises(ShapeError, match="N >= 2"):
        shift_response(model, photos(1))
    with pytest.raises(ArgumentError, match="a shift of 16"):
        shift_response(model, photos(), 16)


def test_probes_against_scikit_learn_itself():
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 90)
    pictures = rng.random((90, 6, 6, 1)) + labels[:, None, None, None] * 0.1
    x = layers.Input((6, 6, 1))
    model = models.Model(x, layers.Dense(3, name="d")(layers.Flatten(name="f")(x)))
    (probe,) = linear_probes(model, pictures, labels, ["f"], seed=1)
    order = np.random.default_rng(1).permutation(90)
    fit, judge = order[27:], order[:27]
    rows = StandardScaler().fit(pictures[fit].reshape(63, -1))
    rows = rows.transform(pictures.reshape(90, -1).astype(np.float32))
    expected = LogisticRegression(max_iter=2000).fit(rows[fit], labels[fit])
    assert probe.accuracy == pytest.approx(expected.score(rows[judge], labels[judge]), abs=0.04)
    assert probe.features == 36
    with pytest.raises(ShapeError, match="one class index"):
        linear_probes(model, pictures, labels[:5])


def test_shuffled_is_a_copy_with_the_same_numbers():
    model = models.Model(x := layers.Input((6, 6, 1)), layers.Conv2D(4, 3, name="c")(x))
    before = model.get_weights()[0].copy()
    other = shuffled(model)
    np.testing.assert_array_equal(model.get_weights()[0], before)
    assert not np.array_equal(other.get_weights()[0], before)
    np.testing.assert_array_equal(np.sort(other.get_weights()[0], None), np.sort(before, None))
    with pytest.raises(ArgumentError, match="no layer 'd'"):
        shuffled(model, ["d"])
