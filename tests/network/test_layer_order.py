"""`model.layers` and `model.weights` have Keras' order, so that arrays can be handed across."""

import numpy as np
import pytest

from oracle import keras
from stroma import applications, layers, models


def branched(layers, models):
    x = layers.Input((8, 8, 3), name="late")
    y = layers.Input((8, 8, 3), name="early")
    shared = layers.Conv2D(4, 1, name="shared")
    short = layers.Conv2D(4, 1, name="short")(x)  # recorded first, but near to the output
    long = shared(layers.Conv2D(3, 3, padding="same", name="long")(y))
    again = shared(layers.Conv2D(3, 1, name="middle")(long[..., :3]))
    return models.Model([x, y], [layers.Add(name="add")([short, again]), long])


def names(model):
    return [layer.name for layer in model.layers if type(layer).__name__ != "GetItem"]


def test_layers_and_weights_of_branches_stand_as_in_keras():
    ours, theirs = branched(layers, models), branched(keras.layers, keras.models)
    assert names(ours) == names(theirs)
    assert [w.shape for w in ours.get_weights()] == [w.shape for w in theirs.get_weights()]
    ours.set_weights(theirs.get_weights())
    x = [np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype("float32") for _ in range(2)]
    for mine, wanted in zip(ours.predict(x, verbose=0), theirs.predict(x, verbose=0)):
        np.testing.assert_allclose(mine, wanted, atol=1e-5)


def test_the_order_of_recording_would_not_do():
    recorded = [layer.name for layer in branched(layers, models).keys().values()]
    assert recorded != [n for n in names(branched(keras.layers, keras.models)) if n in recorded]


@pytest.mark.parametrize("name", ["ResNet50", "Xception"])
def test_keras_weights_go_across_by_their_order(name):
    build = getattr(keras.applications, name)
    theirs = build(weights=None, classes=10, input_shape=(71, 71, 3))
    ours = getattr(applications, name)(weights=None, classes=10, input_shape=(71, 71, 3))
    assert [w.shape for w in ours.get_weights()] == [w.shape for w in theirs.get_weights()]
    ours.set_weights(theirs.get_weights())
    x = np.random.default_rng(0).normal(size=(1, 71, 71, 3)).astype("float32")
    np.testing.assert_allclose(ours.predict(x, verbose=0), theirs.predict(x, verbose=0), atol=1e-4)
