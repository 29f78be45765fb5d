"""The files of a run folder: written so that a kill at any instant loses at most one line.

`run.json` is replaced whole, in one atomic step; `metrics.jsonl`, `events.jsonl`,
`predictions.jsonl` and `answers.jsonl` only grow, one flushed line at a time. Reading takes what is
there: an interrupted run has no headline, a killed one may end in half a line.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from stroma.core.errors import RunError
from stroma.core.measured import MeasuredAnswer
from stroma.core.plain import Record
from stroma.core.records import EpochRow, Prediction, RunRecord, confusion_of

RUN_FILE = "run.json"
METRICS_FILE = "metrics.jsonl"
EVENTS_FILE = "events.jsonl"
PREDICTIONS_FILE = "predictions.jsonl"
ANSWERS_FILE = "answers.jsonl"  # in its place where photos have several classes or a number
REPORT_FILE = "report.html"
PHOTOS_FOLDER = "photos"
CHECKPOINTS_FOLDER = "checkpoints"


def write_atomic(path: Path, content: bytes) -> Path:
    """Write `content` so that `path` holds either its old bytes or all the new ones."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())  # else a power cut can leave the new name on no bytes
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return path


class JsonLines:
    """An append-only file of JSON objects, one flushed line each.

    Args:
        path: The file; made when missing. Half a line at its end, left by a kill, is cut off.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "metrics.jsonl"
        >>> with JsonLines(path) as lines:
        ...     lines.append(EpochRow(epoch=1, metrics={"loss": 0.5}))
        >>> [row["epoch"] for _, row in read_lines(path)]
        [1]
    """

    def __init__(self, path: Path) -> None:
        cut_torn_line(path)
        self._file = path.open("a", encoding="utf-8", newline="\n")

    def append(self, row: Record | Mapping[str, Any]) -> None:
        """Write one line; after return it is in the file, whatever happens to the process."""
        data = row.to_json() if isinstance(row, Record) else dict(row)
        self._file.write(json.dumps(data, allow_nan=False) + "\n")
        self._file.flush()

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def cut_torn_line(path: Path) -> None:
    """Cut off half a line at the end of a file, as a kill leaves it."""
    if not path.exists():
        return
    content = path.read_bytes()
    if content and not content.endswith(b"\n"):
        os.truncate(path, content.rfind(b"\n") + 1)


def read_lines(path: Path) -> Iterator[tuple[str, Any]]:
    """(file:line, value) of each complete line; a missing file has none."""
    if not path.exists():
        return
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if line.endswith(b"\n") and line.strip():
                yield f"{path.name}:{number}", _parse(line, f"{path}:{number}")


def _parse(content: bytes, where: str) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise RunError(
            f"this is not JSON: {error}",
            where=where,
            why="the file is damaged or was changed by hand",
            fix="bring it back from a copy, or run `stroma train` again",
        ) from error


def write_run(folder: Path, run: RunRecord) -> Path:
    """Replace `run.json`; history and predictions live in their own files."""
    text = json.dumps(run.to_json(), indent=1, allow_nan=False)
    return write_atomic(folder / RUN_FILE, (text + "\n").encode())


def read_run(folder: Path) -> RunRecord:
    """Everything a run folder tells.

    An epoch that was repeated after a resume counts once, as it was last; the confusion matrix is
    added up from the predictions when `run.json` has none.

    Raises:
        RunError: There is no `run.json`, or a file holds something else than a run writes.
    """
    path = folder / RUN_FILE
    if not path.is_file():
        raise RunError(
            f"{folder} is not a run: it holds no {RUN_FILE}",
            where=str(folder),
            why="a run is a folder made by `stroma train`",
            fix="give the folder of a run, such as runs/2026-11-20_photos_calm-fern",
        )
    run = RunRecord.from_json(_parse(path.read_bytes(), str(path)), where=RUN_FILE)
    rows = [EpochRow.from_json(row, where=at) for at, row in read_lines(folder / METRICS_FILE)]
    history = {row.epoch: row for row in rows}
    predictions = tuple(
        _checked(Prediction.from_json(row, where=at), len(run.class_names), at)
        for at, row in read_lines(folder / PREDICTIONS_FILE)
    )
    answers = tuple(
        _of_all_classes(MeasuredAnswer.from_json(row, where=at), len(run.class_names), at)
        for at, row in read_lines(folder / ANSWERS_FILE)
    )
    _check_square(run)
    confusion = run.confusion
    if not confusion and predictions:
        confusion = confusion_of(predictions, len(run.class_names))
    return dataclasses.replace(
        run,
        history=tuple(history[epoch] for epoch in sorted(history)),
        predictions=predictions,
        answers=answers,
        confusion=confusion,
        folder=folder,
    )


def _checked(prediction: Prediction, classes: int, where: str) -> Prediction:
    for name in ("truth", "predicted", "runner_up"):
        index = getattr(prediction, name)
        if index is not None and not 0 <= index < classes:
            raise RunError(
                f"{name} is class {index}, but the run has {classes} classes (0 to {classes - 1})",
                where=f"{where}: {name}",
                why="the predictions belong to another run, or the file was changed",
                fix=f"delete {PREDICTIONS_FILE}: the report is then made without photos",
            )
    return prediction


def _of_all_classes(answer: MeasuredAnswer, classes: int, where: str) -> MeasuredAnswer:
    if (len(answer.truth), len(answer.answer)) != (classes, classes):
        raise RunError(
            f"{len(answer.answer)} answers and {len(answer.truth)} truths for {classes} classes",
            where=where,
            why="the answers belong to another run, or the file was changed",
            fix=f"delete {ANSWERS_FILE}: the report is then made without photos",
        )
    return answer


def _check_square(run: RunRecord) -> None:
    classes = len(run.class_names)
    shape = [len(row) for row in run.confusion]
    if shape and (len(shape) != classes or set(shape) != {classes}):
        raise RunError(
            f"the confusion matrix is {len(shape)} by {max(shape)} for {classes} classes",
            where=f"{RUN_FILE}: confusion",
            why="each class needs one row and one column",
            fix="run `stroma train` again",
        )
