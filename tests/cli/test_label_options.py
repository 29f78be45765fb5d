"""Labels that are not one class, as typed: said in the plan, asked about, refused in words."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stroma.cli.main import main


@pytest.fixture
def place(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STROMA_CACHE", str(tmp_path / "cache"))
    for name in ("TORCH_HOME", "HF_HOME", "KERAS_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "nothing"))
    for name in ("STROMA_WEIGHTS", "HF_HUB_CACHE", "STROMA_DEVICE"):
        monkeypatch.delenv(name, raising=False)
    draws = np.random.default_rng(0)
    for at in range(60):
        pixels = draws.integers(0, 256, (16, 16, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{at}.png")
    return tmp_path


def table(*columns: tuple[str, list[object]]) -> str:
    rows = zip([f"{at}.png" for at in range(60)], *(values for _, values in columns))
    lines = [",".join(["path", *(name for name, _ in columns)])]
    Path("t.csv").write_text("\n".join(lines + [",".join(map(str, row)) for row in rows]))
    return "t.csv"


TAGS = [["cat", "dog", "cat|dog"][at % 3] for at in range(60)]
PRICES = [at + 0.5 for at in range(60)]
YEARS = [1960 + at for at in range(60)]


def test_the_plan_says_how_labels_were_read_and_how_to_say_otherwise(capsys, place):
    path = table(("label", [at % 10 for at in range(60)]))
    assert main(["train", path, "--dry-run", "--epochs", "1", "--folds", "0", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    said = "one class a photo, from column 'label'; if not: --labels number or several"
    assert plan["reasons"]["labels"] == said
    assert plan["settings"]["labels"] == "auto"
    path = table(("weight", PRICES), ("breed", TAGS))
    assert main(["train", path, "--target-column", "breed", "--labels", "class", "--dry-run",
                 "--epochs", "1", "--json"]) == 0  # fmt: skip
    plan = json.loads(capsys.readouterr().out)
    assert "from column 'breed'" in plan["reasons"]["labels"]
    assert len(plan["data"]["counts"]["train"]) == 3  # cat, dog, cat|dog


@pytest.mark.parametrize(
    "labels, word", [(TAGS, "several classes"), (PRICES, "a number")], ids=["tags", "prices"]
)
def test_what_only_one_class_has_is_refused_before_anything_is_trained(
    capsys, place, labels, word
):  # fmt: skip
    path = table(("label", labels))
    assert main(["train", path, "--folds", "3"]) == 2
    shown = " ".join(capsys.readouterr().err.split())
    assert f"--folds 3 for photos that have {word} each" in shown and "--labels class" in shown
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    "labels, verdict", [(TAGS, "All classes right on"), (PRICES, "Off by")], ids=["tags", "prices"]
)  # fmt: skip
def test_a_run_from_photos_to_figures_and_answers(capsys, place, labels, verdict):
    path = table(("label", labels))
    assert main(["train", path, "--weights", "none", "--epochs", "1", "--out", "run"]) == 0
    shown = capsys.readouterr().out
    assert f"The result: {verdict}" in shown and "95 % interval" in shown
    assert "the test part, once" in shown and "furthest off" in shown
    assert ("smallest class" in shown) == (labels is TAGS)
    assert any(line.split()[:2] == ["photos", "60"] for line in shown.splitlines())
    assert main(["evaluate", "run", path, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["seen"] and found["measured"]["count"] == 60
    assert main(["evaluate", "run", path]) == 0
    assert found["measured"]["figures"][0]["name"] in capsys.readouterr().out
    assert main(["predict", "run", "0.png"]) == 0
    assert "0.png" in capsys.readouterr().out
    assert main(["evaluate", "run", path, "--target-column", "none"]) == 2
    assert "none" in capsys.readouterr().err


def test_it_asks_where_both_can_be_meant_and_check_shows_the_answer(capsys, place):
    path = table(("label", YEARS))
    for verb in ("train", "check"):
        assert main([verb, path]) == 2
        assert "--labels number or --labels class" in capsys.readouterr().err
    assert main(["check", path, "--labels", "number"]) == 0
    assert (
        "Labels: a number, from column 'label'; if not: --labels class" in capsys.readouterr().out
    )
    assert main(["check", table(("label", TAGS)), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["task"] == "several classes" and found["class_names"] == ["cat", "dog"]


def test_the_printed_command_says_the_same(place):
    from stroma.jobs import TrainOptions
    from stroma.jobs.record import command_of

    options = TrainOptions(path="t.csv", labels="class", target_column="breed")
    assert command_of(options) == "stroma train t.csv --labels class --target-column breed"
