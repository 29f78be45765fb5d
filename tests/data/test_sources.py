"""Folders, zips, CSV and Parquet: the same pictures; what is unsafe or unclear is refused."""

import csv
import json
import os
import socket
import stat
import sys
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import class_folders, encoded, picture, write

from stroma.core.errors import DataError, StromaError
from stroma.data.images import images
from stroma.data.layout import File, sort_files
from stroma.data.records import AuditEntry
from stroma.data.sources import find

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX files")


def zipped(folder: Path, target: Path, prefix: str = "") -> Path:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, prefix + str(file.relative_to(folder)))
    return target


def content(path: Path, **options: object) -> dict[str, tuple[str, bytes]]:
    """name -> (label, pixels) over all parts."""
    data = images(path, cache="memory", **options)  # type: ignore[arg-type]
    found = {}
    for part in (data.train, data.validation, data.open_test()):
        for name, label, pixels in zip(part.names, part.labels, part.images()):
            found["/".join(name.split("/")[-2:])] = (data.class_names[label], pixels.tobytes())
    return found


def kinds(path: Path) -> dict[str, list[str]]:
    found = find(path)
    named: dict[str, list[str]] = {}
    for entry in found.entries:
        named.setdefault(entry.kind, []).append(entry.path)
    return named


# --- the same data in every form --------------------------------------------------------------


def test_folder_zip_csv_and_parquet_give_the_same_pixels(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "photos", count=5)
    expected = content(root)
    assert len(expected) == 10
    assert expected["cat/000.png"] == ("cat", picture(0).tobytes())
    assert content(zipped(root, tmp_path / "a.zip")) == expected
    assert content(zipped(root, tmp_path / "b.zip", prefix="photos/")) == expected

    files = sorted(str(f.relative_to(root).as_posix()) for f in root.rglob("*.png"))
    rows = [(name, name.split("/")[0]) for name in files]
    with open(root / "labels.csv", "w", newline="") as stream:
        csv.writer(stream).writerows([("path", "label"), *rows])
    assert content(root / "labels.csv") == expected
    pq.write_table(
        pa.table({"path": [r[0] for r in rows], "label": [r[1] for r in rows]}),
        root / "paths.parquet",
    )
    assert content(root / "paths.parquet") == expected


