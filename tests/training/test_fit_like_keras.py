"""`fit`, `evaluate`, `predict` and `*_on_batch` give Keras' numbers, batch by batch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import stroma
from oracle import keras

rng = np.random.default_rng(0)
X = rng.normal(size=(70, 8, 8, 2)).astype("float32")
Y = rng.integers(0, 3, 70)
ONE_HOT = np.eye(3, dtype="float32")[Y]
WEIGHT = rng.uniform(0.2, 2, 70).astype("float32")


def network(k: Any, regularizer: Any = None) -> Any:
    """The same code for both libraries."""
    x = k.Input((8, 8, 2))
    h = k.layers.Conv2D(4, 3, padding="same", use_bias=False, kernel_regularizer=regularizer)(x)
    h = k.layers.BatchNormalization()(h)
    h = k.layers.Activation("relu")(h)
    h = k.layers.GlobalAveragePooling2D()(h)
    return k.Model(x, k.layers.Dense(3, activation="softmax")(h))


def pair(regularizer: Any = None, **compile_options: Any) -> tuple[Any, Any]:
    theirs, ours = network(keras, regularizer), network(stroma, regularizer)
    ours.set_weights(theirs.get_weights())
    for model in (theirs, ours):
        model.compile(**compile_options)
    return theirs, ours


def assert_same_history(theirs: Any, ours: Any) -> None:
    assert list(theirs.history) == list(ours.history)
    for key, values in theirs.history.items():
        np.testing.assert_allclose(ours.history[key], values, rtol=2e-4, atol=2e-5, err_msg=key)


FITS: dict[str, tuple[dict[str, Any], Any, dict[str, Any]]] = {
    "sparse": ({"loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"]}, Y, {}),
    "one-hot": ({"loss": "categorical_crossentropy", "metrics": ["acc", "mse"]}, ONE_HOT, {}),
    "sample weights": (
        {
            "loss": "sparse_categorical_crossentropy",
            "metrics": ["accuracy"],
            "weighted_metrics": ["accuracy"],
        },
        Y,
        {"sample_weight": WEIGHT},
    ),
    "class weights": (
        {"loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"]},
        Y,
        {"class_weight": {0: 2.0, 2: 0.5}},
    ),
    "validation data": (
        {"loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"]},
        Y,
        {"validation_data": (X[:33], Y[:33]), "validation_freq": 1},
    ),
    "validation split": ({"loss": "mse", "metrics": ["mae"]}, ONE_HOT, {"validation_split": 0.3}),
}


@pytest.mark.parametrize("case", list(FITS))
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_fit_gives_keras_history_and_weights(case: str, optimizer: str) -> None:
    options, y, fit_options = FITS[case]
    theirs, ours = pair(optimizer=optimizer, **options)
    common = {"batch_size": 16, "epochs": 3, "shuffle": False, "verbose": 0, **fit_options}
    assert_same_history(theirs.fit(X, y, **common), ours.fit(X, y, **common))
    for a, b in zip(theirs.get_weights(), ours.get_weights()):
        np.testing.assert_allclose(b, a, rtol=1e-3, atol=1e-4)


def test_penalties_are_in_the_loss() -> None:
    theirs, ours = pair(regularizer="l2", optimizer="sgd", loss="mse")
    common = {"batch_size": 16, "epochs": 2, "shuffle": False, "verbose": 0}
    assert_same_history(theirs.fit(X, ONE_HOT, **common), ours.fit(X, ONE_HOT, **common))
    plain = pair(optimizer="sgd", loss="mse")[1]
    plain.set_weights(ours.get_weights())
    assert ours.evaluate(X, ONE_HOT, verbose=0) > plain.evaluate(X, ONE_HOT, verbose=0) + 1e-4


def test_evaluate_predict_and_batches() -> None:
    theirs, ours = pair(
        optimizer="sgd", loss="sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    np.testing.assert_allclose(
        ours.evaluate(X, Y, batch_size=32, verbose=0),
        theirs.evaluate(X, Y, batch_size=32, verbose=0),
        rtol=1e-4,
    )
    np.testing.assert_allclose(
        ours.predict(X, verbose=0), theirs.predict(X, verbose=0), rtol=1e-4, atol=1e-6
    )
    for _ in range(3):
        np.testing.assert_allclose(
            ours.train_on_batch(X[:20], Y[:20]), theirs.train_on_batch(X[:20], Y[:20]), rtol=1e-4
        )
    np.testing.assert_allclose(ours.predict_on_batch(X[:5]), ours.predict(X[:5]), rtol=1e-5)


def test_several_outputs_are_named_and_weighted_as_in_keras() -> None:
    def build(k: Any) -> Any:
        a, b = k.Input((4,), name="a"), k.Input((3,), name="b")
        h = k.layers.Concatenate()([a, b])
        return k.Model([a, b], [k.layers.Dense(2, name="p")(h), k.layers.Dense(1, name="q")(h)])

    a, b = rng.normal(size=(40, 4)).astype("float32"), rng.normal(size=(40, 3)).astype("float32")
    p, q = rng.normal(size=(40, 2)).astype("float32"), rng.normal(size=(40, 1)).astype("float32")
    theirs, ours = build(keras), build(stroma)
    ours.set_weights(theirs.get_weights())
    for model in (theirs, ours):
        model.compile(
            optimizer="sgd",
            loss={"p": "mse", "q": "mae"},
            loss_weights={"p": 0.3, "q": 2.0},
            metrics={"p": ["mae"], "q": ["mse"]},
        )
    common = {"batch_size": 16, "epochs": 2, "shuffle": False, "verbose": 0}
    assert_same_history(theirs.fit([a, b], [p, q], **common), ours.fit([a, b], [p, q], **common))


@pytest.mark.parametrize("kind", ["loader", "dataset", "generator", "sequence"])
def test_every_kind_of_data_trains_the_same(kind: str) -> None:
    def trained(data: Any, y: Any = None, **options: Any) -> list[np.ndarray]:
        model = network(stroma)
        model.set_weights(start)
        model.compile(optimizer="sgd", loss="sparse_categorical_crossentropy")
        model.fit(data, y, epochs=2, verbose=0, shuffle=False, **options)
        return model.get_weights()

    start = network(stroma).get_weights()
    wanted = trained(X, Y, batch_size=10)
    dataset = torch.utils.data.TensorDataset(torch.from_numpy(X), torch.from_numpy(Y))

    def generate() -> Any:
        while True:
            for i in range(0, 70, 10):
                yield X[i : i + 10], Y[i : i + 10]

    class Batches:
        def __len__(self) -> int:
            return 7

        def __getitem__(self, i: int) -> Any:
            return X[10 * i : 10 * i + 10], Y[10 * i : 10 * i + 10]

    if kind == "loader":
        got = trained(torch.utils.data.DataLoader(dataset, batch_size=10))
    elif kind == "dataset":
        got = trained(dataset, batch_size=10)
    elif kind == "generator":
        got = trained(generate(), steps_per_epoch=7)
    else:
        got = trained(Batches())
    for a, b in zip(wanted, got):
        np.testing.assert_array_equal(a, b)


def test_any_module_trains_by_the_same_loop() -> None:
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Conv2d(2, 4, 3), torch.nn.Flatten(), torch.nn.Linear(144, 3))
    with pytest.raises(stroma.core.errors.ArgumentError, match="layout"):
        stroma.fit(net, X, Y, loss="sparse_categorical_crossentropy", verbose=0)
    loss = stroma.losses.SparseCategoricalCrossentropy(from_logits=True)
    history = stroma.fit(
        net, X, Y, loss=loss, metrics=["accuracy"], epochs=8, layout="NCHW", verbose=0, seed=0
    )
    assert history.history["loss"][-1] < history.history["loss"][0]


def test_a_label_out_of_range_is_named_before_the_first_step() -> None:
    model = network(stroma)
    model.compile(optimizer="sgd", loss="sparse_categorical_crossentropy")
    wrong = Y.copy()
    wrong[17] = 3
    before = model.get_weights()
    with pytest.raises(stroma.core.errors.ArgumentError, match="label 3 is out of range") as error:
        model.fit(X, wrong, verbose=0)
    assert "sample 17" in error.value.where
    for a, b in zip(before, model.get_weights()):
        np.testing.assert_array_equal(a, b)
