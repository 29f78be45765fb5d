"""Examples in the docstrings of the installed Keras, run in Keras and in stroma.

An example is the docstring of a public object: its `>>>` prompts, or else each of its fenced
Python blocks. Keras runs it first, statement by statement; a statement that fails there
is left out, and what is left is run again with stroma under the name `keras`. Both must arrive at
the same shapes, and at the same numbers where Keras itself arrives at them twice from other seeds;
or stroma at what the docstring promises, where Keras on torch does not (NaN from whole numbers).
"""

from __future__ import annotations

import ast
import builtins
import contextlib
import doctest
import importlib
import inspect
import io
import os
import random
import re
import signal
import tempfile
import textwrap
import warnings
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import CodeType, ModuleType
from typing import Any

import numpy as np

import stroma
from keras_values import Array, describe, difference
from oracle import keras

ROOMS = ("layers", "losses", "metrics", "optimizers", "optimizers.schedules", "initializers",
         "activations", "regularizers", "constraints", "callbacks", "models", "ops", "utils",
         "random", "applications")  # fmt: skip
# What Keras' authors take for granted in an example
ASSUMED = (*(room for room in ROOMS if "." not in room), "Model", "Sequential", "Input")
SECONDS = 20  # the longest an example may take; one that waits for the network is cut off
# A gigabyte of weights in shards; memory that nobody set
NOT_RUN = {"models.Model.save_weights#1", "ops.empty", "ops.empty_like"}
BLOCK = re.compile(r"^[ \t]*```(?:python|py)?[ \t]*\n(.*?)^[ \t]*```", re.DOTALL | re.MULTILINE)
SIZE = re.compile(r"torch\.Size\((\[[\d, ]*\])\)")
NUMBER = re.compile(r"-?(?:\d+\.?\d*(?:e[+-]?\d+)?|inf|nan)", re.IGNORECASE)
SEED = re.compile(r"(seed\s*=\s*|SeedGenerator\(\s*|set_random_seed\(\s*)(\d+)")


@dataclass(frozen=True)
class Example:
    """Statements of one docstring, in the order they are written."""

    name: str
    statements: tuple[str, ...]
    promised: tuple[str, ...] = ()  # what the docstring prints below each prompt


@dataclass
class Trace:
    """What a run made: per statement a description of its value, and the exception if any."""

    values: list[Any] = field(default_factory=list)
    errors: list[str | None] = field(default_factory=list)


@dataclass(frozen=True)
class Outcome:
    """`ran`: statements that Keras ran; `problem`: None where stroma arrived at the same."""

    name: str
    ran: int
    skipped: int
    problem: str | None


# -- collecting ---------------------------------------------------------------------------------


def objects() -> Iterator[tuple[str, Any]]:
    """Every public function, class and method of a class's own, once, under its first name."""
    seen = set()
    for room in ROOMS:
        module = importlib.import_module(f"keras.{room}")
        for name in sorted(vars(module)):
            thing = getattr(module, name)
            if name.startswith("_") or not callable(thing) or id(thing) in seen:
                continue
            seen.add(id(thing))
            yield f"{room}.{name}", thing
            if inspect.isclass(thing):
                yield from _methods(f"{room}.{name}", thing, seen)


def _methods(path: str, owner: type, seen: set[int]) -> Iterator[tuple[str, Any]]:
    for base in owner.__mro__:
        for name, thing in vars(base).items():
            function = getattr(thing, "__func__", getattr(thing, "fget", thing))
            of_keras = str(getattr(function, "__module__", "")).startswith("keras.")
            if name.startswith("_") or not of_keras or id(function) in seen:
                continue
            seen.add(id(function))
            yield f"{path}.{name}", function


def examples() -> list[Example]:
    found = []
    for path, thing in objects():
        text = thing.__doc__ or ""
        with contextlib.suppress(ValueError):  # a prompt with text right behind it
            prompts = doctest.DocTestParser().get_examples(text)
            if prompts and path in NOT_RUN:
                continue
            if prompts:
                sources, wants = zip(*((e.source, e.want) for e in prompts))
                found.append(Example(path, sources, wants))
                continue
        blocks = [textwrap.dedent(block) for block in BLOCK.findall(text)]
        for number, block in enumerate(blocks):
            with contextlib.suppress(SyntaxError):  # a sketch with "..." in it, or a shell line
                parts = [ast.get_source_segment(block, n) or "" for n in _nodes(block)]
                if parts and f"{path}#{number + 1}" not in NOT_RUN:
                    found.append(Example(f"{path}#{number + 1}", tuple(parts)))
    return found


def _nodes(block: str) -> list[ast.stmt]:
    return ast.parse(block).body


# -- running ------------------------------------------------------------------------------------


def namespace(library: ModuleType) -> dict[str, Any]:
    """Names an example may use; `import keras` inside it gives `library`."""

    def load(name, globals=None, locals=None, fromlist=(), level=0):
        root, _, rest = name.partition(".")
        if root != "keras" or library is keras:
            return builtins.__import__(name, globals, locals, fromlist, level)
        rest = rest.removeprefix("src").removeprefix(".")  # some examples go behind the face
        importlib.import_module(f"{library.__name__}.{rest}" if rest else library.__name__)
        target = library
        for part in rest.split(".") if fromlist and rest else ():
            target = getattr(target, part)
        return target

    known = {name: getattr(library, name, None) for name in ASSUMED}
    return {
        "__name__": "example",
        "__builtins__": {**vars(builtins), "__import__": load},
        "np": np,
        "keras": library,
        **{name: value for name, value in known.items() if value is not None},
    }


