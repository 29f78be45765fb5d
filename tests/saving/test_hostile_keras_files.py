"""Hostile and damaged `.keras` files (FAULTS.md 2A): each refused at once, and nothing happens."""

from __future__ import annotations

import io
import json
import marshal
import os
import socket
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from stroma import layers, models, saving
from stroma.core.dtypes import dtype_policy
from stroma.core.errors import FileFormatError, StromaError, WeightsError

Members = dict[str, bytes]


@pytest.fixture(scope="module")
def members(tmp_path_factory: pytest.TempPathFactory) -> Members:
    x = layers.Input((4,))
    y = layers.Dense(3, name="first")(x) * 2
    model = models.Model(x, layers.Dense(2, name="second")(y))
    model.compile("adam", "mse", metrics=["mae"])
    path = model.save(tmp_path_factory.mktemp("sound") / "model.keras")
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def pack(path: Path, members: Members, **options: Any) -> Path:
    with zipfile.ZipFile(path, "w", **options) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def with_config(members: Members, change: Callable[[dict[str, Any]], Any]) -> Members:
    config = json.loads(members["config.json"])
    changed = change(config)
    return members | {"config.json": json.dumps(config if changed is None else changed).encode()}


def with_weights(members: Members, change: Callable[[h5py.File], None]) -> Members:
    buffer = io.BytesIO(members["model.weights.h5"])
    with h5py.File(buffer, "r+") as file:
        change(file)
    return members | {"model.weights.h5": buffer.getvalue()}


# An audit hook cannot be removed: it looks on only while a list is here
_noting: list[list[str]] = []
_FORBIDDEN = ("socket.", "subprocess.", "os.system", "os.exec", "os.posix_spawn", "os.fork",
              "os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink",
              "marshal.", "pickle.find_class", "urllib.", "ftplib.", "ctypes.dlopen")  # fmt: skip
_OURS = ("stroma", "torch", "h5py", "numpy", "encodings")


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if not _noting:
        return
    if event == "open":
        path, mode, flags = arguments
        writing = bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC))
        if writing or any(letter in (mode or "") for letter in "wax+"):
            _noting[-1].append(f"opened {path} {mode}")
    elif event == "import" and not str(arguments[0]).startswith(_OURS):
        _noting[-1].append(f"imported {arguments[0]}")
    elif event.startswith(_FORBIDDEN):
        _noting[-1].append(f"{event} {arguments}")


sys.addaudithook(_watch)


@contextmanager
def watched(done: list[str]) -> Iterator[None]:
    """Inside, whatever a hostile file would do is noted: imports, sockets, files written."""
    _noting.append(done)
    try:
        yield
    finally:
        _noting.pop()


@pytest.fixture
def quiet(members: Members) -> Iterator[list[str]]:
    before = dtype_policy().name
    yield []
    assert dtype_policy().name == before


def refused(path: Path, quiet: list[str], match: str, kind: Any = FileFormatError) -> StromaError:
    listing = sorted(path.parent.iterdir())
    start = time.process_time()  # not the clock on the wall: other tests may share the machine
    with pytest.raises(kind, match=match) as caught, watched(quiet):
        models.load_model(path)
    assert time.process_time() - start < 1.0
    assert quiet == [] and sorted(path.parent.iterdir()) == listing
    error = caught.value
    assert error.what and error.where and error.why and error.fix
    return error


def layer_entry(config: dict[str, Any], name: str) -> dict[str, Any]:
    return next(entry for entry in config["config"]["layers"] if entry["name"] == name)


# A1-A7: code in the description

LAMBDA = {
    "class_name": "Lambda",
    "module": "keras.layers",
    "config": {
        "name": "lambda",
        "function": {"class_name": "__lambda__", "config": {"code": "4wEAAAAA", "defaults": None}},
    },
}


