"""The zoo against torchvision itself, whose numbers `make_torchvision_reference.py` wrote down."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

from layout_copies import layout_copies
from reference_weights import fill, pictures
from stroma import layers, models, zoo
from stroma.core.errors import WeightsError
from stroma.transfer import feature_extractor
from stroma.zoo.weights import TABLE

COUNTS = {
    "mobilenet_v2": 3_504_872,
    "mobilenet_v3_small": 2_542_856,
    "efficientnet_b0": 5_288_548,
    "vgg16": 138_357_544,
    "densenet121": 7_978_856,
    "convnext_tiny": 28_589_128,
}
SLICE = (5, 32, "aten::convolution_backward")  # batch, growth, who asks
every_network = pytest.mark.parametrize("name", COUNTS)
but_large = pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow if n == "vgg16" else ()) for n in COUNTS]
)


@cache
def reference(name: str) -> dict[str, Any]:
    content = (Path(__file__).parent / "torchvision" / f"{name}.json").read_text("utf-8")
    return json.loads(content)


def build(name: str, **options: Any) -> models.Model:
    return zoo.architectures.lookup(name)(**{"input_shape": (None, None, 3), **options})


def difference(found: torch.Tensor, expected: Any) -> float:
    wanted = torch.tensor(expected)
    return ((found - wanted).abs().max() / wanted.abs().max()).item()


@every_network
def test_names_shapes_counts_settings_and_first_weights(name: str) -> None:
    torch.manual_seed(0)
    network = build(name)
    assert sum(parameter.numel() for parameter in network.parameters()) == COUNTS[name]
    state = network.state_dict()
    shapes = {key: list(value.shape) for key, value in state.items()}
    expected = reference(name)["shapes"]
    assert shapes == expected and list(shapes) == list(expected)
    for key, deviation in reference(name)["first_deviation"].items():
        assert state[key].std().item() == pytest.approx(deviation, rel=0.15), key
    settings = reference(name)["settings"]
    found: dict[str, list[float]] = {}
    for key, module in network.named_modules():
        if isinstance(module, layers.BatchNormalization):
            found[key] = [module.epsilon, 1 - module.momentum]
        elif isinstance(module, layers.LayerNormalization):
            found[key] = [module.epsilon]
        elif isinstance(module, (layers.Dropout, layers.StochasticDepth)):
            found[key] = [module.rate]
    for key, values in found.items():
        assert values == pytest.approx(settings[key]), key
    # a block that changes shape has nothing to skip to, though torchvision keeps a rate for it
    assert all("stochastic_depth" in key for key in set(settings) - set(found))


@but_large
def test_outputs_and_gradients_equal_torchvisions(name: str) -> None:
    network = build(name)
    fill(network.state_dict())
    for size, expected in reference(name)["outputs"].items():
        height, width = map(int, size.split("x"))
        with torch.no_grad():
            logits = network(pictures(height, width))
        assert logits.shape == (2, 1000)
        assert difference(logits[:, :5], expected) < 1e-4, size
    network(pictures(64, 64)).square().mean().backward()
    for key, parameter in network.named_parameters():
        wanted = reference(name)["gradients"][key]
        assert parameter.grad is not None
        assert parameter.grad.norm().item() == pytest.approx(wanted, rel=2e-3, abs=1e-6), key


@pytest.mark.parametrize("name", ["mobilenet_v2", "densenet121"])
def test_a_shifted_padding_is_caught(name: str) -> None:
    """Planted: Keras' "same" in the first convolution looks at other pixels, and it shows."""
    network = build(name)
    fill(network.state_dict())
    first = next(layer for layer in network.layers if isinstance(layer, layers.Conv2D))
    assert isinstance(first.padding, tuple)
    first.padding = "same"
    with torch.no_grad():
        logits = network(pictures(64, 64))
    assert difference(logits[:, :5], reference(name)["outputs"]["64x64"]) > 1e-3


@every_network
def test_as_a_base_for_transfer(name: str) -> None:
    channels = {"mobilenet_v3_small": 576, "vgg16": 512, "densenet121": 1024, "convnext_tiny": 768}
    base = zoo.architectures.lookup(name)(include_top=False)
    assert base.output_shape == (None, 7, 7, channels.get(name, 1280))
    assert not any(key.startswith("classifier") for key in base.state_dict())
    images = torch.randint(0, 256, (1, 224, 224, 3), dtype=torch.uint8)
    with torch.no_grad():
        assert feature_extractor(base)(images).shape == (1, channels.get(name, 1280))


@pytest.mark.slow
@every_network
def test_compiled_and_exported(name: str) -> None:
    network = build(name, include_top=False, input_shape=(64, 64, 3))
    images = pictures(64, 64)
    with torch.no_grad():
        expected = network(images)
        torch.compiler.reset()
        compiled = torch.compile(network, fullgraph=True, backend="eager")
        torch.testing.assert_close(compiled(images), expected, rtol=1e-4, atol=1e-4)
        exported = torch.export.export(network, (images,)).module()
        torch.testing.assert_close(exported(images), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
@every_network
def test_a_training_step_copies_no_activation(name: str) -> None:
    network = build(name, include_top=False)
    images = torch.randn(5, 64, 64, 3)  # no network has five channels
    threads = torch.get_num_threads()
    torch.set_num_threads(2)  # with one, torch's small convolutions copy the bias as a picture
    try:
        copies = layout_copies(lambda: network(images, training=True).mean().backward(), 5)
    finally:
        torch.set_num_threads(threads)
    if name == "densenet121":  # a new layer's gradient is a slice of the sum's: torch copies it
        copies = [copy for copy in copies if (*copy.shape[:2], copy.asked_by) != SLICE]
    assert copies == []


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in COUNTS if name != "vgg16"])
def test_files_load_by_path(name: str, tmp_path: Path) -> None:
    trained = build(name)
    fill(trained.state_dict())
    state = trained.state_dict()
    if name == "densenet121":  # the names that torchvision's own file has
        state = {
            re.sub(r"(denselayer\d+\.)(norm|conv)(\d)", r"\1\2.\3", key): value
            for key, value in state.items()
            if not key.endswith("num_batches_tracked")
        }
        assert "features.denseblock1.denselayer1.norm.1.weight" in state
    torch.save(state, tmp_path / "w.pth")
    images = pictures(64, 64)
    with torch.no_grad():
        loaded = build(name, weights=tmp_path / "w.pth")
        assert torch.equal(loaded(images), trained(images))
    other = build(name, weights=tmp_path / "w.pth", classes=3)
    last = list(trained.state_dict())[-2:]
    assert list(other.load_report.head_kept) == last
    base = build(name, weights=tmp_path / "w.pth", include_top=False)
    assert base.load_report.head_kept == () and set(last) <= {*base.load_report.head_unused}
    with pytest.raises(WeightsError, match="missing from the file"):
        zoo.resnet18(weights=tmp_path / "w.pth")


@pytest.mark.parametrize("name", ["mobilenet_v2", "convnext_tiny"])
def test_saved_and_read_back(name: str, tmp_path: Path) -> None:
    network = build(name, classes=3)
    fill(network.state_dict())
    again = models.load_model(network.save(tmp_path / "model.keras"))
    images = pictures(64, 64)
    with torch.no_grad():
        assert torch.equal(again(images), network(images))
    assert list(again.state_dict()) == list(network.state_dict())


def test_the_table_names_weights_for_each() -> None:
    for name in COUNTS:
        entries = [entry for entry in TABLE if entry.architecture == name]
        assert entries and all(entry.file.startswith(name) for entry in entries)