def compiled(statement: str) -> tuple[CodeType, list[str]]:
    """Code that keeps an expression's value as `_value`, and the names it assigns."""
    tree = ast.parse(statement)
    names: list[str] = []
    last = tree.body[-1] if tree.body else None
    if isinstance(last, ast.Expr):
        keep = ast.Assign([ast.Name("_value", ast.Store())], last.value)
        tree.body[-1] = ast.copy_location(keep, last)
        names = ["_value"]
    elif isinstance(last, (ast.Assign, ast.AugAssign)):
        targets = last.targets if isinstance(last, ast.Assign) else [last.target]
        names = [n.id for t in targets for n in ast.walk(t)
                 if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]  # fmt: skip
    code = compile(ast.fix_missing_locations(tree), "<example>", "exec", dont_inherit=True)
    return code, names


@contextlib.contextmanager
def time_limit() -> Iterator[None]:
    def stop(*_: Any) -> None:
        raise TimeoutError(f"longer than {SECONDS} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@contextlib.contextmanager
def place_of_its_own(library: ModuleType, seed: int) -> Iterator[None]:
    """An empty folder, quiet, seeded, and the library's settings put back afterwards."""
    here = os.getcwd()
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        os.chdir(folder)
        library.utils.set_random_seed(seed)
        np.random.seed(0)  # data that an example draws are the same everywhere
        random.seed(seed)
        try:
            yield
        finally:
            os.chdir(here)
            library.config.set_dtype_policy("float32")
            library.config.set_floatx("float32")
            library.config.set_image_data_format("channels_last")


def run(
    example: Example, library: ModuleType, seed: int = 1, skip: frozenset[int] = frozenset()
) -> Trace:
    """One pass over an example; statements whose number is in `skip` are left out."""
    trace, space = Trace(), namespace(library)
    with place_of_its_own(library, seed), time_limit():
        for number, statement in enumerate(example.statements):
            if number in skip:
                trace.values.append(None), trace.errors.append(None)
                continue
            if seed != 1:  # a seed that is written down is another one too
                statement = SEED.sub(lambda m: f"{m[1]}{int(m[2]) + seed}", statement)
            value, error = step(statement, space)
            trace.values.append(value), trace.errors.append(error)
    return trace


def step(statement: str, space: dict[str, Any]) -> tuple[Any, str | None]:
    said = io.StringIO()
    try:
        code, names = compiled(statement)
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(io.StringIO()):
            exec(code, space)
            value = [describe(space[name]) for name in names]
    except TimeoutError:
        raise
    except Exception as error:
        return None, f"{type(error).__name__}: {error}".strip().replace("\n", " ")[:300]
    return [*value, SIZE.sub(_as_tuple, said.getvalue())], None


def _as_tuple(size: re.Match[str]) -> str:
    """`torch.Size([2, 3])` as `(2, 3)`: it is a tuple, and says so when it is printed."""
    return str(tuple(ast.literal_eval(size[1])))


# -- comparing ---------------------------------------------------------------------------------


def compare(example: Example) -> Outcome | None:
    """None where Keras itself does not run the example."""
    try:
        first = run(example, keras)
        bad = frozenset(i for i, error in enumerate(first.errors) if error)
        if len(bad) == len(example.statements):
            return None
        again = run(example, keras, seed=2, skip=bad)
    except TimeoutError:
        return None
    ran = len(example.statements) - len(bad)
    try:
        ours = run(example, stroma, skip=bad)
    except TimeoutError as late:
        return Outcome(example.name, ran, len(bad), str(late))
    for number, statement in enumerate(example.statements):
        said = ours.errors[number]
        values = ours.values[number], first.values[number], again.values[number]
        problem = said or difference_of_statement(*values)
        wanted = example.promised[number] if example.promised else ""
        if problem and not (wanted and as_promised(ours.values[number], wanted)):
            line = " ".join(statement.split())[:80]
            return Outcome(example.name, ran, len(bad), f"`{line}`: {problem}")
    return Outcome(example.name, ran, len(bad), None)


def difference_of_statement(ours: Any, first: Any, again: Any) -> str | None:
    if ours is None and first is None:
        return None
    if first[0] is None:  # no value, nothing to compare but what was printed
        ours, first, again = ours[1:], first[1:], again[1:]
    numbers = difference(again, first) is None
    return difference(ours, first, numbers)


def as_promised(ours: Any, wanted: str) -> bool:
    """Whether a value has the numbers that the docstring shows."""
    shown = wanted.split("dtype")[0].partition("shape=")[0]
    promised = [float(n) for n in NUMBER.findall(shown)]
    value = ours[0] if ours else None
    flat = value.values if isinstance(value, Array) else value
    if flat is None or isinstance(flat, (str, list, dict)):
        return False
    mine = np.ravel(flat).astype(float)
    return len(promised) == len(mine) and np.allclose(mine, promised, rtol=1e-3, atol=1e-6)


def drawn(every: list[Example]) -> list[Example]:
    """A third of all examples, always the same ones, spread over every room."""
    return [e for e in every if zlib.crc32(e.name.encode()) % 3 == 0]


def survey(chosen: list[Example]) -> list[Outcome]:
    outcomes = (compare(example) for example in chosen)
    return [outcome for outcome in outcomes if outcome]


if __name__ == "__main__":
    import sys
    import time

    wanted = sys.argv[1:]
    start = time.perf_counter()
    every = examples()
    results = survey([e for e in every if not wanted or any(e.name.startswith(w) for w in wanted)])
    for outcome in results:
        if outcome.problem or wanted:
            print(
                f"{outcome.name} [{outcome.ran}/{outcome.ran + outcome.skipped}]: {outcome.problem}"
            )
    right = sum(outcome.problem is None for outcome in results)
    print(f"{right} of {len(results)} (of {len(every)}) in {time.perf_counter() - start:.0f} s")
