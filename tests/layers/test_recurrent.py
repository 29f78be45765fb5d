"""Recurrent layers beside Keras': every setting, every mask, states, dropout, own cells."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_parity import close
from oracle import keras
from stroma import layers, models
from stroma.core.errors import ArgumentError, ArgumentTypeError, ShapeError
from stroma.functional import recurrent as functional
from stroma.layers.cell import Kept
from stroma.layers.recurrent import RNN
from stroma.network.design import design
from stroma.training.precision import BF16_PAYS_FROM, choose_precision, macs_of_one

MASKS = torch.tensor(
    [
        [1, 1, 1, 0, 0],  # padded right
        [0, 0, 1, 1, 1],  # padded left
        [1, 0, 1, 0, 1],  # holes
        [0, 0, 0, 0, 0],  # nothing counts
    ]
).bool()
KINDS = ("SimpleRNN", "LSTM", "GRU")


def flat(outputs):
    if isinstance(outputs, torch.Tensor):
        return [outputs]
    return [tensor for part in outputs for tensor in flat(part)]


def probe(tensors):
    """A number whose gradient is another one for every element of the outputs."""
    return sum(
        (t * torch.linspace(-1, 1, t.numel(), dtype=t.dtype).reshape(t.shape)).sum()
        for t in tensors
    )


def values_for(theirs, seed=3):
    draw = np.random.default_rng(seed)
    return [draw.uniform(-0.8, 0.8, w.shape).astype("float32") for w in theirs.weights]


def assert_like_keras(ours, theirs, x, **call):
    """Outputs to 1e-5, gradients by input, states and weights to 1e-4."""
    ours(x), theirs(x)
    values = values_for(theirs)
    ours.set_weights(values), theirs.set_weights(values)
    found = []
    for layer in (ours, theirs):
        leaf = x.clone().requires_grad_()
        states = [s.clone().requires_grad_() for s in call.get("initial_state", [])]
        given = {**call, "initial_state": states} if states else call
        outputs = flat(layer(leaf, **given))
        weights = [getattr(w, "value", w) for w in layer.weights]
        grads = torch.autograd.grad(probe(outputs), [leaf, *states, *weights], allow_unused=True)
        views = [getattr(getattr(w, "spec", None), "permutation", None) for w in layer.weights]
        views = [None] * (1 + len(states)) + views
        grads = [g if v is None or g is None else g.permute(v) for g, v in zip(grads, views)]
        found.append((outputs, grads))
    (y, grads), (expected, wanted) = found
    assert len(y) == len(expected)
    for one, other in zip(y, expected):
        close(one, other, 1e-5)
    for one, other in zip(grads, wanted):
        close(torch.zeros_like(other) if one is None else one, other, 1e-4)


ARGUMENTS = st.fixed_dictionaries(
    {
        "units": st.integers(1, 4),
        "use_bias": st.booleans(),
        "return_sequences": st.booleans(),
        "return_state": st.booleans(),
        "go_backwards": st.booleans(),
        "zero_output_for_mask": st.booleans(),
        "activation": st.sampled_from(["tanh", "tanh", "relu"]),
    }
)

ROW = st.lists(st.booleans(), min_size=4, max_size=4)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=15, deadline=None)
@given(
    arguments=ARGUMENTS,
    after=st.booleans(),
    mask=st.none()
    | st.lists(st.lists(st.booleans(), min_size=4, max_size=4), min_size=2, max_size=2),
    given_states=st.booleans(),
)
def test_any_setting_is_like_keras(kind, arguments, after, mask, given_states):
    if kind == "GRU":
        arguments = {**arguments, "reset_after": after}
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(2, 4, 3, generator=generator)
    call = {} if mask is None else {"mask": torch.tensor(mask)}
    if given_states:
        count = 2 if kind == "LSTM" else 1
        size = (2, arguments["units"])
        call["initial_state"] = [torch.randn(size, generator=generator) for _ in range(count)]
    ours, theirs = (getattr(room, kind)(**arguments) for room in (layers, keras.layers))
    assert_like_keras(ours, theirs, x, **call)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("every", [False, True])
def test_kernel_and_loop_agree_under_every_mask(kind, every):
    layer = getattr(layers, kind)(4, return_sequences=every, return_state=True)
    x = torch.randn(4, 5, 3, requires_grad=True)
    states = [torch.randn(4, 4, requires_grad=True) for _ in range(2 if kind == "LSTM" else 1)]
    layer(x)
    found = []
    for native in (True, False):
        layer.native = native
        assert layer._has_kernel(x, training=False)
        outputs = layer(x, mask=MASKS, initial_state=states)
        leaves = [x, *states, *layer.parameters()]
        found.append((outputs, torch.autograd.grad(probe(outputs), leaves)))
    (y, grads), (expected, wanted) = found
    for one, other in zip((*y, *grads), (*expected, *wanted)):
        close(one, other, 1e-5)
    assert not bool(y[0][3].any())  # nothing counted: zeros
    for state, first in zip(y[1:], states):
        assert torch.equal(state[3], first[3])  # and the states are as they were


def test_no_python_loop_runs_where_a_kernel_can(monkeypatch):
    def fails(*args, **kwargs):
        raise AssertionError("a loop over time")

    monkeypatch.setattr("stroma.layers.recurrent.run_steps", fails)
    x = torch.randn(4, 5, 3)
    for kind in KINDS:
        layer = getattr(layers, kind)(4, dropout=0.5, recurrent_dropout=0.1, unroll=True)
        assert layer(x, mask=MASKS).shape == (4, 4)
        assert getattr(layers, kind)(4, dropout=0.5)(x, training=True).shape == (4, 4)
    assert RNN([layers.LSTMCell(4), layers.GRUCell(2)])(x, mask=MASKS).shape == (4, 2)


@pytest.mark.parametrize("wrong", ["shut", "count", "order"])
def test_a_mistake_in_the_masks_is_caught(monkeypatch, wrong):
    """Planted: c not held through padding; the output of a step too early; steps out of order."""
    if wrong == "shut":
        monkeypatch.setattr(functional, "_SHUT", 0.0)
    elif wrong == "count":
        right = functional.spread
        monkeypatch.setattr(
            "stroma.layers.recurrent.spread", lambda o, count, seen: right(o, count - 1, seen)
        )
    else:
        monkeypatch.setattr(
            "stroma.layers.recurrent.compress", lambda x, mask: (x, mask.sum(dim=1))
        )
    ours, theirs = (
        room.LSTM(3, return_sequences=True, return_state=True) for room in (layers, keras.layers)
    )
    with pytest.raises(AssertionError):
        assert_like_keras(ours, theirs, torch.randn(4, 5, 3), mask=MASKS)


def test_a_row_does_not_see_its_neighbours():
    for kind in KINDS:
        layer = getattr(layers, kind)(4, return_sequences=True)
        x = torch.randn(4, 5, 3)
        together = layer(x, mask=MASKS)
        for row in range(4):
            alone = layer(x[row : row + 1], mask=MASKS[row : row + 1])
            close(alone, together[row : row + 1], 1e-6)


def test_shapes_are_known_at_once_for_any_time():
    """A kernel or loop over the probes' 2,688 moments would take minutes."""
    x = layers.Input((None, 3))
    for kind in KINDS:
        assert getattr(layers, kind)(4)(x).shape == (None, 4)
        y, *states = getattr(layers, kind)(4, return_sequences=True, return_state=True)(x)
        assert y.shape == (None, None, 4)
        assert [state.shape for state in states] == [(None, 4)] * (2 if kind == "LSTM" else 1)
    assert layers.RNN([layers.GRUCell(4), layers.LSTMCell(2)])(x).shape == (None, 2)


