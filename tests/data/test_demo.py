"""The demo photos: repeatable, disjoint, faulty in exactly the ten ways they say."""

import csv
import hashlib

import numpy as np
import pytest
from PIL import Image, UnidentifiedImageError
from sklearn.datasets import load_digits, load_sample_images

from stroma.core.errors import ArgumentError, DataError
from stroma.data import demo
from stroma.data.demo import CLASSES, SIDE, write_demo_photos

SMALL = {"training": 60, "test": 20}


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return write_demo_photos(tmp_path_factory.mktemp("demo") / "demo-photos", **SMALL)


def digest(folder):
    """One hash over the names and bytes of every file."""
    whole = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        whole.update(path.relative_to(folder).as_posix().encode() + path.read_bytes())
    return whole.hexdigest()


def test_equal_settings_give_equal_bytes(photos, tmp_path):
    assert digest(write_demo_photos(tmp_path / "again", **SMALL).folder) == digest(photos.folder)


def test_another_seed_gives_other_photos(photos, tmp_path):
    other = write_demo_photos(tmp_path / "other", seed=1, **SMALL)
    assert digest(other.folder) != digest(photos.folder)


def test_a_photo_depends_on_its_own_number_only(photos, tmp_path):
    fewer = write_demo_photos(tmp_path / "fewer", training=20, test=10, faults=False).folder
    for path in fewer.rglob("*.jpg"):
        assert path.read_bytes() == (photos.folder / path.relative_to(fewer)).read_bytes()


def test_ten_balanced_classes_of_64_pixels(photos):
    for part, count in SMALL.items():
        folder = photos.folder / {"training": "train", "test": "test"}[part]
        assert sorted(path.name for path in folder.iterdir()) == sorted(CLASSES)
        for label, name in enumerate(CLASSES):
            for index in range(label, count, 10):
                with Image.open(folder / name / f"{index:04d}.jpg") as image:
                    assert (image.size, image.mode, image.format) == ((SIDE, SIDE), "RGB", "JPEG")


def shared_digits(one, other):
    pairs = zip(one.digits, other.digits)
    return sum(len({d.tobytes() for d in a} & {d.tobytes() for d in b}) for a, b in pairs)


def test_training_and_test_share_no_digit_and_no_pixel_of_a_photograph():
    training, test = (demo._Material.of(part, seed=0) for part in (0, 1))
    assert shared_digits(training, test) == 0
    assert shared_digits(training, training) > 1000  # the planted mistake: the same part twice
    assert sum(len(d) for m in (training, test) for d in m.digits) == len(load_digits().target)
    for left, right, whole in zip(training.grounds, test.grounds, load_sample_images().images):
        together = np.concatenate([np.asarray(left), np.asarray(right)], axis=1)
        assert np.array_equal(together, whole)


def test_the_ten_faults_are_what_they_say(photos):
    faults = [(fault.kind, photos.folder / fault.path) for fault in photos.faults]
    assert len(faults) == 10
    by_kind = dict(faults)
    with pytest.raises(OSError, match="truncated"), Image.open(by_kind["truncated"]) as image:
        image.load()
    assert by_kind["empty"].stat().st_size == 0
    with pytest.raises(UnidentifiedImageError):
        Image.open(by_kind["not an image"])
    train = {path.read_bytes() for path in (photos.folder / "train").rglob("*.jpg")}
    copies = [path for kind, path in faults if kind == "copy across parts"]
    assert len(copies) == 3
    assert all(path.read_bytes() in train for path in copies)
    others = set((photos.folder / "test").rglob("*.jpg")) - set(copies)
    assert not any(path.read_bytes() in train for path in others)  # three, and not one more
    with Image.open(by_kind["sideways"]) as image:
        assert image.getexif()[0x0112] == 6
    with Image.open(by_kind["16-bit"]) as image:
        assert image.mode == "I;16" and int(np.asarray(image).max()) > 255
    with Image.open(by_kind["cmyk"]) as image:
        assert image.mode == "CMYK"
    assert by_kind["system file"].name == "Thumbs.db"


