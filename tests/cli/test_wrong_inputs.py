"""What goes wrong at the keyboard: each a message in four parts, and nothing made or lost."""

import errno
import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from stroma.cli.main import main

NO_WEIGHTS = ["--weights", "none"]


def picture(path, value=128):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(value).integers(0, 255, (16, 16, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(path)


def photos(folder, each=20, names=("cat", "dog")):
    for start, name in enumerate(names):
        for number in range(each):
            picture(folder / name / f"{number}.png", 1000 * start + number)
    return folder


@pytest.fixture(scope="session")
def world(tmp_path_factory):
    """Everything that is wrong, in one folder that no command may change."""
    root = tmp_path_factory.mktemp("world")
    photos(root / "good")
    photos(root / "parted" / "train")
    photos(root / "parted" / "test", each=4, names=("dog", "cat"))
    (root / "empty").mkdir()
    (root / "no-pictures" / "cat").mkdir(parents=True)
    (root / "no-pictures" / "cat" / "notes.txt").write_text("hello")
    photos(root / "one-class", names=("cat",))
    photos(root / "two-photos", each=1)
    for number in range(12):
        for name in ("cat", "dog"):
            path = root / "texts" / name / f"{number}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("this is no picture")
    for number in range(8):
        picture(root / "flat" / f"{number}.png", number)
    (root / "notes.txt").write_text("hello")
    (root / "page.html").write_text("<!doctype html><html><body>404</body></html>")
    (root / "cut.zip").write_bytes(b"PK\x03\x04 and no more")
    with zipfile.ZipFile(root / "empty.zip", "w"):
        pass
    (root / "no-columns.csv").write_text("a,b\n1,2\n")
    (root / "missing.csv").write_text("path,label\nnowhere.png,cat\nnor-here.png,dog\n" * 20)
    (root / "empty.csv").write_text("")
    (root / "bad.parquet").write_bytes(b"PAR1 and no more")
    (root / "junk.keras").write_bytes(b"not a model")
    (root / "empty.keras").write_bytes(b"")
    (root / "weights.pth").write_bytes(b"<html>404</html>")
    torch.save({"a": torch.zeros(3)}, root / "other.pth")
    (root / "not-a-run").mkdir()
    (root / "torn" / "run.json").parent.mkdir()
    (root / "torn" / "run.json").write_text('{"name": "torn", "cre')
    for status in ("running", "failed"):
        (root / status).mkdir()
        record = {"name": status, "status": status, "class_names": ["cat", "dog"]}
        (root / status / "run.json").write_text(json.dumps(record))
    (root / "strange-run").mkdir()
    (root / "strange-run" / "run.json").write_text('["a", "list"]')
    (root / "done").mkdir()
    (root / "done" / "run.json").write_text(json.dumps({"name": "done", "status": "finished"}))
    (root / "yolo.yaml").write_text("train: images/\nnc: 2\n")
    return root


TRAIN = {
    "nothing said": ["train"],
    "a path that is not there": ["train", "nowhere"],
    "an empty folder": ["train", "empty"],
    "a folder without pictures": ["train", "no-pictures"],
    "one class": ["train", "one-class"],
    "one photo a class": ["train", "two-photos", *NO_WEIGHTS],
    "texts named .jpg": ["train", "texts", *NO_WEIGHTS],
    "photos in no class folder": ["train", "flat"],
    "a text instead of a folder": ["train", "notes.txt"],
    "a photo instead of a folder": ["train", "flat/0.png"],
    "a yaml": ["train", "yolo.yaml"],
    "half a zip": ["train", "cut.zip"],
    "an empty zip": ["train", "empty.zip"],
    "a table without the columns": ["train", "no-columns.csv"],
    "a table of files that are not there": ["train", "missing.csv", *NO_WEIGHTS],
    "an empty table": ["train", "empty.csv"],
    "a damaged Parquet file": ["train", "bad.parquet"],
    "a budget in no unit": ["train", "good", "--budget", "10x"],
    "a budget of nothing": ["train", "good", "--budget", "0m"],
    "a negative budget": ["train", "good", "--budget=-5m"],
    "size 0": ["train", "good", "--size", "0"],
    "a size that is a word": ["train", "good", "--size", "large"],
    "epochs below 0": ["train", "good", "--epochs", "-1"],
    "no epochs": ["train", "good", "--epochs", "0"],
    "a batch of one": ["train", "good", "--batch", "1"],
    "a negative learning rate": ["train", "good", "--lr", "-0.1"],
    "a learning rate that is no number": ["train", "good", "--lr", "nan"],
    "an infinite learning rate": ["train", "good", "--lr", "inf"],
    "a negative seed": ["train", "good", "--seed", "-1"],
    "a seed too long": ["train", "good", "--seed", "99999999999"],
    "an unknown network": ["train", "good", "--model", "resnt18"],
    "weights that are not there": ["train", "good", "--weights", "nowhere.pth"],
    "a word that is no weights": ["train", "good", "--weights", "sqeezenet"],
    "a web page as weights": ["train", "good", "--weights", "weights.pth"],
    "a web page as weights of a network": [
        "train", "good", "--weights", "weights.pth", "--model", "resnet18",
    ],
    "weights of another network": ["train", "good", "--weights", "other.pth", "--model", "lenet5"],
    "weights for a grey set": ["train", "digits", "--weights", "other.pth", "--model", "lenet5"],
    "a group that is no regular expression": ["train", "good", "--group", "("],
    "one fold": ["train", "good", "--folds", "1"],
    "folds below 0": ["train", "good", "--folds=-5"],
    "folds in words": ["train", "good", "--folds", "five"],
    "more folds than photos": ["train", "good", *NO_WEIGHTS, "--folds", "50"],
    "folds of a test part that was given": ["train", "parted", *NO_WEIGHTS, "--folds", "5"],
    "going on with other folds": ["train", "--resume", "running", "--folds", "3"],
    "an unknown device": ["train", "good", *NO_WEIGHTS, "--device", "abacus"],
    "a device that is not in here": ["train", "good", *NO_WEIGHTS, "--device", "cuda:77"],
    "an unknown option": ["train", "good", "--epoch", "3"],
    "a run folder that is taken": ["train", "good", "--out", "running"],
    "a run folder with other things in it": ["train", "good", "--out", "good"],
    "an empty path": ["train", ""],
    "a run folder below a file": ["train", "good", *NO_WEIGHTS, "--out", "notes.txt/r"],
    "a run folder below a file, not to be made": [
        "train", "good", *NO_WEIGHTS, "--dry-run", "--out", "notes.txt/r",
    ],
    "a run folder with too long a name": ["train", "good", *NO_WEIGHTS, "--out", "r" * 300],
    "a run folder that is a file": ["train", "good", "--out", "notes.txt"],
    "going on with what is no run": ["train", "--resume", "not-a-run"],
    "going on with what is not there": ["train", "--resume", "nowhere"],
    "going on with a finished run": ["train", "--resume", "done"],
    "going on with a run without a plan": ["train", "--resume", "running"],
    "going on with half a record": ["train", "--resume", "torn"],
    "going on with other settings": ["train", "good", "--resume", "running", "--lr", "0.1"],
}  # fmt: skip
OTHERS = {
    "predict with a run that is not there": ["predict", "nowhere", "flat/0.png"],
    "predict with what is no run": ["predict", "not-a-run", "flat/0.png"],
    "predict with a run without a model": ["predict", "failed", "flat/0.png"],
    "predict with a junk file": ["predict", "junk.keras", "flat/0.png"],
    "predict with an empty file": ["predict", "empty.keras", "flat/0.png"],
    "predict without photos": ["predict", "running"],
    "evaluate with a run that is not there": ["evaluate", "nowhere", "good"],
    "evaluate with a strange record": ["evaluate", "strange-run", "good"],
    "evaluate without data": ["evaluate", "running"],
    "an empty model": ["summary", ""],
    "an empty photo": ["predict", "running", ""],
    "predict of the latest, with none": ["predict", "flat/0.png"],
    "predict going on with no file": ["predict", "junk.keras", "flat/0.png", "--resume"],
    "predict into a folder that is not there": [
        "predict",
        "junk.keras",
        "flat/0.png",
        "--out",
        "nowhere/a.csv",
    ],
    "predict into a file that is there": [
        "predict",
        "junk.keras",
        "flat/0.png",
        "--out",
        "notes.txt",
    ],
    "predict going on and anew": [
        "predict",
        "junk.keras",
        "flat/0.png",
        "--out",
        "notes.txt",
        "--resume",
        "--overwrite",
    ],
    "an empty folder to check": ["check", ""],
    "summary of a web page": ["summary", "page.html"],
    "summary of junk": ["summary", "junk.keras"],
    "summary of an unknown name": ["summary", "resnet51"],
    "summary of a folder": ["summary", "empty"],
    "summary of a run without a model": ["summary", "failed"],
    "report of what is no run": ["report", "not-a-run"],
    "report of half a record": ["report", "torn"],
    "report of the latest, with none": ["report"],
    "comparison with what is no run": ["report", "done", "--compare", "not-a-run"],
    "check of a path that is not there": ["check", "nowhere"],
    "demo into a folder that holds other things": ["demo", "--photos", "good"],
    "demo into a file": ["demo", "--photos", "notes.txt"],
    "an unknown verb": ["tran", "good"],
}


def state_of(folder):
    return {
        str(path.relative_to(folder)): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in folder.rglob("*")
    }


@pytest.fixture
def there(world, monkeypatch, tmp_path):
    monkeypatch.chdir(world)
    monkeypatch.setenv("STROMA_CACHE", str(tmp_path / "cache"))
    for name in ("TORCH_HOME", "HF_HOME", "KERAS_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "nothing"))
    for name in ("STROMA_WEIGHTS", "HF_HUB_CACHE", "STROMA_DEVICE"):
        monkeypatch.delenv(name, raising=False)
    return world


def four_parts(shown):
    """The labelled parts on stderr, after whatever was said before."""
    parts, name = {}, ""
    for line in shown.splitlines():
        label = line[:8].strip()
        if label in ("error:", "where:", "why:", "try:"):
            name = label[:-1]
        if name:
            parts[name] = f"{parts.get(name, '')} {line[8:]}".strip()
    return parts


def refused(capsys, arguments, code=2):
    assert main(arguments) == code
    shown = capsys.readouterr()
    assert "Traceback" not in shown.err
    parts = four_parts(shown.err)
    assert set(parts) == {"error", "where", "why", "try"}, shown.err
    assert all(len(text) > 3 for text in parts.values()), parts
    return parts


@pytest.mark.parametrize("case", [*TRAIN, *OTHERS])
def test_a_wrong_input_is_told_in_four_parts_and_changes_nothing(capsys, there, case):
    before = state_of(there)
    refused(capsys, (TRAIN | OTHERS)[case])
    assert state_of(there) == before


def test_there_are_at_least_forty():
    assert len(TRAIN) + len(OTHERS) >= 40


def test_a_planted_bare_error_is_caught(capsys, there, monkeypatch):
    """The check above can fail: an error without a way out is no four-part message."""
    import stroma.cli.train as command
    from stroma.core.errors import DataError

    def raises(*arguments):
        raise DataError("no")

    monkeypatch.setattr(command, "prepare", raises)
    with pytest.raises(AssertionError):
        refused(capsys, ["train", "good"])


# With a model to ask


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    from stroma import layers
    from stroma.models import Model
    from stroma.package.artefact import Artefact

    x = layers.Input((8, 8, 3))
    y = layers.Dense(2)(layers.GlobalAveragePooling2D()(layers.Rescaling(1 / 255)(x)))
    path = tmp_path_factory.mktemp("model") / "model.keras"
    Artefact(Model(x, y), ["cat", "dog"], from_logits=True).save(path)
    return str(path)


@pytest.mark.parametrize(
    "photo",
    ["notes.txt", "nowhere.png", "empty", "no-pictures", "page.html", "empty.csv", "cut.zip"],
)
def test_what_is_no_photo_is_not_predicted(capsys, there, model, photo):
    before = state_of(there)
    refused(capsys, ["predict", model, "flat/0.png", photo])
    assert state_of(there) == before


def test_good_photos_are_answered_and_each_bad_one_is_named(capsys, there, model):
    photos = ["notes.txt", "flat/0.png", "nowhere.png", "flat/1.png"]
    assert main(["predict", model, *photos]) == 2
    shown = capsys.readouterr()
    assert [row.split(",")[0] for row in shown.out.splitlines()[1:]] == photos[1::2]
    assert shown.err.count("error:") == 2 and "notes.txt" in shown.err
    assert "nowhere.png is not there" in shown.err


@pytest.mark.parametrize(
    "option, value", [("--epochs", "0"), ("--seed", "-1"), ("--lr", "0"), ("--batch", "1")]
)
def test_a_range_is_told_in_words_of_the_command_line(capsys, there, option, value):
    parts = refused(capsys, ["train", "good", option, value])
    assert parts["error"].startswith(option) and parts["where"].startswith(f"{option} {value}")
    assert parts["try"].startswith(option) and "train(" not in " ".join(parts.values())


def test_going_on_with_a_finished_run_advises_what_works(capsys, there, tmp_path):
    (tmp_path / "run.json").write_text(
        json.dumps({"name": "x", "status": "finished", "command": "stroma train p --out x --lr 1"})
    )
    parts = refused(capsys, ["train", "--resume", str(tmp_path)])
    assert parts["try"] == "stroma train p --lr 1"


def test_a_path_that_looks_like_an_option(capsys, there, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("-dash.jpg").touch()
    assert "./-dash.jpg" in refused(capsys, ["predict", "run", "-dash.jpg"])["try"]


@pytest.mark.parametrize("data", ["one-class/cat", "texts", "nowhere", "empty"])
def test_what_cannot_be_measured_is_said(capsys, there, model, data):
    refused(capsys, ["evaluate", model, data])


def test_other_classes_are_named(capsys, there, model, tmp_path):
    photos(tmp_path / "others", each=3, names=("cats", "dog"))
    parts = refused(capsys, ["evaluate", model, str(tmp_path / "others")])
    assert "'cats'" in parts["error"] and "Did you mean 'cat'?" in parts["error"]


# The machine's faults


def test_a_full_disk_is_named_and_the_run_says_it_failed(capsys, there, monkeypatch, tmp_path):
    import stroma.training.run_folder as module

    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "somewhere")

    monkeypatch.setattr(module, "write_checkpoint", full)
    parts = refused(
        capsys, ["train", "good", *NO_WEIGHTS, "--epochs", "1", "--out", str(tmp_path / "r")]
    )
    assert "full" in parts["why"]
    assert json.loads((tmp_path / "r" / "run.json").read_text())["status"] == "failed"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_named(capsys, there, tmp_path):
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    refused(capsys, ["train", "good", *NO_WEIGHTS, "--epochs", "1", "--out", str(locked / "r")])


def test_the_report_of_a_killed_run_is_made(capsys, there, tmp_path):
    """No fault of the user's: what a killed run left behind is shown as far as it goes."""
    folder = tmp_path / "killed"
    folder.mkdir()
    (folder / "run.json").write_text((Path("running") / "run.json").read_text())
    (folder / "metrics.jsonl").write_text('{"epoch": 1, "metrics": {"loss": 1.0}}\n{"epo')
    assert main(["report", str(folder)]) == 0
    assert "Not finished after 1 epoch" in (folder / "report.html").read_text()