@pytest.mark.parametrize(
    ("entry", "match"),
    [
        (LAMBDA, "Lambda"),
        ({"class_name": "TorchModuleWrapper", "module": "keras.layers",
          "config": {"module": "gASVAAAA"}}, "pickled torch module"),
        ({"class_name": "TFSMLayer", "module": "keras.layers",
          "config": {"filepath": "/etc"}}, "TensorFlow program"),
        ({"class_name": "system", "module": "os", "config": {"command": "id"}}, "'system'"),
        ({"class_name": "function", "module": "subprocess", "config": {"a": 1}}, "'function'"),
        ({"class_name": "get_file", "module": "keras.utils",
          "config": {"origin": "http://x"}}, "'get_file'"),
        ({"class_name": "load_model", "module": "keras.models", "config": {}}, "'load_model'"),
        ({"class_name": "set_dtype_policy", "module": "keras.config",
          "config": {"policy": "float16"}}, "'set_dtype_policy'"),
        ({"class_name": "enable_unsafe_deserialization", "module": "keras.config",
          "config": {}}, "does not know"),
        ({"class_name": "Dense", "module": "os", "config": {"units": 2}}, "does not know"),
        ({"class_name": "Dense", "module": None, "config": {"units": 2}}, "does not know"),
    ],
)  # fmt: skip
def test_a1_to_a7_classes_outside_the_table(
    entry: Any, match: str, members: Members, tmp_path: Path, quiet: list[str]
) -> None:
    def change(config: dict[str, Any]) -> None:
        target = layer_entry(config, "first")
        target.update(entry)
        target["config"] = {"name": "first", **entry["config"]}

    path = pack(tmp_path / "model.keras", with_config(members, change))
    error = refused(path, quiet, match)
    assert "custom_objects" in error.fix
    with pytest.raises(FileFormatError, match=match):  # the second way in: the same answer
        models.model_from_json(with_config(members, change)["config.json"].decode())


@pytest.mark.parametrize("kind", ["StringLookup", "IntegerLookup", "TextVectorization"])
@pytest.mark.parametrize("vocabulary", ["/etc/passwd", "http://169.254.169.254/", "../words.txt"])
def test_a6_a_vocabulary_elsewhere(
    kind: str, vocabulary: str, members: Members, tmp_path: Path, quiet: list[str]
) -> None:
    def change(config: dict[str, Any]) -> None:
        layer_entry(config, "first").update(
            class_name=kind, module="keras.layers",
            config={"name": "first", "vocabulary": vocabulary},
        )  # fmt: skip

    path = pack(tmp_path / "model.keras", with_config(members, change))
    refused(path, quiet, "is not opened")


@pytest.mark.parametrize(
    ("where", "value", "match"),
    [
        ("activation", {"class_name": "__lambda__", "config": {"value": "4w=="}}, "__lambda__"),
        ("activation", {"class_name": "function", "module": "os", "config": "system",
                        "registered_name": "system"}, "unknown activation"),
        ("activation", "os.system", "unknown activation"),
        ("kernel_initializer", {"class_name": "get_file", "module": "keras.utils",
                                "config": {"origin": "x"}}, "unknown initializer"),
        ("bias_initializer", {"class_name": "TorchModuleWrapper", "module": "keras.layers",
                              "config": {}}, "TorchModuleWrapper"),
        ("lora_rank", 4, "no setting 'lora_rank'"),
    ],
)  # fmt: skip
def test_settings_outside_the_table(
    where: str, value: Any, match: str, members: Members, tmp_path: Path, quiet: list[str]
) -> None:
    def change(config: dict[str, Any]) -> None:
        layer_entry(config, "first")["config"][where] = value

    refused(pack(tmp_path / "m.keras", with_config(members, change)), quiet, match, StromaError)


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("keras.src.ops.numpy", "load"),
        ("keras.src.ops.core", "ForiLoop"),
        ("stroma.ops", "torch.load"),
        ("stroma.ops", "operator.attrgetter"),
        ("stroma.ops", "torch.Tensor.register_hook"),
        ("keras.src.ops.core", "Map"),
    ],
)
def test_operations_outside_the_table(
    module: str, name: str, members: Members, tmp_path: Path, quiet: list[str]
) -> None:
    def change(config: dict[str, Any]) -> None:
        layer_entry(config, "multiply").update(module=module, class_name=name)

    refused(pack(tmp_path / "m.keras", with_config(members, change)), quiet, "does not know")


def test_a_dead_node_is_refused_too(members: Members, tmp_path: Path, quiet: list[str]) -> None:
    """Proofs of concept against Keras call functions from nodes that no output depends on."""

    def change(config: dict[str, Any]) -> None:
        config["config"]["layers"].append(
            {"module": "keras.config", "class_name": "set_dtype_policy", "name": "dead",
             "config": {"policy": "float16"}, "inbound_nodes": []}
        )  # fmt: skip

    refused(pack(tmp_path / "m.keras", with_config(members, change)), quiet, "set_dtype_policy")


