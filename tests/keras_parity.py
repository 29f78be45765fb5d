"""One stroma layer beside Keras' layer of the same name: same weights, outputs and gradients."""

from __future__ import annotations

import torch

from oracle import keras

DOUBLE = torch.float64


class Apart(list):
    """Shapes or inputs that are arguments of their own, where others are one list."""


class Whole(tuple):
    """The shape of an input of whole numbers, 0 to 6."""


def as_list(x):
    return list(x) if isinstance(x, (list, tuple)) else [x]


def call(layer, inputs, **kwargs):
    return layer(*inputs, **kwargs) if isinstance(inputs, Apart) else layer(inputs, **kwargs)


def each(function, inputs):
    """Inputs of the same kind, each through a function."""
    if not isinstance(inputs, list):
        return function(inputs)
    return type(inputs)(function(x) for x in inputs)


def random_inputs(shapes, *, batch=3, dtype=torch.float32, seed=0):
    """Normal numbers for one shape without its batch axis, or for a list of shapes."""
    generator = torch.Generator().manual_seed(seed)

    def draw(shape):
        if isinstance(shape, Whole):
            return torch.randint(0, 7, (batch, *shape), generator=generator)
        return torch.randn(batch, *shape, generator=generator, dtype=dtype)

    made = [draw(shape) for shape in shapes]
    return made[0] if len(made) == 1 else Apart(made) if isinstance(shapes, Apart) else made


def run(layer, inputs, *, training=False, **kwargs):
    """Output, gradients by the inputs and by the weights (those in Keras' order of axes)."""
    inputs = each(lambda x: x.detach().clone().requires_grad_(x.is_floating_point()), inputs)
    leaves = [x for x in as_list(inputs) if x.requires_grad]
    output = call(layer, inputs, training=training, **kwargs)
    weights = [w for w in layer.weights if _trains(w)]
    wanted = [*leaves, *(getattr(w, "value", w) for w in weights)]
    # not a sum: its gradient is the same for every element, so a scrambled order would pass; and
    # not symmetric about 0: a bias' gradient would cancel out, and rounding alone be compared
    probe = torch.linspace(-1, 2, output.numel(), dtype=output.dtype).reshape(output.shape)
    grads = torch.autograd.grad((output * probe).sum(), wanted, allow_unused=True)
    in_keras_order = [
        grad.permute(spec.permutation) if (spec := getattr(w, "spec", None)) and spec.permutation
        else grad
        for w, grad in zip([None] * len(leaves) + weights, grads)
    ]  # fmt: skip
    return output.detach(), in_keras_order


def _trains(weight):
    value = getattr(weight, "value", weight)
    return isinstance(value, torch.Tensor) and value.requires_grad


def close(ours, theirs, tolerance, floor=1e-2):
    """Equal relative to the largest value, as KERAS.md states tolerances.

    The scale has a floor: where a gradient is zero in theory both have only rounding left.
    """
    assert ours.shape == theirs.shape, (ours.shape, theirs.shape)
    scale = max(theirs.abs().max().item(), floor) if theirs.numel() else 1.0
    torch.testing.assert_close(ours, theirs, rtol=0, atol=tolerance * scale)


def assert_parity(layer_class, arguments, inputs, *, training=False):
    """Forward to 1e-5, gradients to 1e-4, in float32."""
    ours = layer_class(**arguments)
    theirs = getattr(keras.layers, layer_class.__name__)(**arguments)
    call(ours, inputs, training=False), call(theirs, inputs, training=False)
    generator = torch.Generator().manual_seed(7)
    values = [
        torch.rand(w.shape, generator=generator).numpy() * 0.8 + 0.1 for w in theirs.weights
        if "seed" not in w.name
    ]  # fmt: skip
    ours.set_weights(values)
    theirs.set_weights(values)
    y, grads = run(ours, inputs, training=training)
    expected, expected_grads = run(theirs, inputs, training=training)
    close(y, expected, 1e-5)
    assert len(grads) == len(expected_grads)
    largest = max((g.abs().max().item() for g in expected_grads if g is not None), default=0)
    for grad, wanted in zip(grads, expected_grads):
        assert (grad is None) == (wanted is None)
        if grad is not None:
            close(grad, wanted, 1e-4, floor=max(1e-2, largest / 100))
