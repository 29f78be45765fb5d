"""Thumbnails of a run folder, put into the page as data: addresses within a budget of bytes."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stroma.core.records import Prediction, RunRecord

_MAX_THUMBNAIL = 64 * 1024  # a thumbnail is about 1 KB; more is a photo put in the wrong place


@dataclass(frozen=True, slots=True)
class Photo:
    """One photo as the page shows it; without `uri` a grey tile takes its place.

    Args:
        why: Data address of the map of what spoke for the answer, likewise.
        explained: Whether such a map was made.
    """

    path: str
    truth: str
    predicted: str
    right: bool
    probability: float | None
    runner_up: str
    runner_up_probability: float | None
    uri: str = ""
    why: str = ""
    explained: bool = False


class Album:
    """The photos of a run, read from its folder only.

    Args:
        run: The run; `run.folder` is where its thumbnails lie.
        budget: Bytes that all data: addresses may take together.
    """

    def __init__(self, run: RunRecord, budget: int) -> None:
        self._run, self._left = run, budget
        self.shown = self.missing = self.left_out = 0

    def show(self, predictions: Sequence[Prediction], *, why: bool = False) -> list[Photo]:
        """The photos of these predictions, in order, with a picture while the budget lasts.

        Args:
            why: With the map of what spoke for the answer, where there is one.
        """
        return [self._photo(prediction, why) for prediction in predictions]

    def _photo(self, prediction: Prediction, why: bool) -> Photo:
        names = self._run.class_names
        runner_up = prediction.runner_up
        return Photo(
            path=prediction.path,
            truth=names[prediction.truth],
            predicted=names[prediction.predicted],
            right=prediction.right,
            probability=prediction.probability,
            runner_up="" if runner_up is None else names[runner_up],
            runner_up_probability=prediction.runner_up_probability,
            uri=self.picture(prediction.thumbnail),
            why=self.picture(prediction.explained) if why and prediction.explained else "",
            explained=why and bool(prediction.explained),
        )

    def picture(self, thumbnail: str | None) -> str:
        """Data address of a thumbnail while the budget lasts; else nothing."""
        content = self._read(thumbnail)
        kind = _kind(content)
        if not kind:
            self.missing += 1
            return ""
        uri = f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
        if len(uri) > self._left:
            self.left_out += 1
            return ""
        self._left -= len(uri)
        self.shown += 1
        return uri

    def _read(self, thumbnail: str | None) -> bytes:
        """The thumbnail's bytes, or nothing: the name comes from a file that may be hostile."""
        folder = self._run.folder
        if folder is None or not thumbnail:
            return b""
        root = folder.resolve()
        try:
            path = (root / Path(thumbnail)).resolve()
            if not path.is_relative_to(root) or path.stat().st_size > _MAX_THUMBNAIL:
                return b""
            return path.read_bytes()
        except (OSError, ValueError):  # not there, not a file, or no name at all (a NUL byte)
            return b""


def _kind(content: bytes) -> str:
    """The picture format that the first bytes prove, or nothing."""
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "webp"
    if content[:3] == b"\xff\xd8\xff":
        return "jpeg"
    return "png" if content[:8] == b"\x89PNG\r\n\x1a\n" else ""