@pytest.mark.parametrize("value", ["os.system", {"class_name": "get_file", "config": {}}])
@pytest.mark.parametrize("key", ["optimizer", "loss", "metrics"])
def test_compile_config_is_closed_as_well(
    key: str, value: Any, members: Members, tmp_path: Path, quiet: list[str]
) -> None:
    def change(config: dict[str, Any]) -> None:
        config["compile_config"][key] = value

    path = pack(tmp_path / "m.keras", with_config(members, change))
    refused(path, quiet, "does not know")
    assert not models.load_model(path, compile=False).compiled


def test_a_metric_that_would_fill_the_memory(
    members: Members, tmp_path: Path, quiet: list[str]
) -> None:
    def change(config: dict[str, Any]) -> None:
        settings = {"num_thresholds": 10**9}
        config["compile_config"]["metrics"] = [
            {"module": "keras.metrics", "class_name": "AUC", "config": settings}
        ]

    path = pack(tmp_path / "m.keras", with_config(members, change))
    error = refused(path, quiet, "1000000000")
    assert "compile=False" in error.fix


def test_own_objects_do_not_open_the_rest(
    members: Members, tmp_path: Path, quiet: list[str]
) -> None:
    def change(config: dict[str, Any]) -> None:
        layer_entry(config, "first").update(LAMBDA, name="first")

    path = pack(tmp_path / "m.keras", with_config(members, change))
    with pytest.raises(FileFormatError, match="Lambda"):
        models.load_model(path, custom_objects={"Other": layers.Dense})


# A8, A9: HDF5 that points elsewhere or makes numbers up


def external_link(file: h5py.File) -> None:
    del file["layers/dense/vars"]
    file["layers/dense/vars"] = h5py.ExternalLink("/etc/hostname", "/x")


def soft_link(file: h5py.File) -> None:
    del file["layers/dense/vars/0"]
    file["layers/dense/vars/0"] = h5py.SoftLink("/layers/dense_1/vars/0")


def external_array(file: h5py.File) -> None:
    del file["layers/dense/vars/0"]
    file.create_dataset("layers/dense/vars/0", (4, 3), "f4", external=[("/etc/hostname", 0, 48)])


def virtual_array(file: h5py.File) -> None:
    del file["layers/dense/vars/0"]
    layout = h5py.VirtualLayout((4, 3), "f4")
    layout[...] = h5py.VirtualSource("/etc/hostname", "x", (4, 3))
    file["layers/dense/vars"].create_virtual_dataset("0", layout)


def external_group(file: h5py.File) -> None:
    del file["layers/dense"]
    file["layers/dense"] = h5py.ExternalLink("/etc/hostname", "/")


def soft_group(file: h5py.File) -> None:
    del file["layers"]
    file["layers"] = h5py.SoftLink("/optimizer")


def small_bomb(file: h5py.File) -> None:
    """One that stays under any limit on the whole: the numbers are not there."""
    del file["layers/dense/vars/1"]
    file.create_dataset("layers/dense/vars/1", (3,), "f4", chunks=(3,), fillvalue=1)


def shape_bomb(file: h5py.File) -> None:
    del file["layers/dense/vars/0"]
    file.create_dataset("layers/dense/vars/0", (2**20, 2**10), "f4", chunks=(64, 64), fillvalue=1)


def ring(file: h5py.File) -> None:
    file["layers/dense/again"] = file["layers"]


def text_array(file: h5py.File) -> None:
    del file["layers/dense/vars/1"]
    file["layers/dense/vars"].create_dataset("1", data=[b"a", b"b", b"c"])


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (external_link, "ExternalLink"), (soft_link, "SoftLink"),
        (external_array, "another file"), (virtual_array, "another file"),
        (external_group, "ExternalLink"), (soft_group, "SoftLink"),
        (small_bomb, "declares 12 bytes, 0 are stored"),
        (shape_bomb, "declares 4,294,967,296 bytes"), (ring, "reached twice"),
        (text_array, "not numbers"),
    ],
)  # fmt: skip
def test_a8_a9_hdf5(
    change: Any, match: str, members: Members, tmp_path: Path, quiet: list[str]
) -> None:
    refused(pack(tmp_path / "m.keras", with_weights(members, change)), quiet, match)
    (tmp_path / "w.weights.h5").write_bytes(with_weights(members, change)["model.weights.h5"])
    x = layers.Input((4,))
    model = models.Model(x, layers.Dense(2)(layers.Dense(3)(x)))
    with pytest.raises(FileFormatError, match=match):  # the same way for weights alone
        model.load_weights(tmp_path / "w.weights.h5")


