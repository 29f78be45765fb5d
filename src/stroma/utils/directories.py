"""Data sets from folders whose sub-folders are classes, and from arrays over time."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stroma.core.checks import check_choice
from stroma.core.errors import ArgumentError, DataError
from stroma.core.seeds import mix
from stroma.functional import pictures
from stroma.functional.resizing import RESIZE_INTERPOLATIONS
from stroma.utils.datasets import Dataset, stacked
from stroma.utils.images import img_to_array, load_img

_PICTURES = (".bmp", ".gif", ".jpeg", ".jpg", ".png")
Read = Callable[[str], Any]


def _listed(folder: str, endings: tuple[str, ...], follow_links: bool) -> list[str]:
    walked = sorted(os.walk(folder, followlinks=follow_links), key=lambda found: found[0])
    return [os.path.join(root, name) for root, _, names in walked for name in sorted(names)
            if name.lower().endswith(endings)]  # fmt: skip


def _labelled(
    directory: str, labels: Any, class_names: Sequence[str] | None, endings: tuple[str, ...],
    follow_links: bool,
) -> tuple[list[str], Any, list[str] | None]:  # fmt: skip
    """Files in the order of their paths, their class numbers, and the classes' names."""
    if not os.path.isdir(directory):
        raise _no_files(directory, "there is no such folder")
    if labels != "inferred":
        files = _listed(directory, endings, follow_links)
        if labels is None:
            return files, None, None
        if len(labels) != len(files):
            raise _no_files(directory, f"{len(labels)} labels were given for {len(files)} files")
        return files, np.asarray(labels), [str(label) for label in sorted(set(labels))]
    found = sorted(
        entry.name for entry in os.scandir(directory)
        if entry.is_dir() and not entry.name.startswith(".")
    )  # fmt: skip
    if class_names is not None and not set(class_names) <= set(found):
        raise ArgumentError(
            f"class_names {list(class_names)} are not all folders: there are {found}",
            where=f"class_names=..., {directory}",
            why="each class is a folder of its name",
            fix=f"class_names={found}",
        )
    names = list(class_names or found)
    parts = [_listed(os.path.join(directory, n), endings, follow_links) for n in names]
    numbers = [number for number, part in enumerate(parts) for _ in part]
    return [file for part in parts for file in part], np.array(numbers, np.int32), names


def _no_files(directory: str, what: str) -> DataError:
    return DataError(
        what,
        where=str(directory),
        why="a class is a folder of files",
        fix="directory/class_a/1.png, directory/class_b/2.png, ...",
    )


def _parted(
    files: list[str], numbers: Any, shuffle: bool, seed: int | None, share: float | None,
    subset: str | None,
) -> list[tuple[list[str], Any]]:  # fmt: skip
    """The files shuffled by Keras' rule, and their last `share` cut off for validation."""
    if (share is None) != (subset is None):
        raise _unsplit("validation_split and subset belong together")
    if share and not 0 < share < 1:
        raise _unsplit(f"validation_split must lie in (0, 1), got {share}")
    if share and shuffle and seed is None:
        raise _unsplit("a shuffled split needs a seed: else both parts share samples")
    order = np.arange(len(files))
    if shuffle:
        start = np.random.randint(10**6) if seed is None else seed
        np.random.RandomState(start).shuffle(order)
    cut = len(files) - int((share or 0) * len(files))
    chosen = {"training": [order[:cut]], "validation": [order[cut:]], None: [order],
              "both": [order[:cut], order[cut:]]}[subset]  # fmt: skip
    return [([files[i] for i in rows], None if numbers is None else numbers[rows])
            for rows in chosen]  # fmt: skip


def _unsplit(what: str) -> ArgumentError:
    return ArgumentError(
        what,
        where="validation_split=..., subset=..., seed=...",
        why="two calls give the two parts of one order",
        fix="validation_split=0.2, subset='training', seed=1; then subset='validation'",
    )


def _targets(numbers: Any, mode: str | None, classes: int) -> Any:
    if numbers is None or mode is None:
        return None
    values = torch.as_tensor(numbers)
    if mode == "binary":
        if classes != 2:
            raise ArgumentError(
                f"label_mode='binary' is for two classes, and there are {classes}",
                where="label_mode='binary'",
                why="its labels are 0 and 1",
                fix="label_mode='int' or 'categorical'",
            )
        return values.float()[:, None]
    if mode == "categorical":
        return torch.nn.functional.one_hot(values.long(), classes).float()
    return values


