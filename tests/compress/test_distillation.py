"""Distillation: the loss against torch's, its limit, and what a student learns on real digits."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits

import stroma
from stroma import layers
from stroma.compress import distill, distillation_loss
from stroma.core.errors import ArgumentError, ArgumentTypeError, DataError, ShapeError
from stroma.core.seeds import set_random_seed
from stroma.losses import SparseCategoricalCrossentropy
from stroma.models import Model
from stroma.optimizers import Adam


def logits(seed: int) -> torch.Tensor:
    return torch.randn(6, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


LABELS = torch.tensor([0, 1, 2, 3, 4, 0])


@pytest.mark.parametrize("temperature", [1.0, 4.0, 20.0])
@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_the_loss_is_torchs(temperature: float, alpha: float) -> None:
    ours, theirs = logits(0).requires_grad_(), logits(0).requires_grad_()
    found = distillation_loss(ours, logits(1), LABELS, temperature, alpha)
    soft = F.kl_div(
        F.log_softmax(theirs / temperature, -1), F.softmax(logits(1) / temperature, -1),
        reduction="batchmean",
    )  # fmt: skip
    expected = alpha * temperature**2 * soft + (1 - alpha) * F.cross_entropy(theirs, LABELS)
    assert abs(found - expected).item() < 1e-6
    found.backward()
    expected.backward()
    assert torch.allclose(ours.grad, theirs.grad, atol=1e-9)


def test_the_gradient_for_large_temperatures() -> None:
    s, t = logits(0).requires_grad_(), logits(1)
    distillation_loss(s, t, LABELS, temperature=1e4, alpha=1.0).backward()
    s_, t_ = s.detach(), t
    limit = ((s_ - s_.mean(1, keepdim=True)) - (t_ - t_.mean(1, keepdim=True))) / 5
    assert torch.allclose(6 * s.grad, limit, atol=1e-3)


def network(units: int, seed: int = 0, softmax: bool = False) -> Model:
    set_random_seed(seed)
    x = layers.Input((64,))
    y = layers.Dense(units, activation="relu", name="hidden")(x)
    return Model(x, layers.Dense(10, activation="softmax" if softmax else None, name="out")(y))


@pytest.fixture(scope="module")
def digits():
    x, y = load_digits(return_X_y=True)
    x = (x / 16).astype(np.float32)
    order = np.random.default_rng(0).permutation(len(y))
    x, y = x[order], y[order].astype(np.int64)
    return x[:1260], y[:1260], x[1260:], y[1260:]


@pytest.fixture(scope="module")
def teacher(digits) -> Model:
    made = network(256)
    made.compile("adam", SparseCategoricalCrossentropy(from_logits=True))
    made.fit(digits[0], digits[1], epochs=20, batch_size=64, verbose=0, seed=0)
    return made


def accuracy(model: Model, x: np.ndarray, y: np.ndarray) -> float:
    return float((model.predict(x, verbose=0).argmax(1) == y).mean())


def test_a_student_that_never_sees_a_three_knows_threes(digits, teacher) -> None:
    """TERMS.md 95 (a): all it has are the teacher's doubts about other digits."""
    x, y, test_x, test_y = digits
    kept = y != 3
    before = {key: value.clone() for key, value in teacher.state_dict().items()}
    hard, soft = network(64, 1), network(64, 1)
    for student, alpha, epochs in ((hard, 0.0, 5), (soft, 1.0, 30)):
        distill(
            teacher, student, (x[kept], y[kept]), alpha=alpha, optimizer=Adam(0.005),
            epochs=epochs, batch_size=128,
        )  # fmt: skip
    threes = test_x[test_y == 3], test_y[test_y == 3]
    assert accuracy(hard, *threes) == 0.0
    assert accuracy(soft, *threes) >= 0.60
    assert all(torch.equal(value, before[key]) for key, value in teacher.state_dict().items())


