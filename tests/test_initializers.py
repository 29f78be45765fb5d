"""Initializers against Keras on torch (bit for bit where seeded), statistics and closed forms."""

import math
import random

import numpy as np
import pytest
import torch

from oracle import keras
from stroma import initializers
from stroma.core.errors import ArgumentError, ShapeError

SHAPES = [(3, 3, 16, 32), (64, 48), (17,), (), (2, 3, 3, 4, 5)]
RANDOM = [
    "RandomNormal", "RandomUniform", "TruncatedNormal", "VarianceScaling", "GlorotNormal",
    "GlorotUniform", "HeNormal", "HeUniform", "LecunNormal", "LecunUniform",
]  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", RANDOM)
def test_a_seed_gives_the_values_of_keras(name, shape):
    for dtype in ("float32", "float64"):
        ours = getattr(initializers, name)(seed=11)(shape, dtype=dtype)
        theirs = getattr(keras.initializers, name)(seed=11)(shape, dtype=dtype)
        assert ours.dtype == theirs.dtype
        assert ours.shape == theirs.shape
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


@pytest.mark.parametrize("mode", ["fan_in", "fan_out", "fan_avg"])
@pytest.mark.parametrize("kind", ["normal", "truncated_normal", "untruncated_normal", "uniform"])
def test_variance_scaling(mode, kind):
    arguments = {"scale": 1.7, "mode": mode, "distribution": kind, "seed": 3}
    shape = (5, 5, 32, 64)
    ours = initializers.VarianceScaling(**arguments)(shape)
    theirs = keras.initializers.VarianceScaling(**arguments)(shape)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=0)
    fan = {"fan_in": 800, "fan_out": 1600, "fan_avg": 1200}[mode]
    assert math.isclose(ours.var().item(), 1.7 / fan, rel_tol=0.02)
    assert abs(ours.mean().item()) < 4 * math.sqrt(1.7 / fan / ours.numel())


def test_fans_are_those_of_the_keras_view():
    """He-normal on the OIHW shape would be far too small: the fans must see HWIO."""
    right = initializers.HeNormal(seed=0)((3, 3, 128, 256)).std().item()
    planted = initializers.HeNormal(seed=0)((256, 128, 3, 3)).std().item()
    assert math.isclose(right, math.sqrt(2 / (9 * 128)), rel_tol=0.01)
    assert planted < 0.2 * right


def test_given_axes_make_the_fans():
    axes = {"seed": 0, "input_axes": [0, 2], "output_axes": [1]}
    ours = initializers.GlorotUniform(**axes)((4, 6, 8))
    theirs = keras.initializers.GlorotUniform(**axes)((4, 6, 8))
    torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


def test_truncated_normal_never_leaves_its_bounds():
    drawn = initializers.TruncatedNormal(stddev=1.0, seed=1)((2_000_000,))
    keras_drawn = keras.initializers.TruncatedNormal(stddev=1.0, seed=1)((2_000_000,))
    assert drawn.abs().max() <= 2
    assert keras_drawn.abs().max() > 2  # the trap: four misses in a row are let through
    inside = keras_drawn.abs() <= 2
    torch.testing.assert_close(drawn[inside], keras_drawn[inside], rtol=0, atol=0)
    assert (~inside).sum() < 30


@pytest.mark.parametrize("shape", [(8, 8), (12, 5), (5, 12), (3, 3, 4, 6), (3, 3, 2, 40)], ids=str)
def test_orthogonal(shape):
    values = initializers.Orthogonal(gain=1.5, seed=2)(shape, dtype="float64")
    theirs = keras.initializers.Orthogonal(gain=1.5, seed=2)(shape, dtype="float64")
    torch.testing.assert_close(values, theirs)
    matrix = values.reshape(-1, shape[-1])
    matrix = matrix if matrix.shape[0] >= matrix.shape[1] else matrix.T
    identity = torch.eye(matrix.shape[1], dtype=torch.float64)
    torch.testing.assert_close(matrix.T @ matrix, 2.25 * identity)
    with pytest.raises(AssertionError):
        torch.testing.assert_close(matrix.T @ matrix, identity)  # gain left out


