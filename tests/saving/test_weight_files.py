"""Weight files, honest and hostile, each really built and really read."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import sys
import tarfile
import time
import zipfile
from collections import OrderedDict
from pathlib import Path

import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from shared_files import SHARED, needs_shared
from stroma.core.errors import FileFormatError, StromaError
from stroma.saving.pytorch import read_pytorch
from stroma.saving.safetensors import read_safetensors
from stroma.saving.weights import read_weights

WEIGHTS = {
    "conv.weight": torch.arange(54, dtype=torch.float32).reshape(2, 3, 3, 3),
    "conv.bias": torch.tensor([0.5, -1.0], dtype=torch.float16),
    "norm.num_batches_tracked": torch.tensor(7),
    "empty": torch.zeros(0, 4),
}
_events: list[str] | None = None


def _audit(event: str, arguments: tuple[object, ...]) -> None:
    if _events is None:
        return
    if event in ("os.system", "subprocess.Popen", "socket.connect", "exec", "import") or (
        event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+")
    ):
        _events.append(f"{event} {arguments[:1]}")


sys.addaudithook(_audit)


def refuse(path: Path, *words: str) -> StromaError:
    """Reading `path` fails in at most a second, with `words`, and does nothing else."""
    global _events
    started, _events = time.perf_counter(), []
    try:
        with pytest.raises(FileFormatError) as caught:
            read_weights(path)
    finally:
        events, _events = _events, None
    assert time.perf_counter() - started < 1
    assert events == []
    for word in words:
        assert word in str(caught.value)
    assert str(path) in str(caught.value)
    assert set(caught.value.parts()) == {"what", "where", "why", "try"}
    return caught.value


def check_equal(found: dict[str, torch.Tensor]) -> None:
    assert found.keys() == WEIGHTS.keys()
    for name, tensor in WEIGHTS.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor)


def save_torch(path: Path, thing: object, *, legacy: bool = False) -> Path:
    torch.save(thing, path, _use_new_zipfile_serialization=not legacy)
    return path


# --- honest files ---------------------------------------------------------------------------


def test_safetensors_round_trip(tmp_path: Path) -> None:
    safetensors.torch.save_file(WEIGHTS, tmp_path / "w.bin", {"format": "pt"})
    check_equal(read_weights(tmp_path / "w.bin"))  # the content decides, not the name


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("nest", ["", "state_dict", "model", "model_state_dict"])
@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "module._orig_mod."])
def test_pytorch_round_trip(tmp_path: Path, legacy: bool, nest: str, prefix: str) -> None:
    table: object = OrderedDict((prefix + name, tensor) for name, tensor in WEIGHTS.items())
    thing = {nest: table, "epoch": 3, "best": 0.5} if nest else table
    check_equal(read_weights(save_torch(tmp_path / "w.pth", thing, legacy=legacy)))


@pytest.mark.parametrize("legacy", [False, True])
def test_a_whole_training_checkpoint(tmp_path: Path, legacy: bool) -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last), nn.ReLU())
    optimizer = torch.optim.AdamW(network.parameters())
    network(torch.ones(1, 3, 5, 5)).sum().backward()
    optimizer.step()
    thing = {
        "model": network.state_dict(),
        "optimizer": optimizer.state_dict(),
        "parameters": list(network.parameters()),
        "about": [torch.Size([1, 2]), torch.float16, torch.device("cpu"), None, True, "text", -3],
    }
    found = read_pytorch(save_torch(tmp_path / "w.pt", thing, legacy=legacy))
    assert found.keys() == network.state_dict().keys()
    assert all(torch.equal(found[name], value) for name, value in network.state_dict().items())


def test_views_that_share_one_storage(tmp_path: Path) -> None:
    base = torch.arange(12.0)
    thing = {"a": base[2:8].view(2, 3), "b": base.view(3, 4).t()}
    for legacy in (False, True):
        found = read_pytorch(save_torch(tmp_path / "w.pt", thing, legacy=legacy))
        assert torch.equal(found["a"], thing["a"]) and torch.equal(found["b"], thing["b"])


@needs_shared
def test_the_given_files() -> None:
    weights = SHARED / "weights"
    assert _count(read_weights(weights / "resnet20-12fca82f.th")) == 269_722
    assert _count(read_weights(weights / "resnet56-4bfd9763.th")) == 853_018
    squeezenet = read_weights(weights / "squeezenet1_1-imagenet-fp16.safetensors")
    assert _count(squeezenet) == 1_235_496
    assert squeezenet["classifier.1.weight"].dtype == torch.float16


def _count(weights: dict[str, torch.Tensor]) -> int:
    return sum(value.numel() for name, value in weights.items() if "running" not in name)


# --- no file of weights at all --------------------------------------------------------------


def test_something_else(tmp_path: Path) -> None:
    def write(content: bytes) -> Path:
        path = tmp_path / "weights.pth"
        path.write_bytes(content)
        return path

    refuse(write(b""), "empty (0 bytes)")
    refuse(write(b"\n<!DOCTYPE html><html>404</html>"), "HTML page", "download failed")
    refuse(write(b"<html>" + b" " * 1000), "HTML page")
    refuse(write(b"\x89HDF\r\n\x1a\n" + bytes(100)), "HDF5", "load_weights")
    refuse(write(b"\x1f\x8b" + bytes(100)), "gzip")
    refuse(write(b"version https://git-lfs.github.com/spec/v1\noid sha256:0"), "git lfs pull")
    refuse(write(b"hello"), "no weight file stroma knows")
    refuse(write(pickle.dumps(WEIGHTS)), "a program, not weights")
    refuse(tmp_path / "missing.pth", "No such file")
    refuse(tmp_path, "is a folder")
    refuse(Path("/dev/zero"), "a device")
    os.mkfifo(tmp_path / "pipe")
    refuse(tmp_path / "pipe", "a pipe")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_no_permission(tmp_path: Path) -> None:
    path = save_torch(tmp_path / "w.pth", WEIGHTS)
    path.chmod(0)
    refuse(path, "Permission denied")


def test_legacy_tar(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "resnet18-5c106cde.pth", "w") as archive:
        archive.addfile(tarfile.TarInfo("storages"))
    refuse(tmp_path / "resnet18-5c106cde.pth", "tar format of 2016-17", "resnet18-f37072fd.pth")


# --- safetensors ----------------------------------------------------------------------------


def header(**tensors: object) -> str:
    return json.dumps(tensors)


def entry(dtype: object = "F32", shape: object = (2,), offsets: object = (0, 8)) -> dict:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


def write_safetensors(path: Path, text: str | bytes, data: bytes, length: int = -1) -> Path:
    text = text.encode() if isinstance(text, str) else text
    path.write_bytes(struct.pack("<Q", len(text) if length < 0 else length) + text + data)
    return path


def test_the_builder_builds_what_the_library_reads(tmp_path: Path) -> None:
    path = write_safetensors(tmp_path / "w", header(a=entry(), b=entry("I8", [], (8, 9))), bytes(9))
    assert read_weights(path).keys() == safetensors.torch.load_file(path).keys() == {"a", "b"}


TWICE = '{"a":%s,"a":%s}' % ((json.dumps(entry()),) * 2)


@pytest.mark.parametrize(
    "text, size, words",
    [
        (header(a=entry(), b=entry(offsets=(4, 12))), 12, "overlaps"),
        (header(a=entry(), b=entry()), 8, "overlaps"),
        (header(a=entry(), b=entry(offsets=(12, 20))), 20, "hole"),
        (header(a=entry(offsets=(4, 12))), 12, "hole"),
        (header(a=entry()), 9, "the data at byte 9"),
        (header(a=entry()), 7, "of 7 bytes"),
        (header(a=entry(shape=[3])), 8, "is not 8 bytes"),
        (header(a=entry(dtype="F16")), 8, "is not 8 bytes"),
        (header(a=entry(dtype="F33")), 8, "unknown dtype"),
        (header(a=entry(dtype=["F32"])), 8, "unknown dtype"),
        (header(a=entry(shape=[2**32, 2**32], offsets=(0, 0))), 0, "is not 0 bytes"),
        (header(a=entry(shape=[2**63])), 8, "shape"),
        (header(a=entry(shape=[-2])), 8, "shape"),
        (header(a=entry(shape=[2.0])), 8, "shape"),
        (header(a=entry(shape=[True, 2])), 8, "shape"),
        (header(a=entry(shape=2)), 8, "shape"),
        (header(a=entry(shape=[1] * 10_000)), 8, "shape"),
        (header(a=entry(offsets=[8, 0])), 8, "spans 8 to 0"),
        (header(a=entry(offsets=[0])), 8, "data_offsets"),
        (header(a={**entry(), "code": "x"}), 8, "exactly"),
        (header(a=3), 8, "exactly"),
        (header(__metadata__={"a": 1}), 0, "__metadata__"),
        (header(__metadata__=[1]), 0, "__metadata__"),
        (TWICE, 8, "occurs twice"),
        ("[]", 0, "does not start with '{'"),
        ("{" * 3, 0, "JSON"),
        ('{"a":' * 100_000, 0, "JSON"),
        (b'{"\xff":1}', 0, "JSON"),
        ("{}" + "\0" * 6, 0, "JSON"),
        (header(a=entry(shape=[int("9" * 4000)])), 8, "shape"),
        ('{"a":' + "9" * 5000 + "}", 8, "JSON"),
    ],
)
def test_hostile_safetensors(tmp_path: Path, text: str, size: int, words: str) -> None:
    path = write_safetensors(tmp_path / "w.safetensors", text, bytes(size))
    with pytest.raises(FileFormatError, match=words):
        read_safetensors(path)
    if not text.startswith(("[", b"[")[isinstance(text, bytes)]):
        refuse(path, words)


def test_safetensors_header_lengths(tmp_path: Path) -> None:
    for length in (9, 2**31, 2**63, 2**64 - 1):
        refuse(write_safetensors(tmp_path / "w", "{}      ", b"", length), f"{length:,}")
    path = tmp_path / "huge"
    with path.open("wb") as file:  # a sparse file: the claim is true, and still refused
        file.write(struct.pack("<Q", 10**8) + b"{")
        file.truncate(2 * 10**8)
    refuse(path, "over 16,777,216")


def test_safetensors_with_a_zip_behind_it(tmp_path: Path) -> None:
    body = save_torch(tmp_path / "w.pth", WEIGHTS).read_bytes()
    refuse(write_safetensors(tmp_path / "w", header(a=entry()), bytes(8) + body), "the data at")


# --- PyTorch pickles ------------------------------------------------------------------------


class Calls:
    """Pickles as a call of any function."""

    def __init__(self, function: object, *arguments: object) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> tuple[object, ...]:
        return self.function, self.arguments


@pytest.mark.parametrize("legacy", [False, True])
def test_pickles_that_name_functions(tmp_path: Path, legacy: bool) -> None:
    victim = tmp_path / "victim"
    for function, arguments, name in (
        (os.system, (f"touch {victim}",), "system"),
        (eval, (f"open({str(victim)!r}, 'w')",), "eval"),
        (torch.load, (str(victim),), "torch.serialization.load"),
        (torch.hub.load, ("a/b", "c"), "torch.hub.load"),
        (getattr, ("text", "upper"), "getattr"),
        (bytearray, (10**12,), "bytearray"),
    ):
        thing = {"a": torch.zeros(2), "b": Calls(function, *arguments)}
        refuse(save_torch(tmp_path / "w.pth", thing, legacy=legacy), "asks for", name)
    assert not victim.exists()


def rewrite(path: Path, change: dict[str, bytes | None], **options: object) -> Path:
    """The zip archive again, with members replaced (None: left out)."""
    with zipfile.ZipFile(path) as archive:
        parts = [(info.filename, archive.read(info)) for info in archive.infolist()]
    with zipfile.ZipFile(path, "w", **options) as archive:  # type: ignore[arg-type]
        for name, content in parts:
            last = name.split("/", 1)[1]
            if change.get(last, content) is not None:
                archive.writestr(name, change.get(last, content))
        for last, extra in change.items():
            if all(name.split("/", 1)[1] != last for name, _ in parts):
                archive.writestr(f"{parts[0][0].split('/')[0]}/{last}", extra or b"")
    return path


def small(tmp_path: Path) -> Path:
    return save_torch(tmp_path / "w.pth", {"a": torch.arange(8.0)})


def test_the_rewriter_keeps_a_file_readable(tmp_path: Path) -> None:
    assert read_weights(rewrite(small(tmp_path), {}))["a"][3] == 3


def test_archives_whose_parts_lie(tmp_path: Path) -> None:
    refuse(rewrite(small(tmp_path), {"data/0": bytes(31)}), "has 31 bytes", "take 32")
    refuse(rewrite(small(tmp_path), {"data/0": bytes(33)}), "has 33 bytes")
    refuse(rewrite(small(tmp_path), {"data/0": None}), "is missing")
    refuse(rewrite(small(tmp_path), {"data.pkl": None}), "not written by torch.save")
    refuse(rewrite(small(tmp_path), {}, compression=zipfile.ZIP_DEFLATED), "compressed")
    refuse(rewrite(small(tmp_path), {"code/a.py": b"x"}), "TorchScript", "a program, not weights")
    refuse(rewrite(small(tmp_path), {"constants.pkl": b"x"}), "a program, not weights")
    bomb = bytes(20 * 2**20)
    refuse(rewrite(small(tmp_path), {"data.pkl": bomb}), "over 16,777,216")
    path = small(tmp_path)
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("w/data.pkl", b"x")
    refuse(path, "the same name")
    keras = tmp_path / "m.keras"
    with zipfile.ZipFile(keras, "w") as archive:
        archive.writestr("config.json", "{}")
    refuse(keras, "not written by torch.save")


def test_a_real_torchscript_archive(tmp_path: Path) -> None:
    with pytest.warns(DeprecationWarning):
        program = torch.jit.script(nn.Linear(2, 2))
    with pytest.warns(DeprecationWarning):
        torch.jit.save(program, tmp_path / "w.pt")
    refuse(tmp_path / "w.pt", "TorchScript", "a program, not weights")


def program(*instructions: bytes) -> bytes:
    return b"\x80\x02" + b"".join(instructions) + b"."


STORAGE = (
    b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\0" + b"0X\x03\0\0\0cpuK\x08tQ"
)  # storage "0" of 8 floats
TENSOR = b"ctorch._utils\n_rebuild_tensor_v2\n(" + STORAGE


@pytest.mark.parametrize(
    "code, words",
    [
        ([b"}q\0X\x01\0\0\0a", TENSOR, b"K\0K\x04\x85K\x01\x85\x89)tRs"], None),  # sound
        ([b"}X\x01\0\0\0a", TENSOR, b"K\0K\x09\x85K\x01\x85\x89)tRs"], "does not lie in"),
        ([b"}X\x01\0\0\0a", TENSOR, b"K\x05K\x04\x85K\x01\x85\x89)tRs"], "does not lie in"),
        ([b"}X\x01\0\0\0a", TENSOR, b"K\0J\xff\xff\xff\x7f\x85K\0\x85\x89)tRs"], "does not lie"),
        ([b"}X\x01\0\0\0a", TENSOR, b"K\0J\xff\xff\xff\xff\x85K\x01\x85\x89)tRs"], "shape"),
        ([TENSOR, b"K\0K\x04\x85K\x01\x85\x89)tRK\0K\0s"], "not a table"),  # SETITEM on a tensor
        ([TENSOR, b"K\0K\x04\x85K\x01\x85\x89)tR}b"], "state of something"),  # BUILD on a tensor
        ([b"(X\x06\0\0\0modulectorch\nSize\nX\x01\0\0\0" + b"0X\0\0\0\0K\x08tQ"], "no storage"),
        ([b"]K\x01K\x02s"], "not a table"),
        ([b"}K\x01a"], "not a list"),
        ([b"}K\x01K\x01\x86K\x02s"], "a tuple as a key"),
        ([b"cos\nsystem\n"], "os.system"),
        ([b"X\x02\0\0\0osX\x06\0\0\0system\x93"], "STACK_GLOBAL"),
        ([b"(ios\nsystem\n"], "instruction INST"),
        ([b"\x82\x01"], "instruction EXT1"),
        ([b"}\x81"], "instruction NEWOBJ"),
        ([b"\x80\x04"], "protocol 4"),
        ([b"}r\xff\xff\xff\x7f"], "no weights by name"),  # a memo of 2**31 entries
        ([b"X\xff\xff\xff\x7fabc"], "damaged"),  # a text of 2 GB
        ([b"\x8e" + b"\xff" * 8], "damaged"),  # bytes of 2**64
        ([b"h\x07"], "damaged"),
        ([b"t"], "damaged"),
        ([b"R"], "damaged"),
        ([b"K\x01K\x02R"], "calls something"),
        ([b"K\x01" * 1_100_000], "more than 1,000,000 instructions"),
    ],
)
def test_hostile_pickle_programs(tmp_path: Path, code: list[bytes], words: str | None) -> None:
    path = rewrite(small(tmp_path), {"data.pkl": program(*code)})
    if words is None:
        assert torch.equal(read_weights(path)["a"], torch.arange(4.0))
    elif "instructions" in words:  # a second of time is the very thing under test
        with pytest.raises(FileFormatError, match=words):
            read_weights(path)
    else:
        refuse(path, words)


def test_nested_tuples_do_not_explode(tmp_path: Path) -> None:
    doubling = b")q\0" + b"h\0h\0\x86q\0" * 200  # hashing this would take 2**200 steps
    refuse(
        rewrite(small(tmp_path), {"data.pkl": program(b"}q\1", doubling, b"h\1h\0K\0s")}),
        "as a key",
    )


def test_legacy_files_whose_lengths_lie(tmp_path: Path) -> None:
    path = save_torch(tmp_path / "w.th", {"a": torch.arange(8.0)}, legacy=True)
    content = path.read_bytes()
    path.write_bytes(content + b"x")
    refuse(path, "1 bytes follow")
    path.write_bytes(content[:-1])
    refuse(path, "ends at byte")
    path.write_bytes(content[:-40] + struct.pack("<q", 2**40) + content[-32:])
    refuse(path, "take 32")


# --- damage ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors"])
def test_truncated_at_any_byte(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "w"
    if kind == "safetensors":
        safetensors.torch.save_file(WEIGHTS, path)
    else:
        save_torch(path, WEIGHTS, legacy=kind == "legacy")
    content = path.read_bytes()
    for length in sorted({*range(0, len(content), 13), *range(30), len(content) - 1}):
        path.write_bytes(content[:length])
        with pytest.raises(FileFormatError):
            read_weights(path)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_one_flipped_bit_is_refused_or_harmless(data: st.DataObject) -> None:
    """A checksum catches every flip in a zip's parts; the other formats have none to check."""
    kind = data.draw(st.sampled_from(["zip", "legacy", "safetensors"]))
    buffer = io.BytesIO()
    if kind == "safetensors":
        buffer.write(safetensors.torch.save(WEIGHTS))
    else:
        torch.save(WEIGHTS, buffer, _use_new_zipfile_serialization=kind == "zip")
    content = bytearray(buffer.getvalue())
    bit = data.draw(st.integers(0, len(content) * 8 - 1))
    content[bit // 8] ^= 1 << bit % 8
    path = Path(os.environ.get("TMPDIR", "/tmp"), f"stroma-flip-{os.getpid()}")
    path.write_bytes(content)
    try:
        found = read_weights(path)
    except FileFormatError:
        return
    finally:
        path.unlink()
    assert all(isinstance(tensor, torch.Tensor) for tensor in found.values())
    if kind == "zip":
        check_equal(found)
