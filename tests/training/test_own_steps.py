"""Models with steps of their own: the same class, written once, in Keras and in stroma."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from oracle import keras
from stroma import layers, losses, metrics, models, optimizers
from stroma.core.errors import ArgumentError, ArgumentTypeError

OURS = SimpleNamespace(
    Model=models.Model, Input=layers.Input, layers=layers, losses=losses, metrics=metrics,
    optimizers=optimizers, Sequential=models.Sequential,
)  # fmt: skip
BOTH = (OURS, keras)
generator = np.random.default_rng(0)
X = generator.normal(size=(24, 5)).astype("float32")
Y = generator.normal(size=(24, 1)).astype("float32")
W = generator.uniform(0.2, 2, size=24).astype("float32")


def weights_of(shapes: list[tuple[int, ...]]) -> list[np.ndarray]:
    draw = np.random.default_rng(3)
    return [draw.normal(size=shape).astype("float32") * 0.4 for shape in shapes]


def whole(k: Any) -> Any:
    """`train_step` and `test_step` in the style of Keras' guide for torch."""

    class Whole(k.Model):
        def train_step(self, data: Any) -> Any:
            if len(data) == 3:
                x, y, weight = data
            else:
                (x, y), weight = data, None
            y_pred = self(x, training=True)
            loss = self.compute_loss(y=y, y_pred=y_pred, sample_weight=weight)
            self.zero_grad()
            loss.backward()
            trainable = list(self.trainable_weights)
            gradients = [v.value.grad for v in trainable]
            with torch.no_grad():
                self.optimizer.apply(gradients, trainable)
            for metric in self.metrics:
                if metric.name == "loss":
                    metric.update_state(loss)
                else:
                    metric.update_state(y, y_pred, sample_weight=weight)
            return {m.name: m.result() for m in self.metrics}

        def test_step(self, data: Any) -> Any:
            x, y = data[:2]
            y_pred = self(x, training=False)
            loss = self.compute_loss(y=y, y_pred=y_pred)
            for metric in self.metrics:
                if metric.name == "loss":
                    metric.update_state(loss)
                else:
                    metric.update_state(y, y_pred)
            return {m.name: m.result() for m in self.metrics}

    return Whole


def low_level(k: Any) -> Any:
    """No loss in `compile`: figures, loss and metrics are the model's own."""

    class LowLevel(k.Model):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.loss_tracker = k.metrics.Mean(name="loss")
            self.mae_metric = k.metrics.MeanAbsoluteError(name="mae")
            self.loss_fn = k.losses.MeanSquaredError()

        def train_step(self, data: Any) -> Any:
            x, y = data[:2]
            y_pred = self(x, training=True)
            loss = self.loss_fn(y, y_pred)
            self.zero_grad()
            loss.backward()
            trainable = list(self.trainable_weights)
            with torch.no_grad():
                self.optimizer.apply_gradients([(v.value.grad, v) for v in trainable])
            self.loss_tracker.update_state(loss)
            self.mae_metric.update_state(y, y_pred)
            return {"loss": self.loss_tracker.result(), "mae": self.mae_metric.result()}

        def test_step(self, data: Any) -> Any:
            x, y = data[:2]
            y_pred = self(x, training=False)
            self.loss_tracker.update_state(self.loss_fn(y, y_pred))
            self.mae_metric.update_state(y, y_pred)
            return {"loss": self.loss_tracker.result(), "mae": self.mae_metric.result()}

        @property
        def metrics(self) -> Any:
            return [self.loss_tracker, self.mae_metric]

    return LowLevel


def own_loss(k: Any) -> Any:
    """`compute_loss` and `compute_metrics` alone; the step stays Keras'."""

    class OwnLoss(k.Model):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.spread = k.metrics.Mean(name="spread")

        def compute_loss(self, x: Any = None, y: Any = None, y_pred: Any = None,
                         sample_weight: Any = None) -> Any:  # fmt: skip
            self.spread.update_state((y_pred - torch.as_tensor(y)).abs().max())
            return super().compute_loss(x, y, y_pred, sample_weight) + (y_pred**2).mean()

        def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> Any:
            figures = super().compute_metrics(x, y, y_pred, sample_weight)
            return {**figures, "last": y_pred.max()}

    return OwnLoss


def super_step(k: Any) -> Any:
    """Something before and after Keras' own step."""

    class SuperStep(k.Model):
        def train_step(self, data: Any) -> Any:
            x, y = data[:2]
            logs = super().train_step((x * 2, y))
            return {**logs, "seen": float(len(x))}

        def test_step(self, data: Any) -> Any:
            return super().test_step(data)

    return SuperStep


