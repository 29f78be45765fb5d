"""Parquet files of pictures: a column of bytes (as Hugging Face writes them) or of paths."""

from __future__ import annotations

import bisect
import itertools
import json
import math
import re
import threading
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from stroma.core.errors import DataError, FileFormatError, StromaError
from stroma.core.optional import require
from stroma.core.tasks import SEPARATOR
from stroma.data.labels import AUTO, NONE, Asked, are_yes_no, joined_columns
from stroma.data.layout import PART_NAMES
from stroma.data.records import AuditEntry, Found, Sample
from stroma.data.table import Row, find_columns, part_of, reading_of, rows_to_found

_PART_WORD = re.compile(r"(?<![a-z])(" + "|".join(PART_NAMES) + r")(?![a-z])", re.IGNORECASE)
_SHARD = re.compile(r"-?\d{3,5}-of-\d{3,5}")
MAX_PICTURE = 1 << 28


def read_parquet(path: Path, group: str | None, asked: Asked = AUTO) -> Found:
    """One Parquet file with the files that belong to it, or a folder of them.

    A file whose name says `train` brings its siblings whose names differ only in that word (`val`,
    `test`) and in the shard number; the audit says which were read.
    """
    try:
        return _read(path, group, asked)
    except StromaError:
        raise
    except (OSError, ValueError) as error:  # pyarrow's own, and text that is no UTF-8
        raise FileFormatError(
            f"{path.name} is not a readable Parquet file ({str(error).splitlines()[0]})",
            where=str(path),
            why="it is cut off, damaged or was never one",
            fix="fetch or write it again",
        ) from None


def _read(path: Path, group: str | None, asked: Asked) -> Found:
    entries: list[AuditEntry] = []
    files = _family(path)
    if len(files) > 1:
        listed = ", ".join(file.name for file in files)
        entries.append(AuditEntry("inferred", path.name, f"read together: {listed}"))
    tables = [_Table(file, group, asked) for file in files]
    kinds = {table.has_bytes for table in tables}
    names = tables[0].class_names
    if len(kinds) != 1 or any(table.class_names != names for table in tables):
        raise DataError(
            f"the Parquet files beside {path.name} do not agree",
            where=", ".join(file.name for file in files),
            why="they differ in their class names or in how they hold the pictures",
            fix="put each data set into its own folder",
        )
    parts = {table.part for table in tables}
    if "train" not in parts or len(parts) == 1:
        for table in tables:
            table.part = ""  # one part alone is a whole data set
    if not kinds.pop():
        rows = [row for table in tables for row in table.rows(entries)]
        return rows_to_found(files[0], rows, names, entries, *tables[0].labelled)
    return _bytes_to_found(path, tables, names, entries)


def _bytes_to_found(
    path: Path, tables: Sequence[_Table], names: list[str] | None, entries: list[AuditEntry]
) -> Found:
    samples: list[Sample] = []
    places: list[tuple[_Table, int]] = []
    for table in tables:
        for at, (sample, null) in enumerate(table.samples(len(tables) > 1)):
            if null or not sample.label:
                kind = "no_label" if not sample.label else "empty"
                entries.append(AuditEntry(kind, sample.name, f"row {at} holds no such value"))
                continue
            samples.append(sample)
            places.append((table, at))
    if not samples:
        raise DataError(
            f"{path.name} has no rows",
            where=str(path),
            why="a row is a picture and its label",
            fix="give a file with rows",
        )
    reading = reading_of(samples, names, *tables[0].labelled, path.name)

    def read(index: int) -> bytes:
        table, at = places[index]
        return table.picture(at)

    return Found(
        str(path.resolve()), samples, reading.class_names, read, entries, reading.task,
        reading.said,
    )  # fmt: skip


