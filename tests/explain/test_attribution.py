"""Integrated gradients and occlusion: axioms, closed forms, brute force."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stroma import layers, models, zoo
from stroma.core.errors import ArgumentError, GraphError, ShapeError
from stroma.core.seeds import set_random_seed
from stroma.explain import gradcam, integrated_gradients, occlusion


def photo(side=12, channels=3, seed=0):
    return np.random.default_rng(seed).random((side, side, channels)).astype(np.float32)


def linear(side=12, activation=None):
    set_random_seed(1)
    x = layers.Input((side, side, 3))
    y = layers.Dense(4, activation=activation, name="head")(layers.Flatten()(x))
    return models.Model(x, y)


def score(model, image, index):
    with torch.no_grad():
        return float(model(np.asarray(image, np.float32)[None])[0, index])


@pytest.mark.parametrize("activation", [None, "softmax", "sigmoid"])
@pytest.mark.parametrize("baseline", [0.0, [0.1, 0.5, 0.9], photo(seed=9)])
def test_integrated_gradients_of_a_linear_model_are_its_terms(activation, baseline):
    """S = w·x + b, so the attribution of x_i is w_i (x_i - b_i), whatever the steps."""
    model, image = linear(activation=activation), photo()
    found = integrated_gradients(model, image, 2, baseline=baseline, steps=1)
    weights = model.get_layer("head").kernel[:, 2].numpy(force=True).reshape(12, 12, 3)
    expected = (weights * (image - np.asarray(baseline))).sum(-1)
    np.testing.assert_allclose(found.map, expected, atol=1e-6)


@pytest.mark.parametrize("index", [0, 3])
def test_integrated_gradients_are_complete(index):
    set_random_seed(2)
    model, image = zoo.small_cnn(classes=4, input_shape=(12, 12, 3)), photo()
    found = integrated_gradients(model, image, index, steps=200)
    moved = score(model, image, index) - score(model, np.zeros_like(image), index)
    assert found.details["score"] - found.details["baseline_score"] == pytest.approx(moved)
    assert found.map.sum() == pytest.approx(moved, abs=2e-3 * abs(moved) + 1e-4)
    assert found.details["gap"] == pytest.approx(float(found.map.sum()) - moved, abs=1e-4)


def test_the_gradient_alone_is_not_complete():
    """A planted mistake: gradient times input fails the axiom that the method keeps."""
    set_random_seed(2)
    x = layers.Input((6, 6, 3))
    y = layers.Dense(1)(layers.Dense(8, activation="tanh")(layers.Flatten()(x * 3.0)))
    model, image = models.Model(x, y), photo(6)
    moved = score(model, image, 0) - score(model, np.zeros_like(image), 0)
    at = torch.from_numpy(image)[None].requires_grad_()
    (gradient,) = torch.autograd.grad(model(at).sum(), at)
    found = integrated_gradients(model, image, 1)
    assert found.map.sum() == pytest.approx(moved, rel=1e-4)
    assert abs(float((gradient * at).detach().sum()) - moved) > 0.05 * abs(moved)


def test_integrated_gradients_see_a_pixel_that_is_not_used():
    """Sensitivity: a pixel the model ignores gets exactly nothing."""
    x = layers.Input((6, 6, 3))
    model = models.Model(x, layers.Dense(2)(layers.Flatten()(torch.relu(x[:, :, :3]))))
    assert not integrated_gradients(model, photo(6), 0).map[:, 3:].any()


def brute_force(model, image, index, patch, stride, fill):
    """As the definition reads, one patch after the other."""
    sides = image.shape[:2]
    starts = [[*range(0, s - p, t), s - p] for s, p, t in zip(sides, patch, stride)]
    falls = [[[] for _ in range(sides[1])] for _ in range(sides[0])]
    for top in starts[0]:
        for left in starts[1]:
            covered = image.copy()
            covered[top : top + patch[0], left : left + patch[1]] = fill
            fall = score(model, image, index) - score(model, covered, index)
            for row in range(top, top + patch[0]):
                for column in range(left, left + patch[1]):
                    falls[row][column].append(fall)
    return np.array([[np.mean(cell) for cell in row] for row in falls])


@settings(max_examples=8, deadline=None)
@given(
    patch=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    step=st.integers(1, 9),
    fill=st.sampled_from([0.0, "mean"]),
)
def test_occlusion_by_brute_force(patch, step, fill):
    model, image = linear(9, "softmax"), photo(9)
    stride = tuple(min(step, side) for side in patch)
    found = occlusion(model, image, 1, patch=patch, stride=stride, fill=fill)
    logits = linear(9)
    logits.set_weights(model.get_weights())
    value = image.mean((0, 1)) if fill == "mean" else fill
    np.testing.assert_allclose(
        found.map, brute_force(logits, image, 1, patch, stride, value), atol=1e-5
    )


def test_occlusion_needs_no_gradient_and_no_map():
    x = layers.Input((8, 8, 1))
    rounded = torch.round(layers.Flatten()(x))
    model = models.Model(x, layers.Dense(2)(rounded))
    image = photo(8, 1)
    assert occlusion(model, image).map.any()
    with pytest.raises(GraphError, match="no layer"):
        gradcam(model, image)


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda m, x: occlusion(m, x, patch=13), ArgumentError, "on a picture of"),
        (lambda m, x: occlusion(m, x, patch=2, stride=3), ArgumentError, "no pixel uncovered"),
        (lambda m, x: integrated_gradients(m, x, steps=0), ArgumentError, "steps"),
        (lambda m, x: integrated_gradients(m, x, baseline=[0, 1]), ShapeError, "the baseline is"),
    ],
)
def test_settings_that_cannot_be(call, error, said):
    with pytest.raises(error, match=said) as caught:
        call(linear(), photo())
    assert set(caught.value.parts()) == {"what", "where", "why", "try"}
