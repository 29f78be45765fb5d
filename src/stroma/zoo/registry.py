"""The builders of the zoo by name: the command line and the table of weights use names."""

from __future__ import annotations

from collections.abc import Callable

from stroma.core.registry import Registry
from stroma.models import Model

architectures: Registry[Callable[..., Model]] = Registry("architecture")
