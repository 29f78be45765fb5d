"""Weights into networks: all or none, by name, with the head as the one exception."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from stroma.core.errors import WeightsError
from stroma.saving.weights import load_into


def network(classes: int = 3, seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    parts = [nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, classes)]
    return nn.Sequential(*parts).to(memory_format=torch.channels_last)


def test_all_weights_arrive() -> None:
    target, source = network(), network(seed=1)
    report = load_into(target, source.state_dict(), source="a.pth")
    assert report.loaded == tuple(source.state_dict()) and report.source == "a.pth"
    for name, value in source.state_dict().items():
        assert torch.equal(target.state_dict()[name], value)
    assert target[0].weight.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_cast_to_the_dtype_of_the_network(dtype: torch.dtype) -> None:
    target, source = network(), network(seed=1).to(dtype)
    load_into(target, source.state_dict())
    assert target[0].weight.dtype == torch.float32
    assert torch.equal(target[0].weight, source[0].weight.float())


def test_old_files_lack_num_batches_tracked() -> None:
    weights = {k: v for k, v in network(seed=1).state_dict().items() if "tracked" not in k}
    load_into(network(), weights)


def test_head_of_other_size_is_kept_as_a_whole() -> None:
    target, source = network(5), network(3, seed=1)
    before = target[2].weight.clone()
    report = load_into(target, source.state_dict(), head="2.")
    assert report.head_kept == report.head_unused == ("2.weight", "2.bias")
    assert torch.equal(target[2].weight, before)
    assert torch.equal(target[0].weight, source[0].weight)


def test_half_a_head_is_never_loaded() -> None:
    weights = network(3, seed=1).state_dict()
    del weights["2.bias"]
    target = network(3)
    before = target[2].weight.clone()
    assert load_into(target, weights, head="2.").head_kept == ("2.weight", "2.bias")
    assert torch.equal(target[2].weight, before)


def test_no_top() -> None:
    report = load_into(network()[:2], network(seed=1).state_dict(), head="2.")
    assert report.head_kept == () and report.head_unused == ("2.weight", "2.bias")


def test_equal_heads_are_loaded() -> None:
    target, source = network(), network(seed=1)
    assert load_into(target, source.state_dict(), head="2.").head_kept == ()
    assert torch.equal(target[2].weight, source[2].weight)


def test_mismatches_are_listed_and_nothing_is_loaded() -> None:
    target = network()
    before = {name: value.clone() for name, value in target.state_dict().items()}
    weights = network(7, seed=1).state_dict()
    weights["0.kernel"] = weights.pop("0.weight")
    weights["1.weight"] = torch.ones(4, dtype=torch.int8)
    with pytest.raises(WeightsError) as caught:
        load_into(target, weights, source="x.pth")
    text = str(caught.value)
    assert "1 missing from the file (0.weight)" in text
    assert "1 the network does not have (0.kernel)" in text
    assert "2.weight: network float32 (3, 4), file float32 (7, 4)" in text
    assert "1.weight: network float32 (4,), file int8 (4,)" in text and "x.pth" in text
    assert all(torch.equal(target.state_dict()[name], value) for name, value in before.items())


def test_only_the_first_five_are_listed() -> None:
    with pytest.raises(WeightsError, match=r"9 the network does not have \(a0, .*, a4, \.\.\.\)"):
        load_into(network(), network().state_dict() | {f"a{i}": torch.ones(1) for i in range(9)})


def test_the_other_variant_is_named() -> None:
    torchvision = nn.Module()
    torchvision.layer1 = nn.Sequential(nn.Module())
    torchvision.layer1[0].conv1 = nn.Conv2d(1, 1, 1)
    keras = nn.Module()
    keras.conv2_block1_3_conv = nn.Conv2d(1, 1, 1)
    with pytest.raises(WeightsError, match=r"belong to torchvision's variant.*is Keras' variant"):
        load_into(keras, torchvision.state_dict())
    with pytest.raises(WeightsError, match=r"belong to Keras' variant"):
        load_into(torchvision, keras.state_dict())


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_not_a_number_warns(value: float) -> None:
    weights = network(seed=1).state_dict()
    weights["0.bias"][2] = value
    with pytest.warns(UserWarning, match=r"w\.pth: 1 weights hold NaN or infinity \(0\.bias\)"):
        load_into(network(), weights, source="/x/w.pth")