def hugging_face(path: Path, rows: list[tuple[bytes | None, int | None]], names: list[str]) -> Path:
    features = {"img": {"_type": "Image"}, "label": {"names": names, "_type": "ClassLabel"}}
    meta = {"huggingface": json.dumps({"info": {"features": features}})}
    table = pa.table({
        "img": pa.array([None if b is None else {"bytes": b, "path": f"{i}.png"}
                         for i, (b, _) in enumerate(rows)],
                        pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
        "label": pa.array([label for _, label in rows], pa.int64()),
    }).replace_schema_metadata(meta)  # fmt: skip
    pq.write_table(table, path, row_group_size=7)
    return path


def test_hugging_face_parquet(tmp_path: Path) -> None:
    rows = [(encoded(picture(i)), i % 3) for i in range(30)]
    path = hugging_face(tmp_path / "things.parquet", rows, ["zebra", "ant", "owl"])
    data = images(path)
    assert data.class_names == ["zebra", "ant", "owl"]  # the file's order, not the alphabet's
    parts = [data.train, data.validation, data.open_test()]
    for part in parts:
        for name, label, pixels in zip(part.names, part.labels, part.images()):
            row = int(name.split()[0])
            assert label == row % 3 and np.array_equal(pixels, picture(row))
    assert sum(map(len, parts)) == 30


def test_parquet_train_brings_its_test_sibling(tmp_path: Path) -> None:
    for name, first in (("train-00000-of-00002", 0), ("train-00001-of-00002", 30), ("test", 60)):
        rows = [(encoded(picture(first + i)), i % 2) for i in range(20)]
        hugging_face(tmp_path / f"{name}.parquet", rows, ["a", "b"])
    hugging_face(tmp_path / "other-train.parquet", [(encoded(picture(99)), 0)], ["a", "b"])
    data = images(tmp_path / "train-00000-of-00002.parquet")
    assert len(data.test) == 20 and len(data.train) + len(data.validation) == 40
    assert "other-train" not in " ".join(data.audit.summary_lines())
    alone = images(tmp_path / "test.parquet")
    assert len(alone.train) + len(alone.validation) + len(alone.test) == 20


def test_parquet_nulls_and_bad_labels(tmp_path: Path) -> None:
    rows: list[tuple[bytes | None, int | None]] = [(encoded(picture(i)), i % 2) for i in range(20)]
    rows += [(None, 0), (encoded(picture(50)), None)]
    data = images(hugging_face(tmp_path / "a.parquet", rows, ["a", "b"]))
    assert data.audit.counts["empty"] == 1 and data.audit.counts["no_label"] == 1
    rows[3] = (rows[3][0], 7)
    with pytest.raises(DataError, match=r"a\.parquet row 3: label 7 is outside 0\.\.1"):
        images(hugging_face(tmp_path / "a.parquet", rows, ["a", "b"]))
    pq.write_table(pa.table({"image": [b"x"], "label": [float("nan")]}), tmp_path / "f.parquet")
    with pytest.raises(DataError, match=r"label is nan"):
        images(tmp_path / "f.parquet")


def test_cut_off_parquet_and_one_without_pictures(tmp_path: Path) -> None:
    path = hugging_face(tmp_path / "a.parquet", [(b"x", 0)], ["a"])
    write(tmp_path / "cut.parquet", path.read_bytes()[:-20])
    with pytest.raises(StromaError, match="not a readable Parquet"):
        find(tmp_path / "cut.parquet")
    pq.write_table(pa.table({"label": [1], "pixels": [[1]]}), tmp_path / "b.parquet")
    with pytest.raises(DataError, match="no path column"):
        find(tmp_path / "b.parquet")


# --- the layout of folders --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("train", "val"), [("train", "val"), ("Training", "valid"), ("TRAIN", "testing")]
)
def test_given_parts(tmp_path: Path, train: str, val: str) -> None:
    class_folders(tmp_path / train, count=10)
    class_folders(tmp_path / val, count=4, first=500)
    found = find(tmp_path)
    assert found.class_names == ["cat", "dog"]
    assert sum(s.part == "train" for s in found.samples) == 20
    assert sum(s.part in ("validation", "test") for s in found.samples) == 8


def test_a_class_may_be_called_test(tmp_path: Path) -> None:
    found = find(class_folders(tmp_path, ("test", "control"), 3))
    assert found.class_names == ["control", "test"]
    assert {sample.part for sample in found.samples} == {None}


def test_classes_are_sorted_and_subfolders_belong_to_their_class(tmp_path: Path) -> None:
    for name in ("b/deep/er/1.png", "a/2.png", "C/3.png"):
        write(tmp_path / name, encoded(picture(1)))
    found = find(tmp_path)
    assert found.class_names == ["C", "a", "b"]
    assert {s.name: s.label for s in found.samples}["b/deep/er/1.png"] == "b"


def test_system_files_are_ignored_and_counted(tmp_path: Path) -> None:
    class_folders(tmp_path, count=3)
    junk = ["cat/.DS_Store", "cat/._1.jpg", "dog/Thumbs.db", "dog/desktop.ini", "cat/notes.txt",
            "cat/README", "__MACOSX/cat/x.jpg", ".ipynb_checkpoints/y.png",
            "labels.txt"]  # fmt: skip
    for name in junk:
        write(tmp_path / name, b"x")
    found = kinds(tmp_path)
    assert len(found["system_file"]) == 6 and len(found["other_file"]) == 3
    assert find(tmp_path).class_names == ["cat", "dog"]
    packed = find(zipped(tmp_path, tmp_path.parent / "junk.zip"))
    assert len(packed.samples) == 6 and packed.class_names == ["cat", "dog"]


def test_runs_are_never_data(tmp_path: Path) -> None:
    class_folders(tmp_path, count=3)
    write(tmp_path / "runs/2026_photos_calm-fern/run.json", b"{}")
    write(tmp_path / "runs/2026_photos_calm-fern/mistakes/1.png", encoded(picture(1)))
    found = find(tmp_path)
    assert found.class_names == ["cat", "dog"] and len(found.samples) == 6
    assert kinds(tmp_path)["stroma_output"] == ["runs/2026_photos_calm-fern"]
    packed = find(zipped(tmp_path, tmp_path.parent / "runs.zip"))
    assert packed.class_names == ["cat", "dog"] and len(packed.samples) == 6


