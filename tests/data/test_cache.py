"""The cache is an optimisation: killed, damaged, outdated or without room, the data is the same."""

import errno
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from pictures import class_folders, encoded, picture, write

from stroma.core.errors import DataError
from stroma.data import cache as module
from stroma.data.cache import ArrayStore, cache_root
from stroma.data.images import images
from stroma.data.scan import StreamStore

SIZE = 512  # large enough for the pictures to be worth a file


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return class_folders(tmp_path / "photos", count=12)


def test_cache_is_a_mapped_file_and_is_used_again(photos: Path, tmp_path: Path) -> None:
    data = images(photos, size=SIZE, cache=tmp_path / "c")
    assert isinstance(data.train._store, ArrayStore)
    assert isinstance(data.train._store.pixels, np.memmap)
    (folder,) = (tmp_path / "c").iterdir()
    assert sorted(p.name for p in folder.iterdir()) == [
        "facts.npy", "pixels.u8", "stroma-cache.json",
    ]  # fmt: skip
    stamp = (folder / "pixels.u8").stat().st_mtime_ns
    images(photos, size=SIZE, cache=tmp_path / "c")
    assert (folder / "pixels.u8").stat().st_mtime_ns == stamp


def test_a_changed_file_makes_a_new_cache(photos: Path, tmp_path: Path) -> None:
    images(photos, size=SIZE, cache=tmp_path / "c")
    path = photos / "cat/000.png"
    before = path.stat()
    new = encoded(picture(4242))
    write(path, new + b"\0" * max(0, before.st_size - len(new)))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))  # a copy that restores the time
    data = images(photos, size=40, cache=tmp_path / "c")
    again = images(photos, size=SIZE, cache=tmp_path / "c")
    assert len(list((tmp_path / "c").iterdir())) == 3
    for loaded in (data, again):
        part = next(p for p in loaded.parts.values() if "cat/000.png" in p.names)
        assert part.names
    part = next(p for p in data.parts.values() if "cat/000.png" in p.names)
    at = part.names.index("cat/000.png")
    assert np.array_equal(part.images([at])[0], picture(4242))


def test_other_settings_make_another_cache(photos: Path, tmp_path: Path) -> None:
    for options in ({"size": 500}, {"size": SIZE}, {"size": SIZE, "background": (0, 0, 0)}):
        images(photos, cache=tmp_path / "c", **options)  # type: ignore[arg-type]
    assert len(list((tmp_path / "c").iterdir())) == 3


@pytest.mark.parametrize("damage", ["short", "no marker", "bad facts", "bad json"])
def test_a_damaged_cache_is_made_anew(photos: Path, tmp_path: Path, damage: str) -> None:
    expected = images(photos, size=SIZE, cache="memory").train.images()
    images(photos, size=SIZE, cache=tmp_path / "c")
    (folder,) = (tmp_path / "c").iterdir()
    if damage == "short":
        os.truncate(folder / "pixels.u8", 1000)
    elif damage == "no marker":
        (folder / "stroma-cache.json").unlink()
    elif damage == "bad facts":
        (folder / "facts.npy").write_bytes(b"\x93NUMPY")
    else:
        (folder / "stroma-cache.json").write_text("{")
    assert np.array_equal(images(photos, size=SIZE, cache=tmp_path / "c").train.images(), expected)


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_killed_half_way_leaves_no_cache_under_its_name(photos: Path, tmp_path: Path) -> None:
    script = f"""
import os, signal
from stroma.data.images import images
from stroma.data import scan
scan.worker_count = lambda: 1
def progress(done, total):
    os.kill(os.getpid(), signal.SIGKILL)
images({str(photos)!r}, size={SIZE}, cache={str(tmp_path / "c") + "/"!r}, progress=progress)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=120)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    left = list((tmp_path / "c").iterdir())
    assert left and all(".tmp-" in p.name for p in left)
    old = left[0].stat().st_mtime - 100_000
    os.utime(left[0], (old, old))
    images(photos, size=SIZE, cache=tmp_path / "c")
    assert [p for p in (tmp_path / "c").iterdir() if ".tmp-" in p.name] == []  # and swept up


def test_an_error_half_way_leaves_nothing(photos: Path, tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        images(photos, size=SIZE, cache=tmp_path / "c", progress=stop)
    assert list((tmp_path / "c").iterdir()) == []


def assert_same(photos: Path, data: object) -> None:
    expected = images(photos, size=SIZE, cache="memory")
    for one, two in zip(expected.parts.values(), data.parts.values()):  # type: ignore[attr-defined]
        assert one.names == two.names and np.array_equal(one.images(), two.images())


def test_without_disk_room_memory_and_without_memory_streaming(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1 << 20))
    data = images(photos, size=SIZE, cache="auto")
    assert isinstance(data.train._store, ArrayStore)
    assert not isinstance(data.train._store.pixels, np.memmap)
    monkeypatch.setattr(module, "_free_memory", lambda: 1 << 20)
    data = images(photos, size=SIZE, cache="auto")
    assert isinstance(data.train._store, StreamStore)
    assert_same(photos, data)
    batches = list(data.train.batches(5).epoch(0))
    assert sum(b.size for b in batches) == len(data.train)


@pytest.mark.skipif(not hasattr(os, "pwrite"), reason="pwrite")
def test_a_disk_that_fills_up_while_writing(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    data = images(photos, size=SIZE, cache=tmp_path / "c")
    assert isinstance(data.train._store, StreamStore)
    assert list((tmp_path / "c").iterdir()) == []
    assert_same(photos, data)


def test_without_pwrite_as_on_windows(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "pwrite", raising=False)
    data = images(photos, size=SIZE, cache=tmp_path / "c")
    assert isinstance(data.train._store.pixels, np.memmap)  # type: ignore[attr-defined]
    assert_same(photos, data)


def test_a_file_that_changes_while_streaming_is_an_error(photos: Path) -> None:
    data = images(photos, size=SIZE, cache="none")
    path = photos / data.train.names[0]
    write(path, bytes(reversed(path.read_bytes())))
    with pytest.raises(DataError, match="has changed since"):
        data.train.images([0])
    path.unlink()
    with pytest.raises(DataError, match="can no longer be read"):
        data.train.images([0])


def test_where_the_cache_lies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STROMA_CACHE", "/x/y")
    assert cache_root() == Path("/x/y")
    monkeypatch.delenv("STROMA_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/z")
    if sys.platform != "win32":
        assert cache_root() == Path("/z/stroma")
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", "/local")
    assert cache_root() == Path("/local/stroma/cache")


def test_a_cache_inside_the_photos_is_never_data(photos: Path) -> None:
    images(photos, size=SIZE, cache=photos / "cache")
    assert images(photos, size=SIZE, cache="memory").class_names == ["cat", "dog"]
