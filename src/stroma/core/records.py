"""What a run leaves behind, as plain records: the border between computing and telling.

`training/`, `data/` and `diagnostics/` fill these, the command line prints them, the report draws
them. They hold numbers and text, never tensors, models or open files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from stroma.core.findings import Finding as Finding
from stroma.core.findings import Severity as Severity
from stroma.core.measured import Measured, MeasuredAnswer
from stroma.core.plain import Record
from stroma.core.records_audit import FeatureAudit
from stroma.core.records_transfer import (
    BaseFacts,
    Calibration,
    Embedding,
    HeadScore,
    Lead,
    Rung,
    UnlikeRow,
)
from stroma.core.scores import Interval as Interval
from stroma.core.scores import Score as Score
from stroma.core.tasks import Task

Status = Literal["running", "finished", "interrupted", "failed"]

SMALL_SUPPORT = 30  # photos in a class below which its figures are called rough (UX 3.0, rule 3)


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassScore(Record):
    """How one class fared. `interval` is that of the recall, which is a share of `support`."""

    name: str
    support: int
    precision: float | None = None  # None: the class was never predicted
    recall: float | None = None  # None: no test photo of the class
    f1: float | None = None
    interval: Interval | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Prediction(Record):
    """What the network said about one photo of the test part.

    Args:
        path: The photo, as the user would type it.
        truth: Index of its class in `RunRecord.class_names`.
        predicted: Index of the class that was predicted.
        probability: Of the predicted class, in [0, 1].
        runner_up: Index of the second most probable class.
        runner_up_probability: Its probability.
        thumbnail: Small picture (WebP, JPEG or PNG) relative to the run folder:
            "photos/17.webp".
        explained: Likewise the Grad-CAM picture of the predicted class: "photos/17-why.webp".
    """

    path: str
    truth: int
    predicted: int
    probability: float | None = None
    runner_up: int | None = None
    runner_up_probability: float | None = None
    thumbnail: str | None = None
    explained: str | None = None

    @property
    def right(self) -> bool:
        return self.truth == self.predicted


@dataclass(frozen=True, kw_only=True, slots=True)
class FoldScore(Record):
    """One fold of a k-fold cross-validation: tested once, by what was trained on the others.

    Args:
        score: Of the fold's photos.
        baselines: The same photos without a network.
        best_epoch: Epoch whose weights were kept (chosen on the fold's validation part).
        test_reads: How often the fold's test part was read; 1 is right.
    """

    score: Score
    baselines: tuple[Score, ...] = ()
    best_epoch: int | None = None
    test_reads: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class EpochRow(Record):
    """One epoch: Keras' names to values ("loss", "accuracy", "val_loss", ...)."""

    epoch: int  # counted from 1
    metrics: Mapping[str, float] = field(default_factory=dict)
    seconds: float | None = None
    learning_rate: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class LayerRow(Record):
    """One row of `summary()`. The batch axis is first in `output_shape`; None is unknown."""

    name: str
    kind: str
    output_shape: tuple[int | None, ...] = ()
    parameters: int = 0
    trainable_parameters: int = 0
    frozen_parameters: int = 0  # that training could change, were they not frozen
    macs: int | None = None  # multiply-accumulates for one photo; None: unknown
    receptive_field: tuple[int, ...] | None = None  # (height, width) in input pixels
    connected_to: tuple[str, ...] = ()
    trainable: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class FileNote(Record):
    """One file the audit named: what is odd about it and what was done ("skipped", "rotated")."""

    path: str
    problem: str
    action: str = "skipped"


@dataclass(frozen=True, kw_only=True, slots=True)
class DataFacts(Record):
    """What the audit found and how the photos were split.

    Args:
        source: Folder, archive or table, as the user typed it.
        fingerprint: Hash of what was read, so that another run can tell it saw the same.
        synthetic: The pictures were made by a program; shown wherever the data are.
        task: What is learnt of the photos.
        counts: Part ("train", "validation", "test") to the number of photos of each class; of all
            photos where a number is learnt.
        photos: Part to its number of photos, where a photo may have several classes.
        split: One sentence: how the parts were made.
        sizes: Examples of (width, height) met.
        skipped: Every file that was not used, with the reason.
        notes: Files that were used after a repair or with a warning.
        duplicates: Groups of paths that hold the same picture.
        near_duplicates: Groups that hold nearly the same picture.
    """

    source: str = ""
    fingerprint: str = ""
    synthetic: bool = False
    task: Task = "one class"
    counts: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    photos: Mapping[str, int] = field(default_factory=dict)
    split: str = ""
    sizes: tuple[tuple[int, ...], ...] = ()
    skipped: tuple[FileNote, ...] = ()
    notes: tuple[FileNote, ...] = ()
    duplicates: tuple[tuple[str, ...], ...] = ()
    near_duplicates: tuple[tuple[str, ...], ...] = ()

    @property
    def totals(self) -> dict[str, int]:
        """Part to its number of photos."""
        return dict(self.photos) or {part: sum(of) for part, of in self.counts.items()}


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan(Record):
    """What is about to be done and why: said before training, obeyed on resume.

    Args:
        road: "features" (of a pretrained base) or "from scratch".
        why: One sentence on why this road.
        other_road: Command that takes the other one.
        image_size: (height, width) in pixels.
        budget_seconds: What the user allowed.
        estimated_seconds: What it should take.
        reasons: Setting to why it has its value.
        settings: Everything else, by name.
    """

    road: str = ""
    why: str = ""
    other_road: str = ""
    model: str = ""
    parameters: int = 0
    image_size: tuple[int, ...] = ()
    device: str = ""
    precision: str = ""
    batch_size: int = 0
    epochs: int = 0
    budget_seconds: float | None = None
    estimated_seconds: float | None = None
    seed: int = 0
    reasons: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class RunRecord(Record):
    """Everything a report needs, and nothing that must be computed again to have it.

    Args:
        name: The folder's name ("2026-11-20_photos_calm-fern").
        created: Start, ISO 8601 with the offset.
        status: "running" is also what a killed run leaves behind.
        error: Why it failed, or who stopped it.
        command: The line that made it; `python` is the same as code.
        resume_command: The line that continues it.
        versions: Package to version. `machine`: fact to value.
        class_names: In the order of the network's outputs.
        headline: Measured once on the test part, or on each of the folds; None until then.
        folds: Where there are any, the headline, baselines, confusion and predictions are those
            of all folds together, and the model that ships was trained on their photos.
        baselines: The same photos without a network.
        measured: In place of headline, baselines and confusion where photos have several classes
            or a number each.
        confusion: Test photos, row = truth, column = prediction.
        best_epoch: Epoch whose weights were kept (chosen on validation).
        test_reads: How often the test part (the most read of the folds') was read; 1 is right.
        base: The pretrained base that the classifier stands on; None: from scratch.
        ladder: What each rung from features to fine-tuning gave per second.
        heads: The heads that were compared on the same features, `lead` that of the best.
        calibration: Measured on photos that the classifier did not learn from.
        unlike: Error rates of the "unlike your photos" score.
        photo_audit: Near-duplicates, suspected labels, outliers, hard classes; nothing is deleted.
        embedding: The photos' features on two axes.
        seconds: Stage to its duration ("audit", "decode", "training", "test").
        paths: What was written ("model", "report", "log") to where.
        history: Lines of metrics.jsonl. `predictions`: lines of predictions.jsonl.
        answers: Lines of answers.jsonl, which takes its place beside `measured`.
        folder: Where it was read from; not stored.
    """

    name: str
    created: str = ""
    status: Status = "running"
    error: str = ""
    command: str = ""
    python: str = ""
    resume_command: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    machine: Mapping[str, str] = field(default_factory=dict)
    plan: Plan | None = None
    data: DataFacts | None = None
    class_names: tuple[str, ...] = ()
    headline: Score | None = None
    folds: tuple[FoldScore, ...] = ()
    baselines: tuple[Score, ...] = ()
    measured: Measured | None = None
    confusion: tuple[tuple[int, ...], ...] = ()
    best_epoch: int | None = None
    test_reads: int = 0
    layers: tuple[LayerRow, ...] = ()
    findings: tuple[Finding, ...] = ()
    base: BaseFacts | None = None
    ladder: tuple[Rung, ...] = ()
    heads: tuple[HeadScore, ...] = ()
    lead: Lead | None = None
    calibration: Calibration | None = None
    unlike: tuple[UnlikeRow, ...] = ()
    photo_audit: FeatureAudit | None = None
    embedding: Embedding | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)
    paths: Mapping[str, str] = field(default_factory=dict)
    history: tuple[EpochRow, ...] = field(default=(), metadata={"json": False})
    predictions: tuple[Prediction, ...] = field(default=(), metadata={"json": False})
    answers: tuple[MeasuredAnswer, ...] = field(default=(), metadata={"json": False})
    folder: Path | None = field(default=None, metadata={"json": False})


def class_scores(
    class_names: Sequence[str], confusion: Sequence[Sequence[int]]
) -> tuple[ClassScore, ...]:
    """Precision, recall and F1 of each class from a confusion matrix (row = truth).

    Example:
        >>> cat, dog = class_scores(["cat", "dog"], [[3, 1], [0, 4]])
        >>> cat.recall, cat.precision, dog.precision
        (0.75, 1.0, 0.8)
    """
    scores = []
    for index, name in enumerate(class_names):
        right, support = confusion[index][index], sum(confusion[index])
        called = sum(row[index] for row in confusion)
        scores.append(
            ClassScore(
                name=name,
                support=support,
                precision=right / called if called else None,
                recall=right / support if support else None,
                f1=2 * right / (support + called) if support + called else None,
                interval=Interval.wilson(right, support) if support else None,
            )
        )
    return tuple(scores)


def confusion_of(predictions: Sequence[Prediction], classes: int) -> tuple[tuple[int, ...], ...]:
    """The confusion matrix that predictions add up to (row = truth, column = prediction)."""
    table = [[0] * classes for _ in range(classes)]
    for prediction in predictions:
        table[prediction.truth][prediction.predicted] += 1
    return tuple(tuple(row) for row in table)
