"""`stroma predict`: what a trained model says about photos."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stroma.core.errors import DataError, StromaError
from stroma.core.plain import Record
from stroma.core.tasks import SEPARATOR
from stroma.data.decode import DecodeError, quiet_pillow
from stroma.data.listing import Pictures, pictures
from stroma.data.scan import worker_count
from stroma.jobs.artefacts import load_artefact
from stroma.package.artefact import Artefact

_AT_ONCE = 32  # photos in memory


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
        return _without_none(Record.to_json(self))


@dataclass(frozen=True, kw_only=True, slots=True)
class SaidSeveral(Record):
    """The answer of a network for several classes: those above 0.5, and the probability of each."""

    path: str
    classes: tuple[str, ...]
    probabilities: Mapping[str, float]
    unlike: float | None = None

    def to_json(self) -> dict[str, Any]:
        """One column a class, called p_<class>; the classes joined by `|`, as in tables."""
        fields: dict[str, Any] = {"path": self.path, "classes": SEPARATOR.join(self.classes)}
        fields |= {f"p_{name}": share for name, share in self.probabilities.items()}
        return _without_none(fields | {"unlike": self.unlike})


@dataclass(frozen=True, kw_only=True, slots=True)
class SaidNumber(Record):
    """The number that a network predicts for one photo."""

    path: str
    value: float
    unlike: float | None = None

    def to_json(self) -> dict[str, Any]:
        return _without_none(Record.to_json(self))


def _without_none(fields: dict[str, Any]) -> dict[str, Any]:
    """Without `unlike` where the model cannot tell."""
    return {name: value for name, value in fields.items() if value is not None}


def predict(
    model: str | Path | Artefact,
    photos: str | Path | Sequence[str | Path] | Pictures,
    failed: Callable[[StromaError], None] | None = None,
) -> Iterator[Said | SaidSeveral | SaidNumber]:
    """Answers, in the order of the photos, as they are computed: memory holds 32 photos at most.

    Args:
        model: A run folder, a `.keras` file, or the artefact itself.
        photos: Picture files, folders, zips or lists of paths, as `data.listing.pictures` takes
            them, or what it gave.
        failed: Told of each photo that is missing or broken, and the others are answered; None:
            the first such photo raises.
    Raises: RunError, FileFormatError: no model there. DataError: a photo is missing or broken,
        or nothing there is a picture.
    """
    if isinstance(photos, (str, Path)):
        photos = [photos]
    found = photos if isinstance(photos, Pictures) else pictures(photos)
    artefact = model if isinstance(model, Artefact) else load_artefact(model)
    with ThreadPoolExecutor(worker_count(), thread_name_prefix="stroma-decode") as pool:
        for start in range(0, len(found), _AT_ONCE):
            rows = range(start, min(start + _AT_ONCE, len(found)))
            with quiet_pillow():  # not across the yield: it changes how the whole process warns
                read = list(pool.map(lambda row: _picture(artefact, found, row), rows))
            good = {}
            for row, pixels in zip(rows, read):
                if isinstance(pixels, np.ndarray):
                    good[row] = pixels
                elif failed is None:
                    raise pixels
                else:
                    failed(pixels)
            yield from _said(artefact, [found.names[row] for row in good], list(good.values()))


def _said(
    artefact: Artefact, names: list[str], pictures: list[np.ndarray]
) -> Iterator[Said | SaidSeveral | SaidNumber]:
    if artefact.task == "several classes":
        for name, several in zip(names, artefact.predict_several(pictures)):
            yield SaidSeveral(
                path=name, classes=several.classes, probabilities=several.probabilities,
                unlike=several.unlike,
            )  # fmt: skip
    elif artefact.task == "number":
        for name, number in zip(names, artefact.predict_number(pictures)):
            yield SaidNumber(path=name, value=number.value, unlike=number.unlike)
    else:
        for name, answer in zip(names, artefact.predict(pictures)):
            yield Said(
                path=name, predicted=answer.class_name, probability=answer.probability,
                runner_up=answer.runner_up, runner_up_probability=answer.runner_up_probability,
                unlike=answer.unlike,
            )  # fmt: skip


def _picture(artefact: Artefact, found: Pictures, row: int) -> np.ndarray | StromaError:
    """The photo as the network takes it, or what is wrong with it in four parts."""
    name = found.names[row]
    try:
        return artefact.prepare(found.reads[row]())
    except DecodeError as error:
        return DataError(f"{name}: {error.what}", where=name, why=error.why, fix=error.fix)
    except DataError as error:
        return error
    except OSError as error:
        return DataError(
            f"{name} cannot be read: {error.strerror or error}", where=name,
            why="the machine refuses it", fix="check its permissions, and the disk",
        )  # fmt: skip
