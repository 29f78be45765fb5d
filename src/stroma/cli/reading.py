"""Reading photos for a command: one place for `check`, `train` and `evaluate`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

import click

from stroma.cli.command import Session
from stroma.data import ImageData, digits, images
from stroma.data.labels import LabelsAre


def label_options(function: Callable[..., None]) -> Callable[..., None]:
    """The options that say what the labels of a table are."""
    for add in (
        click.option("--target-column", metavar="NAME",
                     help="Column of the labels in a table, or several of 0 and 1: a,b,c."),
        click.option("--labels", type=click.Choice(get_args(LabelsAre)), default="auto",
                     show_default=True, help="What the labels of a table are."),
    ):  # fmt: skip
        function = add(function)
    return function


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
