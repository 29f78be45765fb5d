"""Bytes to pixels: one picture as uint8 RGB of a fixed size.

JPEG files go through simplejpeg where it is installed (libjpeg-turbo without Pillow's overhead),
everything else, and every JPEG out of the ordinary, through Pillow with a closed list of formats.
Both use libjpeg's accurate inverse DCT and smooth chroma, so a picture that already has the
target size comes out the same, bit for bit, on either road.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntFlag
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import PIL
from PIL import ExifTags, Image, ImageCms, UnidentifiedImageError

from stroma.core.errors import DataError
from stroma.core.optional import available, require

# No EPS (Pillow would start Ghostscript), no format that needs a helper program or a network, and
# none without a signature (TGA): random bytes would decode to noise instead of being refused.
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "DIB", "WEBP", "TIFF", "PPM", "AVIF", "JPEG2000", "QOI",
           "HEIF")  # fmt: skip
_HEIC = (b"ftypheic", b"ftypheix", b"ftypmif1", b"ftyphevc", b"ftypmsf1", b"ftyphevx")
_AVIF = (b"ftypavif", b"ftypavis")
_SWAPPED = (5, 6, 7, 8)  # orientations that swap height and width


class Note(IntFlag):
    """What was special about a picture; names in lower case are audit kinds or tallies."""

    EXIF_ROTATED = 1
    SIXTEEN_BIT = 2
    CMYK = 4
    ALPHA = 8
    ANIMATED = 16
    TINY = 32
    WRONG_EXTENSION = 64
    BROKEN_METADATA = 128
    GREYSCALE = 256
    PALETTE = 512


class DecodeError(DataError):
    """Bytes that are no usable picture; `kind` is the audit's word for it."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(
            reason,
            where="the bytes of a picture",
            why="pixels are needed to learn from or to judge",
            fix="open it in a viewer, and save it again as JPEG or PNG",
        )
        self.kind = kind

    def __reduce__(self) -> tuple[object, ...]:
        return DecodeError, (self.kind, self.what)


@dataclass(frozen=True, slots=True)
class Decoded:
    """A decoded picture: pixels (H, W, 3) uint8, upright; original (height, width); notes."""

    pixels: np.ndarray
    original: tuple[int, int]
    notes: Note
    format: str


@dataclass(frozen=True, slots=True)
class Decoder:
    """Decodes pictures to one size: shorter side scaled with antialiasing, centre cut out.

    A picture that already has the size is not touched. What a model was trained with is what it
    must be asked with: this object is the geometry half of a model's preprocessing.

    Args:
        size: (height, width) of the result, pixels.
        background: Colour behind transparent pixels, 0 to 255 each.
        max_pixels: Larger pictures are refused by their header, before anything is allocated.
    """

    size: tuple[int, int]
    background: tuple[int, int, int] = (255, 255, 255)
    max_pixels: int = 64_000_000

    def __call__(self, data: bytes) -> Decoded:
        """Raises: DecodeError, with the reason in words."""
        if not data:
            raise DecodeError("empty", "the file is empty")
        if data[:3] == b"\xff\xd8\xff" and (fast := self._fast_jpeg(data)) is not None:
            return fast
        return self._pillow(data)

    def read(self, path: str | Path) -> np.ndarray:
        """The picture in a file, (H, W, 3) uint8."""
        try:
            with quiet_pillow():
                return self(Path(path).read_bytes()).pixels
        except (OSError, DecodeError) as error:
            raise DataError(
                f"{path}: {getattr(error, 'what', error)}",
                where=str(path),
                why="a picture was expected",
                fix="give the path of a JPEG, PNG, WebP, GIF, BMP or TIFF picture",
            ) from error

    def _fast_jpeg(self, data: bytes) -> Decoded | None:
        """Most JPEG files; None hands the odd ones (CMYK, damaged, no simplejpeg) to Pillow."""
        jpeg = _simplejpeg()
        if jpeg is None:
            return None
        try:
            height, width, colours, _ = jpeg.decode_jpeg_header(data)
        except ValueError:
            return None
        self._check_pixels(height, width)
        if colours not in ("YCbCr", "RGB", "Gray", "GRAY"):
            return None
        orientation, notes = _jpeg_orientation(data)
        upright = (width, height) if orientation in _SWAPPED else (height, width)
        least = _least_size(upright, self.size)
        if orientation in _SWAPPED:
            least = least[::-1]
        try:
            pixels = jpeg.decode_jpeg(
                data, "RGB", fastdct=False, fastupsample=False,
                min_height=least[0], min_width=least[1],
            )  # fmt: skip
        except ValueError:  # Pillow tells "cut off" from "odd but whole"
            return None
        if colours in ("Gray", "GRAY"):
            notes |= Note.GREYSCALE
        image = Image.fromarray(pixels) if orientation != 1 else None
        if image is not None:
            pixels = np.asarray(_turn(image, orientation))
        return self._finish(pixels, upright, notes, "JPEG")

    def _pillow(self, data: bytes) -> Decoded:
        try:
            with Image.open(io.BytesIO(data), formats=formats()) as image:
                self._check_pixels(image.height, image.width)
                notes = _container_notes(image, data)
                orientation, exif_notes = _orientation(image)
                swapped = orientation in _SWAPPED
                upright = (image.width, image.height) if swapped else (image.height, image.width)
                if image.format in ("JPEG", "MPO"):
                    least = _least_size(upright, self.size)
                    wide, high = (least[0], least[1]) if swapped else (least[1], least[0])
                    image.draft(None, (wide, high))
                rgb, mode_notes = to_rgb(image, self.background)
        except UnidentifiedImageError:
            raise DecodeError(*_what_it_is(data)) from None
        except Image.DecompressionBombError:
            raise DecodeError("huge", "more pixels than Pillow agrees to open") from None
        except DecodeError:
            raise
        except (OSError, SyntaxError, ValueError, EOFError, OverflowError, MemoryError) as error:
            raise DecodeError("broken", f"cannot be decoded: {error}") from None
        except Exception as error:  # Pillow's readers raise struct.error, KeyError, ... on damage
            raise DecodeError("broken", f"cannot be decoded ({type(error).__name__})") from None
        pixels = np.asarray(_turn(rgb, orientation))
        kind = "JPEG" if image.format == "MPO" else str(image.format)
        return self._finish(pixels, upright, notes | exif_notes | mode_notes, kind)

    def _check_pixels(self, height: int, width: int) -> None:
        if height * width > self.max_pixels:
            raise DecodeError(
                "huge", f"{width} x {height} pixels, the limit is {self.max_pixels:,}"
            )

    def _finish(
        self, pixels: np.ndarray, original: tuple[int, int], notes: Note, format: str
    ) -> Decoded:
        if min(original) < 8:
            notes |= Note.TINY
        return Decoded(fit(pixels, self.size), original, notes, format)


