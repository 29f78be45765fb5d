"""The scripts in examples/ run with stroma, and unchanged with Keras, to the same figures.

A script prints its figures as lines `name: number`. Each has a bar that both libraries reach, and
a distance that the two may be apart: they draw other weights and another order of the data.
"""

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch

import stroma
from oracle import keras

FOLDER = Path(__file__).parents[1] / "examples"
IMPORT = "import stroma as keras"


class Expected(NamedTuple):
    """The least that a figure may be, and how far the two libraries' may lie apart."""

    bar: float
    apart: float


EXACT = Expected(1.0, 0.0)
FIGURES = {
    "addition_sequence_to_sequence": {"sums right": Expected(0.9, 0.08)},
    "custom_layer": {"answers kept": EXACT, "accuracy": Expected(0.91, 0.04)},
    "custom_train_step": {"accuracy": Expected(0.95, 0.03), "way found": Expected(0.85, 0.15)},
    "denoising_autoencoder": {"noise taken out": Expected(0.55, 0.05)},
    "digits_convnet": {"accuracy": Expected(0.96, 0.025)},
    "multiple_inputs_outputs": {
        "priority accuracy": Expected(0.97, 0.03),
        "department accuracy": Expected(0.83, 0.06),
    },
    "text_bidirectional_lstm": {"accuracy": Expected(0.97, 0.03)},
    "time_series_forecast": {"error saved": Expected(0.45, 0.06)},
    "transfer_learning": {
        "base untouched": EXACT,
        "frozen accuracy": Expected(0.92, 0.05),
        "base tuned": EXACT,
        "accuracy": Expected(0.92, 0.05),
    },
    "transformer_encoder": {"accuracy": Expected(0.93, 0.07)},
}
# Keras runs through time in a Python loop, and its steps cost more
SLOW_WITH_KERAS = {"addition_sequence_to_sequence", "custom_train_step", "transfer_learning"}


def figures(name, capsys, *, library):
    """Run a script, its one import replaced for Keras, and read what it prints."""
    source = (FOLDER / f"{name}.py").read_text(encoding="utf-8")
    assert source.splitlines().count(IMPORT) == 1
    if library == "keras":
        source = source.replace(f"\n{IMPORT}\n", "\nimport keras\n")
    capsys.readouterr()
    exec(compile(source, f"{name}.py", "exec"), {"__name__": "__main__"})
    printed = capsys.readouterr().out
    return {
        key: float(value) for key, value in re.findall(r"^([a-z ]+): (-?[\d.]+)$", printed, re.M)
    }


@pytest.fixture
def untouched():
    """Scripts seed everything: what comes after them draws as if they had not run."""
    state = np.random.get_state()
    with torch.random.fork_rng():
        yield
    np.random.set_state(state)


def below(found, expected):
    """The figures that are missing or under their bar."""
    return [key for key, (bar, _) in expected.items() if not found.get(key, -np.inf) >= bar]


def test_every_script_is_here():
    assert {path.stem for path in FOLDER.glob("*.py")} == set(FIGURES)


@pytest.mark.parametrize("name", FIGURES)
def test_with_stroma(name, capsys, untouched):
    found = figures(name, capsys, library="stroma")
    assert not below(found, FIGURES[name]), found


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=pytest.mark.slow) if n in SLOW_WITH_KERAS else n for n in FIGURES],
)
def test_the_same_with_keras(name, capsys, untouched):
    ours = figures(name, capsys, library="stroma")
    theirs = figures(name, capsys, library="keras")
    assert not below(theirs, FIGURES[name]), theirs
    apart = {key: abs(ours[key] - theirs[key]) for key in FIGURES[name]}
    assert not [key for key in apart if apart[key] > FIGURES[name][key].apart], (ours, theirs)


def test_a_figure_under_its_bar_is_found():
    expected = {"accuracy": Expected(0.9, 0.05)}
    assert below({"accuracy": 0.89}, expected) == ["accuracy"]
    assert below({"accuracy": float("nan")}, expected) == below({}, expected) == ["accuracy"]
    assert not below({"accuracy": 0.9}, expected)


def test_both_libraries_are_what_they_seem():
    assert keras.backend.backend() == "torch" and keras.Model is not stroma.Model
