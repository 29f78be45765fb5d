"""Tokens, vocabularies and hashes: what holds for any text, in any batches."""

import re
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stroma import layers
from stroma.core.errors import (
    ArgumentError,
    ArgumentTypeError,
    DataError,
    GraphError,
    ShapeError,
    StromaError,
)
from stroma.functional import hashing, text

WORDS = st.text("abcAB é.!'\t", max_size=12)
TEXTS = st.lists(WORDS, min_size=1, max_size=6)
PUNCTUATION = "[" + re.escape("!\"#$%&()*+,-./:;<=>?@[\\]^_`{|}~'") + "]"


@settings(max_examples=40, deadline=None)
@given(texts=TEXTS)
def test_tokens_are_those_of_the_regular_expressions(texts):
    """Keras' definition in Python's terms: ASCII's punctuation, letters and white space."""
    layer = layers.TextVectorization()
    for given_text, row in zip(texts, layer.tokens(texts)):
        lowered = "".join(c.lower() if c.isascii() else c for c in given_text)
        bare = re.sub(PUNCTUATION, "", lowered)
        expected = [part for part in re.split(r"[ \t\n\r\x0b\x0c]+", bare) if part]
        assert [token.decode() for token in row] == expected
    characters = layers.TextVectorization(standardize=None, split="character").tokens(texts)
    assert ["".join(t.decode() for t in row) for row in characters] == texts


@settings(max_examples=25, deadline=None)
@given(row=st.lists(st.sampled_from([b"a", b"b", b"c"]), max_size=6), width=st.integers(1, 4))
def test_ngrams_are_runs(row, width):
    (made,) = text.ngrams([row], (width,))
    assert made == [b" ".join(row[i : i + width]) for i in range(len(row) - width + 1)]
    (all_widths,) = text.ngrams([row], range(1, width + 1))
    assert len(all_widths) == sum(max(0, len(row) - w + 1) for w in range(1, width + 1))


@settings(max_examples=25, deadline=None)
@given(texts=TEXTS, sizes=st.integers(1, 4), mode=st.sampled_from(["int", "tf_idf"]))
def test_batches_teach_what_the_whole_teaches(texts, sizes, mode):
    whole, parts = (layers.TextVectorization(output_mode=mode) for _ in range(2))
    whole.adapt(texts)
    parts.adapt(iter([texts[i : i + sizes] for i in range(0, len(texts), sizes)]))
    assert whole.get_vocabulary() == parts.get_vocabulary()
    assert torch.equal(whole(texts), parts(texts))
    counted = Counter(token for row in whole.tokens(texts) for token in row)
    learned = [token.encode() for token in whole.get_vocabulary(include_special_tokens=False)]
    assert learned == sorted(counted, key=lambda t: (counted[t], t), reverse=True)


@settings(max_examples=25, deadline=None)
@given(texts=TEXTS, length=st.integers(1, 5), most=st.none() | st.integers(3, 6))
def test_rows_have_the_length_asked_for(texts, length, most):
    layer = layers.TextVectorization(max_tokens=most, output_sequence_length=length)
    layer.adapt(texts)
    numbers = layer(texts)
    assert numbers.shape == (len(texts), length)
    assert numbers.dtype == torch.int64
    vocabulary = layer.get_vocabulary()
    assert vocabulary[:2] == ["", "[UNK]"]
    assert layer.vocabulary_size() == len(vocabulary) <= (most or 99)
    for row, tokens in zip(numbers.tolist(), layer.tokens(texts)):
        words = [t.decode() for t in tokens][:length]
        expected = [vocabulary.index(w) if w in vocabulary else 1 for w in words]
        assert row == expected + [0] * (length - len(words))
    for one, row in zip(texts, numbers):
        assert torch.equal(layer([one])[0], row)
        assert torch.equal(layer(one), row)


