"""k-fold cross-validation: every photo is tested once, by what was trained without it."""

from __future__ import annotations

import dataclasses
import json
import math
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stroma.core.errors import ArgumentError, DataError
from stroma.core.records import SMALL_SUPPORT, FoldScore, Prediction, Score, confusion_of
from stroma.core.runs import CHECKPOINTS_FOLDER, PREDICTIONS_FILE, read_lines, write_atomic
from stroma.data import Audit, ImageData
from stroma.data.part import joined
from stroma.data.records import printable
from stroma.jobs.judging import Answering, Judged, judge, write_predictions
from stroma.jobs.options import TrainOptions
from stroma.jobs.watch import Watch
from stroma.report.facts import photos
from stroma.training.run_folder import RunFolder
from stroma.transfer import PixelBaselines

FOLDS_FOLDER = "folds"
_DONE = "fold.json"  # written last: a fold that has it is over, and is not trained again
_USUAL = 5  # Kohavi 1995: more folds cost more and say little more

_EXPLAINED = 5  # mistakes of a fold that get a picture of their reason

Fit = Callable[[ImageData, RunFolder], Answering]


def cross_validated(
    fit: Fit, folds: Sequence[ImageData], *, source: str, folder: Path, seed: int = 0,
    watch: Watch | None = None,
) -> Judged:  # fmt: skip
    """Fit and test once for each fold; the figures are those of all folds together.

    Whatever is chosen is chosen within `fit`, which gets one fold with its test part closed.

    Args:
        fit: Learns from a fold; the run folder is for its checkpoints and figures.
        folds: What `ImageData.folds` gives.
        source: What the user typed: paths of photos begin with it.
        folder: Of the run: `folds/1` and so on come into it, and `predictions.jsonl`. Folds that
            it holds already are taken as they are, the one that was stopped goes on.
        seed: Of the baselines' sample.
        watch: Who is told.
    Raises: DataError: photos of one unit (copies, groups) lie on both sides of a fold.
    Reference: Stone 1974; Kohavi 1995. The interval is Wilson's over all photos, as if they were
        one test part. It is a little too narrow, since the folds' networks learnt from photos in
        common; no unbiased one is to be had (Bengio & Grandvalet 2004).
    """
    watch = watch or Watch()
    turns = []
    for number, fold in enumerate(folds, 1):
        check_apart(fold)
        watch.fold(number, len(folds))
        turns.append(_turn(fit, fold, source, folder / FOLDS_FOLDER / str(number), seed, watch))
    watch.fold(0, len(folds))
    scores = tuple(score for score, _ in turns)
    predictions = tuple(
        _within(row, f"{FOLDS_FOLDER}/{number}")
        for number, (_, rows) in enumerate(turns, 1) for row in rows
    )  # fmt: skip
    write_predictions(folder, predictions)
    return Judged(
        headline=_pooled([score.score for score in scores]),
        baselines=tuple(map(_pooled, zip(*(score.baselines for score in scores)))),
        confusion=confusion_of(predictions, len(folds[0].class_names)),
        predictions=predictions,
        test_reads=max(score.test_reads for score in scores),
        folds=scores,
    )


def _within(row: Prediction, folder: str) -> Prediction:
    """The row, its pictures found from the folder of the run."""
    return dataclasses.replace(
        row, thumbnail=f"{folder}/{row.thumbnail}" if row.thumbnail else None,
        explained=f"{folder}/{row.explained}" if row.explained else None,
    )  # fmt: skip


def _turn(
    fit: Fit, fold: ImageData, source: str, folder: Path, seed: int, watch: Watch
) -> tuple[FoldScore, tuple[Prediction, ...]]:
    done = folder / _DONE
    if done.is_file():
        score = FoldScore.from_json(json.loads(done.read_bytes()), where=str(done))
        rows = read_lines(folder / PREDICTIONS_FILE)
        return score, tuple(Prediction.from_json(row, where=at) for at, row in rows)
    folder.mkdir(parents=True, exist_ok=True)
    fitted = fit(fold, RunFolder(folder))
    baselines = PixelBaselines(fold.train, len(fold.class_names), seed=seed)
    judged = judge(fitted, fold, baselines, source, folder, watch, explained=_EXPLAINED)
    score = FoldScore(
        score=judged.headline, baselines=judged.baselines, best_epoch=fitted.best_epoch,
        test_reads=judged.test_reads,
    )  # fmt: skip
    write_atomic(done, json.dumps(score.to_json()).encode())
    shutil.rmtree(folder / CHECKPOINTS_FOLDER, ignore_errors=True)  # the model is not kept
    return score, judged.predictions


def _pooled(scores: Sequence[Score]) -> Score:
    right = sum(round(score.value * score.count) for score in scores)
    return Score.of(scores[0].name, right, sum(score.count for score in scores))


def check_apart(fold: ImageData) -> None:
    """No unit has photos in the test part and in what is learnt from or chosen by.

    Raises: DataError: one has; the figure would be too good.
    """
    rest = joined([fold.train, fold.validation])
    shared = np.intersect1d(rest.units, fold.test.units)
    if not len(shared):
        return
    tested, learnt = (
        printable(part.names[int(np.argmax(part.units == shared[0]))]) for part in (fold.test, rest)
    )
    raise DataError(
        f"{tested} is tested, and {learnt}, a copy of it or one of its group, is learnt from",
        where=f"{len(shared):,} copies or groups on both sides of a fold",
        why="what was learnt by heart would count as recognised",
        fix="make folds by data.folds(k), which keeps copies and groups together",
    )


