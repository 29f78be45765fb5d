"""`stroma predict`: any form of photos in, a line each out, and a stop costs nothing."""

import csv
import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stroma import layers
from stroma.cli.main import main
from stroma.jobs import predict
from stroma.models import Model
from stroma.package.artefact import Artefact


def save_model(path, names=("dark", "bright"), gain=10.0):
    path.parent.mkdir(parents=True, exist_ok=True)
    x = layers.Input((8, 8, 3))
    dense = layers.Dense(2)
    y = dense(layers.GlobalAveragePooling2D()(layers.Rescaling(1 / 255, -0.5)(x)))
    dense.set_weights([np.array([[-gain, gain]] * 3, np.float32), np.zeros(2, np.float32)])
    Artefact(Model(x, y), list(names), from_logits=True).save(path)


@pytest.fixture
def place(monkeypatch, tmp_path):
    """Two runs, the later one without a model, and photos from dark to bright."""
    monkeypatch.chdir(tmp_path)
    for number, name in enumerate(("runs/one", "runs/two")):
        folder = tmp_path / name
        folder.mkdir(parents=True)
        (folder / "run.json").write_text(json.dumps({"name": name, "status": "finished"}))
        os.utime(folder / "run.json", (1e9 + number, 1e9 + number))
    save_model(tmp_path / "runs" / "one" / "model.keras")
    for at in range(40):
        path = tmp_path / "photos" / f"{'dark' if at < 20 else 'bright'}" / f"{at:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8, 3), 6 * at + 5, np.uint8)).save(path)
    return tmp_path


def table(text):
    return list(csv.DictReader(text.splitlines()))


def test_a_folder_by_the_latest_run_that_has_a_model(capsys, place):
    assert main(["predict", "photos"]) == 0
    shown = capsys.readouterr()
    assert f"the model of {Path('runs/one')}" in shown.err
    rows = table(shown.out)
    assert len(rows) == 40
    assert all(row["predicted"] == Path(row["path"]).parent.name for row in rows[1:-1])


def test_photos_folder_zip_and_lists_say_the_same(capsys, place):
    with zipfile.ZipFile("photos.zip", "w") as archive:
        for path in sorted(Path("photos").rglob("*.png")):
            archive.write(path)
    names = [str(path) for path in sorted(Path("photos").rglob("*.png"))]
    Path("list.txt").write_text("\n".join(names))
    Path("list.csv").write_text("path,label\n" + "".join(f"{name},x\n" for name in names))
    said = []
    for form in (["photos"], names, ["list.txt"], ["list.csv"], ["photos.zip"]):
        assert main(["predict", "runs/one", *form]) == 0
        rows = table(capsys.readouterr().out)
        assert len(rows) == 40
        said.append([row["probability"] for row in rows])
        expected = [f"photos.zip/{name}" for name in names] if "photos.zip" in form else names
        assert [row["path"] for row in rows] == expected
    assert all(one == said[0] for one in said)


