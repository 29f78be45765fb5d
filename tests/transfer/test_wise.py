"""Averages of weights: exact at the ends, chosen on validation."""

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss

from stroma.transfer.wise import accuracy_and_loss, choose_average, interpolated


def test_the_ends_are_the_very_bits_and_the_middle_the_formula():
    generator = torch.Generator().manual_seed(0)
    start = {"w": torch.randn(50, generator=generator), "n": torch.tensor(3)}
    end = {"w": torch.randn(50, generator=generator), "n": torch.tensor(8)}
    assert torch.equal(interpolated(start, end, 0.0)["w"], start["w"])
    assert torch.equal(interpolated(start, end, 1.0)["w"], end["w"])
    middle = interpolated(start, end, 0.3)
    torch.testing.assert_close(middle["w"], 0.7 * start["w"] + 0.3 * end["w"])
    assert middle["n"] == 8
    same = interpolated(end, end, 0.7)["w"]  # a frozen weight stays bit for bit
    assert torch.equal(same, end["w"])


def test_the_best_average_is_left_in_the_module():
    module = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.constant_(module.weight, 1.0)
    target = 0.4

    def score():  # as accurate everywhere, the loss decides
        return 0.5, abs(module.weight.item() - target)

    tried = choose_average(module, {"weight": torch.zeros(1, 1)}, score)
    assert module.weight.item() == pytest.approx(0.4)
    assert [average.alpha for average in tried] == [round(0.1 * i, 1) for i in range(11)]
    choose_average(module, {"weight": torch.zeros(1, 1)}, lambda: (module.weight.item(), 0.0))
    assert module.weight.item() == pytest.approx(0.4)  # the more accurate: the end it began with


def test_loss_is_scikit_learn_s():
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(4), 30)
    labels = rng.integers(0, 4, 30)
    accuracy, loss = accuracy_and_loss(probabilities, labels)
    assert loss == pytest.approx(log_loss(labels, probabilities, labels=range(4)))
    assert accuracy == (probabilities.argmax(1) == labels).mean()
