"""`stroma predict`: what a trained model says about photos."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stroma.core.errors import DataError, StromaError
from stroma.core.plain import Record
from stroma.jobs.artefacts import load_artefact
from stroma.package.artefact import Artefact

_AT_ONCE = 32  # photos


@dataclass(frozen=True, kw_only=True, slots=True)
class Said(Record):
    """The answer for one photo; `unlike` only where the model can tell (`package.Answer`)."""

    path: str
    predicted: str
    probability: float
    runner_up: str
    runner_up_probability: float
    unlike: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Without `unlike` where the model cannot tell."""
        fields = Record.to_json(self)
        if self.unlike is None:
            del fields["unlike"]
        return fields


def predict(
    model: str | Path | Artefact,
    photos: Sequence[Path],
    failed: Callable[[StromaError], None] | None = None,
) -> Iterator[Said]:
    """Answers, in the order of the photos, as they are computed.

    Args:
        model: A run folder, a `.keras` file, or the artefact itself.
        photos: Picture files.
        failed: Told of each photo that is missing or broken, and the others are answered; None:
            the first such photo raises.
    Raises: RunError, FileFormatError: no model there. DataError: a photo is missing or broken.
    """
    artefact = model if isinstance(model, Artefact) else load_artefact(model)
    for start in range(0, len(photos), _AT_ONCE):
        pictures = {}
        for at, photo in enumerate(photos[start : start + _AT_ONCE], start):
            try:
                pictures[at] = _picture(artefact, photo)
            except StromaError as error:
                if failed is None:
                    raise
                failed(error)
        for at, answer in zip(pictures, artefact.predict(pictures.values())):
            photo = photos[at]
            yield Said(
                path=str(photo), predicted=answer.class_name, probability=answer.probability,
                runner_up=answer.runner_up, runner_up_probability=answer.runner_up_probability,
                unlike=answer.unlike,
            )  # fmt: skip


def _picture(artefact: Artefact, photo: Path) -> np.ndarray:
    """The photo as the network takes it, or what is wrong with it in four parts."""
    if not photo.is_file():
        what = "a folder" if photo.is_dir() else "not there"
        raise DataError(
            f"{photo} is {what}",
            where=str(photo.resolve()),
            why="predict takes picture files",
            fix=f"stroma predict RUN {photo}/*.jpg" if photo.is_dir() else "check the path",
        )
    try:
        return artefact.prepare(photo)
    except OSError as error:
        raise DataError(
            f"{photo} cannot be read: {error.strerror or error}",
            where=str(photo.resolve()),
            why="the machine refuses it",
            fix="check its permissions, and the disk",
        ) from error
