"""Weights from the Hugging Face hub: a server on this machine speaks its endpoints."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from safetensors.torch import save

from stroma import zoo
from stroma.core.errors import ArgumentTypeError, StromaError, WeightsError
from stroma.transfer import load_base, provenance
from stroma.zoo.hub import hub_weights

pytest.importorskip("huggingface_hub", reason="the extra `hub` is not installed")

NAME = "someone/small"
COMMIT = "a" * 40


class Hub:
    """A repository, what was asked of it, and how it misbehaves."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.files: dict[str, bytes] = {}
        self.claims: dict[str, str] = {}  # SHA-256 that the hub tells of

    def listing(self) -> bytes:
        siblings = [
            {"rfilename": name, "size": len(content), "blobId": "0", "lfs": {
                "sha256": self.claims.get(name, hashlib.sha256(content).hexdigest()),
                "size": len(content), "pointerSize": 1,
            }}
            for name, content in self.files.items()
        ]  # fmt: skip
        told = {"id": NAME, "sha": COMMIT, "siblings": siblings, "private": False, "tags": [],
                "downloads": 0, "cardData": {"license": "mit"}}  # fmt: skip
        return json.dumps(told).encode()

    def handler(self) -> type[BaseHTTPRequestHandler]:
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                self.answer(body=False)

            def do_GET(self) -> None:
                self.answer(body=True)

            def answer(self, body: bool) -> None:
                path = self.path.partition("?")[0]
                hub.asked.append(f"{self.command} {path}")
                name = path.removeprefix(f"/{NAME}/resolve/main/")
                content = hub.listing() if path == f"/api/models/{NAME}" else hub.files.get(name)
                if content is None:
                    self.send_error(404)
                    return
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
                self.send_header("X-Repo-Commit", COMMIT)
                self.end_headers()
                if body:
                    self.wfile.write(content)

            def log_message(self, *arguments: object) -> None:
                pass

        return Handler


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("STROMA_CACHE", str(tmp_path / "cache"))
    hub = Hub()
    weights = zoo.resnet20().state_dict()
    hub.files = {
        "config.json": b'{"architecture": "resnet20", "num_classes": 10}',
        "README.md": b"---\nlicense: mit\n---\n",
        "model.safetensors": save({key: value.contiguous() for key, value in weights.items()}),
        "train.py": b"print('never fetched')",
    }
    server = ThreadingHTTPServer(("127.0.0.1", 0), hub.handler())
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}/")
    yield hub
    server.shutdown()
    server.server_close()


def test_it_is_fetched_once_with_its_card_and_says_its_size_first(
    hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = load_base(f"hf://{NAME}")
    said = capsys.readouterr().err
    assert said.startswith("Fetching http://127.0.0.1") and "MB; mit) to" in said
    facts = provenance(base)
    assert facts.sha256 == hashlib.sha256(hub.files["model.safetensors"]).hexdigest()
    assert facts.licence == "mit" and str(tmp_path / "hf" / "hub") in facts.weights_file
    assert facts.architecture == f"resnet20:{NAME}"
    assert f"GET /{NAME}/resolve/main/config.json" in hub.asked
    assert not any("train.py" in line for line in hub.asked)
    hub.asked.clear()
    load_base(f"hf://{NAME}")
    zoo.resnet20(weights=f"hf-hub:{NAME}")  # timm's spelling is the same place
    assert hub.asked == []


def test_nothing_is_fetched_that_nobody_asked_for(hub: Hub) -> None:
    with pytest.raises(WeightsError, match="not in the Hugging Face cache"):
        hub_weights(f"hf://{NAME}")
    assert hub.asked == []


def test_other_bytes_than_the_hub_tells_of_are_removed(hub: Hub, tmp_path: Path) -> None:
    """Planted: the hub's hash is of another file."""
    hub.claims["model.safetensors"] = "0" * 64
    with pytest.raises(WeightsError, match="not 00000000"):
        hub_weights(f"hf://{NAME}", download=True)
    left = [path.name for path in (tmp_path / "hf").rglob("*") if path.is_file()]
    assert "model.safetensors" not in left
    with pytest.raises(WeightsError, match="not in the Hugging Face cache"):
        hub_weights(f"hf://{NAME}")


def test_without_a_connection_it_names_the_file_and_its_place(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(WeightsError, match="could not be fetched: HF_HUB_OFFLINE") as caught:
        load_base(f"hf://{NAME}")
    assert caught.value.where.endswith(f"{NAME}/resolve/main/model.safetensors")
    place = Path(caught.value.fix.rpartition(" into ")[2])
    assert hub.asked == []
    place.mkdir(parents=True)
    for name in ("config.json", "model.safetensors"):
        (place / name).write_bytes(hub.files[name])
    assert load_base(f"hf://{NAME}").pretrained.path.parent == place


def test_what_is_not_there(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, words in (
        (f"hf://{NAME}x", "not be fetched"),
        ("hf://one", "no repository"),
    ):
        with pytest.raises(WeightsError, match=words):
            load_base(name)
    del hub.files["model.safetensors"]
    with pytest.raises(WeightsError, match="holds none of model"):
        load_base(f"hf://{NAME}")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(StromaError, match="could not be fetched"):
        load_base(f"hf://{NAME}")
    with pytest.raises(ArgumentTypeError, match="no name and no file"):
        load_base(zoo.resnet20())
