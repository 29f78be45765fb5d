"""Every rule with every option against Keras 3.15 over 20 steps, on weights in torch's layout."""

import numpy as np
import pytest
import torch

from oracle import keras
from stroma import optimizers, schedules
from stroma.core.weight import Weight, WeightSpec, layout_permutation, to_torch_layout

LAYOUTS = {4: "HWIO->OIHW", 2: "IO->OI"}
SHAPES = [(3, 3, 4, 8), (7, 5), (4, 9), (6,), (2, 3, 4)]  # in Keras' order
STEPS = 20

RULES = {
    "SGD": {"learning_rate": 0.1, "momentum": 0.9, "nesterov": True},
    "RMSprop": {"learning_rate": 0.01, "momentum": 0.5, "centered": True},
    "Adagrad": {"learning_rate": 0.1},
    "Adam": {"learning_rate": 0.01, "amsgrad": True},
    "AdamW": {"learning_rate": 0.01},
    "Adadelta": {"learning_rate": 1.0, "epsilon": 1e-3},
    "Adafactor": {"learning_rate": 0.05},
    "Adamax": {"learning_rate": 0.01},
    "Ftrl": {
        "learning_rate": 0.1, "beta": 0.3, "l1_regularization_strength": 0.02,
        "l2_regularization_strength": 0.1, "l2_shrinkage_regularization_strength": 0.05,
    },
    "Lamb": {"learning_rate": 0.01},
    "Lion": {"learning_rate": 0.01},
    "Muon": {"learning_rate": 0.01},
    "Nadam": {"learning_rate": 0.01},
}  # fmt: skip
OPTIONS = {
    "plain": {},
    "decay": {"weight_decay": 0.05},
    "clipnorm": {"clipnorm": 0.7},
    "clipvalue": {"clipvalue": 0.3},
    "global": {"global_clipnorm": 0.5},
    "ema": {"use_ema": True, "ema_momentum": 0.8, "ema_overwrite_frequency": 4},
    "accumulation": {"gradient_accumulation_steps": 3},
    "scaled": {"loss_scale_factor": 64.0},
}
# Newton-Schulz' five steps and signs enlarge what rounding left
TOLERANCES = {"Muon": 1e-4}

every_rule = pytest.mark.parametrize("rule", RULES)


def as_weight(array):
    order = layout_permutation(LAYOUTS.get(array.ndim), array.ndim)
    data = to_torch_layout(torch.tensor(array), order)
    return Weight(data, WeightSpec("kernel", True, order), True)


def made(seed=0):
    generator = np.random.default_rng(seed)
    start = [generator.normal(size=shape).astype("float32") for shape in SHAPES]
    scales = [1, 0.1, 3, 1e-2, 1]
    gradients = [
        [generator.normal(size=s, scale=k).astype("float32") for s, k in zip(SHAPES, scales)]
        for _ in range(STEPS)
    ]
    return start, gradients


def run_keras(optimizer, start, gradients):
    variables = [keras.Variable(array, name="kernel") for array in start]
    for given in gradients:
        optimizer.apply([torch.tensor(g) for g in given], variables)
    return variables


def run_stroma(optimizer, start, gradients):
    weights = [as_weight(array) for array in start]
    optimizer.build(weights)
    for given in gradients:
        for weight, gradient in zip(weights, given):
            inverse = np.argsort(weight.spec.permutation or range(gradient.ndim)).tolist()
            weight.grad = torch.tensor(gradient).permute(inverse)
        optimizer.step()
    return weights


def distance(mine, theirs):
    return max(
        np.abs(a.numpy() - b.value.detach().numpy()).max() / np.abs(b.value.detach().numpy()).max()
        for a, b in zip(mine, theirs, strict=True)
    )


def both(rule, options, *, scheduled=False):
    start, gradients = made()
    settings = RULES[rule] | options
    theirs, ours = dict(settings), dict(settings)
    if scheduled:
        rate = settings["learning_rate"]
        theirs["learning_rate"] = keras.optimizers.schedules.CosineDecay(rate, 20, 0.1)
        ours["learning_rate"] = schedules.CosineDecay(rate, 20, 0.1)
    reference = getattr(keras.optimizers, rule)(**theirs)
    optimizer = getattr(optimizers, rule)(**ours)
    expected = run_keras(reference, start, gradients)
    weights = run_stroma(optimizer, start, gradients)
    return optimizer, weights, reference, expected


@pytest.mark.parametrize("option", OPTIONS)
@every_rule
def test_equals_keras_with_every_option(rule, option):
    _, weights, _, expected = both(rule, OPTIONS[option])
    assert distance(weights, expected) < TOLERANCES.get(rule, 1e-5)


@every_rule
def test_equals_keras_under_a_schedule(rule):
    _, weights, _, expected = both(rule, {}, scheduled=True)
    assert distance(weights, expected) < TOLERANCES.get(rule, 1e-5)


def keras_axes(slot):
    value, order = slot.value, slot.parameter.spec.permutation
    return value.permute(order) if order and value.dim() == len(order) else value


