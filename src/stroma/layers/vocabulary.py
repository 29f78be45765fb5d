"""A vocabulary: which token has which place, learned from data or given."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from stroma.core.errors import ArgumentError

Token = TypeVar("Token", bytes, int)


@dataclass
class Counts(Generic[Token]):
    """How often tokens were met, and in how many documents; batch by batch."""

    tokens: Counter[Token] = field(default_factory=Counter)
    documents: Counter[Token] = field(default_factory=Counter)
    seen: int = 0

    def add(self, rows: Iterable[Sequence[Token]]) -> None:
        """Count these documents too."""
        for row in rows:
            self.tokens.update(row)
            self.documents.update(set(row))
            self.seen += 1

    def ranked(self, without: Iterable[Token | None], limit: int | None) -> list[Token]:
        """Tokens from the most frequent on; of equally frequent ones the last in order first."""
        left_out = set(without)
        found = [token for token in self.tokens if token not in left_out]
        found.sort(key=lambda token: (self.tokens[token], token), reverse=True)
        return found[:limit]

    def inverse_frequencies(self, tokens: Sequence[Token]) -> NDArray[np.float32]:
        """log(1 + documents / (1 + documents with the token)), for each token."""
        with_token = np.array([self.documents[token] for token in tokens], dtype=np.float64)
        return np.log(1 + self.seen / (1 + with_token)).astype(np.float32)


def checked_tokens(
    given: Sequence[Token], special: Sequence[Token | None], forbidden: Iterable[Token | None],
    limit: int | None, *, owner: str,
) -> tuple[list[Token], bool]:  # fmt: skip
    """The tokens of a vocabulary without special ones in front, and whether those were there.

    Raises: ArgumentError: it is empty, repeats a token, holds a special one elsewhere, or is
        longer than `max_tokens` allows.
    """
    with_special = bool(special) and list(given[: len(special)]) == list(special)
    tokens = list(given[len(special) :] if with_special else given)
    repeated = [token for token, count in Counter(tokens).items() if count > 1]
    reserved = [token for token in forbidden if token is not None and token in tokens]
    problem = (
        "it is empty" if not len(given)
        else f"{_shown(repeated)} stands there more than once" if repeated
        else f"{_shown(reserved)} is reserved, and stands in the midst of it" if reserved
        else f"with the special tokens it has {len(tokens) + len(special)} entries, max_tokens is "
        f"{limit}" if limit is not None and len(tokens) + len(special) > limit
        else ""
    )  # fmt: skip
    if problem:
        raise ArgumentError(
            f"{owner}: the vocabulary cannot be used: {problem}",
            where="set_vocabulary(vocabulary)",
            why="each token has one place, after the special ones: "
            + (", ".join(repr(_text(token)) for token in special) or "there are none"),
            fix="give each token once, without special tokens",
        )
    return tokens, with_special


def padded_weights(
    weights: NDArray[np.float32], entries: int, front: int, total: int, *, owner: str
) -> NDArray[np.float32]:
    """Weights for `front` special tokens, for the tokens, and zeros up to `total`.

    Raises: ArgumentError: there is not one weight for each of the `entries` given.
    """
    if weights.shape != (entries,):
        raise ArgumentError(
            f"{owner}: {entries} tokens and weights of shape {weights.shape}",
            where="set_vocabulary(vocabulary, idf_weights)",
            why="each token has one weight",
            fix=f"give {entries} weights",
        )
    # unknown tokens have no frequency of their own: the mean of the others stands for it
    unknown = weights.mean() if weights.size else 0.0
    whole = np.concatenate([np.full(front, unknown, np.float32), weights])
    return np.concatenate([whole, np.zeros(max(total - len(whole), 0), np.float32)])


def _shown(tokens: Sequence[bytes | int]) -> str:
    return ", ".join(repr(_text(token)) for token in tokens[:5])


def _text(token: bytes | int | None) -> str | int | None:
    return token.decode("utf-8", "replace") if isinstance(token, bytes) else token
