"""What the data sets of numbered words share: which words count, and from where they count."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from stroma.core.errors import ArgumentError


@dataclass(frozen=True, kw_only=True, slots=True)
class Words:
    """Which numbers stand for words.

    Args:
        num_words: Numbers from here on are rare words; None: none is.
        skip_top: Numbers below are common words, left out too.
        maxlen: Longer texts are left out; None: none is.
        start_char: Number put before each text; None for none.
        oov_char: Number in place of what is left out; None: it is dropped.
        index_from: Added to all numbers.
    """

    num_words: int | None
    skip_top: int
    maxlen: int | None
    start_char: int | None
    oov_char: int | None
    index_from: int


def numbered(
    texts: Iterable[Sequence[int]], labels: np.ndarray, words: Words
) -> tuple[list[list[int]], np.ndarray]:
    """Texts by these rules, without those that are too long."""
    start = [] if words.start_char is None else [words.start_char]
    shift = words.index_from if words.start_char is not None or words.index_from else 0
    made = [[*start, *(number + shift for number in text)] for text in texts]
    if words.maxlen:
        kept = [i for i, text in enumerate(made) if len(text) < words.maxlen]
        made, labels = [made[i] for i in kept], labels[kept]
        if not made:
            raise ArgumentError(
                f"no text is shorter than maxlen={words.maxlen}",
                where="load_data(maxlen=...)",
                why="longer ones are left out",
                fix=f"load_data(maxlen={2 * words.maxlen})",
            )
    return made, labels


def limited(texts: list[list[int]], words: Words) -> np.ndarray:
    """Rare and common words replaced or dropped; an array of lists."""
    most = words.num_words or max((max(text) for text in texts), default=0)
    array = np.empty(len(texts), dtype=object)
    for i, text in enumerate(texts):
        known = [words.skip_top <= number < most for number in text]
        if words.oov_char is None:
            array[i] = [number for number, is_known in zip(text, known) if is_known]
        else:
            array[i] = [n if is_known else words.oov_char for n, is_known in zip(text, known)]
    return array


def shuffled(x: np.ndarray, y: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Both in the order that Keras' generator gives for the seed."""
    order = np.arange(len(x))
    np.random.RandomState(seed).shuffle(order)
    return x[order], y[order]
