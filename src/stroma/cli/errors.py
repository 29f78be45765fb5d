"""What a user sees when something goes wrong: four labelled parts, never a bare traceback."""

from __future__ import annotations

import errno
import os
import platform
import re
import shlex
import sys
import tempfile
import traceback
from collections.abc import Sequence
from itertools import pairwise

import click

import stroma
from stroma.core.errors import ArgumentError, StromaError, did_you_mean
from stroma.core.text import printable, wrap

# Faults of the machine that a user can mend: errno -> (why it matters, what to do).
_MACHINE = {
    errno.ENOSPC: ("the disk is full", "make room, or name another folder"),
    errno.EACCES: ("this user may not do that there", "choose another folder, or ask its owner"),
    errno.EPERM: ("this user may not do that there", "choose another folder, or ask its owner"),
    errno.EROFS: ("that disk can only be read", "name a folder on another disk"),
    errno.EMFILE: ("too many files are open at once", "raise the limit: ulimit -n 4096"),
}


def explain(error: BaseException, arguments: Sequence[str]) -> StromaError | None:
    """The four-part form of an error that the user can mend, else None."""
    if isinstance(error, StromaError):
        error.where = _as_typed(error, arguments)
        return error
    if isinstance(error, click.ClickException):
        return _explain_usage(error, arguments)
    if isinstance(error, OSError) and error.errno in _MACHINE:
        why, fix = _MACHINE[error.errno]
        where = str(error.filename or "the operating system")
        return StromaError(error.strerror or str(error), where=where, why=why, fix=fix)
    if isinstance(error, MemoryError):
        return StromaError(
            "there is not enough memory for this",
            where="the operating system",
            why=str(error) or "an array could not be made",
            fix="a smaller --batch or --size, or close other programs",
        )
    return None


def _as_typed(error: StromaError, arguments: Sequence[str]) -> str:
    """Where it was found: the option typed, not an argument of Python that nobody here typed."""
    if not re.fullmatch(r"[\w.]+(=|\().*", error.where, re.DOTALL):
        return error.where
    words = [part for word in arguments for part in word.split("=", 1 if word[:2] == "--" else 0)]
    said = error.what.partition(" Did you mean")[0]
    found = [
        (said.rfind(repr(value)), shlex.join([option, value]))
        for option, value in pairwise(words)
        if option.startswith("--") and repr(value) in said
    ]
    return max(found)[1] if found else error.where  # "'resnet20' has no layer 'x'": the last is it


def _explain_usage(error: click.ClickException, arguments: Sequence[str]) -> StromaError:
    context = error.ctx if isinstance(error, click.UsageError) else None
    verb = next((word for word in arguments if not word.startswith("-")), "")
    command = context.command_path if context else f"stroma {verb}".strip()
    where, what, fix = shlex.join(["stroma", *arguments]), error.format_message(), ""
    why = "the command line says what to do, so nothing was started"
    if isinstance(error, click.NoSuchOption):
        names = [name for p in _parameters(context) for name in p.opts if name.startswith("--")]
        what = f"there is no option {error.option_name}.{did_you_mean(error.option_name, names)}"
        why = f"{command} knows {', '.join(sorted(names))}"
        meant = [word for word in arguments if word.startswith("-") and os.path.lexists(word)]
        if meant:
            fix = f"a path that begins with '-' is typed ./{meant[0]}, or after --"
    elif isinstance(error, click.MissingParameter) and error.param is not None:
        name = error.param.make_metavar(context) if context else error.param.name
        what, why = f"{name} is missing", f"{command} needs it to know what to work on"
        fix = f"{command} {name}"
    elif isinstance(error, click.BadParameter) and error.param is not None:
        # Click names its own types ("integer range"); people know whole numbers.
        message = re.sub("a valid integer( range)?", "a whole number", error.message)
        what = f"{error.param.opts[-1]}: {message}"
        why = getattr(error.param, "help", None) or why
    return ArgumentError(what, where=where, why=why, fix=fix or f"{command} --help")


def _parameters(context: click.Context | None) -> list[click.Parameter]:
    return context.command.get_params(context) if context else []


def render(error: StromaError, width: int) -> str:
    """The labelled parts, one below the other.

    What may be copied (where, try) keeps its line whole; what is read (error, why) is wrapped.
    """
    lines = []
    for name, text in error.parts().items():
        label = f"{'error' if name == 'what' else name}:".ljust(8)
        text = "\n".join(printable(line) for line in text.splitlines())
        if name in ("what", "why"):
            parts = [part for line in text.splitlines() for part in wrap(line, width - 8)]
        else:
            parts = text.splitlines()
        lines += [label + parts[0], *(" " * 8 + part for part in parts[1:])]
    return "\n".join(lines)


def write_log(error: BaseException, arguments: Sequence[str]) -> str:
    """Write the traceback to a new file in the temporary folder; its path."""
    handle, path = tempfile.mkstemp(prefix="stroma-", suffix=".log")
    with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
        file.write(f"{shlex.join(['stroma', *arguments])}\n")
        file.write(f"stroma {stroma.__version__}, Python {sys.version}, {platform.platform()}\n\n")
        file.write("".join(traceback.format_exception(error)))
    return path
