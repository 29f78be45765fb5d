"""`stroma evaluate`: a trained model on other labelled photos."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stroma.core.errors import DataError, RunError, did_you_mean
from stroma.core.plain import Record
from stroma.core.records import ClassScore, Score, class_scores
from stroma.data.images import fingerprint
from stroma.data.labels import Asked
from stroma.data.records import Found, printable
from stroma.data.sources import find
from stroma.jobs.artefacts import load_artefact
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


def evaluate(model: str | Path | Artefact, data: str, watch: Watch | None = None) -> Evaluated:
    """Measure a model on a folder, zip, CSV or Parquet of labelled photos.

    Where the data have a test part (or else a validation part), that alone is measured: a model
    may have learnt from the rest.

    Args:
        model: A run folder, a `.keras` file, or the artefact itself.
        data: What `stroma.data.images` takes.
        watch: Who is told.
    Raises: RunError, FileFormatError: no model there. DataError: photos of unknown classes.
    """
    watch = watch or Watch()
    artefact = model if isinstance(model, Artefact) else load_artefact(model)
    if artefact.task != "one class":
        raise RunError(
            f"the model predicts {artefact.task}, and this measures one class a photo",
            where="stroma evaluate",
            why="its figures would be those of another question",
            fix="in Python: stroma.diagnostics.score_several or score_number, on "
            "artefact.probabilities(photos)",
        )
    found = find(data, asked=Asked("class"))  # as the artefact's answers are
    _check_classes(found, artefact.class_names, data)
    there = {sample.part for sample in found.samples}
    part = next((name for name in ("test", "validation") if name in there), None)
    rows = [row for row, sample in enumerate(found.samples) if part in (None, sample.part)]
    index = {name: at for at, name in enumerate(artefact.class_names)}
    confusion = np.zeros((len(index), len(index)), np.int64)
    skipped: list[str] = []
    watch.stage("test")
    for start in range(0, len(rows), _AT_ONCE):
        truths, pictures = [], []
        for row in rows[start : start + _AT_ONCE]:
            sample = found.samples[row]
            try:
                pictures.append(artefact.decoder(found.read(row)).pixels)
            except (DataError, OSError) as error:
                skipped.append(f"{printable(sample.name)}: {getattr(error, 'what', error)}")
                continue
            truths.append(index[sample.label])
        if pictures:
            answers = artefact.probabilities(pictures).argmax(1)
            np.add.at(confusion, (np.array(truths), answers), 1)
        watch.progress(min(start + _AT_ONCE, len(rows)), len(rows))
    seen = part is None and fingerprint(found, artefact.class_names) == artefact.provenance.get(
        "data"
    )
    result = _summed(confusion, artefact.class_names, "test" if part else "all", skipped, data)
    return dataclasses.replace(result, seen=seen)


def _summed(
    confusion: np.ndarray, class_names: list[str], part: str, skipped: list[str], data: str
) -> Evaluated:
    count = int(confusion.sum())
    if not count:
        raise DataError(
            f"none of the {len(skipped):,} photos could be read",
            where=data,
            why="there is nothing to measure on",
            fix=f"stroma check {data}",
        )
    table = tuple(tuple(row) for row in confusion.tolist())
    return Evaluated(
        score=Score.of("accuracy", int(confusion.trace()), count), part=part,
        class_names=tuple(class_names), classes=class_scores(class_names, table),
        confusion=table, skipped=tuple(skipped),
    )  # fmt: skip


def _check_classes(found: Found, class_names: list[str], data: str) -> None:
    unknown = sorted({sample.label for sample in found.samples} - set(class_names))
    if unknown:
        named = ", ".join(repr(printable(name)) for name in unknown[:5])
        raise DataError(
            f"the model does not know {named}.{did_you_mean(unknown[0], class_names)}",
            where=data,
            why=f"it was trained on {', '.join(map(printable, class_names[:10]))}",
            fix="name the folders as the model's classes, or leave the others out",
        )
