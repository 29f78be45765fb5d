"""`stroma.data.images` from end to end, on folders with planted faults."""

import io
import json
import re
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from pictures import bomb, class_folders, encoded, exif, picture, sixteen_bit_ramp, write
from PIL import Image

from stroma.core.errors import ArgumentError, DataError
from stroma.data.images import images
from stroma.data.records import KINDS, Audit, AuditEntry, check_skipped


def planted(root: Path) -> Path:
    """60 sound pictures, and one fault of each kind."""
    class_folders(root, count=30)
    sound = encoded(picture(2000), "JPEG")
    faults = {
        "cat/cut.jpg": sound[: len(sound) // 2],
        "cat/empty.jpg": b"",
        "cat/text.jpg": b"this is text",
        "cat/page.jpg": b"<html>404</html>",
        "cat/bomb.png": bomb(),
        "cat/camera.nef": b"x",
        "dog/sideways.jpg": encoded(picture(2001), "JPEG", exif=exif(6)),
        "dog/deep.png": sixteen_bit_ramp(),
        "dog/print.jpg": encoded(Image.fromarray(picture(2002)).convert("CMYK"), "JPEG"),
        "dog/glass.png": encoded(np.dstack([picture(2003), picture(2004)[..., 0]])),
        "dog/moving.gif": encoded(
            Image.fromarray(picture(2005)), "GIF", save_all=True,
            append_images=[Image.fromarray(picture(2006))],
        ),
        "dog/really.jpg": encoded(picture(2007), "PNG"),
        "dog/dot.png": encoded(picture(2008, 4, 4)),
        "dog/Thumbs.db": b"x",
    }  # fmt: skip
    for name, data in faults.items():
        write(root / name, data)
    return root


def test_every_planted_fault_is_named(tmp_path: Path) -> None:
    data = images(planted(tmp_path))
    named = {(entry.kind, entry.path) for entry in data.audit.entries}
    assert named >= {
        ("broken", "cat/cut.jpg"), ("empty", "cat/empty.jpg"), ("not_an_image", "cat/text.jpg"),
        ("not_an_image", "cat/page.jpg"), ("huge", "cat/bomb.png"),
        ("unsupported", "cat/camera.nef"), ("exif_rotated", "dog/sideways.jpg"),
        ("sixteen_bit", "dog/deep.png"), ("cmyk", "dog/print.jpg"), ("alpha", "dog/glass.png"),
        ("animated", "dog/moving.gif"), ("wrong_extension", "dog/really.jpg"),
        ("tiny", "dog/dot.png"), ("system_file", "dog/Thumbs.db"),
    }  # fmt: skip
    assert data.audit.found == 60 + 13 and len(data.audit.skipped) == 6
    used = len(data.train) + len(data.validation) + len(data.test)
    assert used == 60 + 7  # what was not skipped is there
    assert data.audit.counts["not_an_image"] == 2
    lines = "\n".join(data.audit.summary_lines())
    assert "skipped 1 broken picture: cat/cut.jpg" in lines
    assert json.loads(json.dumps(data.to_json()))["audit"]["counts"]["broken"] == 1
    assert all(entry.kind in KINDS for entry in data.audit.entries)


def test_the_second_time_comes_from_the_cache_and_is_the_same(tmp_path: Path) -> None:
    planted(tmp_path)
    seen: list[tuple[int, int]] = []
    cache = tmp_path.parent / f"{tmp_path.name}-cache"
    first = images(tmp_path, cache=cache, size=64, progress=lambda a, b: seen.append((a, b)))
    if not any(cache.glob("*")):
        pytest.fail("nothing was cached")
    assert seen[-1] == (72, 72)
    seen.clear()
    second = images(tmp_path, cache=cache, size=64, progress=lambda a, b: seen.append((a, b)))
    assert not seen
    assert first.audit.to_json() == second.audit.to_json()
    for one, two in zip(first.parts.values(), second.parts.values()):
        assert one.names == two.names and np.array_equal(one.images(), two.images())


def test_too_many_skipped_files_stop(tmp_path: Path) -> None:
    class_folders(tmp_path, count=20)
    for i in range(11):
        write(tmp_path / f"cat/bad{i}.jpg", b"text here")
    with pytest.raises(DataError, match="11 of 51 files cannot be used: 11 files that are no") as e:
        images(tmp_path)
    assert "max_skipped=11" in e.value.fix
    assert images(tmp_path, max_skipped=11).audit.counts["not_an_image"] == 11
    with pytest.raises(DataError):
        images(tmp_path, max_skipped=0)


@pytest.mark.parametrize(
    ("found", "bad", "stops"),
    [(6000, 10, False), (6000, 60, False), (6000, 61, True), (50_000, 101, True),
     (50_000, 100, False), (4, 2, False), (4, 3, True), (245, 10, False)],
)  # fmt: skip
def test_the_bound_on_skipped_files(found: int, bad: int, stops: bool) -> None:
    audit = Audit([AuditEntry("broken", str(i), "x") for i in range(bad)], found=found)
    if stops:
        with pytest.raises(DataError):
            check_skipped(audit, None)
    else:
        check_skipped(audit, None)


# --- classes ----------------------------------------------------------------------------------


def test_empty_class_and_one_class(tmp_path: Path) -> None:
    class_folders(tmp_path, count=5)
    (tmp_path / "unicorn").mkdir()
    with pytest.raises(DataError, match="'unicorn'") as error:
        images(tmp_path)
    assert "drop_empty=True" in error.value.fix
    data = images(tmp_path, drop_empty=True)
    assert data.class_names == ["cat", "dog"] and data.audit.counts["empty_class"] == 1
    shutil.rmtree(tmp_path / "dog")
    with pytest.raises(DataError, match="only one class: 'cat'"):
        images(tmp_path, drop_empty=True)


def test_look_alike_class_names_are_told(tmp_path: Path) -> None:
    class_folders(tmp_path, ("Cat", "cat_", "dog"), 4)
    found = images(tmp_path).audit.of("look_alike_classes")
    assert [(entry.path, entry.where) for entry in found] == [("cat_", "Cat")]


def test_given_part_with_a_class_that_train_lacks(tmp_path: Path) -> None:
    class_folders(tmp_path / "train", count=6)
    class_folders(tmp_path / "val", ("cat", "wolf"), 3, first=300)
    with pytest.raises(DataError, match="test has classes that train lacks: 'wolf'"):
        images(tmp_path)


# --- parts ------------------------------------------------------------------------------------


def test_three_parts_are_made_or_taken(tmp_path: Path) -> None:
    made = images(class_folders(tmp_path / "plain", count=20))
    assert [len(part) for part in made.parts.values()] == [28, 6, 6]
    assert made.counts["cat"] == {"train": 14, "validation": 3, "test": 3}

    class_folders(tmp_path / "given/train", count=20)
    class_folders(tmp_path / "given/val", count=5, first=100)
    two = images(tmp_path / "given")
    assert {name.split("/")[0] for name in two.test.names} == {"val"}
    assert [len(part) for part in two.parts.values()] == [34, 6, 10]
    assert "val: taken as the test part" in "\n".join(two.audit.summary_lines())

    class_folders(tmp_path / "given/test", count=6, first=200)
    three = images(tmp_path / "given")
    assert [len(part) for part in three.parts.values()] == [40, 10, 12]
    assert {name.split("/")[0] for name in three.validation.names} == {"val"}


def test_few_test_photos_are_noted(tmp_path: Path) -> None:
    data = images(class_folders(tmp_path, count=20))
    (entry,) = data.audit.of("few_test_photos")  # one for all classes
    assert entry.path == "cat, dog" and "3 a class" in entry.reason
    assert not data.test_given and "every photo once, in folds" in entry.reason
    class_folders(tmp_path / "given/train", count=20)
    class_folders(tmp_path / "given/test", count=5, first=100)
    given = images(tmp_path / "given")
    (entry,) = given.audit.of("few_test_photos")
    assert given.test_given and "it alone is tested: the intervals are wide" in entry.reason


def test_a_zip_with_a_folder_around_is_split_as_the_folder(tmp_path: Path) -> None:
    folder = class_folders(tmp_path / "pets", count=12)
    one = images(folder)
    with zipfile.ZipFile(tmp_path / "pets.zip", "w") as archive:
        for path in sorted(folder.rglob("*.*")):
            archive.write(path, f"wrapper/{path.relative_to(folder).as_posix()}")
    two = images(tmp_path / "pets.zip")
    assert two.test.names == [f"wrapper/{name}" for name in one.test.names]
    assert one.fingerprint == two.fingerprint
    for ours, theirs in zip(one.folds(3), two.folds(3)):
        assert set(theirs.test.names) == {f"wrapper/{name}" for name in ours.test.names}


def test_the_folder_of_caches_is_no_class(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = class_folders(tmp_path / "pets", count=12)
    (folder / "cache" / "pictures").mkdir(parents=True)
    monkeypatch.setenv("STROMA_CACHE", str(folder / "cache"))
    assert images(folder).class_names == ["cat", "dog"]


def test_seed_and_place(tmp_path: Path) -> None:
    class_folders(tmp_path / "a", count=20)
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    first, moved = images(tmp_path / "a"), images(tmp_path / "b")
    assert first.train.names == moved.train.names and first.fingerprint == moved.fingerprint
    assert images(tmp_path / "a", seed=1).train.names != first.train.names


def test_groups_by_pattern_stay_together(tmp_path: Path) -> None:
    for label in ("cat", "dog"):
        for patient in range(10):
            for shot in range(3):
                seed = hash((label == "cat", patient, shot)) % 10**6
                write(tmp_path / label / f"p{patient}_{shot}.png", encoded(picture(seed)))
    data = images(tmp_path, group=r"(\w+/p\d+)_")
    where: dict[str, set[str]] = {}
    for part, holder in data.parts.items():
        for name in holder.names:
            where.setdefault(name.rsplit("_", 1)[0], set()).add(part)
    assert len(where) == 20 and all(len(parts) == 1 for parts in where.values())
    with pytest.raises(ArgumentError, match="no regular expression"):
        images(tmp_path, group="(")


def test_folds_test_each_photo_once(tmp_path: Path) -> None:
    class_folders(tmp_path, count=12)
    shutil.copy(tmp_path / "cat/003.png", tmp_path / "cat/copy.png")
    data = images(tmp_path)
    tested: list[str] = []
    for fold in data.folds(4):
        counts = np.bincount(fold.test.labels)
        assert counts.min() >= 3 and counts.max() <= 4
        together = [{"cat/003.png", "cat/copy.png"} & set(p.names) for p in fold.parts.values()]
        assert sorted(map(len, together)) == [0, 0, 2]
        assert len(fold.validation) >= 2
        tested += fold.test.names
        fold.open_test()
        with pytest.raises(DataError, match="already"):
            fold.open_test()
    assert sorted(tested) == sorted(n for part in data.parts.values() for n in part.names)
    assert data.test.reads == 0
    with pytest.raises(DataError, match="12 distinct photos for 13 folds"):
        next(data.folds(13))


def test_no_copy_near_copy_or_group_straddles_folds(tmp_path: Path) -> None:
    class_folders(tmp_path, count=20)
    for i in range(8):
        write(tmp_path / f"cat/{i:03d}_same.bmp", encoded(picture(i), "BMP"))
        write(tmp_path / f"cat/{i:03d}_near.jpg", recompressed(picture(i)))
    for i in range(20):
        (tmp_path / f"dog/{i:03d}.png").rename(tmp_path / f"dog/pet{i // 2:03d}-{i % 2}.png")
    for fold in images(tmp_path, group=r"pet(\d+)").folds(4):
        where: dict[str, set[str]] = {}
        for part, holder in fold.parts.items():
            for name in holder.names:
                where.setdefault(re.sub(r"[_.-].*", "", name), set()).add(part)
        assert len(where) == 30 and all(len(parts) == 1 for parts in where.values())


# --- copies -----------------------------------------------------------------------------------


def recompressed(pixels: np.ndarray, quality: int = 60) -> bytes:
    small = Image.fromarray(pixels).resize((36, 36), Image.Resampling.LANCZOS)
    return encoded(small.resize((40, 40)), "JPEG", quality=quality)


def test_copies_and_near_copies_never_straddle(tmp_path: Path) -> None:
    class_folders(tmp_path, count=40)
    for i in range(15):
        write(tmp_path / f"cat/copy{i}.bmp", encoded(picture(i), "BMP"))  # same pixels
        write(tmp_path / f"dog/near{i}.jpg", recompressed(picture(1000 + i)))
    for seed in range(5):
        data = images(tmp_path, seed=seed)
        assert data.audit.counts["duplicate"] == 15
        assert data.audit.counts["near_duplicate"] == 15
        place = {n: part for part, holder in data.parts.items() for n in holder.names}
        for i in range(15):
            assert place[f"cat/copy{i}.bmp"] == place[f"cat/{i:03d}.png"]
            assert place[f"dog/near{i}.jpg"] == place[f"dog/{i:03d}.png"]
    assert "two_labels" not in data.audit.counts


def test_copies_across_given_parts_are_told_and_leave_training(tmp_path: Path) -> None:
    class_folders(tmp_path / "train", count=20)
    class_folders(tmp_path / "test", count=10, first=100)
    for i in range(3):
        shutil.copy(tmp_path / f"test/cat/{i:03d}.png", tmp_path / f"train/cat/leak{i}.png")
    write(tmp_path / "train/dog/near.jpg", recompressed(picture(1100)))
    data = images(tmp_path)
    across = data.audit.of("duplicate_across_parts")
    assert [entry.path for entry in across] == [f"train/cat/leak{i}.png" for i in range(3)]
    assert "test/cat/000.png" in across[0].where
    assert [e.path for e in data.audit.of("near_duplicate_across_parts")] == ["train/dog/near.jpg"]
    assert len(data.audit.of("removed_copy")) == 3
    assert len(data.test) == 20
    assert not {n for n in data.train.names + data.validation.names if "leak" in n}
    near = images(tmp_path, dedupe="near")
    assert len(near.audit.of("removed_copy")) == 4
    kept = images(tmp_path, dedupe="none")
    assert not kept.audit.of("removed_copy") and len(kept.audit.of("duplicate_across_parts")) == 3
    assert len(kept.train) + len(kept.validation) == 44


def test_one_picture_under_two_labels(tmp_path: Path) -> None:
    class_folders(tmp_path, count=10)
    shutil.copy(tmp_path / "cat/003.png", tmp_path / "dog/same.png")
    data = images(tmp_path)
    (entry,) = data.audit.of("two_labels")
    assert {entry.path, entry.where} == {"dog/same.png", "cat/003.png"}
    place = {n: part for part, holder in data.parts.items() for n in holder.names}
    assert place["dog/same.png"] == place["cat/003.png"]


# --- sizes ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([(28, 28)], (28, 28)),
        ([(48, 64)], (48, 64)),
        ([(224, 224)], (224, 224)),
        ([(100, 150), (150, 100), (90, 300)], (96, 96)),
        ([(600, 800), (500, 700), (3000, 4000)], (224, 224)),
        ([(20, 24), (24, 20), (22, 26)], (20, 20)),
    ],
)
def test_size_is_chosen_from_the_pictures(
    tmp_path: Path, sizes: list[tuple[int, int]], expected: tuple[int, int]
) -> None:
    for at in range(12):
        pixels = picture(at, *sizes[at % len(sizes)])
        write(tmp_path / "ab"[at % 2] / f"{at}.jpg", encoded(pixels, "JPEG"))
    data = images(tmp_path)
    assert data.size == expected
    assert set(data.shapes) <= set(sizes) and data.train.images([0]).shape == (1, *expected, 3)


def test_settings_are_checked(tmp_path: Path) -> None:
    class_folders(tmp_path, count=4)
    for wrong, message in (
        ({"size": 0}, "size must be 1"), ({"fractions": (1, 1, 1)}, "add up to 1"),
        ({"dedupe": "some"}, "dedupe must be one of"), ({"cache": "ram"}, "cache must be one of"),
        ({"max_pixels": 0}, "max_pixels must be 1"),
    ):  # fmt: skip
        with pytest.raises(ArgumentError, match=message):
            images(tmp_path, **wrong)  # type: ignore[arg-type]  # wrong on purpose


def test_pixels_are_those_of_the_file(tmp_path: Path) -> None:
    for i in range(12):
        write(tmp_path / "ab"[i % 2] / f"{i}.jpg", encoded(picture(i), "JPEG", quality=90))
    data = images(tmp_path)
    for name, pixels in zip(data.train.names, data.train.images()):
        raw = (tmp_path / name).read_bytes()
        assert np.array_equal(pixels, np.asarray(Image.open(io.BytesIO(raw))))
        assert data.decoder is not None
        assert np.array_equal(data.decoder.read(tmp_path / name), pixels)
