"""What stands in a recorded call beside the tensors, and what must not depend on a probe's size."""

from __future__ import annotations

import copy
import pickle
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from stroma import layers, models
from stroma.core.errors import GraphError

Use = Callable[[Any], Any]

DEPENDENT: dict[str, Use] = {
    "numel": lambda i: (i.sum() / i.numel()).expand(1),
    "torch.numel": lambda i: i / torch.numel(i),
    "unbind": lambda i: torch.stack(i.unbind(0)),
    "split": lambda i: i.split(2, 0)[0],
    "torch.unbind": lambda i: torch.unbind(i)[0],
    "stride": lambda i: i.transpose(0, 1).contiguous().stride(),
}


class CountsRows(layers.Layer):
    def call(self, inputs: torch.Tensor) -> Any:
        return {"y": inputs, "rows": inputs.shape[0]}


class OneEach(layers.Layer):
    def call(self, inputs: torch.Tensor) -> Any:
        return {str(row): inputs for row in range(inputs.shape[0])}


class LosesAnAxis(layers.Layer):
    def call(self, inputs: torch.Tensor) -> Any:
        return inputs if inputs.shape[0] > 300 else inputs.sum(0)


@pytest.mark.parametrize("use", DEPENDENT.values(), ids=DEPENDENT.keys())
def test_sizes_of_the_probes_do_not_get_into_the_network(use: Use) -> None:
    with pytest.raises(GraphError, match="on a size that is not known yet") as caught:
        use(layers.Input((4,)))
    assert re.search(r"test_recorded_arguments\.py:\d+", caught.value.where)
    fixed = use(layers.Input((4,), batch_size=6))  # a known size is the same in every run
    assert fixed is not None


@pytest.mark.parametrize("layer", [CountsRows, OneEach, LosesAnAxis])
def test_layers_whose_results_depend_on_a_size(layer: type[layers.Layer]) -> None:
    with pytest.raises(GraphError, match="not known yet"):
        layer()(layers.Input((4,)))


def test_a_known_size_is_the_datas() -> None:
    i = layers.Input((4,), batch_size=2)
    model = models.Model(i, (i.sum() / i.numel()).expand(1))
    assert model(torch.ones(2, 4)).item() == 1
    i = layers.Input((4,))
    parts = i.unbind(1)
    assert len(parts) == 4
    assert models.Model(i, torch.stack(parts, 1))(torch.ones(3, 4)).shape == (3, 4)


NUMPY: dict[str, Use] = {
    "scalar": lambda i: i + np.float32(2),
    "from the left": lambda i: np.float64(2) * i,
    "dim": lambda i: torch.sum(i, dim=np.int64(1)),
    "in a shape": lambda i: torch.reshape(i, (-1, np.int64(2), 2)),
    "index": lambda i: i[:, np.int64(1)],
    "slice": lambda i: i[:, np.int64(1) : np.int64(3)],
    "index array": lambda i: i[:, np.array([0, 2])],
    "infinite": lambda i: torch.clamp(i, -float("inf"), float("inf")),
    "negative base": lambda i: (-2) ** i,
    "negative base, float": lambda i: (-2.0) ** (i * 2),
    "complex": lambda i: (i * complex("inf+1j")).imag,
}


@pytest.mark.parametrize("use", NUMPY.values(), ids=NUMPY.keys())
def test_numbers_of_numpy_and_of_python(use: Use) -> None:
    i = layers.Input((4,))
    model = models.Model(i, use(i))
    x = torch.tensor([[1.0, 2, 3, 4], [0, 1, 0, 2]])
    torch.testing.assert_close(model(x), use(x), equal_nan=True)
    torch.testing.assert_close(copy.deepcopy(model)(x), use(x), equal_nan=True)


def test_an_array_on_either_side() -> None:
    i = layers.Input((4,))
    model = models.Model(i, i * np.arange(4.0, dtype=np.float32))
    assert model(torch.ones(2, 4))[0].tolist() == [0, 1, 2, 3]
    model = models.Model(i, np.arange(4.0, dtype=np.float32) - i)
    assert model(torch.ones(2, 4))[0].tolist() == [-1, 0, 1, 2]


class Applies(layers.Layer):
    def call(self, inputs: torch.Tensor, fn: Any = None, table: Any = None) -> torch.Tensor:
        return fn(inputs) if table is None else inputs * table["a"].factor


class Setting:
    """An object of a user's: its text is no code at all."""

    factor = 3.0

    def __repr__(self) -> str:
        return "__import__('os').abort()"


def test_objects_of_the_user_are_handed_on() -> None:
    i, x = layers.Input((4,)), torch.ones(2, 4)
    assert models.Model(i, Applies()(i, fn=lambda t: t * 2))(x).sum() == 16
    assert models.Model(i, Applies()(i, fn=torch.neg))(x).sum() == -8
    model = models.Model(i, Applies()(i, table={"a": Setting()}))
    for again in (model, copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert again(x).sum() == 24
        assert list(again.state_dict()) == []
