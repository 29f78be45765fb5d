"""Make docs/keras-parity.md: every public name of the installed Keras beside stroma's.

    python docs/make_parity.py

Needs the test extras. The comparison is in tests/keras_table.py, the examples of Keras' docstrings
in tests/keras_docstrings.py, the reasons of all differences in tests/keras_differences.py.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))

from keras_differences import DIFFERENCES, meant  # noqa: E402
from keras_docstrings import Outcome, examples, survey  # noqa: E402
from keras_table import ASPECTS, EQUAL, MISSING, NOTHING, ROOMS, Row, odd, rows  # noqa: E402
from oracle import keras  # noqa: E402

PAGE = HERE / "keras-parity.md"
HEAD = """# stroma beside Keras {version}

Made by `make parity` from the installed Keras (backend torch); a test checks that it is up to date.
Numbers in brackets are rows of [the differences that are meant](#differences-that-are-meant).

- **arguments**: names, order and defaults. An argument that is left out is a difference, too.
- **output**, **gradients**: the same weights and inputs in both libraries. Layers agree to 1e-5 and
  1e-4, with every configuration of `tests/layer_examples.py`; optimizers over five steps; what is
  drawn at random by shape, or by mean and spread.
- **file**: what one library writes, the other reads, and answers alike, both ways.
- `·`: nothing of the kind, or nothing that Keras on torch computes.

"""


def verdict(row: Row) -> str:
    """equal, different (all of it meant), missing, or bug."""
    found = [aspect for aspect, _ in odd(row)]
    if any(meant(row.path, aspect) is None for aspect in found):
        return MISSING if MISSING in found else "bug"
    return EQUAL if not found else MISSING if MISSING in found else "different"


def cell(row: Row, aspect: str, value: str) -> str:
    if value in (EQUAL, NOTHING):
        return {EQUAL: "=", NOTHING: NOTHING}[value]
    number = meant(row.path, MISSING if value == MISSING else aspect)
    told = value if value == MISSING else "differs"
    return f"{told} [{number}]" if number else told


def table(found: list[Row]) -> Iterator[str]:
    yield f"| name | {' | '.join(ASPECTS)} |\n|---|{'---|' * len(ASPECTS)}"
    for row in found:
        cells = (cell(row, *pair) for pair in zip(ASPECTS, row.aspects))
        yield f"| `{row.path}` | {' | '.join(cells)} |"


def counts(every: dict[str, list[Row]]) -> Iterator[str]:
    kinds = (EQUAL, "different", MISSING, "bug")
    yield "| room | names | equal | documented difference | missing | open |"
    yield "|---|---|---|---|---|---|"
    total: Counter[str] = Counter()
    for room, found in every.items():
        seen = Counter(verdict(row) for row in found)
        total += seen
        yield f"| {room} | {len(found)} | {' | '.join(str(seen[kind]) for kind in kinds)} |"
    yield f"| all | {total.total()} | {' | '.join(str(total[kind]) for kind in kinds)} |"


def differences() -> Iterator[str]:
    yield "| | reason | where |\n|---|---|---|"
    for number, difference in enumerate(DIFFERENCES, 1):
        places = ", ".join(f"`{place}`" for place in difference.places)
        yield f"| {number} | {difference.reason} | {places} |"


def of_examples(outcomes: list[Outcome], found: int) -> Iterator[str]:
    right = sum(outcome.problem is None for outcome in outcomes)
    yield (
        f"Of {found} examples in docstrings of public objects Keras itself runs {len(outcomes)} "
        f"here, whole or in part. **{right} of {len(outcomes)}** "
        f"({100 * right / len(outcomes):.1f} %) give the same shapes, and the same numbers where "
        "Keras' own are the same from any seed, under `import stroma as keras`. The others:\n"
    )
    yield "| example | reason |\n|---|---|"
    for outcome in outcomes:
        if outcome.problem:
            number = meant(outcome.name, "example")
            reason = f"[{number}] {DIFFERENCES[number - 1].reason}" if number else "open"
            yield f"| `{outcome.name}` | {reason} |"


def page() -> str:
    every = {room: list(rows(room)) for room in ROOMS}
    collected = examples()
    parts = [
        "## In numbers\n", *counts(every),
        "\n## Examples in Keras' docstrings\n", *of_examples(survey(collected), len(collected)),
        "\n## Differences that are meant\n", *differences(),
    ]  # fmt: skip
    for room, found in every.items():
        parts += [f"\n## {room}\n", *table(found)]
    return HEAD.format(version=keras.__version__) + "\n".join(parts) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
