"""What a user does at the edges of `fit`: compiles anew, runs out of data, seeds torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import stroma
from stroma import callbacks, layers, models
from stroma.core.errors import DataError

rng = np.random.default_rng(3)
X, Y = rng.normal(size=(20, 4)).astype("float32"), rng.normal(size=(20, 1)).astype("float32")


def network(*between: Any, optimizer: Any = "sgd", loss: Any = "mse", **options: Any) -> Any:
    model = models.Sequential([layers.Input((4,)), *between, layers.Dense(1)])
    model.compile(optimizer, loss, **options)
    return model


def batches(count: int) -> Any:
    for i in range(count):
        yield X[5 * i : 5 * i + 5], Y[5 * i : 5 * i + 5]


def test_compile_forgets_the_optimizer_of_the_fit_before() -> None:
    model = network(optimizer=stroma.optimizers.SGD(0.1))
    model.fit(X, Y, verbose=0)
    model.compile(stroma.optimizers.SGD(0.0), "mae")
    before = model.get_weights()
    loss = model.train_on_batch(X, Y)
    for a, b in zip(before, model.get_weights()):
        np.testing.assert_array_equal(a, b)
    assert loss == pytest.approx(np.abs(model.predict(X) - Y).mean(), rel=1e-5)


@pytest.mark.parametrize("steps", [None, 3])
def test_data_that_run_out_end_the_run(steps: int | None) -> None:
    model, stop = network(), callbacks.EarlyStopping("loss", patience=5)
    with pytest.warns(UserWarning, match="ran out"):
        history = model.fit(
            batches(4), epochs=5, steps_per_epoch=steps, verbose=0, callbacks=[stop]
        )
    assert history.epoch == ([0] if steps is None else [0, 1])
    assert min(history.history["loss"]) > 0.0 and stop.best > 0.0
    assert "ran out" in history.stop_reason


def test_no_data_at_all_are_an_error() -> None:
    with pytest.raises(DataError, match="no batch"):
        network().fit(batches(0), verbose=0)
    with pytest.raises(DataError, match="no batch"):
        network().evaluate(batches(0))
    with pytest.raises(DataError, match="no batch"):  # the second epoch finds the generator empty
        network().fit(X, Y, validation_data=batches(2), epochs=2, verbose=0)


def test_torch_draws_of_the_user_are_their_own() -> None:
    model = network(layers.Dropout(0.5))

    def draw(seed: int, work: Any) -> torch.Tensor:
        torch.manual_seed(seed)
        work()
        return torch.rand(4)

    for work in (
        lambda: model.train_on_batch(X, Y),
        lambda: model.fit(X, Y, verbose=0),
        lambda: None,
    ):
        torch.testing.assert_close(draw(1, work), draw(1, lambda: None))
        assert not torch.equal(draw(1, work), draw(2, work))


def test_train_on_batch_follows_set_random_seed() -> None:
    def trained(seed: int) -> list[np.ndarray]:
        model = network(layers.Dropout(0.5))
        model.set_weights([np.ones((4, 1)), np.zeros(1)])
        stroma.set_random_seed(seed)
        for _ in range(3):
            model.train_on_batch(X, Y)
        return model.get_weights()

    one, again, other = trained(1), trained(1), trained(2)
    np.testing.assert_array_equal(one[0], again[0])
    assert not np.array_equal(one[0], other[0])