@settings(max_examples=20, deadline=None)
@given(texts=TEXTS)
def test_the_bag_of_words_counts(texts):
    bags = {}
    for mode in ("count", "multi_hot", "tf_idf"):
        layer = layers.TextVectorization(max_tokens=9, pad_to_max_tokens=True, output_mode=mode)
        layer.adapt(texts)
        bags[mode] = layer(texts)
        assert bags[mode].shape == (len(texts), 9)
    assert bags["count"].sum(1).tolist() == [len(row) for row in layer.tokens(texts)]
    assert torch.equal(bags["multi_hot"], (bags["count"] > 0).long())
    torch.testing.assert_close(bags["tf_idf"], bags["count"] * layer.lookup.idf_weights)


@settings(max_examples=25, deadline=None)
@given(tokens=st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=20),
       unknown=st.integers(1, 3), mask=st.sampled_from([None, "", "a"]))  # fmt: skip
def test_there_and_back_again(tokens, unknown, mask):
    there = layers.StringLookup(num_oov_indices=unknown, mask_token=mask)
    there.adapt(tokens)
    back = layers.StringLookup(
        num_oov_indices=unknown, mask_token=mask, invert=True,
        vocabulary=there.get_vocabulary(),
    )  # fmt: skip
    assert back(there(tokens)).tolist() == tokens
    assert there(np.array(tokens)).tolist() == there([t.encode() for t in tokens]).tolist()
    assert back([0, 99]).tolist() == [mask if mask is not None else "[UNK]", "[UNK]"]


@settings(max_examples=30, deadline=None)
@given(texts=st.lists(st.binary(max_size=200), min_size=1, max_size=8), count=st.integers(1, 99))
def test_hashes_do_not_depend_on_their_neighbours(texts, count):
    for function in (hashing.fingerprints, lambda t: hashing.siphash(t, (3, 2**63 + 5))):
        together = function(texts)
        assert [function([one])[0] for one in texts] == list(together)
    bins = layers.Hashing(count)([t.decode("latin-1") for t in texts])
    assert bins.min() >= 0
    assert bins.max() < count


def test_known_answers_of_siphash():
    """The vector of the paper, appendix A: 15 bytes 00..0e under the key 00..0f."""
    key = tuple(int.from_bytes(bytes(range(i, i + 8)), "little") for i in (0, 8))
    (value,) = hashing.siphash([bytes(range(15))], key)
    assert value == 0xA129CA6149BE45E5
    wrong = hashing.siphash([bytes(range(15))], key[::-1])
    assert wrong[0] != value, "the order of the key's halves counts"


def test_a_crossing_knows_the_order_and_the_number():
    first, second = ["a", "b"], [1, 2]
    layer = layers.HashedCrossing(10**6)
    assert layer((first, second)).tolist() != layer((second, first)).tolist()
    assert layer((first, second)).tolist() != layer((first, ["1", "2"])).tolist()
    assert layer(([["a"]], [[1]])).shape == (1, 1)


def test_functions_of_ones_own_get_arrays_of_text():
    layer = layers.TextVectorization(
        standardize=lambda texts: np.char.upper(texts),
        split=lambda texts: [t.split("-") for t in texts.tolist()],
    )
    layer.adapt(["a-b", "B-C"])
    assert layer.get_vocabulary() == ["", "[UNK]", "B", "C", "A"]
    assert layer(["c-x"]).tolist() == [[3, 1]]


def test_a_vocabulary_file_is_read_where_the_code_names_it(tmp_path):
    path = tmp_path / "words.txt"
    path.write_text("earth\nwind\n", encoding="utf-8")
    layer = layers.StringLookup(vocabulary=str(path))
    assert layer(["wind", "fire"]).tolist() == [2, 0]
    assert layer.get_config()["vocabulary"] is None
    with pytest.raises(DataError, match="cannot be read"):
        layers.StringLookup(vocabulary=str(tmp_path / "none.txt"))


@pytest.mark.parametrize("kind", [layers.StringLookup, layers.TextVectorization])
def test_a_new_vocabulary_replaces_the_one_in_the_config(kind):
    """Keras writes the old one into the file, and the new one is lost."""
    layer = kind(vocabulary=["a", "b"])
    assert layer.get_config()["vocabulary"] == ["a", "b"]
    assert layer.assets() == {}
    layer.set_vocabulary(["c"])
    config = layer.get_config()
    assert config["vocabulary"] is None
    assert config["vocabulary_size"] == layer.vocabulary_size()
    again = kind.from_config(config)
    again.load_assets(layer.assets(), where="test")
    assert again.get_vocabulary() == layer.get_vocabulary()


