"""Bases from files: `.keras` cut below the head, weights that say their network, provenance."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from stroma import layers, zoo
from stroma.core.errors import FileFormatError, GraphError, ShapeError, WeightsError
from stroma.core.preprocessing import PREPROCESSING_MODES
from stroma.core.seeds import set_random_seed
from stroma.models import Model, Sequential
from stroma.transfer import feature_extractor, load_base, provenance
from stroma.transfer.bases import architecture_of


def classifier(**top: object) -> Model:
    set_random_seed(0)
    x = layers.Input((16, 16, 3))
    y = layers.Conv2D(8, 3, name="conv")(x)
    y = layers.GlobalAveragePooling2D(name="pool")(y)
    return Model(x, layers.Dense(4, name="head", **top)(y), name="mine")


@pytest.mark.parametrize("activation", [None, "softmax"])
def test_a_keras_file_is_cut_below_its_head(tmp_path: Path, activation: str | None) -> None:
    model = classifier(activation=activation)
    path = model.save(tmp_path / "mine.keras")
    base = load_base(path)
    assert base.output_shape == (None, 8)
    pictures = torch.randn(2, 16, 16, 3)
    expected = model.get_layer("pool")(model.get_layer("conv")(pictures))
    assert torch.equal(base(pictures), expected)
    assert load_base(path, layer="conv").output_shape == (None, 14, 14, 8)
    facts = provenance(base)
    assert facts.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert facts.weights_file == str(path) and facts.preprocessing == ""


def test_a_keras_file_with_activation_and_dropout_above(tmp_path: Path) -> None:
    body = classifier()
    y = layers.Softmax()(layers.Dense(4, name="last")(layers.Dropout(0.5)(body.output)))
    path = Model(body.input, y, name="deep").save(tmp_path / "deep.keras")
    assert load_base(path).output_shape == (None, 4)  # what enters `last`


@pytest.mark.parametrize("pooled", [False, True])
def test_a_keras_file_that_has_no_head_is_kept_whole(tmp_path: Path, pooled: bool) -> None:
    x = layers.Input((16, 16, 3))
    y = layers.Conv2D(8, 3)(x)
    model = Model(x, layers.GlobalAveragePooling2D()(y) if pooled else y)
    base = load_base(model.save(tmp_path / "base.keras"))
    assert base.output_shape == model.output_shape
    assert feature_extractor(base).output_shape == (None, 8)


def test_a_keras_file_by_keras(tmp_path: Path) -> None:
    from oracle import keras

    theirs = keras.Sequential([
        keras.Input((12, 12, 3)), keras.layers.Conv2D(5, 3, activation="relu"),
        keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(3, activation="softmax"),
    ])  # fmt: skip
    theirs.save(tmp_path / "theirs.keras")
    base = load_base(tmp_path / "theirs.keras", preprocessing=PREPROCESSING_MODES["tf"])
    pictures = torch.randn(2, 12, 12, 3)
    features = keras.Model(theirs.inputs, theirs.layers[-2].output)
    expected = torch.as_tensor(features(pictures)).detach()
    assert torch.allclose(base(pictures), expected, atol=1e-5)
    assert base.preprocessing == PREPROCESSING_MODES["tf"]
    assert "mean (1, 1, 1)" in provenance(base).preprocessing


def test_pictures_of_another_size(tmp_path: Path) -> None:
    path = classifier().save(tmp_path / "mine.keras")
    with pytest.raises(ShapeError, match="takes pictures of") as caught:
        load_base(path, input_shape=(32, 32, 3))
    assert "size=(16, 16)" in caught.value.fix


def test_a_head_that_cannot_be_found(tmp_path: Path) -> None:
    inner = classifier()
    model = Sequential([layers.Input((16, 16, 3)), inner])
    with pytest.raises(GraphError) as caught:
        load_base(model.save(tmp_path / "nested.keras"))
    assert "layer=" in caught.value.fix


# --- files of weights -----------------------------------------------------------------------


def save(network: Model, path: Path) -> Path:
    torch.save(network.state_dict(), path)
    return path


def test_the_network_is_told_by_the_file(tmp_path: Path) -> None:
    set_random_seed(0)
    network = zoo.resnet18(classes=7)
    path = save(network, tmp_path / "unknown.pth")  # by its blocks
    base = load_base(path, input_shape=(64, 64, 3))
    assert base.name == "resnet18" and base.output_shape == (None, 2, 2, 512)
    assert provenance(base).architecture == "resnet18:unknown"
    small = save(zoo.squeezenet1_1(), tmp_path / "squeezenet1_1-mine.pth")  # by its name
    assert architecture_of(small) == "squeezenet1_1"
    moved = small.rename(tmp_path / "weights.pth")
    with pytest.raises(WeightsError, match="does not say for which network"):
        load_base(moved)
    assert load_base(moved, architecture="squeezenet1_1").name == "squeezenet1_1"


def test_no_such_file(tmp_path: Path) -> None:
    for name in ("nothing.pth", "nothing.keras", "resnet19"):
        with pytest.raises((FileFormatError, WeightsError)):
            load_base(tmp_path / name)


def test_reading_a_base_loads_neither_timm_nor_transformers(tmp_path: Path) -> None:
    path = save(zoo.resnet18(classes=7), tmp_path / "resnet18.pth")
    code = (
        "import sys; from stroma.transfer import load_base; "
        f"load_base({os.fspath(path)!r}); "
        "assert not {'timm', 'transformers', 'huggingface_hub'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