def test_a2_a_whole_model_in_keras_2s_format(tmp_path: Path, quiet: list[str]) -> None:
    path = tmp_path / "model.h5"
    described = {"class_name": "Sequential", "config": {"layers": [LAMBDA]}}
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(described)
        file.create_group("model_weights")
    refused(path, quiet, "HDF5 file")


# A10, A11: the zip


def test_a10_bombs(members: Members, tmp_path: Path, quiet: list[str]) -> None:
    big = members | {"config.json": b" " * (17 * 2**20)}
    packed = pack(tmp_path / "a.keras", big, compression=zipfile.ZIP_DEFLATED)
    refused(packed, quiet, "config.json claims")
    weights = members | {"model.weights.h5": bytes(40 * 2**20)}
    packed = pack(tmp_path / "b.keras", weights, compression=zipfile.ZIP_DEFLATED)
    refused(packed, quiet, "would grow")


@pytest.mark.parametrize(
    "name",
    ["../evil", "/etc/evil", "C:\\evil", "a\\b", "assets/../../x", "a" * 200, "x\ny", "./config"],
)
def test_a11_names_that_lead_out(
    name: str, members: Members, tmp_path: Path, quiet: list[str]
) -> None:
    refused(pack(tmp_path / "m.keras", members | {name: b"x"}), quiet, "lead out")


def test_a11_duplicates_links_overlaps_and_checksums(
    members: Members, tmp_path: Path, quiet: list[str]
) -> None:
    twice = pack(tmp_path / "twice.keras", members)
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(twice, "a") as archive:
        archive.writestr("config.json", b"{}")
    refused(twice, quiet, "two members")

    link = tmp_path / "link.keras"
    with zipfile.ZipFile(link, "w") as archive:
        info = zipfile.ZipInfo("config.json")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
    refused(link, quiet, "is a link")

    nul = pack(tmp_path / "nul.keras", members | {"config.jsonAtail": b"{}"})
    nul.write_bytes(nul.read_bytes().replace(b"config.jsonAtail", b"config.json\0tail"))
    refused(nul, quiet, "lead out|two members")

    sound = pack(tmp_path / "crc.keras", members)
    content = bytearray(sound.read_bytes())
    place = content.find(members["model.weights.h5"]) + 3000
    content[place] ^= 1
    sound.write_bytes(content)
    refused(sound, quiet, "CRC")

    over = pack(tmp_path / "over.keras", members)
    content = bytearray(over.read_bytes())
    first = content.find(b"PK\x01\x02")
    second = content.find(b"PK\x01\x02", first + 4)
    content[second + 42 : second + 46] = content[first + 42 : first + 46]
    over.write_bytes(content)
    refused(over, quiet, "overlap|differ")


def test_a_million_members(members: Members, tmp_path: Path, quiet: list[str]) -> None:
    path = pack(tmp_path / "m.keras", members)
    content = bytearray(path.read_bytes())
    end = content.rfind(b"PK\x05\x06")
    content[end + 8 : end + 12] = b"\xfe\xff\xfe\xff"
    path.write_bytes(content)
    refused(path, quiet, "members")


# A12, A15: names and numbers in the description


def renamed(name: Any) -> Callable[[dict[str, Any]], None]:
    def change(config: dict[str, Any]) -> None:
        entry = layer_entry(config, "first")
        entry["name"] = entry["config"]["name"] = name

    return change


@pytest.mark.parametrize("name", ["../../x", "a/b", "a" * 129, "a b", "", "x\0", "²"])
def test_a12_names_of_layers(name: str, members: Members, tmp_path: Path, quiet: list[str]) -> None:
    refused(pack(tmp_path / "m.keras", with_config(members, renamed(name))), quiet, "is called")


def test_a12_the_table_of_original_names(
    members: Members, tmp_path: Path, quiet: list[str]
) -> None:
    metadata = json.dumps({"stroma": {"names": {"first": "../../x"}}}).encode()
    path = pack(tmp_path / "m.keras", members | {"metadata.json": metadata})
    refused(path, quiet, "stands for")


@pytest.mark.parametrize("units", [-1, 0, 2.5, float("nan"), 10**12, 2**63, "4", None, True, [4]])
def test_a15_sizes(units: Any, members: Members, tmp_path: Path, quiet: list[str]) -> None:
    def change(config: dict[str, Any]) -> None:
        layer_entry(config, "first")["config"]["units"] = units

    path = pack(tmp_path / "m.keras", with_config(members, change))
    refused(path, quiet, ".", StromaError)


