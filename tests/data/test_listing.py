"""Pictures without labels, wherever they lie: named once, read by name, nothing dropped."""

import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import encoded, picture, write

from stroma.core.errors import DataError, StromaError
from stroma.data.listing import pictures


@pytest.fixture
def tree(tmp_path):
    for name in ("a.png", "cat/b.jpg", "cat/.hidden.png", "notes.txt", "raw.dng", "old/run.json"):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    (tmp_path / "photos" / "old" / "model.png").write_bytes(b"x")
    return tmp_path


def contents(found):
    return {name: read() for name, read in zip(found.names, found.reads)}


def test_a_folder_gives_every_picture_below_it_and_names_the_rest(tree):
    folder = tree / "photos"
    found = pictures([folder])
    assert contents(found) == {
        str(folder / "a.png"): b"a.png", str(folder / "cat" / "b.jpg"): b"cat/b.jpg",
    }  # fmt: skip
    told = {(entry.kind, entry.path) for entry in found.entries}
    assert told == {
        ("system_file", str(folder / "cat" / ".hidden.png")),
        ("other_file", str(folder / "notes.txt")), ("unsupported", str(folder / "raw.dng")),
        ("stroma_output", str(folder / "old")),
    }  # fmt: skip


def test_a_zip_gives_its_members_by_name(tree):
    path = tree / "photos.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("cat/1.png", b"one")
        archive.writestr("__MACOSX/cat/._1.png", b"no")
    found = pictures([path])
    assert contents(found) == {str(path / "cat" / "1.png"): b"one"}
    assert [entry.kind for entry in found.entries] == ["system_file"]


def test_lists_name_files_relative_to_their_own_folder(tree, monkeypatch):
    monkeypatch.chdir(tree)
    (tree / "photos" / "list.txt").write_text("a.png\n\n  cat\\b.jpg \nnowhere.png\nhttp://x/y.png")
    found = pictures(["photos/list.txt"])
    assert found.names == ["a.png", "cat\\b.jpg", "nowhere.png", "http://x/y.png"]
    assert [read() for read in found.reads[:2]] == [b"a.png", b"cat/b.jpg"]
    for at, said in ((2, "is not there"), (3, "is an address")):
        with pytest.raises(DataError, match=said) as caught:
            found.reads[at]()
        assert "list.txt line" in caught.value.where
    (tree / "table.csv").write_text("label;Image\ncat;photos/a.png\ndog;photos/cat/b.jpg\n")
    assert pictures(["table.csv"]).names == ["photos/a.png", "photos/cat/b.jpg"]
    (tree / "bare.csv").write_text("photos/a.png\n")
    assert pictures(["bare.csv"]).names == ["photos/a.png"]


def test_several_paths_keep_their_order_and_positions_can_be_chosen(tree):
    one = write(tree / "one.png", encoded(picture(0)))
    found = pictures([one, tree / "photos", one])
    assert found.names[0] == found.names[-1] == str(one) and len(found) == 4
    assert found.take([3, 1]).names == [str(one), found.names[1]]


@pytest.mark.parametrize("name", ["photos/old", "empty.csv", "empty.zip"])
def test_nothing_to_look_at_is_an_error(tree, name):
    (tree / "empty.csv").touch()
    with zipfile.ZipFile(tree / "empty.zip", "w"):
        pass
    (tree / "photos" / "old" / "model.png").unlink()
    with pytest.raises(DataError, match="holds no picture"):
        pictures([tree / name])


@settings(max_examples=60, deadline=None)
@given(text=st.binary(max_size=60), suffix=st.sampled_from([".txt", ".csv", ".zip", ".png"]))
def test_any_bytes_give_pictures_or_an_error_of_ours(tmp_path_factory, text, suffix):
    path = tmp_path_factory.mktemp("any") / f"list{suffix}"
    path.write_bytes(text)
    try:
        found = pictures([path])
    except StromaError as error:
        assert all(error.parts().values())
        return
    for read in found.reads:
        try:
            read()
        except (StromaError, OSError):
            continue
