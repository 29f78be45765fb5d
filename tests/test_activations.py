"""Activations against Keras on torch (values and gradients), closed forms, and by-name lookup."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import stroma
from oracle import keras
from stroma import activations
from stroma.core.errors import ArgumentError

NAMES = sorted(activations.registry.canonical())
ARGUMENTS = {"threshold": {"threshold": 0.3, "default_value": -2.0}}
VARIANTS = [
    ("relu", {"negative_slope": 0.1}),
    ("relu", {"max_value": 6.0}),
    ("relu", {"max_value": 1.5}),
    ("relu", {"threshold": 0.7}),
    ("relu", {"threshold": -0.7, "max_value": 1.0}),
    ("relu", {"threshold": 0.7, "negative_slope": 0.2, "max_value": 2.0}),
    ("leaky_relu", {"negative_slope": 0.01}),
    ("elu", {"alpha": 0.5}),
    ("celu", {"alpha": 2.0}),
    ("gelu", {"approximate": True}),
    ("glu", {"axis": 0}),
    ("softmax", {"axis": None}),
    ("softmax", {"axis": 1}),
    ("log_softmax", {"axis": None}),
    ("log_softmax", {"axis": 0}),
    ("sparsemax", {"axis": 0}),
    ("squareplus", {"b": 1}),
    ("hard_shrink", {"threshold": 1.0}),
    ("soft_shrink", {"threshold": 0.1}),
]
# Keras' sparsemax is wrong (its output does not sum to 1): the closed form below is its oracle
KERAS_IS_WRONG = {"sparsemax"}
CASES = [(name, ARGUMENTS.get(name, {})) for name in NAMES]
CASES = [case for case in CASES + VARIANTS if case[0] not in KERAS_IS_WRONG]


def inputs(dtype: torch.dtype) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return 3 * torch.randn((4, 6, 8), generator=generator, dtype=dtype)


@pytest.mark.parametrize(("name", "arguments"), CASES, ids=str)
def test_values_and_gradients_equal_keras(name, arguments):
    for dtype in (torch.float32, torch.float64):
        ours, theirs = inputs(dtype).requires_grad_(), inputs(dtype).requires_grad_()
        y = getattr(activations, name)(ours, **arguments)
        expected = getattr(keras.activations, name)(theirs, **arguments)
        assert y.dtype == dtype
        torch.testing.assert_close(y, expected, rtol=1e-5, atol=1e-6)
        weight = torch.linspace(-1, 1, y.numel(), dtype=dtype).reshape(y.shape)
        (y * weight).sum().backward()
        (expected * weight).sum().backward()
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-4, atol=1e-6)


def test_every_keras_activation_is_here():
    known = keras.src.activations.ALL_OBJECTS_DICT
    assert set(known) == set(activations.registry)
    for name, function in known.items():
        assert activations.get(name).__name__ == function.__name__


@pytest.mark.parametrize("name", NAMES)
def test_gradcheck(name):
    x = (3 * torch.randn(3, 4, generator=torch.Generator().manual_seed(1))).double()
    x.requires_grad_()
    arguments = ARGUMENTS.get(name, {})
    assert torch.autograd.gradcheck(lambda t: getattr(activations, name)(t, **arguments), x)


def test_the_comparison_can_fail():
    x = inputs(torch.float32)
    with pytest.raises(AssertionError):  # the slope of the layer is not the slope of the function
        torch.testing.assert_close(activations.leaky_relu(x, 0.3), keras.activations.leaky_relu(x))


@given(st.lists(st.floats(-50, 50, width=32), min_size=1, max_size=20))
def test_sparsemax_is_the_projection_onto_the_simplex(values):
    x = torch.tensor(values, dtype=torch.float64)
    p = activations.sparsemax(x)
    assert p.min() >= 0
    torch.testing.assert_close(p.sum(), torch.tensor(1.0, dtype=torch.float64))
    # optimality: on the support x - p is one constant tau, off it x is at most tau
    tau = (x - p)[p > 0].max()
    assert (x - p)[p > 0].min() >= tau - 1e-9
    assert (x[p == 0] <= tau + 1e-9).all()


def test_sparsemax_of_keras_is_still_wrong():
    x = torch.tensor([[0.1, 1.1, 0.5]])
    assert keras.activations.sparsemax(x).sum() < 0.3
    torch.testing.assert_close(activations.sparsemax(x), torch.tensor([[0.0, 0.8, 0.2]]))
    swapped = activations.sparsemax(x.T, axis=0)
    torch.testing.assert_close(swapped, activations.sparsemax(x).T)


@pytest.mark.parametrize("name", NAMES)
def test_extreme_inputs_stay_finite(name):
    x = torch.tensor([[-1e4, -80.0, 0.0, 60.0]])
    y = getattr(activations, name)(x, **ARGUMENTS.get(name, {}))
    assert name == "exponential" or torch.isfinite(y).all()


@pytest.mark.parametrize("name", NAMES)
def test_torch_functions_only(name):
    """They record: no value is read, no type is asked for (a symbolic tensor is not a Tensor)."""
    seen = []

    class Recorder(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            seen.append(getattr(func, "__name__", str(func)))
            return func(*args, **(kwargs or {}))

    x = torch.randn(4, 6, device="meta")  # has no values to read
    with Recorder():
        y = getattr(activations, name)(x, **ARGUMENTS.get(name, {}))
    assert y.device.type == "meta"
    assert not any(called.endswith("_") and not called.endswith("__") for called in seen)


@pytest.mark.parametrize("name", NAMES)
def test_symbolic_tensors_are_recorded(name):
    for size in (8, None):
        x = stroma.Input((size, 4))
        y = getattr(activations, name)(x, **ARGUMENTS.get(name, {}))
        assert tuple(y.shape) == (None, size, 2 if name == "glu" else 4)
    if name.endswith("softmax"):
        assert tuple(getattr(activations, name)(x, axis=None).shape) == (None, None, 4)


def test_get():
    assert activations.get(None) is activations.linear
    assert activations.get("relu") is activations.relu
    assert activations.get(torch.sin) is torch.sin
    config = {"class_name": "function", "config": "gelu", "module": "builtins"}
    assert activations.get(config) is activations.gelu
    assert activations.serialize(activations.swish) == "silu"
    assert activations.deserialize("hard_swish") is activations.hard_silu
    with pytest.raises(ArgumentError, match="Did you mean 'relu'"):
        activations.get("rleu")
    with pytest.raises(TypeError):
        activations.get(3)
