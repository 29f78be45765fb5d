"""Constraints against Keras, on dense and convolution kernels, and what they promise."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from oracle import keras
from stroma import constraints
from stroma.core.errors import ArgumentError

CASES = [
    ("MaxNorm", {}), ("MaxNorm", {"max_value": 0.7, "axis": [0, 1, 2]}), ("NonNeg", {}),
    ("UnitNorm", {}), ("UnitNorm", {"axis": [0, 1, 2]}), ("MinMaxNorm", {}),
    ("MinMaxNorm", {"min_value": 0.5, "max_value": 0.8, "rate": 0.3, "axis": [0, 1, 2]}),
    ("MinMaxNorm", {"min_value": 3.0, "max_value": 4.0, "axis": 1}),
]  # fmt: skip


def kernel() -> torch.Tensor:
    return torch.randn(3, 3, 4, 5, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("name", "arguments"), CASES, ids=str)
def test_values_equal_keras(name, arguments):
    ours = getattr(constraints, name)(**arguments)
    theirs = getattr(keras.constraints, name)(**arguments)
    torch.testing.assert_close(ours(kernel()), theirs(kernel()), rtol=1e-5, atol=1e-7)
    config = constraints.serialize(ours)
    torch.testing.assert_close(constraints.deserialize(config)(kernel()), ours(kernel()))
    torch.testing.assert_close(keras.constraints.deserialize(config)(kernel()), ours(kernel()))


@given(st.floats(0.1, 5), st.integers(0, 3))
def test_max_norm_holds_and_moves_no_more_than_it_must(limit, axis):
    w = kernel()
    held = constraints.MaxNorm(limit, axis=axis)(w)
    norm = torch.linalg.vector_norm(held, dim=axis)
    assert (norm <= limit * (1 + 1e-5)).all()
    short = (torch.linalg.vector_norm(w, dim=axis, keepdim=True) <= limit).expand_as(w)
    torch.testing.assert_close(held[short], w[short], rtol=1e-5, atol=1e-6)


def test_the_axis_matters():
    with pytest.raises(AssertionError):
        torch.testing.assert_close(
            constraints.UnitNorm()(kernel()), keras.constraints.UnitNorm([0, 1, 2])(kernel())
        )


def test_zero_stays_zero():
    for name in constraints.registry.canonical():
        assert torch.equal(constraints.get(name)(torch.zeros(2, 2)), torch.zeros(2, 2))


def test_get():
    for name in keras.src.constraints.ALL_OBJECTS_DICT:
        if name.lower() != "constraint":
            assert isinstance(constraints.get(name), constraints.Constraint)
    assert constraints.get(None) is None
    with pytest.raises(ArgumentError, match="Did you mean 'max_norm'"):
        constraints.get("max_nrom")
    with pytest.raises(ArgumentError):
        constraints.MinMaxNorm(min_value=2.0, max_value=1.0)
