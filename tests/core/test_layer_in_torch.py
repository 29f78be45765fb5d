"""A layer among torch's own: dtypes that `.to()` changes, plain modules, penalties, pickles."""

import copy
import pickle

import numpy as np
import pytest
import torch
from torch import nn

from stroma import Model, Sequential, layers
from stroma.core.errors import ArgumentError, ShapeError, WeightsError

X = torch.linspace(-1, 1, 2 * 8 * 8 * 3).reshape(2, 8, 8, 3)


def photos():
    return Sequential(
        [
            layers.Input((8, 8, 3)),
            layers.Conv2D(4, 3, activation="relu"),
            layers.BatchNormalization(),
            layers.GlobalAveragePooling2D(),
            layers.Dense(2),
        ]
    )


# dtypes


def test_layers_follow_double():
    model = photos()
    expected = model(X)
    y = model.double()(X.double())
    assert y.dtype is torch.float64
    assert model.layers[1].compute_dtype == model.layers[1].dtype == "float64"
    torch.testing.assert_close(y.float(), expected)
    # the input is not rounded to float32 on its way in
    x = X.double() + 1e-9
    assert not torch.equal(model(x), model(x.float()))
    assert torch.autograd.gradcheck(model, (X[:1].double().requires_grad_(),))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_single_layers_follow_to(dtype):
    for layer in (layers.Dense(3), layers.ReLU(), layers.Flatten()):
        layer(torch.ones(2, 4))
        assert layer.to(dtype)(torch.ones(2, 4, dtype=dtype)).dtype is dtype
        assert layer(torch.ones(2, 4)).dtype is dtype
    assert layers.Dense(3).to(dtype)(torch.ones(2, 4)).dtype is dtype  # not yet built
    assert layer.get_config()["dtype"] == layer.compute_dtype
    assert layer.to("meta").dtype == layer.compute_dtype


def test_a_mixed_policy_stays_mixed():
    layer = layers.Dense(3, dtype="mixed_bfloat16")
    layer(torch.ones(2, 4))
    assert layer.float()(torch.ones(2, 4)).dtype is torch.bfloat16
    assert layer.dtype == "float32"


# penalties


class Inner(layers.Layer):
    def call(self, inputs):
        self.add_loss(inputs.mean())
        return inputs


