"""What optimizers keep in `.keras` files: across them, both ways, training goes on equal."""

import numpy as np
import pytest

from oracle import keras
from stroma import layers, models, optimizers

RULES = {
    "Adadelta": {"learning_rate": 0.5},
    "Adafactor": {"learning_rate": 0.05},
    "Adamax": {"learning_rate": 0.01},
    "Ftrl": {"learning_rate": 0.1},
    "Lamb": {"learning_rate": 0.01},
    "Lion": {"learning_rate": 0.001},
    "Muon": {"learning_rate": 0.01, "exclude_layers": ["head"]},
    "Nadam": {"learning_rate": 0.01},
}
OPTIONS = {"use_ema": True, "ema_momentum": 0.9}
X = np.random.default_rng(0).normal(size=(16, 6, 6, 2)).astype("float32")
Y = np.random.default_rng(1).normal(size=(16, 3)).astype("float32")

# Keras' own Variable.numpy warns under NumPy 2
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def network(kit):
    return kit.Sequential(
        [
            kit.layers.Conv2D(4, 3, activation="relu", input_shape=(6, 6, 2), name="conv"),
            kit.layers.Flatten(name="flat"),
            kit.layers.Dense(5, activation="relu", name="body"),
            kit.layers.Dense(3, name="head"),
        ]
    )


class Stroma:
    Sequential, layers = models.Sequential, layers


def losses_of(model, steps):
    return [float(model.train_on_batch(X, Y)) for _ in range(steps)]


@pytest.mark.filterwarnings("ignore:Do not pass an `input_shape`:UserWarning")
@pytest.mark.parametrize("rule", RULES)
def test_training_goes_on_across_a_file_both_ways(rule, tmp_path):
    theirs = network(keras)
    theirs.compile(getattr(keras.optimizers, rule)(**RULES[rule], **OPTIONS), "mse")
    losses_of(theirs, 3)
    theirs.save(tmp_path / "theirs.keras")
    ours = models.load_model(tmp_path / "theirs.keras")
    assert type(ours.optimizer) is getattr(optimizers, rule)
    ours.save(tmp_path / "ours.keras")
    expected = losses_of(theirs, 5)
    np.testing.assert_allclose(losses_of(ours, 5), expected, rtol=1e-4)

    back = keras.models.load_model(tmp_path / "ours.keras")
    assert type(back.optimizer).__name__ == rule
    np.testing.assert_allclose(losses_of(back, 5), expected, rtol=1e-4)
    anew = models.load_model(tmp_path / "ours.keras")
    anew.optimizer.load_slots([s.value * 0 for s in anew.optimizer.slots], 0)  # planted: forgotten
    assert not np.allclose(losses_of(anew, 5), expected, rtol=1e-5)
