"""From photos with several classes, or a number, to a file that answers in that form."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

from stroma import layers, models
from stroma.cli.main import main
from stroma.core.errors import ArgumentError, FileFormatError
from stroma.core.seeds import set_random_seed
from stroma.data import images
from stroma.diagnostics import score_number, score_several
from stroma.jobs import predict
from stroma.package import Artefact
from stroma.transfer import MultiLabelRidge, RidgeRegression, feature_extractor, with_head

NAMES = ["blue", "green", "red"]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Photos in which each of three colours is there or not; `red` also says how much."""
    folder = tmp_path_factory.mktemp("photos")
    draws = np.random.default_rng(0)
    tags, amounts = ["path,label"], ["path,amount"]
    for at in range(160):
        there = draws.random(3) < 0.5  # blue, green, red
        level = draws.uniform(100, 200, 3) * there
        pixels = np.clip(level[::-1] + draws.normal(20, 15, (16, 16, 3)), 0, 255)
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{at}.png")
        tags.append(f"{at}.png,{'|'.join(np.array(NAMES)[there]) or '|'}")
        amounts.append(f"{at}.png,{level[2]:.3f}")
    (folder / "tags.csv").write_text("\n".join(tags))
    (folder / "amounts.csv").write_text("\n".join(amounts))
    return folder


@pytest.fixture
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("STROMA_CACHE", str(tmp_path / "cache"))


def colour_means():
    x = layers.Input((16, 16, 3))
    return feature_extractor(models.Model(x, layers.Rescaling(1 / 255)(x)))


def fitted(data, head):
    extractor = colour_means()
    rows = extractor(data.train.images()).numpy(force=True)
    head.fit(rows, data.train.targets)
    model = with_head(extractor, head.as_layers())
    return Artefact(model, data.class_names, decoder=data.decoder, task=data.task)


def test_several_classes_from_table_to_answer(place, own_cache, tmp_path):
    data = images(place / "tags.csv", size=16)
    artefact = fitted(data, MultiLabelRidge())
    test = data.open_test()
    found = score_several(test.targets, artefact.probabilities(test.images()), data.class_names)
    assert found.figures[0].value > 0.95 > found.baseline[0].value
    loaded = Artefact.load(artefact.save(tmp_path / "model.keras"))
    assert loaded.task == "several classes" and loaded.class_names == NAMES
    for name, target in zip(test.names, test.targets):
        (answer,) = loaded.predict_several([place / name])
        said = [answer.probabilities[word] for word in NAMES]
        assert list(answer.classes) == [NAMES[k] for k in np.argsort(said)[::-1] if said[k] > 0.5]
        if abs(np.array(said) - 0.5).min() > 0.4:
            assert (np.array(said) > 0.5).tolist() == target.astype(bool).tolist()


def test_numbers_from_table_to_answer(place, own_cache, tmp_path):
    data = images(place / "amounts.csv", size=16, target_column="amount", labels="number")
    artefact = fitted(data, RidgeRegression())
    test = data.open_test()
    mean = float(data.train.targets.mean())
    found = score_number(test.targets, artefact.probabilities(test.images())[:, 0], mean)
    assert found.figures[2].name == "R²" and found.figures[2].value > 0.9
    assert abs(found.baseline[2].value) < 0.2  # planted: the mean alone explains nothing
    loaded = Artefact.load(artefact.save(tmp_path / "model.keras"))
    (answer,) = loaded.predict_number([place / test.names[0]])
    assert loaded.class_names == ["amount"] and abs(answer.value - test.targets[0]) < 60


