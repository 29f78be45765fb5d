"""Layers from texts or whole numbers to their places in a vocabulary, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

import numpy as np
import torch
from numpy.typing import NDArray

from stroma.core.checks import check_choice
from stroma.core.errors import ArgumentError
from stroma.core.layer import UnnamedOptions
from stroma.layers.hashing import buckets, digits
from stroma.layers.index_lookup import Lookup
from stroma.layers.registry import register_layer
from stroma.layers.texts import as_texts, as_whole_numbers


@register_layer("StringLookup")
class StringLookup(Lookup[bytes]):
    """The place of each text in a vocabulary that is learned by `adapt` or given; or the way back.

    Places: the mask (with `mask_token`, in mode "int"), then those for unknown texts, then the
    vocabulary, the most frequent first.

    Args:
        max_tokens: At most so many places, >= 2; None: as many as there are.
        num_oov_indices: Places for texts that are not in the vocabulary, >= 0: with several the
            text's hash says which, with none such a text is an error.
        mask_token: The text that means "nothing here": place 0, or counted nowhere.
        oov_token: What the way back gives for unknown texts.
        vocabulary: The texts in order, or the path of a file with one on each line.
        idf_weights: For "tf_idf" with a vocabulary: what each text counts.
        invert: From places to texts.
        output_mode: "int": the place; "one_hot", "multi_hot", "count": as in `CategoryEncoding`;
            "tf_idf": counts times idf weights.
        pad_to_max_tokens: Whether vectors have the length `max_tokens` in any case.
        sparse: Must stay False.
        encoding: How texts become bytes.
        salt: Key of the hash for several places: one or two whole numbers.
        oov_method, vocabulary_size: As Keras' files have them; the size is checked.
    Shape: (B, L) -> (B, L)
    Raises: ArgumentError: settings that do not go together; DataError: the vocabulary is not known,
        or a text has no place; GraphError: called on a symbolic tensor.
    Example:
        >>> from stroma import layers
        >>> layer = layers.StringLookup()
        >>> layer.adapt(["b", "a", "b"])
        >>> layer.get_vocabulary(), layer([["a", "b", "c"]]).tolist()
        (['[UNK]', 'b', 'a'], [[2, 1, 0]])

    Reference: Keras 3 `keras.layers.StringLookup`; idf: Spärck Jones 1972, as
        log(1 + documents / (1 + documents with the text)). The way back gives a NumPy array.
    """

    def __init__(
        self,
        max_tokens: int | None = None,
        num_oov_indices: int = 1,
        mask_token: str | None = None,
        oov_token: str | None = "[UNK]",
        vocabulary: Any = None,
        idf_weights: Any = None,
        invert: bool = False,
        output_mode: str = "int",
        pad_to_max_tokens: bool = False,
        sparse: bool = False,
        encoding: str = "utf-8",
        name: str | None = None,
        salt: Any = None,
        *,
        oov_method: str = "floormod",
        vocabulary_size: int | None = None,
        **options: Unpack[UnnamedOptions],
    ) -> None:
        self.encoding, self.mask_token, self.oov_token = encoding, mask_token, oov_token
        super().__init__(
            max_tokens, num_oov_indices, vocabulary, idf_weights, invert, output_mode,
            pad_to_max_tokens, sparse, oov_method, salt, vocabulary_size, name=name, **options,
        )  # fmt: skip
        self._begin(vocabulary, idf_weights)

    def _read(self, inputs: Any) -> tuple[list[bytes], tuple[int, ...]]:
        return as_texts(inputs, self.encoding, owner=type(self).__name__)

    def _token(self, value: Any) -> bytes | None:
        return None if value is None else as_texts(value, self.encoding, owner="StringLookup")[0][0]

    def _shown(self, token: bytes) -> str:
        return token.decode(self.encoding, "surrogateescape")

    def _oov_bins(self, tokens: Sequence[bytes]) -> NDArray[np.int64]:
        return buckets(tokens, self.num_oov_indices, self.salt)


@register_layer("IntegerLookup")
class IntegerLookup(Lookup[int]):
    """The place of each whole number in a vocabulary that is learned or given; or the way back.

    Args:
        max_tokens, num_oov_indices: As in `StringLookup`; of several places for unknown numbers
            `oov_method` says which.
        mask_token: The number that means "nothing here": place 0, or counted nowhere.
        oov_token: What the way back gives for unknown numbers.
        vocabulary: The numbers in order, or the path of a file with one on each line.
        vocabulary_dtype: Must stay "int64".
        idf_weights, invert, output_mode, sparse, pad_to_max_tokens: As in `StringLookup`.
        oov_method: "floormod": the number modulo `num_oov_indices`; "farmhash": its hash.
        salt: Key of that hash, which then is SipHash; with "farmhash" alone.
        vocabulary_size: As Keras' files have it; it is checked.
    Shape: (B, L) -> (B, L)
    Raises: ArgumentError: settings that do not go together; DataError: the vocabulary is not known,
        or a number has no place.
    Example:
        >>> from stroma import layers
        >>> layers.IntegerLookup(vocabulary=[12, 36, 1138])([[36, 7, 1138]]).tolist()
        [[2, 0, 3]]

    Reference: Keras 3 `keras.layers.IntegerLookup`. It may stand inside a network; it computes on
        the CPU, and is not compiled.
    """

    takes_symbols = True

    def __init__(
        self,
        max_tokens: int | None = None,
        num_oov_indices: int = 1,
        mask_token: int | None = None,
        oov_token: int | None = -1,
        vocabulary: Any = None,
        vocabulary_dtype: str = "int64",
        idf_weights: Any = None,
        invert: bool = False,
        output_mode: str = "int",
        sparse: bool = False,
        pad_to_max_tokens: bool = False,
        oov_method: str = "floormod",
        salt: Any = None,
        name: str | None = None,
        *,
        vocabulary_size: int | None = None,
        **options: Unpack[UnnamedOptions],
    ) -> None:
        self.mask_token, self.oov_token = mask_token, oov_token
        check_choice("vocabulary_dtype", vocabulary_dtype, ("int64",), owner="IntegerLookup")
        if salt is not None and oov_method != "farmhash":
            raise ArgumentError(
                f"IntegerLookup: salt={salt!r} with oov_method={oov_method!r}",
                where="IntegerLookup(salt=...)",
                why="only a hash has a key",
                fix="IntegerLookup(..., oov_method='farmhash', salt=...)",
            )
        super().__init__(
            max_tokens, num_oov_indices, vocabulary, idf_weights, invert, output_mode,
            pad_to_max_tokens, sparse, oov_method, salt, vocabulary_size, name=name, **options,
        )  # fmt: skip
        self.autocast = False
        self._begin(vocabulary, idf_weights)

    def _read(self, inputs: Any) -> tuple[list[int], tuple[int, ...]]:
        numbers = as_whole_numbers(inputs, owner="IntegerLookup")
        return numbers.ravel().tolist(), numbers.shape

    def _token(self, value: Any) -> int | None:
        return None if value is None else int(value)

    def _shown(self, token: int) -> int:
        return token

    def _oov_bins(self, tokens: Sequence[int]) -> NDArray[np.int64]:
        numbers = np.array(tokens, np.int64)
        if self.oov_method == "floormod":
            return numbers % self.num_oov_indices
        return buckets(digits(numbers), self.num_oov_indices, self.salt)

    def _inverted(self, tokens: NDArray[Any]) -> torch.Tensor:
        return torch.from_numpy(tokens.astype(np.int64))
