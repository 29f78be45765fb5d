"""The contract: what every registered layer promises, whatever it computes."""

import copy
import json

import pytest
import torch

from keras_parity import Apart, Whole, as_list, assert_parity, call, close, each, random_inputs
from layer_examples import EXAMPLES, OURS, PREPROCESSING, WITHIN_OTHERS
from oracle import keras
from stroma import layers
from stroma.core.layer import Layer
from stroma.layers.augmenting import Augmentation
from stroma.layers.registry import layers_registry

REGISTERED = {n: c for n, c in layers_registry.canonical().items() if n != "InputLayer"}
CASES = [
    pytest.param(REGISTERED[name], example, id=f"{name}-{number}")
    for name, examples in EXAMPLES.items()
    if name in REGISTERED
    for number, example in enumerate(examples)
]
every_case = pytest.mark.parametrize(("layer_class", "example"), CASES)


def make(layer_class, example, **more):
    torch.manual_seed(0)
    return layer_class(**example.arguments, **more)


def infer(layer, inputs):
    """As in `predict`. (Augmentation augments in a bare call, as Keras' does.)"""
    return call(layer, inputs, training=False)


def entries(example, *, spatial_open=False):
    """Symbolic inputs; pictures with unknown height and width where asked for."""
    shapes = [
        (None,) * (len(shape) - 1) + shape[-1:] if spatial_open and len(shape) == 3 else shape
        for shape in example.shapes
    ]
    dtypes = ["int64" if isinstance(shape, Whole) else None for shape in example.shapes]
    inputs = [layers.Input(shape, dtype=dtype) for shape, dtype in zip(shapes, dtypes)]
    kind = Apart if isinstance(example.shapes, Apart) else list
    return kind(inputs) if len(inputs) > 1 else inputs[0]


def test_every_layer_has_an_example():
    assert set(REGISTERED) - WITHIN_OTHERS - PREPROCESSING == set(EXAMPLES)


def test_every_layer_is_public_under_its_name():
    for name, layer_class in REGISTERED.items():
        assert getattr(layers, name) is layer_class
        assert layer_class.__name__ == name


@every_case
def test_the_promised_shape_is_the_real_one(layer_class, example):
    promised = call(make(layer_class, example), entries(example)).shape
    assert promised[0] is None
    for batch in (1, 4):
        real = infer(make(layer_class, example), random_inputs(example.shapes, batch=batch))
        assert real.shape == (batch, *promised[1:])


@every_case
def test_the_promised_shape_holds_for_open_sizes(layer_class, example):
    if not example.open:
        pytest.skip("this configuration fixes the spatial sizes")
    promised = call(make(layer_class, example), entries(example, spatial_open=True)).shape
    real = []
    for grown in (0, 3):
        shapes = type(example.shapes)(
            (s[0] + grown, s[1] + grown, s[2]) if len(s) == 3 and s[0] > 1 else s
            for s in example.shapes
        )
        real.append(infer(make(layer_class, example), random_inputs(shapes)).shape)
    assert len(promised) == len(real[0])
    for size, *sizes in zip(promised[1:], *(shape[1:] for shape in real)):
        assert size is None or set(sizes) == {size}


@every_case
def test_keras_has_the_same_numbers(layer_class, example):
    if not example.keras:
        pytest.skip("Keras on torch is no oracle here: KERAS.md")
    assert_parity(layer_class, example.arguments, random_inputs(example.shapes))


@every_case
def test_the_config_makes_an_equal_layer(layer_class, example):
    layer, inputs = make(layer_class, example), random_inputs(example.shapes)
    expected = infer(layer, inputs)
    config = layer.get_config()
    again = layer_class.from_config(json.loads(json.dumps(config)))
    infer(again, inputs)
    again.set_weights(layer.get_weights())
    assert torch.equal(infer(again, inputs), expected)
    assert again.get_config() == config
    if layer_class.__name__ in OURS:
        return
    theirs = getattr(keras.layers, layer_class.__name__)
    if "SpatialDropout" in layer_class.__name__:
        config = {key: value for key, value in config.items() if key != "trainable"}
    theirs = theirs.from_config(config)
    for argument in example.arguments:
        ours, wanted = config[argument], theirs.get_config()[argument]
        if not isinstance(wanted, (tuple, list, dict)):
            assert ours == wanted