def test_pictures_outside_class_folders(tmp_path: Path) -> None:
    class_folders(tmp_path, count=3)
    write(tmp_path / "stray.png", encoded(picture(1)))
    assert kinds(tmp_path)["unlabelled"] == ["stray.png"]
    class_folders(tmp_path / "parts/train", count=3)
    write(tmp_path / "parts/test/unknown.png", encoded(picture(2)))
    assert kinds(tmp_path / "parts")["unlabelled"] == ["test/unknown.png"]


def test_nothing_to_read_says_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no pictures") as error:
        find(tmp_path / "empty")
    assert "nothing at all" in str(error.value) and "photos/cat" in error.value.fix
    write(tmp_path / "flat/1.png", encoded(picture(1)))
    with pytest.raises(DataError, match="none lies in a class folder"):
        find(tmp_path / "flat")
    with pytest.raises(DataError, match="there is no ") as error:
        find(tmp_path / "photo")
    assert "empty, flat" in error.value.why
    with pytest.raises(DataError, match=r"does not read data\.yaml"):
        find(write(tmp_path / "data.yaml", b"train: x"))


@posix
def test_links_loops_and_special_files(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "photos", count=3)
    (root / "cat/loop").symlink_to(root)
    (root / "cat/self").symlink_to("self")
    outside = write(tmp_path / "elsewhere/x.png", encoded(picture(77)))
    (root / "dog/link.png").symlink_to(outside)
    os.mkfifo(root / "dog/pipe.png")
    server = socket.socket(socket.AF_UNIX)
    before = os.getcwd()
    os.chdir(root / "dog")  # a socket's path may be 108 bytes
    try:
        server.bind("socket.png")
    finally:
        os.chdir(before)
        server.close()
    found = kinds(root)
    assert found["link_loop"] == ["cat/loop"]
    assert found["link_outside"] == ["dog/link.png"]
    assert sorted(found["special_file"]) == ["dog/pipe.png", "dog/socket.png"]
    assert found["unreadable"] == ["cat/self"]
    assert len(find(root).samples) == 7


@posix
@pytest.mark.skipif(os.name == "posix" and os.geteuid() == 0, reason="root may read everything")
def test_unreadable_files_are_skipped_by_name(tmp_path: Path) -> None:
    root = class_folders(tmp_path, count=20)
    (root / "cat/003.png").chmod(0)
    data = images(root)
    (root / "cat/003.png").chmod(stat.S_IRUSR)
    assert [e.path for e in data.audit.of("unreadable")] == ["cat/003.png"]


def test_odd_names_survive_and_are_printed_safely(tmp_path: Path) -> None:
    names = ["é.png", "e\u0301.png", "🐈.png", "%s.png", "\u202egnp.png", "a" * 200 + ".png"]
    if sys.platform != "win32":
        names += ["line\nbreak.png", "\x1b[2J.png"]
    for at, name in enumerate(names):
        write(tmp_path / "cat" / name, encoded(picture(at)))
        write(tmp_path / "dog" / name, b"broken" if at > 4 else encoded(picture(50 + at)))
    data = images(tmp_path, fractions=(0.6, 0.2, 0.2))
    text = "\n".join(data.audit.summary_lines(names=99))
    assert "\x1b" not in text and "\u202e" not in text
    if sys.platform != "win32":
        assert "\\x1b[2J.png" in text and "line\\nbreak" in text


@posix
def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    root = class_folders(tmp_path, count=5)
    os.rename(root / "cat/000.png", os.fsencode(root) + b"/cat/\xff.png")
    data = images(root)
    names = [n for part in data.parts.values() for n in part.names]
    assert len(names) == 10 and json.dumps(data.to_json())
    assert "\\udcff" in data.train.batches(4).name_of(0) or os.fsdecode(b"cat/\xff.png") in names


