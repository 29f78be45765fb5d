"""Networks: recorded graphs, names and keys, shared and nested parts, Sequential."""

import copy
import random

import numpy as np
import pytest
import torch
from torch import nn

from stroma import layers, models
from stroma.core.errors import ArgumentError, ArgumentTypeError, GraphError, ShapeError
from stroma.network.network import Network
from stroma.network.sequential import SequentialNetwork


def small(name="small"):
    x = layers.Input((8, 8, 3))
    y = layers.Conv2D(4, 3, padding="same", activation="relu")(x)
    y = layers.Conv2D(4, 3, padding="same")(y)
    z = layers.Add()([x[..., :1] * 2, y])
    z = layers.GlobalAveragePooling2D()(torch.relu(z))
    return Network(x, layers.Dense(2, name="head")(z), name=name)


def test_a_network_is_the_code_a_person_would_write():
    network = small()
    x = torch.randn(2, 8, 8, 3)
    first, second, head = (network.get_layer(n) for n in ("conv2d", "conv2d_1", "head"))
    expected = head(torch.relu(x[..., :1] * 2 + second(first(x))).mean((1, 2)))
    torch.testing.assert_close(network(x), expected)
    assert list(network.state_dict()) == [
        "conv2d.weight", "conv2d.bias", "conv2d_1.weight", "conv2d_1.bias",
        "head.weight", "head.bias",
    ]  # fmt: skip
    assert [layer.name for layer in network.layers] == [
        "input_layer", "conv2d", "conv2d_1", "add", "global_average_pooling2d", "head",
    ]  # fmt: skip
    assert network.input_shape == (None, 8, 8, 3)
    assert network.output_shape == (None, 2)


def test_the_same_code_twice_gives_the_same_keys_and_weights():
    made = []
    for _ in range(2):
        random.seed(0)
        made.append(small().state_dict())
    assert list(made[0]) == list(made[1])
    assert all(torch.equal(made[0][key], made[1][key]) for key in made[0])