def everything(data: ImageData, count: int, *, validation: bool) -> ImageData:
    """What the model that ships learns from, where folds made the estimate: all photos.

    Args:
        data: As it was split.
        count: Number of folds, for the sentence on the split.
        validation: Whether a validation part stays, to choose the epoch by.
    """
    learnt = [data.train, data.test] + ([] if validation else [data.validation])
    left = "all but validation" if validation else "all"
    audit = data.audit
    return dataclasses.replace(
        data, train=joined(learnt), test=data.test.take(slice(0)),
        validation=data.validation if validation else data.validation.take(slice(0)),
        split=f"tested in {count} folds, by class; copies stay together; the model that ships "
        f"learns from {left}",
        audit=Audit(
            [entry for entry in audit.entries if entry.kind != "few_test_photos"],
            audit.tallies, audit.found,
        ),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Testing:
    """How the headline is to be measured.

    Args:
        folds: Of all photos; none of them: the test part is tested, once.
        why: What the plan says about it; empty: nothing out of the ordinary.
        work: All trainings together, as a multiple of one on the training part.
        command: Options that would make folds, where the budget does not allow them.
    """

    folds: tuple[ImageData, ...] = ()
    why: str = ""
    work: float = 1.0
    command: str = ""

    def reason(self) -> dict[str, str]:
        """For `Plan.reasons`."""
        return {"test": self.why} if self.why else {}

    def settings(self) -> dict[str, int | str]:
        """For `Plan.settings`: a run that goes on makes the same folds."""
        return {"folds": len(self.folds), "folds_by": self.command}

    def without_folds(self, data: ImageData, seconds: float) -> Testing:
        """The test part instead, since `seconds` of training are more than the budget."""
        command = f"--folds {len(self.folds)} --budget {math.ceil(seconds / 60)}m"
        return Testing(
            why=f"the test part, once; {_small(data)}. {command} would test every photo",
            command=command,
        )

    @classmethod
    def by(cls, folds: Iterable[ImageData], data: ImageData, why: str) -> Testing:
        folds = tuple(folds)
        ships = everything(data, len(folds), validation=len(folds[0].validation) > 0)
        photos = sum(len(learnt.train) for learnt in (*folds, ships))
        return cls(folds, why, photos / len(data.train))


def plan_test(options: TrainOptions, data: ImageData, *, validation: float) -> Testing:
    """Folds where they were asked for, or where the test part of a class is small.

    Args:
        options: Of the run; `folds` None: as the data want it.
        data: Read and split.
        validation: Share of each fold that is chosen by.
    Raises: ArgumentError: folds were asked for, and a test part was given or a class is too small.
        DataError: large groups leave a fold without a class.
    """
    if data.task != "one class":
        return Testing(why="the test part, once: folds are for one class a photo")
    few, count = fewest_tested(data), options.folds
    if count is not None and count > 0:
        _check_count(count, data)
        folds = data.folds(count, seed=options.seed, validation=validation)
        return Testing.by(folds, data, f"k-fold, k = {count}: you said so")
    if few >= SMALL_SUPPORT:
        return Testing()
    small = _small(data)
    if data.test_given:
        return Testing(why=f"the test part that you gave, once; {small}")
    if count == 0:
        return Testing(why=f"the test part, once, as you said; {small}")
    count = min(_USUAL, distinct(data))
    whole = sum(len(part) for part in data.parts.values())
    why = (
        f"k-fold, k = {count}: a test part would have {photos(few)} of the smallest class, so each "
        f"of all {whole:,} is tested once, by what was trained without it"
    )
    try:
        return Testing.by(data.folds(count, seed=options.seed, validation=validation), data, why)
    except DataError as error:  # a class in a few large groups
        return Testing(why=f"the test part, once, since in folds {error.what}; {small}")


def _small(data: ImageData) -> str:
    few = fewest_tested(data)
    return f"{photos(len(data.test))}, {few} of the smallest class: the intervals are wide"


def fewest_tested(data: ImageData) -> int:
    """Test photos of the smallest class."""
    return int(np.bincount(data.test.labels, minlength=len(data.class_names)).min())


def distinct(data: ImageData) -> int:
    """Units of the smallest class: no class can be in more folds."""
    whole = joined(list(data.parts.values()))
    classes = range(len(data.class_names))
    return min(len(np.unique(whole.units[whole.labels == label])) for label in classes)


def _check_count(count: int, data: ImageData) -> None:
    most = distinct(data)
    if data.test_given:
        raise ArgumentError(
            f"--folds {count} for data with a test part of their own",
            where=data.source,
            why="you decided which photos are tested, and folds would train on them",
            fix="leave --folds away, or give a folder of all photos without parts",
        )
    if count > most:
        raise ArgumentError(
            f"{count} folds, but the smallest class has {most} distinct photos",
            where=f"--folds {count}",
            why="each fold tests photos of every class, and copies stay together",
            fix=f"--folds {most}",
        )