def test_photos_without_labels_teach_through_the_teacher(digits, teacher) -> None:
    """TERMS.md 95 (b): 60 labels, 1200 pictures without."""
    x, y, test_x, test_y = digits
    hard, soft = network(64, 1), network(64, 1)
    distill(teacher, hard, (x[:60], y[:60]), alpha=0.0, epochs=60)
    distill(teacher, soft, (x[:60], y[:60]), unlabelled=x[60:], alpha=0.9, epochs=10)
    assert accuracy(soft, test_x, test_y) >= accuracy(hard, test_x, test_y) + 0.06


def test_softmax_or_logits_is_the_same_student(digits, teacher) -> None:
    x, y, test_x, _ = digits
    found = []
    for softmax in (False, True):
        student = network(16, 2, softmax)
        distill(teacher, student, (x[:200], y[:200]), epochs=3)
        answers = torch.from_numpy(student.predict(test_x, verbose=0))
        found.append(answers if softmax else answers.softmax(-1))
    assert (found[0] - found[1]).abs().max() < 1e-3


def test_a_torch_module_teaches_what_the_same_network_in_stroma_does() -> None:
    set_random_seed(0)
    convolution, dense = layers.Conv2D(4, 3, name="conv"), layers.Dense(3, name="dense")
    pictures = layers.Input((8, 8, 1))
    pooled = layers.GlobalAveragePooling2D()(convolution(pictures))
    ours = Model(pictures, dense(pooled))
    theirs = torch.nn.Sequential(
        torch.nn.Conv2d(1, 4, 3), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(),
        torch.nn.Linear(4, 3),
    )  # fmt: skip
    theirs.load_state_dict(dict(zip(theirs.state_dict(), ours.state_dict().values())))
    x = np.random.default_rng(0).random((40, 8, 8, 1), np.float32)
    y = np.arange(40) % 3
    students = []
    for teacher in (ours, theirs):
        set_random_seed(1)
        flat = layers.Input((8, 8, 1))
        students.append(Model(flat, layers.Dense(3)(layers.Flatten()(flat))))
        distill(teacher, students[-1], (x, y), layout="NCHW", epochs=2)
    first, second = (student.predict(x, verbose=0) for student in students)
    assert np.abs(first - second).max() < 1e-5
    with pytest.raises(ShapeError, match="order is not said"):
        distill(theirs, students[0], (x, y))


def test_features_come_closer_to_the_teachers(digits, teacher) -> None:
    x, y = digits[0][:300], digits[1][:300]
    student = network(16, 3)
    history = distill(
        teacher, student, (x, y), features={"hidden": "hidden"}, feature_strength=100.0,
        optimizer=Adam(0.01), epochs=8,
    )  # fmt: skip
    losses = history.history["loss"]
    assert losses[-1] < 0.5 * losses[0]
    assert [weight.shape for weight in student.parameters()] == [
        weight.shape for weight in network(16).parameters()
    ]


def test_faults(digits, teacher) -> None:
    x, y = digits[0][:20], digits[1][:20]
    with pytest.raises(ArgumentError, match="share weights"):
        distill(teacher, teacher, (x, y))
    with pytest.raises(ArgumentError, match="alpha"):
        distill(teacher, network(4), (x, y), alpha=2.0)
    z = layers.Input((64,))
    with pytest.raises(ShapeError, match="3 classes"):
        distill(teacher, Model(z, layers.Dense(3)(z)), (x, y))


def test_wrong_networks_and_data_are_told() -> None:
    def network() -> Model:
        x = layers.Input((4,))
        return Model(x, layers.Dense(3)(x))

    x, y = np.zeros((6, 4), np.float32), np.arange(6) % 3
    pixels = np.random.default_rng(0).integers(0, 255, (60, 4, 4, 3), np.uint8)
    photos = stroma.data.arrays(pixels, np.arange(60) % 3)
    for data in (photos, "photos", (x, y[:5]), (x, y.astype("U"))):
        with pytest.raises(DataError, match="distill: "):
            distill(network(), network(), data)
    with pytest.raises(ArgumentTypeError, match="the teacher is None"):
        distill(None, network(), (x, y))
    with pytest.raises(ArgumentTypeError, match="the student is 'small'"):
        distill(network(), "small", (x, y))
    history = distill(network(), network(), (x, y), epochs=1).history
    assert "soft_answers_loss" in history
