"""From sentences to numbers: the layer that tokenises and looks up."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, TypeAlias, Unpack

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from stroma.core.checks import check_choice, check_positive_int
from stroma.core.errors import ArgumentError, ShapeError
from stroma.core.layer import UnnamedOptions
from stroma.functional import text as functional
from stroma.layers.index_lookup import MODES
from stroma.layers.lookup import StringLookup
from stroma.layers.registry import register_layer
from stroma.layers.texts import EagerLayer, as_texts, batches

How: TypeAlias = str | Callable[[Any], Any] | None


@register_layer("TextVectorization")
class TextVectorization(EagerLayer):
    """Sentences as rows of numbers: standardize, split, join n-grams, look up.

    Place 0 is padding, 1 stands for unknown words (in mode "int").

    Args:
        max_tokens: At most so many places, >= 2; None: as many as there are words.
        standardize: "lower_and_strip_punctuation", "lower", "strip_punctuation" (of ASCII only), a
            function of a NumPy array of str, or None.
        split: "whitespace" (of ASCII), "character", a function of a NumPy array of str that gives a
            list of words for each, or None: every entry is a word.
        ngrams: n: runs of 1 to n words; a tuple: runs of these lengths; None: words.
        output_mode: "int": a row of places; "multi_hot", "count" (the bag of words), "tf_idf": a
            vector for each sentence.
        output_sequence_length: Rows of "int" are cut or padded with 0 to this length; None: to
            the longest.
        pad_to_max_tokens, vocabulary, idf_weights: As in `StringLookup`.
        sparse, ragged: Must stay False.
        encoding: How texts become bytes.
        vocabulary_size: As Keras' files have it; it is checked.
    Shape: (B,) -> (B, T)
    Raises: ArgumentError: settings that do not go together; DataError: the vocabulary is not
        known; ShapeError: more than one text in a row; GraphError: called on a symbolic tensor.
    Example:
        >>> from stroma import layers
        >>> layer = layers.TextVectorization(output_sequence_length=4)
        >>> layer.adapt(["foo bar", "bar baz", "baz bada boom"])
        >>> layer(["foo qux bar", "qux baz"]).tolist()
        [[4, 1, 3, 0], [1, 2, 0, 0]]

    Reference: Keras 3 `keras.layers.TextVectorization`; Salton & Buckley 1988 (tf-idf). The
        numbers are those of Keras on TensorFlow.
    """

    ASSETS, ARRAYS = StringLookup.ASSETS, StringLookup.ARRAYS
    names_in_files: ClassVar[dict[str, str]] = {"lookup": "_lookup_layer"}

    def __init__(
        self,
        max_tokens: int | None = None,
        standardize: How = "lower_and_strip_punctuation",
        split: How = "whitespace",
        ngrams: int | Sequence[int] | None = None,
        output_mode: str = "int",
        output_sequence_length: int | None = None,
        pad_to_max_tokens: bool = False,
        vocabulary: Any = None,
        idf_weights: Any = None,
        sparse: bool = False,
        ragged: bool = False,
        encoding: str = "utf-8",
        name: str | None = None,
        *,
        vocabulary_size: int | None = None,
        **options: Unpack[UnnamedOptions],
    ) -> None:
        super().__init__(name=name, **options)
        owner = "TextVectorization"
        self.standardize = _known("standardize", standardize, functional.STANDARDS)
        self.split = _known("split", split, functional.SPLITS)
        self.ngrams = _widths(ngrams)
        self.output_sequence_length = (
            None
            if output_sequence_length is None
            else check_positive_int("output_sequence_length", output_sequence_length, owner=owner)
        )
        if ragged or (output_sequence_length is not None and output_mode != "int"):
            raise ArgumentError(
                "TextVectorization: ragged=True is not offered"
                if ragged
                else f"TextVectorization: output_sequence_length with output_mode={output_mode!r}",
                where="TextVectorization(...)",
                why="PyTorch has no ragged tensors"
                if ragged
                else "a vector for a whole sentence has the length of the vocabulary",
                fix="TextVectorization(ragged=False): shorter rows end in 0"
                if ragged
                else "TextVectorization(output_mode='int', output_sequence_length=...)",
            )
        self.lookup = StringLookup(
            max_tokens,
            mask_token="",
            vocabulary=vocabulary,
            idf_weights=idf_weights,
            output_mode=check_choice(
                "output_mode",
                {"binary": "multi_hot", "tf-idf": "tf_idf"}.get(output_mode, output_mode),
                list(MODES),
                owner=owner,
            ),
            pad_to_max_tokens=pad_to_max_tokens,
            sparse=sparse,
            encoding=encoding,
            vocabulary_size=vocabulary_size,
        )
        if vocabulary is not None:
            self._note_vocabulary()

    # Text into tokens

    def tokens(self, inputs: Any) -> list[list[bytes]]:
        """The tokens of each text, as they are looked up."""
        texts, shape = as_texts(inputs, self.lookup.encoding, owner="TextVectorization")
        texts = self._standardized(texts)
        if self.split is None:
            width = shape[1] if len(shape) > 1 else 1
            rows = [texts[i : i + width] for i in range(0, len(texts), width)]
        else:
            if len(shape) > 1 and shape[-1] != 1:
                raise ShapeError(
                    f"TextVectorization takes one text for each sample, got shape {shape}",
                    where=f"layer {self.name!r}",
                    why="each text becomes a row of its own",
                    fix="a list of texts, or split=None where they are words already",
                )
            rows = self._split(texts)
        return rows if self.ngrams is None else functional.ngrams(rows, self.ngrams)

    def _standardized(self, texts: list[bytes]) -> list[bytes]:
        if not callable(self.standardize):
            return functional.standardize(texts, self.standardize)
        made = np.asarray(self.standardize(self._decoded(texts)))
        return as_texts(made, self.lookup.encoding, owner="standardize")[0]

    def _split(self, texts: list[bytes]) -> list[list[bytes]]:
        if isinstance(self.split, str):
            return functional.split(texts, self.split)
        assert callable(self.split)
        rows = self.split(self._decoded(texts))
        return [as_texts(list(row), self.lookup.encoding, owner="split")[0] for row in rows]

    def _decoded(self, texts: list[bytes]) -> np.ndarray:
        return np.array([text.decode(self.lookup.encoding, "surrogateescape") for text in texts])

    # The vocabulary

    def adapt(self, data: Any, batch_size: int | None = None, steps: int | None = None) -> None:
        """Learn the vocabulary from texts: the most frequent words; the old one is forgotten.

        Args:
            data: A list or array of texts, or an iterable of batches of them.
            batch_size: Accepted for Keras' signature, without effect.
            steps: How many batches are taken; None: all.
        """
        self.reset_state()
        for batch in batches(data, steps):
            self.update_state(batch)
        self.finalize_state()

    def update_state(self, data: Any) -> None:
        """Count the words of a batch of texts; each is a document."""
        self.lookup.count(self.tokens(data))

    def finalize_state(self) -> None:
        """Make the vocabulary from what was counted."""
        self.lookup.finalize_state()
        self._note_vocabulary()

    def reset_state(self) -> None:
        """Forget what was counted."""
        self.lookup.reset_state()

    def set_vocabulary(self, vocabulary: Any, idf_weights: Any = None) -> None:
        """Take these words: `StringLookup.set_vocabulary`."""
        self.lookup.set_vocabulary(vocabulary, idf_weights)
        self._note_vocabulary()

    def _note_vocabulary(self) -> None:
        """Let the config say of the vocabulary what the lookup's says."""
        known = self.lookup.arguments()
        names = ("vocabulary", "idf_weights", "vocabulary_size")
        self._noted(type(self)).update({name: known[name] for name in names})

    def get_vocabulary(self, include_special_tokens: bool = True) -> list[str]:
        """The words in order: the place in this list is the number that the layer gives."""
        return self.lookup.get_vocabulary(include_special_tokens)

    def vocabulary_size(self) -> int:
        """How many places there are, padding and unknown words included."""
        return self.lookup.vocabulary_size()

    # Calling

    def call(self, inputs: Any) -> Tensor:
        single = isinstance(inputs, (str, bytes))
        rows = self.tokens([inputs] if single else inputs)
        self.lookup.require_vocabulary()
        flat = self.lookup.places([token for row in rows for token in row])
        parts = torch.split(torch.from_numpy(flat), [len(row) for row in rows])
        if self.lookup.output_mode == "int":
            padded = self._to_length(parts)
        elif self.lookup.output_mode == "one_hot" and len({len(row) for row in rows}) > 1:
            raise ShapeError(
                "TextVectorization: one vector for each word of texts of different lengths",
                where=f"layer {self.name!r}",
                why="the result is one dense tensor",
                fix="output_mode='multi_hot', or 'int' before CategoryEncoding",
            )
        else:
            padded = pad_sequence(list(parts), True, -1) if parts else flat_empty(rows)
        encoded = self.lookup.encoded(padded)
        return encoded[0] if single else encoded

    def _to_length(self, parts: Sequence[Tensor]) -> Tensor:
        padded = pad_sequence(list(parts), batch_first=True) if parts else flat_empty(parts)
        length = self.output_sequence_length
        if length is None:
            return padded
        return torch.nn.functional.pad(padded, (0, length - padded.shape[1]))

    # Files: Keras keeps the vocabulary with this layer and once more with the lookup inside

    def assets(self) -> dict[str, bytes]:
        """The vocabulary, for `.keras` files."""
        return self.lookup.assets()

    def load_assets(self, files: Mapping[str, bytes], *, where: str) -> None:
        """Take the vocabulary out of a file's assets."""
        self.lookup.load_assets(files, where=where)
        self._note_vocabulary()

    def named_arrays(self) -> dict[str, np.ndarray]:
        """The idf weights, where there are any."""
        return self.lookup.named_arrays()

    def load_named_arrays(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take the idf weights out of a file."""
        self.lookup.load_named_arrays(arrays)


def flat_empty(rows: Sequence[Any]) -> Tensor:
    """What no texts become."""
    return torch.zeros((len(rows), 0), dtype=torch.int64)


def _known(name: str, value: How, names: Sequence[str]) -> How:
    if value is None or callable(value):
        return value
    return check_choice(name, value, names, owner="TextVectorization")


def _widths(ngrams: Any) -> tuple[int, ...] | None:
    if ngrams is None:
        return None
    listed = (
        ngrams if isinstance(ngrams, (list, tuple))
        else range(1, check_positive_int("ngrams", ngrams, owner="TextVectorization") + 1)
    )  # fmt: skip
    return tuple(check_positive_int("ngrams", n, owner="TextVectorization") for n in listed)