class _Table:
    """One Parquet file: small columns in memory, pictures fetched by row group."""

    def __init__(self, path: Path, group: str | None, asked: Asked) -> None:
        self.path = path
        parquet = require("pyarrow.parquet")
        self.file = parquet.ParquetFile(path, memory_map=True)
        schema = self.file.schema_arrow
        self.columns = find_columns(
            schema.names, path, group, asked,
            are_labels=lambda at: are_yes_no(self._texts(schema.names[at])),
        )  # fmt: skip
        self.image = schema.names[self.columns.path]
        self.labels = [schema.names[at] for at in self.columns.labels]
        several = len(self.labels) > 1
        listed = "list" in str(schema.field(self.labels[0]).type)
        if several or (listed and asked.are == "auto"):
            asked = Asked("several")
        self.labelled = ",".join(self.labels), asked
        kind = schema.field(self.image).type
        names = [kind.field(i).name for i in range(kind.num_fields)]
        self.is_struct = "bytes" in names
        self.has_bytes = self.is_struct or "binary" in str(kind)
        self.class_names = (
            None if several else _feature_names(schema.metadata or {}, self.labels[0])
        )
        word = _PART_WORD.search(path.stem)
        self.part = PART_NAMES[word.group(1).lower()] if word else ""
        groups = [self.file.metadata.row_group(i) for i in range(self.file.num_row_groups)]
        self.starts = list(itertools.accumulate((g.num_rows for g in groups), initial=0))
        self._lock = threading.Lock()
        # Two groups: neighbouring chunks of a scan straddle one border at most.
        self._group: Callable[[int], Any] = lru_cache(maxsize=2)(self._load)

    def picture(self, row: int) -> bytes:
        """Bytes of one row."""
        with self._lock:
            at = bisect.bisect_right(self.starts, row) - 1
            try:
                value = self._group(at)[row - self.starts[at]]
            except ValueError as error:
                raise OSError(f"damaged in {self.path.name}: {error}") from None
        return value.as_buffer().to_pybytes()  # type: ignore[no-any-return]  # pyarrow: untyped

    def _load(self, index: int) -> Any:
        column = self.file.read_row_group(index, columns=self._leaf("bytes")).column(0)
        column = column.combine_chunks()
        return column.field("bytes") if self.is_struct else column

    def samples(self, several: bool) -> list[tuple[Sample, bool]]:
        """(sample, whether its picture is missing) of every row."""
        compute = require("pyarrow.compute")
        prefix = f"{self.path.name}/" if several else ""
        stat = self.path.stat()
        sizes: list[int | None] = []
        for index in range(self.file.num_row_groups):
            sizes += compute.binary_length(self._load(index)).to_pylist()
        paths = self._paths()
        made = []
        for row, (size, label, part, group) in enumerate(zip(sizes, *self._small())):
            name = f"{prefix}{row:06d}" + (f" {paths[row]}" if paths and paths[row] else "")
            given = part_of(part, name) or self.part or None
            sample = Sample(name, label, given, size or 0, stat.st_mtime_ns ^ row, group)
            made.append((sample, size is None or size > MAX_PICTURE))
        return made

    def rows(self, entries: list[AuditEntry]) -> list[Row]:
        """Rows of a table that holds paths."""
        paths = self.file.read(columns=[self.image]).column(0).to_pylist()
        made = []
        for row, (path, label, part, group) in enumerate(zip(paths, *self._small())):
            where = f"{self.path.name} row {row}"
            if path is None:
                entries.append(AuditEntry("missing", where, "the path is null"))
                continue
            made.append(Row(where, str(path), label, part or self.part, group))
        return made

    def _leaf(self, field: str) -> list[str]:
        return [f"{self.image}.{field}"] if self.is_struct else [self.image]

    def _paths(self) -> list[str | None] | None:
        kind = self.file.schema_arrow.field(self.image).type
        if not self.is_struct or "path" not in [f.name for f in kind]:
            return None
        column = self.file.read(columns=self._leaf("path")).column(0).combine_chunks()
        return column.field("path").to_pylist()  # type: ignore[no-any-return]  # pyarrow: untyped

    def _small(self) -> tuple[list[str], list[str], list[str]]:
        names = self._label_texts()
        others = []
        for at in (self.columns.part, self.columns.group):
            if at is None:
                others.append([""] * len(names))
            else:
                others.append(self._texts(self.file.schema_arrow.names[at]))
        return names, others[0], others[1]

    def _label_texts(self) -> list[str]:
        if len(self.labels) > 1:
            columns = [self._texts(name) for name in self.labels]
            return [
                joined_columns(dict(zip(self.labels, cells)), f"{self.path.name} row {row}")
                for row, cells in enumerate(zip(*columns))
            ]
        values = self.file.read(columns=self.labels).column(0).to_pylist()
        return [self._label(value, row) for row, value in enumerate(values)]

    def _texts(self, column: str) -> list[str]:
        if not _is_plain(self.file.schema_arrow.field(column).type):
            return []  # pictures and nested values are no labels: they are not even read
        values = self.file.read(columns=[column]).column(0).to_pylist()
        return ["" if value is None else str(value) for value in values]

    def _label(self, value: Any, row: int) -> str:
        if value is None:
            return ""
        if isinstance(value, list):
            words = [self._label(word, row) for word in value]
            return SEPARATOR.join(filter(None, words)) or NONE
        if isinstance(value, float) and math.isfinite(value):
            if value.is_integer():
                value = int(value)
            elif self.class_names is None:
                value = repr(value)
        if not isinstance(value, (int, str)):
            what = f"the label is {value!r} ({type(value).__name__})"
        elif isinstance(value, str) or self.class_names is None:
            return str(value)
        elif 0 <= value < len(self.class_names):
            return self.class_names[value]
        else:
            what = f"label {value} is outside 0..{len(self.class_names) - 1}"
        raise DataError(
            f"{self.path.name} row {row}: {what}",
            where=f"column {', '.join(self.labels)!r}",
            why="a label is the index or the name of a class, or a number",
            fix="mend the label column",
        )


def _is_plain(kind: Any) -> bool:
    return re.match(r"u?int|float|double|half|bool|string|large_string", str(kind)) is not None


def _feature_names(metadata: dict[bytes, bytes], label: str) -> list[str] | None:
    """Class names from the `features` that Hugging Face writes into the schema."""
    try:
        features = json.loads(metadata.get(b"huggingface", b"{}"))["info"]["features"]
        feature = features[label]
        names = feature.get("names") or feature["feature"]["names"]  # of a list of classes
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    if isinstance(names, list) and names and len(set(map(str, names))) == len(names):
        return [str(name) for name in names]
    return None


def _family(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(path.glob("*.parquet"))
    word = _PART_WORD.search(path.stem)
    if word is None or PART_NAMES[word.group(1).lower()] != "train":
        return [path]

    def pattern(file: Path) -> str:
        return _SHARD.sub("", _PART_WORD.sub("*", file.stem, count=1))

    alike = [file for file in path.parent.glob("*.parquet") if pattern(file) == pattern(path)]
    return sorted(file for file in alike if _PART_WORD.search(file.stem))