KINDS = {"whole": whole, "low level": low_level, "own loss": own_loss, "super step": super_step}


def network(k: Any, kind: Any) -> Any:
    x = k.Input((5,))
    y = k.layers.Dense(4, activation="tanh", kernel_regularizer="l2")(x)
    y = k.layers.BatchNormalization()(y)
    model = kind(k)(x, k.layers.Dense(1)(y))
    model.set_weights(abs_last(weights_of([w.shape for w in model.get_weights()])))
    return model


def abs_last(values: list[np.ndarray]) -> list[np.ndarray]:
    return [abs(value) for value in values]


def same(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    assert set(ours) == set(theirs)
    for key, values in theirs.items():
        np.testing.assert_allclose(ours[key], values, rtol=1e-4, atol=1e-6, err_msg=key)


@pytest.mark.parametrize("name", KINDS)
def test_fit_and_evaluate_give_keras_numbers(name: str) -> None:
    found = []
    for k in BOTH:
        model = network(k, KINDS[name])
        given = {} if name == "low level" else {"loss": "mse", "metrics": ["mae"]}
        model.compile(optimizer="adam", **given)
        history = model.fit(
            X, Y, batch_size=7, epochs=3, verbose=0, shuffle=False, validation_data=(X[:9], Y[:9])
        )
        figures = model.evaluate(X, Y, verbose=0, batch_size=7, return_dict=True)
        listed = model.evaluate(X, Y, verbose=0, batch_size=7)
        batch = model.train_on_batch(X[:8], Y[:8], return_dict=True)
        tested = model.test_on_batch(X[:8], Y[:8], return_dict=True)
        names = sorted(batch)
        found.append((history.history, figures, dict(enumerate(listed)), batch, tested,
                      {"weights": np.concatenate([w.ravel() for w in model.get_weights()])},
                      [m.name for m in model.metrics], names))  # fmt: skip
    for ours, theirs in zip(*found):
        same(ours, theirs) if isinstance(ours, dict) else None
        assert isinstance(ours, dict) or ours == theirs


def test_sample_weights_reach_the_step() -> None:
    found = []
    for k in BOTH:
        model = network(k, whole)
        model.compile(optimizer="sgd", loss="mse", weighted_metrics=["mae"])
        found.append(model.fit(X, Y, sample_weight=W, batch_size=8, shuffle=False, verbose=0))
    same(found[0].history, found[1].history)


def test_the_planted_mistake_is_caught() -> None:
    def wrong(k: Any) -> Any:
        class Wrong(whole(k)):  # type: ignore[misc]
            def compute_loss(self, **given: Any) -> Any:
                return super().compute_loss(**given) * 1.01

        return Wrong

    ours, theirs = network(OURS, wrong), network(keras, whole)
    for model in (ours, theirs):
        model.compile("sgd", "mse")
    with pytest.raises(AssertionError):
        same(ours.fit(X, Y, verbose=0, shuffle=False).history,
             theirs.fit(X, Y, verbose=0, shuffle=False).history)  # fmt: skip


# Two optimizers


def gan(k: Any) -> Any:
    class GAN(k.Model):
        def __init__(self, critic: Any, maker: Any) -> None:
            super().__init__()
            self.critic, self.maker = critic, maker
            self.d_tracker = k.metrics.Mean(name="d_loss")
            self.g_tracker = k.metrics.Mean(name="g_loss")
            self.built = True

        @property
        def metrics(self) -> Any:
            return [self.d_tracker, self.g_tracker]

        def compile(self, d_optimizer: Any, g_optimizer: Any, loss_fn: Any) -> None:
            super().compile()
            self.d_optimizer, self.g_optimizer = d_optimizer, g_optimizer
            self.loss_fn = loss_fn

        def learn(self, part: Any, optimizer: Any, loss: Any) -> None:
            self.zero_grad()
            loss.backward()
            trainable = list(part.trainable_weights)
            with torch.no_grad():
                optimizer.apply([v.value.grad for v in trainable], trainable)

        def train_step(self, real: Any) -> Any:
            if isinstance(real, tuple):
                real = real[0]
            noise = torch.flip(real[:, :3], (0,))
            both = torch.cat([self.maker(noise), real])
            labels = torch.cat([torch.ones((len(real), 1)), torch.zeros((len(real), 1))])
            d_loss = self.loss_fn(labels, self.critic(both))
            self.learn(self.critic, self.d_optimizer, d_loss)
            judged = self.critic(self.maker(noise))
            g_loss = self.loss_fn(torch.zeros((len(real), 1)), judged)
            self.learn(self.maker, self.g_optimizer, g_loss)
            self.d_tracker.update_state(d_loss)
            self.g_tracker.update_state(g_loss)
            return {"d_loss": self.d_tracker.result(), "g_loss": self.g_tracker.result()}

    return GAN


def a_gan(k: Any) -> Any:
    critic = k.Sequential([k.Input((5,)), k.layers.Dense(4, "tanh"), k.layers.Dense(1)])
    maker = k.Sequential([k.Input((3,)), k.layers.Dense(4, "relu"), k.layers.Dense(5)])
    model = gan(k)(critic, maker)
    for part in (critic, maker):
        part.set_weights(weights_of([w.shape for w in part.get_weights()]))
    model.compile(
        k.optimizers.Adam(0.01), k.optimizers.RMSprop(0.02),
        k.losses.BinaryCrossentropy(from_logits=True),
    )  # fmt: skip
    return model


def test_a_gan_trains_as_in_keras() -> None:
    ours, theirs = (
        a_gan(k).fit(X, batch_size=8, epochs=3, shuffle=False, verbose=0).history for k in BOTH
    )
    same(ours, theirs)


def test_a_gan_resumes_bit_for_bit(tmp_path: Path) -> None:
    through = a_gan(OURS)
    through.fit(X, batch_size=8, epochs=2, verbose=0, seed=1)
    stopped = a_gan(OURS)
    stopped.fit(X, batch_size=8, epochs=1, verbose=0, seed=1, run=tmp_path / "run")
    resumed = a_gan(OURS)
    resumed.fit(X, batch_size=8, epochs=2, verbose=0, resume=tmp_path / "run")
    for name, weight in through.state_dict().items():
        assert torch.equal(weight, resumed.state_dict()[name]), name


# The rest of the surface


def test_a_predict_step_of_its_own() -> None:
    class Halved(models.Model):
        def predict_step(self, data: Any) -> Any:
            return super().predict_step(data) / 2

    x = layers.Input((5,))
    model = Halved(x, layers.Dense(2)(x))
    expected = model(torch.from_numpy(X)).detach().numpy() / 2
    np.testing.assert_array_equal(model.predict(X, verbose=0, batch_size=24), expected)
    np.testing.assert_array_equal(model.predict_on_batch(X), expected)


def test_metrics_in_layers_are_reported_as_in_keras() -> None:
    def watching(k: Any) -> Any:
        class Watching(k.layers.Layer):
            def __init__(self) -> None:
                super().__init__()
                self.largest = k.metrics.Mean(name="largest")

            def call(self, inputs: Any) -> Any:
                if not inputs.is_meta:
                    self.largest.update_state(inputs.max())
                return inputs

        return Watching()

    found = []
    for k in BOTH:
        x = k.Input((5,))
        model = k.Model(x, k.layers.Dense(1, kernel_initializer="ones")(watching(k)(x)))
        model.compile("sgd", "mse")
        found.append(model.fit(X, Y, batch_size=8, shuffle=False, verbose=0).history)
    same(*found)


def test_what_a_step_returns_must_have_names() -> None:
    class Wrong(models.Model):
        def train_step(self, data: Any) -> Any:
            return 1.0

    x = layers.Input((5,))
    model = Wrong(x, layers.Dense(1)(x))
    model.compile("sgd", "mse")
    with pytest.raises(ArgumentTypeError, match="returned float, not a dict"):
        model.fit(X, Y, verbose=0)
    with pytest.raises(ArgumentError, match="not compiled"):
        model.compile("sgd", "mse", jit_compile=True)


def test_a_constraint_holds_after_one_batch() -> None:
    found = []
    for k in BOTH:
        model = k.Sequential([k.Input((5,)), k.layers.Dense(1, kernel_constraint="non_neg")])
        model.set_weights(weights_of([(5, 1), (1,)]))
        model.compile("sgd", "mse")
        model.train_on_batch(X, Y)
        found.append(model.get_weights()[0])
    np.testing.assert_allclose(*found, rtol=1e-5)
    assert (found[0] >= 0).all()


def test_an_optimizer_can_be_exchanged() -> None:
    model = network(OURS, whole)
    model.compile("sgd", "mse")
    model.optimizer = optimizers.SGD(learning_rate=0.0)
    before = model.get_weights()
    model.fit(X, Y, verbose=0)
    np.testing.assert_array_equal(model.get_weights()[0], before[0])
    assert model.optimizer.iterations == 1