@every_rule
def test_slots_are_keras_variables_in_its_order(rule):
    optimizer, _, reference, _ = both(rule, {"use_ema": True, "gradient_accumulation_steps": 2})
    theirs = [variable.value.detach() for variable in reference.variables[2:]]
    mine = [keras_axes(slot) for slot in optimizer.slots]
    mine += [torch.tensor(number) for number in optimizer.file_scalars()]
    assert [tuple(a.shape) for a in mine] == [tuple(b.shape) for b in theirs]
    for a, b in zip(mine, theirs):
        scale = max(b.abs().max().item(), 1e-6)
        assert (a - b).abs().max().item() <= 1e-4 * scale


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@every_rule
def test_config_goes_both_ways(rule):
    optimizer = getattr(optimizers, rule)(**RULES[rule])
    # Keras' own keras.optimizers.deserialize does not know Lamb
    again = keras.saving.deserialize_keras_object(optimizers.serialize(optimizer))
    assert type(again).__name__ == rule
    back = optimizers.deserialize(keras.optimizers.serialize(again)).get_config()
    for key, value in optimizer.get_config().items():
        same = pytest.approx(value, rel=1e-6) if isinstance(value, float) else value
        # Keras writes a name made up, and no excluded layers as an empty list
        assert key in ("name", "exclude_layers") or back[key] == same, key
    assert type(optimizers.get(rule.upper())) is type(optimizer)


def schedule_free(start, gradients, *, aliased, rate=0.01, decay=0.05, warmup=5):
    """Defazio's algorithm 1 in double precision; `aliased`: as Keras on torch computes it."""
    results = []
    for number, y in enumerate(start):
        y = y.astype("float64")
        z, v = y.copy(), np.zeros_like(y)
        for t, given in enumerate(gradients, 1):
            g = given[number].astype("float64")
            y = y * (1 - rate * decay)
            v = 0.999 * v + 0.001 * g**2
            old = z
            z = z - rate * min(t / warmup, 1) * g / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
            x = (y - 0.1 * (z if aliased else old)) / 0.9
            y = 0.1 * z + 0.9 * ((1 - 1 / t) * x + z / t)
        results.append(y)
    return results


def test_schedule_free_is_the_paper_s():
    """Keras on torch reads the sequence z after it has moved: its variables change in place."""
    start, gradients = made()
    settings = {"learning_rate": 0.01, "weight_decay": 0.05, "warmup_steps": 5}
    mine = run_stroma(optimizers.ScheduleFreeAdamW(**settings), start, gradients)
    paper = schedule_free(start, gradients, aliased=False)
    for weight, expected in zip(mine, paper):
        np.testing.assert_allclose(weight.numpy(), expected, rtol=1e-5, atol=1e-6)
    reference = keras.optimizers.ScheduleFreeAdamW(**settings)
    theirs = run_keras(reference, start, gradients)
    for variable, trap in zip(theirs, schedule_free(start, gradients, aliased=True)):
        np.testing.assert_allclose(variable.value.detach(), trap, rtol=1e-5, atol=1e-6)
    assert distance(mine, theirs) > 1e-3
    fresh = optimizers.ScheduleFreeAdamW(**settings)
    fresh.build(mine)
    assert [slot.name for slot in fresh.slots] == ["momentum", "velocity"] * len(SHAPES)
    mine = [tuple(keras_axes(slot).shape) for slot in fresh.slots]
    assert mine == [tuple(variable.shape) for variable in reference.variables[2:]]


def test_planted_mistakes_are_caught():
    """Factors along torch's axes, matrices without their size, a product that starts late."""
    _, _, _, expected = both("Adafactor", {})
    start, gradients = made()
    turned = optimizers.Adafactor(**RULES["Adafactor"])
    plain = [torch.nn.Parameter(as_weight(array).detach()) for array in start]
    for given in gradients:
        pairs = zip(plain, given)
        turned.apply([as_weight(g).detach() for _, g in pairs], plain)
    wrong = [as_weight(array) for array in start]
    for weight, moved in zip(wrong, plain):
        weight.data.copy_(moved.data)
    assert distance(wrong, expected) > 1e-2

    _, _, _, expected = both("Muon", {})
    unsized = optimizers.Muon(**RULES["Muon"], rms_rate=None)
    assert distance(run_stroma(unsized, *made()), expected) > 1e-2

    _, _, _, expected = both("Nadam", {})
    late = optimizers.Nadam(**RULES["Nadam"])
    late._products = [1.0, 0.5]
    assert distance(run_stroma(late, *made()), expected) > 1e-4


def test_muon_asks_the_path():
    """Embeddings and named layers move by AdamW, as in Keras."""
    inputs = keras.Input((4,), dtype="int32")
    hidden = keras.layers.Flatten()(keras.layers.Embedding(7, 5)(inputs))
    outputs = keras.layers.Dense(3, name="head")(keras.layers.Dense(6, name="body")(hidden))
    model = keras.Model(inputs, outputs)
    reference = keras.optimizers.Muon(exclude_layers=["head"])
    reference.build(model.trainable_variables)
    weights = []
    for variable in model.trainable_variables:
        weight = as_weight(variable.value.detach().numpy())
        weight.path = variable.path
        weights.append(weight)
    optimizer = optimizers.Muon(exclude_layers=["head"])
    optimizer.build(weights)
    adam = [slot.parameter.path for slot in optimizer.slots if slot.name == "velocity"]
    theirs = [v for v in reference.variables if v.path.endswith("velocity")]
    assert len(adam) == len(theirs) == len(weights) - 1
    assert "body/kernel" not in adam