@pytest.mark.parametrize("side", ["real", "imag"])
@pytest.mark.parametrize(
    ("window", "scaling", "periodic"),
    [("hann", "density", False), ("hamming", "spectrum", True), (None, None, False)],
)
def test_stft(side, window, scaling, periodic):
    arguments = (side, window, scaling, periodic)
    ours = initializers.STFT(*arguments)((64, 1, 33))
    theirs = keras.initializers.STFT(*arguments)((64, 1, 33))
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=2e-5)  # Keras: float32 angles
    if window is None:  # closed form: numpy's FFT
        signal = np.random.default_rng(0).normal(size=64)
        spectrum = np.fft.rfft(signal)
        expected = spectrum.real if side == "real" else spectrum.imag
        np.testing.assert_allclose(signal @ ours[:, 0].numpy(), expected, atol=1e-4)


def test_constants():
    assert torch.equal(initializers.Zeros()((2, 3)), torch.zeros(2, 3))
    assert torch.equal(initializers.Ones()((2,), dtype="bfloat16"), torch.ones(2).bfloat16())
    assert torch.equal(initializers.Constant([1, 2])((3, 2)), torch.tensor([[1.0, 2.0]] * 3))
    assert torch.equal(initializers.Identity(3.0)((2, 3)), 3 * torch.eye(2, 3))
    with pytest.raises(ShapeError, match="2 axes"):
        initializers.Identity()((3, 3, 3))
    with pytest.raises(ShapeError, match="at least 2 axes"):
        initializers.Orthogonal()((3,))


def test_one_object_repeats_and_two_differ():
    one, other = initializers.get("glorot_uniform"), initializers.get("glorot_uniform")
    assert torch.equal(one((4, 4)), one((4, 4)))
    assert not torch.equal(one((4, 4)), other((4, 4)))


def test_unseeded_objects_follow_pythons_random_as_keras_does():
    random.seed(5)
    ours = [initializers.get(name)((4, 4)) for name in ("he_normal", "uniform")]
    random.seed(5)
    theirs = [keras.initializers.get(name)((4, 4)) for name in ("he_normal", "uniform")]
    for mine, expected in zip(ours, theirs):
        assert torch.equal(mine, expected)


def test_the_callers_generator_and_device_are_left_alone():
    before = torch.get_rng_state()
    with torch.device("meta"):
        for name in initializers.registry.canonical():
            shape = (4, 1, 4) if name == "STFT" else (4, 4)
            assert initializers.get(name)(shape).device.type == "cpu"
    assert torch.equal(before, torch.get_rng_state())


def test_every_keras_name_is_known():
    for name, cls in keras.src.initializers.ALL_OBJECTS_DICT.items():
        if name.lower() != "initializer":
            assert type(initializers.get(name)).__name__ == cls.__name__
            assert hasattr(keras.initializers, name) <= hasattr(initializers, name) or (
                name.endswith("Initializer")
            )


@pytest.mark.parametrize("name", [*RANDOM, "Orthogonal", "Zeros", "Constant", "STFT"])
def test_configs_go_round_and_keras_reads_them(name):
    made = getattr(initializers, name)()
    config = initializers.serialize(made)
    assert config["module"] == "keras.initializers"
    again = initializers.deserialize(config)
    assert initializers.serialize(again) == config
    assert type(keras.initializers.deserialize(config)).__name__ == name
    theirs = keras.initializers.serialize(getattr(keras.initializers, name)())
    assert type(initializers.deserialize(theirs)).__name__ == name


def test_get():
    assert initializers.get(None) is None
    assert torch.equal(
        initializers.get(lambda s, d: torch.ones(s, dtype=d))((2,), None), torch.ones(2)
    )
    values = np.arange(6.0).reshape(2, 3)
    assert initializers.get(values)((2, 3)).tolist() == values.tolist()
    with pytest.raises(ShapeError, match="given values"):
        initializers.get(values)((3, 2))
    with pytest.raises(ArgumentError, match="Did you mean 'he_normal'"):
        initializers.get("he_norml")
    with pytest.raises(ArgumentError, match="scale must be positive"):
        initializers.VarianceScaling(scale=0)
    with pytest.raises(ArgumentError, match="fan_avg"):
        initializers.VarianceScaling(mode="fan_average")
