"""The table of weights, the caches that are looked in, and a real local server to fetch from."""

from __future__ import annotations

import hashlib
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch

from shared_files import SHARED, needs_shared
from stroma.core.errors import FileFormatError, WeightsError
from stroma.saving.weights import read_weights
from stroma.zoo import weights as module
from stroma.zoo.weights import TABLE, FoundWeights, find_local, resolve_weights

_connections: list[object] = []


def _audit(event: str, arguments: tuple[object, ...]) -> None:
    if event in ("socket.connect", "socket.getaddrinfo"):
        _connections.append(arguments)


sys.addaudithook(_audit)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty machine: no caches, no settings of the developer's."""
    for name in ("STROMA_WEIGHTS", "STROMA_WEIGHTS_URL", "HF_HUB_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, folder in (("TORCH_HOME", "torch"), ("HF_HOME", "hf"), ("KERAS_HOME", "keras")):
        monkeypatch.setenv(name, str(tmp_path / folder))
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr("torch.hub._hub_dir", str(tmp_path / "torch" / "hub"))
    _connections.clear()
    return tmp_path


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> bytes:
    """The table with a tiny file of known hash in place of resnet18's; gives its bytes."""
    torch.save({"fc.bias": torch.zeros(3)}, tmp_path / "made")
    content = (tmp_path / "made").read_bytes()
    digits = hashlib.sha256(content).hexdigest()[:8]
    entry = replace(TABLE[0], file=f"resnet18-{digits}.pth", hash_prefix=digits)
    monkeypatch.setattr(module, "TABLE", (entry, *TABLE[1:]))
    return content


def tiny_name() -> str:
    return module.TABLE[0].file


def plant(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def resolve(weights: str | Path = "imagenet", **options: object) -> tuple[FoundWeights, list[str]]:
    said: list[str] = []
    return resolve_weights("resnet18", weights, say=said.append, **options), said  # type: ignore[arg-type]


# --- the table ------------------------------------------------------------------------------


def test_the_table_is_consistent() -> None:
    assert len({entry.name for entry in TABLE}) == len({entry.file for entry in TABLE})
    for entry in TABLE:
        assert len(entry.hash_prefix) == 8 and entry.megabytes > 1 and entry.licence
        if entry.url:  # PyTorch's convention: the name carries the hash
            assert entry.file.rpartition("-")[2].startswith(entry.hash_prefix)
            assert entry.url.startswith("https://") and entry.url.endswith(entry.file)


@needs_shared
def test_the_table_tells_the_truth_about_the_given_files() -> None:
    for path in (SHARED / "weights").iterdir():
        entry = next(entry for entry in TABLE if entry.file == path.name)
        found = resolve_weights(entry.architecture, path)
        assert found.entry == entry and found.place == "the given path"
        assert found.sha256.startswith(entry.hash_prefix)
        assert float(f"{path.stat().st_size / 1e6:.3g}") == entry.megabytes
        assert found.preprocessing == entry.preprocessing and found.licence == entry.licence


def test_names() -> None:
    def named(architecture: str, name: str) -> list[str]:
        return [entry.tag for entry in module._entries(architecture, name)]

    assert named("resnet50", "imagenet") == ["imagenet-v1", "imagenet-v2"]
    assert named("resnet50", "imagenet-v2") == ["imagenet-v2"]
    assert named("resnet50", "resnet50:imagenet-v2") == ["imagenet-v2"]
    assert named("resnet50", "resnet50") == ["imagenet-v1", "imagenet-v2"]
    assert named("squeezenet1_1", "squeezenet1_1:imagenet") == ["imagenet-v1", "imagenet-v1-fp16"]
    assert named("resnet20", "cifar10") == ["cifar10"]


@pytest.mark.parametrize("name", ["imagent", "imagenet-v3", "resnet34", "cifar10", "v1"])
def test_unknown_names(name: str) -> None:
    with pytest.raises(WeightsError, match=f"no weights called '{name}'"):
        resolve(name)
    assert _connections == []


def test_unknown_architecture() -> None:
    with pytest.raises(WeightsError, match="nothing for this architecture"):
        resolve_weights("resnet19", "imagenet")


# --- on this machine ------------------------------------------------------------------------

PLACES = {
    "torch hub": "torch/hub/checkpoints/{file}",
    "Keras": "keras/models/{file}",
    "Hugging Face": "hf/hub/models--me--mine/snapshots/0a1b/{file}",
    "Face": "hf/hub/models--timm--resnet18.tv_in1k/snapshots/0a1b/model.safetensors",
}


@pytest.mark.parametrize("place", PLACES)
def test_a_file_in_a_cache_is_used_and_named(home: Path, tiny: bytes, place: str) -> None:
    path = plant(home / PLACES[place].format(file=tiny_name()), tiny)
    found, said = resolve()
    assert found.path == path and place in found.place and found.entry == module.TABLE[0]
    assert said == [f"Using {path} ({found.place})"]
    assert [local.path for local in find_local("resnet18")] == [path]
    assert _connections == []


def test_own_folder_comes_first(home: Path, tiny: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(home / PLACES["torch hub"].format(file=tiny_name()), tiny)
    path = plant(home / "own" / tiny_name(), tiny)
    monkeypatch.setenv("STROMA_WEIGHTS", str(home / "own"))
    assert resolve()[0].path == path


def test_own_file_is_known_by_its_hash(
    home: Path, tiny: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = plant(home / "renamed.bin", tiny)
    monkeypatch.setenv("STROMA_WEIGHTS", str(path))
    assert resolve()[0].path == path
    assert find_local("resnet34") == []
    monkeypatch.setenv("STROMA_WEIGHTS", str(home / "nowhere"))
    with pytest.raises(WeightsError, match="no folder and no file"):
        find_local()


@needs_shared
def test_the_shared_folder_as_own_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STROMA_WEIGHTS", str(SHARED / "weights"))
    assert [found.entry.name for found in find_local() if found.entry] == [
        "squeezenet1_1:imagenet-v1-fp16",
        "resnet20:cifar10",
        "resnet56:cifar10",
    ]
    found = resolve_weights("squeezenet1_1", "imagenet", say=lambda text: None)
    assert found.path.name == "squeezenet1_1-imagenet-fp16.safetensors"
    assert found.preprocessing is not None and found.preprocessing.size == (224, 224)
    assert _connections == []


def test_a_damaged_file_in_a_cache_is_named(home: Path, tiny: bytes) -> None:
    path = plant(home / PLACES["torch hub"].format(file=tiny_name()), tiny[:-1])
    with pytest.raises(WeightsError, match="not the file its name says") as caught:
        resolve()
    assert str(path) in str(caught.value) and path.is_file()


def test_a_given_path(home: Path, tiny: bytes) -> None:
    own = plant(home / "my.pth", b"anything")
    found, said = resolve(own)
    assert (found.path, found.entry, found.preprocessing, found.licence) == (own, None, None, "")
    assert resolve(str(plant(home / "renamed.pth", tiny)))[0].entry == module.TABLE[0]
    with pytest.raises(WeightsError, match="not the file its name says"):
        resolve(plant(home / tiny_name(), b"other"))
    with pytest.raises(FileFormatError, match="No such file"):
        resolve("missing.pth")
    with pytest.raises(FileFormatError, match="is a folder"):
        resolve(home)
    assert said == [] and _connections == []


def test_nowhere_and_not_to_be_fetched() -> None:
    assert find_local() == []
    with pytest.raises(WeightsError, match="not on this machine") as caught:
        resolve(download=False)
    text = str(caught.value)
    assert "46.8 MB" in text and "https://download.pytorch.org/models/resnet18-f37072fd.pth" in text
    assert "torch/hub/checkpoints/resnet18-f37072fd.pth" in text
    assert _connections == []


# --- fetched --------------------------------------------------------------------------------

Answer = Callable[[BaseHTTPRequestHandler], None]


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Answer], None]]:
    """Starts a server on this machine that answers as told, and points stroma at it."""
    servers: list[ThreadingHTTPServer] = []

    def start(answer: Answer) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                answer(self)

            def log_message(self, *arguments: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        monkeypatch.setenv("STROMA_WEIGHTS_URL", f"http://127.0.0.1:{server.server_port}/files/")

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def answering(content: bytes, *, claimed: int | None = None) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        assert handler.path == f"/files/{tiny_name()}"
        handler.send_response(200)
        handler.send_header("Content-Length", str(claimed or len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    return answer


def test_fetched_once(home: Path, tiny: bytes, serve: Callable[[Answer], None]) -> None:
    serve(answering(tiny))
    found, said = resolve("imagenet-v1")
    assert found.path == home / "torch/hub/checkpoints" / tiny_name()
    assert found.place.startswith("fetched from http://127.0.0.1")
    assert read_weights(found.path)["fc.bias"].tolist() == [0, 0, 0]
    assert len(said) == 1 and "46.8 MB" in said[0] and "BSD-3-Clause" in said[0]
    assert [path.name for path in found.path.parent.iterdir()] == [tiny_name()]
    _connections.clear()
    assert resolve("imagenet-v1")[1] == [f"Using {found.path} (in torch hub's cache)"]
    assert _connections == []


def test_fetched_into_the_own_folder(
    home: Path, tiny: bytes, serve: Callable[[Answer], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "own").mkdir()
    monkeypatch.setenv("STROMA_WEIGHTS", str(home / "own"))
    serve(answering(tiny))
    assert resolve()[0].path == home / "own" / tiny_name()


def not_found(handler: BaseHTTPRequestHandler) -> None:
    handler.send_error(404)


@pytest.mark.parametrize(
    "answer, words",
    [
        (lambda content: answering(content[:-9], claimed=len(content)), "not this file|no connect"),
        (lambda content: answering(content[:-9]), "what arrived is not this file"),
        (lambda content: answering(content + b"x"), "what arrived is not this file"),
        (lambda content: answering(b"<html>Please log in</html>"), "log-in page"),
        (lambda content: not_found, "answered 404 Not Found"),
    ],
    ids=["truncated", "short", "wrong hash", "html", "404"],
)
def test_what_can_go_wrong(
    home: Path,
    tiny: bytes,
    serve: Callable[[Answer], None],
    answer: Callable[[bytes], Answer],
    words: str,
) -> None:
    serve(answer(tiny))
    with pytest.raises(WeightsError, match=words) as caught:
        resolve()
    folder = home / "torch/hub/checkpoints"
    assert f"put it at {folder / tiny_name()}" in str(caught.value)
    assert list(folder.iterdir()) == []  # nothing is left behind
    assert find_local("resnet18") == []


def test_offline(tiny: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STROMA_WEIGHTS_URL", "http://127.0.0.1:9")  # nobody listens there
    with pytest.raises(WeightsError, match="no connection") as caught:
        resolve()
    assert "put it at" in str(caught.value)


def test_a_folder_that_cannot_be_made(home: Path, tiny: bytes) -> None:
    (home / "torch").write_text("a file where the cache should be")
    with pytest.raises(WeightsError, match="could not be written"):
        resolve()
    assert _connections == []