@pytest.mark.parametrize("shape", [[None, -4], [None, 4.0], [2**62, 2**62], "x", None, [None] * 99])
def test_a15_shapes_of_inputs(
    shape: Any, members: Members, tmp_path: Path, quiet: list[str]
) -> None:
    def change(config: dict[str, Any]) -> None:
        config["config"]["layers"][0]["config"]["batch_shape"] = shape

    path = pack(tmp_path / "m.keras", with_config(members, change))
    refused(path, quiet, ".", StromaError)


def test_a15_depth_count_and_circles(members: Members, tmp_path: Path, quiet: list[str]) -> None:
    start = '{"class_name": "Sequential", "module": "keras", "config": {"layers": ['
    deep = start * 1000 + "]}}" * 1000
    path = pack(tmp_path / "deep.keras", members | {"config.json": deep.encode()})
    refused(path, quiet, "nested more than|not sound JSON")

    brackets = members | {"config.json": b"[" * 100_000 + b"]" * 100_000}
    refused(pack(tmp_path / "brackets.keras", brackets), quiet, "nested more|not sound JSON")

    def circle(config: dict[str, Any]) -> None:
        tensor = layer_entry(config, "first")["inbound_nodes"][0]["args"][0]["config"]
        tensor["keras_history"] = ["second", 0, 0]

    refused(pack(tmp_path / "circle.keras", with_config(members, circle)), quiet, "circle")

    def shared(config: dict[str, Any]) -> None:
        config["shared_object_id"] = 1
        layer_entry(config, "first")["shared_object_id"] = 1

    model = models.load_model(
        pack(tmp_path / "shared.keras", with_config(members, shared))
    )  # an id can only mean what is finished: this one is simply new
    assert model.count_params() == 23

    def twice(config: dict[str, Any]) -> None:
        config["config"]["layers"].append(layer_entry(config, "first"))

    refused(pack(tmp_path / "twice.keras", with_config(members, twice)), quiet, "two layers")

    def many(config: dict[str, Any]) -> None:
        relu = {"class_name": "ReLU", "module": "keras.layers", "config": {}}
        config["config"]["layers"] += [
            {**relu, "name": f"r{i}", "inbound_nodes": []} for i in range(10_001)
        ]

    path = pack(tmp_path / "many.keras", with_config(members, many))
    refused(path, quiet, "more than 10,000 layers")

    same = members | {"config.json": members["config.json"].replace(b'"name"', b'"n":1,"n"', 1)}
    refused(pack(tmp_path / "keys.keras", same), quiet, "one key twice")


@pytest.mark.parametrize(
    "history",
    [["nobody", 0, 0], ["first", 7, 0], ["first", 0, 9], ["first", -1, 0], ["first", 0], 3, None],
)
def test_a15_references_that_lead_nowhere(
    history: Any, members: Members, tmp_path: Path, quiet: list[str]
) -> None:
    def inside(config: dict[str, Any]) -> None:
        node = layer_entry(config, "second")["inbound_nodes"][0]
        node["args"][0]["config"]["keras_history"] = history

    refused(pack(tmp_path / "a.keras", with_config(members, inside)), quiet, "not sound")

    def at_the_end(config: dict[str, Any]) -> None:
        config["config"]["output_layers"] = history

    refused(pack(tmp_path / "b.keras", with_config(members, at_the_end)), quiet, ".", StromaError)


def test_a15_constants(members: Members, tmp_path: Path, quiet: list[str]) -> None:
    for value in ([0.0] * 70_000, "x", [[1], [1, 2]], {"a": 1}, [10**400]):

        def change(config: dict[str, Any], value: Any = value) -> None:
            layer_entry(config, "multiply")["inbound_nodes"][0]["args"][1] = {
                "class_name": "__tensor__",
                "config": {"value": value, "dtype": "float32"},
            }

        path = pack(tmp_path / "m.keras", with_config(members, change))
        refused(path, quiet, "constant is not|no value|no size")

    def no_tensor(config: dict[str, Any]) -> None:
        entry = layer_entry(config, "multiply")
        entry.update(module="stroma.ops", class_name="torch.Tensor.repeat")
        entry["inbound_nodes"][0]["args"] = [
            {"class_name": "__tensor__", "config": {"value": [1.0], "dtype": "float32"}}, 10**12,
        ]  # fmt: skip

    path = pack(tmp_path / "n.keras", with_config(members, no_tensor))
    refused(path, quiet, "no tensor of the network")


# A16: weights that are not the network's


