"""Makes text_reference.json and .keras: what Keras on TensorFlow says of text and categories.

Keras on torch cannot be asked: these layers need TensorFlow. Run it where both are installed:

    pip install tensorflow-cpu keras==3.15.1
    python tests/layers/make_text_reference.py
"""

import json
import os
import sys
from pathlib import Path

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np
import tensorflow as tf

DOCUMENTS = [
    "The cat sat on the mat.", "the dog; the DOG!", "A cat, a dog & a bird", "it's 3 o'clock",
    "", "   ", "café CAFÉ naïve", "tab\there new\nline", "no-break\u00a0space wide\u3000space",
    "a a a b b c", "don't_stop [now] {or} <never>", "The end",
]  # fmt: skip
WORDS = [["a", "c", "d", "d"], ["d", "z", "b", "z"], ["", "m", "a", "[UNK]"]]
NUMBERS = [[12, 1138, 42, 42], [42, 7, 36, 7], [0, -5, 12, 36]]
VOCABULARY, INTEGERS, IDF = ["a", "b", "c", "d"], [12, 36, 1138, 42], [0.25, 0.75, 0.6, 0.4]


def plain(value):
    if hasattr(value, "numpy"):
        value = value.numpy()
    if isinstance(value, (np.ndarray, np.generic)):
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value.decode() if isinstance(value, bytes) else value


def case(name, arguments, inputs, adapt=None, vocabulary=None, as_array=False):
    """One layer: what it was given, and what came out."""
    layer = getattr(keras.layers, name)(**arguments)
    if adapt is not None:
        layer.adapt(np.array(adapt) if as_array else adapt)
    if vocabulary is not None:
        layer.set_vocabulary(**vocabulary)
    given = [np.array(x) for x in inputs] if name == "HashedCrossing" else inputs
    output = layer(np.array(given) if as_array else given)
    made = {
        "layer": name, "arguments": arguments, "adapt": adapt, "vocabulary": vocabulary,
        "inputs": inputs, "output": plain(output), "dtype": tf.as_dtype(output.dtype).name,
    }  # fmt: skip
    if hasattr(layer, "get_vocabulary"):
        made["learned"] = [plain(term) for term in layer.get_vocabulary()]
        made["plain"] = [plain(term) for term in layer.get_vocabulary(include_special_tokens=False)]
        made["size"] = int(layer.vocabulary_size())
    if name == "Discretization":
        made["boundaries"] = plain(layer.bin_boundaries)
    return made


def hashing():
    rng = np.random.default_rng(0)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyzé "))
    texts = ["".join(rng.choice(letters, size)) for size in [*range(72), 127, 128, 129, 200, 513]]
    for bins in (3, 1000, 2**62):
        yield case("Hashing", {"num_bins": bins}, texts)
        yield case("Hashing", {"num_bins": bins, "salt": 1337}, texts)
        yield case("Hashing", {"num_bins": bins, "salt": [133, 2**40 + 7]}, texts)
    numbers = [0, 1, -1, 7, 12345678901, -(2**62), 100, 101]
    for salt in (None, 5):
        yield case("Hashing", {"num_bins": 10, "salt": salt}, numbers)
        yield case("Hashing", {"num_bins": 10, "salt": salt, "mask_value": 7}, numbers)
    yield case("Hashing", {"num_bins": 4, "mask_value": ""}, WORDS)
    yield case("Hashing", {"num_bins": 1, "mask_value": ""}, WORDS)
    for mode in ("one_hot", "multi_hot", "count"):
        yield case("Hashing", {"num_bins": 4, "output_mode": mode}, WORDS)
        yield case("Hashing", {"num_bins": 4, "output_mode": mode}, [["a"], ["b"]])
        yield case("Hashing", {"num_bins": 4, "output_mode": mode}, ["a", "b", "q"])
    yield case("Hashing", {"num_bins": 10}, [1.0, 2.7, -3.2])


