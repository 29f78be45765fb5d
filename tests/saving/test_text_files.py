"""`.keras` files with vocabularies, bins and encodings: both ways, and what is not opened."""

import io
import json
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from oracle import keras
from stroma import layers, models
from stroma.core.errors import FileFormatError, GraphError

LAYERS = Path(__file__).parents[1] / "layers"
REFERENCE = json.loads((LAYERS / "text_reference.json").read_text())["model"]
FROM_TENSORFLOW = LAYERS / "text_reference.keras"
DOCUMENTS = ["the cat sat", "a café dog", "the end"]


class Reader(models.Model):
    """Text runs before the network, so a model that keeps its vocabulary is a class."""

    def __init__(self):
        super().__init__()
        self.vectorize = layers.TextVectorization(output_mode="tf_idf")
        self.labels = layers.StringLookup(num_oov_indices=0)
        self.top = layers.Dense(2)

    def call(self, inputs):
        return self.top(inputs)


@pytest.fixture
def reader():
    model = Reader()
    model.vectorize.adapt(DOCUMENTS)
    model.labels.adapt(["yes", "no", "yes"])
    model(model.vectorize(DOCUMENTS))
    return model


def rewritten(path, name, change):
    """The same file with one member changed."""
    members = {n: zipfile.ZipFile(path).read(n) for n in zipfile.ZipFile(path).namelist()}
    members[name] = change(members[name])
    with zipfile.ZipFile(path, "w") as archive:
        for member, content in members.items():
            archive.writestr(member, content)
    return path


def test_a_file_of_keras_on_tensorflow_opens_and_answers_the_same():
    model = models.load_model(FROM_TENSORFLOW)
    integers, floats = REFERENCE["inputs"]
    answers = model([torch.tensor(integers), torch.tensor(floats)])
    for answer, expected in zip(answers, REFERENCE["outputs"], strict=True):
        np.testing.assert_allclose(answer.detach().numpy(), expected, rtol=1e-6, atol=1e-6)


def test_what_we_write_again_holds_what_keras_wrote(tmp_path):
    """Keras on torch has no lookups, so the members themselves are compared."""
    models.load_model(FROM_TENSORFLOW).save(tmp_path / "again.keras")
    ours, theirs = (zipfile.ZipFile(path) for path in (tmp_path / "again.keras", FROM_TENSORFLOW))
    assets = [n for n in theirs.namelist() if n.startswith("assets/")]
    assert len(assets) == 2
    assert sorted(n for n in ours.namelist() if n.startswith("assets/")) == sorted(assets)
    for name in assets:
        assert ours.read(name) == theirs.read(name)
    stored = []
    for archive in (ours, theirs):
        found = {}
        with h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as file:
            file.visititems(lambda n, item: found.update({n: item[()]})  # noqa: B023
                            if isinstance(item, h5py.Dataset) else None)  # fmt: skip
        stored.append(found)
    assert stored[0].keys() == stored[1].keys()
    assert any(name.endswith("idf_weights") for name in stored[0])
    assert all((stored[0][name] == stored[1][name]).all() for name in stored[0])
    for a, b in zip(*(_configs(archive) for archive in (ours, theirs)), strict=True):
        missing = {k for k, v in b.items() if v not in (None, False) and k not in a}
        assert missing <= {"dtype"}, missing


def _configs(archive):
    described = json.loads(archive.read("config.json"))["config"]["layers"]
    return [layer["config"] for layer in described if "Lookup" in layer["class_name"]]


def test_vocabularies_come_back(reader, tmp_path):
    path = reader.save(tmp_path / "reader.keras")
    again = models.load_model(path, custom_objects={"Reader": Reader})
    assert again.vectorize.get_vocabulary() == reader.vectorize.get_vocabulary()
    assert torch.equal(again.vectorize(DOCUMENTS), reader.vectorize(DOCUMENTS))
    assert again.labels(["no", "yes"]).tolist() == [1, 0]
    names = zipfile.ZipFile(path).namelist()
    assert {n for n in names if n.startswith("assets/")} == {
        "assets/layers/text_vectorization/vocabulary.txt",
        "assets/layers/text_vectorization/_lookup_layer/vocabulary.txt",
        "assets/labels/vocabulary.txt",
    }


