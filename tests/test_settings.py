"""Dtype policies, floatx, verbosity and the rest of Keras' settings."""

import numpy as np
import pytest
import torch

import stroma
from oracle import keras
from stroma import backend, config, dtype_policies, initializers, layers, mixed_precision, models
from stroma.core.errors import ArgumentError
from stroma.training.precision import choose_precision


@pytest.fixture
def settings_back():
    yield
    config.set_dtype_policy(None)
    config.set_floatx("float32")
    config.enable_interactive_logging()


@pytest.mark.parametrize("name", ["mixed_bfloat16", "mixed_float16", "float64", "bfloat16"])
def test_the_global_policy_rules_as_in_keras(name, settings_back):
    mixed_precision.set_global_policy(name)
    keras.config.set_dtype_policy(name)
    try:
        theirs = keras.layers.Dense(2)
        expected = theirs(torch.ones(1, 3)).dtype
    finally:
        keras.config.set_dtype_policy("float32")
    ours = layers.Dense(2)
    assert ours(torch.ones(1, 3)).dtype == expected
    assert (ours.compute_dtype, ours.variable_dtype) == (
        theirs.compute_dtype,
        theirs.variable_dtype,
    )
    assert ours.kernel.dtype == theirs.kernel.value.dtype
    model = models.Sequential([layers.Input((3,)), ours])
    choice = choose_precision("auto", model, torch.ones(1, 3), torch.device("cpu"))
    assert choice.dtype is None and "policies decide" in choice.reason


def test_a_policy_survives_the_file_and_not_the_setting(tmp_path, settings_back):
    config.set_dtype_policy("mixed_bfloat16")
    model = models.Sequential([layers.Input((3,)), layers.Dense(2)])
    model.save(tmp_path / "mixed.keras")
    config.set_dtype_policy(None)
    again = models.load_model(tmp_path / "mixed.keras")
    assert again.layers[0].dtype_policy.name == "mixed_bfloat16"
    assert layers.Dense(2).dtype_policy.name == "float32"
    theirs = keras.models.load_model(tmp_path / "mixed.keras")
    assert theirs.layers[0].dtype_policy.name == "mixed_bfloat16"


def test_floatx_rules_where_no_policy_is_set(settings_back):
    config.set_floatx("float64")
    assert layers.Dense(1)(np.ones((1, 2))).dtype == torch.float64 == stroma.zeros((1,)).dtype
    config.set_dtype_policy("float32")
    assert config.dtype_policy().name == "float32" and backend.floatx() == "float64"
    with pytest.raises(ArgumentError, match="not a dtype for weights"):
        config.set_floatx("int32")


def test_policies_go_both_ways():
    policy = dtype_policies.get("mixed_float16")
    assert dtype_policies.deserialize(keras.dtype_policies.serialize(
        keras.dtype_policies.DTypePolicy("mixed_float16"))) == policy  # fmt: skip
    theirs = keras.dtype_policies.deserialize(dtype_policies.serialize(policy))
    assert theirs.name == stroma.DTypePolicy("mixed_float16").name == "mixed_float16"
    with pytest.raises(ArgumentError, match="unknown dtype"):
        dtype_policies.get("int4_from_float32")


def test_dtypes_are_asked_about_as_in_keras():
    for name in ("float32", "bfloat16", "int32", "uint8", "bool"):
        assert backend.is_float_dtype(name) == keras.backend.is_float_dtype(name)
        assert backend.is_int_dtype(name) == keras.backend.is_int_dtype(name)
        assert backend.standardize_dtype(name) == keras.backend.standardize_dtype(name)
    for pair in (("int32", "float16"), ("uint8", "int8"), ("float32", "bfloat16")):
        assert backend.result_type(*pair) == keras.backend.result_type(*pair)
    assert backend.is_keras_tensor(layers.Input((1,))) and backend.backend() == "torch"
    assert config.epsilon() == keras.config.epsilon()


def test_what_cannot_be_set_says_so():
    for act, wrong in [(config.set_backend, "jax"), (config.set_epsilon, 1e-3),
                       (config.set_image_data_format, "channels_first")]:  # fmt: skip
        with pytest.raises(ArgumentError):
            act(wrong)
    config.set_backend("torch")
    config.set_epsilon(1e-7)
    config.set_image_data_format(config.image_data_format())
    with pytest.raises(ArgumentError, match="never run code"):
        config.enable_unsafe_deserialization()


def test_quiet_prints_one_line(settings_back, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    model = models.Sequential([layers.Input((3,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    x, y = np.ones((4, 3), "float32"), np.ones((4, 1), "float32")
    model.fit(x, y)
    assert "\r" in capsys.readouterr().out
    config.disable_interactive_logging()
    model.fit(x, y)
    assert "\r" not in capsys.readouterr().out


def test_other_names_of_initializers():
    assert initializers.OrthogonalInitializer is initializers.Orthogonal
    for name in ("IdentityInitializer", "OrthogonalInitializer", "STFTInitializer"):
        assert hasattr(initializers, name) and hasattr(keras.initializers, name)
