"""The graphs that break frameworks: each built, its shapes checked against reality at two sizes,
trained one step, compiled and exported equal to eager, and saved and loaded again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils._pytree import tree_flatten, tree_map

import stroma
from stroma import layers, models
from stroma.core.errors import ShapeError, StromaError
from stroma.layers import BatchNormalization, Conv2D, Dense, Dropout, Flatten, Input


class Shift(layers.Layer):
    """A tensor constant and arange inside a user's layer."""

    table = torch.tensor([1.0, 2.0, 3.0, 4.0])

    def call(self, inputs: torch.Tensor) -> torch.Tensor:
        return inputs * self.table + torch.arange(inputs.shape[-1])


class KerasStyle(layers.Layer):
    """Sublayers made lazily in a list, add_weight, assign_add, training, mask, **kwargs."""

    def __init__(self, units: int, depth: int = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units, self.depth = units, depth
        self.blocks: list[Any] = []
        self.dropout = Dropout(0.5)
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        for _ in range(self.depth):
            self.blocks.append(Dense(self.units, activation="relu"))
        self.scale = self.add_weight(shape=(self.units,), initializer="ones", name="scale")
        self.calls = self.add_weight(shape=(), initializer="zeros", trainable=False, name="calls")
        super().build(input_shape)

    def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        x = inputs
        for block in self.blocks:
            x = block(x)
        if training:
            self.calls.assign_add(1.0)
        return self.dropout(x, training=training) * self.scale

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.update({"units": self.units, "depth": self.depth})
        return config


class NeedsNumbers(layers.Layer):
    """Reads a number off the data: it cannot run on no numbers, and declares its shape."""

    def call(self, inputs: torch.Tensor) -> torch.Tensor:
        return inputs * (1.0 if inputs.abs().max().item() >= 0 else 2.0)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape


class MaskMaker(layers.Layer):
    """Marks steps whose features are all zero as masked."""

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return (inputs != 0).any(-1)

    def call(self, inputs: Any) -> Any:
        return inputs


class MaskedMean(layers.Layer):
    """Mean over the steps that are not masked."""

    def call(self, inputs: torch.Tensor, mask: Any = None) -> torch.Tensor:
        if mask is None:
            return inputs.mean(1)
        weight = mask.to(inputs.dtype).unsqueeze(-1)  # (B, T, 1)
        return (inputs * weight).sum(1) / weight.sum(1).clamp(min=1.0)


def shared() -> Any:
    a, b = Input((4,), name="a"), Input((4,), name="b")
    tower = Dense(3, activation="tanh")
    return models.Model([a, b], Dense(1)(layers.Concatenate()([tower(a), tower(b)])))


def nested() -> Any:
    x = Input((8, 8, 3))
    h = Conv2D(4, 3, padding="same", name="features")(x)
    whole = models.Model(x, Dense(2)(Flatten()(h)))
    features = models.Model(whole.input, whole.get_layer("features").output, name="cut")
    y = Input((8, 8, 3))
    return models.Model(y, Dense(1)(layers.GlobalAveragePooling2D()(features(y))))


def output_name() -> Any:
    x = Input((4,))
    return models.Model(x, Dense(2, name="output")(Dense(3, name="train")(x)))


def keras_style() -> Any:
    x = Input((4,))
    return models.Model(x, Dense(1)(KerasStyle(4, depth=2)(x)))


def constant() -> Any:
    x = Input((4,))
    return models.Model(x, Dense(1)(Shift()(x)))


def torch_module() -> Any:
    x = Input((8, 8, 3))
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True))
    h = layers.TorchModuleWrapper(module, layout="NCHW")(x)
    return models.Model(x, Dense(1)(Flatten()(h)))


def operators() -> Any:
    x = Input((8,))
    a, b = (x[:, ::2] * 2).chunk(2, dim=-1)
    return models.Model(x, Dense(1)(torch.cat([a, torch.relu(b) - 1], dim=-1)))


def dicts() -> Any:
    a, b = Input((4,), name="left"), Input((3,), name="right")
    h = layers.Concatenate()([a, b])
    return models.Model({"left": a, "right": b}, {"big": Dense(2)(h), "small": Dense(1)(h)})


def numbers() -> Any:
    x = Input((4,))
    return models.Model(x, Dense(1)(NeedsNumbers()(x)))


def masks() -> Any:
    x = Input((None, 4))
    return models.Model(x, Dense(1)(MaskedMean()(layers.Activation("relu")(MaskMaker()(x)))))


def five_strides() -> Any:
    x = Input((None, None, 3))
    h = x
    for _ in range(5):
        h = Conv2D(4, 3, strides=2, padding="same")(h)
        h = BatchNormalization()(h)
    return models.Model(x, Dense(1)(layers.GlobalAveragePooling2D()(h)))


GRAPHS: dict[str, tuple[Callable[[], Any], Callable[[int], Any]]] = {
    "shared layer": (shared, lambda n: [torch.randn(n, 4), torch.randn(n, 4)]),
    "nested and cut": (nested, lambda n: torch.randn(n, 8, 8, 3)),
    "name=output": (output_name, lambda n: torch.randn(n, 4)),
    "Keras-style layer": (keras_style, lambda n: torch.randn(n, 4)),
    "tensor constant": (constant, lambda n: torch.randn(n, 4)),
    "torch module": (torch_module, lambda n: torch.randn(n, 8, 8, 3)),
    "operators and chunk": (operators, lambda n: torch.randn(n, 8)),
    "dicts": (dicts, lambda n: {"left": torch.randn(n, 4), "right": torch.randn(n, 3)}),
    "item()": (numbers, lambda n: torch.randn(n, 4)),
    "masks": (masks, lambda n: torch.randn(n, n + 2, 4) * (torch.rand(n, n + 2, 1) > 0.4)),
    "unknown sizes": (five_strides, lambda n: torch.randn(n, 32 * n, 32, 3)),
}
CUSTOM = {c.__name__: c for c in (KerasStyle, Shift, NeedsNumbers, MaskMaker, MaskedMean)}
names = pytest.mark.parametrize("name", list(GRAPHS))


