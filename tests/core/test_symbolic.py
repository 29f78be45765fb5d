"""Symbolic tensors: what is recorded computes what the same code computes on tensors."""

import operator

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from stroma import layers
from stroma.core.errors import GraphError, ShapeError
from stroma.core.symbolic import SymbolicTensor
from stroma.network.network import Network

CONSTANT = torch.linspace(0.5, 2, 4)
MATRIX = torch.arange(12.0).reshape(4, 3) / 10

USES = {
    "x + 1": lambda x: x + 1,
    "1 + x": lambda x: 1 + x,
    "x - c": lambda x: x - CONSTANT,
    "c - x": lambda x: CONSTANT - x,
    "2 - x": lambda x: 2 - x,
    "x * x": lambda x: x * x,
    "c * x": lambda x: CONSTANT * x,
    "x / 3": lambda x: x / 3,
    "3 / x": lambda x: 3 / (x + 10),
    "c / x": lambda x: CONSTANT / (x + 10),
    "x // 2": lambda x: x // 2,
    "7 // x": lambda x: 7 // (x + 10),
    "x % 2": lambda x: x % 2,
    "x ** 2": lambda x: x**2,
    "2 ** x": lambda x: 2**x,
    "x @ m": lambda x: x @ MATRIX,
    "m @ x": lambda x: MATRIX @ x.transpose(-1, -2)[:, :3],
    "-x": lambda x: -x,
    "abs": abs,
    "x < 0": lambda x: x < 0,
    "0 < x": lambda x: 0 < x,  # noqa: SIM300
    "x == x": lambda x: x == x,
    "c >= x": lambda x: CONSTANT >= x,  # noqa: SIM300
    "~, &, |, ^": lambda x: ~(x > 0) & (x < 1) | (x > 2) ^ (x > 3),
    "item": lambda x: x[:, 0],
    "slice": lambda x: x[:, ::2, 1:] * 2,
    "ellipsis": lambda x: x[..., -1],
    "new axis": lambda x: x[:, None],
    "by tensor": lambda x: x[:, torch.tensor([2, 0])],
    "method": lambda x: x.mean(dim=1, keepdim=True),
    "method by position": lambda x: x.reshape(-1, 20),
    "attribute": lambda x: x.mT,
    "function": lambda x: torch.sin(x) + F.gelu(x),
    "constant first": lambda x: torch.maximum(CONSTANT, x),
    "list of tensors": lambda x: torch.cat([x, x * 2, torch.ones_like(x)], dim=-1),
    "stack": lambda x: torch.stack((x, -x), 1),
    "where": lambda x: torch.where(x > 0, x, CONSTANT),
    "numpy constant": lambda x: x + torch.from_numpy(np.float32([1, 2, 3, 4])),
    "chunk": lambda x: x.chunk(2, dim=-1)[1],
    "several outputs": lambda x: torch.max(x, dim=-1).values,
    "unpacked": lambda x: (lambda a, b: a + b)(*x.split(2, dim=-1)),
    "top k": lambda x: torch.topk(x, 2).indices,
    "einsum": lambda x: torch.einsum("btc,cd->btd", x, MATRIX),
    "flatten": lambda x: x.flatten(1),
    "cast": lambda x: x.to(torch.float64),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_what_is_recorded_is_what_is_computed(use):
    entry = layers.Input((5, 4))
    recorded = use(entry)
    assert isinstance(recorded, SymbolicTensor)
    for batch in (1, 3):
        x = torch.randn(batch, 5, 4)
        expected, y = use(x), Network(entry, recorded)(x)
        torch.testing.assert_close(y, expected, rtol=0, atol=0, equal_nan=True)
        assert recorded.dtype == expected.dtype
        assert len(recorded.shape) == expected.dim()
        for promised, real in zip(recorded.shape, expected.shape):
            assert promised in (None, real)


@settings(deadline=None, max_examples=25)
@given(
    st.sampled_from([operator.add, operator.sub, operator.mul, operator.truediv]),
    st.floats(-8, 8).filter(lambda number: abs(number) > 0.1),
    st.booleans(),
)
def test_operators_either_way_round(function, number, swapped):
    entry = layers.Input((3,))
    x = torch.rand(2, 3) + 1
    apply = (lambda a: function(number, a)) if swapped else (lambda a: function(a, number))
    assert torch.equal(Network(entry, apply(entry))(x), apply(x))


def test_what_is_known_without_numbers():
    x = layers.Input((None, 7), dtype="int32")
    assert (x.shape, x.ndim, x.dim(), x.dtype) == ((None, None, 7), 3, 3, torch.int32)
    assert (x.size(), x.size(-1)) == ((None, None, 7), 7)
    assert repr(x) == "<SymbolicTensor shape=(None, None, 7) dtype=int32>"
    assert len({x, x}) == 1
    with pytest.raises(AttributeError, match="no attribute 'flattened'"):
        x.flattened  # noqa: B018


NEEDS_NUMBERS = {
    "bool": bool,
    "float": float,
    "int": int,
    "len": len,
    "numpy": lambda x: x.numpy(),
    "asarray": np.asarray,
    "item": lambda x: x.item(),
    "tolist": lambda x: x.tolist(),
    "in": lambda x: 3 in x,
    "if": lambda x: 1 if x > 0 else 2,
    "range": lambda x: range(x),
    "mask": lambda x: x[x > 0],
    "backward": lambda x: x.backward(),
}


@pytest.mark.parametrize("use", NEEDS_NUMBERS.values(), ids=NEEDS_NUMBERS)
def test_what_needs_numbers_says_so(use):
    with pytest.raises(GraphError) as caught:
        use(layers.Input((4,)))
    assert caught.value.why and caught.value.fix


@pytest.mark.parametrize(
    "use",
    [
        lambda x: x.add_(1),
        lambda x: torch.relu_(x),
        lambda x: operator.setitem(x, 0, 1.0),
        lambda x: F.relu(x, inplace=True),
    ],
)
def test_in_place_is_refused(use):
    with pytest.raises(GraphError):
        use(layers.Input((4,)))


def test_shapes_that_do_not_fit_name_the_operation():
    with pytest.raises(ShapeError, match=r"\(None, 4\)"):
        layers.Input((4,)) @ torch.ones(3, 2)
