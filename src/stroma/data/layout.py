"""What a tree of paths means: given parts, class folders, and what is no data at all.

The same rules serve a folder and a zip, so that both give the same samples.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from stroma.core.errors import DataError
from stroma.data.records import AuditEntry, Sample, first_names

PART_NAMES = {
    "train": "train", "training": "train",
    "val": "validation", "valid": "validation", "validation": "validation",
    "test": "test", "testing": "test",
}  # fmt: skip
READABLE = {
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".gif", ".bmp", ".dib", ".webp", ".tif",
    ".tiff", ".ppm", ".pgm", ".pbm", ".pnm", ".avif", ".heic", ".heif", ".hif", ".jp2", ".j2k",
    ".qoi", ".mpo",
}  # fmt: skip
UNSUPPORTED = {
    ".tga", ".ico", ".pcx", ".svg", ".psd", ".eps", ".raw", ".cr2", ".cr3",
    ".nef", ".arw", ".dng", ".orf", ".rw2", ".jxl", ".exr", ".hdr", ".dcm",
}  # fmt: skip
_SYSTEM = {"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx", "$recycle.bin"}
MARKERS = ("run.json", "stroma-cache.json")  # a folder that holds one was written by stroma

LAYOUT = "photos/cat/1.jpg, photos/dog/2.jpg, ... (or photos/train/cat/1.jpg, photos/val/cat/...)"


@dataclass(frozen=True, slots=True)
class File:
    """A file of the tree: parts of its relative path, bytes, and what changes with its content."""

    parts: tuple[str, ...]
    size: int
    stamp: int

    @property
    def name(self) -> str:
        return "/".join(self.parts)


def is_system(name: str) -> bool:
    """Hidden files, and what operating systems leave in folders (`Thumbs.db`, `__MACOSX`)."""
    return name.startswith(".") or name.lower() in _SYSTEM


def sort_files(
    files: Iterable[File], folders: Iterable[tuple[str, ...]], entries: list[AuditEntry]
) -> tuple[list[Sample], list[str]]:
    """Samples and class names of a tree; what is no sample goes to `entries`, by name.

    Args:
        files: Every file, in any order.
        folders: Every folder, empty ones included.
        entries: Findings are appended here.
    """
    files = sorted(files, key=lambda file: file.parts)
    folders = [path for path in sorted(set(folders)) if not any(map(is_system, path))]
    candidates = [file for file in files if is_picture(file, entries)]
    depth = _common_depth(candidates, folders)
    roots = {path[depth] for path in folders if len(path) == depth + 1}
    given = {name: PART_NAMES[name.lower()] for name in roots if name.lower() in PART_NAMES}
    if "train" not in given.values():
        given = {}  # a class may well be called "test"
    level = depth + 1 if given else depth
    samples, labels = [], {
        path[level]
        for path in folders
        if len(path) == level + 1 and (not given or path[depth] in given)
    }  # fmt: skip
    for file in candidates:
        inside = not given or file.parts[depth] in given
        if len(file.parts) < level + 2 or not inside:
            where = "beside the parts" if not inside else "in no class folder"
            entries.append(AuditEntry("unlabelled", file.name, f"{where}, so it has no label"))
            continue
        part = given[file.parts[depth]] if given else None
        samples.append(Sample(file.name, file.parts[level], part, file.size, file.stamp))
    _refuse_nothing(samples, candidates, files)
    outputs = [PurePosixPath(e.path).parts for e in entries if e.kind == "stroma_output"]
    unused = {parts[level] for parts in outputs if len(parts) > level} - {
        sample.label for sample in samples
    }
    return samples, sorted(labels - unused)


def is_picture(file: File, entries: list[AuditEntry]) -> bool:
    """Whether a file is to be read as a picture, by its name; if not, `entries` says why."""
    system = next((part for part in file.parts if is_system(part)), None)
    suffix = PurePosixPath(file.parts[-1]).suffix.lower()
    if system is not None:
        entries.append(AuditEntry("system_file", file.name, f"{system!r} is a system's own"))
    elif suffix in UNSUPPORTED:
        entries.append(AuditEntry("unsupported", file.name, f"{suffix} is not read"))
    elif suffix not in READABLE:
        what = f"{suffix} is" if suffix else "no extension:"
        entries.append(AuditEntry("other_file", file.name, f"{what} not a picture's"))
    return system is None and suffix in READABLE


def _common_depth(files: list[File], folders: list[tuple[str, ...]]) -> int:
    """Folders that merely wrap the data (`photos.zip` holding `photos/cat/...`)."""
    depth = 0
    while True:
        heads = {path[depth] for path in folders if len(path) > depth}
        inner = any(len(file.parts) > depth + 2 for file in files)
        if len(heads) != 1 or not inner or next(iter(heads)).lower() in PART_NAMES:
            return depth
        if any(len(file.parts) == depth + 1 for file in files):
            return depth
        depth += 1


def _refuse_nothing(samples: list[Sample], candidates: list[File], files: list[File]) -> None:
    if samples:
        return
    if candidates:
        raise DataError(
            f"{len(candidates):,} pictures, but none lies in a class folder",
            where=first_names([file.name for file in candidates], 3),
            why="the label of a picture is the name of its folder",
            fix=f"lay them out as {LAYOUT}, or give a CSV with the columns path,label",
        )
    listed = first_names([file.name for file in files]) or "nothing at all"
    raise DataError(
        "no pictures found",
        where=f"there is {listed}",
        why="training needs labelled pictures",
        fix=f"lay them out as {LAYOUT}",
    )
