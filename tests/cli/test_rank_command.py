"""`stroma rank`, as typed."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from stroma import layers, models, zoo
from stroma.cli.main import main
from stroma.core.seeds import set_random_seed
from stroma.zoo.table import TABLE


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty machine with a folder of photos: bright on the left, or on the right."""
    for name in ("STROMA_WEIGHTS", "HF_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("TORCH_HOME", "HF_HOME", "KERAS_HOME", "STROMA_CACHE"):
        monkeypatch.setenv(name, str(tmp_path / "machine" / name))
    monkeypatch.setattr("torch.hub._hub_dir", str(tmp_path / "machine" / "hub"))
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for name, side in (("left", 0), ("right", 16)):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(20):
            pixels = rng.integers(0, 120, (32, 32, 3), np.uint8)
            pixels[:, side : side + 16] += 90
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{number}.png")
    return tmp_path


def save(home, name, filters):
    set_random_seed(0)
    x = layers.Input((32, 32, 3))
    y = layers.Conv2D(filters, 16, 16, name="conv")(x)
    y = layers.Dense(2)(layers.Flatten()(y))
    return str(models.Model(x, y).save(home / f"{name}.keras"))


def test_a_table_of_files(home, capsys):
    files = [save(home, "small", 2), save(home, "large", 8)]
    before = sorted(path.name for path in home.rglob("*") if "machine" not in path.parts)
    assert main(["rank", "photos", "--weights", files[0], "--weights", files[1]]) == 0
    shown = capsys.readouterr().out
    for text in ("28 training photos of 2 classes", "ms/photo", "LogME", "chosen", "front",
                 files[0], "licence not known"):  # fmt: skip
        assert text in shown
    assert before == sorted(path.name for path in home.rglob("*") if "machine" not in path.parts)


def test_as_json(home, capsys):
    assert main(["rank", "photos", "--weights", save(home, "small", 2), "--json"]) == 0
    table = json.loads(capsys.readouterr().out)
    (row,) = table["rows"]
    assert row["score"] > 0.9 and row["chosen"] and len(row["sha256"]) == 64
    assert table["photos"] == 28 and row["weights_file"].endswith("small.keras")


def test_a_file_takes_the_place_of_the_name_it_holds(home, capsys):
    set_random_seed(0)
    torch.save(zoo.resnet20().state_dict(), home / "resnet20-mine.pth")
    asked = ["rank", "photos", "--photos", "20", "--bases", "resnet20", "--json"]
    assert main([*asked, "--weights", "resnet20-mine.pth"]) == 0  # else: fetched, and no connection
    (row,) = json.loads(capsys.readouterr().out)["rows"]
    assert row["weights_file"].endswith("resnet20-mine.pth")


def test_what_lies_on_the_machine_is_found(home, capsys, monkeypatch):
    set_random_seed(0)
    network = zoo.resnet20()
    entry = next(entry for entry in TABLE if entry.architecture == "resnet20")
    (home / "machine" / "hub" / "checkpoints").mkdir(parents=True)
    torch.save(network.state_dict(), home / "machine" / "hub" / "checkpoints" / entry.file)
    monkeypatch.setattr("stroma.zoo.weights._verify", lambda found: None)  # random, so no true hash
    assert main(["rank", "photos", "--photos", "20"]) == 0
    shown = capsys.readouterr().out
    assert "resnet20:cifar10" in shown and "BSD-2-Clause" in shown and "20 training photos" in shown


def test_without_weights_it_says_which_to_bring_and_where(home, capsys):
    assert main(["rank", "photos"]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    labels = [line.split(":")[0] for line in shown.err.splitlines() if line[:1].strip()]
    assert labels[-4:] == ["error", "where", "why", "try"]
    for text in (
        "resnet20-12fca82f.th", str(home / "machine" / "hub" / "checkpoints"),
        "stroma rank photos --bases resnet20", "stroma train photos --weights none",
    ):  # fmt: skip
        assert text in shown.err


def test_photos_of_the_usual_size_are_told_of_other_files(home, capsys):
    assert main(["rank", "photos", "--size", "224"]) == 2
    shown = capsys.readouterr().err
    assert "squeezenet1_1-b8a52dc0.pth (4.96 MB)" in shown and "resnet50-0676ba61.pth" in shown


def test_wrong_inputs(home, capsys):
    assert main(["rank", "photos", "--bases", "resnet51"]) == 2
    shown = capsys.readouterr().err
    assert "resnet51" in shown and "resnet50" in shown
    assert main(["rank", "digits", "--bases", "resnet20"]) == 2
    assert "in colour" in capsys.readouterr().err