def test_open_sizes_run_at_any_size():
    x = layers.Input((None, None, 3))
    y = x
    for _ in range(5):
        y = layers.Conv2D(2, 3, strides=2, padding="same")(y)
    network = Network(x, y)
    assert network.output_shape == (None, None, None, 2)
    for size in (32, 45):
        assert network(torch.zeros(1, size, size, 3)).shape == (
            1,
            -(-size // 32),
            -(-size // 32),
            2,
        )
    with pytest.raises(ShapeError, match="GlobalAveragePooling2D"):
        layers.Dense(3)(layers.Flatten()(y))


def test_a_shared_layer_is_one_layer():
    a, b = layers.Input((4,)), layers.Input((4,))
    dense = layers.Dense(3)
    network = Network([a, b], dense(a) - dense(b))
    assert len(network.weights) == 2
    x = torch.randn(2, 4)
    assert (network([x, x]) == 0).all()


def test_a_nested_network_cut_from_the_middle():
    whole = small()
    base = Network(whole.input, whole.get_layer("conv2d_1").output, name="base")
    x = layers.Input((8, 8, 3))
    outer = Network(x, layers.GlobalMaxPooling2D()(base(x)))
    assert "base.conv2d.weight" in outer.state_dict()
    assert outer.get_layer("base").get_layer("conv2d") is whole.get_layer("conv2d")
    picture = torch.randn(2, 8, 8, 3)
    torch.testing.assert_close(outer(picture), base(picture).amax((1, 2)))
    head = Network(whole.get_layer("add").output, whole.output)
    torch.testing.assert_close(head(torch.ones(1, 8, 8, 4)).shape, torch.Size([1, 2]))


def test_several_outputs_dicts_chunks_and_steps():
    entries = {"a": layers.Input((6,)), "b": layers.Input((6,))}
    left, right = (entries["a"][:, ::2].repeat(1, 2) * 2).chunk(2, dim=1)
    network = Network(entries, {"sum": left + right, "b": layers.Dense(2)(entries["b"])})
    a, b = torch.randn(3, 6), torch.randn(3, 6)
    out = network({"a": a, "b": b})
    assert set(out) == {"sum", "b"}
    torch.testing.assert_close(out["sum"], a[:, ::2] * 4)
    with pytest.raises(ShapeError, match="'b' that was not given"):
        network({"a": a})


def test_dotted_and_reserved_names():
    x = layers.Input((4,))
    y = layers.Dense(3, name="layer1.0.fc")(x)
    y = layers.Dense(3, name="output")(y)
    y = layers.Dense(3, name="train")(y)
    network = Network(x, y)
    assert list(network.state_dict())[::2] == [
        "layer1.0.fc.weight", "output_.weight", "train_.weight",
    ]  # fmt: skip
    assert network.get_layer("output").name == "output"
    network.load_state_dict(network.state_dict())
    with pytest.raises(GraphError, match="two layers are called 'a'"):
        Network(x, layers.Dense(2, name="a")(layers.Dense(2, name="a")(x)))


def test_training_reaches_every_layer_and_only_by_the_argument():
    x = layers.Input((64,))
    network = Network(x, layers.Dropout(0.5)(layers.BatchNormalization()(x)))
    data = torch.randn(16, 64) + 3
    still = network(data)
    assert torch.equal(still, network(data))
    moved = network(data, training=True)
    assert (moved == 0).any()
    assert not network.training
    network.train()
    assert not torch.equal(network(data), still)


def test_compiled_exported_and_copied_are_equal():
    network, x = small(), torch.randn(2, 8, 8, 3)
    expected = network(x)
    torch.compiler.reset()
    compiled = torch.compile(network, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(x), expected)
    torch.testing.assert_close(torch.export.export(network, (x,)).module()(x), expected)
    torch.testing.assert_close(copy.deepcopy(network)(x), expected)


def test_tensor_constants_become_buffers_that_move():
    x = layers.Input((3,))
    network = Network(x, x + torch.tensor([1.0, 2.0, 3.0]))
    assert network(torch.zeros(1, 3)).tolist() == [[1.0, 2.0, 3.0]]
    assert [name for name, _ in network.named_buffers()] == ["constant_0"]
    assert network.state_dict() == {}


@pytest.mark.parametrize(
    ("use", "text"),
    [
        (lambda x: bool(x > 0), "bool"),
        (lambda x: float(x), "float"),
        (lambda x: x.numpy(), "numpy"),
        (lambda x: x[x > 0], "boolean"),
        (lambda x: x.add_(1), "in place"),
        (lambda x: nn.functional.dropout(x, training=True), "TorchModuleWrapper"),
        (lambda x: nn.Linear(3, 2)(x), "TorchModuleWrapper"),
    ],
)
def test_what_cannot_be_recorded_is_refused_and_says_why(use, text):
    with pytest.raises(GraphError) as caught:
        use(layers.Input((3,)))
    assert text in str(caught.value)
    assert caught.value.fix


def test_inputs_are_cast_mended_and_checked():
    network = small()
    assert network(np.zeros((1, 8, 8, 3), "uint8")).dtype == torch.float32
    assert network(np.zeros((1, 8, 8, 3))).dtype == torch.float32
    for shape, text in [
        ((1, 3, 8, 8), "permute"), ((8, 8, 3), "batch axis"), ((1, 9, 8, 3), "declares"),
    ]:  # fmt: skip
        with pytest.raises(ShapeError, match=text):
            network(torch.zeros(shape))
    x = layers.Input((5, 1))
    assert Network(x, x * 2)(torch.zeros(2, 5)).shape == (2, 5, 1)


def test_an_input_that_is_not_given_is_named():
    a, b = layers.Input((3,), name="a"), layers.Input((3,), name="b")
    with pytest.raises(GraphError, match="'b'"):
        Network(a, layers.Add()([a, b]))


def test_get_layer_suggests():
    with pytest.raises(ArgumentError, match="Did you mean 'conv2d"):
        small().get_layer("conv2")


def test_sequential_builds_at_once_or_on_first_call():
    at_once = SequentialNetwork([layers.Dense(4, input_shape=(3,)), layers.Dense(2)])
    assert at_once.output_shape == (None, 2)
    assert list(at_once.state_dict())[::2] == ["dense.weight", "dense_1.weight"]
    later = SequentialNetwork([layers.Dense(4), layers.Dense(2)])
    assert not later.built
    assert later(torch.zeros(5, 3)).shape == (5, 2)
    assert list(later.state_dict()) == list(at_once.state_dict())
    later.load_state_dict(at_once.state_dict())
    x = torch.randn(2, 3)
    torch.testing.assert_close(later(x), at_once(x))
    assert len(at_once.layers) == 2
    at_once.pop()
    assert at_once(x).shape == (2, 4)


def test_sequential_refuses_what_is_no_layer():
    with pytest.raises(ArgumentTypeError, match="TorchModuleWrapper"):
        SequentialNetwork([nn.Linear(3, 2)])
    with pytest.raises(GraphError, match="comes first"):
        SequentialNetwork([layers.Dense(2, input_shape=(3,)), layers.Input((3,))])


def test_a_subclass_with_its_own_call():
    class Mine(Network):
        def __init__(self):
            super().__init__()
            self.body = [layers.Dense(4), layers.Dropout(0.5)]
            self.head = layers.Dense(2)

        def call(self, inputs, training=None):
            for layer in self.body:
                inputs = layer(inputs)
            return self.head(inputs)

    network = Mine()
    x = torch.randn(8, 3)
    assert network(x).shape == (8, 2)
    assert not torch.equal(network(x, training=True), network(x))
    assert list(network.state_dict())[::2] == ["body.0.weight", "head.weight"]
    network.trainable = False
    assert network.trainable_weights == []


def sequential():
    return models.Sequential([layers.Input((4,), name="numbers"), layers.Dense(3)])


def functional():
    x = layers.Input((4,), name="numbers")
    return models.Model(x, layers.Dense(3)(x))


def unbuilt():
    return models.Sequential([layers.Dense(3)])


@pytest.mark.parametrize("make", [sequential, functional, unbuilt])
@pytest.mark.parametrize("together", [list, tuple])
def test_several_arrays_for_one_input_are_refused(make, together):
    several = together([np.ones((8, 4), "float32")] * 2)
    for use in (make().predict, make()):
        with pytest.raises(ShapeError, match="has one input, 2 arrays were given") as caught:
            use(several)
        assert "np.concatenate" in caught.value.fix


@pytest.mark.parametrize("make", [sequential, functional])
def test_one_input_is_found_by_its_name(make):
    model, x = make(), np.ones((8, 4), "float32")
    np.testing.assert_array_equal(model.predict({"numbers": x}), model.predict(x))
    with pytest.raises(ShapeError, match="'numbers' that was not given") as caught:
        model.predict({"number": x})
    assert caught.value.fix == "give a dict with the keys ['numbers']"
