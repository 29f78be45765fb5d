"""C1 to C14 of FAULTS.md: every kind of picture, sound or not, on both decoders."""

import io
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import bomb, encoded, exif, picture, sixteen_bit_ramp
from PIL import EpsImagePlugin, Image, ImageOps

from stroma.core.errors import DataError
from stroma.data import decode as module
from stroma.data.decode import DecodeError, Decoder, Note, fit, header_size

PLAIN = Decoder((40, 40))


def kind_of(data: bytes, decoder: Decoder = PLAIN) -> str:
    with pytest.raises(DecodeError) as error, module.quiet_pillow():
        decoder(data)
    return error.value.kind


def without_simplejpeg(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_simplejpeg", lambda: None)


@pytest.mark.parametrize("format", ["PNG", "BMP", "TIFF", "PPM", "GIF", "QOI"])
def test_lossless_formats_give_the_same_pixels(format: str) -> None:
    pixels = np.repeat(picture(1)[..., :1], 3, axis=2)  # grey: fits a GIF's 256 colours
    assert np.array_equal(PLAIN(encoded(pixels, format)).pixels, pixels)


@pytest.mark.parametrize("format", ["JPEG", "WEBP", "AVIF"])
def test_lossy_formats_equal_pillows_own_reading(format: str) -> None:
    if format not in module.formats():
        pytest.skip(f"this Pillow was built without {format}")
    data = encoded(picture(2), format)
    assert np.array_equal(PLAIN(data).pixels, np.asarray(Image.open(io.BytesIO(data))))


@pytest.mark.parametrize("subsampling", [0, 1, 2])
def test_jpeg_roads_agree_bit_for_bit(subsampling: int, monkeypatch: pytest.MonkeyPatch) -> None:
    data = encoded(picture(3), "JPEG", quality=80, subsampling=subsampling)
    fast = PLAIN(data).pixels
    without_simplejpeg(monkeypatch)
    assert np.array_equal(PLAIN(data).pixels, fast)


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(
    orientation: int, fast: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not fast:
        without_simplejpeg(monkeypatch)
    data = encoded(picture(4, 24, 40), "JPEG", exif=exif(orientation), subsampling=0)
    with Image.open(io.BytesIO(data)) as image:
        upright = np.asarray(ImageOps.exif_transpose(image))
    decoded = Decoder(upright.shape[:2])(data)  # type: ignore[arg-type]  # two ints
    assert np.array_equal(decoded.pixels, upright)
    assert decoded.original == upright.shape[:2]
    assert bool(decoded.notes & Note.EXIF_ROTATED) == (orientation > 1)
    assert header_size(data) == upright.shape[:2]


def test_broken_exif_costs_the_note_not_the_picture() -> None:
    sound = encoded(picture(5), "JPEG", exif=exif(6))
    at = sound.index(b"Exif\0\0") + 6
    with module.quiet_pillow():
        decoded = PLAIN(sound[:at] + b"\xff" * 8 + sound[at + 8 :])
    assert decoded.pixels.shape == (40, 40, 3)
    assert decoded.notes & (Note.BROKEN_METADATA | Note.EXIF_ROTATED) != Note.EXIF_ROTATED


def test_sixteen_bit_grey_is_scaled_not_clipped() -> None:
    decoded = PLAIN(sixteen_bit_ramp())
    expected = np.linspace(0, 255, 1600).reshape(40, 40)
    assert np.abs(decoded.pixels[..., 0] - expected).max() <= 1
    assert decoded.notes & Note.SIXTEEN_BIT
    clipped = np.asarray(Image.open(io.BytesIO(sixteen_bit_ramp())).point(lambda v: v).convert("L"))
    assert clipped.mean() > 250 > decoded.pixels.mean()  # what everyone else shows: white


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.linspace(0, 1, 64), np.linspace(0, 255, 64)),
        (np.linspace(0, 255, 64), np.linspace(0, 255, 64)),
        (np.linspace(-5, 1000, 64), np.linspace(0, 255, 64)),
    ],
)
def test_float_tiff_by_its_range(values: np.ndarray, expected: np.ndarray) -> None:
    image = Image.fromarray(values.reshape(8, 8).astype(np.float32))
    decoded = Decoder((8, 8))(encoded(image, "TIFF"))
    assert np.abs(decoded.pixels[..., 1].ravel() - expected).max() <= 1