def crossing():
    first, second = ["A", "B", "A", "B", "A"], [101, 101, 101, 102, -102]
    third = ["x", "", "long text of more than sixteen letters", "é", "q"]
    for bins in (5, 1000, 2**62):
        yield case("HashedCrossing", {"num_bins": bins}, [first, second])
        yield case("HashedCrossing", {"num_bins": bins}, [first, third, second])
    columns = [[[x] for x in first], [[x] for x in second]]
    yield case("HashedCrossing", {"num_bins": 5}, columns)
    yield case("HashedCrossing", {"num_bins": 5, "output_mode": "one_hot"}, columns)
    yield case("HashedCrossing", {"num_bins": 5, "output_mode": "one_hot"}, [first, second])
    yield case("HashedCrossing", {"num_bins": 5, "output_mode": "one_hot"}, ["A", 3])
    yield case("HashedCrossing", {"num_bins": 5}, ["A", 3])


def lookups():
    kinds = (("StringLookup", VOCABULARY, WORDS, ""), ("IntegerLookup", INTEGERS, NUMBERS, 0))
    for name, known, data, mask in kinds:
        array = name == "IntegerLookup"
        for more in ({}, {"mask_token": mask}, {"num_oov_indices": 3}, {"max_tokens": 9},
                     {"mask_token": mask, "num_oov_indices": 2}):  # fmt: skip
            for mode in ("int", "one_hot", "multi_hot", "count"):
                settings = {"vocabulary": known, "output_mode": mode, **more}
                yield case(name, settings, data, as_array=array)
        padded = {"max_tokens": 9, "pad_to_max_tokens": True, "output_mode": "count"}
        yield case(name, {"vocabulary": known, **padded}, data, as_array=array)
        weighted = {"vocabulary": known, "idf_weights": IDF, "output_mode": "tf_idf"}
        yield case(name, weighted, data, as_array=array)
        special = [("[UNK]" if not array else -1), *known]
        whole = {"vocabulary": special, "idf_weights": [0.9, *IDF]}
        yield case(name, {"output_mode": "tf_idf"}, data, vocabulary=whole, as_array=array)
        yield case(
            name, {"output_mode": "tf_idf", "max_tokens": 8, "pad_to_max_tokens": True}, data,
            vocabulary=whole, as_array=array,
        )  # fmt: skip
        for more in ({}, {"max_tokens": 4}, {"mask_token": mask}, {"output_mode": "tf_idf"},
                     {"output_mode": "tf_idf", "max_tokens": 20, "pad_to_max_tokens": True},
                     {"output_mode": "count", "mask_token": mask}):  # fmt: skip
            yield case(name, more, data, adapt=data, as_array=array)
            flat = [row[0] for row in data]
            yield case(name, more, data, adapt=flat, as_array=array)
        indices = [[1, 3, 4], [4, 0, 2]]
        yield case(name, {"vocabulary": known, "invert": True}, indices, as_array=True)
        masked = {"vocabulary": known, "invert": True, "mask_token": mask, "num_oov_indices": 2}
        yield case(name, masked, indices, as_array=True)
        for mode in ("int", "one_hot", "multi_hot", "count"):
            settings = {"vocabulary": known, "output_mode": mode}
            yield case(name, settings, data[0], as_array=array)
            yield case(name, settings, [row[:1] for row in data], as_array=array)
    for method, salt in (("farmhash", None), ("farmhash", [3, 4]), ("floormod", None)):
        settings = {"vocabulary": INTEGERS, "num_oov_indices": 4, "oov_method": method}
        oov = [[100, 300, 700, 1100, 1700, 2000, -1, -7, 12]]
        yield case("IntegerLookup", settings | {"salt": salt}, oov, as_array=True)
    settings = {"vocabulary": VOCABULARY, "num_oov_indices": 4, "salt": 9}
    yield case("StringLookup", settings, [["a", "x", "yy", "zzz", ""]])


