"""Pictures between files, Pillow and arrays. Pillow is loaded when the first one is."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import torch

from stroma.core.checks import check_choice
from stroma.core.errors import ArgumentError, DataError
from stroma.core.optional import require
from stroma.functional import pictures

_MODES = {"rgb": "RGB", "rgba": "RGBA", "grayscale": "L"}
_METHODS = ("nearest", "bilinear", "bicubic", "hamming", "box", "lanczos")
_FORMATS = ("JPEG", "PNG", "GIF", "BMP", "DIB", "WEBP", "TIFF", "PPM")


def load_img(
    path: Any,
    color_mode: str = "rgb",
    target_size: tuple[int, int] | None = None,
    interpolation: str = "nearest",
    keep_aspect_ratio: bool = False,
) -> Any:
    """A picture as a `PIL.Image`.

    Args:
        path: File, or a file's bytes in `io.BytesIO`.
        color_mode: "rgb", "rgba" or "grayscale".
        target_size: Height and width; its own when None.
        interpolation: "nearest", "bilinear", "bicubic", "hamming", "box" or "lanczos".
        keep_aspect_ratio: Cut the middle out instead of stretching.
    Raises: DataError: it is no picture. ArgumentError: a setting.
    """
    mode = _MODES[check_choice("color_mode", color_mode, _MODES, owner="load_img")]
    method = check_choice("interpolation", interpolation, _METHODS, owner="load_img")
    image_room, operations = require("PIL.Image"), require("PIL.ImageOps")
    file = path if isinstance(path, io.IOBase) else io.BytesIO(Path(path).read_bytes())
    try:
        picture = image_room.open(file, formats=_FORMATS)
        picture = operations.exif_transpose(picture).convert(mode)
    except (OSError, ValueError, image_room.DecompressionBombError) as error:
        raise DataError(
            f"this is no picture: {error}",
            where=str(path),
            why="pixels are needed",
            fix="stroma check FOLDER lists all files that cannot be read",
        ) from error
    if target_size is None or picture.size == (target_size[1], target_size[0]):
        return picture
    height, width = target_size
    box = None
    if keep_aspect_ratio:
        across = min(picture.width, picture.height * width // height)
        down = min(picture.height, picture.width * height // width)
        left, top = (picture.width - across) // 2, (picture.height - down) // 2
        box = (left, top, left + across, top + down)
    return picture.resize((width, height), image_room.Resampling[method.upper()], box)


def img_to_array(img: Any, data_format: str | None = None, dtype: Any = None) -> np.ndarray:
    """A `PIL.Image`, or an array, as (height, width, channels) of float32, 0 to 255.

    Args:
        img: The picture.
        data_format: "channels_last" or "channels_first".
        dtype: "float32" when None.
    """
    pixels = np.asarray(img, dtype=dtype or "float32")
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    return pixels.transpose(2, 0, 1) if data_format == "channels_first" else pixels.copy()


def array_to_img(x: Any, data_format: str | None = None, scale: bool = True,
                 dtype: Any = None) -> Any:  # fmt: skip
    """(height, width, channels) as a `PIL.Image`.

    Args:
        x: One, three or four channels.
        data_format: "channels_last" or "channels_first".
        scale: Stretch from the smallest to the largest number to 0 to 255.
        dtype: In which it is computed, "float32" when None.
    Raises: ArgumentError: it is not shaped like a picture.
    """
    pixels = np.asarray(x, dtype=dtype or "float32")
    if pixels.ndim == 3 and data_format == "channels_first":
        pixels = pixels.transpose(1, 2, 0)
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 3, 4):
        raise ArgumentError(
            f"array_to_img got shape {pixels.shape}",
            where="array_to_img(x)",
            why="a picture is (height, width, channels) with 1, 3 or 4 channels",
            fix="array_to_img(batch[0])",
        )
    if scale:
        pixels = pixels - pixels.min()
        pixels = pixels / (pixels.max() or 1) * 255
    deep = pixels.shape[2] == 1 and pixels.max() > 255
    whole = pixels.astype("int32" if deep else "uint8")
    return require("PIL.Image").fromarray(whole[..., 0] if whole.shape[2] == 1 else whole)


def save_img(path: Any, x: Any, data_format: str | None = None, file_format: str | None = None,
             scale: bool = True, **kwargs: Any) -> None:  # fmt: skip
    """Write an array as a picture.

    Args:
        path: File; its ending is the format unless `file_format` says another.
        x: (height, width, channels).
        data_format, scale: As in `array_to_img`.
        file_format: "png", "jpeg", ...
        kwargs: Pillow's own, such as quality=90.
    """
    picture = array_to_img(x, data_format, scale)
    name = {"jpg": "jpeg"}.get((file_format or "").lower(), file_format)
    ending = Path(path).suffix.lower() if isinstance(path, (str, Path)) else ""
    if picture.mode == "RGBA" and (name == "jpeg" or ending in (".jpg", ".jpeg")):
        picture = picture.convert("RGB")  # JPEG has no transparency
    picture.save(path, format=name, **kwargs)


def smart_resize(
    x: Any, size: tuple[int, int], interpolation: str = "bilinear",
    data_format: str = "channels_last", **kwargs: Any,
) -> Any:  # fmt: skip
    """Another size without stretching: the largest middle part of its aspect ratio, resized.

    Args:
        x: (height, width, channels), or a batch.
        size: Height and width.
        interpolation: "bilinear", "nearest", "bicubic", "lanczos3" or "lanczos5".
        data_format: "channels_last" or "channels_first".
        kwargs: Accepted for Keras' signature.
    """
    given = torch.as_tensor(x)
    y = pictures.resize(given, size=size, interpolation=interpolation, crop_to_aspect_ratio=True,
                        data_format=data_format)  # fmt: skip
    return y if isinstance(x, torch.Tensor) else y.numpy()