def test_the_sideways_photo_stands_upright_once_its_exif_is_obeyed(photos):
    path = photos.folder / next(f.path for f in photos.faults if f.kind == "sideways")
    upright, _ = demo._Material.of(0, 0).photo(6, np.random.default_rng([0, 3, 6]))
    with Image.open(path) as image:
        stored = np.asarray(image, dtype=float)
    turned = np.rot90(stored, -1)  # clockwise, as orientation 6 asks
    error = [np.abs(view - np.asarray(upright)).mean() for view in (turned, stored)]
    assert error[0] < 8 < 20 < error[1]


def test_truth_has_a_box_for_every_readable_photo(photos):
    with (photos.folder / "truth.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    unreadable = {"truncated", "empty", "not an image", "system file"}
    hidden = {fault.path for fault in photos.faults if fault.kind in unreadable}
    files = {path.relative_to(photos.folder).as_posix() for path in photos.folder.rglob("*/*/*")}
    assert {row["path"] for row in rows} == files - hidden
    for row in rows:
        assert row["label"] == row["path"].split("/")[1]
        x, y, w, h = (int(row[name]) for name in "xywh")
        assert x >= 0 and y >= 0 and x + w <= SIDE and y + h <= SIDE and h >= 15


def test_the_readme_calls_the_photos_synthetic(photos):
    text = (photos.folder / "README.txt").read_text()
    assert "Synthetic" in text
    assert all(fault.path in text for fault in photos.faults)


def test_the_same_settings_reuse_the_folder_even_with_a_file_manager_in_it(tmp_path):
    first = write_demo_photos(tmp_path / "d", **SMALL)
    (first.folder / "train" / ".DS_Store").write_bytes(b"x")
    before = digest(first.folder)
    again = write_demo_photos(tmp_path / "d", **SMALL)
    assert again.reused and again.faults == first.faults
    assert digest(first.folder) == before


def test_nothing_of_the_users_is_overwritten(tmp_path):
    mine = tmp_path / "demo-photos"
    mine.mkdir()
    (mine / "letter.txt").write_text("mine")
    with pytest.raises(DataError, match="not a folder of demo photos") as caught:
        write_demo_photos(mine, **SMALL)
    assert set(caught.value.parts()) == {"what", "where", "why", "try"}
    assert [path.name for path in tmp_path.rglob("*")] == ["demo-photos", "letter.txt"]


def test_other_settings_and_missing_photos_are_told_apart(tmp_path):
    facts = write_demo_photos(tmp_path / "d", **SMALL)
    with pytest.raises(DataError, match="other settings"):
        write_demo_photos(tmp_path / "d", seed=5, **SMALL)
    (facts.folder / "train" / "zero" / "0000.jpg").unlink()
    with pytest.raises(DataError, match="lacks 1 of its"):
        write_demo_photos(tmp_path / "d", **SMALL)


def test_an_empty_folder_is_free(tmp_path):
    (tmp_path / "d").mkdir()
    assert not write_demo_photos(tmp_path / "d", **SMALL).reused


def test_an_interrupted_writing_leaves_nothing(tmp_path):
    def interrupt(done, total):
        if done == 30:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_demo_photos(tmp_path / "d", progress=interrupt, **SMALL)
    assert list(tmp_path.iterdir()) == []


def test_too_few_photos_is_an_error():
    with pytest.raises(ArgumentError, match="training"):
        write_demo_photos("never-written", training=3)


@pytest.mark.slow
def test_nearest_neighbour_on_pixels_stays_below_a_quarter(tmp_path):
    from sklearn.neighbors import KNeighborsClassifier

    facts = write_demo_photos(tmp_path / "d", faults=False)

    def read(part, count):
        names = [f"{part}/{CLASSES[i % 10]}/{i:04d}.jpg" for i in range(count)]
        pixels = [np.asarray(Image.open(facts.folder / name)).ravel() for name in names]
        return np.stack(pixels).astype(np.float32), np.arange(count) % 10

    nearest = KNeighborsClassifier(1).fit(*read("train", facts.training))
    assert nearest.score(*read("test", facts.test)) <= 0.25
