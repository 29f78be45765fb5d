"""`stroma transfer` and `stroma check --base` as typed."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from stroma import layers, models
from stroma.cli.main import main
from stroma.core.runs import read_run
from stroma.core.seeds import set_random_seed
from stroma.zoo import resnet20


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Two grey levels; one dark photo lies among the light ones."""
    folder = tmp_path_factory.mktemp("photos") / "pets"
    draws = np.random.default_rng(0)
    for name, level in (("cat", 60), ("dog", 190)):
        (folder / name).mkdir(parents=True)
        for number in range(30):
            pixels = np.clip(level + draws.normal(0, 50, (16, 16, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    (folder / "cat" / "7.png").rename(folder / "dog" / "a-cat.png")
    return folder


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Random ones: what is tested is the road, not what it scores."""
    file = tmp_path_factory.mktemp("weights") / "resnet20-random.pth"
    torch.manual_seed(0)
    torch.save(resnet20().state_dict(), file)
    return str(file)


@pytest.fixture(autouse=True)
def own_place(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STROMA_CACHE", str(tmp_path / "cache"))
    for name in ("TORCH_HOME", "HF_HOME", "KERAS_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "nothing"))
    for name in ("STROMA_WEIGHTS", "HF_HUB_CACHE", "STROMA_DEVICE"):
        monkeypatch.delenv(name, raising=False)


def typed(photos, weights, *more):
    return ["transfer", str(photos), "--base", "resnet20", "--weights", weights, "--size", "32",
            "--folds", "0", *more]  # fmt: skip


def test_the_blocks_and_the_ladder_come_in_order(capsys, photos, weights):
    assert main(typed(photos, weights, "--head", "lda")) == 0
    shown = capsys.readouterr().out
    marks = [
        "The data: ", "The plan: features", "In Python: ", "The ladder: validation accuracy",
        "features + ridge", "head: lda", "Frozen: all of resnet20", "The result: Right on ",
        "unlike  ", "Next",
    ]  # fmt: skip
    places = [shown.find(mark) for mark in marks]
    assert -1 not in places and places == sorted(places)
    assert "points/s" in shown and shown.count("-> ") == 2  # the rung, and what the arrow means
    (folder,) = Path("runs").iterdir()
    run = read_run(folder)
    assert run.base.weights_file == weights and run.plan.settings["head"] == "lda"
    assert (folder / "report.html").is_file()


def test_json_holds_the_ladder_and_the_suspects(capsys, photos, weights):
    assert main(typed(photos, weights, "--head", "ridge", "--json")) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["ladder"][0]["chosen"] and record["heads"] == []
    suspects = [row["path"] for row in record["photo_audit"]["suspects"]["suspects"]]
    assert suspects == [str(photos / "dog" / "a-cat.png")]


def test_without_weights_the_refusal_says_what_to_bring(capsys, photos):
    assert main(["transfer", str(photos), "--base", "resnet50"]) == 2
    told = " ".join(capsys.readouterr().err.split())
    assert "no weights of resnet50 are on this machine" in told
    assert "https://download.pytorch.org/models/resnet50-0676ba61.pth" in told
    assert "resnet50-0676ba61.pth, or give its path: --weights FILE" in told
    assert f"Meanwhile, from scratch: stroma train {photos} --weights none" in told
    assert not Path("runs").exists()


def test_what_cannot_be_fetched_leaves_something_to_do(capsys, photos, monkeypatch):
    monkeypatch.setattr("torch.hub.download_url_to_file", _no_network)
    assert main(["transfer", str(photos), "--weights", "squeezenet1_1"]) == 2
    told = " ".join(capsys.readouterr().err.split())
    assert "could not be fetched" in told and "squeezenet1_1-b8a52dc0.pth" in told
    assert f"Meanwhile, from scratch: stroma train {photos} --weights none" in told


def _no_network(*_args, **_options):
    raise OSError("no network")


def test_weights_of_another_network_a_folder_and_a_nameless_file(capsys, photos, tmp_path):
    """Each is refused by what it is, in the words of the command that was typed."""
    known = tmp_path / "resnet20-12fca82f.th"  # a name of the table
    nameless = tmp_path / "mine.pth"
    for file in (known, nameless):
        torch.save(resnet20().state_dict(), file)

    def told(*more):
        assert main(["transfer", str(photos), *more]) == 2
        return " ".join(capsys.readouterr().err.split())

    other = told("--base", "resnet18", "--weights", str(known))
    assert "holds weights of resnet20, not of resnet18" in other
    assert "--base resnet20, or leave --base out" in other
    assert f"{tmp_path} is a folder" in told("--weights", str(tmp_path))
    assert "try: add --base, one of:" in told("--weights", str(nameless))
    assert main(["train", str(photos), "--weights", str(nameless)]) == 2
    assert "add --model, one of:" in capsys.readouterr().err


@pytest.mark.parametrize(
    "wrong",
    [["--head", "rigde"], ["--weights", "none"], ["--layer", "nowhere"], ["--epochs", "0"],
     ["--finetune", "perhaps"], ["--budget", "soon"]],
)  # fmt: skip
def test_what_is_wrong_is_said_in_four_parts(capsys, photos, weights, wrong):
    given = typed(photos, weights)
    if wrong[0] == "--weights":
        del given[4:6]
    assert main([*given, *wrong]) == 2
    shown = capsys.readouterr().err
    assert all(part in shown for part in ("error:", "where:", "why:", "try:"))
    assert "Traceback" not in shown


def test_check_with_a_base_lists_what_is_suspected(capsys, photos, weights):
    before = sorted(photos.rglob("*"))
    assert main(["check", str(photos), "--base", "resnet20", "--weights", weights]) == 0
    shown = capsys.readouterr().out
    assert shown.index("The data: ") < shown.index("Labels that look wrong: 1")
    assert "a-cat.png" in shown and "Nothing was changed" in shown and "Seen by resnet20" in shown
    assert main(["check", str(photos), "--weights", weights, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    (suspect,) = found["photo_audit"]["suspects"]["suspects"]
    assert suspect["path"].endswith("a-cat.png") and found["class_names"] == ["cat", "dog"]
    assert sorted(photos.rglob("*")) == before


@pytest.mark.parametrize("option, word", [("--head", "rigde"), ("--layer", "conv1x")])
def test_a_typo_is_found_where_it_was_typed(capsys, photos, weights, option, word):
    assert main(typed(photos, weights, option, word)) == 2
    assert f"where:  {option} {word}\n" in capsys.readouterr().err
    assert main(typed(photos, weights, f"{option}={word}")) == 2
    assert f"where:  {option} {word}\n" in capsys.readouterr().err


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """As a Keras user has it: pixels 0 to 255 in, its own classes out."""
    set_random_seed(0)
    pixels = layers.Input((24, 24, 3))
    x = layers.Rescaling(1 / 255)(pixels)
    x = layers.Conv2D(8, 3, strides=2, activation="relu", name="maps")(x)
    x = layers.GlobalAveragePooling2D()(x)
    model = models.Model(pixels, layers.Dense(5, activation="softmax", name="head")(x))
    file = tmp_path_factory.mktemp("network") / "mine.keras"
    model.save(file)
    return str(file)


@pytest.mark.parametrize("option", ["--base", "--weights"])
def test_a_keras_file_is_a_base(capsys, photos, network, option):
    assert main(["transfer", str(photos), option, network, "--folds", "0", "--head", "ridge"]) == 0
    assert "mine, frozen + ridge head" in capsys.readouterr().out
    run = read_run(next(Path("runs").iterdir()))
    assert run.base.weights_file == network and run.base.architecture == "mine"
    assert tuple(run.plan.image_size) == (24, 24)  # what its input asks for
    shipped = models.load_model(next(Path("runs").iterdir()) / "model.keras")
    given = models.load_model(network).get_weights()[:2]  # of the convolution
    for kept, own in zip(shipped.get_weights(), given, strict=False):
        np.testing.assert_array_equal(kept, own)


def test_photos_are_checked_by_a_keras_file(capsys, photos, network):
    assert main(["check", str(photos), "--base", network]) in (0, 1)
    assert "mine, " in capsys.readouterr().out


def test_a_keras_file_is_named_once_and_is_there(capsys, photos, network, weights):
    assert main(["transfer", str(photos), "--base", network, "--weights", weights]) == 2
    assert "a .keras file holds a network and its weights" in capsys.readouterr().err
    assert main(["transfer", str(photos), "--base", "nowhere.keras"]) == 2
    assert "there is no file nowhere.keras" in capsys.readouterr().err
