"""`TerminateOnNaN`: ends in order, or raises where that was asked for."""

import numpy as np
import pytest

from stroma import Sequential, layers
from stroma.callbacks import LambdaCallback, TerminateOnNaN


def fit(callback):
    ended = []
    model = Sequential([layers.Input((2,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    watching = LambdaCallback(on_train_end=lambda logs: ended.append(True))
    x, y = np.ones((8, 2)), np.full((8, 1), np.nan)
    try:
        return model.fit(x, y, epochs=3, verbose=0, callbacks=[callback, watching]), ended
    except RuntimeError as error:
        return error, ended


def test_it_ends_in_order():
    history, ended = fit(TerminateOnNaN())
    assert len(history.epoch) == 1
    assert "nan" in history.stop_reason
    assert ended


def test_it_raises_when_asked_and_ends_nothing():
    error, ended = fit(TerminateOnNaN(raise_error=True))
    assert "the loss is nan" in str(error)
    assert "learning rate" in str(error)
    assert not ended


@pytest.mark.parametrize("raise_error", [False, True])
def test_a_finite_loss_is_left_alone(raise_error):
    model = Sequential([layers.Input((2,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    history = model.fit(
        np.ones((8, 2)), np.ones((8, 1)), epochs=2, verbose=0,
        callbacks=[TerminateOnNaN(raise_error)],
    )  # fmt: skip
    assert len(history.epoch) == 2
