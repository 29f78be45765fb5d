"""What is written about the layers is true: signatures, `Shape:` lines, examples."""

import doctest
import inspect
import re
import sys

import pytest
import torch

from keras_parity import call, random_inputs
from layer_examples import EXAMPLES, OURS, PREPROCESSING, WITHIN_OTHERS
from oracle import keras
from stroma.layers.registry import layers_registry

LAYERS = [c for n, c in layers_registry.canonical().items() if n != "InputLayer"]
every_layer = pytest.mark.parametrize("layer_class", LAYERS, ids=lambda c: c.__name__)

# Keras' switches for adapters and quantization: transforms of their own rooms here (STYLE 8);
# the last two are options of every layer.
NOT_OURS = {"lora_rank", "lora_alpha", "gptq_unpacked_column_size",
            "quantization_config", "name", "dtype"}  # fmt: skip


def parameters(layer_class):
    return [
        parameter
        for parameter in inspect.signature(layer_class).parameters.values()
        if parameter.kind not in (parameter.VAR_KEYWORD, parameter.KEYWORD_ONLY)
    ]


@every_layer
def test_the_signature_is_that_of_keras(layer_class):
    if layer_class.__name__ in OURS:
        assert not hasattr(keras.layers, layer_class.__name__)
        return
    ours, theirs = parameters(layer_class), parameters(getattr(keras.layers, layer_class.__name__))
    names = [p.name for p in ours]
    assert names == [p.name for p in theirs if p.name in names or p.name not in NOT_OURS]
    defaults = {p.name: p.default for p in theirs}
    for parameter in ours:
        assert parameter.default == defaults[parameter.name], parameter.name


def axes(text):
    return [part.strip() for part in text.split(",") if part.strip()]


@every_layer
def test_the_shape_line_is_true(layer_class):
    line = re.search(r"Shape:\s*\[?\(([^)]*)\).*->\s*\(([^)]*)\)", layer_class.__doc__)
    assert line, "the docstring has no line Shape: (B, ...) -> (B, ...)"
    if layer_class.__name__ in WITHIN_OTHERS:
        return
    if layer_class.__name__ in PREPROCESSING:
        return
    given, promised = axes(line[1]), axes(line[2])
    fitting = 0
    for example in EXAMPLES[layer_class.__name__]:
        if example.arguments.get("data_format") == "channels_first":
            continue
        layer = layer_class(**example.arguments)
        inputs = random_inputs(example.shapes)
        y = call(layer, inputs, training=False)
        x = inputs[0] if isinstance(inputs, list) else inputs
        if "*" not in given and len(given) != x.dim():
            continue
        fitting += 1
        if "*" in promised or any(part.startswith("*") for part in promised):
            continue
        if not example.arguments.get("keepdims"):
            assert y.dim() == len(promised)
        sizes = dict(zip(given, x.shape))
        for letter, size in zip(promised, y.shape):
            expected = sizes.get(letter, getattr(layer, letter, size))
            assert size == expected or example.arguments.get("keepdims")
    assert fitting, "no example in layer_examples.py has the shape that the docstring names"


@every_layer
def test_the_docstring_has_an_example(layer_class):
    assert ">>> " in layer_class.__doc__


@pytest.mark.parametrize("module", sorted({c.__module__ for c in LAYERS}))
def test_the_examples_run(module):
    torch.manual_seed(0)
    result = doctest.testmod(sys.modules[module], extraglobs={"torch": torch})
    assert result.attempted
    assert not result.failed