def test_a16_weights(members: Members, tmp_path: Path, quiet: list[str]) -> None:
    def missing(file: h5py.File) -> None:
        del file["layers/dense/vars/1"]

    def extra(file: h5py.File) -> None:
        file["layers/other/vars/0"] = np.zeros(3, "f4")

    def reshaped(file: h5py.File) -> None:
        del file["layers/dense/vars/0"]
        file["layers/dense/vars/0"] = np.zeros((3, 4), "f4")

    def not_finite(file: h5py.File) -> None:
        file["layers/dense/vars/1"][0] = np.nan

    for change, match in (
        (missing, "numbers|layers/dense/vars/1: missing"),
        (extra, "layers/other/vars/0"),
        (reshaped, r"\(3, 4\) in the file, \(4, 3\) here"),
    ):
        path = pack(tmp_path / "m.keras", with_weights(members, change))
        refused(path, quiet, match, WeightsError)
    with pytest.warns(UserWarning, match="NaN"):
        models.load_model(pack(tmp_path / "m.keras", with_weights(members, not_finite)))


def test_optimizer_state_that_does_not_fit(
    members: Members, tmp_path: Path, quiet: list[str]
) -> None:
    def change(file: h5py.File) -> None:
        file["optimizer/vars"].create_dataset("2", data=np.zeros((9, 9), "f4"))

    path = pack(tmp_path / "m.keras", with_weights(members, change))
    error = refused(path, quiet, "slots that do not fit", WeightsError)
    assert "compile=False" in error.fix


# A22, A24: files that are something else, or cut


def test_a22_other_files(members: Members, tmp_path: Path, quiet: list[str]) -> None:
    for content, match in (
        (members["model.weights.h5"], "HDF5"),
        (b"<!doctype html><p>404", "HTML"),
        (b"\x10\0\0\0\0\0\0\0{}              ", "weights without a network"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
        (b"\x80\x02cposix\nsystem\n", "pickle"),
        (b"nothing at all", "unknown"),
        (b"PK\x03\x04 cut", "cut short"),
    ):
        path = tmp_path / "model.keras"
        path.write_bytes(content)
        refused(path, quiet, match)
    refused(pack(tmp_path / "a.keras", {"data.pkl": b"x"}), quiet, "no config.json")
    no_weights = {k: v for k, v in members.items() if "weights" not in k}
    refused(pack(tmp_path / "b.keras", no_weights), quiet, "no model.weights.h5")


def test_a24_cut_at_any_byte_or_flipped(members: Members, tmp_path: Path, quiet: list[str]) -> None:
    path = pack(tmp_path / "model.keras", members)
    content = path.read_bytes()
    for cut in [1, 10, 100, *range(200, len(content), len(content) // 40), len(content) - 1]:
        path.write_bytes(content[:cut])
        with pytest.raises(FileFormatError):
            models.load_model(path)
    path.write_bytes(content)
    expected = [w.tolist() for w in models.load_model(path).get_weights()]
    random = np.random.default_rng(0)
    for place in random.integers(0, len(content), 60):
        flipped = bytearray(content)
        flipped[place] ^= 1 << int(random.integers(8))
        path.write_bytes(flipped)
        try:
            found = [w.tolist() for w in models.load_model(path).get_weights()]
        except StromaError:
            continue
        assert found == expected  # the flip was in a date or in padding


def test_a24_no_files(tmp_path: Path, quiet: list[str]) -> None:
    (tmp_path / "empty.keras").touch()
    (tmp_path / "folder.keras").mkdir()
    os.mkfifo(tmp_path / "pipe.keras")
    for name in ("empty.keras", "folder.keras", "pipe.keras", "missing.keras"):
        refused(tmp_path / name, quiet, "empty|folder|pipe|No such file")
    refused(Path("/dev/zero"), quiet, "device")


def test_the_watch_would_notice(quiet: list[str], tmp_path: Path) -> None:
    """The planted mistake: a loader that writes, imports or connects is caught."""
    with watched(quiet):
        (tmp_path / "x").write_bytes(b"")
        import this  # noqa: F401

        socket.socket().close()
        marshal.loads(b"N")
    assert {note.split()[0] for note in quiet} == {
        "opened", "imported", "socket.__new__", "marshal.loads",
    }  # fmt: skip


def test_nothing_is_registered_by_loading(members: Members, tmp_path: Path) -> None:
    before = dict(saving.vocabulary.REGISTERED)
    models.load_model(pack(tmp_path / "m.keras", members))
    assert before == saving.vocabulary.REGISTERED