def test_columns_of_predict_follow_the_task(place, own_cache, tmp_path, capsys):
    fitted(images(place / "tags.csv", size=16), MultiLabelRidge()).save(tmp_path / "tags.keras")
    amounts = images(place / "amounts.csv", size=16, target_column="amount", labels="number")
    fitted(amounts, RidgeRegression()).save(tmp_path / "amounts.keras")
    assert main(["predict", str(tmp_path / "tags.keras"), str(place / "tags.csv")]) == 0
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert list(rows[0]) == ["path", "classes", "p_blue", "p_green", "p_red"] and len(rows) == 160
    told = dict(line.split(",") for line in (place / "tags.csv").read_text().splitlines())
    same = [set(row["classes"].split("|")) == set(told[row["path"]].split("|")) for row in rows]
    assert np.mean(same) > 0.9
    out = tmp_path / "said.jsonl"
    line = ["predict", str(tmp_path / "amounts.keras"), str(place / "0.png"), "--out", str(out)]
    assert main(line) == 0 and main([*line, "--resume"]) == 0
    (row,) = [json.loads(text) for text in out.read_text().splitlines()]
    assert list(row) == ["path", "value"]
    assert next(iter(predict(tmp_path / "amounts.keras", place / "0.png"))).value == row["value"]
    capsys.readouterr()
    assert main(["evaluate", str(tmp_path / "tags.keras"), str(place / "tags.csv"), "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert "mean average precision" in json.dumps(figures)


def test_the_wrong_question_is_refused(place, own_cache, tmp_path):
    artefact = fitted(images(place / "tags.csv", size=16), MultiLabelRidge())
    with pytest.raises(ArgumentError, match="predicts several classes, not one class") as caught:
        artefact.predict([place / "0.png"])
    assert caught.value.fix == "artefact.predict_several(images)"
    with pytest.raises(ArgumentError, match="class names"):
        Artefact(artefact.model, NAMES, task="number")
    with pytest.raises(ArgumentError, match="task"):
        Artefact(artefact.model, NAMES, task="two classes")
    path = artefact.save(tmp_path / "model.keras")
    import zipfile

    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    changed = {n: d.replace(b'"several classes"', b'"seven classes"') for n, d in members.items()}
    assert changed != members
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in changed.items():
            archive.writestr(name, data)
    with pytest.raises(FileFormatError):
        Artefact.load(path)


def test_logits_of_several_classes_are_each_squashed():
    x = layers.Input((2, 2, 3))
    model = models.Model(x, layers.GlobalAveragePooling2D()(layers.Rescaling(1 / 255)(x)))
    artefact = Artefact(model, NAMES, from_logits=True, task="several classes")
    (row,) = artefact.probabilities([np.full((2, 2, 3), 255, np.uint8)])
    assert row == pytest.approx([1 / (1 + np.exp(-1))] * 3, rel=1e-6)


@pytest.mark.parametrize("task", ["several classes", "number"])
def test_a_network_learns_from_the_batches_themselves(place, own_cache, task):
    """The road from scratch: sigmoid and cross-entropy, or one output and squared error."""
    several = task == "several classes"
    data = images(place / ("tags.csv" if several else "amounts.csv"), size=16,
                  target_column=None if several else "amount")  # fmt: skip
    set_random_seed(0)
    x = layers.Input((16, 16, 3))
    y = layers.GlobalAveragePooling2D()(layers.Rescaling(1 / 64, -1.0)(x))
    y = layers.Dense(16, activation="relu")(y)
    y = layers.Dense(len(data.class_names), activation="sigmoid" if several else None)(y)
    # one output learns standardised numbers; the last layer gives them their unit back
    values = data.train.targets
    if not several:
        y = layers.Rescaling(float(values.std()), float(values.mean()))(y)
    model = models.Model(x, y)
    model.compile("adam", loss="binary_crossentropy" if several else "mean_squared_error")
    model.optimizer.learning_rate = 0.02
    model.fit(data.train.batches(16), epochs=25, verbose=0)
    test = data.open_test()
    said = model.predict(test.images(), verbose=0)
    if several:
        assert score_several(test.targets, said, NAMES).figures[0].value > 0.9
    else:
        assert score_number(test.targets, said[:, 0], float(values.mean())).figures[2].value > 0.7
