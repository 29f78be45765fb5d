"""From a path to what it holds: a folder, a zip, a CSV or Parquet files."""

from __future__ import annotations

import zipfile
from pathlib import Path

from stroma.core.errors import DataError
from stroma.data.archive import read_zip
from stroma.data.folder import read_folder
from stroma.data.labels import AUTO, Asked
from stroma.data.layout import LAYOUT
from stroma.data.parquet import read_parquet
from stroma.data.records import Found, first_names
from stroma.data.table import read_csv


def find(path: str | Path, group: str | None = None, asked: Asked = AUTO) -> Found:
    """The samples at `path`, whatever form they have.

    Raises:
        DataError: there is nothing there that stroma reads as labelled pictures.
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise _missing(path)
    if path.is_dir():
        if _is_parquet_folder(path):
            return read_parquet(path, group, asked)
        return _of_folders(read_folder(path), asked)
    if not path.is_file():
        raise DataError(
            f"{path} is neither a file nor a folder", where=str(path),
            why="it is a pipe, a socket or a device, which cannot be looked at twice",
            fix="give a folder, a zip, a CSV or a Parquet file",
        )  # fmt: skip
    suffix = path.suffix.lower()
    if suffix in (".csv", ".tsv"):
        return read_csv(path, group, asked)
    if suffix in (".parquet", ".pq"):
        return read_parquet(path, group, asked)
    if suffix == ".zip" or zipfile.is_zipfile(path):
        return _of_folders(read_zip(path), asked)
    raise DataError(
        f"stroma does not read {path.name} as a data set",
        where=str(path),
        why="labelled pictures come as a folder, a .zip, a .csv or a .parquet",
        fix=f"lay the pictures out as {LAYOUT}",
    )


def _of_folders(found: Found, asked: Asked) -> Found:
    if asked.are in ("several", "number") or asked.columns:
        raise DataError(
            "the labels of class folders are one class a photo",
            where=found.root,
            why="only a table can hold several classes or a number for a photo",
            fix="give a CSV with the columns path,label",
        )
    return found


def _is_parquet_folder(path: Path) -> bool:
    """A folder that holds Parquet files and no folders with anything else to read."""
    has_files = any(path.glob("*.parquet"))
    return has_files and not any(child.is_dir() for child in path.iterdir())


def _missing(path: Path) -> DataError:
    try:
        there = sorted(child.name for child in path.parent.iterdir())
    except OSError:
        there = []
    return DataError(
        f"there is no {path}",
        where=str(path.resolve()),
        why=f"{path.resolve().parent} holds {first_names(there) or 'nothing'}",
        fix="give the path of a folder, zip, CSV or Parquet file with labelled pictures",
    )
