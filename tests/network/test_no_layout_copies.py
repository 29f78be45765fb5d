"""Issue 2, "How it is shown" 11: a ResNet-18 training step copies no activation.

What remains are the weight gradients that oneDNN hands back in PyTorch's order, as it does under
any PyTorch module, and scalars.
"""

import pytest
import torch

from layout_copies import layout_copies
from stroma import losses, optimizers, zoo

BATCH = 5  # no number of channels: that tells activations from weights


def training_step(network, optimizer):
    x = torch.rand(BATCH, 64, 64, 3)
    y = torch.arange(BATCH) % 10
    loss = losses.SparseCategoricalCrossentropy(from_logits=True)
    network(x)
    optimizer.build(network.parameters())

    def step():
        loss(y, network(x, training=True)).backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


@pytest.mark.parametrize("optimizer", ["SGD", "AdamW"])
def test_a_resnet18_training_step_copies_no_activation(optimizer):
    options = {"momentum": 0.9} if optimizer == "SGD" else {}
    step = training_step(
        zoo.resnet18(classes=10, input_shape=(64, 64, 3)),
        getattr(optimizers, optimizer)(0.01, **options),
    )
    assert layout_copies(step, BATCH) == []


def test_bfloat16_casts_only_at_the_entry_and_before_the_mean():
    network = zoo.resnet18(classes=10, input_shape=(64, 64, 3))
    step = training_step(network, optimizers.SGD(0.01))

    def in_bfloat16():
        with torch.autocast("cpu", torch.bfloat16):
            step()

    casts = {copy.shape for copy in layout_copies(in_bfloat16, BATCH)}
    assert casts <= {(BATCH, 3, 64, 64), (BATCH, 2, 2, 512)}


@pytest.mark.parametrize("change", ["contiguous", "clone"])
def test_a_planted_copy_inside_it_is_caught(change, monkeypatch):
    network = zoo.resnet18(classes=10, input_shape=(64, 64, 3))
    layer = network.get_layer("layer2.0.bn1")
    normalize = layer.call

    def planted(inputs, **kwargs):
        nchw = inputs.permute(0, 3, 1, 2)
        copied = nchw.contiguous() if change == "contiguous" else nchw.clone()
        return normalize(copied.permute(0, 2, 3, 1), **kwargs)

    monkeypatch.setattr(layer, "call", planted)
    found = layout_copies(training_step(network, optimizers.SGD(0.01)), BATCH)
    assert f"aten::{change}" in {copy.asked_by for copy in found}
    assert (BATCH, 128, 8, 8) in {copy.shape for copy in found}