@names
def test_recorded_shapes_are_the_real_ones_at_two_sizes(name: str) -> None:
    build, data = GRAPHS[name]
    model = build()
    for size in (2, 5):
        real = tree_flatten(model(data(size)))[0]
        for declared, output in zip((t.shape for t in model.outputs), real):
            assert len(declared) == output.dim()
            assert all(d in (None, r) for d, r in zip(declared, output.shape))
            assert declared[0] is None and output.shape[0] == size


@names
def test_one_training_step_moves_every_trainable_weight(name: str) -> None:
    build, data = GRAPHS[name]
    stroma.set_random_seed(3)
    model = build()
    x = data(16)
    y = tree_map(lambda out: torch.randn_like(out), model(x))
    before = [w.detach().clone() for w in model.parameters()]
    model.compile(optimizer="sgd", loss="mse")
    if isinstance(y, dict):
        model.compile(optimizer="sgd", loss={"big": "mse", "small": "mae"})
    model.fit(x, y, batch_size=16, epochs=1, verbose=0, seed=1)
    moved = [not torch.equal(a, b) for a, b in zip(before, model.parameters())]
    # a convolution's bias before BatchNorm has no gradient beyond rounding
    assert all(m or w.dim() == 1 for m, w in zip(moved, model.parameters())) and any(moved)


@names
def test_compiled_and_exported_equal_eager(name: str) -> None:
    build, data = GRAPHS[name]
    model, x = build(), data(3)
    eager = tree_flatten(model(x))[0]
    if name == "item()":  # numbers read by Python cannot be traced: torch itself says so
        with pytest.raises(Exception, match=r"item|data-dependent|guard"):
            torch.export.export(model, (x,))
        return
    torch._dynamo.reset()
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    for a, b in zip(eager, tree_flatten(compiled(x))[0]):
        torch.testing.assert_close(a, b)
    exported = torch.export.export(model, (x,)).module()
    for a, b in zip(eager, tree_flatten(exported(x))[0]):
        torch.testing.assert_close(a, b)


@names
def test_saved_and_loaded_computes_the_same(name: str, tmp_path: Path) -> None:
    build, data = GRAPHS[name]
    model, x = build(), data(3)
    if name == "torch module":
        with pytest.raises(StromaError, match="TorchModuleWrapper"):
            model.save(tmp_path / "model.keras")
        model.save_weights(tmp_path / "model.safetensors")
        loaded = build()
        loaded.load_weights(tmp_path / "model.safetensors")
    else:
        model.save(tmp_path / "model.keras")
        loaded = models.load_model(tmp_path / "model.keras", custom_objects=CUSTOM)
    assert list(loaded.state_dict()) == list(model.state_dict())
    for a, b in zip(tree_flatten(model(x))[0], tree_flatten(loaded(x))[0]):
        torch.testing.assert_close(a, b)


def test_unknown_sizes_then_flatten_and_dense_is_a_clear_error() -> None:
    x = Input((None, None, 3))
    h = x
    for _ in range(5):
        h = Conv2D(4, 3, strides=2, padding="same")(h)
    assert h.shape == (None, None, None, 4)
    with pytest.raises(ShapeError, match="GlobalAveragePooling2D"):
        Dense(10)(Flatten()(h))


def test_masked_steps_do_not_count() -> None:
    model = masks()
    x = torch.randn(2, 3, 4)
    padded = torch.cat([x, torch.zeros(2, 5, 4)], dim=1)
    torch.testing.assert_close(model(x), model(padded))


def test_training_reaches_sublayers_and_state_is_untouched_by_shapes() -> None:
    model = keras_style()
    layer = model.get_layer("keras_style")
    assert float(layer.calls) == 0.0  # the shape run left no trace
    out = model(torch.randn(64, 4), training=True)
    assert float(layer.calls) == 1.0
    assert len(out.unique()) > 2


def test_the_same_code_twice_gives_equal_keys_and_weights() -> None:
    def make() -> Any:
        stroma.set_random_seed(7)
        return five_strides()

    first, second = make().state_dict(), make().state_dict()
    assert list(first) == list(second)
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_names_that_are_attributes_get_an_underscore() -> None:
    assert next(iter(output_name().state_dict())) == "train_.weight"


@pytest.mark.parametrize(
    "break_it",
    [
        lambda x: bool(x),
        lambda x: float(x),
        lambda x: x.item(),
        lambda x: np.asarray(x),
        lambda x: x.numpy(),
        lambda x: x[x > 0],
        lambda x: x.relu_(),
        lambda x: torch.nn.functional.dropout(x),
        lambda x: nn.Linear(4, 2)(x),
        lambda x: torch.add(x, 1, out=torch.zeros(1)),
        lambda x: x.__setitem__(0, 1),
        lambda x: list(x),
    ],
)
def test_what_cannot_be_recorded_says_why(break_it: Callable[[Any], Any]) -> None:
    with pytest.raises(StromaError) as caught:
        break_it(Input((4,)))
    assert {"what", "where", "why", "try"} <= set(caught.value.parts())