def test_safetensors_would_lose_a_vocabulary(reader, tmp_path):
    with pytest.raises(GraphError, match="keeps more than weights"):
        reader.save(tmp_path / "reader.safetensors")


def test_a_vocabulary_given_in_code_stands_in_the_settings(tmp_path):
    """Also where a word is the name of a function that the caller hands in."""
    entry = layers.Input((2,), dtype="int64")
    model = models.Model(entry, layers.IntegerLookup(vocabulary=[5, 7])(entry))
    path = model.save(tmp_path / "given.keras")
    assert not any("assets" in name for name in zipfile.ZipFile(path).namelist())
    rows = torch.tensor([[7, 9]])
    assert models.load_model(path)(rows).tolist() == model(rows).tolist() == [[2, 0]]

    class Words(models.Model):
        def __init__(self, lookup):
            super().__init__()
            self.lookup, self.top = lookup, layers.Dense(1)

        def call(self, inputs):
            return self.top(inputs)

    own = {"Words": Words, "len": len}
    words = Words(layers.StringLookup(vocabulary=["len", "relu"]))
    words(torch.zeros(1, 1))
    again = models.load_model(words.save(tmp_path / "words.keras"), custom_objects=own)
    assert again.lookup(["relu", "len", "x"]).tolist() == [2, 1, 0]


def test_a_path_in_the_settings_is_not_opened(tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("1\n2\n")
    entry = layers.Input((2,), dtype="int64")
    model = models.Model(entry, layers.IntegerLookup(vocabulary=[5, 7])(entry))

    def plant(config):
        described = json.loads(config)
        described["config"]["layers"][1]["config"]["vocabulary"] = str(secret)
        return json.dumps(described).encode()

    path = rewritten(model.save(tmp_path / "planted.keras"), "config.json", plant)
    with pytest.raises(FileFormatError, match="which is not opened"):
        models.load_model(path)


@pytest.mark.parametrize("content", [b"[UNK]\nthe", b"[UNK]\n" + b"x\n" * 7, b""])
def test_a_vocabulary_of_another_size_or_with_repeats_is_refused(reader, content, tmp_path):
    path = reader.save(tmp_path / "reader.keras")
    rewritten(path, "assets/layers/text_vectorization/vocabulary.txt", lambda _: content)
    with pytest.raises(FileFormatError, match="vocabulary of 'string_lookup'"):
        models.load_model(path, custom_objects={"Reader": Reader})


def test_the_size_in_the_settings_is_checked(tmp_path):
    entry = layers.Input((2,), dtype="int64")
    lookup = layers.IntegerLookup()
    lookup.adapt([[5, 7]])
    path = models.Model(entry, lookup(entry)).save(tmp_path / "lookup.keras")
    member = "assets/layers/integer_lookup/vocabulary.txt"
    assert zipfile.ZipFile(path).read(member) == b"-1\n7\n5"
    for wrong in (b"-1\n7\n5\n9", b"-1\n7", b"-1\n7\nfive"):
        with pytest.raises(FileFormatError, match="vocabulary of 'integer_lookup'"):
            models.load_model(rewritten(path, member, lambda _, new=wrong: new))


def test_encodings_and_bins_both_ways(tmp_path):
    floats, integers = layers.Input((3,)), layers.Input((3,), dtype="int64")
    outputs = [
        layers.Discretization([0.0, 1.0])(floats),
        layers.Discretization([0.0, 1.0], output_mode="one_hot")(floats),
        layers.CategoryEncoding(4, output_mode="count")(integers),
    ]
    model = models.Model([floats, integers], outputs)
    inputs = [torch.randn(2, 3), torch.randint(0, 4, (2, 3))]
    there = keras.models.load_model(model.save(tmp_path / "ours.keras"))
    there.save(tmp_path / "theirs.keras")
    back = models.load_model(tmp_path / "theirs.keras")
    for mine, keras_own, again in zip(model(inputs), there(inputs), back(inputs), strict=True):
        assert torch.equal(mine, keras_own)
        assert torch.equal(mine, again)