@every_case
def test_state_and_copies_are_equal(layer_class, example):
    layer, inputs = make(layer_class, example), random_inputs(example.shapes)
    expected = infer(layer, inputs)
    other = layer_class(**example.arguments)
    infer(other, inputs)
    other.load_state_dict(layer.state_dict())
    for same in (other, copy.deepcopy(layer)):
        assert torch.equal(infer(same, inputs), expected)


@every_case
def test_gradients_by_finite_differences(layer_class, example):
    if not example.differentiable:
        pytest.skip("it jumps, or looks its values up in tables")
    layer = make(layer_class, example, dtype="float64")
    inputs = random_inputs(example.shapes, batch=2, dtype=torch.float64)
    leaves = [x.requires_grad_() for x in as_list(inputs) if x.is_floating_point()]
    infer(layer, inputs)
    weights = layer.trainable_weights
    assert all(weight.dtype == torch.float64 for weight in layer.weights)

    def function(*tensors):
        names = [name for name, _ in layer.named_parameters()]
        given = dict(zip(names, tensors[len(leaves) :]))
        moved = iter(tensors[: len(leaves)])
        xs = each(lambda x: next(moved) if x.is_floating_point() else x, inputs)
        args = tuple(xs) if isinstance(xs, Apart) else (xs,)
        return torch.func.functional_call(layer, given, args, {"training": False})

    assert torch.autograd.gradcheck(function, (*leaves, *weights), fast_mode=True)


@every_case
def test_inference_repeats_and_does_not_see_its_neighbours(layer_class, example):
    layer, inputs = make(layer_class, example), random_inputs(example.shapes, batch=4)
    before = [x.clone() for x in as_list(inputs)]
    together = infer(layer, inputs)
    assert torch.equal(together, infer(layer, inputs))
    assert all(torch.equal(x, old) for x, old in zip(as_list(inputs), before))
    for row in range(4):
        alone = each(lambda x: x[row : row + 1], inputs)  # noqa: B023  # called at once
        close(infer(layer, alone), together[row : row + 1], 1e-6)
    assert infer(layer, each(lambda x: x[:0], inputs)).shape[0] == 0


@every_case
def test_compiled_and_exported_are_equal(layer_class, example):
    layer, inputs = make(layer_class, example), random_inputs(example.shapes)
    expected = infer(layer, inputs)
    torch.compiler.reset()
    close(infer(torch.compile(layer, fullgraph=True, backend="eager"), inputs), expected, 1e-6)
    args = tuple(inputs) if isinstance(inputs, Apart) else (inputs,)
    exported = torch.export.export(layer, args, {"training": False}).module()
    close(exported(*args, training=False), expected, 1e-6)


@every_case
def test_autocast_runs_in_bfloat16(layer_class, example):
    layer, inputs = make(layer_class, example), random_inputs(example.shapes)
    expected = infer(layer, inputs)
    with torch.autocast("cpu", torch.bfloat16):
        close(infer(layer, inputs).float(), expected, 0.05)


@every_case
def test_a_mixed_policy_computes_in_bfloat16(layer_class, example):
    inputs = random_inputs(example.shapes)
    layer, mixed = make(layer_class, example), make(layer_class, example, dtype="mixed_bfloat16")
    expected, y = infer(layer, inputs), infer(mixed, inputs)
    assert y.dtype == torch.bfloat16
    assert call(mixed, entries(example)).dtype == torch.bfloat16
    assert all(weight.dtype == torch.float32 for weight in mixed.weights)
    mixed.set_weights(layer.get_weights())
    close(infer(mixed, inputs).float(), expected, 0.05)


@every_case
def test_born_in_inference(layer_class, example):
    layer = make(layer_class, example)
    assert isinstance(layer, Layer)
    if not isinstance(layer, Augmentation):  # whose bare call augments, as in Keras
        assert not layer.training
    assert layer.train().training
