"""`verbose` of `fit`, `evaluate`, `predict`: silent, a line that moves, one line; as in Keras."""

import re
import sys

import numpy as np
import pytest

import stroma
from oracle import keras
from stroma import layers, models
from stroma.core.errors import ArgumentError

X, Y = np.ones((70, 4), "float32"), np.ones((70, 1), "float32")


def compiled(k=stroma):
    model = k.models.Sequential([k.layers.Input((4,)), k.layers.Dense(1)])
    model.compile("sgd", "mse", metrics=["mae"])
    return model


USES = {
    "evaluate": lambda model, **verbose: model.evaluate(X, Y, **verbose),
    "predict": lambda model, **verbose: model.predict(X, **verbose),
    "fit": lambda model, **verbose: model.fit(X, Y, **verbose),
}
every_use = pytest.mark.parametrize("use", USES)


@every_use
def test_zero_is_silent(use, capsys):
    USES[use](compiled(), verbose=0)
    assert capsys.readouterr() == ("", "")


@every_use
@pytest.mark.parametrize("verbose", [1, 2, "auto"])
def test_a_pipe_gets_one_line_a_pass(use, verbose, capsys):
    USES[use](compiled(), verbose=verbose)
    *heading, line = capsys.readouterr().out.splitlines()
    assert heading == (["Epoch 1/1"] if use == "fit" else [])
    figures = "" if use == "predict" else r" - loss: [\d.]+ - mae: [\d.]+"
    assert re.fullmatch(rf"3/3 \d+\.\ds{figures}", line)


@every_use
def test_a_terminal_gets_a_line_that_moves(use, capsys, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setattr("stroma.training.progress._SECONDS_BETWEEN_LINES", 0.0)
    USES[use](compiled(), verbose=1)
    out = capsys.readouterr().out
    assert [f"\r{done}/3" in out for done in (1, 2, 3)] == [True] * 3
    assert out.endswith("\n")
    USES[use](compiled(), verbose=2)
    assert "\r" not in capsys.readouterr().out


@pytest.mark.parametrize("use", ["evaluate", "predict"])
@pytest.mark.parametrize("verbose", [0, 1, 2, "auto"])
def test_keras_prints_when_we_do(use, verbose, capsys):
    printed = []
    for k in (keras, stroma):
        model = compiled(k)
        capsys.readouterr()
        USES[use](model, verbose=verbose)
        printed.append(capsys.readouterr().out.strip())
    assert bool(printed[0]) == bool(printed[1]) == bool(verbose)
    assert ("3/3" in printed[0]) == ("3/3" in printed[1])


def test_validation_prints_no_line_of_its_own(capsys):
    compiled().fit(X, Y, validation_data=(X, Y), verbose=2)
    assert len(capsys.readouterr().out.splitlines()) == 2


@every_use
def test_another_value_is_refused(use):
    with pytest.raises(ArgumentError, match="verbose must be one of 'auto', 0, 1, 2") as caught:
        USES[use](compiled(), verbose="loud")
    assert use in caught.value.where


def test_steps_of_data_without_end(capsys):
    model = models.Sequential([layers.Input((4,)), layers.Dense(1)])
    model.predict((X[:2] for _ in range(3)), verbose=2)
    assert capsys.readouterr().out.startswith("3/3 ")
