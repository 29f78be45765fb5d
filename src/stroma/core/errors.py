"""Errors that help: what was wrong, where, why it matters, what to type next.

Every error that a user can cause is a `StromaError` *and* the builtin type that they would expect
(`ValueError`, `TypeError`, ...), so `except ValueError` keeps working. The four parts are kept as
attributes: the command line prints them one below the other, Python prints them as one text.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class StromaError(Exception):
    """Base of all errors that stroma raises on purpose.

    Args:
        what: What was wrong, with the value received.
        where: Path, layer, argument or flag in which it was found.
        why: Why it matters, or what was expected.
        fix: What to type next.
    """

    def __init__(self, what: str, *, where: str = "", why: str = "", fix: str = "") -> None:
        super().__init__(what)
        self.what, self.where, self.why, self.fix = what, where, why, fix

    def parts(self) -> dict[str, str]:
        """The parts that are filled in, in reading order."""
        named = {"what": self.what, "where": self.where, "why": self.why, "try": self.fix}
        return {name: text for name, text in named.items() if text}

    def __str__(self) -> str:
        head, *rest = self.parts().items()
        return "\n".join([head[1], *(f"  {name}: {text}" for name, text in rest)])

    def __reduce__(self) -> tuple[object, ...]:  # keyword-only parts survive a process boundary
        return _rebuild, (type(self), self.what, self.where, self.why, self.fix)


def _rebuild(kind: type[StromaError], what: str, where: str, why: str, fix: str) -> StromaError:
    return kind(what, where=where, why=why, fix=fix)


class ArgumentError(StromaError, ValueError):
    """A setting has a value outside its range."""


class ArgumentTypeError(StromaError, TypeError):
    """A setting has the wrong type, or its name is not known."""


class ShapeError(StromaError, ValueError):
    """A tensor has a shape that the layer, loss or network cannot take."""


class GraphError(StromaError, ValueError):
    """A network cannot be recorded, cut or run as asked."""


class DataError(StromaError, ValueError):
    """A data set cannot be read, split or used as asked."""


class WeightsError(StromaError, ValueError):
    """Weights do not fit the network, or their file is not what it claims."""


class FileFormatError(StromaError, ValueError):
    """A file is damaged, unsafe, or not of the format it claims."""


class RunError(StromaError, RuntimeError):
    """A run cannot be made, continued or finished."""


class NotInitializedError(StromaError, RuntimeError):
    """A subclass does not call `super().__init__()`."""


class NotDefinedError(StromaError, NotImplementedError):
    """A subclass lacks a method that it must define."""


class MissingDependencyError(StromaError, ImportError):
    """An optional package is needed and not installed."""


def not_defined(owner: object, signature: str, why: str) -> NotDefinedError:
    """The error of a base class whose method `signature` was called and not overridden."""
    kind = type(owner).__name__
    return NotDefinedError(
        f"{kind} does not define {signature}",
        where=f"class {kind}",
        why=why,
        fix=f"def {signature}: return ...",
    )


def did_you_mean(name: str, known: Iterable[str], count: int = 3) -> str:
    """`" Did you mean 'relu'?"` when something known is close to `name`, else the empty string.

    Example:
        >>> did_you_mean("rleu", ["relu", "tanh"])
        " Did you mean 'relu'?"
    """
    known = list(known)
    lower = {item.lower(): item for item in known}
    close = difflib.get_close_matches(str(name).lower(), list(lower), n=count, cutoff=0.6)
    if not close:
        return ""
    return " Did you mean " + " or ".join(repr(lower[item]) for item in close) + "?"
