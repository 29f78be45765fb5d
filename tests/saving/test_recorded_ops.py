"""Operations on symbolic tensors: recorded, run and saved under Keras' names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import test_keras_operations as graphs  # what Keras' own graphs were made of
import torch

from oracle import keras
from stroma import Input, Model, layers, ops
from stroma.core.errors import StromaError

INPUTS = (graphs.X, graphs.OTHER, graphs.COUNTS)


@pytest.mark.parametrize("name", [name for name in graphs.MADE if name != "grey"])
def test_recorded_run_and_opened_by_keras(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graphs, "ops", ops)
    made = [Input((4, 6)), Input((4, 6)), Input((4,), dtype="int32")]
    model = Model(made, graphs.MADE[name](*made))
    found = model(list(map(torch.from_numpy, INPUTS)))
    eager = graphs.MADE[name](*map(torch.from_numpy, INPUTS))
    theirs = keras.models.load_model(model.save(tmp_path / "model.keras"), safe_mode=False)
    expected = theirs(list(INPUTS))
    for mine, alone, wanted in zip(*([y] if not isinstance(y, (list, tuple)) else y
                                     for y in (found, eager, expected))):  # fmt: skip
        assert torch.allclose(mine.double(), wanted.double(), atol=1e-5, equal_nan=True)
        assert torch.allclose(alone.double(), wanted.double(), atol=1e-5, equal_nan=True)


def test_one_operation_is_one_node(tmp_path: Path) -> None:
    x = Input((4, 6), batch_size=3)
    text = Model(x, ops.segment_sum(ops.mean(x, axis=1), [0, 1, 0], num_segments=2)).to_json()
    assert text.count('"module": "keras.src.ops') == 2
    assert '"SegmentSum"' in text and '"Mean"' in text


def test_in_a_layer_of_ones_own() -> None:
    class Attend(layers.Layer):
        def build(self, input_shape: Any) -> None:
            self.w = self.add_weight(shape=(input_shape[-1], 1), name="w")

        def call(self, inputs: torch.Tensor) -> Any:
            scores = ops.softmax(ops.matmul(inputs, self.w), axis=1)
            return ops.sum(scores * inputs, axis=1)

    model = Model(x := Input((5, 3)), Attend()(x))
    data = torch.rand(2, 5, 3)
    weights = torch.softmax(data @ model.weights[0], 1)
    assert torch.allclose(model(data), (weights * data).sum(1))
    model(data).sum().backward()
    assert model.weights[0].grad is not None


def test_gradients_are_those_of_keras() -> None:
    for name in (
        "exp",
        "logsumexp",
        "softmax",
        "sum",
        "mean",
        "var",
        "std",
        "max",
        "min",
        "prod",
        "nansum",
        "nanmean",
        "nanvar",
        "norm",
        "sort",
        "cumprod",
        "gelu",
    ):
        grads = []
        for module in (ops, keras.ops):
            x = torch.from_numpy(graphs.X).requires_grad_()
            (getattr(module, name)(x) ** 2).sum().backward()
            grads.append(x.grad)
        assert torch.allclose(*grads, rtol=1e-4, atol=1e-5), name


def test_what_cannot_be_recorded_says_so() -> None:
    x = Input((3,))
    with pytest.raises(StromaError):
        ops.cond(ops.sum(x) > 0, lambda: x, lambda: -x)
    with pytest.raises(StromaError):
        ops.convert_to_numpy(x)


def test_numbers_lists_and_arrays_beside_symbolic_tensors() -> None:
    x = Input((3,))
    y = ops.where(x > 0.5, ops.multiply(x, [1.0, 2.0, 3.0]), np.array([1, 1, 1], "float32"))
    found = Model(x, ops.maximum(y, 0.7))(torch.tensor([[0.1, 0.6, 0.9]]))
    assert found.tolist() == [pytest.approx([1.0, 1.2, 2.7])]