def test_json_lines_are_one_object_each(capsys, place):
    assert main(["predict", "photos/dark", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(rows) == 20 and rows[3]["predicted"] == "dark" and rows[3]["runner_up"] == "bright"
    assert main(["predict", "photos/dark", "--out", "said.jsonl"]) == 0
    assert [json.loads(line) for line in Path("said.jsonl").read_text().splitlines()] == rows


def test_lines_come_as_they_are_computed(place):
    said = predict("runs/one", "photos")
    assert next(said).path.endswith("20.png")
    Path("photos/dark/19.png").unlink()  # the last of 40: not read before its turn
    with pytest.raises(Exception, match="is not there"):
        list(said)


def test_what_cannot_be_read_is_counted_and_named(capsys, place):
    for number in range(5):
        Path(f"photos/dark/broken{number}.png").write_text("no picture")
    Path("photos/dark/notes.md").write_text("of another kind")
    Path("photos/dark/raw.dng").write_text("in an unread format")
    assert main(["predict", "photos", "--out", "said.csv"]) == 2
    shown = capsys.readouterr()
    assert len(table(Path("said.csv").read_text())) == 40 and shown.out == ""
    assert all(f"broken{number}.png" in shown.err for number in range(5))
    assert "raw.dng" in shown.err and "ignored 1 file of another kind: " in shown.err
    assert "6 of 46 photos could not be read" in shown.err and shown.err.count("error:") == 3


def asked(monkeypatch):
    """The photos that the model is shown from here on."""
    seen = []
    run = Artefact.predict

    def counted(self, images):
        images = list(images)
        seen.extend(int(image[0, 0, 0]) for image in images)
        return run(self, images)

    monkeypatch.setattr(Artefact, "predict", counted)
    return seen


@pytest.mark.parametrize("name", ["said.csv", "said.jsonl"])
def test_a_stopped_call_goes_on_where_it_was(capsys, monkeypatch, place, name):
    assert main(["predict", "photos", "--out", name]) == 0
    whole = Path(name).read_bytes()
    for cut in (0, 20, len(whole) // 2, len(whole) - 3, len(whole)):
        Path(name).write_bytes(whole[:cut])
        left = len(whole.splitlines()) - whole[:cut].count(b"\n")
        seen = asked(monkeypatch)
        assert main(["predict", "photos", "--out", name, "--resume"]) == 0
        assert Path(name).read_bytes() == whole
        assert len(seen) <= left + 1  # one is asked again, to see that the model is the same
    assert "answers 40 of 40 photos already" in capsys.readouterr().err


def test_another_model_does_not_go_on(capsys, place):
    save_model(Path("other.keras"), gain=-10.0)
    save_model(Path("names.keras"), names=("low", "high"))
    assert main(["predict", "photos/dark", "--out", "said.csv"]) == 0
    before = Path("said.csv").read_bytes()
    for model in ("other.keras", "names.keras"):
        assert main(["predict", model, "photos", "--out", "said.csv", "--resume"]) == 2
        assert "written by another model" in capsys.readouterr().err
        assert Path("said.csv").read_bytes() == before


@pytest.mark.parametrize("content", ["a,b\n1,2\n", "{}\n", "[1]\n", "path\n\n"])
@pytest.mark.parametrize("name", ["said.csv", "said.jsonl"])
def test_a_file_of_something_else_is_not_gone_on_with(capsys, place, name, content):
    Path(name).write_text(content + "half a line")
    code = main(["predict", "photos", "--out", name, "--resume"])
    if (name, content) != ("said.csv", "path\n\n"):
        assert code == 2 and "where:" in capsys.readouterr().err
        assert Path(name).read_text() == content + "half a line"


def test_answers_that_are_there_are_kept(capsys, place):
    assert main(["predict", "photos/dark", "--out", "said.csv"]) == 0
    before = Path("said.csv").read_bytes()
    assert main(["predict", "photos", "--out", "said.csv"]) == 2
    assert "--resume goes on with it" in capsys.readouterr().err
    assert Path("said.csv").read_bytes() == before
    assert main(["predict", "photos/bright", "--out", "said.csv", "--overwrite"]) == 0
    assert len(table(Path("said.csv").read_text())) == 20


def test_names_cannot_break_a_line(capsys, place):
    strange = Path("photos") / 'a\nb,"c"\x1b[2J.png'
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(strange)
    assert main(["predict", "photos", "--out", "said.csv"]) == 0
    rows = table(Path("said.csv").read_text())
    assert len(rows) == 41 and any(row["path"].endswith('a\\nb,"c"\\x1b[2J.png') for row in rows)
    assert main(["predict", "photos", "--out", "said.csv", "--resume"]) == 0
    assert "answers 41 of 41" in capsys.readouterr().err


def test_a_run_that_is_not_there_is_no_photo(capsys, place):
    assert main(["predict", "runs/three", "photos"]) == 2
    assert "there is no run runs/three" in capsys.readouterr().err
    assert main(["predict", "runs/one"]) == 2
    assert "PATH is missing" in capsys.readouterr().err
    assert main(["predict", "gone.png", "photos/dark/00.png"]) == 2  # a photo, by its ending
    shown = capsys.readouterr()
    assert "gone.png is not there" in shown.err and len(table(shown.out)) == 1
