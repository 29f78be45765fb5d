"""`Layer`: users' own layers in Keras' style, weights, names, masks, dtypes, training, freezing."""

import copy
import pickle

import numpy as np
import pytest
import torch

from stroma import layers, models
from stroma.core import dtypes
from stroma.core.errors import ArgumentError, ArgumentTypeError, GraphError, ShapeError
from stroma.core.layer import Layer
from stroma.network.network import Network


class Scale(Layer):
    """As a Keras tutorial writes one."""

    def __init__(self, units=3, **kwargs):
        super().__init__(**kwargs)
        self.units = units

    def build(self, input_shape):
        self.w = self.add_weight(
            shape=(input_shape[-1], self.units), initializer="ones", trainable=True
        )
        self.seen = self.add_weight(name="count", initializer="zeros", trainable=False)

    def call(self, inputs, training=None):
        if training:
            self.seen.assign_add(1.0)
        return inputs @ self.w

    def get_config(self):
        return {**super().get_config(), "units": self.units}


class Blocks(Layer):
    """Layers in a list and a dict, one of them made lazily, called without `training`."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.blocks = [layers.Dense(4), layers.Dense(4)]
        self.heads = {"a": layers.Dense(2), "b": Scale(2)}

    def build(self, input_shape):
        self.blocks.append(layers.Dense(4, use_bias=False))

    def call(self, inputs):
        for block in self.blocks:
            inputs = block(inputs)
        return self.heads["a"](inputs) + self.heads["b"](inputs)


# A custom layer in Keras' style


def test_a_keras_style_layer():
    layer = Scale(2, name="mine")
    y = layer(torch.ones(4, 5))
    assert y.shape == (4, 2)
    assert y[0, 0] == 5
    assert list(layer.state_dict()) == ["w", "seen"]
    assert [w.path for w in layer.weights] == ["mine/variable", "mine/count"]
    assert [len(layer.trainable_weights), len(layer.non_trainable_weights)] == [1, 1]
    assert layer.count_params() == 11
    assert layer.get_config() == {
        "name": "mine", "trainable": True, "dtype": "float32", "units": 2,
    }  # fmt: skip
    assert Scale.from_config(layer.get_config()).units == 2


def test_training_comes_from_the_call_then_the_caller_then_the_layer():
    layer = Scale()
    x = torch.ones(1, 2)
    counts = []
    for call in (
        lambda: layer(x),
        lambda: layer(x, training=True),
        lambda: layer.train()(x),
        lambda: layer(x, training=False),
        lambda: layer.eval()(x),
    ):
        call()
        counts.append(int(layer.seen))
    assert counts == [0, 1, 2, 2, 2]
    outer = Blocks()
    outer(torch.ones(1, 3), training=True)  # handed to the inner layers without a word
    assert int(outer.heads["b"].seen) == 1
    outer(torch.ones(1, 3))
    assert int(outer.heads["b"].seen) == 1


def test_layers_in_lists_and_dicts_are_tracked():
    layer = Blocks()
    layer(torch.ones(1, 3))
    assert list(layer.state_dict())[:5] == [
        "blocks.0.weight", "blocks.0.bias", "blocks.1.weight", "blocks.1.bias", "blocks.2.weight",
    ]  # fmt: skip
    assert {"heads.a.weight", "heads.b.w", "heads.b.seen"} <= set(layer.state_dict())
    assert len(list(layer.sublayers())) == 5
    assert len(layer.weights) == 5 + 2 + 2
    layer(torch.ones(2, 3)).sum().backward()
    assert all(weight.grad is not None for weight in layer.trainable_weights)


def test_a_weight_may_take_the_place_of_none():
    class Gate(Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.bias = None
            self.scale = 3.0

        def build(self, input_shape):
            self.bias = self.add_weight(name="bias", initializer="zeros")
            self.gains = [self.add_weight(name="scale", initializer="ones") for _ in range(2)]

        def call(self, inputs):
            return inputs * self.scale * self.gains[1] + self.bias

    layer = Gate()
    assert layer(torch.ones(1, 2)).tolist() == [[3.0, 3.0]]
    assert layer.scale == 3.0  # a weight's name never hides an attribute
    assert len(layer.weights) == 3
    assert "bias" in layer.state_dict()


def test_reassigning_a_weight_registers_it_once():
    class Twice(Layer):
        def build(self, input_shape):
            self.a = self.add_weight(shape=(2,), name="a")
            self.b = self.a

        def call(self, inputs):
            return inputs * self.b

    layer = Twice()
    layer(torch.ones(1, 2))
    assert len(layer.weights) == 1
    assert layer.count_params() == 2


# Weights


def test_the_keras_protocol_works_on_keras_order():
    layer = layers.Conv2D(4, (2, 3))
    layer(torch.zeros(1, 5, 5, 2))
    values = np.arange(48, dtype="float32").reshape(2, 3, 2, 4)
    layer.kernel.assign(values)
    assert (layer.weight.numpy() == values).all()
    assert (layer.weight.permute(2, 3, 1, 0).detach().numpy() == values).all()
    layer.weight.assign_add(1.0)
    layer.weight.assign_sub(np.ones((4,), "float32"))
    assert (layer.get_weights()[0] == values).all()
    with pytest.raises(ShapeError, match="weights keep their shape"):
        layer.weight.assign(np.zeros((4, 2, 2, 3), "float32"))
    with pytest.raises(ShapeError, match="has 2 weights, 1 were given"):
        layer.set_weights([values])
    with pytest.raises(ShapeError, match="cannot set shape"):
        layer.set_weights([values.T, np.zeros(4)])


def test_moving_and_copying_keeps_the_weights():
    layer = layers.BatchNormalization()
    layer(torch.zeros(1, 4))
    layer.double()
    assert [w.path.split("/")[1] for w in layer.weights] == [
        "gamma", "beta", "moving_mean", "moving_variance",
    ]  # fmt: skip
    assert all(w.dtype == torch.float64 for w in layer.weights)
    for same in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert len(same.weights) == 4
        same.gamma.assign(torch.full((4,), 2.0))
        assert (layer.gamma == 1).all()


def test_regularizers_and_add_loss():
    class Penalised(layers.Dense):
        def call(self, inputs):
            y = super().call(inputs)
            self.add_loss(y.mean() * 0)
            return y

    layer = Penalised(2, kernel_regularizer="l2", activity_regularizer="l1")
    symbolic = layer(layers.Input((3,)))
    assert symbolic.shape == (None, 2)
    assert len(layer.losses) == 1  # the shape run left nothing behind
    layer(torch.ones(2, 3))
    assert len(layer.losses) == 3
    layer.clear_losses()
    assert len(layer.losses) == 1
    layer.trainable = False
    assert layer.losses == []


# Freezing


def test_freezing_at_any_time_reaches_sublayers():
    layer = Blocks()
    layer.trainable = False  # before it is built
    layer(torch.ones(1, 3))
    assert not layer.blocks[0].trainable
    assert layer.blocks[0].trainable_weights == []
    layer.trainable = True
    assert len(layer.trainable_weights) == len(layer.weights) - 1  # the counter is no parameter
    layer.blocks[1].trainable = False
    assert len(layer.trainable_weights) == len(layer.weights) - 3


# Names, arguments


def test_unknown_arguments_are_refused_with_a_suggestion():
    with pytest.raises(ArgumentTypeError, match="Did you mean 'activation'"):
        layers.Dense(3, activatoin="relu")
    with pytest.raises(ArgumentTypeError, match="Did you mean 'input_shape'"):
        layers.Dense(3, input_shap=(3,))
    with pytest.raises(ArgumentError, match="cannot be a layer's name"):
        layers.Dense(3, name="../../x")


def test_an_unnamed_layer_is_called_after_its_class():
    assert layers.Conv2D(3, 3).name == "conv2d"
    assert layers.Dense(3, name="head").name == "head"


def test_a_layer_without_call_says_so():
    with pytest.raises(GraphError, match="does not define call"):
        Layer()(torch.zeros(1))


# Dtypes


def test_numpy_and_float64_input_just_work():
    layer = layers.Dense(2)
    x = np.random.default_rng(0).normal(size=(4, 3))
    assert x.dtype == np.float64
    y = layer(x)
    assert y.dtype == torch.float32
    torch.testing.assert_close(y, layer(torch.from_numpy(x).float()))


def test_policies():
    double = layers.Dense(2, dtype="float64")
    assert double(torch.ones(1, 3)).dtype == torch.float64
    assert (double.dtype, double.compute_dtype) == ("float64", "float64")
    dtypes.set_dtype_policy("float64")
    try:
        assert layers.Dense(2)(torch.ones(1, 3)).dtype == torch.float64
    finally:
        dtypes.set_dtype_policy("float32")
    with pytest.raises(ArgumentError, match="Did you mean 'float32'"):
        layers.Dense(2, dtype="flaot32")


@pytest.mark.parametrize(
    "make", [lambda d: layers.Dense(2, dtype=d), lambda d: layers.Conv2D(2, 3, dtype=d)]
)
def test_mixed_policies_keep_weights_in_float32_and_compute_in_16_bits(make):
    from oracle import keras

    layer = make("mixed_bfloat16")
    x = torch.randn(1, 5, 5, 3)
    y = layer(x)
    assert y.dtype == torch.bfloat16
    assert all(w.dtype == torch.float32 for w in layer.weights)
    theirs = getattr(keras.layers, type(layer).__name__).from_config(layer.get_config())
    theirs(x)
    theirs.set_weights(layer.get_weights())
    torch.testing.assert_close(y, theirs(x), rtol=0.02, atol=0.02)


def test_integers_are_not_cast():
    class Kind(Layer):
        def call(self, inputs):
            return inputs + 1

    assert Kind()(torch.ones(2, dtype=torch.int64)).dtype == torch.int64
    assert Kind(autocast=False)(torch.ones(2, dtype=torch.float64)).dtype == torch.float64


# Masks


class Producer(Layer):
    def call(self, inputs):
        return inputs * 1.0

    def compute_mask(self, inputs, previous_mask=None):
        return (inputs != 0).any(-1)


class Consumer(Layer):
    def call(self, inputs, mask=None):
        if mask is None:
            return inputs.sum(1)
        return (inputs * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)


def test_masks_travel_between_layers_eagerly_and_in_a_network():
    x = torch.randn(3, 5, 4)
    x[:, 3:] = 0
    producer, dense, consumer = Producer(), layers.Dense(2), Consumer()
    eager = consumer(dense(producer(x)))
    torch.testing.assert_close(eager, dense(x)[:, :3].mean(1))
    entry = layers.Input((5, 4))
    network = Network(entry, consumer(dense(producer(entry))))
    torch.testing.assert_close(network(x), eager)


def test_masks_are_dropped_where_they_are_not_supported():
    class Plain(Layer):
        def call(self, inputs):
            return inputs

    x = torch.randn(3, 5, 4)
    y = Plain()(Producer()(x) + 0)
    assert getattr(y, "_keras_mask", None) is None
    given = torch.ones(3, 5, dtype=torch.bool)
    assert Consumer()(x, mask=given).shape == (3, 4)
    torch.testing.assert_close(Consumer()(x, given), Consumer()(x, mask=given))


# Shapes


@pytest.mark.parametrize(
    ("shape", "fix"),
    [((1, 3, 8, 8), "permute"), ((8, 8, 3), "x[None]"), ((1, 8, 8, 4), "same last axis")],
)
def test_an_input_unlike_the_first_is_explained(shape, fix):
    layer = layers.Conv2D(4, 3)
    layer(torch.zeros(1, 8, 8, 3))
    with pytest.raises(ShapeError, match=r"built for \(None, 8, 8, 3\)") as caught:
        layer(torch.zeros(shape))
    assert fix in caught.value.fix
    assert list(caught.value.parts()) == ["what", "where", "why", "try"]


def test_shapes_are_found_without_touching_anything():
    layer = Scale()
    torch.manual_seed(0)
    before = torch.get_rng_state()
    assert layer.compute_output_shape((None, 7, 5)) == (None, 7, 3)
    assert int(layer.seen) == 0
    dropout = layers.Dropout(0.5)
    dropout.train()
    dropout(layers.Input((4,)))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_layer_that_needs_numbers_may_declare_its_shape():
    class Stubborn(Layer):
        def call(self, inputs):
            return inputs / inputs.max().item()

    class Declared(Stubborn):
        def compute_output_shape(self, input_shape):
            return input_shape

    with pytest.raises(ShapeError, match="compute_output_shape"):
        Stubborn()(layers.Input((3,)))
    entry = layers.Input((3,))
    network = Network(entry, Declared()(entry) * 2)
    assert network(torch.tensor([[1.0, 2.0, 4.0]])).tolist() == [[0.5, 1.0, 2.0]]


def test_constants_and_aranges_inside_a_layer():
    class Positions(Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.table = torch.arange(10.0)

        def call(self, inputs):
            steps = torch.arange(inputs.shape[1], device=inputs.device)
            return inputs + self.table[steps] + torch.tensor([1.0])

    entry = layers.Input((None,))
    network = Network(entry, Positions()(entry))
    assert network.output_shape == (None, None)
    assert network(torch.zeros(1, 3)).tolist() == [[1.0, 2.0, 3.0]]


# super().__init__() that is not called


def _forgetting(base, line):
    """A subclass of `base` whose `__init__` has this one line."""
    names = {"base": base, "layers": layers, "torch": torch}
    exec(
        f"class Mine(base):\n def __init__(self):\n  {line}\n def call(self, x):\n  return x", names
    )
    return names["Mine"]


@pytest.mark.parametrize("base", [layers.Layer, models.Model, models.Sequential])
@pytest.mark.parametrize(
    "line",
    [
        "pass",
        "self.size = 3",
        "self.dense = layers.Dense(3)",
        "self.blocks = [layers.Dense(3)]",
        "self.scale = torch.nn.Parameter(torch.ones(3))",
        "self.scale = self.add_weight(3)",
        "self.dense = layers.Dense(3); super(Mine, self).__init__()",
    ],
)
def test_a_forgotten_super_init_is_named(base, line):
    with pytest.raises(RuntimeError, match=r"Mine.__init__ does not call super\(\).__init__\(\)"):
        _forgetting(base, line)()


def test_other_attribute_errors_before_super_init_stay_what_they_are():
    with pytest.raises(AttributeError, match="'int' object has no attribute 'nothing'"):
        _forgetting(layers.Layer, "(3).nothing")()
    assert _forgetting(layers.Layer, "self.size = 3; super(Mine, self).__init__()")().size == 3