def test_work_is_counted_for_every_step():
    model_input = layers.Input((7, 3))
    model = models.Model(model_input, layers.LSTM(4)(model_input))
    macs = [row.macs for row in design(model) if row.kind == "LSTM"]
    assert macs == [7 * (3 + 4) * 16]


# States


@pytest.mark.parametrize("kind", KINDS)
def test_states_go_on_from_batch_to_batch_as_in_keras(kind):
    ours, theirs = (getattr(room, kind)(4, stateful=True) for room in (layers, keras.layers))
    batches = [torch.randn(2, 3, 3) for _ in range(3)]
    assert ours.states is None
    ours(batches[0]), theirs(batches[0])
    values = values_for(theirs)
    ours.set_weights(values), theirs.set_weights(values)
    for layer in (ours, theirs):
        layer.reset_state()
    for batch in batches:
        close(ours(batch), theirs(batch), 1e-5)
    assert len(ours.states) == (2 if kind == "LSTM" else 1)
    assert not ours.weights[0].path.endswith("state")
    assert len(ours.weights) == len(theirs.weights) == len(ours.state_dict())
    ours.reset_states()
    assert not any(bool(state.any()) for state in ours.states)
    ours(batches[0]).sum().backward()  # the states' change does not disturb the way back
    with pytest.raises(ShapeError, match="goes on with 2 samples"):
        ours(torch.randn(3, 3, 3))


