"""A file's text never becomes code: the words of a functional graph, each tried as an attack."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from stroma import layers, models
from stroma.core.errors import FileFormatError, GraphError, StromaError
from stroma.core.names import check_name, is_keyword_name

Change = Callable[[dict[str, dict[str, Any]]], None]


class TakesAnything(layers.Layer):
    """A user's layer that passes its keyword arguments on, as many do."""

    def call(self, inputs: torch.Tensor, **kwargs: Any) -> torch.Tensor:
        return inputs * 2


def changed_file(tmp_path: Path, change: Change) -> Path:
    """A sound model whose description `change` has rewritten, entry by entry."""
    x = layers.Input((4,))
    y = TakesAnything(name="own")(x, flag=1) * 2
    model = models.Model(x, layers.Dense(2, name="dense_a")(y[:, 1:4].reshape((-1, 3))))
    sound, hostile = model.save(tmp_path / "sound.keras"), tmp_path / "hostile.keras"
    with zipfile.ZipFile(sound) as source, zipfile.ZipFile(hostile, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            if name == "config.json":
                config = json.loads(content)
                change({entry["name"]: entry for entry in config["config"]["layers"]})
                content = json.dumps(config).encode()
            target.writestr(name, content)
    return hostile


def load(path: Path) -> models.Model:
    model: models.Model = models.load_model(path, custom_objects={"TakesAnything": TakesAnything})
    return model


ATTACK = "a=__import__('pathlib').Path('{0}').touch(), b"
BROKEN_NAMES = [
    ATTACK, "flag=1)\n    __import__('pathlib').Path('{0}').touch()\n    (b", "lambda", "a b",
    "", "1a", "a.b", "__debug__", "*x", "ﬂag", "fla\u0067\u200b", "x\x00",
]  # fmt: skip


@pytest.mark.parametrize("key", BROKEN_NAMES)
@pytest.mark.parametrize("entry", ["own", "multiply", "reshape", "get_item"])
def test_the_name_of_a_keyword_argument(entry: str, key: str, tmp_path: Path) -> None:
    proof = tmp_path / "proof"
    key = key.format(proof)

    def in_call(entries: dict[str, dict[str, Any]]) -> None:
        entries[entry]["inbound_nodes"][0]["kwargs"] = {key: 1}

    def in_settings(entries: dict[str, dict[str, Any]]) -> None:
        entries[entry]["config"][key] = 1

    for change in (in_call, in_settings):
        if change is in_settings and entry == "own":
            continue
        with pytest.raises(FileFormatError, match="keyword argument called"):
            load(changed_file(tmp_path, change))
    assert not proof.exists()


@pytest.mark.parametrize("described", [["flag"], "flag", 3])
def test_keyword_arguments_that_are_no_dict(described: Any, tmp_path: Path) -> None:
    def change(entries: dict[str, dict[str, Any]]) -> None:
        entries["own"]["inbound_nodes"][0]["kwargs"] = described

    with pytest.raises(FileFormatError, match="not a dict"):
        load(changed_file(tmp_path, change))


ATTACK_VALUES = [
    "__import__('pathlib').Path('{0}').touch()", "')+__import__('pathlib').Path('{0}').touch()+('",
    '"+str(__import__("pathlib").Path("{0}").touch())+"', "{{0}}\\", "\ud800", "'''\n\"\"\"",
]  # fmt: skip


@pytest.mark.parametrize("text", ATTACK_VALUES)
def test_texts_stay_texts(text: str, tmp_path: Path) -> None:
    """As value, key of a dict, bound of a slice, or deep in lists: handed on, never run."""
    proof = tmp_path / "proof"
    text = text.format(proof)
    part = {"class_name": "__slice__", "config": {"start": text, "stop": {text: text}, "step": 1}}
    seen: list[Any] = []

    class Sees(TakesAnything):
        def call(self, inputs: torch.Tensor, **kwargs: Any) -> torch.Tensor:
            seen.append(kwargs)
            return inputs

    def change(entries: dict[str, dict[str, Any]]) -> None:
        entries["own"]["inbound_nodes"][0]["kwargs"] = {"flag": [text, {text: [text]}, part]}

    path = changed_file(tmp_path, change)
    model: Any = models.load_model(path, custom_objects={"TakesAnything": Sees})
    model(torch.ones(2, 4))
    assert seen[-1] == {"flag": [text, {text: [text]}, slice(text, {text: text}, 1)]}
    assert not proof.exists()


@pytest.mark.parametrize("text", ATTACK_VALUES)
@pytest.mark.parametrize("entry", ["multiply", "reshape", "get_item"])
def test_texts_as_arguments_of_operations(entry: str, text: str, tmp_path: Path) -> None:
    proof = tmp_path / "proof"

    def change(entries: dict[str, dict[str, Any]]) -> None:
        entries[entry]["inbound_nodes"][0]["args"][1:] = [text.format(proof)]

    with pytest.raises(StromaError):
        load(changed_file(tmp_path, change))
    assert not proof.exists()


NAMES = ['a"+b', "a')", "a\nb", "a(b)", "a;b", "a=b", "a\\", "a b\u2028", "{x}", "²", "a\u200bb"]


@pytest.mark.parametrize("name", [*NAMES, "a/../b"])
def test_names_of_layers(name: str, tmp_path: Path) -> None:
    def change(entries: dict[str, dict[str, Any]]) -> None:
        entries["dense_a"]["config"]["name"] = name

    with pytest.raises(StromaError):
        load(changed_file(tmp_path, change))
    with pytest.raises(StromaError, match="cannot be a layer's name"):
        check_name(name, owner="Dense")


@pytest.mark.parametrize("dtype", ["float32)+x", "load", "os.system", "__class__"])
def test_dtypes(dtype: str, tmp_path: Path) -> None:
    def change(entries: dict[str, dict[str, Any]]) -> None:
        described = {"class_name": "__dtype__", "config": {"name": dtype}}
        entries["own"]["inbound_nodes"][0]["kwargs"] = {"flag": described}

    with pytest.raises(StromaError, match=r"unknown dtype|a layer is called"):
        load(changed_file(tmp_path, change))


def test_in_memory_too(tmp_path: Path) -> None:
    """The writer of the code refuses by itself: there are other ways to it than files."""
    proof = tmp_path / "proof"
    x = layers.Input((4,))
    for key in BROKEN_NAMES:
        y = TakesAnything()(x, **{key.format(proof): 1})
        with pytest.raises(GraphError, match="which is no name"):
            models.Model(x, y)
    layer = layers.Dense(2)
    layer._given_name = "a\", __import__('os'), \""  # past every check of names
    with pytest.raises(GraphError, match="cannot be called"):
        models.Model(x, layer(x))
    assert not proof.exists()


@pytest.mark.parametrize("part", ["half", "training", "forward", "_modules", "__class__", "type"])
def test_a_part_of_a_name_that_every_module_has(part: str) -> None:
    """`self.a.half(x)` would be the method of that name, not the layer."""
    x = layers.Input((4,))
    model = models.Model(x, layers.Dense(2, name=f"a.{part}")(x))
    assert f"a.{part}_.weight" in model.state_dict()
    assert model(torch.ones(3, 4)).shape == (3, 2)


@pytest.mark.parametrize("name", ["graph", "_order", "_keys", "_run", "constant_0"])
def test_names_that_the_network_needs_itself(name: str) -> None:
    x = layers.Input((4,))
    model = models.Model(x, layers.Dense(2, name=name)(x + torch.ones(4)))
    assert f"{name}_.weight" in model.state_dict()
    assert model(torch.ones(3, 4)).shape == (3, 2)


def test_what_may_be_a_keyword() -> None:
    assert all(map(is_keyword_name, ["flag", "größe", "_x1", "match"]))
    assert not any(map(is_keyword_name, [*BROKEN_NAMES, None, 3, "class"]))
