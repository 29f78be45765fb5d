"""Pictures of the photos in a test: thumbnails, and where a wrong answer came from."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image

from stroma.core.errors import GraphError
from stroma.core.records import Prediction
from stroma.core.runs import PHOTOS_FOLDER
from stroma.data import Part
from stroma.explain import gradcam
from stroma.jobs.scratch import Trained

_SIDE = 96  # pixels of a thumbnail's longer side at most: about 2 KB each


class _Ships(Protocol):
    def network(self) -> Trained | None: ...


def explain_mistakes(
    trained: _Ships, part: Part, rows: Sequence[Prediction], folder: Path, most: int
) -> list[Prediction]:
    """The rows, the surest mistakes among them with a Grad-CAM picture of what was said.

    Args:
        trained: What said it.
        part: The photos, in the order of the rows.
        rows: All that was said.
        folder: Of the run: pictures go into its `photos`.
        most: How many pictures at most.
    """
    named = list(rows)
    wrong = [at for at, row in enumerate(rows) if not row.right and row.thumbnail]
    wrong.sort(key=lambda at: -(rows[at].probability or 0.0))
    network = trained.network()
    if not wrong or most < 1 or network is None:
        return named
    for at, pixels in zip(wrong[:most], part.images(np.array(wrong[:most]))):
        try:
            found = gradcam(network.model, pixels, rows[at].predicted)
        except GraphError:  # a network without a map of places has nothing to show
            return named
        name = f"{PHOTOS_FOLDER}/{at}-why.webp"
        (folder / name).write_bytes(small_webp(np.asarray(found.overlay())))
        named[at] = dataclasses.replace(rows[at], explained=name)
    return named


def small_webp(picture: np.ndarray) -> bytes:
    """A thumbnail, about 2 KB."""
    image = Image.fromarray(picture[..., 0] if picture.shape[2] == 1 else picture)
    image.thumbnail((_SIDE, _SIDE))
    content = io.BytesIO()
    image.convert("RGB").save(content, "WEBP", quality=70)
    return content.getvalue()
