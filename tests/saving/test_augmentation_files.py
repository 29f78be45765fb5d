"""Augmentation in files of Keras: at rest in predict, at work in fit, as the model says."""

import pytest
import torch

import stroma
from oracle import keras

LIBRARIES = {"keras": keras, "stroma": stroma}


@pytest.mark.parametrize(("writer", "reader"), [("keras", "stroma"), ("stroma", "keras")])
@pytest.mark.parametrize("form", ["Model", "Sequential"])
def test_the_reader_augments_in_training_only(form, writer, reader, tmp_path):
    kit = LIBRARIES[writer]
    entry, flip = kit.layers.Input((4, 5, 3)), kit.layers.RandomFlip("horizontal")
    if form == "Model":
        model = kit.Model(entry, flip(entry))  # Keras writes the default, training=true
    else:
        model = kit.Sequential([entry, flip])
    model.save(tmp_path / "m.keras")
    again = LIBRARIES[reader].models.load_model(tmp_path / "m.keras")
    pictures = torch.rand(32, 4, 5, 3)
    assert torch.equal(again(pictures, training=False), pictures)
    torch.testing.assert_close(torch.as_tensor(again.predict(pictures, verbose=0)), pictures)
    assert not torch.equal(again(pictures, training=True), pictures)


def test_a_layer_told_to_train_stays_so(tmp_path):
    entry = stroma.layers.Input((50,))
    model = stroma.Model(entry, stroma.layers.Dropout(0.5)(entry, training=True))
    model.save(tmp_path / "m.keras")
    again = stroma.models.load_model(tmp_path / "m.keras")
    assert (again(torch.ones(2, 50), training=False) == 0).any()