@pytest.mark.parametrize("make", [
    lambda: layers.TextVectorization(vocabulary=["a"]), lambda: layers.StringLookup(
        vocabulary=["a"]), lambda: layers.Hashing(3), lambda: layers.HashedCrossing(3),
])  # fmt: skip
def test_texts_do_not_go_into_a_network(make):
    entry = layers.Input((1,))
    layer = make()
    with pytest.raises(GraphError, match="does not take a symbolic tensor"):
        layer([entry, entry] if isinstance(layer, layers.HashedCrossing) else entry)


def test_an_input_of_text_is_no_input():
    with pytest.raises(ArgumentError, match="PyTorch has no tensors of text"):
        layers.Input((1,), dtype="string")


WRONG = [
    (lambda: layers.TextVectorization()(["a"]), DataError, "vocabulary is not known"),
    (lambda: layers.TextVectorization(vocabulary=["a"])([["a", "b"]]), ShapeError, "one text"),
    (lambda: layers.TextVectorization(ragged=True), ArgumentError, "ragged=True"),
    (lambda: layers.TextVectorization(sparse=True), ArgumentError, "sparse=True"),
    (lambda: layers.TextVectorization(split="words"), ArgumentError, "split must be one of"),
    (lambda: layers.TextVectorization(ngrams=0), ArgumentError, "ngrams must be 1 or more"),
    (lambda: layers.TextVectorization(output_mode="count", output_sequence_length=3),
     ArgumentError, "output_sequence_length"),
    (lambda: layers.TextVectorization(output_mode="tf_idf", vocabulary=["a"]), ArgumentError,
     "without idf_weights"),
    (lambda: layers.StringLookup(vocabulary=[]), ArgumentError, "it is empty"),
    (lambda: layers.StringLookup(vocabulary=["a", "b", "a"]), ArgumentError, "more than once"),
    (lambda: layers.StringLookup(vocabulary=["a", ""], mask_token=""), ArgumentError, "midst"),
    (lambda: layers.StringLookup(vocabulary=["a", "b"], max_tokens=2), ArgumentError, "max_tokens"),
    (lambda: layers.StringLookup(invert=True, output_mode="count"), ArgumentError, "invert"),
    (lambda: layers.StringLookup(pad_to_max_tokens=True), ArgumentError, "pad_to_max"),
    (lambda: layers.StringLookup(vocabulary=["a"]).adapt(["b"]), ArgumentError, "was given"),
    (lambda: layers.StringLookup().adapt(iter([])), DataError, "got no data"),
    (lambda: layers.StringLookup(vocabulary=["a"], num_oov_indices=0)(["b"]), DataError, "'b'"),
    (lambda: layers.StringLookup(vocabulary=["a"])([["a"], ["a", "b"]]), DataError, "lengths"),
    (lambda: layers.StringLookup(vocabulary=["a"])([3]), ArgumentTypeError, "takes texts"),
    (lambda: layers.IntegerLookup(vocabulary=[1])(["a"]), ArgumentTypeError, "whole numbers"),
    (lambda: layers.IntegerLookup(salt=3), ArgumentError, "oov_method"),
    (lambda: layers.IntegerLookup(vocabulary=[1])([[1], [1, 2]]), DataError, "lengths"),
    (lambda: layers.Hashing(3, salt="s"), ArgumentError, "salt must be"),
    (lambda: layers.Hashing(3, dtype="float32"), ArgumentError, "float32"),
    (lambda: layers.HashedCrossing(3)((["a"],)), ShapeError, "two or more"),
    (lambda: layers.HashedCrossing(3)((["a"], [1, 2])), ShapeError, "of one shape"),
]  # fmt: skip


@pytest.mark.parametrize(("wrong", "kind", "words"), WRONG)
def test_what_is_refused_says_why(wrong, kind, words):
    with pytest.raises(kind, match=re.escape(words)) as caught:
        wrong()
    assert isinstance(caught.value, StromaError)
    assert all(caught.value.parts().get(part) for part in ("what", "where", "why", "try"))