def fit(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(H, W, 3) pixels cut to the aspect of `size` about the centre and scaled to it.

    Triangle filter with antialiasing (Pillow's BILINEAR), in one step with the cut.
    """
    height, width = pixels.shape[:2]
    if (height, width) == size:
        return pixels
    scale = min(height / size[0], width / size[1])
    cut_h, cut_w = min(size[0] * scale, height), min(size[1] * scale, width)  # min: rounding
    top, left = (height - cut_h) / 2, (width - cut_w) / 2
    image = Image.fromarray(pixels).resize(
        (size[1], size[0]),
        Image.Resampling.BILINEAR,
        box=(left, top, left + cut_w, top + cut_h),
        reducing_gap=3.0,
    )
    return np.asarray(image)


def header_size(data: bytes) -> tuple[int, int] | None:
    """Upright (height, width) from the header alone, None where there is none."""
    try:
        with Image.open(io.BytesIO(data), formats=formats()) as image:
            swapped = _orientation(image)[0] in _SWAPPED
            return (image.width, image.height) if swapped else (image.height, image.width)
    except Exception:  # the scan will say what is wrong with it
        return None


@contextmanager
def quiet_pillow() -> Iterator[None]:
    """Pillow warns about damaged EXIF and large pictures; the audit says the same by name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@cache
def formats() -> tuple[str, ...]:
    """`FORMATS` that this Pillow was built with, and HEIF where pillow-heif is installed."""
    Image.init()
    known = set(Image.OPEN) - {"HEIF"}
    if _has_heif():
        require("pillow_heif").register_heif_opener()
        known.add("HEIF")
    return tuple(name for name in FORMATS if name in known)


@cache
def _simplejpeg() -> ModuleType | None:
    return require("simplejpeg") if available("simplejpeg") else None


def _has_heif() -> bool:
    return available("pillow_heif")


@cache
def _lab_to_srgb() -> Any:
    lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    return ImageCms.buildTransform(lab, srgb, "LAB", "RGB")


def decoder_name() -> str:
    """Which libraries decode: part of the cache's key, since their pixels may differ."""
    jpeg = _simplejpeg()
    name = f"Pillow {PIL.__version__}, simplejpeg {jpeg.__version__ if jpeg else 'absent'}"
    # named only where it is: caches of those who never meet a HEIC file stay valid
    return f"{name}, pillow-heif {require('pillow_heif').__version__}" if _has_heif() else name


def _least_size(upright: tuple[int, int], size: tuple[int, int]) -> tuple[int, int]:
    """The smallest (height, width) to decode at from which `size` is still a reduction."""
    scale = min(upright[0] / size[0], upright[1] / size[1], 1e9)
    if scale <= 1:
        return upright
    return int(np.ceil(upright[0] / scale)), int(np.ceil(upright[1] / scale))


def _jpeg_orientation(data: bytes) -> tuple[int, Note]:
    """EXIF orientation of a JPEG; Pillow is asked only where an EXIF block is in sight."""
    if b"Exif\0\0" not in data[: 1 << 16]:
        return 1, Note(0)
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG",)) as image:
            return _orientation(image)
    except Exception:  # unreadable metadata never costs the picture
        return 1, Note.BROKEN_METADATA


def _orientation(image: Image.Image) -> tuple[int, Note]:
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # Pillow raises almost anything on damaged EXIF
        return 1, Note.BROKEN_METADATA
    if value in range(2, 9):
        return int(value), Note.EXIF_ROTATED
    return 1, Note(0)


_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def _turn(image: Image.Image, orientation: int) -> Image.Image:
    return image.transpose(_TURNS[orientation]) if orientation in _TURNS else image


def _container_notes(image: Image.Image, data: bytes) -> Note:
    notes = Note(0)
    if getattr(image, "n_frames", 1) > 1 and image.format != "MPO":  # MPO: a phone's depth map
        notes |= Note.ANIMATED
    if image.format == "PNG" and len(data) > 24 and data[24] == 16:  # IHDR's bit depth
        notes |= Note.SIXTEEN_BIT
    return notes


def to_rgb(image: Image.Image, background: tuple[int, int, int]) -> tuple[Image.Image, Note]:
    """Any of Pillow's modes as 8-bit RGB.

    16-bit grey keeps its meaning (0 to 65,535 becomes 0 to 255) instead of being clipped to
    white; floats are read as 0 to 1 when they lie there, else stretched over their own range;
    transparent pixels show `background`, not the colour that happens to lie beneath.
    """
    mode = image.mode
    if mode == "RGB" and "transparency" not in image.info:
        image.load()
        return image, Note(0)
    if mode.startswith("I") or mode == "F":
        grey = _scaled(np.asarray(image), mode)
        return Image.fromarray(grey).convert("RGB"), Note.SIXTEEN_BIT | Note.GREYSCALE
    if mode == "LAB":
        return ImageCms.applyTransform(image, _lab_to_srgb()) or image, Note(0)
    notes = {"CMYK": Note.CMYK, "L": Note.GREYSCALE, "1": Note.GREYSCALE, "P": Note.PALETTE}
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        below = Image.new("RGBA", rgba.size, (*background, 255))
        return Image.alpha_composite(below, rgba).convert("RGB"), Note.ALPHA
    return image.convert("RGB"), notes.get(mode, Note(0))


def _scaled(values: np.ndarray, mode: str) -> np.ndarray:
    levels = values.astype(np.float64)
    if not np.isfinite(levels).all():
        raise DecodeError("broken", "the pixels hold NaN or infinity")
    low, high = float(levels.min()), float(levels.max())
    tops = {"F": (1.0, 255.0)}.get(mode, (65_535.0,))  # the ranges in which such files are written
    if low >= 0 and high <= tops[-1]:
        low, high = 0.0, next(top for top in tops if high <= top)
    span = high - low or 1.0
    return np.rint((levels - low) * (255.0 / span)).astype(np.uint8)


def _what_it_is(data: bytes) -> tuple[str, str]:
    """(kind, reason) of bytes that Pillow does not know, by their first bytes."""
    head = data[:512].lstrip().lower()
    if head.startswith((b"<!doctype html", b"<html")):
        return "not_an_image", "an HTML page, not a picture (a failed download?)"
    if data[4:12] in _HEIC and "HEIF" not in formats():
        return "heic", "HEIC: pip install pillow-heif, or export it as JPEG"
    if data[4:12] in _AVIF and "AVIF" not in formats():
        return "unsupported", "AVIF: pip install -U pillow, or export it as JPEG"
    if data[4:12] in _HEIC + _AVIF:
        return "broken", "the header is damaged or cut off"
    known = {
        b"%!ps": "EPS, a program for a printer", b"%pdf": "a PDF", b"pk\x03\x04": "a zip archive",
        b"8bps": "a Photoshop file", b"<?xml": "XML or SVG", b"<svg": "SVG", b"{": "JSON",
    }  # fmt: skip
    for magic, name in known.items():
        if head.startswith(magic):
            return "not_an_image", f"{name}, not a picture"
    if data[:3] == b"\xff\xd8\xff" or data[:8] == b"\x89PNG\r\n\x1a\n":
        return "broken", "the header is damaged or cut off"
    if not any(byte < 9 for byte in data[:512]):
        return "not_an_image", "text, not a picture"
    return "not_an_image", "no picture format that stroma reads"
