"""Random numbers: moments of each distribution, and the same seed gives the same numbers."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from oracle import keras
from stroma import random
from stroma.core.errors import ArgumentError

SIZE = (20_000,)
DRAWN: dict[str, tuple[Any, float, float]] = {  # numbers, their mean, their variance
    "normal": (lambda seed: random.normal(SIZE, 2.0, 3.0, seed=seed), 2, 9),
    "truncated_normal": (lambda seed: random.truncated_normal(SIZE, seed=seed), 0, 0.7737),
    "uniform": (lambda seed: random.uniform(SIZE, -1.0, 3.0, seed=seed), 1, 16 / 12),
    "randint": (lambda seed: random.randint(SIZE, 0, 10, seed=seed), 4.5, 99 / 12),
    "categorical": (lambda seed: random.categorical([[0.0, 0.0]], 20_000, seed=seed), 0.5, 0.25),
    "gamma": (lambda seed: random.gamma(SIZE, 2.5, seed=seed), 2.5, 2.5),
    "beta": (lambda seed: random.beta(SIZE, 2.0, 3.0, seed=seed), 0.4, 0.04),
    "binomial": (lambda seed: random.binomial(SIZE, 10, 0.3, seed=seed), 3, 2.1),
    "dropout": (lambda seed: random.dropout(torch.ones(SIZE), 0.25, seed=seed), 1, 1 / 3),
}


def moments_are(name: str, draw: Any) -> bool:
    _, mean, variance = DRAWN[name]
    x = draw(5).double()
    near_mean = abs(x.mean() - mean) < 4 * (variance / x.numel()) ** 0.5
    return bool(near_mean and abs(x.var() - variance) < 0.08 * variance)


@pytest.mark.parametrize("name", DRAWN)
def test_moments(name: str) -> None:
    assert moments_are(name, DRAWN[name][0])


@pytest.mark.parametrize("name", DRAWN)
def test_a_seed_repeats(name: str) -> None:
    draw = DRAWN[name][0]
    assert draw(3).equal(draw(3)) and not draw(3).equal(draw(4))
    one, two = random.SeedGenerator(3), random.SeedGenerator(3)
    first = draw(one)
    assert first.equal(draw(two)) and not first.equal(draw(one))
    torch.manual_seed(1)
    free = draw(None)
    torch.manual_seed(1)
    assert free.equal(draw(None))


def test_dtypes_and_shapes_are_those_of_keras() -> None:
    for name, args in {
        "normal": ((2, 3),), "uniform": ((2, 3),), "truncated_normal": ((2,),),
        "randint": ((2, 3), 0, 5), "gamma": ((2,), 1.5), "beta": ((2,), 1.5, 2.0),
        "binomial": ((2,), 4, 0.5), "categorical": (torch.zeros(2, 3), 4),
        "dropout": (torch.ones(2, 3), 0.5), "shuffle": (torch.arange(5),),
    }.items():  # fmt: skip
        ours, theirs = getattr(random, name)(*args), getattr(keras.random, name)(*args)
        assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape), name
    assert random.uniform((3,), 0, 9, dtype="int32").dtype == torch.int32


def test_limits() -> None:
    x = random.truncated_normal(SIZE, 1.0, 2.0, seed=1)
    assert x.min() >= -3 and x.max() <= 5
    y = random.uniform((200_000,), 0.0, 1.0, dtype="float16", seed=1)
    assert y.max() < 1
    z = random.dropout(torch.ones(4, 6, 5), 0.5, noise_shape=(None, 1, None), seed=2)
    assert z.eq(z[:, :1]).all()
    assert random.shuffle(torch.eye(5), axis=1, seed=3).sum(0).eq(1).all()
    with pytest.raises(ArgumentError):
        random.randint((2,), 5, 5)


def test_a_planted_mistake_is_caught() -> None:
    assert not moments_are("normal", lambda seed: random.normal(SIZE, 2.0, 3.3, seed=seed))
    assert not moments_are("uniform", lambda seed: random.uniform(SIZE, 0.0, 1.0, seed=seed))
