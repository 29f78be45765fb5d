"""Randomness as a function of position: hashes of (seed, step, rank) instead of hidden state."""

from __future__ import annotations

import random

import numpy as np
import torch

_MASK = (1 << 64) - 1


def mix(*parts: int) -> int:
    """A 64-bit hash of integers (SplitMix64's finaliser, folded over the parts).

    The same parts give the same hash on every machine; parts that differ in one bit give
    unrelated hashes. Reference: Steele, Lea & Flood 2014, "Fast splittable pseudorandom number
    generators".

    Example:
        >>> mix(1, 2) == mix(1, 2), mix(1, 2) == mix(2, 1)
        (True, False)
    """
    state = 0
    for part in parts:
        state = (state + (part & _MASK) + 0x9E3779B97F4A7C15) & _MASK
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & _MASK
        state ^= state >> 31
    return state


def mix_array(seed: int, epoch: int, index: np.ndarray) -> np.ndarray:
    """`mix(seed, epoch, i)` for every i of an integer array, as uint64, vectorised."""
    state = np.full(index.shape, mix(seed, epoch), dtype=np.uint64)
    with np.errstate(over="ignore"):
        state = state + index.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))


def seed_step(seed: int, step: int, rank: int = 0) -> None:
    """Seed torch's default generators for one training step (DESIGN 2.10)."""
    value = mix(seed, step, rank)
    torch.default_generator.manual_seed(value)
    if torch.cuda.is_available():
        torch.cuda.manual_seed_all(value)


def set_random_seed(seed: int) -> None:
    """Seed Python's, NumPy's and torch's generators: weights made after this repeat.

    Args:
        seed: Any integer of 32 bits.
    """
    random.seed(seed)
    np.random.seed(seed & 0xFFFFFFFF)
    torch.manual_seed(seed)


def draw_seed() -> int:
    """One integer from Python's `random`, as Keras draws it for `seed=None`."""
    return random.randint(1, int(1e9))


class Draws:
    """Generators for a layer that was given a `seed=` of its own.

    The numbers depend on (seed, torch's initial seed, how many draws this layer made since that
    was set) and on nothing that other layers draw. A training loop that seeds torch before each
    step (`seed_step`) therefore repeats them on resume, with no state to save; two layers made
    alike draw alike. Without a seed, and in compiled code, which cannot hold generators, the draws
    come from torch's default generator.

    Example:
        >>> torch.rand(2, generator=Draws(7).generator("cpu")).equal(
        ...     torch.rand(2, generator=Draws(7).generator("cpu")))
        True
    """

    def __init__(self, seed: int | None) -> None:
        self.seed = seed
        self._position = (0, 0)  # torch's initial seed at the last draw, draws since it was set

    def generator(self, device: torch.device | str) -> torch.Generator | None:
        """What to hand to the next torch call as `generator=`."""
        device = torch.device(device)
        if self.seed is None or device.type == "meta" or torch.compiler.is_compiling():
            return None
        initial = torch.default_generator.initial_seed()
        count = self._position[1] + 1 if self._position[0] == initial else 0
        self._position = (initial, count)
        # torch keeps 64 bits, of which MPS takes the signed half
        return torch.Generator(device).manual_seed(mix(self.seed, initial, count) >> 1)