def test_a_recorded_stateful_layer_leaves_its_states_alone():
    layer = layers.LSTM(4, stateful=True)
    layer(torch.randn(2, 3, 3))
    before = [state.clone() for state in layer.states]
    layer(layers.Input((None, 3), batch_size=2))
    assert all(torch.equal(a, b) for a, b in zip(before, layer.states))
    again = copy.deepcopy(layer)
    assert all(torch.equal(a, b) for a, b in zip(before, again.states))


def test_an_encoder_hands_its_states_to_a_decoder():
    built = []
    for room, room_models in ((layers, models), (keras.layers, keras.models)):
        source, target = room.Input((None, 3)), room.Input((None, 2))
        _, h, c = room.LSTM(4, return_state=True)(source)
        decoded = room.LSTM(4, return_sequences=True)(target, initial_state=[h, c])
        built.append(room_models.Model([source, target], decoded))
    ours, theirs = built
    values = values_for(theirs)
    ours.set_weights(values), theirs.set_weights(values)
    data = [torch.randn(2, 5, 3), torch.randn(2, 4, 2)]
    close(ours(data), theirs(data), 1e-5)


# Dropout


def test_dropout_drops_the_same_inputs_at_every_step():
    torch.manual_seed(0)
    cell = layers.SimpleRNN(
        3, activation="linear", dropout=0.5, return_sequences=True,
        kernel_initializer="identity", recurrent_initializer="zeros",
    )  # fmt: skip
    y = cell(torch.ones(50, 6, 3), training=True)  # the output is what dropout left of the input
    assert bool((y == y[:, :1]).all())
    assert set(y.unique().tolist()) == {0.0, 2.0}
    assert 0.3 < (y[:, 0] == 0).float().mean() < 0.7
    assert bool((cell(torch.ones(5, 6, 3)) == 1).all())


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_gates_drop_apart_with_implementation_1_and_together_with_2(kind):
    gates = {"LSTM": 4, "GRU": 3}[kind]
    for implementation, different in ((1, True), (2, False)):
        layer = getattr(layers, kind)(2, dropout=0.5, implementation=implementation)
        layer(torch.ones(1, 1, 2))
        kept = layer.cell._draw(torch.ones(40, 2), 0.5)
        assert kept.shape == ((gates, 40, 2) if different else (40, 2))
        assert layer.cell.is_native(training=True) is not different
        assert layer(torch.ones(2, 3, 2), training=True).shape == (2, 2)
    assert getattr(layers, kind)(2, recurrent_dropout=0.5).cell.implementation == 1


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
@pytest.mark.parametrize("arguments", [{}, {"reset_after": False}])
def test_gates_that_keep_everything_are_like_none_dropped(kind, arguments):
    """By-gate projections against the plain ones."""
    if kind == "LSTM" and arguments:
        pytest.skip("a GRU's setting")
    cell = getattr(layers, kind + "Cell")(3, implementation=1, **arguments)
    x, states = torch.randn(2, 5), [torch.randn(2, 3) for _ in range(2 if kind == "LSTM" else 1)]
    expected, _ = cell(x, states)
    kept = Kept(torch.ones(cell.gates, 2, 5), torch.ones(cell.gates, 2, 3))
    close(cell.step(x, states, kept)[0], expected, 1e-6)


def test_a_seed_makes_the_draws_its_own():
    torch.manual_seed(5)
    x = torch.ones(4, 3, 6)
    first, second = (layers.LSTM(2, dropout=0.5, seed=7, use_bias=False) for _ in range(2))
    first(x), second(x)
    second.set_weights(first.get_weights())
    assert torch.equal(first(x, training=True), second(x, training=True))


# Cells


