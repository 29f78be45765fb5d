"""Random numbers with Keras' names: the same seed gives the same numbers.

A seed is an integer, a `SeedGenerator`, which counts its calls, or None: then torch's own generator
draws, which `set_random_seed` rules.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from stroma.core.checks import check_int, check_number
from stroma.core.dtypes import dtype_policy, to_dtype
from stroma.core.errors import ArgumentError
from stroma.core.seeds import draw_seed, mix
from stroma.functional.pairing import as_tensor

__all__ = [
    "SeedGenerator", "beta", "binomial", "categorical", "dropout", "gamma", "normal", "randint",
    "shuffle", "truncated_normal", "uniform",
]  # fmt: skip

_TRUNCATION = 2.0  # in deviations, as in Keras and TensorFlow


class SeedGenerator:
    """Seeds one after the other: the next numbers depend on the seed and on the calls so far.

    Args:
        seed: An integer; drawn from Python's `random` for None.
        name: Accepted for Keras' signature.
        kwargs: Accepted for Keras' signature.
    Raises: ArgumentTypeError: the seed is no integer.
    Example:
        >>> first, again = SeedGenerator(3), SeedGenerator(3)
        >>> float(uniform((), seed=first)) == float(uniform((), seed=again))
        True
        >>> float(uniform((), seed=first)) == float(uniform((), seed=7))
        False
    """

    def __init__(self, seed: int | None = None, name: str | None = None, **kwargs: Any) -> None:
        known = draw_seed() if seed is None else seed
        self.seed = check_int("seed", known, owner="SeedGenerator")
        self.name, self.calls = name or "seed_generator", 0

    def next(self) -> int:
        """A seed that no call before this one had."""
        self.calls += 1
        return mix(self.seed, self.calls)

    def get_config(self) -> dict[str, Any]:
        """What makes one like it."""
        return {"seed": self.seed}


def _generator(seed: Any) -> torch.Generator | None:
    if seed is None:
        return None
    number = (
        seed.next()
        if isinstance(seed, SeedGenerator)
        else mix(check_int("seed", seed, owner="random"))
    )
    return torch.Generator().manual_seed(number >> 1)


def _floating(dtype: Any) -> torch.dtype:
    return dtype_policy().variable_dtype if dtype is None else to_dtype(dtype)


def _unit(shape: Any, seed: Any) -> Tensor:
    """Uniform in [0, 1), in float64, so that a limit is not reached by rounding."""
    return torch.rand(tuple(shape), generator=_generator(seed), dtype=torch.float64)


def normal(shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: Any = None,
           seed: Any = None) -> Tensor:  # fmt: skip
    """Normal numbers.

    Example:
        >>> normal((2, 3), seed=1).shape
        torch.Size([2, 3])
    """
    z = torch.randn(tuple(shape), generator=_generator(seed), dtype=torch.float64)
    numbers: Tensor = z * stddev + mean
    return numbers.to(_floating(dtype))


def truncated_normal(shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: Any = None,
                     seed: Any = None) -> Tensor:  # fmt: skip
    """Normal numbers, none further than two deviations from the mean.

    Example:
        >>> bool(truncated_normal((1000,), seed=1).abs().max() <= 2)
        True
    """
    edge = torch.special.ndtr(torch.tensor(_TRUNCATION, dtype=torch.float64))
    share = (1 - edge) + _unit(shape, seed) * (2 * edge - 1)
    numbers: Tensor = torch.special.ndtri(share) * stddev + mean
    return numbers.to(_floating(dtype))


def uniform(shape: Any, minval: Any = 0.0, maxval: Any = 1.0, dtype: Any = None,
            seed: Any = None) -> Tensor:  # fmt: skip
    """Numbers from minval up to, without, maxval, all alike.

    Example:
        >>> x = uniform((1000,), 2.0, 3.0, seed=1)
        >>> bool(x.min() >= 2), bool(x.max() < 3)
        (True, True)
    """
    wanted = _floating(dtype)
    if not wanted.is_floating_point:
        return randint(shape, minval, maxval, wanted, seed)
    exact: Tensor = minval + _unit(shape, seed) * (maxval - minval)
    numbers = exact.to(wanted)
    if isinstance(maxval, Tensor) or isinstance(minval, Tensor):
        return numbers
    below = torch.nextafter(torch.tensor(float(maxval), dtype=wanted),
                            torch.tensor(float(minval), dtype=wanted))  # fmt: skip
    return torch.minimum(numbers, below) if maxval > minval else numbers


def randint(shape: Any, minval: int, maxval: int, dtype: Any = "int32",
            seed: Any = None) -> Tensor:  # fmt: skip
    """Whole numbers from minval up to, without, maxval.

    Example:
        >>> sorted(set(randint((100,), 0, 3, seed=1).tolist()))
        [0, 1, 2]
    """
    low, high = int(minval), int(maxval)
    if high <= low:
        raise ArgumentError(
            f"randint: no number lies in [{low}, {high})",
            where="randint(shape, minval, maxval)",
            why="maxval itself is never drawn",
            fix=f"randint(shape, {low}, {low + 1})",
        )
    numbers = torch.randint(low, high, tuple(shape), generator=_generator(seed))
    return numbers.to(to_dtype(dtype))


def categorical(logits: Any, num_samples: int, dtype: Any = "int32", seed: Any = None) -> Tensor:
    """Class numbers drawn with the probabilities softmax(logits).

    Shape: (B, K) -> (B, num_samples)
    Example:
        >>> categorical([[0.0, 50.0]], 4, seed=1).tolist()
        [[1, 1, 1, 1]]
    """
    scores = as_tensor(logits)
    chances = torch.softmax(scores.double(), -1).cpu()
    found = torch.multinomial(chances, num_samples, True, generator=_generator(seed))
    return found.to(scores.device, to_dtype(dtype))


def gamma(shape: Any, alpha: Any, dtype: Any = None, seed: Any = None) -> Tensor:
    """Gamma numbers of shape alpha and scale 1.

    Example:
        >>> bool((gamma((5,), 2.0, seed=1) > 0).all())
        True
    """
    form = torch.as_tensor(alpha, dtype=torch.float64).expand(tuple(shape)).contiguous()
    return torch._standard_gamma(form, generator=_generator(seed)).to(_floating(dtype))


def beta(shape: Any, alpha: Any, beta: Any, dtype: Any = None, seed: Any = None) -> Tensor:
    """Beta numbers between 0 and 1: G1 / (G1 + G2) of two gamma numbers.

    Example:
        >>> x = beta((5,), 2.0, 3.0, seed=1)
        >>> bool(((x > 0) & (x < 1)).all())
        True
    """
    counted = seed if seed is None or isinstance(seed, SeedGenerator) else SeedGenerator(seed)
    first = gamma(shape, alpha, "float64", counted)
    return (first / (first + gamma(shape, beta, "float64", counted))).to(_floating(dtype))


def binomial(shape: Any, counts: Any, probabilities: Any, dtype: Any = None,
             seed: Any = None) -> Tensor:  # fmt: skip
    """How many of `counts` trials succeed, each with its probability.

    Example:
        >>> binomial((3,), 5, 1.0, seed=1)
        tensor([5., 5., 5.])
    """
    size = tuple(shape)
    trials = torch.as_tensor(counts, dtype=torch.float64).expand(size).contiguous()
    chance = torch.as_tensor(probabilities, dtype=torch.float64).expand(size).contiguous()
    return torch.binomial(trials, chance, generator=_generator(seed)).to(_floating(dtype))


def dropout(inputs: Any, rate: float, noise_shape: Sequence[int | None] | None = None,
            seed: Any = None) -> Tensor:  # fmt: skip
    """Numbers of which a share `rate` is 0 and the rest is divided by 1 - rate.

    Args:
        inputs: Any floating tensor.
        rate: In [0, 1).
        noise_shape: Where it has 1, a whole axis is dropped or kept; None in it is x's size.
        seed: See above.
    Shape: (*) -> (*)
    Example:
        >>> sorted(set(dropout(torch.ones(100), 0.5, seed=1).tolist()))
        [0.0, 2.0]
    """
    x = as_tensor(inputs)
    share = check_number("rate", rate, owner="dropout", minimum=0, maximum=1)
    if seed is None and noise_shape is None:
        return F.dropout(x, share)
    asked = x.shape if noise_shape is None else noise_shape
    size = [have if want is None else want for want, have in zip(asked, x.shape)]
    kept = (_unit(size, seed) >= share).to(x.device)
    return torch.where(kept, x / (1 - share), 0.0) if share < 1 else torch.zeros_like(x)


def shuffle(x: Any, axis: int = 0, seed: Any = None) -> Tensor:
    """The same numbers in another order along an axis.

    Example:
        >>> shuffle([1, 2, 3], seed=1).sort().values
        tensor([1, 2, 3])
    """
    values = as_tensor(x)
    order = torch.randperm(values.shape[axis], generator=_generator(seed))
    return values.index_select(axis, order.to(values.device))
