"""LossScaleOptimizer against Keras', steps with and without overflow; float16 wraps by itself."""

import numpy as np
import pytest
import torch
from torch import nn

from oracle import keras
from stroma import layers, models, optimizers
from stroma.core.errors import ArgumentError, ArgumentTypeError
from stroma.optimizers import LossScaleOptimizer

RULES = {
    "SGD": {"momentum": 0.9},
    "Adam": {"learning_rate": 0.01},
    "RMSprop": {"weight_decay": 0.1},
}
BROKEN = {3: np.inf, 4: np.nan, 9: -np.inf}


def run_both(rule, *, broken=BROKEN, growth=3):
    """Weights and scales after every one of twelve updates, ours and theirs."""
    rng = np.random.default_rng(0)
    start = rng.normal(size=(4, 3)).astype("float32")
    weight = nn.Parameter(torch.tensor(start))
    ours = LossScaleOptimizer(getattr(optimizers, rule)(**RULES[rule]), 64.0, growth)
    ours.build([weight])
    variable = keras.Variable(start)
    inner = getattr(keras.optimizers, rule)(**RULES[rule])
    theirs = keras.optimizers.LossScaleOptimizer(inner, 64.0, growth)
    theirs.build([variable])
    steps = []
    for step in range(12):
        gradient = rng.normal(size=start.shape).astype("float32") * float(ours.dynamic_scale)
        if step in broken:
            gradient[1, 1] = broken[step]
        ours.apply([torch.tensor(gradient)], [weight])
        with torch.no_grad():
            theirs.apply([torch.tensor(gradient)], [variable])
        steps.append(
            (
                (weight.detach().numpy().copy(), ours.dynamic_scale, ours.step_counter),
                (variable.numpy().copy(), float(theirs.dynamic_scale), int(theirs.step_counter)),
                (ours.iterations, int(theirs.iterations)),
            )
        )
    return steps


@pytest.mark.parametrize("rule", RULES)
def test_every_update_is_keras(rule):
    steps = run_both(rule)
    for ours, theirs, iterations in steps:
        np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-5, atol=1e-6)
        assert ours[1:] == theirs[1:] and iterations[0] == iterations[1]
    assert len({ours[1] for ours, _, _ in steps}) > 2  # it went both up and down


def test_a_forgotten_growth_would_be_found():
    grown, steady = run_both("SGD", broken={}), run_both("SGD", broken={}, growth=1000)
    assert grown[-1][0][1] == 64.0 * 2**4 and steady[-1][0][1] == 64.0


def test_overflow_leaves_weights_slots_and_count():
    weight = nn.Parameter(torch.ones(3))
    optimizer = LossScaleOptimizer(optimizers.Adam(0.1), 8.0)
    optimizer.apply([torch.full((3,), 8.0)], [weight])
    before = {key: value.clone() for key, value in optimizer.inner_optimizer.state_dict().items()}
    kept = weight.detach().clone()
    optimizer.apply([torch.tensor([1.0, torch.nan, 1.0])], [weight])
    after = optimizer.inner_optimizer.state_dict()
    assert torch.equal(weight, kept) and all(torch.equal(after[key], before[key]) for key in before)
    assert optimizer.dynamic_scale == 4.0


def test_rate_and_config_are_those_of_the_optimizer_inside():
    optimizer = LossScaleOptimizer(optimizers.Adam(0.1, beta_1=0.8), dynamic_growth_steps=7)
    optimizer.learning_rate = 0.05
    assert optimizer.inner_optimizer.learning_rate == optimizer.learning_rate == 0.05
    again = optimizers.deserialize(optimizers.serialize(optimizer))
    assert again.dynamic_growth_steps == 7 and again.inner_optimizer.beta_1 == 0.8
    assert again.learning_rate == 0.05
    theirs = keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam()).get_config()
    assert set(optimizer.get_config()) == set(theirs)


def test_state_goes_on_bit_for_bit():
    gradients = [torch.randn(4) * 16 for _ in range(6)]

    def made():
        weight = nn.Parameter(torch.zeros(4))
        optimizer = LossScaleOptimizer(optimizers.Adam(0.1), 16.0, dynamic_growth_steps=2)
        optimizer.build([weight])
        return weight, optimizer

    weight, optimizer = made()
    for gradient in gradients[:3]:
        optimizer.apply([gradient])
    other, second = made()
    second.load_state_dict({key: value.clone() for key, value in optimizer.state_dict().items()})
    other.data.copy_(weight.data)
    for gradient in gradients[3:]:
        optimizer.apply([gradient])
        second.apply([gradient])
    assert torch.equal(weight, other) and second.dynamic_scale == optimizer.dynamic_scale


@pytest.mark.parametrize(
    ("how", "wrapped"),
    [({}, False), ({"precision": "float16"}, True), ({"precision": "bfloat16"}, False),
     ({"precision": "float16", "auto_scale_loss": False}, False)],
)  # fmt: skip
def test_float16_scales_by_itself(how, wrapped):
    model = models.Sequential([layers.Input((3,)), layers.Dense(1)])
    model.compile("adam", "mse", **how)
    assert isinstance(model.optimizer, LossScaleOptimizer) == wrapped
    before = model.get_weights()[0]
    x = np.random.default_rng(0).normal(size=(16, 3)).astype("float32")
    losses = model.fit(x, x @ np.ones((3, 1), "float32"), epochs=12, verbose=0).history["loss"]
    assert np.isfinite(losses).all() and not np.array_equal(before, model.get_weights()[0])


def test_the_policy_of_the_model_decides_as_in_keras():
    from stroma import mixed_precision

    mixed_precision.set_global_policy("mixed_float16")
    try:
        model = models.Sequential([layers.Input((3,)), layers.Dense(1)])
        model.compile(optimizers.SGD(0.1), "mse")
    finally:
        mixed_precision.set_global_policy(None)
    assert isinstance(model.optimizer, LossScaleOptimizer)
    kept = LossScaleOptimizer(optimizers.SGD(0.1), 8.0)
    model.compile(kept, "mse")
    assert model.optimizer is kept


def test_what_cannot_be_is_refused():
    with pytest.raises(ArgumentTypeError, match="cannot be the optimizer inside"):
        LossScaleOptimizer("adam")
    with pytest.raises(ArgumentTypeError, match="scaled once"):
        LossScaleOptimizer(LossScaleOptimizer(optimizers.SGD()))
    with pytest.raises(ArgumentError, match="initial_scale"):
        LossScaleOptimizer(optimizers.SGD(), initial_scale=0)
