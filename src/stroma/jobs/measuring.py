"""Photos with several classes or a number each: learnt, tested once, and what is noted of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stroma.core.measured import Measured, MeasuredAnswer
from stroma.core.records import Finding, RunRecord
from stroma.core.runs import ANSWERS_FILE, PHOTOS_FOLDER, JsonLines
from stroma.data import ImageData, Part
from stroma.data.part import joined
from stroma.jobs.judging import path_as_typed
from stroma.jobs.mistakes import small_webp
from stroma.jobs.questions import QUESTIONS, Question
from stroma.jobs.scratch import Trained
from stroma.jobs.table import FeatureTable
from stroma.jobs.watch import Watch
from stroma.transfer import with_head

_SHOWN = 24  # photos that a report shows, the furthest off first


@dataclass(frozen=True, slots=True)
class Tested:
    """What the test part said."""

    measured: Measured
    answers: tuple[MeasuredAnswer, ...]
    test_reads: int


def solve(question: Question, table: FeatureTable, data: ImageData, watch: Watch) -> Trained:
    """The base with a head on its features, as one network.

    The head chooses its penalty by leave-one-out, so it learns from validation photos too.
    """
    learnt = joined([data.train, data.validation])
    features = table.of(learnt, watch)
    watch.stage("heads")
    head = question.head().fit(features, learnt.targets)
    return Trained(with_head(table.extractor, head.as_layers()), None, probabilities=True)


def measure_once(
    trained: Trained, data: ImageData, source: str, folder: Path, watch: Watch
) -> Tested:
    """Measure the network that ships on photos that nothing was chosen by.

    Args:
        trained: Pictures in, answers out.
        data: Its test part is opened here, and never elsewhere.
        source: What the user typed: paths begin with it.
        folder: Of the run: `answers.jsonl` and thumbnails of what is furthest off.
        watch: Who is told.
    """
    watch.stage("test")
    part = data.open_test()
    said = []
    for positions, answers in trained.answers(part):
        said.append(answers)
        watch.progress(int(positions[-1]) + 1, len(part))
    truth, answers = two_axes(part.targets), np.concatenate(said)
    measured = QUESTIONS[data.task].score(truth, answers, data.class_names, learnt_mean(data))
    rows = [
        MeasuredAnswer(
            path=path_as_typed(source, name), truth=tuple(true), answer=tuple(answer)
        )
        for name, true, answer in zip(part.names, truth.tolist(), answers.tolist())
    ]  # fmt: skip
    rows = _with_thumbnails(rows, part, truth, answers, folder)
    (folder / ANSWERS_FILE).unlink(missing_ok=True)  # of a test that was cut short
    with JsonLines(folder / ANSWERS_FILE) as lines:
        for row in rows:
            lines.append(row)
    return Tested(measured, tuple(rows), data.test.reads)


def two_axes(targets: np.ndarray) -> np.ndarray:
    """(N, K) float64 targets of either task: a number is one column."""
    table: np.ndarray = targets.reshape(len(targets), -1).astype(np.float64)
    return table


def learnt_mean(data: ImageData) -> float:
    """Mean of the targets that may be learnt from."""
    return float(joined([data.train, data.validation]).targets.mean())


def _with_thumbnails(
    rows: list[MeasuredAnswer], part: Part, truth: np.ndarray, answers: np.ndarray, folder: Path
) -> list[MeasuredAnswer]:
    """The rows, those furthest off with a small picture."""
    off = np.abs(truth - answers).mean(1)
    worst = np.argsort(-off, kind="stable")[:_SHOWN]
    (folder / PHOTOS_FOLDER).mkdir(exist_ok=True)
    for at, picture in zip(worst.tolist(), part.images(worst)):
        name = f"{PHOTOS_FOLDER}/{at}.webp"
        (folder / name).write_bytes(small_webp(picture))
        rows[at] = dataclasses.replace(rows[at], thumbnail=name)
    return rows


def findings_of(measured: Measured, run: RunRecord) -> Iterator[Finding]:
    """What the figures say about what to do next."""
    ours, blind = measured.figures[0], measured.baseline[0]
    if ours.value is None or blind.value is None:
        return
    better = ours.value < blind.value if measured.task == "number" else ours.value > blind.value
    if not better:
        yield Finding(
            term="baseline", severity="critical",
            evidence=f"{ours.name} {ours.value:.4g}, without seeing the photo {blind.value:.4g}",
            means="the network learnt nothing that helps on photos it has not seen",
            try_next=run.plan.other_road if run.plan else "",
        )  # fmt: skip