@given(st.lists(st.text("ab/.T", min_size=1, max_size=12), max_size=12))
@settings(max_examples=150, deadline=None)
def test_any_tree_is_sorted_or_refused(names: list[str]) -> None:
    files = [File(tuple(p for p in f"{n}.png".split("/") if p), 1, 1) for n in set(names)]
    folders = [f.parts[: n + 1] for f in files for n in range(len(f.parts) - 1)]
    entries: list[AuditEntry] = []
    try:
        samples, classes = sort_files(files, folders, entries)
    except DataError:
        return
    assert {sample.label for sample in samples} <= set(classes)
    told = {sample.name for sample in samples} | {entry.path for entry in entries}
    assert told == {file.name for file in files}  # nothing dropped without a word


# --- zips -------------------------------------------------------------------------------------


def make_zip(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


@pytest.mark.parametrize(
    "name", ["../x.png", "/etc/x.png", "C:/x.png", "a\\..\\..\\x.png", "a/../../x.png"]
)
def test_zip_slip_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="points outside"):
        find(make_zip(tmp_path / "a.zip", {"cat/1.png": b"x", name: b"x"}))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_unsafe_zips_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "twice.zip", "w") as archive:
        archive.writestr("cat/1.png", b"x")
        archive.writestr("cat/1.png", b"y")
    with pytest.raises(DataError, match="twice"):
        find(tmp_path / "twice.zip")

    path = make_zip(tmp_path / "secret.zip", {"cat/1.png": b"x"})
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1  # the flag of encryption
    with pytest.raises(DataError, match="encrypted"):
        find(write(tmp_path / "secret2.zip", bytes(data)))

    blank = bytes(1 << 20)
    many = {f"cat/{i}.bmp": blank for i in range(300)}
    with pytest.raises(DataError, match="bombs"):
        find(make_zip(tmp_path / "bomb.zip", many))

    with pytest.raises(StromaError, match="not a readable zip"):
        find(write(tmp_path / "cut.zip", path.read_bytes()[:-10]))


def test_damaged_members_are_skipped_nested_zips_are_not_read(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "photos", count=20)
    path = zipped(root, tmp_path / "a.zip")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("cat/more.zip", b"PK")
        link = zipfile.ZipInfo("cat/link.png")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
        info = archive.getinfo("dog/004.png")
    data = bytearray(path.read_bytes())
    data[info.header_offset + 60] ^= 0xFF
    write(path, bytes(data))
    audit = images(path).audit
    assert [e.path for e in audit.of("unreadable")] == ["dog/004.png"]
    assert [e.path for e in audit.of("other_file")] == ["cat/more.zip"]
    assert [e.path for e in audit.of("special_file")] == ["cat/link.png"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.zip", "photos"]  # nothing extracted


def test_backslashes_of_old_windows_tools(tmp_path: Path) -> None:
    found = find(make_zip(tmp_path / "a.zip", {"cat\\1.png": b"x", "dog\\2.png": b"y"}))
    assert found.class_names == ["cat", "dog"]


@pytest.mark.parametrize("name", ["a.zip", "a.parquet"])
def test_damage_anywhere_is_refused_or_survived(tmp_path: Path, name: str) -> None:
    rows = [(encoded(picture(i)), i % 2) for i in range(12)]
    sound = hugging_face(tmp_path / "a.parquet", rows, ["a", "b"])
    if name == "a.zip":
        sound = zipped(class_folders(tmp_path / "photos", count=6), tmp_path / name)
    data = sound.read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(60):
        damaged = bytearray(data)
        for at in len(data) - 1 - rng.integers(0, 1500, 3):  # the directory lies at the end
            damaged[at] = rng.integers(0, 256)
        try:
            images(write(tmp_path / f"x{sound.suffix}", bytes(damaged)), cache="memory")
        except StromaError:
            refused += 1
    assert refused > 10


# --- CSV --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("encoding", "delimiter"),
    [("utf-8", ","), ("utf-8-sig", ";"), ("utf-16", "\t"), ("latin-1", ";"), ("utf-8", "|")],
)
def test_csv_encodings_and_delimiters(tmp_path: Path, encoding: str, delimiter: str) -> None:
    for i in range(4):
        write(tmp_path / f"é{i}.png", encoded(picture(i)))
    lines = [f"label{delimiter}file", *(f"größe{i % 2}{delimiter}é{i}.png" for i in range(4))]
    table = write(tmp_path / "t.csv", "\r\n".join(lines).encode(encoding))
    found = find(table)
    assert found.class_names == ["größe0", "größe1"]
    assert [s.name for s in found.samples] == [f"é{i}.png" for i in range(4)]