class Outer(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.inner = Inner()

    def call(self, inputs):
        return self.inner(self.inner(inputs))


@pytest.mark.parametrize("make", [lambda: layers.Dense(2, activity_regularizer="l2"), Inner, Outer])
def test_penalties_are_those_of_the_last_call(make):
    def graph():
        x = layers.Input((4,))
        return Model(x, make()(x))

    for model in (make(), graph()):
        x = torch.ones(2, 4, requires_grad=True)
        for _ in range(3):
            model(x)
        assert len(model.losses) == (2 if make is Outer else 1)
        model(x * 2)
        assert sum(model.losses) != 0
        assert copy.deepcopy(model).losses == []
        model.compute_output_shape((None, 4))
        assert model.losses


# plain modules


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = layers.Conv2D(4, 3, input_shape=(8, 8, 3))
        self.heads = nn.ModuleList([layers.Dense(2, input_shape=(4,))])

    def forward(self, x):
        return self.heads[0](self.conv(x).mean((1, 2)))


def test_declared_shapes_build_in_a_plain_module():
    net = Net()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    net(X).sum().backward()
    optimizer.step()
    assert sum(p.numel() for p in net.parameters()) == 3 * 3 * 3 * 4 + 4 + 4 * 2 + 2
    other = Net()
    other.load_state_dict(net.state_dict())
    torch.testing.assert_close(other(X), net(X))


def test_a_sequential_still_builds_its_own():
    wrong = layers.Dense(2, input_shape=(99,))  # only the first layer's is read, as in Keras
    model = Sequential([layers.Dense(3, input_shape=(4,)), wrong])
    assert model(torch.ones(1, 4)).shape == (1, 2)


def test_loading_into_a_layer_without_weights():
    saved = layers.Dense(3)
    saved(torch.ones(1, 4))
    declared = layers.Dense(3, input_shape=(4,))
    declared.load_state_dict(saved.state_dict())
    assert torch.equal(declared.weight, saved.weight)
    holder = nn.ModuleDict({"head": layers.Dense(3)})
    state = {f"head.{key}": value for key, value in saved.state_dict().items()}
    with pytest.raises(WeightsError, match="layer 'head' has no weights") as caught:
        holder.load_state_dict(state)
    assert list(caught.value.parts()) == ["what", "where", "why", "try"]
    with pytest.raises(WeightsError):
        holder.load_state_dict(state, strict=False)


def test_weights_have_keras_names():
    layer = layers.Dense(3)
    layer(torch.ones(1, 4))
    assert [weight.name for weight in layer.double().weights] == ["kernel", "bias"]
    assert [weight.name for weight in copy.deepcopy(layer).weights] == ["kernel", "bias"]


# pickles and figures of compiled models


@pytest.mark.parametrize("fitted", [False, True])
def test_a_compiled_model_pickles(fitted):
    model = photos()
    model.compile("adam", "mse", metrics=["mae"])
    y = np.ones((2, 2), "float32")
    if fitted:
        model.fit(X.numpy(), y, verbose=0)
    for other in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        torch.testing.assert_close(other(X), model(X))
        assert other.optimizer.learning_rate == pytest.approx(0.001)
        assert len(other.optimizer.variables) == len(model.optimizer.variables)
        before = other.get_weights()[0]
        other.fit(X.numpy(), y, verbose=0)
        assert not np.array_equal(before, other.get_weights()[0])


# names and shapes of a subclass


class Listed(Model):
    def __init__(self):
        super().__init__()
        self.blocks = [layers.Dense(4), layers.Dense(4)]
        self.heads = {"a": layers.Dense(2)}

    def call(self, x):
        for block in self.blocks:
            x = block(x)
        return self.heads["a"](x)


def test_a_subclass_shows_the_layers_in_its_lists():
    model = Listed()
    model(torch.ones(1, 3))
    rows = {row.name: row for row in model.design()}
    assert list(rows) == ["blocks.0", "blocks.1", "heads.a"]
    assert rows["blocks.0"].output_shape == (None, 4)
    lines = []
    model.summary(print_fn=lines.append)
    assert any("heads.a (Dense)" in line and "(None, 2)" in line for line in lines)
    assert model.get_layer("blocks.1") is model.blocks[1]
    with pytest.raises(ArgumentError, match="3 layers named 'dense'") as caught:
        model.get_layer("dense")
    assert "blocks.0, blocks.1, heads.a" in caught.value.fix


# the missing axis


@pytest.mark.parametrize(
    ("declared", "given", "fixes"),
    [
        ((8, 8, 3), (8, 8, 3), ["x[None]"]),
        ((None, None, 3), (24, 8, 8), ["x[..., None], and 3 channels"]),
        ((None, None, None), (24, 8, 8), ["x[None]", "x[..., None]"]),
        ((8, 8, 3), (5, 5, 5), ["x[None]"]),
        ((8, 8, 1), (8, 8, 1), ["x[None]"]),
        ((8, 8, 1), (8, 8), ["x[None, ..., None]"]),
        ((8, 8, 3), (3, 8, 8), ["x.permute(1, 2, 0)[None]"]),
        ((8, 8, 3), (2, 3, 8, 8), ["x.permute(0, 2, 3, 1)"]),
    ],
)
def test_a_missing_axis_is_named(declared, given, fixes):
    x = layers.Input(declared)
    model = Model(x, layers.ReLU()(x))
    with pytest.raises(ShapeError) as caught:
        model(torch.ones(given))
    assert all(fix in caught.value.fix for fix in fixes)
    assert ("x[None]" in caught.value.fix) == ("x[None]" in fixes)


@pytest.mark.parametrize(
    ("given", "fix"),
    [
        ((9, 9, 4), "x[None]"),
        ((2, 9, 9), "x[..., None], and 4 channels"),
        ((2, 4, 9, 9), "x.permute(0, 2, 3, 1)"),
        ((4, 9, 9), "x.permute(1, 2, 0)[None]"),
        ((2, 9, 9, 5), "give it the same last axis"),
    ],
)
def test_a_layer_says_what_mends_its_input(given, fix):
    layer = layers.Conv2D(2, 3, use_bias=False)
    layer(torch.ones(2, 9, 9, 4))
    with pytest.raises(ShapeError, match=r"Conv2D was built for \(None, 9, 9, 4\)") as caught:
        layer(torch.ones(given))
    assert caught.value.fix.startswith(fix)


def test_what_a_compiled_model_tells():
    model = photos()
    assert model.history is None
    model.compile("adam", "mse", metrics=["mae"])
    assert model.loss == "mse"
    history = model.fit(X.numpy(), np.ones((2, 2), "float32"), verbose=0)
    assert model.history is history
    assert [metric.name for metric in model.metrics] == ["loss", "compile_metrics"]
    assert model.metrics_names == ["loss", "mae"]
