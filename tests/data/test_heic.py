"""HEIC photos: read where pillow-heif is installed, else counted, with the package to install."""

from pathlib import Path

import numpy as np
import pytest
from pictures import class_folders, encoded, picture, write
from PIL import Image

from stroma.core.errors import DataError
from stroma.data import Decoder, images
from stroma.data import decode as module
from stroma.data.decode import DecodeError, decoder_name

HEADER = b"\0\0\0\x18ftypheic" + b"\0" * 32
INSTALL = "pip install pillow-heif"


@pytest.fixture
def absent(monkeypatch):
    """As if pillow-heif were not installed, also for a Pillow that knows it already."""
    module.formats.cache_clear()
    monkeypatch.setattr(module, "_has_heif", lambda: False)
    yield
    module.formats.cache_clear()


@pytest.fixture
def heif():
    module.formats.cache_clear()
    package = pytest.importorskip("pillow_heif")
    package.register_heif_opener()
    return package


def heic(seed: int, side: int = 64, **options) -> bytes:
    return encoded(picture(seed, side, side), "HEIF", quality=95, **options)


def test_without_the_package_it_is_named(absent):
    with pytest.raises(DecodeError, match=INSTALL) as caught:
        Decoder((8, 8))(HEADER)
    assert caught.value.kind == "heic" and "pillow-heif" not in decoder_name()


def test_without_the_package_they_are_counted_and_the_others_read(absent, tmp_path):
    class_folders(tmp_path, count=30)
    for at in range(4):
        write(tmp_path / "cat" / f"IMG_{at}.HEIC", HEADER)
    data = images(tmp_path)
    assert data.audit.counts["heic"] == 4 and data.audit.found == 64
    (line,) = [line for line in data.audit.summary_lines() if "HEIC" in line]
    assert line.startswith("skipped 4 HEIC photos (pip install pillow-heif reads them): cat/IMG_0")


def test_without_the_package_a_folder_of_them_says_what_to_install(absent, tmp_path):
    class_folders(tmp_path, count=4)
    for at in range(40):
        write(tmp_path / "dog" / f"{at}.heic", HEADER)
    with pytest.raises(DataError) as caught:
        images(tmp_path)
    assert caught.value.fix.startswith(INSTALL)


def test_other_faults_are_not_mended_by_the_package(absent, tmp_path):
    class_folders(tmp_path, count=4)
    for at in range(40):
        write(tmp_path / "dog" / f"{at}.jpg", b"no picture")
    write(tmp_path / "dog" / "1.heic", HEADER)
    with pytest.raises(DataError) as caught:
        images(tmp_path)
    assert INSTALL not in caught.value.fix


def test_with_the_package_pixels_are_those_of_the_photo(heif):
    decoded = Decoder((64, 64))(heic(1))
    difference = np.abs(decoded.pixels.astype(int) - picture(1, 64, 64)).mean()
    assert decoded.format == "HEIF" and difference < 6  # it is a lossy format
    other = np.abs(decoded.pixels.astype(int) - picture(2, 64, 64)).mean()
    assert other > 20  # planted: another photo is not as near
    assert "pillow-heif" in decoder_name()  # a cache made without it is not taken for this one


def test_with_the_package_phones_photos_stand_upright(heif):
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = picture(3, 64, 96)
    decoded = Decoder((96, 64))(encoded(pixels, "HEIF", quality=95, exif=exif.tobytes()))
    upright = np.rot90(pixels, -1)
    assert decoded.original == (96, 64)
    assert np.abs(decoded.pixels.astype(int) - upright).mean() < 6


def test_with_the_package_damage_and_size_are_told_apart(heif):
    whole = heic(4)
    for cut in (40, len(whole) // 2):
        with pytest.raises(DecodeError) as caught:
            Decoder((8, 8))(whole[:cut])
        assert caught.value.kind == "broken"
    with pytest.raises(DecodeError) as caught:
        Decoder((8, 8), max_pixels=1000)(whole)
    assert caught.value.kind == "huge"


def test_a_folder_of_heic_is_a_data_set(heif, tmp_path):
    for at in range(12):
        for start, name in enumerate(("cat", "dog")):
            write(Path(tmp_path) / name / f"{at}.heic", heic(1000 * start + at))
    data = images(tmp_path)
    assert sum(len(part) for part in data.parts.values()) == 24 and data.size == (64, 64)


def test_avif_is_read_by_pillow_itself():
    if "AVIF" not in module.formats():
        pytest.skip("this Pillow was built without AVIF")
    assert Decoder((64, 64))(encoded(picture(5, 64, 64), "AVIF", quality=95)).format == "AVIF"
