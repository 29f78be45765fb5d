"""What `compile` and `fit` refuse, with the four parts of an error, before anything is trained."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import stroma
from stroma import callbacks, layers, losses, models
from stroma.core.errors import StromaError

rng = np.random.default_rng(5)
X, Y = rng.normal(size=(20, 4)).astype("float32"), rng.integers(0, 3, 20)
SPARSE = "sparse_categorical_crossentropy"


def network(loss: Any = SPARSE, **options: Any) -> Any:
    model = models.Sequential([layers.Input((4,)), layers.Dense(3, activation="softmax")])
    model.compile("sgd", loss, **options)
    return model


def refused(message: str, work: Any) -> StromaError:
    with pytest.raises(StromaError, match=message) as error:
        work()
    assert set(error.value.parts()) == {"what", "where", "why", "try"}
    return error.value


def with_label(label: Any) -> np.ndarray:
    y = Y.astype(np.result_type(Y, type(label)))
    y[17] = label
    return y


@pytest.mark.parametrize(
    "label, words, advice",
    [(5, "5 is out of range", "Dense(6)"), (5.0, "5 is out of range", "Dense(6)"),
     (-1, "-1 is out of range", "ignore_class=-1"), (0.5, "0.5 is not a whole", "categorical"),
     (float("nan"), "nan is not a whole", "categorical")],
)  # fmt: skip
@pytest.mark.parametrize(
    "road", ["fit", "validation", "loader", "generator", "evaluate", "on batch", "test on batch"]
)
def test_wrong_labels_are_named_on_every_road(
    road: str, label: Any, words: str, advice: str
) -> None:
    wrong, model = with_label(label), network()
    pairs = torch.utils.data.TensorDataset(torch.from_numpy(X), torch.from_numpy(wrong))
    roads = {
        "fit": lambda: model.fit(X, wrong, verbose=0),
        "validation": lambda: model.fit(X, Y, validation_data=(X, wrong), verbose=0),
        "loader": lambda: model.fit(torch.utils.data.DataLoader(pairs, batch_size=6), verbose=0),
        "generator": lambda: model.fit(((X[i:], wrong[i:]) for i in (18, 10)), verbose=0),
        "evaluate": lambda: model.evaluate(X, wrong),
        "on batch": lambda: model.train_on_batch(X, wrong),
        "test on batch": lambda: model.test_on_batch(X, wrong),
    }
    error = refused(f"label {words}", roads[road])
    assert advice in error.fix
    named = {"loader": "row 5", "generator": "row 7"}.get(road, "sample 17")
    assert named in error.where


def test_labels_of_dict_outputs_and_labels_that_cost_nothing() -> None:
    x = layers.Input((4,))
    model = models.Model(x, {"a": layers.Dense(3)(x), "b": layers.Dense(1)(x)})
    model.compile("sgd", {"a": losses.SparseCategoricalCrossentropy(True), "b": "mse"})
    y = {"a": with_label(3), "b": np.ones((20, 1))}
    refused("label 3 is out of range", lambda: model.fit(X, y, verbose=0))
    ignoring = network(losses.SparseCategoricalCrossentropy(ignore_class=-1))
    ignoring.fit(X, with_label(-1), verbose=0)
    refused("label -2", lambda: ignoring.fit(X, with_label(-2), verbose=0))
    for dtype in ("uint8", "uint16", "int8", "float16"):
        network().fit(X, Y.astype(dtype), verbose=0)


def test_what_compile_cannot_do() -> None:
    refused("tune=True", lambda: network(tune=True))


@pytest.mark.parametrize(
    "options, words",
    [({"class_weight": [1, 2, 3]}, "class_weight must be a dict"),
     ({"class_weight": "balanced"}, "class_weight must be a dict"),
     ({"class_weight": {"cat": 1.0}}, "must be a whole number"),
     ({"batch_size": 0}, "batch_size must be 1"),
     ({"batch_size": -1}, "batch_size must be 1"),
     ({"validation_data": X}, "validation_data has no targets"),
     ({"callbacks": [callbacks.EarlyStopping]}, "must be Callback objects"),
     ({"callbacks": callbacks.ModelCheckpoint("{val_los:.2f}.keras")}, "'val_los' is not")],
)  # fmt: skip
def test_options_of_fit(options: Any, words: str) -> None:
    model = network()
    before = model.get_weights()
    refused(words, lambda: model.fit(X, Y, verbose=0, **options))
    np.testing.assert_array_equal(before[0], model.get_weights()[0])


def test_data_that_are_no_numbers() -> None:
    model = network()
    names = np.array(["cat", "dog"] * 10)
    refused("is not numbers", lambda: model.fit(X, names, verbose=0))
    refused("is not numbers", lambda: model.fit(X.astype(object), Y, verbose=0))
    refused("differ in length", lambda: model.fit([[1.0], [1.0, 2.0]], [0, 1], verbose=0))
    refused("no samples", lambda: model.predict(X[:0]))
    refused("nothing to predict", lambda: model.predict(iter([])))


def test_nested_lists_are_arrays() -> None:
    arrays, lists = network(), network()
    lists.set_weights(arrays.get_weights())
    arrays.fit(X, Y, verbose=0, shuffle=False)
    lists.fit(X.tolist(), Y.tolist(), verbose=0, shuffle=False)
    np.testing.assert_array_equal(arrays.get_weights()[0], lists.get_weights()[0])
    np.testing.assert_array_equal(arrays.predict(X), lists.predict(X.tolist()))


def test_a_slip_in_a_name_is_an_error_of_compile() -> None:
    refused("sparse_categorical_crossentropy", lambda: network("sparse_categorical_crosentropy"))
    refused("Did you mean 'accuracy'", lambda: network(metrics=["acuracy"]))
    network("crossentropy", metrics=["acc", ["ce"]])


def test_layers_within_a_torch_module_are_penalised() -> None:
    class Penalty(layers.Layer):
        def call(self, inputs: Any) -> Any:
            self.add_loss(inputs.sum() * 0 + 2.0)
            return inputs

    inner = layers.Dense(1, kernel_regularizer="l2", use_bias=False)
    module = torch.nn.Sequential(torch.nn.Linear(4, 2), inner, Penalty())
    module(torch.ones(1, 4))
    with torch.no_grad():
        inner.weight.fill_(3.0)
    history = stroma.fit(
        module, X, np.zeros((20, 1)), loss=lambda y, p: p * 0, optimizer=stroma.optimizers.SGD(0.0),
        verbose=0, batch_size=5,
    )  # fmt: skip
    assert history.history["loss"][0] == pytest.approx(2.0 + 0.01 * 18.0)


def test_steps_per_epoch_go_on_where_the_epoch_before_ended() -> None:
    seen: list[float] = []

    class Recording(torch.nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if self.training:
                seen.append(float(x[0, 0]))
            return super().forward(x)

    x = np.arange(5, dtype="float32")[:, None]
    options = {"loss": "mse", "epochs": 3, "steps_per_epoch": 2, "verbose": 0}
    stroma.fit(Recording(1, 1), x, x, batch_size=1, shuffle=False, **options)
    assert seen == [0.0, 1.0, 2.0, 3.0, 4.0, 0.0]
    seen.clear()
    pairs = torch.utils.data.TensorDataset(torch.from_numpy(x), torch.from_numpy(x))
    stroma.fit(Recording(1, 1), torch.utils.data.DataLoader(pairs), **options)
    assert seen == [0.0, 1.0, 2.0, 3.0, 4.0, 0.0]


def test_hooks_of_evaluate_and_predict_and_the_older_names() -> None:
    called: list[str] = []

    class Old(callbacks.Callback):
        def on_batch_end(self, batch: int, logs: Any = None) -> None:
            called.append(f"batch {batch}")

    model = network()
    model.fit(X, Y, batch_size=10, callbacks=[Old()], verbose=0)
    assert called == ["batch 0", "batch 1"]
    called.clear()
    names = ("on_test_begin", "on_test_end", "on_predict_begin", "on_predict_end")
    notes = {name: lambda logs=None, name=name: called.append(name) for name in names}
    notes["on_predict_batch_end"] = lambda batch, logs: called.append(str(len(logs["outputs"])))
    listener = callbacks.LambdaCallback(**notes)
    model.evaluate(X, Y, callbacks=[listener])
    model.predict(X, batch_size=15, callbacks=listener)
    assert called == [*names[:3], "15", "5", names[3]]
