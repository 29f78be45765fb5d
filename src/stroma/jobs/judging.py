"""The test part, opened once: headline, confusion matrix, every prediction, and its photos."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from stroma.core.records import FoldScore, Prediction, Score, confusion_of
from stroma.core.runs import PHOTOS_FOLDER, PREDICTIONS_FILE, JsonLines
from stroma.data import ImageData, Part
from stroma.jobs.mistakes import explain_mistakes, small_webp
from stroma.jobs.scratch import Trained
from stroma.jobs.watch import Watch
from stroma.transfer import PixelBaselines

_MISTAKES, _RIGHT_OF_A_CLASS = 400, 12  # photos kept: as many as a report can show


class Answering(Protocol):
    """What was trained, as far as a test sees it: a network, or a head on features."""

    @property
    def best_epoch(self) -> int | None:
        """Epoch whose weights were kept, where there are epochs."""

    def network(self) -> Trained | None:
        """What ships, where it is a network: reasons can then be drawn."""

    def answers(self, part: Part) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """(positions, their (B, K) probabilities), batch by batch, in the part's order."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What was measured on the test part, or on the folds' together.

    Args:
        tested: The test part, as it was opened; `probabilities` (N, K) what was said of it. None:
            there were folds.
    """

    headline: Score
    baselines: tuple[Score, ...]
    confusion: tuple[tuple[int, ...], ...]
    predictions: tuple[Prediction, ...]
    test_reads: int
    folds: tuple[FoldScore, ...] = ()
    tested: Part | None = None
    probabilities: np.ndarray | None = None


def judge(
    trained: Answering,
    data: ImageData,
    baselines: PixelBaselines,
    source: str,
    folder: Path | None = None,
    watch: Watch | None = None,
    *,
    explained: int = 24,
) -> Judged:
    """Measure the network, and what needs no network, on photos that nothing was chosen by.

    Args:
        trained: The network, or what stands for it.
        data: Its test part is opened here, and never elsewhere.
        baselines: Fitted on the training part.
        source: What the user typed: paths begin with it.
        folder: Run folder for `predictions.jsonl` and thumbnails; None: neither.
        watch: Who is told.
        explained: How many of the mistakes get a Grad-CAM picture, the surest first.
    """
    watch = watch or Watch()
    watch.stage("test")
    part = data.open_test()
    rows: list[Prediction] = []
    shares: list[np.ndarray] = []
    thumbnails = _Thumbnails(folder / PHOTOS_FOLDER) if folder is not None else None
    for picture, row, said in _predictions(trained, part, source):
        if thumbnails is not None and (name := thumbnails.keep(picture, row, len(rows))):
            row = Prediction(**{**row.to_json(), "thumbnail": name})
        rows.append(row)
        shares.append(said)
        watch.progress(len(rows), len(part))
    if folder is not None:
        rows = explain_mistakes(trained, part, rows, folder, explained)
        write_predictions(folder, rows)
    return Judged(
        headline=Score.of("accuracy", sum(row.right for row in rows), len(rows)),
        baselines=baselines.scores(part),
        confusion=confusion_of(rows, len(data.class_names)),
        predictions=tuple(rows),
        test_reads=data.test.reads,
        tested=part,
        probabilities=np.array(shares),
    )


def write_predictions(folder: Path, rows: Sequence[Prediction]) -> None:
    """`predictions.jsonl`, in place of one that a test which was cut short has left."""
    (folder / PREDICTIONS_FILE).unlink(missing_ok=True)
    with JsonLines(folder / PREDICTIONS_FILE) as lines:
        for row in rows:
            lines.append(row)


def _predictions(
    trained: Answering, part: Part, source: str
) -> Iterator[tuple[np.ndarray, Prediction, np.ndarray]]:
    for positions, shares in trained.answers(part):
        order = np.argsort(-shares, axis=1, kind="stable")
        pictures = part.images(positions)
        for picture, at, row, (first, second) in zip(
            pictures, positions.tolist(), shares, order[:, :2].tolist()
        ):
            yield (
                picture,
                Prediction(
                    path=path_as_typed(source, part.names[at]),
                    truth=int(part.labels[at]),
                    predicted=first,
                    probability=float(row[first]),
                    runner_up=second,
                    runner_up_probability=float(row[second]),
                ),
                row,
            )


def path_as_typed(source: str, name: str) -> str:
    """A photo as the user would type it."""
    return str(Path(source) / name) if Path(source).is_dir() else name


class _Thumbnails:
    """Keeps the mistakes, and some of what was right in each class."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._mistakes, self._right = 0, Counter[int]()

    def keep(self, picture: np.ndarray, row: Prediction, number: int) -> str | None:
        """The thumbnail's name in the run folder, or None when there are enough of its kind."""
        if row.right:
            if self._right[row.truth] >= _RIGHT_OF_A_CLASS:
                return None
            self._right[row.truth] += 1
        else:
            if self._mistakes >= _MISTAKES:
                return None
            self._mistakes += 1
        self.folder.mkdir(exist_ok=True)
        path = self.folder / f"{number}.webp"
        path.write_bytes(small_webp(picture))
        return f"{PHOTOS_FOLDER}/{path.name}"
