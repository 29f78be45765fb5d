"""Noise, products, functions as layers, and layers as plain data."""

import json
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_parity import assert_parity, close, random_inputs
from oracle import keras
from stroma import layers, models
from stroma.core.errors import (
    ArgumentError,
    ArgumentTypeError,
    FileFormatError,
    GraphError,
    ShapeError,
)

MANY = torch.randn(200_000, generator=torch.Generator().manual_seed(0))


def moments(y):
    return round(y.mean().item(), 1), round(y.std().item(), 1)


def test_noise_has_its_mean_and_deviation():
    torch.manual_seed(0)
    zeros, ones = torch.zeros(100_000), torch.ones(100_000)
    assert moments(layers.GaussianNoise(0.3)(zeros, training=True)) == (0.0, 0.3)
    expected = round(math.sqrt(0.2 / 0.8), 1)
    assert moments(layers.GaussianDropout(0.2)(ones, training=True)) == (1.0, expected)
    y = layers.AlphaDropout(0.3)(MANY, training=True)
    assert moments(y) == (0.0, 1.0)
    assert moments(layers.Dropout(0.3)(MANY, training=True)) != (0.0, 1.0)  # planted: not so here


def test_alpha_dropout_is_kerass_affine_map():
    """Either x, or the lowest value of SELU, through one map: the two values tell it."""
    x = torch.ones(1000)
    ours = layers.AlphaDropout(0.4, seed=1)(x, training=True).unique()
    theirs = keras.layers.AlphaDropout(0.4, seed=1)(x, training=True).unique()
    close(ours, theirs, 1e-5)


@pytest.mark.parametrize("make", [
    lambda seed: layers.GaussianNoise(0.3, seed=seed),
    lambda seed: layers.GaussianDropout(0.3, seed=seed),
    lambda seed: layers.AlphaDropout(0.3, seed=seed),
])  # fmt: skip
def test_noise_repeats_with_its_seed_and_rests_in_inference(make):
    x = torch.randn(4, 5)
    assert torch.equal(make(3)(x, training=True), make(3)(x, training=True))
    assert not torch.equal(make(None)(x, training=True), make(None)(x, training=True))
    assert torch.equal(make(None)(x), x)


def test_axes_that_fall_together_and_rates_out_of_range():
    y = layers.AlphaDropout(0.5, noise_shape=(None, 1))(torch.ones(50, 3), training=True)
    assert (y == y[:, :1]).all() and y.unique().numel() == 2
    with pytest.raises(ShapeError, match="AlphaDropout: noise_shape"):
        layers.AlphaDropout(0.5, noise_shape=(None,))(torch.ones(2, 3), training=True)
    for layer in (layers.AlphaDropout, layers.GaussianDropout):
        with pytest.raises(ArgumentError, match="rate must stay below 1"):
            layer(1.0)


def test_the_penalty_on_activity_is_kerass():
    x = random_inputs([(5,)], batch=4)
    ours, theirs = (room.ActivityRegularization(0.1, 0.2) for room in (layers, keras.layers))
    ours(x), theirs(x)
    close(ours.losses[0], theirs.losses[0], 1e-6)
    expected = (0.1 * x.abs().sum() + 0.2 * x.square().sum()) / 4
    close(ours.losses[0], expected, 1e-6)


@settings(max_examples=30, deadline=None)
@given(
    first=st.lists(st.integers(2, 4), min_size=1, max_size=3),
    second=st.lists(st.integers(2, 4), min_size=1, max_size=3),
    data=st.data(), normalize=st.booleans(),
)  # fmt: skip
def test_dot_equals_keras(first, second, data, normalize):
    axes = tuple(data.draw(st.integers(1, len(sizes))) for sizes in (first, second))
    second[axes[1] - 1] = first[axes[0] - 1]
    x = random_inputs([tuple(first), tuple(second)])
    assert_parity(layers.Dot, {"axes": axes, "normalize": normalize}, x)


def test_dot_says_what_does_not_fit():
    x, y = torch.ones(2, 3, 4), torch.ones(2, 4, 5)
    close(layers.dot([x, y], axes=(2, 1)), x @ y, 1e-6)
    with pytest.raises(ShapeError, match="cannot take"):
        layers.Dot(1)([x, y])
    with pytest.raises(ArgumentError, match="none of them 0"):
        layers.Dot((0, 1))
    with pytest.raises(ShapeError, match="list of 2 tensors"):
        layers.Dot(1)(x)


def test_dot_goes_both_ways(tmp_path):
    first, second = layers.Input((3, 4)), layers.Input((4, 2))
    model = models.Model([first, second], layers.Dot((2, 1), normalize=True)([first, second]))
    x = random_inputs([(3, 4), (4, 2)])
    model.save(tmp_path / "ours.keras")
    there = keras.models.load_model(tmp_path / "ours.keras")
    close(model(x), there(x), 1e-5)
    there.save(tmp_path / "theirs.keras")
    close(models.load_model(tmp_path / "theirs.keras")(x), model(x), 1e-6)


@settings(max_examples=15, deadline=None)
@given(
    shape=st.lists(st.integers(1, 4), min_size=1, max_size=3), data=st.data(),
    alpha=st.floats(0.1, 2),
)  # fmt: skip
def test_learned_and_exponential_slopes_equal_keras(shape, data, alpha):
    x = random_inputs([tuple(shape)])
    shared = data.draw(st.sets(st.integers(1, len(shape))))
    assert_parity(layers.PReLU, {"shared_axes": sorted(shared) or None}, x)
    assert_parity(layers.ELU, {"alpha": alpha}, x)


