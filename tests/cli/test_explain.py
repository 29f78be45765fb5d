"""`stroma explain`, as typed."""

import json

import numpy as np
import pytest
from PIL import Image

from stroma import layers, models
from stroma.cli.main import main
from stroma.core.seeds import set_random_seed
from stroma.package import Artefact


def save(path, *, flat=False):
    """A classifier of 16 x 16 photos that answers to red on the left."""
    set_random_seed(0)
    inputs = layers.Input((16, 16, 3))
    x = layers.Rescaling(1 / 255)(inputs)
    if not flat:
        x = layers.Conv2D(2, 1, name="colour", use_bias=False)(x)
        x = layers.GlobalAveragePooling2D()(x)
    else:
        x = layers.Flatten()(x)
    model = models.Model(inputs, layers.Dense(2, activation="softmax", name="head")(x))
    if not flat:
        kernel = np.array([[1, 0], [-0.5, 0], [-0.5, 1]], np.float32)[None, None]
        model.set_weights([kernel, np.eye(2, dtype=np.float32) * 9, np.zeros(2, np.float32)])
    return Artefact(model, ["red", "blue"]).save(path)


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "model.keras")
    photo = np.full((16, 16, 3), 60, np.uint8)
    photo[:5, 10:, 0] = 250  # red at the upper right
    Image.fromarray(photo).save(tmp_path / "photo.png")
    return tmp_path


def parts(capsys):
    shown = capsys.readouterr()
    assert shown.out == "" and "Traceback" not in shown.err
    return [line.split(":")[0] for line in shown.err.splitlines() if line[:1].strip()], shown.err


def test_it_says_where_and_writes_the_picture(place, capsys):
    assert main(["explain", "model.keras", "photo.png", "--class", "red"]) == 0
    shown = capsys.readouterr()
    for text in ("red, probability", "Grad-CAM", "colour, a map of 16", "upper right",
                 "photo-gradcam.png", "What it cannot tell:"):  # fmt: skip
        assert text in " ".join(shown.out.split())
    with Image.open(place / "photo-gradcam.png") as picture:
        assert picture.format == "PNG" and picture.width > 600
    assert sorted(path.name for path in place.iterdir()) == [
        "model.keras", "photo-gradcam.png", "photo.png",
    ]  # fmt: skip


def test_the_line_for_python_runs(place, capsys):
    assert main(["explain", "model.keras", "photo.png"]) == 0
    said = capsys.readouterr().err
    line = next(line for line in said.splitlines() if line.startswith("In Python: "))
    exec(line.removeprefix("In Python: "), {})


def test_the_line_for_python_names_class_and_layer_as_typed(place, capsys):
    assert main(["explain", "model.keras", "photo.png", "--class", "red", "--json"]) == 0
    layer = json.loads(capsys.readouterr().out)["layer"]
    typed = ["--class", "red", "--layer", layer, "--out", "other.png"]
    assert main(["explain", "model.keras", "photo.png", *typed]) == 0
    line = capsys.readouterr().err.split("In Python: ")[1]
    assert f"'red', layer={layer!r}, class_names" in line
    exec(line, {})


@pytest.mark.parametrize("method", ["hires_cam", "occlusion", "integrated_gradients"])
def test_json(place, capsys, method):
    arguments = ["explain", "model.keras", "photo.png", "--class", "red", "--method", method]
    assert main([*arguments, "--json", "--out", "out.png"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["class"], found["class_index"], found["method"]) == ("red", 0, method)
    assert found["layer"] == ("colour" if method == "hires_cam" else None)
    assert found["centre"][0] > 8 and found["centre"][1] < 8 and found["half_area"] < 0.3
    assert found["picture"] == "out.png" and (place / "out.png").is_file()


def test_nothing_is_overwritten_without_being_told(place, capsys):
    (place / "mine.png").write_bytes(b"precious")
    arguments = ["explain", "model.keras", "photo.png", "--out", "mine.png"]
    assert main(arguments) == 2
    assert (place / "mine.png").read_bytes() == b"precious"
    assert "--overwrite" in capsys.readouterr().err
    assert main([*arguments, "--overwrite"]) == 0
    with Image.open(place / "mine.png") as picture:
        assert picture.format == "PNG"


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["model.keras", "other.png"], "not there"),
        (["model.keras", "."], "a folder"),
        (["model.keras", "photo.png", "--layer", "color"], "Did you mean 'colour'"),
        (["model.keras", "photo.png", "--class", "rde"], "Did you mean 'red'"),
        (["model.keras", "photo.png", "--out", "x.jpg"], "x.png"),
        (["model.keras", "photo.png", "--out", "no/x.png"], "no folder no"),
        (["model.keras", "photo.png", "--method", "occlusion", "--layer", "colour"], "no layer"),
        (["nothing", "photo.png"], "there is no run"),
        (["flat.keras", "photo.png"], "--method occlusion"),
        (["model.keras", "broken.png"], "broken.png"),
    ],
)
def test_what_goes_wrong_is_said_in_four_parts(place, capsys, typed, said):
    save(place / "flat.keras", flat=True)
    (place / "broken.png").write_bytes(b"not a picture")
    before = sorted(place.iterdir())
    assert main(["explain", *typed]) == 2
    labels, text = parts(capsys)
    assert {"error", "where", "why", "try"} <= set(labels)
    assert said in text
    assert sorted(place.iterdir()) == before


def test_a_model_without_maps_is_explained_by_its_pixels(place, capsys):
    save(place / "flat.keras", flat=True)
    assert main(["explain", "flat.keras", "photo.png", "--method", "occlusion"]) == 0
    assert "Occlusion" in capsys.readouterr().out


@pytest.mark.parametrize("task", ["one class", "several classes"])
def test_the_probability_is_the_one_that_predict_says(place, capsys, task):
    """At the run's temperature; and of several classes at once, each by itself."""
    inputs = layers.Input((16, 16, 3))
    maps = layers.Conv2D(3, 3, name="maps")(layers.Rescaling(1 / 255)(inputs))
    end = "sigmoid" if task == "several classes" else "softmax"
    answer = layers.Dense(3, activation=end)(layers.GlobalAveragePooling2D()(maps))
    artefact = Artefact(models.Model(inputs, answer), ["a", "b", "c"], task=task, temperature=3.0)
    artefact.save(place / "other.keras")
    expected = artefact.probabilities([place / "photo.png"])[0]
    typed = ["explain", "other.keras", "photo.png", "--class", "b", "--json"]
    assert main(typed) == 0
    assert json.loads(capsys.readouterr().out)["probability"] == pytest.approx(expected[1], 1e-5)


def test_a_number_has_no_class_to_explain(place, capsys):
    inputs = layers.Input((16, 16, 3))
    value = layers.Dense(1)(layers.GlobalAveragePooling2D()(layers.Conv2D(2, 3)(inputs)))
    Artefact(models.Model(inputs, value), ["price"], task="number").save(place / "number.keras")
    assert main(["explain", "number.keras", "photo.png"]) == 2
    marks, said = parts(capsys)
    assert marks[-4:] == ["error", "where", "why", "try"] and "predicts a number" in said
