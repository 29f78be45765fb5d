"""Texts into tokens: the same bytes out for the same bytes in, whatever the machine's language."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

_PUNCTUATION = b"!\"#$%&()*+,-./:;<=>?@[\\]^_`{|}~'"
_LOWER = bytes(range(256)).lower()  # ASCII's letters only, as TensorFlow and Keras do it
STANDARDS = ("lower_and_strip_punctuation", "lower", "strip_punctuation")
SPLITS = ("whitespace", "character")


def standardize(texts: Iterable[bytes], how: str | None) -> list[bytes]:
    """Small letters and no punctuation, or one of them; of ASCII only.

    Example:
        >>> standardize([b"It's A-1, OK?"], "lower_and_strip_punctuation")
        [b'its a1 ok']
    """
    if how is None:
        return list(texts)
    table = _LOWER if how.startswith("lower") else None
    removed = _PUNCTUATION if how.endswith("punctuation") else b""
    return [text.translate(table, removed) for text in texts]


def split(texts: Iterable[bytes], how: str) -> list[list[bytes]]:
    """Words between ASCII's white space, or single characters of UTF-8.

    Example:
        >>> split([b" a  b "], "whitespace")
        [[b'a', b'b']]
    """
    if how == "whitespace":
        return [text.split() for text in texts]
    return [[c.encode() for c in text.decode("utf-8", "replace")] for text in texts]


def ngrams(rows: Iterable[Sequence[bytes]], widths: Sequence[int]) -> list[list[bytes]]:
    """All runs of so many tokens, joined by a space: width by width, in order.

    Example:
        >>> ngrams([[b"a", b"b", b"c"]], (1, 2))
        [[b'a', b'b', b'c', b'a b', b'b c']]
    """
    return [
        [
            b" ".join(row[start : start + width])
            for width in widths
            for start in range(len(row) - width + 1)
        ]
        for row in rows
    ]