def test_einsum_dense_draws_kerass_fans_and_names_what_is_wrong():
    """Glorot's limit counts the summed axes as inputs: sqrt(6 / (4 + 6 * 8)), not by position."""
    layer = layers.EinsumDense("abc,cde->abde", (None, 6, 8), kernel_initializer="glorot_uniform")
    layer(torch.zeros(2, 3, 4))
    limit = math.sqrt(6 / (4 + 48))
    assert 0.95 * limit < layer.weight.abs().max() <= limit
    with pytest.raises(ArgumentError, match="is no equation"):
        layers.EinsumDense("ab->a", 3)
    with pytest.raises(ArgumentError, match=r"letters \['z'\]"):
        layers.EinsumDense("ab,bc->ac", 3, bias_axes="z")
    with pytest.raises(ShapeError, match="takes 2 axes"):
        layers.EinsumDense("ab,bc->ac", 3)(torch.zeros(2, 3, 4))
    with pytest.raises(ShapeError, match="axis 'b' is 5"):
        layers.EinsumDense("abc,cd->abd", (4, 3))(torch.zeros(2, 5, 6))


# Functions


def test_a_lambda_works_in_a_network_and_is_not_saved(tmp_path):
    entry = layers.Input((4,))
    scaled = layers.Lambda(lambda x, factor: x * factor, arguments={"factor": 3.0})(entry)
    model = models.Model(entry, layers.Lambda(lambda x: x.sum(-1, keepdim=True))(scaled))
    assert model(torch.ones(2, 4)).tolist() == [[12.0], [12.0]]
    with pytest.raises(GraphError, match="no file can hold") as caught:
        model.save(tmp_path / "model.keras")
    assert "def call(self, inputs)" in caught.value.fix
    assert list(tmp_path.iterdir()) == []


def test_a_lambda_is_handed_what_it_asks_for():
    layer = layers.Lambda(lambda x, training, mask: (x + 1 if training else x) * mask)
    x, mask = torch.ones(2, 2), torch.tensor([[1.0], [0.0]])
    assert layer(x, mask=mask, training=True).tolist() == [[2.0, 2.0], [0.0, 0.0]]
    assert layers.Lambda(torch.sum, output_shape=(3,)).compute_output_shape((None, 5)) == (None, 3)
    with pytest.raises(ArgumentTypeError, match="must be a function"):
        layers.Lambda(3)


def test_a_lambda_of_keras_is_refused(tmp_path):
    model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Lambda(lambda x: x * 2)])
    model.save(tmp_path / "theirs.keras")
    with pytest.raises(FileFormatError, match="the file holds a Lambda"):
        models.load_model(tmp_path / "theirs.keras")
    with pytest.raises(FileFormatError, match="Python bytecode"):
        layers.deserialize(keras.layers.serialize(model.layers[-1]))


# Plain data


class Twice(layers.Wrapper):
    def call(self, inputs):
        return self.layer(self.layer(inputs))


def test_layers_become_plain_data_and_come_back():
    layer = layers.Conv1D(3, 2, padding="causal", kernel_regularizer="l2")
    described = json.loads(json.dumps(layers.serialize(layer)))
    assert layers.deserialize(described).get_config() == layer.get_config()
    theirs = keras.layers.deserialize(described)
    assert layers.deserialize(keras.layers.serialize(theirs)).get_config()["filters"] == 3
    wrapped = layers.deserialize(layers.serialize(Twice(layers.Dense(3))), {"Twice": Twice})
    assert wrapped(torch.zeros(2, 3)).shape == (2, 3)
    stack = models.Sequential([layers.Input((2,)), layers.Dense(1)])
    assert isinstance(layers.deserialize(layers.serialize(stack)), models.Sequential)


@pytest.mark.parametrize("wrong", [3, {}, {"class_name": "Adam", "config": {}}])
def test_what_describes_no_layer_is_refused(wrong):
    with pytest.raises(ArgumentTypeError, match="takes what layers"):
        layers.deserialize(wrong)
    with pytest.raises(ArgumentTypeError, match="takes a layer"):
        layers.serialize(wrong)
    with pytest.raises(ArgumentError, match="unknown layer 'Dens'"):
        layers.deserialize({"module": "keras.layers", "class_name": "Dens", "config": {}})


def test_a_wrapper_builds_what_it_holds():
    layer = Twice(layers.Dense(3), name="twice")
    layer(torch.zeros(2, 3))
    assert [w.shape for w in layer.get_weights()] == [(3, 3), (3,)]
    assert list(layer.state_dict()) == ["layer.weight", "layer.bias"]
    again = Twice.from_config(json.loads(json.dumps(layer.get_config())))
    assert again.get_config() == layer.get_config()


def test_masking_is_kerass():
    x = torch.randn(3, 5, 2)
    x[0, 2], x[1, 4] = 1.0, 1.0
    ours, theirs = layers.Masking(1.0), keras.layers.Masking(1.0)
    close(ours(x), theirs(x), 1e-6)
    assert torch.equal(ours.compute_mask(x), theirs.compute_mask(x))
    assert not ours.compute_mask(x)[0, 2] and ours.compute_mask(x)[2].all()
