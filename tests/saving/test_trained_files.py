"""Files of trained and trainable models that go on in the other library, and of large ones."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from oracle import keras
from stroma import layers, losses, metrics, models, optimizers

OURS = SimpleNamespace(
    Model=models.Model, Input=layers.Input, layers=layers, losses=losses, metrics=metrics,
    optimizers=optimizers, models=models,
)  # fmt: skip
draw = np.random.default_rng(0)
X = draw.normal(size=(24, 5)).astype("float32")
Z = draw.normal(size=(24, 3)).astype("float32")
Y = draw.normal(size=(24, 1)).astype("float32")
CLASSES = draw.integers(0, 3, size=24)


def steps(model: Any, count: int, x: Any, y: Any) -> list[float]:
    return [float(model.train_on_batch(x, y, return_dict=True)["loss"]) for _ in range(count)]


# Models with several inputs and outputs, compiled in every way


def several(k: Any) -> Any:
    """Two inputs, a shared layer, a nested model, two outputs by name."""
    a, b = k.Input((5,), name="a"), k.Input((3,), name="b")
    inner = k.Input((4,))
    nested = k.Model(inner, k.layers.Dense(4, activation="tanh")(inner), name="nested")
    twin = k.layers.Dense(4, name="twin")
    # Keras on torch forgets the gradients of one of two layers with one name in nested networks
    y = nested(twin(k.layers.Dense(4)(a))) + twin(k.layers.Dense(4)(b))
    y = k.layers.BatchNormalization()(y)
    number = k.layers.Dense(1, name="number")(y)
    kind = k.layers.Dense(3, activation="softmax", name="kind")(k.layers.Concatenate()([y, a]))
    return k.Model({"a": a, "b": b}, {"number": number, "kind": kind})


COMPILED: dict[str, dict[str, Any]] = {
    "one loss each": {
        "optimizer": "adam",
        "loss": {"number": "mse", "kind": "sparse_categorical_crossentropy"},
        "loss_weights": {"number": 0.3, "kind": 2.0},
        "metrics": {"kind": ["accuracy"], "number": ["mae"]},
    },
    "no weights": {
        "optimizer": "rmsprop",
        "loss": {"number": "log_cosh", "kind": "sparse_categorical_crossentropy"},
    },
}


@pytest.mark.parametrize("name", COMPILED)
@pytest.mark.parametrize("ours_first", [True, False])
def test_the_next_five_losses_are_equal(name: str, ours_first: bool, tmp_path: Path) -> None:
    first, second = (OURS, keras) if ours_first else (keras, OURS)
    model = several(first)
    model.set_weights([np.abs(w) * 0.5 + 0.05 for w in model.get_weights()])
    model.compile(**COMPILED[name])
    x, y = {"a": X, "b": Z}, {"number": Y, "kind": CLASSES}
    steps(model, 3, x, y)
    model.save(tmp_path / "model.keras")
    other = second.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(steps(other, 5, x, y), steps(model, 5, x, y), rtol=1e-4)


def test_loss_weights_as_lists_and_figures_by_output() -> None:
    found = []
    for k in (OURS, keras):
        x = k.Input((5,))
        first, second = k.layers.Dense(1, name="first")(x), k.layers.Dense(1, name="second")(x)
        model = k.Model(x, [first, second])
        model.set_weights([np.full(w.shape, 0.1, "float32") for w in model.get_weights()])
        model.compile("sgd", ["mse", "mae"], loss_weights=[0.7, 0.2], metrics=[["mae"], ["mse"]])
        history = model.fit(X, [Y, Y * 2], batch_size=8, epochs=2, shuffle=False, verbose=0)
        found.append(history.history)
    assert set(found[0]) == set(found[1])
    for key, values in found[1].items():
        np.testing.assert_allclose(found[0][key], values, rtol=1e-4)


# Keras on torch computes ScheduleFreeAdamW from a state that it has just overwritten
# and a LossScaleOptimizer holds another, and begins again at its first scale: README
NO_ORACLE = ("Optimizer", "ScheduleFreeAdamW", "LossScaleOptimizer")
ALL = sorted(
    name for name in vars(keras.optimizers)
    if hasattr(optimizers, name) and isinstance(getattr(optimizers, name), type)
    and issubclass(getattr(optimizers, name), optimizers.Optimizer) and name not in NO_ORACLE
)  # fmt: skip


@pytest.mark.parametrize("options", [{}, {"use_ema": True, "weight_decay": 0.01, "clipnorm": 1.0}])
@pytest.mark.parametrize("name", ALL)
def test_every_optimizer_goes_on_in_the_other_library(
    name: str, options: dict[str, Any], tmp_path: Path
) -> None:
    for first, second in ((OURS, keras), (keras, OURS)):
        x = first.Input((5,))
        y = first.layers.Dense(6, activation="tanh")(x)
        model = first.Model(x, first.layers.Dense(1)(y))
        draw = np.random.default_rng(2)
        model.set_weights([draw.normal(size=w.shape) * 0.3 for w in model.get_weights()])
        model.compile(getattr(first.optimizers, name)(learning_rate=0.01, **options), "mse")
        steps(model, 3, X, Y)
        model.save(tmp_path / "model.keras")
        other = second.models.load_model(tmp_path / "model.keras")
        assert int(other.optimizer.iterations) == 3
        np.testing.assert_allclose(steps(other, 5, X, Y), steps(model, 5, X, Y), rtol=1e-4)


def test_the_planted_mistake_is_caught(tmp_path: Path) -> None:
    """A file without what the optimizer knows gives other losses."""
    x = layers.Input((5,))
    model = models.Model(x, layers.Dense(1)(layers.Dense(6, activation="tanh")(x)))
    model.compile(optimizers.Adam(learning_rate=0.01), "mse")
    steps(model, 3, X, Y)
    model.save(tmp_path / "model.keras", include_optimizer=False)
    other = models.load_model(tmp_path / "model.keras")
    other.compile(optimizers.Adam(learning_rate=0.01), "mse")
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(steps(other, 5, X, Y), steps(model, 5, X, Y), rtol=1e-4)


# Models with metrics and optimizers of their own


def tracked(k: Any) -> Any:
    class Tracked(k.Model):
        def __init__(self, units: int = 4, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.units = units
            self.hidden, self.last = k.layers.Dense(units), k.layers.Dense(1)
            self.tracker = k.metrics.Mean(name="loss")

        def call(self, inputs: Any) -> Any:
            return self.last(self.hidden(inputs))

        def get_config(self) -> dict[str, Any]:
            return {"units": self.units}

        @property
        def metrics(self) -> Any:
            return [self.tracker]

        def train_step(self, data: Any) -> Any:
            x, y = data[:2]
            loss = ((self(x, training=True) - torch.as_tensor(y)) ** 2).mean()
            self.zero_grad()
            loss.backward()
            weights = list(self.trainable_weights)
            with torch.no_grad():
                self.optimizer.apply([v.value.grad for v in weights], weights)
            self.tracker.update_state(loss.detach())
            return {"loss": self.tracker.result()}

    return Tracked


@pytest.mark.parametrize("ours_first", [True, False])
def test_models_with_a_step_of_their_own_go_on(ours_first: bool, tmp_path: Path) -> None:
    first, second = (OURS, keras) if ours_first else (keras, OURS)
    model = tracked(first)()
    model.compile(optimizer="adam")
    model.fit(X, Y, batch_size=24, epochs=2, verbose=0)
    model.save(tmp_path / "m.keras")
    kind = {"Tracked": tracked(second)}
    other = second.models.load_model(tmp_path / "m.keras", custom_objects=kind)
    a, b = (m.fit(X, Y, batch_size=24, epochs=5, verbose=0).history["loss"] for m in (model, other))
    np.testing.assert_allclose(a, b, rtol=1e-4)


# Large and well-known ones


@pytest.mark.slow
def test_resnet50_of_keras_predicts_the_same(tmp_path: Path) -> None:
    there = keras.applications.ResNet50(weights=None, input_shape=(64, 64, 3), classes=10)
    there.set_weights([w + 0.01 * (w.ndim == 1) for w in there.get_weights()])
    there.save(tmp_path / "resnet50.keras")
    here = models.load_model(tmp_path / "resnet50.keras")
    x = draw.uniform(0, 255, size=(2, 64, 64, 3)).astype("float32")
    np.testing.assert_allclose(
        here.predict(x, verbose=0), there.predict(x, verbose=0), atol=1e-4, rtol=0
    )
    here.save(tmp_path / "back.keras")
    back = keras.models.load_model(tmp_path / "back.keras")
    np.testing.assert_allclose(
        back.predict(x, verbose=0), there.predict(x, verbose=0), atol=1e-4, rtol=0
    )
