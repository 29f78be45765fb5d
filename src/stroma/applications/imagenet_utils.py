"""Pictures into Keras' networks, and the names of ImageNet's classes out of them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from stroma.core.checks import check_choice, check_positive_int
from stroma.core.errors import FileFormatError, ShapeError, WeightsError
from stroma.core.preprocessing import PREPROCESSING_MODES
from stroma.core.symbolic import is_symbolic

__all__ = ["decode_predictions", "preprocess_input"]

Mode = Literal["caffe", "tf", "torch"]
_CLASSES = 1000
_INDEX = "imagenet_class_index.json"


def preprocess_input(x: Any, data_format: str | None = None, mode: Mode = "caffe") -> Any:
    """Pixels 0 to 255 as a network was trained to see them.

    "tf": x / 127.5 - 1; "torch": (x / 255 - mean) / std of each colour; "caffe": BGR - mean.

    Args:
        x: Pictures in RGB: an array, a tensor, or a symbolic tensor while a network is built.
        data_format: "channels_last" (what None means) or "channels_first".
        mode: Which of the three.

    Returns: The same kind of thing, floating-point. `x` itself is left alone; Keras writes the
        result over an array of floats.
    Shape: (B, H, W, 3) -> (B, H, W, 3)
    Raises: ArgumentError: another mode or data_format; ShapeError: there are not three colours.
    Example:
        >>> preprocess_input(np.array([[[0.0, 127.5, 255.0]]]), mode="tf").tolist()
        [[[-1.0, 0.0, 1.0]]]

    Reference: Keras 3 `keras.applications.imagenet_utils`.
    """
    check_choice("mode", mode, ("caffe", "tf", "torch"), owner="preprocess_input")
    _check_format(data_format)
    axis = -3 if data_format == "channels_first" else -1
    if not is_symbolic(x) and not isinstance(x, torch.Tensor):
        array = np.asarray(x)
        kept = array.dtype if np.issubdtype(array.dtype, np.floating) else np.float32
        values = torch.from_numpy(np.ascontiguousarray(array))
        return _applied(values, axis, mode).numpy().astype(kept, copy=False)
    return _applied(x, axis, mode)


def _check_format(data_format: str | None) -> None:
    formats = (None, "channels_last", "channels_first")
    check_choice("data_format", data_format, formats, owner="preprocess_input")


def _applied(x: Any, axis: int, mode: Mode) -> Any:
    if len(x.shape) < -axis or x.shape[axis] not in (3, None):
        raise ShapeError(
            f"preprocess_input: axis {axis} must hold 3 colours, got {tuple(x.shape)}",
            where="preprocess_input(x)",
            why="each colour has its own mean",
            fix='pictures as (batch, height, width, 3), or data_format="channels_first"',
        )
    x = x if x.dtype.is_floating_point else x.to(torch.float32)
    if mode == "tf":
        return x / 127.5 - 1.0
    how = PREPROCESSING_MODES[mode]
    if how.color == "bgr":
        x = torch.flip(x, [axis % len(x.shape)])
    shape = [3] + [1] * (-axis - 1)
    mean, std = (
        torch.tensor(numbers, dtype=x.dtype, device=x.device).reshape(shape)
        for numbers in (how.mean, how.std)
    )
    return (x * how.scale - mean) / std if mode == "torch" else x - mean


def preprocessing(mode: Mode | None) -> Callable[..., Any]:
    """`preprocess_input` of one family: with its mode, or None where the network scales itself."""

    def preprocess_input(x: Any, data_format: str | None = None) -> Any:
        _check_format(data_format)
        return x if mode is None else globals()["preprocess_input"](x, data_format, mode)

    how = f'in mode "{mode}"' if mode else "as they are: the network scales them itself"
    preprocess_input.__doc__ = f"""Pixels 0 to 255 {how}.

    Arguments as `imagenet_utils.preprocess_input`.
    """
    return preprocess_input


def decode_predictions(preds: Any, top: int = 5) -> list[list[tuple[str, str, float]]]:
    """The `top` likeliest of ImageNet's 1000 classes for each picture, best first.

    Args:
        preds: Probabilities, an array or tensor.
        top: How many, >= 1.

    Returns: For each picture, tuples of the class' WordNet number, its name and its probability.
    Shape: (B, 1000) -> B lists
    Raises: ShapeError: not 1000 classes; WeightsError: the file of class names is not there (it
        is Keras' `imagenet_class_index.json`, and nothing is downloaded unasked);
        FileFormatError: it is not that file.
    Reference: Keras 3 `keras.applications.imagenet_utils`. It is looked for where Keras keeps it:
        `$KERAS_HOME/models`, or `~/.keras/models`.
    """
    check_positive_int("top", top, owner="decode_predictions")
    values = preds.detach().cpu().numpy() if isinstance(preds, torch.Tensor) else np.asarray(preds)
    if values.ndim != 2 or values.shape[1] != _CLASSES:
        raise ShapeError(
            f"decode_predictions: needs (batch, {_CLASSES}) predictions, got {values.shape}",
            where="decode_predictions(preds)",
            why=f"ImageNet has {_CLASSES} classes, and only these have names here",
            fix="for your own classes: [names[i] for i in preds.argmax(-1)]",
        )
    home = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
    names = _class_names(home / "models" / _INDEX)
    best = np.argsort(-values, axis=1, kind="stable")[:, :top]
    return [[(*names[i], row[i]) for i in chosen] for row, chosen in zip(values, best)]


@cache
def _class_names(path: Path) -> list[tuple[str, str]]:
    """WordNet number and name of each class, in order."""
    where = str(path)
    if not path.is_file():
        raise WeightsError(
            f"the names of ImageNet's classes are not on this machine: no file {path}",
            where="decode_predictions(preds)",
            why="nothing is downloaded unasked",
            fix=f"put Keras' {_INDEX} there; Keras' own decode_predictions fetches it",
        )
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
        names = [(str(number), str(name)) for number, name in map(index.get, map(str, range(1000)))]
    except (ValueError, TypeError, AttributeError) as error:
        raise FileFormatError(
            f"{path.name} does not hold the names of {_CLASSES} classes",
            where=where,
            why='it should be {"0": ["n01440764", "tench"], ...}',
            fix=f"replace it by Keras' {_INDEX}",
        ) from error
    return names