def test_csv_without_header_with_parts_groups_and_quotes(tmp_path: Path) -> None:
    for i in range(4):
        write(tmp_path / f"{i}.png", encoded(picture(i)))
    bare = write(tmp_path / "bare.csv", b"0.png,cat\n1.png,dog\n")
    assert [s.label for s in find(bare).samples] == ["cat", "dog"]
    assert find(bare).entries[0].kind == "inferred"
    full = 'path,label,split,patient\n0.png,"a, ""b""",train,p1\n1.png,"c\nd",val,p1\n2.png,e,,p2\n'
    found = find(write(tmp_path / "full.csv", full.encode()), "patient")
    assert [s.label for s in found.samples] == ['a, "b"', "c\nd", "e"]
    assert [s.part for s in found.samples] == ["train", "validation", None]
    assert [s.group for s in found.samples] == ["p1", "p1", "p2"]


def test_csv_made_on_windows(tmp_path: Path) -> None:
    class_folders(tmp_path, count=1)
    table = write(tmp_path / "t.csv", b"path,label\r\ncat\\000.png,cat\r\ndog\\000.png,dog\r\n")
    assert [s.name for s in find(table).samples] == ["cat/000.png", "dog/000.png"]


def test_csv_numeric_labels_count_in_order(tmp_path: Path) -> None:
    for i in range(12):
        write(tmp_path / f"{i}.png", encoded(picture(i)))
    rows = "".join(f"{i}.png,{i}\n" for i in range(12)) * 5
    assert find(write(tmp_path / "t.csv", b"path,label\n" + rows.encode())).class_names == [
        str(i) for i in range(12)
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,label\n0.png,cat\n1.png\n", r"line 3: 1 cells, the header has 2"),
        ('path,label\n0.png,"cat\nand so on', r"line 2: unexpected end"),
        ("", "has no rows"),
        ("image_id,species\n0.png,cat\n", "no path column"),
        ("path,path,label\n0.png,0.png,cat\n", "two columns called 'path'"),
        ("path,label,split\n0.png,cat,holdout\n", "'holdout' is no part"),
        ("path,label\nhttps://example.com/a.png,cat\n", "is an address"),
        ("path,label\n..\\a.png,cat\n", "leads out of the folder"),
        ("path,label\n" + "x" * 200_000 + ",cat\n", "line 2: field larger"),
        ("path,label\n../a.png,cat\n", "leads out of the folder"),
        ("path,label\n/etc/passwd,cat\n", "absolute path"),
        ("path,label\nC:\\a.png,cat\n", "absolute path"),
        ("path,label\nnone.png,cat\n", "names no picture that exists"),
    ],
)
def test_csv_refusals_name_the_line(tmp_path: Path, text: str, message: str) -> None:
    write(tmp_path / "0.png", encoded(picture(0)))
    with pytest.raises(DataError, match=message):
        find(write(tmp_path / "t.csv", text.encode()))


def test_csv_missing_files_and_labels_are_counted(tmp_path: Path) -> None:
    write(tmp_path / "a.png", encoded(picture(0)))
    table = write(tmp_path / "t.csv", b"path,label\na.png,cat\nA.PNG2,cat\nb.png,dog\na.png,\n")
    found = find(table)
    assert [(e.kind, e.path) for e in found.entries] == [
        ("missing", "A.PNG2"), ("missing", "b.png"), ("no_label", "a.png"),
    ]  # fmt: skip
    assert "line 4" in found.entries[1].reason
    write(tmp_path / "Upper.png", encoded(picture(0)))
    if not (tmp_path / "upper.png").exists():  # a file system that tells case apart
        table = write(tmp_path / "u.csv", b"path,label\nupper.png,cat\na.png,dog\n")
        assert "there is 'Upper.png'" in find(table).entries[0].reason


@given(st.binary(max_size=200))
@settings(max_examples=150, deadline=None)
def test_any_csv_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, noise: bytes) -> None:
    folder = tmp_path_factory.getbasetemp() / "csv-noise"
    try:
        find(write(folder / "t.csv", noise))
    except StromaError as error:
        assert error.where or error.fix
