"""Folded networks are the same function, and what cannot be folded is left alone."""

import copy

import pytest
import torch

from stroma import layers, models
from stroma.core.seeds import set_random_seed
from stroma.network.folding import fold_batch_norm
from stroma.zoo import mobilenet_v2, resnet18


def stir(model):
    """Statistics and factors that are far from where they began."""
    for module in model.modules():
        if isinstance(module, layers.BatchNormalization):
            for weight, low, high in (
                (module.weight, 0.5, 2), (module.bias, -1, 1),
                (module.running_mean, -1, 1), (module.running_var, 0.3, 3),
            ):  # fmt: skip
                if weight is not None:
                    with torch.no_grad():
                        weight.uniform_(low, high)
    return model


def norms(model):
    return sum(isinstance(module, layers.BatchNormalization) for module in model.modules())


def assert_same(model, folded, x, tolerance=1e-5):
    before = copy.deepcopy(model.state_dict())
    expected, got = model(x), folded(x)
    torch.testing.assert_close(
        got, expected, rtol=tolerance, atol=tolerance * expected.abs().max().item()
    )
    for name, tensor in model.state_dict().items():
        assert tensor.equal(before[name])


@pytest.mark.parametrize("build", [resnet18, mobilenet_v2])
def test_whole_networks(build):
    set_random_seed(0)
    model = build(weights=None, input_shape=(64, 64, 3))
    x = torch.randn(2, 64, 64, 3)
    with torch.no_grad():
        model(x, training=True)
        for _ in range(30):  # statistics of these very pictures keep the numbers in range
            model(x, training=True)
    folded = fold_batch_norm(model)
    assert norms(model) > 0 and norms(folded) == 0
    assert_same(model, folded, x)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("options", [{}, {"scale": False}, {"center": False}])
def test_every_kind_of_layer(bias, options):
    set_random_seed(0)
    inputs = layers.Input((9, 9, 4))
    x = layers.Conv2D(6, 3, groups=2, strides=2, use_bias=bias)(inputs)
    x = layers.ReLU()(layers.BatchNormalization(**options)(x))
    x = layers.DepthwiseConv2D(3, depth_multiplier=2, use_bias=bias)(x)
    x = layers.BatchNormalization(**options)(x)
    x = layers.Dense(5, use_bias=bias)(layers.Flatten()(x))
    model = stir(models.Model(inputs, layers.BatchNormalization(**options)(x) * 2))
    folded = fold_batch_norm(model)
    assert norms(folded) == 0
    assert_same(model, folded, torch.randn(3, 9, 9, 4))


def test_networks_inside_and_called_twice():
    set_random_seed(0)
    inner = layers.Input((8, 8, 3))
    inside = models.Model(inner, layers.BatchNormalization()(layers.Conv2D(3, 1)(inner)))
    inputs = layers.Input((8, 8, 3))
    model = stir(models.Model(inputs, inside(inside(inputs)) + inputs))
    folded = fold_batch_norm(model)
    assert norms(folded) == 0
    assert_same(model, folded, torch.randn(2, 8, 8, 3))


def test_what_cannot_be_folded_stays():
    set_random_seed(0)
    inputs = layers.Input((8, 8, 3))
    first = layers.BatchNormalization()(inputs)  # nothing before it
    bent = layers.BatchNormalization()(layers.Conv2D(3, 1, activation="relu")(first))
    shared = layers.Conv2D(3, 1)
    once, twice = layers.BatchNormalization()(shared(bent)), shared(first)
    read = layers.Conv2D(3, 1)(once)
    seen = layers.BatchNormalization()(read) + read  # read by another, too
    across = layers.BatchNormalization(axis=1)(layers.Conv2D(3, 1)(seen))
    shown = layers.Conv2D(3, 1)(across)  # an output of its own
    model = stir(models.Model(inputs, [twice, shown, layers.BatchNormalization()(shown)]))
    folded = fold_batch_norm(model)
    assert norms(folded) == norms(model) == 6
    x = torch.randn(2, 8, 8, 3)
    for got, expected in zip(folded(x), model(x)):
        torch.testing.assert_close(got, expected)


def test_a_network_without_any_comes_back():
    inputs = layers.Input((4,))
    model = models.Model(inputs, layers.Dense(2)(inputs))
    assert fold_batch_norm(model) is model


def test_a_planted_slip_would_be_seen():
    """Planted: an epsilon of 0 in the comparison, where variances are small."""
    set_random_seed(0)
    inputs = layers.Input((4,))
    model = stir(models.Model(inputs, layers.BatchNormalization()(layers.Dense(2)(inputs))))
    norm = model.layers[-1]
    norm.running_var.data.fill_(1e-3)
    folded = fold_batch_norm(model)
    norm.epsilon = 1e-12
    with pytest.raises(AssertionError):
        assert_same(model, folded, torch.randn(3, 4))
