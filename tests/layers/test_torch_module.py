"""Any torch module as a layer: views, training, freezing, weights, refusals."""

import copy

import pytest
import torch
from torch import nn

from stroma import layers
from stroma.core.errors import ArgumentError, ArgumentTypeError, GraphError, ShapeError
from stroma.core.weight import Weight
from stroma.network.network import Network


def block():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU())


def test_it_computes_what_the_module_computes():
    module = block()
    expected = copy.deepcopy(module).eval()
    layer = layers.TorchModuleWrapper(module, layout="NCHW")
    x = torch.randn(2, 6, 5, 3)
    y = layer(x)
    torch.testing.assert_close(y, expected(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1))
    assert y.is_contiguous()  # the views cost nothing
    assert layers.TorchModuleWrapper(nn.Linear(3, 2))(x[0, 0]).shape == (5, 2)


def test_the_order_of_axes_is_never_guessed():
    with pytest.raises(ShapeError, match="four axes") as caught:
        layers.TorchModuleWrapper(block())(torch.randn(2, 6, 5, 3))
    assert 'layout="NCHW"' in caught.value.fix
    with pytest.raises(ShapeError, match="four axes"):
        layers.TorchModuleWrapper(block())(layers.Input((6, 5, 3)))
    same = layers.TorchModuleWrapper(nn.Identity(), layout="NHWC")
    assert same(torch.zeros(2, 6, 5, 3)).shape == (2, 6, 5, 3)


def test_born_in_inference_and_switched_by_the_argument():
    module = block()
    layer = layers.TorchModuleWrapper(module, layout="NCHW")
    assert not module.training
    x = torch.randn(8, 6, 5, 3) + 3
    before = module[1].running_mean.clone()
    layer(x)
    assert torch.equal(module[1].running_mean, before)
    layer(x, training=True)
    assert module.training
    moved = module[1].running_mean.clone()
    assert not torch.equal(moved, before)
    layer(x)
    assert not module.training
    layer.trainable = False
    layer(x, training=True)
    assert torch.equal(module[1].running_mean, moved)
    assert not any(parameter.requires_grad for parameter in module.parameters())
    layer.trainable = True
    assert all(parameter.requires_grad for parameter in module.parameters())


def test_its_tensors_are_weights_without_being_replaced():
    module = block()
    held = list(module.parameters())
    layer = layers.TorchModuleWrapper(module, layout="NCHW", name="stem")
    assert [w.path for w in layer.weights] == [
        "stem/0.weight", "stem/0.bias", "stem/1.weight", "stem/1.bias",
        "stem/1.running_mean", "stem/1.running_var",
    ]  # fmt: skip
    assert all(weight is parameter for weight, parameter in zip(layer.weights, held))
    assert [isinstance(w, Weight) for w in layer.weights] == [True] * 6
    assert len(layer.trainable_weights) == 4
    values = [value + 1 for value in layer.get_weights()]
    layer.set_weights(values)
    assert (module[0].weight.detach().numpy() == values[0]).all()
    assert set(layer.state_dict()) == {f"module.{key}" for key in module.state_dict()}
    layer.double()
    assert len(layer.weights) == 6
    assert layer.weights[4] is module[1].running_mean


def test_tied_parameters_are_one_weight():
    pair = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    pair[1].weight = pair[0].weight
    layer = layers.TorchModuleWrapper(pair)
    assert layer.count_params() == 9 + 3 + 3


def test_one_node_in_a_network_shapes_and_gradients():
    x = layers.Input((None, None, 3))
    layer = layers.TorchModuleWrapper(block(), layout="NCHW")
    y = layers.GlobalAveragePooling2D()(layer(x))
    network = Network(x, y)
    assert network.nodes[0].title() == "TorchModuleWrapper"
    assert y.shape == (None, 4)
    for size in (6, 9):
        assert network(torch.randn(2, size, size, 3)).shape == (2, 4)
    network(torch.randn(2, 6, 6, 3), training=True).sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
    assert layer.module.training
    network(torch.randn(2, 6, 6, 3))
    assert not layer.module.training


def test_compiled_and_exported():
    layer = layers.TorchModuleWrapper(block(), layout="NCHW")
    x = torch.randn(2, 6, 5, 3)
    expected = layer(x)
    torch.compiler.reset()
    compiled = torch.compile(layer, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(x), expected)
    torch.testing.assert_close(torch.export.export(layer, (x,)).module()(x), expected)
    mean = layer.module[1].running_mean.clone()
    torch.testing.assert_close(compiled(x, training=True), copy.deepcopy(layer)(x, training=True),
        rtol=1e-5, atol=1e-5)  # fmt: skip
    assert not torch.equal(layer.module[1].running_mean, mean)


def test_it_computes_in_the_dtype_of_the_module():
    layer = layers.TorchModuleWrapper(nn.Linear(3, 2, dtype=torch.float64))
    assert layer(torch.zeros(1, 3)).dtype == torch.float64


def test_declared_shape_for_what_cannot_run_without_numbers():
    class Stubborn(nn.Module):
        def forward(self, x):
            return x * x.sum().item()

    with pytest.raises(ShapeError, match="compute_output_shape"):
        layers.TorchModuleWrapper(Stubborn())(layers.Input((3,)))
    layer = layers.TorchModuleWrapper(Stubborn(), output_shape=(None, 3))
    assert layer(layers.Input((3,))).shape == (None, 3)


@pytest.mark.parametrize(
    ("make", "kind", "text"),
    [
        (lambda: layers.TorchModuleWrapper(torch.relu), ArgumentTypeError, "nn.Module"),
        (lambda: layers.TorchModuleWrapper(nn.LazyLinear(3)), ArgumentError, "lazy"),
        (lambda: layers.TorchModuleWrapper(block(), layout="CHW"), ArgumentError, "layout"),
        (lambda: layers.TorchModuleWrapper(block()).get_config(), GraphError, "any code"),
    ],
)
def test_refusals(make, kind, text):
    with pytest.raises(kind, match=text):
        make()