class Minimal(layers.Layer):
    """A cell in Keras' style."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = self.state_size = units

    def build(self, input_shape):
        self.kernel = self.add_weight(shape=(input_shape[-1], self.units), name="kernel")

    def call(self, inputs, states):
        output = inputs @ self.kernel + 0.5 * states[0]
        return output, [output]


class TheirMinimal(keras.layers.Layer):
    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = self.state_size = units

    def build(self, input_shape):
        self.kernel = self.add_weight(shape=(input_shape[-1], self.units), name="kernel")

    def call(self, inputs, states):
        output = keras.ops.matmul(inputs, self.kernel) + 0.5 * states[0]
        return output, [output]


@pytest.mark.parametrize("mask", [None, MASKS])
def test_cells_of_ones_own(mask):
    ours = layers.RNN([Minimal(4), Minimal(2)], return_sequences=True)
    theirs = keras.layers.RNN([TheirMinimal(4), TheirMinimal(2)], return_sequences=True)
    call = {} if mask is None else {"mask": mask}
    assert_like_keras(ours, theirs, torch.randn(4, 5, 3), **call)
    single = layers.RNN(Minimal(4), return_state=True, go_backwards=True)
    other = keras.layers.RNN(TheirMinimal(4), return_state=True, go_backwards=True)
    assert_like_keras(single, other, torch.randn(4, 5, 3), **call)


def test_a_cell_need_not_be_a_layer():
    class Sum:
        state_size = 3

        def call(self, inputs, states):
            return inputs + states[0], [inputs + states[0]]

    x = torch.randn(2, 5, 3)
    close(layers.RNN(Sum())(x), x.sum(dim=1), 1e-6)
    assert layers.RNN(Sum())(layers.Input((None, 3))).shape == (None, 3)


@pytest.mark.parametrize("mask", [None, MASKS])
def test_stacks_of_known_cells(mask):
    cells = [("GRUCell", 4), ("LSTMCell", 3), ("SimpleRNNCell", 2)]
    ours, theirs = (
        room.RNN([getattr(room, kind)(units) for kind, units in cells], return_state=True)
        for room in (layers, keras.layers)
    )
    call = {} if mask is None else {"mask": mask}
    assert_like_keras(ours, theirs, torch.randn(4, 5, 3), **call)
    assert ours.cell.is_native(training=False)


@pytest.mark.parametrize("kind", KINDS)
def test_one_step_of_a_cell(kind):
    count = 2 if kind == "LSTM" else 1
    ours, theirs = (getattr(room, kind + "Cell")(4) for room in (layers, keras.layers))
    x, states = torch.randn(3, 5), [torch.randn(3, 4) for _ in range(count)]
    ours(x, states), theirs(x, states)
    values = values_for(theirs)
    ours.set_weights(values), theirs.set_weights(values)
    (y, new), (expected, wanted) = ours(x, states), theirs(x, states)
    close(y, expected, 1e-5)
    assert isinstance(new, list)
    assert len(new) == len(wanted) == count
    for one, other in zip(new, wanted):
        close(one, other, 1e-5)
    assert [s.shape for s in ours.get_initial_state(2)] == [(2, 4)] * count


def test_first_values_are_those_of_keras():
    ours, theirs = layers.LSTM(3), keras.layers.LSTM(3)
    x = torch.zeros(1, 2, 2)
    ours(x), theirs(x)
    for one, other in zip(ours.get_weights(), theirs.get_weights()):
        assert one.shape == other.shape
    assert np.array_equal(ours.get_weights()[2], theirs.get_weights()[2])
    assert list(ours.state_dict()) == ["cell.weight_ih", "cell.weight_hh", "cell.bias"]
    assert ours.cell.kernel.shape == (2, 12)
    assert ours.cell.recurrent_kernel.shape == (3, 12)


def test_weights_of_torchs_own_lstm_fit():
    reference = torch.nn.LSTM(3, 4, batch_first=True)
    layer = layers.LSTM(4, return_sequences=True)
    x = torch.randn(2, 5, 3)
    layer(x)
    with torch.no_grad():
        layer.cell.weight_ih.copy_(reference.weight_ih_l0)
        layer.cell.weight_hh.copy_(reference.weight_hh_l0)
        layer.cell.bias.copy_(reference.bias_ih_l0 + reference.bias_hh_l0)
    close(layer(x), reference(x)[0], 1e-6)


# Pictures as states


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_convolutional_states_under_masks_as_in_keras(rank):
    ours, theirs = (
        getattr(room, f"ConvLSTM{rank}D")(
            2, 2, padding="same", return_sequences=True, return_state=True, go_backwards=True
        )
        for room in (layers, keras.layers)
    )
    x = torch.randn(4, 5, *[3] * rank, 2)
    states = [torch.randn(4, *[3] * rank, 2) for _ in range(2)]
    assert_like_keras(ours, theirs, x, mask=MASKS, initial_state=states)


def test_convolutional_states_go_on_and_drop_by_gate():
    layer = layers.ConvLSTM2D(2, 3, stateful=True, dropout=0.5, recurrent_dropout=0.5)
    x = torch.randn(2, 3, 6, 5, 1)
    first = layer(x)
    assert [state.shape for state in layer.states] == [(2, 4, 3, 2)] * 2
    assert torch.equal(layer.states[0], first)
    assert not torch.equal(layer(x), first)
    assert [s.shape for s in layer.get_initial_state(3)] == [(3, 4, 3, 2)] * 2
    ones = torch.ones(4, 2, 6, 5, 1), torch.ones(4, 2, 4, 3, 2)
    states = layer.get_initial_state(2)
    close(
        layer.cell.step(x[:, 0], states, Kept(*ones))[0],
        layer.cell.step(x[:, 0], states, Kept())[0],
        1e-6,
    )
    assert not torch.equal(layer(x, training=True), layer(x, training=True))


# Compiling


@pytest.mark.parametrize("kind", KINDS)
def test_compiled_training_has_the_same_gradients(kind):
    layer = getattr(layers, kind)(4)
    x = torch.randn(2, 3, 3)
    layer(x)
    expected = torch.autograd.grad(layer(x, mask=MASKS[:2, :3]).sum(), list(layer.parameters()))
    torch.compiler.reset()
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    y = compiled(x, mask=MASKS[:2, :3])
    for one, other in zip(torch.autograd.grad(y.sum(), list(layer.parameters())), expected):
        close(one, other, 1e-5)


# Messages


def test_errors_say_what_to_type():
    with pytest.raises(ShapeError, match=r"takes \(batch, time, features\)"):
        layers.LSTM(3)(torch.zeros(2, 5))
    with pytest.raises(ShapeError, match="ConvLSTM2D"):
        layers.LSTM(3)(torch.zeros(2, 5, 4, 3))
    with pytest.raises(ShapeError, match=r"the mask is \(2, 4\)"):
        layers.GRU(3)(torch.zeros(2, 5, 4), mask=torch.ones(2, 4))
    with pytest.raises(ArgumentError, match="no kernel"):
        layers.LSTM(3, activation="relu", use_cudnn=True)
    with pytest.raises(ArgumentTypeError, match="has no state_size"):
        layers.RNN(layers.Dense(3))
    with pytest.raises(ArgumentError, match="no cells"):
        layers.StackedRNNCells([])
    with pytest.raises(ShapeError, match="a cell is one step"):
        layers.LSTMCell(3)(torch.zeros(2, 5, 3), [torch.zeros(2, 3)] * 2)
    with pytest.raises(ShapeError, match="takes 5 axes, got"):
        layers.ConvLSTM2D(3, 2)(torch.zeros(2, 5, 4, 3))
    with pytest.raises(ShapeError, match="does not fit"):
        layers.ConvLSTM1D(3, 5)(torch.zeros(2, 5, 4, 3))
    with pytest.raises(ArgumentError, match="cannot both be above 1"):
        layers.ConvLSTM1D(3, 2, strides=2, dilation_rate=2)
    with pytest.raises(ArgumentError, match="implementation"):
        layers.GRU(3, implementation=3)


def test_automatic_precision_leaves_recurrent_layers_in_float32(monkeypatch):
    monkeypatch.setattr("stroma.training.precision._has_bf16", lambda device: True)
    model = models.Sequential([layers.Input((200, 64)), layers.GRU(512)])
    x, cpu = torch.zeros(1, 200, 64), torch.device("cpu")
    assert macs_of_one(model, x) > BF16_PAYS_FROM  # else another rule would answer
    choice = choose_precision("auto", model, x, cpu)
    assert choice.dtype is None
    assert "recurrent" in choice.reason
    assert choose_precision("bfloat16", model, x, cpu).dtype is torch.bfloat16
