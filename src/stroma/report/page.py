"""The frame of every page: templates, the filters they use, and the policy that seals them.

A page asks for nothing: its policy forbids every request, allows pictures only inside the file,
and runs exactly the one script and style whose hashes it names.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import math
import re
from collections.abc import Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from stroma.core.scores import Interval
from stroma.report import facts, svg


def fill(template: str, context: dict[str, Any]) -> str:
    """The page that `template` makes of `context`, with its style, script and policy."""
    environment = _environment()
    style, script = (
        Markup(environment.get_template(name).render().strip())
        for name in ("style.css", "script.js")
    )
    sealed = {"style": style, "script": script, "policy": _policy(style, script)}
    return environment.get_template(template).render(context | sealed)


@functools.cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("stroma.report", "template"),
        autoescape=lambda name: name is not None and name.endswith(".html"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    environment.filters.update(
        percent=lambda share, digits=1: facts.percent(share, digits).replace(" ", "\u00a0"),
        between=lambda interval: facts.between(interval).replace(" ", "\u00a0"),
        duration=_duration,
        breakable=_breakable,
        shape=_shape,
        named=_named,
        signed=facts.signed,
    )
    environment.globals.update(
        share_bar=svg.share_bar, reliability_chart=svg.reliability_chart, span=_span
    )
    return environment


def _shown(value: Any) -> Any:
    """What `{{ }}` writes: text with its control characters made visible."""
    return facts.visible(value) if isinstance(value, str) and type(value) is str else value


def _policy(style: str, script: str) -> str:
    """Content security policy: nothing from anywhere, but these two hashes and inlined pictures."""
    digest = {
        name: base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        for name, text in (("style", style), ("script", script))
    }
    return (
        f"default-src 'none'; img-src data:; style-src 'sha256-{digest['style']}'; "
        f"script-src 'sha256-{digest['script']}'; base-uri 'none'; form-action 'none'"
    )


def _duration(seconds: float | None) -> str:
    """A duration with as many digits as it deserves.

    Example:
        >>> _duration(0.234), _duration(74.9), _duration(4000)
        ('0.23 s', '1 min 15 s', '1 h 06 min')
    """
    if seconds is None or not math.isfinite(seconds):
        return "–"
    if seconds < 60:
        return f"{seconds:.2f} s" if seconds < 1 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def _breakable(name: str) -> Markup:
    """A path or class name that a line may break after a slash or underscore, not within a word."""
    parts = re.split("(?<=[/_])", facts.visible(name))
    return Markup("<wbr>").join(escape(part) for part in parts)


def _shape(shape: tuple[int | None, ...]) -> str:
    return " × ".join("?" if size is None else f"{size:,}" for size in shape)


def _named(index: int, names: Sequence[str]) -> str:
    """The class of this index: a damaged list must not stop the report."""
    return names[index] if 0 <= index < len(names) else f"class {index}"


def _span(low: float | None, high: float | None) -> Interval | None:
    return None if low is None or high is None else Interval(low=low, high=high)
