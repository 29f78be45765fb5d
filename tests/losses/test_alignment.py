"""CTC and circle against Keras and closed forms, values and gradients."""

import numpy as np
import pytest
import torch

from oracle import keras
from stroma import losses
from stroma.core.errors import ShapeError

RNG = np.random.default_rng(0)
LABELS = np.array([[1, 2, 2], [3, 0, 0], [2, 1, 0]])
LOGITS = RNG.normal(size=(3, 8, 4)).astype("float32")
CLASSES = np.array([0, 1, 0, 2, 1, 1])
POINTS = RNG.normal(size=(6, 5)).astype("float32")
POINTS /= np.linalg.norm(POINTS, axis=1, keepdims=True)


def value_and_gradient(loss, y_true, y_pred):
    leaf = torch.tensor(y_pred, requires_grad=True)
    value = loss(torch.as_tensor(y_true), leaf)
    value.sum().backward()
    return value.detach(), leaf.grad


def test_ctc_equals_keras():
    for mine, theirs in zip(
        value_and_gradient(losses.ctc, LABELS, LOGITS),
        value_and_gradient(keras.losses.ctc, LABELS, LOGITS),
    ):
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-6)
    each = losses.ctc(LABELS, LOGITS)
    torch.testing.assert_close(losses.CTC()(LABELS, LOGITS), each.mean())
    wrong = LABELS.copy()
    wrong[0, 0] = 3
    assert not torch.allclose(losses.ctc(wrong, LOGITS)[0], each[0], rtol=1e-3)


def test_ctc_sums_over_all_alignments():
    logits = torch.randn(1, 3, 2, generator=torch.Generator().manual_seed(0))
    p = logits.softmax(-1)[0]
    paths = [(a, b, c) for a in (0, 1) for b in (0, 1) for c in (0, 1)]
    spelt = [q for q in paths if "".join(map(str, q)).strip("0").replace("1", "") == "" and any(q)]
    total = sum(p[0, a] * p[1, b] * p[2, c] for a, b, c in spelt)
    torch.testing.assert_close(losses.ctc([[1]], logits)[0], -total.log())


def test_ctc_refuses_other_shapes():
    with pytest.raises(ShapeError, match="pad the label sequences"):
        losses.ctc([1, 2], LOGITS)


@pytest.mark.parametrize("options", [{}, {"gamma": 3.0, "margin": 0.1}, {"remove_diagonal": False}])
def test_circle_equals_keras(options):
    for mine, theirs in zip(
        value_and_gradient(lambda t, p: losses.circle(t, p, **options), CLASSES, POINTS),
        value_and_gradient(lambda t, p: keras.losses.circle(t, p, **options), CLASSES, POINTS),
    ):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-4)
    for reduction in ("sum_over_batch_size", "sum", "none"):
        ours = losses.Circle(**options, reduction=reduction)(CLASSES, POINTS)
        theirs = keras.losses.Circle(**options, reduction=reduction)(CLASSES, POINTS)
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_circle_against_references():
    arguments = (CLASSES, POINTS, CLASSES[::-1].copy(), POINTS[::-1].copy(), False)
    ours = losses.circle(*arguments)
    torch.testing.assert_close(ours, keras.losses.circle(*arguments), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["CTC", "Circle", "ctc", "circle"])
def test_names_and_configs(name):
    found = losses.get(name)
    if name[0].isupper():
        again = losses.deserialize(losses.serialize(found))
        assert again.get_config() == found.get_config()
        theirs = getattr(keras.losses, name)().get_config()
        assert {k: found.get_config()[k] for k in theirs if k != "dtype"} == {
            k: v for k, v in theirs.items() if k != "dtype"
        }
    else:
        assert losses.serialize(found) == name
