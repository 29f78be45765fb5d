"""IMDB: 50,000 reviews of films as numbered words, and whether they praise.

Reference: Maas et al. 2011, "Learning word vectors for sentiment analysis".
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from stroma.datasets.reading import GOOGLE, Pair, read_arrays
from stroma.datasets.texts import Words, limited, numbered
from stroma.utils.files import get_file

__all__ = ["get_word_index", "load_data"]
_HASH = "69664113be75683a8fe16e3ed0ab59fda8886cb3cd7ada244f7d9544e4676b9f"
_INDEX_HASH = "bfafd718b763782e994055a2d397834f"


def load_data(
    path: str = "imdb.npz",
    num_words: int | None = None,
    skip_top: int = 0,
    maxlen: int | None = None,
    seed: int = 113,
    start_char: int | None = 1,
    oov_char: int | None = 2,
    index_from: int = 3,
) -> tuple[Pair, Pair]:
    """25,000 reviews to train with and 25,000 to test with, fetched once (17 MB).

    Args:
        path: Name of the file in the cache.
        num_words: Numbers from here on are rare words; None: none is.
        skip_top: Numbers below are common words, left out too.
        maxlen: Longer texts are left out.
        seed: Of the order.
        start_char: Put before each text; None for nothing.
        oov_char: In place of words that are left out; None: they are dropped.
        index_from: Added to the numbers of words.
    Returns: ((reviews, labels), (reviews, labels)): arrays of lists, and 0 or 1.
    Raises: DataError: it is not there and cannot be fetched. FileFormatError: another file.
    """
    arrays = read_arrays(get_file(path, GOOGLE + "imdb.npz", file_hash=_HASH))
    words = Words(num_words=num_words, skip_top=skip_top, maxlen=maxlen, start_char=start_char,
                  oov_char=oov_char, index_from=index_from)  # fmt: skip
    draw = np.random.RandomState(seed)  # one generator for both parts, as in Keras
    parts = []
    for part in ("train", "test"):
        order = np.arange(len(arrays[f"x_{part}"]))
        draw.shuffle(order)
        parts.append(numbered(arrays[f"x_{part}"][order], arrays[f"y_{part}"][order], words))
    (x_train, y_train), (x_test, y_test) = parts
    texts = limited(x_train + x_test, words)
    return (texts[: len(x_train)], y_train), (texts[len(x_train) :], y_test)


def get_word_index(path: str = "imdb_word_index.json") -> dict[str, int]:
    """The number of each word, before `index_from` is added; fetched once (1.6 MB).

    Args:
        path: Name of the file in the cache.
    Raises: DataError: it is not there and cannot be fetched.
    """
    file = get_file(path, GOOGLE + "imdb_word_index.json", file_hash=_INDEX_HASH)
    index: dict[str, int] = json.loads(Path(file).read_text(encoding="utf-8"))
    return index
