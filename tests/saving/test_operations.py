"""The table of operations: what is written is read back as the same function, here and in Keras."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from oracle import keras
from stroma import layers, models
from stroma.saving import operation_names, operations

OPERATIONS: dict[str, Any] = {
    "max": lambda x: x.max(),
    "max along": lambda x: x.max(-1)[0],
    "mT": lambda x: x.mT,
    "casts": lambda x: x.to(torch.float16).float(),
    "view": lambda x: x.view(-1, 24),
    "flatten": lambda x: x.flatten(1),
    "einsum": lambda x: torch.einsum("bij,bkj->bik", x, x),
    "matmul": lambda x: x @ x.mT,
    "signs": lambda x: abs(-x),
    "right-hand numbers": lambda x: (1 - x) * 2**x + x % 2 - x // 2,
    "comparisons": lambda x: (x > 0) & ~(x >= 1) | (x == 2),
    "new axis": lambda x: x[..., None, :],
    "list of positions": lambda x: x[:, [0, 2]],
    "slices": lambda x: x[:, -1:, ::2],
    "where": lambda x: torch.where(x > 0, x, 0.0),
    "pad": lambda x: F.pad(x, (1, 1)),
    "softmax": lambda x: F.softmax(x, dim=-1) + x.log_softmax(1),
    "gelu": lambda x: F.gelu(x) + F.gelu(x, approximate="tanh"),
    "leaky": lambda x: F.leaky_relu(x, 0.1) + F.leaky_relu(x) + F.elu(x),
    "relu": lambda x: F.relu(x) + torch.relu(x) + x.relu() + F.relu6(x),
    "split": lambda x: x.split(2, dim=1)[1] - torch.chunk(x, 2, 1)[0],
    "stack": lambda x: torch.stack([x, x * 2], 1),
    "sums": lambda x: x.sum((1, 2)) + x.mean() + torch.amax(x, (1, 2)),
    "spread": lambda x: x.std(-1) + x.var(-1, correction=0),
    "clamp": lambda x: x.clamp(0, 1) - x.clamp(min=0.5),
    "norm": lambda x: F.normalize(x, dim=-1) + x.norm(dim=-1, keepdim=True),
    "topk": lambda x: x.topk(2)[0],
    "argmax": lambda x: x.argmax(-1),
    "one-hot": lambda x: F.one_hot(x.argmax(-1), 6),
    "axes": lambda x: x.permute(0, 2, 1).transpose(1, 2).unsqueeze(1).squeeze(1),
    "repeat": lambda x: x.repeat(1, 2, 1),
    "alpha": lambda x: torch.add(x, x, alpha=2),
    "constant": lambda x: x * torch.arange(6.0),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_written_and_read_back(name: str, tmp_path: Path) -> None:
    x = layers.Input((4, 6))
    model = models.Model(x, OPERATIONS[name](x))
    data = torch.from_numpy(np.random.default_rng(0).normal(size=(3, 4, 6)).astype("float32"))
    expected = OPERATIONS[name](data)
    path = model.save(tmp_path / "model.keras")
    found = models.load_model(path)(data)
    assert torch.equal(found, expected) and found.dtype is expected.dtype
    ours = any(f'"{operations.OWN_MODULE}"' in part for part in [model.to_json()])
    if not ours:  # named as Keras names it: then Keras must compute the same
        there = keras.models.load_model(path)(data.numpy(), training=False).detach()
        np.testing.assert_allclose(there.numpy(), expected.numpy(), atol=1e-5)


def test_the_table_is_two_way() -> None:
    for name, (kind, target) in operations._OWN.items():
        assert operations.find_operation(operations.OWN_MODULE, name) is not None
        other = operations._OWN_NAMES[kind, target]
        assert operations._OWN[other] == (kind, target)


def test_nothing_in_the_table_reaches_outside() -> None:
    """No in-place functions, no files, no random numbers, no functions that take functions."""
    words = {*operation_names.BOTH, *operation_names.TORCH_ONLY, *operation_names.METHODS_ONLY,
             *operation_names.FUNCTIONAL}  # fmt: skip
    assert not [word for word in words if word.endswith("_")]
    forbidden = {"save", "load", "normal", "bernoulli", "multinomial", "apply", "map_", "dropout"}
    assert not words & forbidden and not [word for word in words if word.startswith("rand")]


def test_a_wrong_entry_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The planted mistake: two functions swapped in the table give another network."""
    swapped = dict(operations.READERS) | {"Relu": torch.sigmoid}
    monkeypatch.setattr(operations, "READERS", swapped)
    with pytest.raises(AssertionError):
        test_written_and_read_back("relu", tmp_path)
