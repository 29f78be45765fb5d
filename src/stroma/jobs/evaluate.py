"""`stroma evaluate`: a trained model on other labelled photos."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stroma.core.errors import DataError, did_you_mean
from stroma.core.measured import Measured
from stroma.core.plain import Record
from stroma.core.records import ClassScore, Score, class_scores
from stroma.data.images import fingerprint
from stroma.data.labels import Asked, classes_in, targets_of
from stroma.data.records import Found, printable
from stroma.data.sources import find
from stroma.jobs.artefacts import load_artefact
from stroma.jobs.measuring import two_axes
from stroma.jobs.questions import QUESTIONS
from stroma.jobs.watch import Watch
from stroma.package.artefact import Artefact

_AT_ONCE = 64  # photos


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluated(Record):
    """How a model did on labelled photos.

    Args:
        score: Share that was right, with its interval.
        part: Which photos: "test" (`val/` where there is no test part, as in training), or "all"
            where the data have no such parts.
        seen: Whether these are the photos that the model was trained on, so that most were learnt.
        classes: Each class by itself.
        confusion: Row = truth, column = answer, both in the model's order of classes.
        skipped: Photos that could not be read, with the reason.
    """

    score: Score
    part: str
    class_names: tuple[str, ...]
    classes: tuple[ClassScore, ...]
    confusion: tuple[tuple[int, ...], ...]
    skipped: tuple[str, ...] = ()
    seen: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluatedMeasured(Record):
    """The same of a model for several classes or a number; `part`, `skipped`, `seen` as there."""

    measured: Measured
    part: str
    class_names: tuple[str, ...]
    skipped: tuple[str, ...] = ()
    seen: bool = False


def evaluate(
    model: str | Path | Artefact, data: str, watch: Watch | None = None,
    *, target_column: str | None = None,
) -> Evaluated | EvaluatedMeasured:  # fmt: skip
    """Measure a model on a folder, zip, CSV or Parquet of labelled photos.

    Where the data have a test part (or else a validation part), that alone is measured: a model
    may have learnt from the rest.

    Args:
        model: A run folder, a `.keras` file, or the artefact itself.
        data: What `stroma.data.images` takes.
        watch: Who is told.
        target_column: As in `stroma.data.images`; None: as in the model's training.
    Raises: RunError, FileFormatError: no model there. DataError: photos of unknown classes.
    """
    watch = watch or Watch()
    artefact = model if isinstance(model, Artefact) else load_artefact(model)
    found = find(data, asked=_asked(artefact, target_column))
    if artefact.task != "number":
        _check_classes(found, artefact, data)
    there = {sample.part for sample in found.samples}
    part = next((name for name in ("test", "validation") if name in there), None)
    rows = [row for row, sample in enumerate(found.samples) if part in (None, sample.part)]
    skipped: list[str] = []
    good: list[int] = []
    watch.stage("test")
    said = list(_answers(artefact, found, rows, good, skipped, watch))
    if not good:
        raise _unreadable(len(skipped), data)
    labels = [found.samples[row].label for row in good]
    truth = targets_of(labels, artefact.task, artefact.class_names)
    seen = part is None and fingerprint(found, artefact.class_names) == artefact.provenance.get(
        "data"
    )
    told = {
        "part": "test" if part else "all", "class_names": tuple(artefact.class_names),
        "skipped": tuple(skipped), "seen": seen,
    }  # fmt: skip
    return _result(artefact, truth, np.concatenate(said), told)


def _asked(artefact: Artefact, target_column: str | None) -> Asked:
    """How labels are to be read: as the artefact's answers are."""
    column = target_column or artefact.provenance.get("target_column")
    if artefact.task == "one class":
        return Asked.of("class", target_column)
    return Asked.of("number" if artefact.task == "number" else "several", column)


def _answers(
    artefact: Artefact, found: Found, rows: list[int], good: list[int], skipped: list[str],
    watch: Watch,
) -> Iterator[np.ndarray]:  # fmt: skip
    """(B, K) answers, batch by batch; `good` are the rows that could be read."""
    for start in range(0, len(rows), _AT_ONCE):
        pictures = []
        for row in rows[start : start + _AT_ONCE]:
            try:
                pictures.append(artefact.decoder(found.read(row)).pixels)
            except (DataError, OSError) as error:
                name = printable(found.samples[row].name)
                skipped.append(f"{name}: {getattr(error, 'what', error)}")
                continue
            good.append(row)
        if pictures:
            yield artefact.probabilities(pictures)
        watch.progress(min(start + _AT_ONCE, len(rows)), len(rows))


def _result(
    artefact: Artefact, truth: np.ndarray, said: np.ndarray, told: dict[str, Any]
) -> Evaluated | EvaluatedMeasured:
    names, question = artefact.class_names, QUESTIONS.get(artefact.task)
    if question is not None:
        mean = artefact.provenance.get("learnt_mean", float(truth.mean()))
        measured = question.score(two_axes(truth), said, names, mean)
        return EvaluatedMeasured(measured=measured, **told)
    confusion = np.zeros((len(names), len(names)), np.int64)
    np.add.at(confusion, (truth, said.argmax(1)), 1)
    table = tuple(tuple(row) for row in confusion.tolist())
    return Evaluated(
        score=Score.of("accuracy", int(confusion.trace()), len(truth)),
        classes=class_scores(names, table), confusion=table, **told,
    )  # fmt: skip


def _unreadable(count: int, data: str) -> DataError:
    return DataError(
        f"none of the {count:,} photos could be read",
        where=data,
        why="there is nothing to measure on",
        fix=f"stroma check {data}",
    )


def _check_classes(found: Found, artefact: Artefact, data: str) -> None:
    class_names = artefact.class_names
    named = classes_in([sample.label for sample in found.samples], artefact.task)
    unknown = sorted(set(named) - set(class_names))
    if unknown:
        shown = ", ".join(repr(printable(name)) for name in unknown[:5])
        raise DataError(
            f"the model does not know {shown}.{did_you_mean(unknown[0], class_names)}",
            where=data,
            why=f"it was trained on {', '.join(map(printable, class_names[:10]))}",
            fix="name the folders as the model's classes, or leave the others out",
        )
