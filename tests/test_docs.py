"""What is written runs: examples in docstrings, snippets in README and docs; nothing is bare.

In Markdown every ```python block is executed, one file in one namespace, top to bottom, and in
```console blocks every line that begins with `$ stroma`. A block that cannot run (it needs a
user's photos) is preceded by `<!-- not run: why -->`.
"""

import ast
import doctest
import importlib
import inspect
import pkgutil
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch

import stroma
from stroma.cli.main import COMMANDS, main
from stroma.core.errors import MissingDependencyError

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("**/*.md")])
MODULES = sorted(
    info.name
    for info in pkgutil.walk_packages(stroma.__path__, "stroma.")
    if not info.name.endswith("__main__")
)


def load(name):
    try:
        return importlib.import_module(name)
    except MissingDependencyError as error:
        pytest.skip(str(error).splitlines()[0])


def examples(module):
    found = doctest.DocTestFinder().find(module, extraglobs={"np": np, "torch": torch})
    return [test for test in found if test.examples]


def failures(tests, monkeypatch, folder):
    monkeypatch.chdir(folder)  # an example that saves a file leaves nothing behind
    torch.manual_seed(0)
    runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS)
    said = []
    for test in tests:
        runner.run(test, out=said.append)
    return "".join(said)


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings(name, monkeypatch, tmp_path):
    problems = failures(examples(load(name)), monkeypatch, tmp_path)
    assert not problems, problems


def test_a_wrong_example_is_caught(monkeypatch, tmp_path):
    wrong = doctest.DocTestParser().get_doctest(">>> 1 + 1\n3\n", {}, "wrong", None, None)
    assert "Expected" in failures([wrong], monkeypatch, tmp_path)


# Snippets in Markdown


def snippets(text, language):
    """The blocks of a language that are to run, each with its line number."""
    pattern = rf"(?P<why><!-- not run: .+? -->\n+)?^```{language}\n(?P<code>.*?)^```"
    for block in re.finditer(pattern, text, re.DOTALL | re.MULTILINE):
        if block["why"] is None:
            yield text[: block.start("code")].count("\n"), block["code"]


def commands(text):
    """Command lines to run, as lists of arguments."""
    for _, code in snippets(text, "console"):
        for line in code.splitlines():
            if line.startswith("$ stroma"):
                yield shlex.split(line.removeprefix("$ stroma"), comments=True)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_snippets(page, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "snippet"}
    for line, code in snippets(page.read_text(encoding="utf-8"), "python"):
        exec(compile("\n" * line + code, str(page), "exec"), names)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_command_lines(page, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for arguments in commands(page.read_text(encoding="utf-8")):
        assert main(arguments) == 0, f"stroma {shlex.join(arguments)}"


def test_every_verb_a_page_names_exists():
    """Also in blocks that are not run: a renamed verb or option does not stay in the README."""
    for page in PAGES:
        for verb in re.findall(
            r"(?:^|[`$] ?)stroma ([a-z]+)", page.read_text(encoding="utf-8"), re.M
        ):
            assert verb in COMMANDS, f"{page.name}: stroma {verb}"


def test_the_markdown_reader():
    text = "a\n```python\nx = 1\n```\n<!-- not run: needs photos -->\n```python\nboom\n```\n"
    assert list(snippets(text, "python")) == [(2, "x = 1\n")]
    shell = "```console\n$ stroma summary 'my net'  # why\nnoise\n```\n```\n$ stroma train\n```\n"
    assert list(commands(shell)) == [["summary", "my net"]]


# STYLE 9: purpose, arguments, example or reference

ROOMS = ("layers", "losses", "metrics", "optimizers", "schedules", "initializers", "activations",
         "regularizers", "constraints", "callbacks", "models", "ops")  # fmt: skip
# Said once, in the base class; and the pair that every loss and metric is about.
COMMON = {"name", "dtype", "options", "kwargs", "args", "self", "y_true", "y_pred"}


def public_things():
    for room in ROOMS:
        module = importlib.import_module(f"stroma.{room}")
        for name in getattr(module, "__all__", None) or sorted(vars(module)):
            thing = getattr(module, name)
            home = getattr(thing, "__module__", "")
            own = home.startswith("stroma.") and (
                hasattr(module, "__all__") or home == module.__name__
            )
            if own and not name.startswith("_") and (inspect.isclass(thing) or callable(thing)):
                yield pytest.param(thing, id=f"{room}.{name}")


def arguments(thing):
    if inspect.isclass(thing) and "__init__" not in vars(thing):
        return set()  # the base class documents them
    try:
        return set(inspect.signature(thing).parameters) - COMMON
    except ValueError:
        return set()


def missing(thing):
    """What a docstring lacks of STYLE 9's minimum: a purpose, and every argument by its name.

    A base class may say what its subclasses share, and a lone argument is what the purpose is
    about (`rank(x)`).
    """
    own = vars(thing).get("__doc__") if inspect.isclass(thing) else thing.__doc__
    bases = thing.__mro__[1:] if inspect.isclass(thing) else ()
    said = "\n".join([own or "", *(vars(base).get("__doc__") or "" for base in bases)])
    lacks = [] if re.match(r"\s*\S[^.:]*[.:]", own or "") else ["a purpose"]
    names = arguments(thing)
    if lacks or len(names) > 1 or inspect.isclass(thing):
        lacks += [name for name in sorted(names) if not re.search(rf"\b{name}\b", said)]
    return lacks


@pytest.mark.parametrize("thing", list(public_things()))
def test_every_public_thing_says_its_purpose_and_its_arguments(thing):
    assert not missing(thing)


def test_a_bare_docstring_is_caught():
    def bare(rate, seed): ...
    def partly(rate, seed):
        """Drop values.

        Args:
            rate: Probability.
        """

    assert missing(bare) == ["a purpose", "rate", "seed"]
    assert missing(partly) == ["seed"]


def test_every_module_says_what_it_is():
    for path in sorted((ROOT / "src").glob("**/*.py")):
        source = path.read_text(encoding="utf-8")
        if source.strip():
            assert ast.get_docstring(ast.parse(source)), f"{path} has no docstring"