def test_nan_pixels_are_broken() -> None:
    image = Image.fromarray(np.full((8, 8), np.nan, np.float32))
    assert kind_of(encoded(image, "TIFF")) == "broken"


def test_cmyk_is_the_same_on_both_roads(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encoded(Image.fromarray(picture(6)).convert("CMYK"), "JPEG", quality=95)
    decoded = PLAIN(data)
    assert decoded.notes & Note.CMYK
    assert np.abs(decoded.pixels.astype(int) - picture(6)).mean() < 8
    without_simplejpeg(monkeypatch)
    assert np.array_equal(PLAIN(data).pixels, decoded.pixels)


def test_transparent_pixels_show_the_background_not_the_hidden_colour() -> None:
    hidden = np.zeros((40, 40, 4), np.uint8)
    hidden[..., 0] = 255  # red under full transparency
    decoded = Decoder((40, 40), background=(10, 200, 30))(encoded(hidden))
    assert np.array_equal(decoded.pixels, np.broadcast_to((10, 200, 30), (40, 40, 3)))
    assert decoded.notes & Note.ALPHA
    assert (PLAIN(encoded(hidden)).pixels == 255).all()
    grey = Image.merge("LA", [Image.new("L", (40, 40), 9), Image.new("L", (40, 40), 128)])
    assert abs(int(PLAIN(encoded(grey)).pixels[0, 0, 0]) - 132) <= 1


def test_palette_with_transparency() -> None:
    image = Image.new("P", (40, 40), 1)
    image.putpalette([255, 0, 0, 0, 0, 255])
    data = encoded(image, "GIF", transparency=1)
    assert (PLAIN(data).pixels == 255).all()
    assert (PLAIN(encoded(image)).pixels == (0, 0, 255)).all()


def test_bilevel_grey_lab_and_tiny() -> None:
    bits = Image.fromarray(picture(7)[..., 0] > 127)
    assert set(np.unique(PLAIN(encoded(bits)).pixels)) <= {0, 255}
    lab = Image.new("LAB", (40, 40), (255, 128, 128))
    assert PLAIN(encoded(lab, "TIFF")).pixels.min() > 240
    dot = PLAIN(encoded(np.full((1, 1, 3), 77, np.uint8)))
    assert (dot.pixels == 77).all() and dot.notes & Note.TINY
    assert PLAIN(encoded(np.zeros((1, 20_000, 3), np.uint8))).pixels.shape == (40, 40, 3)


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG"])
def test_animations_give_their_first_frame(format: str) -> None:
    frames = [Image.new("RGB", (40, 40), colour) for colour in ("red", "blue")]
    options = {"lossless": True} if format == "WEBP" else {}
    data = encoded(frames[0], format, save_all=True, append_images=frames[1:], **options)
    decoded = PLAIN(data)
    assert (decoded.pixels == (255, 0, 0)).all()
    assert decoded.notes & Note.ANIMATED


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF"])
@pytest.mark.parametrize("share", [0.3, 0.7])
def test_cut_off_files_are_broken(format: str, share: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    data = encoded(noise, format)
    assert kind_of(data[: int(len(data) * share)]) in ("broken", "not_an_image")


def test_flipped_byte_in_a_jpeg_survives() -> None:
    data = bytearray(encoded(picture(8), "JPEG"))
    data[len(data) // 2] ^= 0x10
    assert PLAIN(bytes(data)).pixels.shape == (40, 40, 3)


def test_what_is_no_picture_is_named() -> None:
    assert kind_of(b"") == "empty"
    for data, word in (
        (b"<!DOCTYPE html><html>404</html>", "HTML"),
        (b"hello, I am text", "text"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "EPS"),
        (b"%PDF-1.7", "PDF"),
        (b"PK\x03\x04rest", "zip"),
        (b"\x00\x01\x02" * 50, "no picture format"),
    ):
        with pytest.raises(DecodeError, match=word) as error:
            PLAIN(data)
        assert error.value.kind == "not_an_image"


def test_eps_never_starts_a_program(monkeypatch: pytest.MonkeyPatch) -> None:
    def planted(*args: object, **kwargs: object) -> None:
        raise AssertionError("a program was started")

    monkeypatch.setattr(subprocess, "Popen", planted)
    eps = encoded(picture(9), "EPS")
    monkeypatch.setattr(EpsImagePlugin, "gs_binary", "gs")
    with pytest.raises(AssertionError, match="a program"):  # the plant works: Pillow alone does it
        Image.open(io.BytesIO(eps)).load()
    assert kind_of(eps) == "not_an_image"


@pytest.mark.parametrize("side", [9000, 10_000, 30_000])
def test_pixel_bombs_are_refused_by_their_header(side: int) -> None:
    assert kind_of(bomb(side, side)) == "huge"


def test_jpeg_is_decoded_at_a_reduced_scale(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encoded(picture(10, 800, 1200), "JPEG", quality=95)
    exact = fit(picture(10, 800, 1200), (64, 64)).astype(int)
    seen = []
    real = module.fit
    monkeypatch.setattr(module, "fit", lambda p, s: seen.append(p.shape) or real(p, s))
    for step in range(2):
        decoded = Decoder((64, 64))(data)
        assert decoded.original == (800, 1200)
        assert np.abs(decoded.pixels - exact).mean() < 2
        assert 64 <= seen[step][0] <= 200  # not 800: the codec did the reduction
        without_simplejpeg(monkeypatch)


def test_fit_keeps_the_aspect_and_does_not_alias() -> None:
    checker = np.indices((512, 512)).sum(0) % 2 * 255
    grey = fit(np.repeat(checker[..., None], 3, 2).astype(np.uint8), (32, 32))
    assert np.abs(grey.astype(int) - 127).max() <= 2  # aliasing would give 0 or 255
    wide = np.zeros((100, 300, 3), np.uint8)
    wide[:, 100:200] = 255
    assert (fit(wide, (50, 50)) == 255)[:, 2:-2].all()  # the middle third, nothing else


@given(
    st.tuples(st.integers(1, 90), st.integers(1, 90)),
    st.tuples(st.integers(1, 64), st.integers(1, 64)),
)
@settings(max_examples=80, deadline=None)
def test_any_size_to_any_size(original: tuple[int, int], size: tuple[int, int]) -> None:
    flat = np.full((*original, 3), 93, np.uint8)
    decoded = Decoder(size)(encoded(flat, "JPEG", quality=100))
    assert decoded.pixels.shape == (*size, 3) and decoded.pixels.dtype == np.uint8
    assert np.abs(decoded.pixels.astype(int) - 93).max() <= 2
    assert decoded.original == original


@given(st.binary(max_size=300), st.sampled_from(["", "JPEG", "PNG", "GIF", "TIFF", "BMP", "WEBP"]))
@settings(max_examples=150, deadline=None)
def test_no_bytes_raise_anything_but_decode_error(noise: bytes, format: str) -> None:
    head = encoded(picture(0), format)[: 20 + len(noise)] if format else b""
    try:
        with module.quiet_pillow():
            PLAIN(head + noise)
    except DecodeError as error:
        assert error.kind in ("empty", "broken", "not_an_image", "unsupported", "huge")


def test_read_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"hello")
    with pytest.raises(DataError, match=r"a\.jpg: text"):
        PLAIN.read(path)
    path.write_bytes(encoded(picture(1)))
    assert np.array_equal(PLAIN.read(path), picture(1))