def _from_files(
    read: Read, files: list[str], targets: Any, batch_size: int | None, shuffle: bool,
    seed: int | None, class_names: list[str] | None,
) -> Dataset:  # fmt: skip
    """Batches read by threads, in an order of its own in each pass where it is shuffled."""
    start = int(np.random.randint(1 << 31)) if seed is None else seed
    size = batch_size or 1

    def passing(turn: int) -> Iterator[Any]:
        order = np.arange(len(files))
        if shuffle and turn:
            np.random.default_rng(mix(start, turn)).shuffle(order)
        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
            for at in range(0, len(order), size):
                rows = order[at : at + size]
                xs = list(pool.map(read, [files[i] for i in rows]))
                if batch_size is None:
                    yield xs[0] if targets is None else (xs[0], targets[rows[0]])
                else:
                    yield stacked(xs) if targets is None else (stacked(xs), targets[rows])

    count = -(-len(files) // size)
    return Dataset(passing, count, class_names=class_names, file_paths=files)


def _data_sets(
    read: Read, directory: Any, endings: tuple[str, ...], labels: Any, label_mode: str | None,
    class_names: Sequence[str] | None, batch_size: int | None, shuffle: bool, seed: int | None,
    validation_split: float | None, subset: str | None, follow_links: bool, verbose: bool,
) -> Any:  # fmt: skip
    mode = check_choice("label_mode", label_mode, ("int", "categorical", "binary", None),
                        owner="dataset")  # fmt: skip
    check_choice("subset", subset, (None, "training", "validation", "both"), owner="dataset")
    folder = os.fspath(directory)
    known = labels if mode is not None else None
    files, numbers, names = _labelled(folder, known, class_names, endings, follow_links)
    if verbose:
        classes = "" if names is None else f" belonging to {len(names)} classes"
        print(f"Found {len(files)} files{classes}.")
    if not files:
        raise _no_files(folder, f"no files that end in {', '.join(endings)}")
    parts = _parted(files, numbers, shuffle, seed, validation_split, subset)
    made = [
        _from_files(read, chosen, _targets(labels, mode, len(names or ())), batch_size, shuffle,
                    seed, names)
        for chosen, labels in parts
    ]  # fmt: skip
    return tuple(made) if subset == "both" else made[0]


def image_dataset_from_directory(
    directory: Any,
    labels: Any = "inferred",
    label_mode: str | None = "int",
    class_names: Sequence[str] | None = None,
    color_mode: str = "rgb",
    batch_size: int | None = 32,
    image_size: tuple[int, int] = (256, 256),
    shuffle: bool = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: str | None = None,
    interpolation: str = "bilinear",
    follow_links: bool = False,
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    data_format: str | None = None,
    format: str = "tf",
    verbose: bool = True,
) -> Any:
    """Batches of pictures from a folder whose sub-folders are the classes.

    Args:
        directory: The folder.
        labels: "inferred" from the sub-folders, None, or a class number for each file in the
            order of the paths.
        label_mode: "int", "categorical" (one-hot), "binary" (0.0 and 1.0), or None for no labels.
        class_names: Which sub-folders, and their order; all, sorted, when None.
        color_mode: "rgb", "rgba" or "grayscale".
        batch_size: Pictures in a batch; None for single ones.
        image_size: Height and width.
        shuffle: In an order drawn from `seed`; in that of the paths when False.
        seed: Of the order and of the split.
        validation_split: Share of the files, the last of the order, for validation.
        subset: "training", "validation", "both" for a pair, or None for all.
        interpolation: Between pixels: "bilinear", "nearest", "bicubic", "lanczos3", "lanczos5".
        follow_links: Whether links to folders are followed.
        crop_to_aspect_ratio, pad_to_aspect_ratio: Cut or fill instead of stretching.
        data_format: "channels_last" or "channels_first".
        format: Accepted for Keras' signature.
        verbose: Whether to print how many files there are.
    Returns: A `Dataset` of (pictures, labels): float32, 0 to 255.
    Raises: DataError: no folder, no pictures. ArgumentError: a setting.
    Reference: Keras' function of this name; the split for a seed is Keras' own. Pictures are turned
        as their EXIF data says, which Keras does not.
    """
    from_pictures: Read = partial(
        _picture, mode=color_mode, size=(image_size[0], image_size[1]), data_format=data_format,
        interpolation=check_choice("interpolation", interpolation, RESIZE_INTERPOLATIONS,
                                   owner="image_dataset_from_directory"),
        crop=crop_to_aspect_ratio, pad=pad_to_aspect_ratio,
    )  # fmt: skip
    return _data_sets(from_pictures, directory, _PICTURES, labels, label_mode, class_names,
                      batch_size, shuffle, seed, validation_split, subset, follow_links,
                      verbose)  # fmt: skip


def _picture(
    path: str, mode: str, size: tuple[int, int], interpolation: str, crop: bool, pad: bool,
    data_format: str | None,
) -> Tensor:  # fmt: skip
    pixels = torch.from_numpy(img_to_array(load_img(path, mode)))
    if data_format == "channels_first":
        pixels = pixels.permute(2, 0, 1)
    return pictures.resize(pixels, size=size, interpolation=interpolation, data_format=data_format,
                           crop_to_aspect_ratio=crop, pad_to_aspect_ratio=pad)  # fmt: skip


def text_dataset_from_directory(
    directory: Any,
    labels: Any = "inferred",
    label_mode: str | None = "int",
    class_names: Sequence[str] | None = None,
    batch_size: int | None = 32,
    max_length: int | None = None,
    shuffle: bool = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: str | None = None,
    follow_links: bool = False,
    format: str = "tf",
    verbose: bool = True,
) -> Any:
    """Batches of texts from a folder whose sub-folders are the classes: `.txt` files in UTF-8.

    Args:
        directory: The folder.
        max_length: Characters that are kept of a text; all when None.
        labels, label_mode, class_names, batch_size, shuffle, seed, validation_split, subset,
            follow_links, format, verbose: As in `image_dataset_from_directory`.
    Returns: A `Dataset` of (arrays of str, labels).
    Raises: DataError: no folder, no texts. ArgumentError: a setting.
    """

    def read(path: str) -> str:
        return Path(path).read_text(encoding="utf-8", errors="replace")[:max_length]

    return _data_sets(read, directory, (".txt",), labels, label_mode, class_names, batch_size,
                      shuffle, seed, validation_split, subset, follow_links, verbose)  # fmt: skip


def timeseries_dataset_from_array(
    data: Any,
    targets: Any,
    sequence_length: int,
    sequence_stride: int = 1,
    sampling_rate: int = 1,
    batch_size: int | None = 128,
    shuffle: bool = False,
    seed: int | None = None,
    start_index: int | None = None,
    end_index: int | None = None,
    format: str = "tf",
) -> Dataset:
    """Batches of windows of an array over time.

    Args:
        data: (T, *).
        targets: What belongs to the window that starts at each time; None for none.
        sequence_length: Steps of a window.
        sequence_stride: Steps from one window's start to the next one's.
        sampling_rate: Steps from one of a window's entries to the next.
        batch_size: Windows in a batch; None for single ones.
        shuffle: In an order drawn from `seed`.
        seed: Of the order.
        start_index, end_index: The part of the array that is used.
        format: Accepted for Keras' signature.
    Example:
        >>> windows = timeseries_dataset_from_array(np.arange(6), None, 3, batch_size=2)
        >>> [batch.tolist() for batch in windows]
        [[[0, 1, 2], [1, 2, 3]], [[2, 3, 4], [3, 4, 5]]]
    """
    first, last = start_index or 0, len(data) if end_index is None else end_index
    series = torch.as_tensor(data)[first:last]
    answers = None if targets is None else torch.as_tensor(targets)[first:]
    count = last - first - (sequence_length - 1) * sampling_rate
    count = count if targets is None else min(count, len(targets))
    starts = np.arange(0, count, sequence_stride)
    start = int(np.random.randint(1 << 31)) if seed is None else seed
    places = torch.arange(sequence_length) * sampling_rate
    size = batch_size or 1

    def passing(turn: int) -> Iterator[Any]:
        order = torch.from_numpy(starts.copy())
        if shuffle:
            order = order[np.random.default_rng(mix(start, turn)).permutation(len(order))]
        for rows in torch.split(order, size):
            x = series[rows[:, None] + places]
            batch = x if answers is None else (x, answers[rows])
            if batch_size is None:
                batch = x[0] if answers is None else (x[0], answers[rows[0]])
            yield batch

    return Dataset(passing, -(-len(starts) // size))
