"""Masks through networks: recorded, nested, stacked, merged, into loss and metrics; as in Keras."""

import copy
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from keras_parity import close
from oracle import keras
from stroma import layers, models
from stroma.core.errors import ShapeError
from stroma.network import network as network_module
from stroma.training.passes import Settings, forward

X = torch.randn(4, 6, 3, generator=torch.Generator().manual_seed(2))
X[0, 3:] = 0  # padded right
X[1, :2] = 0  # padded left
X[2, ::2] = 0  # holes
X[3] = 0  # nothing counts


def both(build):
    """The same network in stroma and in Keras, with the same weights."""
    ours, theirs = build(layers, models), build(keras.layers, keras.models)
    draw = np.random.default_rng(0)
    values = [draw.uniform(-0.8, 0.8, w.shape).astype("float32") for w in theirs.weights]
    ours.set_weights(values), theirs.set_weights(values)
    return ours, theirs


def keras_silent(function, *args, **kwargs):
    """Keras warns that a network inside drops masks, and hands them on all the same."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return function(*args, **kwargs)


def mask_inside(room, room_models):
    inner_input = room.Input((6, 3))
    y = room.LSTM(4, return_sequences=True)(room.Masking()(inner_input))
    outer = room.Input((6, 3))
    return room_models.Model(outer, room.GRU(3)(room_models.Model(inner_input, y)(outer)))


def mask_outside(room, room_models):
    inner_input = room.Input((6, 3))
    y = room.Dense(2)(room.LSTM(4, return_sequences=True)(inner_input))
    inner = room_models.Model(inner_input, y)
    outer = room.Input((6, 3))
    return room_models.Model(outer, room.GRU(3)(inner(room.Masking()(outer))))


def mask_through_a_stack(room, room_models):
    inner = room_models.Sequential([room.LSTM(4, return_sequences=True), room.Dense(2)])
    return room_models.Sequential(
        [room.Input((6, 3)), room.Masking(), inner, room.Bidirectional(room.GRU(3))]
    )


def mask_through_two_networks(room, room_models):
    first = room.Input((6, 3))
    low = room_models.Model(first, room.Dense(2)(first))
    second = room.Input((6, 3))
    high = room_models.Model(second, room.SimpleRNN(4, return_sequences=True)(low(second)))
    outer = room.Input((6, 3))
    return room_models.Model(outer, room.LSTM(3)(high(room.Masking()(outer))))


def several_outputs(room, room_models):
    x = room.Input((6, 3))
    inner = room_models.Model(x, [room.LSTM(4, return_sequences=True)(x), room.Dense(2)(x)])
    outer = room.Input((6, 3))
    first, second = inner(room.Masking()(outer))
    return room_models.Model(outer, room.GRU(3)(room.Concatenate()([first, second])))


def shared_with_and_without(room, room_models):
    x = room.Input((6, 3))
    inner = room_models.Model(x, room.GRU(3)(x))
    outer = room.Input((6, 3))
    y = room.Add()([inner(outer), inner(room.Masking()(outer))])
    return room_models.Model(outer, y)


def merged(room, room_models):
    x = room.Input((6, 3))
    masked = room.Masking()(x)
    parts = [
        room.Average()([masked, room.Masking()(x)]),
        room.Concatenate()([masked, x]),
        room.Concatenate(axis=1)([masked, room.Masking(1.0)(x)]),
        room.Add()([masked, room.Masking(1.0)(x)]),
        room.Multiply()([masked, room.Masking(1.0)(x)]),
        room.Maximum()([masked, room.Masking(1.0)(x)]),
    ]
    return room_models.Model(x, [room.GRU(2)(part) for part in parts])


def wrapped(room, room_models):
    x = room.Input((6, 3))
    y = room.TimeDistributed(room.Dense(4, activation="tanh"))(room.Masking()(x))
    y = room.Bidirectional(room.LSTM(3, return_sequences=True), merge_mode="sum")(y)
    y = room.Dropout(0.5)(room.Activation("relu")(room.LayerNormalization()(y)))
    return room_models.Model(x, room.LSTM(2)(y))


def states_from_a_masked_encoder(room, room_models):
    x = room.Input((6, 3))
    _, h, c = room.LSTM(3, return_state=True)(room.Masking()(x))
    return room_models.Model(x, room.LSTM(3)(x, initial_state=[h, c]))


BUILDS = [
    mask_inside, mask_outside, mask_through_a_stack, mask_through_two_networks, several_outputs,
    shared_with_and_without, merged, wrapped, states_from_a_masked_encoder,
]  # fmt: skip


@pytest.mark.parametrize("build", BUILDS, ids=lambda b: b.__name__)
def test_masks_go_where_they_go_in_keras(build, tmp_path):
    ours, theirs = keras_silent(both, build)
    y, expected = ours(X), keras_silent(theirs, X)
    for one, other in zip(*(p if isinstance(p, list) else [p] for p in (y, expected))):
        close(one, other, 1e-5)
    first = y[0] if isinstance(y, list) else y
    assert not torch.allclose(first[:3], expected_without_mask(build, ours)[:3], atol=1e-4)
    for network in (copy.deepcopy(ours), reread(ours, tmp_path), reread_theirs(theirs, tmp_path)):
        again = network(X)
        close(again[0] if isinstance(again, list) else again, first, 1e-5)
    written = ours.save(tmp_path / "ours.keras") or tmp_path / "ours.keras"
    back = keras_silent(keras_silent(keras.models.load_model, str(written)), X)
    close(back[0] if isinstance(back, list) else back, first, 1e-5)


def expected_without_mask(build, ours):
    """What comes out where Masking does nothing: else the test would see no mask at all."""
    room = SimpleNamespace(**{name: getattr(layers, name) for name in layers.__all__})
    room.Masking = lambda value=0.0: layers.Identity()
    network = build(room, models)
    network.set_weights(ours.get_weights())
    y = network(X)
    return y[0] if isinstance(y, list) else y


def reread(network, folder):
    network.save(folder / "model.keras")
    return models.load_model(folder / "model.keras")


def reread_theirs(network, folder):
    keras_silent(network.save, str(folder / "theirs.keras"))
    return models.load_model(folder / "theirs.keras")


def test_a_mask_given_by_hand_is_seen_by_layers_inside():
    ours, theirs = both(
        lambda room, m: (lambda x: m.Model(x, room.GRU(3)(room.Dense(2)(x))))(room.Input((6, 3)))
    )
    mask = (X != 0).any(-1)
    close(ours(X, mask=mask), keras_silent(theirs, X.clone(), mask=mask), 1e-5)
    close(ours(X, mask=mask.numpy()), ours(X, mask=mask), 1e-6)
    assert not torch.allclose(ours(X, mask=mask)[:3], ours(X)[:3])
    masked = layers.Masking()(X)  # as a tensor that carries one
    close(ours(masked), keras_silent(theirs, keras.layers.Masking()(X)), 1e-5)


def test_a_network_that_loses_masks_of_its_inputs_is_caught(monkeypatch):
    """Planted: the code for masked inputs is that for plain ones."""
    monkeypatch.setattr(
        network_module, "replay", lambda network, ranks: (network.inputs, network.outputs)
    )
    with pytest.raises(ShapeError):
        ours, theirs = keras_silent(both, mask_outside)
        close(ours(X), keras_silent(theirs, X), 1e-5)


def test_the_recording_of_masks_leaves_layers_where_they_stand():
    network = mask_outside(layers, models)
    inner = next(layer for layer in network.layers if isinstance(layer, models.Model))
    before = inner.layers[1].output
    inner(X, mask=(X != 0).any(-1))
    assert inner.layers[1].output is before
    assert models.Model(inner.input, before)(X).shape == (4, 6, 4)


def test_compiled_networks_have_the_same_masks():
    ours = mask_outside(layers, models)
    expected = ours(X)
    torch.compiler.reset()
    compiled = torch.compile(ours, fullgraph=True, backend="eager")
    with torch.no_grad():
        close(compiled(X), expected, 1e-6)


def test_a_layer_that_drops_the_mask_says_so():
    x = layers.Masking()(layers.Input((6, 3)))
    with pytest.warns(UserWarning, match=r"'flatten' \(Flatten\) gets an input with a mask"):
        y = layers.Flatten()(x)
    assert y.mask is None
    assert (x * 2).mask is None  # a function of torch's drops it without a word
    assert layers.LSTM(3)(x).mask is None
    assert layers.LSTM(3, return_sequences=True)(x).mask is x.mask


@pytest.mark.parametrize("sample_weight", [None, "rows"])
def test_loss_and_metrics_leave_masked_steps_out(sample_weight):
    def build(room, room_models):
        return room_models.Sequential(
            [room.Input((6, 3)), room.Masking(), room.LSTM(4, return_sequences=True), room.Dense(1)]
        )

    ours, theirs = both(build)
    y = torch.randn(4, 6, 1, generator=torch.Generator().manual_seed(3)).numpy()
    for model in (ours, theirs):
        model.compile(optimizer="sgd", loss="mse", metrics=["mae"], weighted_metrics=["mse"])
    weight = None if sample_weight is None else np.array([[1.0], [2.0], [0.5], [3.0]]) * np.ones(6)
    given = {"sample_weight": weight, "verbose": 0, "return_dict": True}
    # one batch: Keras on torch multiplies the caller's weights by the mask in place, so that in
    # later batches its weighted metrics see weights scaled by another number of valid steps
    found = ours.evaluate(X.numpy(), y, **given)
    expected = theirs.evaluate(X.numpy(), y, **given)
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        assert found[key] == pytest.approx(value, rel=1e-5), key


def test_twenty_steps_of_training_are_those_of_keras():
    def build(room, room_models):
        return room_models.Sequential(
            [
                room.Input((6, 3)),
                room.Masking(),
                room.Bidirectional(room.LSTM(4, return_sequences=True)),
                room.GRU(3, return_sequences=True),
                room.TimeDistributed(room.Dense(2)),
            ]
        )

    ours, theirs = both(build)
    y = torch.randn(4, 6, 2, generator=torch.Generator().manual_seed(3)).numpy()
    histories = []
    for model in (ours, theirs):
        model.compile(optimizer="adam", loss="mse")
        history = model.fit(X.numpy(), y, batch_size=4, epochs=20, shuffle=False, verbose=0)
        histories.append(history.history["loss"])
    assert histories[0] == pytest.approx(histories[1], rel=1e-4)
    assert histories[0][-1] < histories[0][0]


def test_a_compiled_step_has_the_mask_of_its_outputs():
    x = layers.Input((6, 3))
    model = models.Model(x, layers.Dense(1)(layers.Masking()(x)))
    torch.compiler.reset()
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    settings = Settings(device=torch.device("cpu"), compiled=compiled)
    y = forward(model, X, settings, training=True)
    assert torch.equal(y._keras_mask, (X != 0).any(-1))
    close(y, model(X), 1e-6)


@pytest.mark.parametrize("direction", ["one", "both"])
def test_words_with_padding_in_memory_in_files_and_in_training(direction, tmp_path):
    def build(room, room_models):
        around = room.Bidirectional if direction == "both" else lambda layer: layer
        return room_models.Sequential(
            [
                room.Input((None,), dtype="int32"),
                room.Embedding(9, 4, mask_zero=True),
                around(room.LSTM(3, return_sequences=True)),
                room.Dropout(0.0),
                around(room.GRU(3)),
                room.Dense(1, activation="sigmoid"),
            ]
        )

    ours, theirs = both(build)
    words = np.array([[3, 5, 0, 0], [1, 2, 8, 4], [0, 7, 0, 6], [0, 0, 0, 0]])
    close(ours(torch.tensor(words)), theirs(torch.tensor(words)), 1e-5)
    theirs.save(str(tmp_path / "theirs.keras"))
    again = models.load_model(tmp_path / "theirs.keras")
    close(again(torch.tensor(words)), ours(torch.tensor(words)), 1e-6)
    labels = np.array([[1.0], [0.0], [1.0], [0.0]])
    losses = []
    for model in (ours, theirs):
        model.compile(optimizer="rmsprop", loss="binary_crossentropy")
        settings = {"batch_size": 2, "epochs": 5, "shuffle": False, "verbose": 0}
        losses.append(model.fit(words, labels, **settings).history["loss"])
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
