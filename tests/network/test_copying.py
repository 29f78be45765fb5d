"""Copies of networks that are deeper than Python's recursion."""

import copy

import pytest
import torch

from stroma import Model, layers, zoo
from stroma.network.copying import copied


def test_a_deep_network_is_copied_where_deepcopy_gives_up():
    x = y = layers.Input((4,))
    for _ in range(100):
        y = layers.Dense(4)(y) + 1
    inner = Model(x, y)
    outer_in = layers.Input((4,))
    model = Model(outer_in, layers.Dense(2)(inner(outer_in)))
    with pytest.raises(RecursionError):
        copy.deepcopy(model)
    twin, given = copied(model), torch.rand(3, 4)
    torch.testing.assert_close(twin(given), model(given), rtol=0, atol=0)
    ours, theirs = {id(p) for p in model.parameters()}, {id(p) for p in twin.parameters()}
    assert len(ours) == len(theirs) == 202 and not ours & theirs
    nodes = {id(node) for node in model.nodes}
    assert not any(id(node) in nodes for node in twin.nodes)


def test_a_residual_network_and_a_module_of_another_make():
    model, given = zoo.resnet20(), torch.rand(1, 32, 32, 3)
    torch.testing.assert_close(copied(model)(given), model(given), rtol=0, atol=0)
    module = torch.nn.Sequential(torch.nn.Linear(3, 2))
    twin = copied(module)
    assert twin is not module and torch.equal(twin[0].weight, module[0].weight)
