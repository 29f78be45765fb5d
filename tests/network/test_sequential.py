"""`Sequential` grows by `add`: each layer is recorded once, and what is inside may grow too."""

import torch

from stroma import Sequential, layers


class Counting(layers.Dense):
    """Counts the runs of its maths while shapes are found: two for each recording."""

    runs = 0

    def call(self, inputs):
        Counting.runs += 1
        return super().call(inputs)


def test_adding_records_each_layer_once():
    Counting.runs = 0
    model = Sequential([layers.Input((4,))])
    for _ in range(12):
        model.add(Counting(4))
    assert Counting.runs == 2 * 12
    at_once = Sequential([layers.Input((4,)), *[Counting(4) for _ in range(12)]])
    assert list(model.state_dict()) == list(at_once.state_dict())
    at_once.load_state_dict(model.state_dict())
    x = torch.randn(3, 4)
    assert torch.equal(model(x), at_once(x))


def test_pop_and_add_again():
    model = Sequential([layers.Input((4,)), layers.Dense(3), layers.Dense(2)])
    model.pop()
    model.add(layers.Dense(5))
    assert model.output_shape == (None, 5)
    assert list(model.state_dict())[2:] == ["dense_1.weight", "dense_1.bias"]


def test_a_network_inside_that_grows_is_recorded_again():
    inner = Sequential([layers.Input((4,)), layers.Dense(4)])
    model = Sequential([layers.Input((4,)), inner, layers.ReLU()])
    inner.add(layers.Dense(7))
    model.add(layers.Softmax())
    assert model.output_shape == (None, 7)
    assert model(torch.randn(2, 4)).shape == (2, 7)
