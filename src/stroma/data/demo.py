"""The demo photos: a folder of synthetic photos, with ten planted faults, that needs no download.

scikit-learn's real handwritten digits are pasted on its two real photographs. Digits and parts of
the photographs used for training are never used for test, so a network is judged on strokes and
backgrounds that it has not seen.
"""

from __future__ import annotations

import csv
import io
import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from stroma.core.checks import check_int
from stroma.core.errors import DataError
from stroma.core.optional import require

CLASSES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
SIDE = 64
MARKER = "demo.json"
_AUTHOR = "stroma demo"
_FORMAT = 1  # raise when the same settings would write other pixels
_TRAINING_SHARE = 0.7  # of the width of each photograph; the rest is for test
_TEST_DIGITS = 0.2  # of scikit-learn's 1,797 digits
_QUALITY = 90

Progress = Callable[[int, int], None]


class Box(NamedTuple):
    """Where the digit is: left, top, width and height in pixels."""

    x: int
    y: int
    w: int
    h: int


Row = tuple[Any, ...]  # path, label, x, y, w, h


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """One planted fault: its kind, and its path inside the folder with forward slashes."""

    kind: str
    path: str


@dataclass(frozen=True, kw_only=True, slots=True)
class DemoFacts:
    """What was written, or found as it was written before (`reused`)."""

    folder: Path
    training: int
    test: int
    seed: int
    faults: tuple[Fault, ...]
    reused: bool = False


def write_demo_photos(
    folder: Path,
    *,
    seed: int = 0,
    training: int = 5000,
    test: int = 1000,
    faults: bool = True,
    progress: Progress | None = None,
) -> DemoFacts:
    """Write `folder/train/<class>/*.jpg` and `folder/test/<class>/*.jpg`, 64 px, ten classes.

    Equal settings give equal bytes (with the same Pillow). The boxes of the digits are in
    `truth.csv` (path, label, x, y, w, h in pixels, origin at the top left), the settings and
    the planted faults in `demo.json`, and `README.txt` says that the photos are synthetic.

    Args:
        folder: The folder to make. One that this function wrote with the same settings is reused;
            anything else that is there is left alone.
        seed: Any integer of 0 or more.
        training: Number of training photos, >= 10.
        test: Number of test photos, >= 10.
        faults: Whether to plant the ten faults, in files of their own beside the good ones.
        progress: Called with (photos written, photos in all).
    Raises:
        DataError: `folder` holds something else, or cannot be written.
    """
    folder = Path(folder)
    settings = {
        "format": _FORMAT,
        "seed": check_int("seed", seed, owner="write_demo_photos", minimum=0),
        "training": check_int("training", training, owner="write_demo_photos", minimum=10),
        "test": check_int("test", test, owner="write_demo_photos", minimum=10),
        "faults": bool(faults),
    }
    if (found := _written_before(folder, settings)) is not None:
        return found
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        # Built beside its place and moved there whole: a killed run leaves no half-written folder.
        building = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", dir=folder.parent))
        try:
            planted = _write(building, settings, progress)
            building.chmod(0o755)  # mkdtemp's own 0o700 would hide the photos from other users
            if folder.exists():
                folder.rmdir()  # only ever an empty one
            building.rename(folder)
        except BaseException:
            shutil.rmtree(building, ignore_errors=True)
            raise
    except OSError as error:
        raise DataError(
            f"the demo photos cannot be written: {error.strerror or error}",
            where=str(folder),
            why=f"{training + test:,} photos need about {(training + test) * 4 // 1000} MB there",
            fix="choose another folder: stroma demo --photos FOLDER",
        ) from error
    return DemoFacts(folder=folder, training=training, test=test, seed=seed, faults=planted)


