"""What a network is asked about a photo."""

from __future__ import annotations

from typing import Literal, get_args

# one class: which of K; several classes: each of K, yes or no; number: how much
Task = Literal["one class", "several classes", "number"]
TASKS: tuple[Task, ...] = get_args(Task)

SEPARATOR = "|"  # between the classes of one photo, in tables that are read and that are written
