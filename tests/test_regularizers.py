"""Regularizers against Keras (values and gradients), configs and lookup."""

import pytest
import torch

from oracle import keras
from stroma import regularizers
from stroma.core.errors import ArgumentError, ShapeError

CASES = [
    ("L1", {}), ("L1", {"l1": 0.3}), ("L2", {}), ("L2", {"l2": 0.2}), ("L1L2", {}),
    ("L1L2", {"l1": 0.1, "l2": 0.2}), ("L1L2", {"l2": 0.1}), ("OrthogonalRegularizer", {}),
    ("OrthogonalRegularizer", {"factor": 0.5, "mode": "columns"}),
]  # fmt: skip


def matrix() -> torch.Tensor:
    return torch.randn(6, 4, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("name", "arguments"), CASES, ids=str)
def test_values_and_gradients_equal_keras(name, arguments):
    ours, theirs = matrix().requires_grad_(), matrix().requires_grad_()
    penalty = getattr(regularizers, name)(**arguments)(ours)
    expected = getattr(keras.regularizers, name)(**arguments)(theirs)
    torch.testing.assert_close(penalty, expected, rtol=1e-5, atol=1e-7)
    if expected.requires_grad:
        penalty.backward()
        expected.backward()
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-4, atol=1e-7)


def test_l2_has_no_half():
    assert regularizers.l2(1.0)(torch.tensor([3.0, 4.0])) == 25.0
    with pytest.raises(AssertionError):
        torch.testing.assert_close(
            regularizers.l2(1.0)(matrix()), 0.5 * keras.regularizers.L2(1.0)(matrix())
        )


def test_orthogonal_rows_cost_nothing():
    assert regularizers.OrthogonalRegularizer()(torch.eye(3)) == 0
    parallel = torch.ones(3, 2)
    torch.testing.assert_close(regularizers.OrthogonalRegularizer(0.5)(parallel), torch.tensor(0.5))
    with pytest.raises(ShapeError, match="matrix"):
        regularizers.OrthogonalRegularizer()(torch.ones(3))


@pytest.mark.parametrize(("name", "arguments"), CASES, ids=str)
def test_configs_go_round_and_keras_reads_them(name, arguments):
    config = regularizers.serialize(getattr(regularizers, name)(**arguments))
    again = regularizers.deserialize(config)
    theirs = keras.regularizers.deserialize(config)
    torch.testing.assert_close(again(matrix()), theirs(matrix()))


def test_get():
    for name in keras.src.regularizers.ALL_OBJECTS_DICT:
        if name.lower() != "regularizer":
            assert isinstance(regularizers.get(name), regularizers.Regularizer)
    assert regularizers.get(None) is None
    assert regularizers.get(torch.sum) is torch.sum
    with pytest.raises(ArgumentError, match="l1"):
        regularizers.L1(-1.0)
    with pytest.raises(ArgumentError):
        regularizers.L2(float("inf"))
    with pytest.raises(ArgumentError, match="Did you mean 'l1_l2'"):
        regularizers.get("l1_12")
