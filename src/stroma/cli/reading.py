"""Reading photos for a command: one place for `check`, `train` and `evaluate`."""

from __future__ import annotations

from typing import Any

from stroma.cli.command import Session
from stroma.data import ImageData, digits, images


def read_photos(session: Session, path: str, **options: Any) -> ImageData:
    """The photos at `path`, with a bar while they are looked at.

    Args:
        session: For the bar.
        path: What `stroma.data.images` takes, or "digits": scikit-learn's.
        options: Of `stroma.data.images`.
    """
    if path == "digits":
        return digits(seed=options.get("seed", 0))
    with session.talk.progress(0, "looking at the photos") as bar:
        return images(path, progress=bar.update_total, **options)
