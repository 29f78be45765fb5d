"""`stroma predict`: what a trained model says about photos."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from stroma.core.errors import DataError
from stroma.core.plain import Record
from stroma.jobs.artefacts import load_artefact
from stroma.package.artefact import Artefact

_AT_ONCE = 32  # photos


@dataclass(frozen=True, kw_only=True, slots=True)
class Said(Record):
    """The answer for one photo."""

    path: str
    predicted: str
    probability: float
    runner_up: str
    runner_up_probability: float


def predict(model: Path | Artefact, photos: Sequence[Path]) -> Iterator[Said]:
    """Answers, in the order of the photos, as they are computed.

    Args:
        model: A run folder, a `.keras` file, or the artefact itself.
        photos: Picture files.
    Raises: RunError, FileFormatError: no model there. DataError: a photo is missing or broken.
    """
    artefact = model if isinstance(model, Artefact) else load_artefact(model)
    for photo in photos:
        if not photo.is_file():
            what = "a folder" if photo.is_dir() else "not there"
            raise DataError(
                f"{photo} is {what}",
                where=str(photo.resolve()),
                why="predict takes picture files",
                fix=f"stroma predict RUN {photo}/*.jpg" if photo.is_dir() else "check the path",
            )
    for start in range(0, len(photos), _AT_ONCE):
        chunk = photos[start : start + _AT_ONCE]
        for photo, answer in zip(chunk, artefact.predict(chunk)):
            yield Said(
                path=str(photo), predicted=answer.class_name, probability=answer.probability,
                runner_up=answer.runner_up, runner_up_probability=answer.runner_up_probability,
            )  # fmt: skip
