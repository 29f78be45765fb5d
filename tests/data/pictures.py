"""Real bytes for the tests of `data/`: pictures that all differ, in every format and fault."""

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


def picture(seed: int, height: int = 40, width: int = 40) -> np.ndarray:
    """A smooth random picture (H, W, 3): no two seeds look alike, JPEG keeps it well."""
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 5, 3), dtype=np.uint8)
    image = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(image)


def encoded(pixels: np.ndarray | Image.Image, format: str = "PNG", **options: Any) -> bytes:
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    stream = io.BytesIO()
    image.save(stream, format, **options)
    return stream.getvalue()


def write(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def class_folders(
    root: Path, classes: tuple[str, ...] = ("cat", "dog"), count: int = 20, first: int = 0
) -> Path:
    """`count` PNG pictures in each class folder."""
    for at, name in enumerate(classes):
        for i in range(count):
            seed = first + 1000 * at + i
            write(root / name / f"{i:03d}.png", encoded(picture(seed)))
    return root


def exif(orientation: int) -> bytes:
    data = Image.Exif()
    data[0x0112] = orientation
    return data.tobytes()


def bomb(width: int = 30_000, height: int = 30_000) -> bytes:
    """A PNG of a few bytes that declares width x height pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 10)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def sixteen_bit_ramp(side: int = 40) -> bytes:
    ramp = np.linspace(0, 65_535, side * side).reshape(side, side).astype(np.uint16)
    return encoded(Image.fromarray(ramp), "PNG")
