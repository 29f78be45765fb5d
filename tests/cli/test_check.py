"""`stroma check` and `stroma demo`, as typed."""

import json

import pytest

from stroma.cli.main import main


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The demo photos as `stroma demo --json` describes them."""
    folder = tmp_path_factory.mktemp("demo") / "demo-photos"
    from stroma.data.demo import write_demo_photos

    return write_demo_photos(folder, training=100, test=30)


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("STROMA_CACHE", str(tmp_path / "cache"))


def test_check_names_ten_of_ten(capsys, demo):
    assert main(["check", str(demo.folder), "--json"]) == 0
    shown = capsys.readouterr()
    found = json.loads(shown.out)
    assert found["synthetic"] is True
    assert found["class_names"] == sorted(found["class_names"]) and len(found["class_names"]) == 10
    assert all(f'"{fault.path}"' in shown.out for fault in demo.faults)


@pytest.mark.parametrize("width", [60, 120])
def test_check_for_people(capsys, monkeypatch, demo, width):
    monkeypatch.setenv("COLUMNS", str(width))
    assert main(["check", str(demo.folder)]) == 0
    shown = capsys.readouterr().out
    assert "(synthetic: made by a program)" in shown
    for fault in demo.faults:
        assert fault.path in shown
    body = [line for line in shown.splitlines() if str(demo.folder) not in line]
    assert max(map(len, body)) <= width


def test_check_reads_digits(capsys):
    assert main(["check", "digits"]) == 0
    assert "1,797" in capsys.readouterr().out


@pytest.mark.parametrize("case", ["missing", "no pictures", "one class", "a text"])
def test_what_cannot_be_checked_is_said_in_four_parts(capsys, tmp_path, case):
    photos = tmp_path / "photos"
    if case == "no pictures":
        (photos / "cat").mkdir(parents=True)
        (photos / "cat" / "notes.txt").write_text("x")
    elif case == "one class":
        from PIL import Image

        (photos / "cat").mkdir(parents=True)
        for index in range(4):
            Image.new("RGB", (16, 16), (index, 0, 0)).save(photos / "cat" / f"{index}.png")
    elif case == "a text":
        photos.write_text("x")
    assert main(["check", str(photos)]) == 2
    shown = capsys.readouterr().err
    for label in ("error:", "where:", "why:", "try:"):
        assert f"\n{label}" in f"\n{shown}"


def test_check_changes_nothing(capsys, demo):
    before = {path: path.stat().st_mtime_ns for path in demo.folder.rglob("*")}
    assert main(["check", str(demo.folder)]) == 0
    assert {path: path.stat().st_mtime_ns for path in demo.folder.rglob("*")} == before


def test_demo_writes_lists_and_reuses(capsys, monkeypatch, tmp_path):
    import stroma.cli.demo as command
    from stroma.data.demo import write_demo_photos

    def small(folder, **options):
        return write_demo_photos(folder, training=20, test=10, **options)

    monkeypatch.setattr(command, "write_demo_photos", small)
    arguments = ["demo", "--no-train", "--photos", str(tmp_path / "d")]
    assert main([*arguments, "--json"]) == 0
    written = json.loads(capsys.readouterr().out)
    assert written["synthetic"] and len(written["faults"]) == 10 and not written["reused"]
    assert main(arguments) == 0
    shown = capsys.readouterr().out
    assert "are there already, unchanged" in shown
    assert all(fault["path"] in shown for fault in written["faults"])
