"""What lookups share: the vocabulary, learning it, looking up, and keeping it in files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Generic, Unpack

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stroma.core.checks import check_choice, check_int
from stroma.core.errors import ArgumentError, DataError, FileFormatError, not_defined
from stroma.core.layer import LayerOptions
from stroma.functional.categories import encode
from stroma.layers.texts import (
    EagerLayer,
    as_whole_numbers,
    batches,
    lines_of,
    refuse_sparse,
    salt_key,
)
from stroma.layers.vocabulary import Counts, Token, checked_tokens, padded_weights

MODES = ("int", "one_hot", "multi_hot", "count", "tf_idf")
_OLD_NAMES = {"binary": "multi_hot", "tf-idf": "tf_idf"}
_FILE = "vocabulary.txt"


class Lookup(EagerLayer, Generic[Token]):
    """What both lookups share; a token is bytes or a whole number."""

    ASSETS = (_FILE,)  # what a `.keras` file keeps beside arrays and settings
    ARRAYS = ("idf_weights",)  # and which arrays, by name
    mask_token: Any
    oov_token: Any

    def __init__(
        self,
        max_tokens: int | None,
        num_oov_indices: int,
        vocabulary: Any,
        idf_weights: Any,
        invert: bool,
        output_mode: str,
        pad_to_max_tokens: bool,
        sparse: bool,
        oov_method: str,
        salt: Any,
        vocabulary_size: int | None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**options)
        owner = type(self).__name__
        refuse_sparse(sparse, owner=owner)
        self.max_tokens = (
            None
            if max_tokens is None
            else check_int("max_tokens", max_tokens, owner=owner, minimum=2)
        )
        self.num_oov_indices = check_int("num_oov_indices", num_oov_indices, owner=owner, minimum=0)
        mode = _OLD_NAMES.get(output_mode, output_mode)
        self.output_mode = check_choice("output_mode", mode, MODES, owner=owner)
        self.invert, self.pad_to_max_tokens = invert, pad_to_max_tokens
        self.oov_method = check_choice(
            "oov_method", oov_method, ("floormod", "farmhash"), owner=owner
        )
        self.salt = salt_key(salt, owner=owner)
        self._promised_size = vocabulary_size
        self._tokens: list[Token] = []
        self._places: dict[Token, int] = {}
        self._known = False
        self._counts: Counts[Token] = Counts()
        self.idf_weights: Tensor | None = None
        self._check_together(idf_weights, vocabulary)
        self._fixed = vocabulary is not None
        self._in_config = False

    def _begin(self, vocabulary: Any, idf_weights: Any) -> None:
        """Take the constructor's vocabulary: a list stands in the config, a file's words do not."""
        if vocabulary is not None:
            given = self.arguments()
            self.set_vocabulary(vocabulary, idf_weights)
            if not isinstance(vocabulary, str):
                self._noted(type(self)).update(
                    {key: given[key] for key in ("vocabulary", "idf_weights")}
                )
                self._in_config = True

    def _check_together(self, idf_weights: Any, vocabulary: Any) -> None:
        owner, mode = type(self).__name__, self.output_mode
        problem = (
            "pad_to_max_tokens=True without max_tokens"
            if self.pad_to_max_tokens and self.max_tokens is None
            else f"invert=True with output_mode={mode!r}" if self.invert and mode != "int"
            else f"idf_weights with output_mode={mode!r}"
            if idf_weights is not None and mode != "tf_idf"
            else "a vocabulary without idf_weights for output_mode='tf_idf'"
            if vocabulary is not None and idf_weights is None and mode == "tf_idf"
            else ""
        )  # fmt: skip
        if problem:
            raise ArgumentError(
                f"{owner}: {problem}",
                where=f"{owner}(...)",
                why="these settings do not go together",
                fix=f"{owner}(output_mode='int'), or adapt(data), which finds what is missing",
            )

    # What a kind of token adds

    def _read(self, inputs: Any) -> tuple[list[Token], tuple[int, ...]]:
        """Inputs as a flat list of tokens, and their shape."""
        raise not_defined(self, "_read(self, inputs)", "each kind of token has its own")

    def _token(self, value: Any) -> Token | None:
        """One token, as it is kept."""
        raise not_defined(self, "_token(self, value)", "each kind of token has its own")

    def _shown(self, token: Token) -> Any:
        """A token as users see it."""
        raise not_defined(self, "_shown(self, token)", "each kind of token has its own")

    def _oov_bins(self, tokens: Sequence[Token]) -> NDArray[np.int64]:
        """Which of several places for unknown tokens each goes to."""
        raise not_defined(self, "_oov_bins(self, tokens)", "each kind of token has its own")

    # The vocabulary

    def _special(self) -> list[Token | None]:
        mask: list[Any] = (
            [] if self.mask_token is None or self.output_mode != "int" else [self.mask_token]
        )
        return [self._token(t) for t in (*mask, *[self.oov_token] * self.num_oov_indices)]

    def set_vocabulary(self, vocabulary: Any, idf_weights: Any = None) -> None:
        """Take these tokens, the most important first; what was known before is forgotten.

        Args:
            vocabulary: Tokens as a list or array, with or without the special ones in front, or
                the path of a text file with one on each line.
            idf_weights: For "tf_idf": what a token counts, one for each entry.
        Raises: ArgumentError: the vocabulary is empty or repeats itself, or weights are missing,
            not wanted, or of another number.
        """
        if (idf_weights is None) == (self.output_mode == "tf_idf"):
            raise ArgumentError(
                f"{type(self).__name__}: idf_weights are "
                f"{'missing' if idf_weights is None else 'given'} and output_mode is "
                f"{self.output_mode!r}",
                where="set_vocabulary(vocabulary, idf_weights)",
                why="'tf_idf' multiplies counts by them, and nothing else does",
                fix="give one number for each token, or adapt(data), which finds them",
            )
        given = lines_of(vocabulary) if isinstance(vocabulary, str) else list(vocabulary)
        special = self._special()
        forbidden = [self._token(self.mask_token)]
        forbidden += [self._token(self.oov_token)] if self.invert else []
        read: Any = [self._token(token) for token in given]
        tokens: list[Token]
        tokens, with_special = checked_tokens(
            read, special, forbidden, self.max_tokens, owner=type(self).__name__
        )
        weights = None
        if idf_weights is not None:
            weights = self._padded(np.asarray(idf_weights, np.float32), len(given), with_special)
        self._take(tokens, weights)
        self._in_config = False
        self._noted(type(self)).update({"vocabulary": None, "idf_weights": None})

    def _padded(
        self, weights: NDArray[np.float32], entries: int, with_special: bool
    ) -> NDArray[np.float32]:
        front = 0 if with_special else len(self._special())
        total = (self.max_tokens or 0) if self.pad_to_max_tokens else 0
        return padded_weights(weights, entries, front, total, owner=type(self).__name__)

    def _take(self, tokens: list[Token], weights: NDArray[np.float32] | None) -> None:
        start = len(self._special())
        self._tokens, self._known = tokens, True
        self._noted(type(self))["vocabulary_size"] = start + len(tokens)
        self._places = {token: place for place, token in enumerate(tokens, start)}
        self.idf_weights = None if weights is None else torch.from_numpy(weights)

    def get_vocabulary(self, include_special_tokens: bool = True) -> list[Any]:
        """The tokens in order: the place in this list is the place that the layer gives."""
        tokens: list[Any] = [self._shown(token) for token in self._tokens]
        if not include_special_tokens:
            return tokens
        mask: list[Any] = (
            [] if self.mask_token is None or self.output_mode != "int" else [self.mask_token]
        )
        return [*mask, *[self.oov_token] * self.num_oov_indices, *tokens]

    def vocabulary_size(self) -> int:
        """How many places there are, the special ones included."""
        return len(self._special()) + len(self._tokens)

    # Learning it

    def adapt(self, data: Any, steps: int | None = None) -> None:
        """Learn the vocabulary from data: the most frequent tokens; the old one is forgotten.

        Args:
            data: A list or array of tokens (one document each) or of rows of them, or an iterable
                of such batches.
            steps: How many batches are taken; None: all.
        Raises: ArgumentError: the layer was given its vocabulary; DataError: there is no data.
        """
        self.reset_state()
        for batch in batches(data, steps):
            self.update_state(batch)
        self.finalize_state()

    def reset_state(self) -> None:
        """Forget what was counted."""
        self._counts = Counts()

    def update_state(self, data: Any) -> None:
        """Count the tokens of a batch; a flat list is one document."""
        tokens, shape = self._read(data)
        size = shape[-1] if shape else 1
        self.count([tokens[i : i + size] for i in range(0, len(tokens), size)] if size else [])

    def count(self, rows: Sequence[Sequence[Token]]) -> None:
        """Count these documents."""
        if self._fixed:
            raise ArgumentError(
                f"{type(self).__name__}: adapt() on a layer that was given its vocabulary",
                where="adapt",
                why="it would be overwritten",
                fix=f"{type(self).__name__}() without vocabulary=",
            )
        self._counts.add(rows)

    def finalize_state(self) -> None:
        """Make the vocabulary from what was counted."""
        if not self._counts.seen:
            raise DataError(
                f"{type(self).__name__}: adapt() got no data",
                where="adapt",
                why="a vocabulary is made of tokens that were met",
                fix="give a list of texts, or an iterable that is not used up",
            )
        special = self._special()
        limit = None if self.max_tokens is None else max(0, self.max_tokens - len(special))
        without = (self._token(self.mask_token), self._token(self.oov_token))
        tokens = self._counts.ranked(without, limit)
        weights = None
        if self.output_mode == "tf_idf":
            found = self._counts.inverse_frequencies(tokens)
            weights = self._padded(found, len(tokens), with_special=False)
        self._take(tokens, weights)
        self.reset_state()

    # Calling

    @property
    def has_vocabulary(self) -> bool:
        """Whether it was given or learned."""
        return self._known

    def require_vocabulary(self) -> None:
        """Raise a DataError when there is no vocabulary yet."""
        if not self._known:
            raise DataError(
                f"{type(self).__name__}: the vocabulary is not known yet",
                where=f"layer {self.name!r}",
                why="tokens are looked up in it",
                fix="layer.adapt(data) first, or layer.set_vocabulary(tokens)",
            )

    def call(self, inputs: Any) -> Any:
        if isinstance(inputs, Tensor) and inputs.is_meta:
            return self._shaped(inputs)
        self.require_vocabulary()
        if self.invert:
            return self._tokens_at(as_whole_numbers(inputs, owner=type(self).__name__))
        tokens, shape = self._read(inputs)
        return self.encoded(torch.from_numpy(self.places(tokens).reshape(shape)))

    def _shaped(self, inputs: Tensor) -> Tensor:
        """What comes out, without numbers: a file is rebuilt before its vocabulary is read."""
        if self.invert:
            return inputs.long()
        mode = "count" if self.output_mode == "tf_idf" else self.output_mode
        dtype = torch.float32 if self.output_mode == "tf_idf" else torch.int64
        return encode(inputs.long(), mode, self.depth(), dtype)  # type: ignore[arg-type]  # one of MODES

    def places(self, tokens: Sequence[Token]) -> NDArray[np.int64]:
        """The place of each token; -1 for a mask where it counts nowhere."""
        get = self._places.get
        found = np.fromiter((get(token, -2) for token in tokens), np.int64, count=len(tokens))
        mask = self._token(self.mask_token)
        start = 0
        if mask is not None:
            start = int(self.output_mode == "int")
            masked = np.fromiter((token == mask for token in tokens), bool, count=len(tokens))
            found[masked] = 0 if start else -1
        unknown = np.flatnonzero(found == -2)
        if unknown.size:
            strangers = [tokens[place] for place in unknown.tolist()]
            found[unknown] = start + self._unknown(strangers)
        return found

    def _unknown(self, tokens: list[Token]) -> NDArray[np.int64]:
        if self.num_oov_indices > 1:
            return self._oov_bins(tokens)
        if self.num_oov_indices == 1:
            return np.zeros(len(tokens), np.int64)
        some = ", ".join(repr(self._shown(token)) for token in tokens[:5])
        raise DataError(
            f"{type(self).__name__}: {len(tokens)} tokens are not in the vocabulary: {some}",
            where=f"layer {self.name!r}",
            why="num_oov_indices=0 leaves no place for them",
            fix=f"{type(self).__name__}(num_oov_indices=1)",
        )

    def depth(self) -> int:
        """Length of the vectors of modes other than "int"."""
        padded = self.pad_to_max_tokens and self.max_tokens is not None
        if padded:
            return int(self.max_tokens or 0)
        return self.vocabulary_size() if self._known else self._promised_size or 1

    def encoded(self, places: Tensor) -> Tensor:
        """Places as the mode says."""
        if self.output_mode != "tf_idf":
            return encode(places, self.output_mode, self.depth(), torch.int64)  # type: ignore[arg-type]  # one of MODES
        assert self.idf_weights is not None
        return encode(places, "count", self.depth(), torch.float32) * self.idf_weights

    def _tokens_at(self, places: NDArray[np.int64]) -> Any:
        words = np.empty(self.vocabulary_size() + 1, dtype=object)
        words[:] = [*self.get_vocabulary(), self.oov_token]
        outside = (places < 0) | (places >= len(words) - 1)
        found = words[np.where(outside, -1, places)]
        return self._inverted(np.asarray(found, dtype=object))

    def _inverted(self, tokens: NDArray[Any]) -> Any:
        return tokens

    # Files

    def assets(self) -> dict[str, bytes]:
        """What a `.keras` file keeps beside the arrays; nothing where the config says it all."""
        if self._in_config or not self._known:
            return {}
        lines = [str(token) for token in self.get_vocabulary()]
        broken = next((line for line in lines if "\n" in line), None)
        if broken is not None:
            raise ArgumentError(
                f"{type(self).__name__}: the token {broken!r} has a line break in it",
                where="save",
                why="the file holds one token on each line",
                fix="split or standardize so that no token holds one",
            )
        return {_FILE: "\n".join(lines).encode("utf-8", "surrogateescape")}

    def load_assets(self, files: Mapping[str, bytes], *, where: str) -> None:
        """Take the vocabulary out of a file's assets.

        Raises: FileFormatError: it is not of the size that the layer's settings promise.
        """
        if self._in_config or _FILE not in files:
            return
        lines = files[_FILE].decode("utf-8", "surrogateescape").split("\n")
        while lines and not lines[-1]:
            lines.pop()
        promised = self._promised_size
        weights = None if self.idf_weights is None else self.idf_weights[: len(lines)]
        try:
            if promised not in (None, len(lines)):
                raise ValueError(f"it has {len(lines):,} tokens, the settings say {promised:,}")
            self.set_vocabulary(lines, weights)
        except (ValueError, OverflowError) as error:
            raise FileFormatError(
                f"the vocabulary of {self.name!r} cannot be used: {str(error).splitlines()[0]}",
                where=where,
                why="the settings, the numbers and the vocabulary are not of one model",
                fix="fetch or save the file again",
            ) from error

    def named_arrays(self) -> dict[str, np.ndarray]:
        """The idf weights, where there are any."""
        return {} if self.idf_weights is None else {"idf_weights": self.idf_weights.numpy()}

    def load_named_arrays(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take the idf weights out of a file."""
        if "idf_weights" in arrays:
            weights = np.asarray(arrays["idf_weights"], np.float32).reshape(-1)
            self.idf_weights = torch.from_numpy(weights)
