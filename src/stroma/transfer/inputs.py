"""What this room asks of what it is given; every function of the room checks here, once."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Sequence
from os import PathLike
from typing import Any, TypeVar

import numpy as np
from torch import Tensor, float32, nn

from stroma.core.checks import check_int
from stroma.core.errors import ArgumentError, ArgumentTypeError, DataError, ShapeError
from stroma.core.layer import Layer
from stroma.data import ImageData, Part
from stroma.models import Model

T = TypeVar("T")

_ROWS = 1 << 14  # in one temporary
# Heads ship in float32, which ends at 3e38: weighted sums of larger features would not fit
_LARGEST = 1e30


def as_numbers(values: Any, name: str, *, owner: str) -> np.ndarray:
    """Real numbers as an array: also from tensors, on any device, of any dtype, with gradients.

    A memory map stays one.

    Raises: DataError: text, objects, complex numbers, or rows of different lengths.
    """
    try:
        if isinstance(values, Tensor):
            values = values.detach().cpu()
            narrow = values.is_floating_point() and values.element_size() < 4
            values = (values.to(float32) if narrow else values).numpy()
        array: np.ndarray = np.asanyarray(values)
    except (TypeError, ValueError, RuntimeError) as error:  # ragged, or no array can be made of it
        raise _no_numbers(name, str(error), owner) from None
    if array.dtype.kind not in "fiub":
        raise _no_numbers(name, f"{array.dtype}, of shape {array.shape}", owner)
    if array.dtype == np.float16:
        array = array.astype(np.float32)
    return array


def as_features(values: Any, *, owner: str, size: int | None = None) -> np.ndarray:
    """(N, D) finite numbers, D >= 1; where `size` is said, it is D.

    Raises: DataError: what is wrong with them, and in which row.
    """
    x = as_numbers(values, "features", owner=owner)
    if x.ndim != 2 or not x.shape[1] or size not in (None, x.shape[1]):
        wanted = "D" if size is None else str(size)
        raise DataError(
            f"{owner}: features have the shape {x.shape}, not (N, {wanted})",
            where=f"{owner}(features)",
            why="each photo has one row of numbers"
            + (f", {size} as those that were fitted" if size else ", one or more"),
            fix="features[None] for a single photo" if x.ndim == 1 else "features(base, part)",
        )
    bad = _first_row(x, lambda rows: ~np.isfinite(rows))
    if bad is not None:
        raise DataError(
            f"{owner}: the features of row {bad} are not finite",
            where=f"{owner}(features), the first in row {bad}",
            why="the base network overflowed, or its weights are damaged",
            fix='precision="float32" for the features, or other weights',
        )
    large = _first_row(x, lambda rows: np.abs(rows) > _LARGEST) if x.dtype.kind == "f" else None
    if large is not None:
        raise DataError(
            f"{owner}: the features of row {large} exceed {_LARGEST:g}",
            where=f"{owner}(features), the first in row {large}",
            why="a head ships in float32, whose numbers end at 3e38",
            fix="divide all features by the same large number",
        )
    return x


def as_labels(values: Any, count: int, classes: int, *, owner: str) -> np.ndarray:
    """(N,) int64 class indices below `classes`. Raises: DataError: they are none."""
    y = as_numbers(values, "labels", owner=owner)
    if y.shape != (count,) or y.dtype.kind not in "iu":
        raise DataError(
            f"{owner}: {count} rows of features and labels {y.shape} of {y.dtype} do not fit"
            " together",
            where=f"{owner}(labels)",
            why="each photo has the index of its class",
            fix="labels (N,) of whole numbers: part.labels",
        )
    if count and (y.min() < 0 or y.max() >= classes):
        raise DataError(
            f"{owner}: labels from {y.min()} to {y.max()} for {classes} classes",
            where=f"{owner}(labels)",
            why=f"a label is the index of a class, 0 to {classes - 1}",
            fix=f"classes={int(y.max()) + 1}, if the labels are right",
        )
    return y.astype(np.int64)


def as_samples(
    features: Any, labels: Any, classes: Any, *, owner: str
) -> tuple[np.ndarray, np.ndarray]:
    """Features (N, D) and labels (N,) that a head can be fitted on: two samples, two classes."""
    count = check_int("classes", classes, owner=owner, minimum=2)
    x = as_features(features, owner=owner)
    y = as_labels(labels, len(x), count, owner=owner)
    if len(x) < 2:
        raise DataError(
            f"{owner}: {len(x)} samples",
            where=f"{owner}(features, labels)",
            why="telling apart takes two samples or more",
            fix="features (N, D), labels (N,) of whole numbers",
        )
    _several(y, owner)
    return x, y


def as_weights(values: Any, count: int, *, owner: str) -> np.ndarray:
    """(N,) float64 weights, 0 or more; ones for None."""
    if values is None:
        return np.ones(count)
    weight = as_numbers(values, "sample_weight", owner=owner).astype(np.float64)
    if weight.shape != (count,) or not np.isfinite(weight).all() or (weight < 0).any():
        raise DataError(
            f"{owner}: sample_weight {weight.shape} for {count} samples",
            where=f"{owner}.fit(sample_weight=...)",
            why="each sample needs one finite weight, 0 or more",
            fix="sample_weight=None",
        )
    return weight


def as_tuple(
    name: str, value: Any, kind: type[T] | tuple[type, ...], *, owner: str
) -> tuple[T, ...]:
    """Several things of one kind: a list of them, a single one, or None for nothing."""
    if value is None:
        return ()
    if isinstance(value, kind):
        return (value,)  # type: ignore[return-value]  # it is of the kind
    listed = isinstance(value, Iterable) and not isinstance(value, (str, bytes, Tensor, type))
    several = tuple(value) if listed else (value,)
    for item in several:
        if not isinstance(item, kind):
            kinds = kind if isinstance(kind, tuple) else (kind,)
            wanted = " or ".join(one.__name__ for one in kinds)
            a_class = inspect.isclass(item) and issubclass(item, kind)
            raise ArgumentTypeError(
                f"{owner}: {name} holds {item!r} ({type(item).__name__}), no {wanted}",
                where=f"{owner}({name}=...)",
                why=f"{item.__name__} is the class, not one made of it"
                if a_class
                else f"it takes a list of {wanted}",
                fix=f"{owner}({name}=[{item.__name__ if a_class else wanted}(...)])",
            )
    return several


def several_numbers(
    name: str, values: float | Sequence[float] | np.ndarray, *, owner: str
) -> tuple[Any, ...]:
    """One number or several to try, one by one. Raises: ArgumentError: none."""
    listed = isinstance(values, Iterable) and not isinstance(values, (str, bytes))
    given = tuple(np.atleast_1d(as_numbers(values, name, owner=owner)).tolist()) if listed else ()
    if listed and not given:
        raise ArgumentError(
            f"{owner}: no {name} to try",
            where=f"{owner}({name}=[])",
            why="they are compared, and the best is taken",
            fix=f"{owner}({name}=(1,)), or the default",
        )
    return given if listed else (values,)


def as_base(base: Any, *, owner: str) -> nn.Module:
    """A network to take features of. Raises: ArgumentTypeError: it is none."""
    if isinstance(base, nn.Module):
        return base
    named = isinstance(base, (str, PathLike))
    raise ArgumentTypeError(
        f"{owner}: the base is {base!r} ({type(base).__name__}), no network",
        where=f"{owner}(base, ...)",
        why="features are what a network makes of pictures",
        fix=f"{owner}(stroma.transfer.load_base({str(base)!r}), ...)"
        if named
        else f"{owner}(stroma.zoo.squeezenet1_1(weights='features', include_top=False), ...)",
    )


def as_image_data(data: Any, *, owner: str) -> ImageData:
    """Data with its parts, of two classes or more. Raises: ArgumentTypeError, DataError."""
    if not isinstance(data, ImageData):
        raise ArgumentTypeError(
            f"{owner}: the data is {_kind(data)}",
            where=f"{owner}(base, data)",
            why="it learns from the training part and chooses on validation",
            fix=f"{owner}(base, {_meant(data)})",
        )
    _several(data.train.labels, owner)
    return data


def as_part(part: Any, *, owner: str, first: str = "base") -> Part:
    """One part of a data set, which `owner` takes after `first`.

    Raises: ArgumentTypeError: it is something else.
    """
    if isinstance(part, Part):
        return part
    meant = "data.train" if isinstance(part, ImageData) else f"{_meant(part)}.train"
    raise ArgumentTypeError(
        f"{owner}: the pictures are {_kind(part)}",
        where=f"{owner}({first}, part)",
        why="pictures come as one part of a data set, in its order",
        fix=f"{owner}({first}, {meant})",
    )


def as_old_head(head: Any, *, owner: str) -> Layer:
    """A head as one layer. Raises: ArgumentTypeError: it is none."""
    if isinstance(head, Layer):
        return head
    raise ArgumentTypeError(
        f"{owner}: the old head is {head!r} ({type(head).__name__}), no layer",
        where=f"{owner}(head, ...)",
        why="it is run on the features: (B, D) -> (B, K)",
        fix=f"{owner}(stroma.Sequential(head.as_layers()), ...)"
        if hasattr(head, "as_layers")
        else f"{owner}(model.get_layer('fc'), ...)",
    )


def check_pictures(base: nn.Module, shape: tuple[int, ...], *, owner: str) -> None:
    """Whether `base` takes pictures of this (height, width, channels).

    Raises: ShapeError: it takes others.
    """
    if not (isinstance(base, Model) and base.inputs and len(base.inputs) == 1):
        return
    wanted = tuple(base.input_shape[1:])
    if len(wanted) != 3 or all(own in (None, given) for own, given in zip(wanted, shape)):
        return
    if wanted[2] not in (None, shape[2]):
        raise ShapeError(
            f"the pictures have {_channels(shape[2])}, the base takes {_channels(wanted[2])}",
            where=f"{owner}(base, data)",
            why="each channel has weights of its own",
            fix="data.images(path), which reads every picture as RGB"
            if wanted[2] == 3
            else f"build the base with input_shape={tuple(shape)}",
        )
    raise ShapeError(
        f"the pictures are {tuple(shape)}, the base takes {wanted}",
        where=f"{owner}(base, data)",
        why="a network sees things at the size it was trained on",
        fix=f"data.images(path, size={wanted[:2]})",
    )


def _channels(count: int | None) -> str:
    names = {1: "1 channel (grey)", 3: "3 channels (RGB)", 4: "4 channels (RGBA)"}
    return names.get(count or 0, f"{count} channels")


def _several(labels: np.ndarray, owner: str) -> None:
    if not len(labels) or labels.min() == labels.max():
        which = f"are of class {labels[0]}" if len(labels) else "there are"
        raise DataError(
            f"{owner}: all {len(labels)} samples {which}",
            where=f"{owner}(labels)",
            why="one class cannot be told from another",
            fix="add samples of the other classes",
        )


def _kind(data: Any) -> str:
    if isinstance(data, (str, PathLike)):
        return f"a path, {str(data)!r}"
    if isinstance(data, Part):
        return "one part of a data set"
    return f"a {type(data).__name__}"


def _meant(data: Any) -> str:
    if isinstance(data, (str, PathLike)):
        return f"stroma.data.images({str(data)!r})"
    if isinstance(data, Part):
        return "data"
    if isinstance(data, (tuple, list, np.ndarray, Tensor)):
        return "stroma.data.arrays(x, y)"
    return "stroma.data.images('photos/')"


def _first_row(x: np.ndarray, bad: Any) -> int | None:
    for start in range(0, len(x), _ROWS):
        rows = bad(x[start : start + _ROWS]).any(1)
        if rows.any():
            return start + int(rows.argmax())
    return None


def _no_numbers(name: str, got: str, owner: str) -> DataError:
    return DataError(
        f"{owner}: {name} are no table of real numbers: {got}",
        where=f"{owner}({name})",
        why="they are calculated with",
        fix=f"{name} as an array or tensor of numbers, all rows of one length",
    )
