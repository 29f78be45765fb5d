"""Reuters: 11,228 news of 1987 as numbered words, in 46 topics.

Reference: Lewis 1997, "Reuters-21578".
"""

from __future__ import annotations

import json
from pathlib import Path

from stroma.datasets.reading import GOOGLE, Pair, parted, read_arrays
from stroma.datasets.texts import Words, limited, numbered, shuffled
from stroma.utils.files import get_file

__all__ = ["get_label_names", "get_word_index", "load_data"]
_HASH = "d6586e694ee56d7a4e65172e12b3e987c03096cb01eab99753921ef915959916"
_INDEX_HASH = "4d44cc38712099c9e383dc6e5f11a921"
_TOPICS = """
    cocoa grain veg-oil earn acq wheat copper housing money-supply coffee sugar trade reserves
    ship cotton carcass crude nat-gas cpi money-fx interest gnp meal-feed alum oilseed gold tin
    strategic-metal livestock retail ipi iron-steel rubber heat jobs lei bop zinc orange
    pet-chem dlr gas silver wpi hog lead
"""


def load_data(
    path: str = "reuters.npz",
    num_words: int | None = None,
    skip_top: int = 0,
    maxlen: int | None = None,
    test_split: float = 0.2,
    seed: int = 113,
    start_char: int | None = 1,
    oov_char: int | None = 2,
    index_from: int = 3,
) -> tuple[Pair, Pair]:
    """News and their topics, fetched once (2 MB).

    Args:
        path: Name of the file in the cache.
        num_words: Numbers from here on are rare words; None: none is.
        skip_top: Numbers below are common words, left out too.
        maxlen: Longer texts are left out.
        test_split: Share to test with.
        seed: Of the order.
        start_char: Put before each text; None for nothing.
        oov_char: In place of words that are left out; None: they are dropped.
        index_from: Added to the numbers of words.
    Returns: ((news, topics), (news, topics)): arrays of lists, and 0 to 45.
    Raises: DataError: it is not there and cannot be fetched. FileFormatError: another file.
    """
    arrays = read_arrays(get_file(path, GOOGLE + "reuters.npz", file_hash=_HASH))
    words = Words(num_words=num_words, skip_top=skip_top, maxlen=maxlen, start_char=start_char,
                  oov_char=oov_char, index_from=index_from)  # fmt: skip
    x, y = shuffled(arrays["x"], arrays["y"], seed)
    texts, topics = numbered(x, y, words)
    return parted(limited(texts, words), topics, test_split)


def get_word_index(path: str = "reuters_word_index.json") -> dict[str, int]:
    """The number of each word, before `index_from` is added; fetched once (0.5 MB).

    Args:
        path: Name of the file in the cache.
    Raises: DataError: it is not there and cannot be fetched.
    """
    file = get_file(path, GOOGLE + "reuters_word_index.json", file_hash=_INDEX_HASH)
    index: dict[str, int] = json.loads(Path(file).read_text(encoding="utf-8"))
    return index


def get_label_names() -> tuple[str, ...]:
    """The names of the 46 topics, in the order of their numbers.

    Example:
        >>> get_label_names()[3]
        'earn'
    """
    return tuple(_TOPICS.split())
