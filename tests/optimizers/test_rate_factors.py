"""Discriminative learning rates: torch's parameter groups are the oracle."""

import pytest
import torch

from stroma.core.errors import ArgumentError
from stroma.optimizers import SGD, Adam, AdamW

ROUNDS = 6


def both(make_ours, make_theirs, factors=(1.0, 0.3, 0.0)):
    """Three weights after some updates: ours with factors, torch's in groups."""
    generator = torch.Generator().manual_seed(0)
    starts = [torch.randn(3, generator=generator) for _ in factors]
    ours, theirs = ([torch.nn.Parameter(s.clone()) for s in starts] for _ in range(2))
    mine = make_ours()
    mine.set_rate_factors(dict(zip(ours, factors)))
    its = make_theirs([{"params": [p], "lr": 0.1 * f} for p, f in zip(theirs, factors)])
    for _ in range(ROUNDS):
        gradients = [torch.randn(3, generator=generator) for _ in factors]
        for weight, gradient in zip(theirs, gradients):
            weight.grad = gradient.clone()
        mine.apply(gradients, ours)
        its.step()
    return starts, ours, theirs


@pytest.mark.parametrize("pair", [
    (lambda: SGD(0.1, momentum=0.0), lambda groups: torch.optim.SGD(groups)),
    (lambda: AdamW(0.1, weight_decay=0.2, epsilon=1e-12),
     lambda groups: torch.optim.AdamW(groups, weight_decay=0.2, eps=1e-12)),
])  # fmt: skip
def test_as_in_torch_s_groups(pair):
    starts, ours, theirs = both(*pair)
    for mine, its in zip(ours, theirs):
        torch.testing.assert_close(mine, its, rtol=1e-5, atol=1e-6)
    assert torch.equal(ours[2], starts[2])  # a factor of 0 holds it, decay too
    wrong = both(*pair, factors=(1.0, 1.0, 0.0))[1]
    assert not torch.allclose(wrong[1], theirs[1], rtol=1e-3)


def test_a_later_call_replaces_an_earlier_one_and_schedules_still_count():
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = SGD(lambda step: float(step + 1))
    optimizer.set_rate_factors({weight: 0.5})
    optimizer.apply([torch.ones(1)], [weight])
    assert weight.item() == -0.5
    optimizer.apply([torch.ones(1)])
    assert weight.item() == -1.5
    optimizer.set_rate_factors({})
    optimizer.apply([torch.ones(1)])
    assert weight.item() == -4.5


def test_negative_factors_are_refused():
    with pytest.raises(ArgumentError, match="factor"):
        Adam().set_rate_factors({torch.nn.Parameter(torch.zeros(1)): -1})