def is_demo_folder(folder: Path) -> bool:
    """Whether `write_demo_photos` made this folder: what it holds is synthetic."""
    try:
        marker = json.loads((folder / MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(marker, dict) and marker.get("written_by") == _AUTHOR


def _written_before(folder: Path, settings: dict[str, int]) -> DemoFacts | None:
    """The facts of `folder` when it is ours, whole and of these settings; None when it is free."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return None
    try:
        marker = json.loads((folder / MARKER).read_text(encoding="utf-8"))
        same = marker["settings"] == settings
        planted = tuple(Fault(**fault) for fault in marker["faults"])
        with (folder / "truth.csv").open(encoding="utf-8", newline="") as file:
            written = {row["path"] for row in csv.DictReader(file)} | {f.path for f in planted}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{folder} is there already, and is not a folder of demo photos",
            where=str(folder),
            why="nothing of yours is overwritten",
            fix=_another(folder),
        ) from error
    # Only what is gone counts: file managers add their own files to a folder that they show.
    missing = sum(not (folder / path).is_file() for path in written) if same else 0
    if not same or missing:
        raise DataError(
            f"{folder} lacks {missing:,} of its demo photos"
            if missing
            else f"{folder} holds demo photos of other settings: {marker['settings']}",
            where=str(folder / MARKER),
            why="it may hold changes of yours, so it is not overwritten",
            fix=f"use it as it is: stroma train {folder}; or write another: {_another(folder)}",
        )
    return DemoFacts(
        folder=folder,
        training=settings["training"],
        test=settings["test"],
        seed=settings["seed"],
        faults=planted,
        reused=True,
    )


def _another(folder: Path) -> str:
    return f"stroma demo --photos {folder}-2"


def _write(folder: Path, settings: dict[str, int], progress: Progress | None) -> tuple[Fault, ...]:
    seed, counts = settings["seed"], (settings["training"], settings["test"])
    rows: list[Row] = []
    materials = [_Material.of(part, seed) for part in (0, 1)]
    for part, (name, count) in enumerate(zip(("train", "test"), counts)):
        for label in CLASSES:
            (folder / name / label).mkdir(parents=True)
        for index in range(count):
            # One generator per photo: a photo depends on its own number only, not on the others.
            rng = np.random.default_rng([seed, part, index])
            digit = index % 10  # balanced classes
            image, box = materials[part].photo(digit, rng)
            path = f"{name}/{CLASSES[digit]}/{index:04d}.jpg"
            image.save(folder / path, quality=_QUALITY)
            rows.append((path, CLASSES[digit], *box))
            if progress is not None:
                progress(len(rows), sum(counts))
    planted = _plant(folder, materials, settings, rows) if settings["faults"] else ()
    with (folder / "truth.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([("path", "label", *Box._fields), *rows])
    (folder / "README.txt").write_text(_readme(planted), encoding="utf-8", newline="\n")
    marker = {
        "written_by": _AUTHOR,
        "settings": settings,
        "faults": [asdict(fault) for fault in planted],
    }
    (folder / MARKER).write_text(json.dumps(marker, indent=1), encoding="utf-8", newline="\n")
    return planted


@dataclass(frozen=True, slots=True)
class _Material:
    """What the photos of one part are made of: digits, by class, and pieces of photographs."""

    digits: list[np.ndarray]  # ten arrays of (count, 8, 8), 0 to 1
    grounds: list[Image.Image]

    @classmethod
    def of(cls, part: int, seed: int) -> _Material:
        """Part 0 is training, part 1 test; they share no digit and no pixel of a photograph."""
        samples = require("sklearn.datasets")  # on use: a second and more to import
        digits = samples.load_digits()
        chosen = []
        for label in range(10):
            ours = digits.images[digits.target == label] / 16
            order = np.random.default_rng([seed, 2, label]).permutation(len(ours))
            held_out = round(len(ours) * _TEST_DIGITS)
            chosen.append(ours[order[:held_out] if part else order[held_out:]])
        grounds = []
        for photograph in samples.load_sample_images().images:
            edge = round(photograph.shape[1] * _TRAINING_SHARE)
            grounds.append(Image.fromarray(photograph[:, edge:] if part else photograph[:, :edge]))
        return cls(chosen, grounds)

    def photo(self, label: int, rng: np.random.Generator) -> tuple[Image.Image, Box]:
        """A photo of one digit of class `label`, and its box (x, y, w, h)."""
        ground = self._ground(rng)
        stroke = _stroke(self.digits[label][rng.integers(len(self.digits[label]))], rng)
        height, width = stroke.shape
        x, y = int(rng.integers(SIDE - width + 1)), int(rng.integers(SIDE - height + 1))
        under = ground[y : y + height, x : x + width]
        ink = _ink(under, stroke, rng)
        alpha = stroke[..., None] * rng.uniform(0.8, 1.0)
        ground[y : y + height, x : x + width] = under * (1 - alpha) + ink * alpha
        image = Image.fromarray(np.clip(ground + 0.5, 0, 255).astype(np.uint8))
        return image, Box(x, y, width, height)

    def _ground(self, rng: np.random.Generator) -> np.ndarray:
        photograph = self.grounds[rng.integers(len(self.grounds))]
        side = int(rng.integers(SIDE, 2 * SIDE))
        left = int(rng.integers(photograph.width - side + 1))
        top = int(rng.integers(photograph.height - side + 1))
        crop = photograph.crop((left, top, left + side, top + side)).resize((SIDE, SIDE))
        ground = np.asarray(crop, dtype=np.float64)
        if rng.random() < 0.5:
            ground = ground[:, ::-1]
        return ground * rng.uniform(0.7, 1.15)


def _stroke(digit: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The digit's ink, 0 to 1, enlarged to 24-40 px, tilted, and cut to its own box."""
    framed = np.pad(digit, 2)  # room for the tilt
    side = round(int(rng.integers(24, 41)) * framed.shape[0] / digit.shape[0])
    large = Image.fromarray((framed * 255).astype(np.uint8)).resize(
        (side, side), Image.Resampling.BICUBIC
    )
    tilted = large.rotate(rng.uniform(-12, 12), Image.Resampling.BICUBIC)
    stroke = np.clip((np.asarray(tilted) / 255 - 0.3) / 0.35, 0, 1)  # a pen's edge, not a blur
    rows, columns = np.nonzero(stroke.max(axis=1) > 0.5)[0], np.nonzero(stroke.max(axis=0) > 0.5)[0]
    return stroke[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _ink(under: np.ndarray, stroke: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """An ink of any colour, lighter or darker than what it covers by an amount that people see."""
    luminance = np.array([0.299, 0.587, 0.114])
    covered = float(np.average(under @ luminance, weights=stroke))
    distance = rng.uniform(90, 160)
    room_above, room_below = 255 - covered, covered
    lighter = rng.random() < 0.5 if min(room_above, room_below) > 90 else room_above > room_below
    target = covered + distance if lighter else covered - distance
    colour = rng.uniform(0, 255, 3)
    ink: np.ndarray = np.clip(colour + np.clip(target, 0, 255) - colour @ luminance, 0, 255)
    return ink


def _plant(
    folder: Path, materials: list[_Material], settings: dict[str, int], rows: list[Row]
) -> tuple[Fault, ...]:
    """Ten faults, in files of their own whose names do not give them away.

    All but the copies start from a photo of their own, so nothing but the fault is wrong with
    them. The readable ones get a row in `rows` (the table of boxes), the unreadable ones none.
    """
    training, test, planted = settings["training"], settings["test"], list[Fault]()

    def fresh(label: int) -> tuple[Image.Image, Box]:
        return materials[0].photo(label, np.random.default_rng([settings["seed"], 3, label]))

    def plant(kind: str, path: str, box: Box | None = None) -> Path:
        planted.append(Fault(kind=kind, path=path))
        if box is not None:
            rows.append((path, path.split("/")[1], *box))
        return folder / path

    def place(label: int, suffix: str = ".jpg") -> str:
        return f"train/{CLASSES[label]}/{training + label:04d}{suffix}"

    encoded = io.BytesIO()
    fresh(0)[0].save(encoded, "JPEG", quality=_QUALITY)
    plant("truncated", place(0)).write_bytes(encoded.getvalue()[: encoded.tell() // 2])
    plant("empty", place(1)).touch()
    plant("not an image", place(2)).write_text("A text, whatever its name says.\n", "utf-8")
    for label in (3, 4, 5):
        original, _, *corners = rows[label]
        copy = f"test/{CLASSES[label]}/{test + label:04d}.jpg"
        shutil.copyfile(folder / original, plant("copy across parts", copy, Box(*corners)))
    image, box = fresh(6)
    exif = Image.Exif()
    exif[0x0112] = 6  # Orientation: turn by 90 degrees clockwise before showing
    stored = image.rotate(90, expand=True)  # counter-clockwise
    stored.save(plant("sideways", place(6), box), exif=exif, quality=_QUALITY)
    image, box = fresh(7)
    deep = np.asarray(image.convert("L"), dtype=np.uint16) * 257
    Image.fromarray(deep).save(plant("16-bit", place(7, ".png"), box))
    image, box = fresh(8)
    image.convert("CMYK").save(plant("cmyk", place(8), box), quality=_QUALITY)
    ole_header = bytes.fromhex("d0cf11e0a1b11ae1")  # what Windows' thumbnail cache starts with
    plant("system file", f"train/{CLASSES[9]}/Thumbs.db").write_bytes(ole_header + bytes(504))
    return tuple(planted)


def _readme(planted: tuple[Fault, ...]) -> str:
    listed = "\n".join(f"  {fault.kind:<18} {fault.path}" for fault in planted)
    text = (
        "Synthetic photos, written by `stroma demo`. Nobody took them:\n"
        "scikit-learn's handwritten digits (UCI Optical Recognition of Handwritten Digits) pasted\n"
        "on its two photographs (china.jpg by danielbuechele and flower.jpg by vultilion, CC BY\n"
        "2.0). Digits and photograph parts under test/ are not used under train/.\n"
        "truth.csv has each digit's box: path, label, x, y, w, h, in pixels.\n"
    )
    return text + (f"\nFaults planted on purpose:\n{listed}\n" if planted else "")
