"""Normalisation of each sample by itself, and of a layer's kernel, beside Keras and formulas."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_parity import assert_parity, close, random_inputs
from oracle import keras
from stroma import layers, models
from stroma.core.errors import ArgumentTypeError, ShapeError
from stroma.layers import spectral


@settings(max_examples=30, deadline=None)
@given(
    shape=st.lists(st.integers(1, 5), min_size=0, max_size=3), each=st.integers(2, 3),
    groups=st.sampled_from([-1, 1, 2, 3]), last=st.booleans(), center=st.booleans(),
    scale=st.booleans(),
)  # fmt: skip
def test_group_normalization_equals_keras(shape, each, groups, last, center, scale):
    shape = shape or [2]  # one number alone has the variance 0: only rounding would be compared
    channels = each * max(groups, 1)
    sizes = [*shape, channels] if last else [channels, *shape]
    arguments = {
        "groups": groups, "axis": -1 if last else 1, "epsilon": 0.1, "center": center,
        "scale": scale,
    }  # fmt: skip
    assert_parity(layers.GroupNormalization, arguments, random_inputs([tuple(sizes)]))


def test_groups_that_do_not_divide_are_named():
    with pytest.raises(ShapeError, match="4 channels cannot be split into 3 groups"):
        layers.GroupNormalization(3)(torch.zeros(1, 4))
    with pytest.raises(AssertionError):  # planted: one group is not two
        x = torch.randn(3, 5, 4)
        close(layers.GroupNormalization(2)(x), layers.GroupNormalization(1)(x), 1e-3)


@settings(max_examples=20, deadline=None)
@given(
    shape=st.lists(st.integers(2, 5), min_size=2, max_size=3),
    last=st.integers(1, 2), epsilon=st.sampled_from([1e-6, 0.1]),
)  # fmt: skip
def test_rms_and_unit_normalization_equal_keras(shape, last, epsilon):
    x = random_inputs([tuple(shape)])
    axes = list(range(len(shape) - last + 1, len(shape) + 1))
    assert_parity(layers.RMSNormalization, {"axis": axes, "epsilon": epsilon}, x)
    assert_parity(layers.RMSNormalization, {"epsilon": epsilon}, x)
    assert_parity(layers.UnitNormalization, {"axis": axes}, x)


def test_rms_normalization_over_inner_axes_is_its_formula():
    layer, x = layers.RMSNormalization([1, 3]), torch.randn(2, 3, 4, 5)
    layer(x)
    scale = torch.rand(3, 5)
    layer.set_weights([scale.numpy()])
    expected = x / (x.square().mean((1, 3), keepdim=True) + 1e-6).sqrt() * scale[:, None]
    close(layer(x), expected, 1e-6)


def test_a_vector_of_zeros_has_a_finite_gradient():
    x = torch.zeros(1, 3, requires_grad=True)
    layers.UnitNormalization()(x).sum().backward()
    assert x.grad.isfinite().all()


# Spectral normalization


WRAPPED = {
    "Dense": ({"units": 3}, (5,)),
    "Conv2D": ({"filters": 3, "kernel_size": 2}, (5, 6, 2)),
    "Conv1DTranspose": ({"filters": 3, "kernel_size": 2, "strides": 2}, (5, 2)),
}


def pair(name, iterations=2):
    arguments, shape = WRAPPED[name]
    x = random_inputs([shape])
    both = [
        room.SpectralNormalization(getattr(room, name)(**arguments), iterations)
        for room in (layers, keras.layers)
    ]
    for layer in both:
        layer(x)
    both[0].set_weights([w.value.detach().numpy() for w in both[1].weights])
    return (*both, x)


@pytest.mark.parametrize("name", WRAPPED)
def test_three_steps_equal_keras(name):
    ours, theirs, x = pair(name)
    for _ in range(3):
        close(ours(x, training=True), theirs(x, training=True), 1e-5)
    close(ours(x), theirs(x), 1e-5)
    for mine, wanted in zip(ours.get_weights(), theirs.get_weights()):
        close(torch.from_numpy(mine), torch.from_numpy(wanted), 1e-5)


def test_the_kernel_ends_at_length_one_and_a_planted_omission_is_seen(monkeypatch):
    layer, x = layers.SpectralNormalization(layers.Dense(4), 50), torch.randn(2, 6)
    layer(x, training=True)
    assert abs(torch.linalg.matrix_norm(layer.layer.kernel, 2) - 1) < 1e-3
    ours, theirs, x = pair("Dense")
    monkeypatch.setattr(spectral.SpectralNormalization, "_normalize", lambda self, kernel: None)
    with pytest.raises(AssertionError):
        close(ours(x, training=True), theirs(x, training=True), 1e-3)


def test_two_calls_before_one_backward_have_the_gradient_of_both():
    layer = layers.SpectralNormalization(layers.Conv2D(3, 2, use_bias=False))
    real, made = torch.randn(2, 4, 4, 1), torch.randn(2, 4, 4, 1)
    layer(real)
    y = layer(real, training=True).square().sum() + layer(made, training=True).square().sum()
    y.backward()
    assert layer.layer.weight.grad.isfinite().all() and layer.layer.weight.grad.abs().sum() > 0


def test_a_kernel_of_zeros_stays():
    layer = layers.SpectralNormalization(layers.Dense(4, kernel_initializer="zeros"))
    assert not layer(torch.ones(1, 3), training=True).any()


def test_what_has_no_kernel_is_refused():
    with pytest.raises(ArgumentTypeError, match="neither a kernel nor embeddings"):
        layers.SpectralNormalization(layers.Flatten())(torch.zeros(1, 3))
    with pytest.raises(ArgumentTypeError, match="wraps a layer"):
        layers.SpectralNormalization(torch.nn.Linear(2, 2))


def test_files_go_both_ways(tmp_path):
    entry = layers.Input((5, 6, 2))
    wrapped = layers.SpectralNormalization(layers.Conv2D(3, 2))
    model, x = models.Model(entry, wrapped(entry)), torch.randn(2, 5, 6, 2)
    wrapped(x, training=True)
    model.save(tmp_path / "ours.keras")
    there = keras.models.load_model(tmp_path / "ours.keras")
    close(model(x), there(x), 1e-5)
    there.save(tmp_path / "theirs.keras")
    close(models.load_model(tmp_path / "theirs.keras")(x), there(x), 1e-5)
