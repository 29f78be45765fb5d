"""`layer(x, training=False)` in a recorded network holds during `fit`: the guide on transfer."""

import numpy as np

import stroma
from oracle import keras


def statistics_moved(library):
    """Whether `fit` changes a BatchNormalization that was recorded with training=False."""
    norm = library.layers.BatchNormalization()
    inputs = library.Input((3,))
    model = library.Model(inputs, library.layers.Dense(1)(norm(inputs, training=False)))
    model.compile("sgd", "mse")
    before = np.array(norm.get_weights()[2])
    model.fit(np.full((8, 3), 5, "float32"), np.ones((8, 1)), epochs=1, verbose=0)
    return not np.array_equal(before, norm.get_weights()[2])


def test_what_was_said_holds_where_keras_forgets_it():
    assert not statistics_moved(stroma)
    assert statistics_moved(keras)
