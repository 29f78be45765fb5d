"""`Bidirectional` and `TimeDistributed` beside Keras."""

import numpy as np
import pytest
import torch
from test_recurrent import MASKS, assert_like_keras

from keras_parity import close
from oracle import keras
from stroma import layers, models
from stroma.core.errors import ArgumentError, ArgumentTypeError, ShapeError
from stroma.initializers import GlorotUniform

X = torch.randn(4, 5, 3, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("mask", [None, MASKS], ids=["plain", "masked"])
@pytest.mark.parametrize("mode", ["concat", "sum", "mul", "ave", None])
@pytest.mark.parametrize("every", [False, True])
@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_both_directions_are_like_keras(kind, every, mode, mask):
    ours, theirs = (
        room.Bidirectional(
            getattr(room, kind)(2, return_sequences=every, return_state=True), merge_mode=mode
        )
        for room in (layers, keras.layers)
    )
    call = {} if mask is None else {"mask": mask}
    count = 4 if kind == "LSTM" else 2
    call["initial_state"] = [torch.full((4, 2), 0.1 * (i + 1)) for i in range(count)]
    assert_like_keras(ours, theirs, X, **call)


def test_a_backward_layer_of_its_own():
    ours, theirs = (
        room.Bidirectional(
            room.LSTM(2, return_sequences=True),
            backward_layer=room.GRU(4, return_sequences=True, go_backwards=True),
        )
        for room in (layers, keras.layers)
    )
    assert_like_keras(ours, theirs, X, mask=MASKS)


def test_the_layer_given_keeps_its_weights_to_itself():
    given = layers.LSTM(2, kernel_initializer=GlorotUniform())
    given(X)
    both = layers.Bidirectional(given)
    both(X)
    assert both.forward_layer is not given
    assert both.forward_layer.name == "forward_lstm"
    assert both.backward_layer.name == "backward_lstm"
    forward, backward = (one.get_weights()[0] for one in (both.forward_layer, both.backward_layer))
    assert not np.array_equal(forward, backward)
    assert not np.array_equal(forward, given.get_weights()[0])
    start = [np.full_like(w, 0.5) for w in both.get_weights()]
    again = layers.Bidirectional(layers.LSTM(2), weights=start)
    again(X)
    assert all(np.array_equal(a, b) for a, b in zip(again.get_weights(), start))


def test_two_directions_of_a_cell_of_ones_own():
    class Half(layers.Layer):
        state_size = 3

        def call(self, inputs, states):
            output = inputs + 0.5 * states[0]
            return output, [output]

    both = layers.Bidirectional(layers.RNN(Half(), return_sequences=True))
    y = both(X)
    close(y[..., 3:], both.forward_layer(X.flip(1)).flip(1), 1e-6)


def test_states_go_on_in_both_directions():
    ours, theirs = (
        room.Bidirectional(room.GRU(2, stateful=True)) for room in (layers, keras.layers)
    )
    ours(X), theirs(X)
    values = [np.random.default_rng(1).uniform(-1, 1, w.shape) for w in theirs.weights]
    ours.set_weights(values), theirs.set_weights(values)
    ours.reset_state(), theirs.reset_state()
    for _ in range(2):
        close(ours(X), theirs(X), 1e-5)
    assert len(ours.states) == 2


def test_frozen_as_a_whole():
    layer = layers.Bidirectional(layers.LSTM(2), trainable=False)
    layer(X)
    assert len(layer.weights) == 6
    assert not layer.trainable_weights


def test_configs_make_equal_layers():
    for layer in (
        layers.Bidirectional(layers.LSTM(2, dropout=0.1), merge_mode="ave"),
        layers.TimeDistributed(layers.Dense(3, activation="relu")),
        layers.RNN([layers.LSTMCell(2), layers.GRUCell(3)], return_sequences=True),
    ):
        expected = layer(X)
        again = type(layer).from_config(layer.get_config())
        again(X)
        again.set_weights(layer.get_weights())
        assert torch.equal(again(X), expected)
        theirs = getattr(keras.layers, type(layer).__name__).from_config(layer.get_config())
        theirs(X)
        theirs.set_weights(layer.get_weights())
        close(theirs(X), expected, 1e-5)


FILED = {
    "stack": lambda room: room.RNN(
        [room.LSTMCell(2), room.GRUCell(3, reset_after=False)], return_sequences=True
    ),
    "cell": lambda room: room.RNN(room.SimpleRNNCell(3, use_bias=False), go_backwards=True),
    "pair": lambda room: room.Bidirectional(
        room.LSTM(2, dropout=0.2), backward_layer=room.LSTM(3, go_backwards=True)
    ),
    "stateful": lambda room: room.GRU(3, stateful=True, recurrent_dropout=0.1, seed=3),
    "by_time": lambda room: room.TimeDistributed(
        room.Dense(2, kernel_regularizer="l2", activation="tanh")
    ),
    "zeros": lambda room: room.LSTM(2, zero_output_for_mask=True, unit_forget_bias=False),
}


@pytest.mark.parametrize("name", FILED)
def test_files_go_both_ways(name, tmp_path):
    built = [
        room_models.Sequential([room.Input((5, 3), batch_size=4), FILED[name](room)])
        for room, room_models in ((layers, models), (keras.layers, keras.models))
    ]
    for model, load, path in zip(
        built, (keras.models.load_model, models.load_model), ("ours.keras", "theirs.keras")
    ):
        draw = np.random.default_rng(2)
        model.set_weights([draw.uniform(-1, 1, w.shape) for w in model.get_weights()])
        model.save(str(tmp_path / path))
        again = load(str(tmp_path / path))
        close(again(X), model(X), 1e-5)
        assert len(again.layers) == len(model.layers)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(
    "make",
    [
        lambda room: room.Dense(4, activation="relu"),
        lambda room: room.Conv2D(2, 3, padding="same"),
        lambda room: room.LSTM(3),
        lambda room: room.BatchNormalization(),
        lambda room: room.Flatten(),
    ],
    ids=["Dense", "Conv2D", "LSTM", "BatchNormalization", "Flatten"],
)
def test_every_moment_goes_through_the_layer(make, training):
    ours, theirs = (room.TimeDistributed(make(room)) for room in (layers, keras.layers))
    shape = (2, 3, 4, 4, 2) if isinstance(ours.layer, layers.Conv2D) else (2, 3, 4, 2)
    x = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    ours(x), theirs(x)
    assert ours(layers.Input((None, *shape[2:]))).shape[:2] == (None, None)
    draw = np.random.default_rng(1)
    values = [draw.uniform(0.1, 1, w.shape) for w in theirs.weights]
    ours.set_weights(values), theirs.set_weights(values)
    close(ours(x, training=training), theirs(x, training=training), 1e-5)
    for one, other in zip(ours.get_weights(), theirs.get_weights()):  # moving statistics as well
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_a_mask_of_each_moment_reaches_the_layer():
    x = torch.randn(2, 3, 5, 3)
    mask = torch.rand(2, 3, 5) > 0.4
    ours, theirs = (room.TimeDistributed(room.GRU(2)) for room in (layers, keras.layers))
    ours(x), theirs(x)
    values = [np.random.default_rng(1).uniform(-1, 1, w.shape) for w in theirs.weights]
    ours.set_weights(values), theirs.set_weights(values)
    close(ours(x, mask=mask), theirs(x, mask=mask), 1e-5)


def test_layers_that_mix_samples_see_one_moment_at_a_time():
    class Centre(layers.Layer):
        def call(self, inputs):
            return inputs - inputs.mean(0)

    x = torch.randn(4, 3, 2)
    close(layers.TimeDistributed(Centre())(x), x - x.mean(0), 1e-6)
    alone = models.Sequential([layers.Input((2,)), layers.Dense(3)])
    wrapped = layers.TimeDistributed(alone)
    assert wrapped(x).shape == (4, 3, 3)
    assert not wrapped._may_mix_samples(training=True)


def test_errors_say_what_to_type():
    with pytest.raises(ArgumentTypeError, match="must be a recurrent layer, got Dense"):
        layers.Bidirectional(layers.Dense(3))
    with pytest.raises(ArgumentError, match="return_sequences is False"):
        layers.Bidirectional(
            layers.LSTM(3),
            backward_layer=layers.LSTM(3, go_backwards=True, return_sequences=True),
        )
    with pytest.raises(ArgumentError, match="go_backwards is False"):
        layers.Bidirectional(layers.LSTM(3), backward_layer=layers.LSTM(3))
    with pytest.raises(ArgumentError, match="merge_mode"):
        layers.Bidirectional(layers.LSTM(3), merge_mode="max")
    with pytest.raises(ShapeError, match="takes \\(batch, time"):
        layers.TimeDistributed(layers.Dense(3))(torch.zeros(2, 3))
    with pytest.raises(ShapeError, match="the mask is"):
        layers.TimeDistributed(layers.Dense(3))(X, mask=torch.ones(4, 2))