def vectorization():
    name = "TextVectorization"
    for standardize in ("lower_and_strip_punctuation", "lower", "strip_punctuation", None):
        for split in ("whitespace", "character"):
            settings = {"standardize": standardize, "split": split}
            yield case(name, settings, DOCUMENTS, adapt=DOCUMENTS)
    for ngrams in (2, 3, [2], [1, 3], [3, 2]):
        given = {"ngrams": tuple(ngrams) if isinstance(ngrams, list) else ngrams}
        yield case(name, given, DOCUMENTS, adapt=DOCUMENTS)
    for length in (1, 4, 30):
        yield case(name, {"output_sequence_length": length}, DOCUMENTS, adapt=DOCUMENTS)
    for mode in ("multi_hot", "count", "tf_idf"):
        for more in ({}, {"max_tokens": 8}, {"max_tokens": 60, "pad_to_max_tokens": True}):
            yield case(name, {"output_mode": mode, **more}, DOCUMENTS, adapt=DOCUMENTS)
    yield case(name, {"max_tokens": 5, "ngrams": 2}, DOCUMENTS, adapt=DOCUMENTS)
    columns = [[text] for text in DOCUMENTS]
    yield case(name, {}, columns, adapt=columns)
    known = {"vocabulary": ["earth", "wind", "and", "fire"], "output_sequence_length": 4}
    yield case(name, known, ["fire and ice", "wind", "Earth and wind and fire and more"])
    yield case(name, {"split": None, "output_sequence_length": 2}, columns, adapt=columns)
    yield case(name, {"split": None, "output_mode": "count"}, columns, adapt=columns)
    settings = {"vocabulary": known["vocabulary"], "output_mode": "tf_idf", "idf_weights": IDF}
    yield case(name, settings, ["fire and ice", "wind", "and and"])


def discretization():
    rng = np.random.default_rng(0)
    small = [[-1.5, 1.0, 3.4, 0.5], [0.0, 3.0, 1.3, 0.0]]
    large = rng.normal(size=(3, 400)).astype("float32").tolist()
    for mode in ("int", "one_hot", "multi_hot", "count"):
        settings = {"bin_boundaries": [0.0, 1.0, 2.0], "output_mode": mode}
        yield case("Discretization", settings, small, as_array=True)
        yield case("Discretization", settings, [row[:1] for row in small], as_array=True)
        yield case("Discretization", settings, small[0], as_array=True)
    for bins, epsilon in ((4, 0.01), (3, 0.1), (10, 0.05), (2, 0.5)):
        settings = {"num_bins": bins, "epsilon": epsilon}
        yield case("Discretization", settings, small, adapt=small, as_array=True)
        yield case("Discretization", settings, small, adapt=large, as_array=True)
        stream = [np.array(row) for row in large]
        layer = keras.layers.Discretization(**settings)
        layer.adapt(stream)
        yield {
            "layer": "Discretization", "arguments": settings, "adapt": large, "stream": True,
            "inputs": small, "output": plain(layer(np.array(small))), "dtype": "int32",
            "boundaries": plain(layer.bin_boundaries),
        }  # fmt: skip


def model():
    """A `.keras` file with what its layers learned, and what it answers."""
    lookup = keras.layers.IntegerLookup(output_mode="tf_idf")
    lookup.adapt(np.array(NUMBERS))
    places = keras.layers.IntegerLookup(mask_token=0, max_tokens=5)
    places.adapt(np.array(NUMBERS))
    bins = keras.layers.Discretization(num_bins=3)
    bins.adapt(np.arange(10.0))
    integers, floats = keras.Input((4,), dtype="int64"), keras.Input((1,))
    outputs = [lookup(integers), keras.layers.Embedding(5, 2)(places(integers)), bins(floats)]
    made = keras.Model([integers, floats], outputs)
    made.save(Path(__file__).with_name("text_reference.keras"))
    inputs = [NUMBERS, [[1.0], [4.5], [9.0]]]
    answers = made([np.array(NUMBERS), np.array(inputs[1], "float32")])
    return {"inputs": inputs, "outputs": [plain(answer) for answer in answers]}


def main():
    cases = []
    for make in (hashing, crossing, lookups, vectorization, discretization):
        cases += list(make())
    target = Path(__file__).with_name("text_reference.json")
    reference = {"keras": keras.__version__, "tensorflow": tf.__version__, "cases": cases,
                 "model": model()}  # fmt: skip
    target.write_text(json.dumps(reference, ensure_ascii=True) + "\n")
    sys.stdout.write(f"{len(cases)} cases, {target.stat().st_size:,} bytes\n")


if __name__ == "__main__":
    main()
