"""get_file and the data sets, from a server of our own."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import pickle
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stroma import datasets
from stroma.core.errors import DataError, FileFormatError
from stroma.datasets import cifar, fashion_mnist, imdb, mnist, reading, reuters
from stroma.utils import get_file


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, str]]:
    """A folder, and the address under which its files are served."""
    folder = tmp_path / "served"
    folder.mkdir()

    class Quiet(SimpleHTTPRequestHandler):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args, directory=str(folder))

        def log_message(self, *_: Any) -> None:
            """Nothing is printed."""

    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()
    thread.join()


def digest(path: Path, kind: str = "sha256") -> str:
    return hashlib.new(kind, path.read_bytes()).hexdigest()


def test_a_file_is_fetched_once_and_checked(served: tuple[Path, str], tmp_path: Path) -> None:
    folder, address = served
    (folder / "a.txt").write_text("one")
    right = digest(folder / "a.txt", "md5")
    path = Path(get_file("b.txt", address + "a.txt", file_hash=right))
    assert path == tmp_path / "home/datasets/b.txt" and path.read_text() == "one"
    (folder / "a.txt").write_text("two")
    assert Path(get_file("b.txt", address + "a.txt", file_hash=right)).read_text() == "one"
    assert Path(get_file("b.txt", address + "a.txt", force_download=True)).read_text() == "two"
    with pytest.raises(DataError, match="hash"):
        get_file("b.txt", address + "a.txt", file_hash=right)
    assert path.read_text() == "two"  # what was there stays
    with pytest.raises(DataError, match="404"):
        get_file("c.txt", address + "c.txt")
    assert sorted(p.name for p in path.parent.iterdir()) == ["b.txt"]


def test_offline_says_which_file_goes_where(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(mnist, "GOOGLE", "http://127.0.0.1:9/")
    with pytest.raises(DataError) as caught:
        datasets.mnist.load_data()
    assert str(tmp_path / "datasets/mnist.npz") in caught.value.fix


def archives(folder: Path, name: str) -> None:
    with tarfile.open(folder / "a.tar.gz", "w:gz") as file:
        info = tarfile.TarInfo(name)
        info.size = 2
        file.addfile(info, io.BytesIO(b"hi"))
    with zipfile.ZipFile(folder / "a.zip", "w") as file:
        file.writestr(name, "hi")


@pytest.mark.parametrize("name", ["a.tar.gz", "a.zip"])
def test_archives_are_unpacked_into_their_own_folder(served: Any, name: str) -> None:
    folder, address = served
    archives(folder, "in/x.txt")
    path = Path(get_file(origin=address + name, extract=True))
    assert path.is_dir() and (path / "in/x.txt").read_text() == "hi"


@pytest.mark.parametrize("name", ["a.tar.gz", "a.zip"])
@pytest.mark.parametrize("member", ["../../evil.txt", "/tmp/stroma-evil.txt"])
def test_archives_that_reach_outside_are_refused(
    served: Any, tmp_path: Path, name: str, member: str
) -> None:
    folder, address = served
    archives(folder, member)
    with contextlib.suppress(DataError):
        get_file(origin=address + name, extract=True)
    assert not list(tmp_path.rglob("evil.txt")) and not Path("/tmp/stroma-evil.txt").exists()


def objects(*rows: Any) -> np.ndarray:
    array = np.empty(len(rows), dtype=object)
    array[:] = [list(row) for row in rows]
    return array


def test_mnist_and_its_hash(served: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, address = served
    part = {"x_train": np.ones((3, 28, 28), np.uint8), "y_train": np.arange(3, dtype=np.uint8)}
    np.savez(folder / "mnist.npz", **part, x_test=part["x_train"], y_test=part["y_train"])
    monkeypatch.setattr(mnist, "GOOGLE", address)
    with pytest.raises(DataError, match="hash"):
        mnist.load_data()
    monkeypatch.setattr(mnist, "_HASH", digest(folder / "mnist.npz"))
    (x, y), (_, y_test) = mnist.load_data()
    assert x.shape == (3, 28, 28) and y.tolist() == y_test.tolist() == [0, 1, 2]


def test_words(served: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, address = served
    rows = objects([1, 2, 30], [4, 5], [6])
    np.savez(folder / "imdb.npz", x_train=rows, y_train=[0, 1, 1], x_test=rows, y_test=[0, 1, 1])
    np.savez(folder / "reuters.npz", x=objects(*([i, i + 1] for i in range(10))), y=np.arange(10))
    for room, name in ((imdb, "imdb.npz"), (reuters, "reuters.npz")):
        monkeypatch.setattr(room, "GOOGLE", address)
        monkeypatch.setattr(room, "_HASH", digest(folder / name))
    (x, y), _ = imdb.load_data(num_words=20)
    order = np.arange(3)
    np.random.RandomState(113).shuffle(order)  # Keras' order
    expected = [[1, *(n + 3 if n + 3 < 20 else 2 for n in rows[i])] for i in order]
    assert list(x) == expected and y.tolist() == [[0, 1, 1][i] for i in order]
    (news, topics), (others, _) = reuters.load_data(maxlen=4)
    assert len(news) == 8 and len(others) == 2 and len(topics) == 8
    assert all(text[0] == 1 for text in news)


class Evil:
    def __reduce__(self) -> Any:
        return (print, ("this ran",))


def test_pickles_run_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    array = np.empty(1, dtype=object)
    array[0] = Evil()
    np.savez(tmp_path / "evil.npz", x=array)
    with pytest.raises(FileFormatError, match=r"builtins\.print"):
        reading.read_arrays(tmp_path / "evil.npz")
    huge = b"cnumpy\nndarray\n((I1000000000\nI1000\nttR."  # NumPy's class, called by the file
    with pytest.raises(FileFormatError):
        reading.unpickle(io.BytesIO(huge), "here")
    with pytest.raises(FileFormatError):
        reading.read_arrays(Path(__file__))
    assert capsys.readouterr().out == ""


def test_cifar_and_fashion(served: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, address = served
    batch = {b"data": np.arange(2 * 3072).reshape(2, 3072).astype(np.uint8), b"labels": [3, 4]}
    with tarfile.open(folder / "cifar-10-python.tar.gz", "w:gz") as file:
        for name in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"):
            data = pickle.dumps(batch, protocol=2)
            info = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            info.size = len(data)
            file.addfile(info, io.BytesIO(data))
    monkeypatch.setattr(cifar, "_ORIGIN", address)
    monkeypatch.setattr(datasets.cifar10, "_HASH", digest(folder / "cifar-10-python.tar.gz"))
    (x, y), (x_test, _) = datasets.cifar10.load_data()
    assert x.shape == (10, 32, 32, 3) and x_test.shape == (2, 32, 32, 3) and y.shape == (10, 1)
    assert x[0, 0, 1].tolist() == [1, 1025 % 256, 2049 % 256]
    for part in ("train", "t10k"):
        for kind, magic, shape in (("images-idx3", 3, (2, 28, 28)), ("labels-idx1", 1, (2,))):
            head = bytes([0, 0, 8, magic]) + np.array(shape, ">i4").tobytes()
            body = head + bytes(int(np.prod(shape)))
            (folder / f"{part}-{kind}-ubyte.gz").write_bytes(gzip.compress(body))
    monkeypatch.setattr(fashion_mnist, "GOOGLE", address)
    (x, y), _ = fashion_mnist.load_data()
    assert x.shape == (2, 28, 28) and y.shape == (2,)


def test_boston_is_refused_in_words() -> None:
    with pytest.raises(DataError, match="Boston"):
        datasets.boston_housing.load_data()
