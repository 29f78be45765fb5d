"""A network to look at: what a file describes, none of its numbers read, drawn or held."""

import zipfile

import pytest

from stroma import layers, models, zoo
from stroma.cli.main import main
from stroma.core.errors import FileFormatError
from stroma.initializers import RandomInitializer
from stroma.network.design import design
from stroma.saving import load_architecture, load_model
from stroma.saving.hdf5 import StoredArrays


@pytest.fixture
def model():
    return models.Sequential(
        [
            layers.Conv2D(8, 3, activation="relu", input_shape=(16, 16, 3), name="a.b"),
            layers.BatchNormalization(),
            layers.Flatten(),
            layers.Dense(4),
        ]
    )


def forbidden(*args, **kwargs):
    raise AssertionError("numbers were read or drawn")


def test_it_has_the_rows_of_the_loaded_network(model, tmp_path):
    model.compile("adam", "mse")
    path = tmp_path / "m.keras"
    model.save(path)
    assert design(load_architecture(path)) == design(load_model(path)) == design(model)


def test_no_number_is_read_drawn_or_held(model, tmp_path, monkeypatch):
    model.save(tmp_path / "m.keras")
    monkeypatch.setattr(StoredArrays, "__init__", forbidden)
    monkeypatch.setattr(RandomInitializer, "_generator", forbidden)
    network = load_architecture(tmp_path / "m.keras")
    assert network.weights and all(weight.is_meta for weight in network.weights)
    with pytest.raises(AssertionError):  # the planted mistake: the way that reads numbers
        load_model(tmp_path / "m.keras")
    with pytest.raises(AssertionError):
        zoo.lenet5()


def test_the_command_line_reads_and_draws_none(model, tmp_path, monkeypatch, capsys):
    model.save(tmp_path / "m.keras")
    monkeypatch.setattr(StoredArrays, "__init__", forbidden)
    monkeypatch.setattr(RandomInitializer, "_generator", forbidden)
    assert main(["summary", str(tmp_path / "m.keras")]) == 0
    assert f"Total params: {model.count_params():,}" in capsys.readouterr().out
    for name in ("resnet18", "squeezenet1_1"):
        assert main(["summary", name]) == 0
    assert "Total params: 1,235,496" in capsys.readouterr().out


def test_it_cannot_be_taken_for_the_trained_network(model, tmp_path):
    model.save(tmp_path / "m.keras")
    network = load_architecture(tmp_path / "m.keras")
    with pytest.raises((RuntimeError, NotImplementedError)):
        network.weights[0].numpy()
    made_after = layers.Dense(2, input_shape=(3,))
    made_after.build((None, 3))
    assert not any(weight.is_meta for weight in made_after.weights)


def test_a_damaged_description_is_refused(model, tmp_path):
    with zipfile.ZipFile(tmp_path / "m.keras", "w") as archive:
        archive.writestr("config.json", "[]")
    with pytest.raises(FileFormatError, match="describes no network"):
        load_architecture(tmp_path / "m.keras")


def test_a_file_that_asks_for_endless_weights_takes_no_memory(tmp_path):
    models.Sequential([layers.Dense(4, input_shape=(3,))]).save(tmp_path / "m.keras")
    with zipfile.ZipFile(tmp_path / "m.keras") as archive:
        config = archive.read("config.json").replace(b'"units": 4', b'"units": 90000000000')
    with zipfile.ZipFile(tmp_path / "huge.keras", "w") as archive:
        archive.writestr("config.json", config)
    network = load_architecture(tmp_path / "huge.keras")
    assert network.count_params() == 4 * 90_000_000_000
