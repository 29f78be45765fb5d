"""The zoo against plain PyTorch modules, published counts, and real weights on real pictures."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from shared_files import SHARED, needs_shared
from stroma import zoo
from stroma.core.errors import WeightsError
from stroma.saving.weights import load_into


# The networks once more, written by hand in PyTorch from the papers: names and strides must match
class Basic(nn.Module):
    def __init__(self, channels: int, filters: int, stride: int, pad: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, filters, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(filters)
        self.conv2 = nn.Conv2d(filters, filters, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(filters)
        self.stride, self.fill = stride, filters - channels if pad else 0
        self.downsample = None if pad else _projection(channels, filters, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.fill:
            half = self.fill // 2
            x = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, half, half))
        return F.relu(y + (self.downsample(x) if self.downsample else x))


class Bottleneck(nn.Module):
    def __init__(self, channels: int, filters: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, filters, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(filters)
        self.conv2 = nn.Conv2d(filters, filters, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(filters)
        self.conv3 = nn.Conv2d(filters, 4 * filters, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * filters)
        self.downsample = _projection(channels, 4 * filters, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))))
        y = self.bn3(self.conv3(y))
        return F.relu(y + (self.downsample(x) if self.downsample else x))


def _projection(channels: int, filters: int, stride: int) -> nn.Module | None:
    if stride == 1 and channels == filters:
        return None
    return nn.Sequential(
        nn.Conv2d(channels, filters, 1, stride, bias=False), nn.BatchNorm2d(filters)
    )


class ResNet(nn.Module):
    def __init__(self, depths: tuple[int, ...], *, bottleneck: bool = False, small: bool = False):
        super().__init__()
        width = 16 if small else 64
        self.conv1 = nn.Conv2d(3, width, *((3, 1, 1) if small else (7, 2, 3)), bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.small, self.stages, channels = small, len(depths), width
        for stage, depth in enumerate(depths):
            blocks, filters = [], width * 2**stage
            for number in range(depth):
                stride = 2 if stage and not number else 1
                if bottleneck:
                    blocks.append(Bottleneck(channels, filters, stride))
                else:
                    blocks.append(Basic(channels, filters, stride, small))
                channels = filters * 4 if bottleneck else filters
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
        setattr(self, "linear" if small else "fc", nn.Linear(channels, 10 if small else 1000))

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)))
        if not self.small:
            x = F.max_pool2d(x, 3, 2, 1)
        for stage in range(self.stages):
            x = getattr(self, f"layer{stage + 1}")(x)
        return (self.linear if self.small else self.fc)(x.mean((2, 3)))


class Fire(nn.Module):
    def __init__(self, channels: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, squeezed, 1)
        self.expand1x1 = nn.Conv2d(squeezed, expanded, 1)
        self.expand3x3 = nn.Conv2d(squeezed, expanded, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.squeeze(x))
        return torch.cat([F.relu(self.expand1x1(x)), F.relu(self.expand3x3(x))], 1)


class SqueezeNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()

        def pool() -> nn.Module:
            return nn.MaxPool2d(3, 2, ceil_mode=True)

        self.features = nn.Sequential(
            nn.Conv2d(3, 64, 3, 2), nn.ReLU(), pool(), Fire(64, 16, 64), Fire(128, 16, 64),
            pool(), Fire(128, 32, 128), Fire(256, 32, 128), pool(), Fire(256, 48, 192),
            Fire(384, 48, 192), Fire(384, 64, 256), Fire(512, 64, 256),
        )  # fmt: skip
        self.classifier = nn.Sequential(nn.Dropout(), nn.Conv2d(512, 1000, 1), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x)).mean((2, 3))


BY_HAND = {
    "resnet18": (lambda: ResNet((2, 2, 2, 2)), 11_689_512),
    "resnet34": (lambda: ResNet((3, 4, 6, 3)), 21_797_672),
    "resnet50": (lambda: ResNet((3, 4, 6, 3), bottleneck=True), 25_557_032),
    "resnet101": (lambda: ResNet((3, 4, 23, 3), bottleneck=True), 44_549_160),
    "resnet152": (lambda: ResNet((3, 8, 36, 3), bottleneck=True), 60_192_808),
    "resnet20": (lambda: ResNet((3, 3, 3), small=True), 269_722),
    "resnet32": (lambda: ResNet((5, 5, 5), small=True), 464_154),
    "resnet44": (lambda: ResNet((7, 7, 7), small=True), 658_586),
    "resnet56": (lambda: ResNet((9, 9, 9), small=True), 853_018),
    "resnet110": (lambda: ResNet((18, 18, 18), small=True), 1_727_962),
    "squeezenet1_1": (SqueezeNet, 1_235_496),
}


def trainable(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize("name", BY_HAND)
def test_counts_and_names(name: str) -> None:
    with torch.device("meta"):
        by_hand = BY_HAND[name][0]()
    model = zoo.architectures.lookup(name)()
    assert trainable(model) == BY_HAND[name][1]
    expected = {key: tuple(value.shape) for key, value in by_hand.state_dict().items()}
    found = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    assert found == expected and list(found) == list(expected)


@pytest.mark.parametrize("name, side", [
    ("resnet18", 71), ("resnet50", 64), ("resnet20", 40), ("resnet20", 33),
    ("squeezenet1_1", 64), ("squeezenet1_1", 71),
])  # fmt: skip
def test_numbers_and_gradients_equal_the_network_by_hand(name: str, side: int) -> None:
    torch.manual_seed(0)
    by_hand = BY_HAND[name][0]().eval()
    for buffer in by_hand.buffers():  # statistics that are not the identity
        if buffer.is_floating_point():
            buffer.uniform_(0.5, 1.5)
    model = zoo.architectures.lookup(name)(input_shape=(None, None, 3))
    load_into(model, by_hand.state_dict())
    images = torch.randn(2, side, side, 3)
    expected = by_hand(images.permute(0, 3, 1, 2))
    found = model(images)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4 * expected.abs().max().item())
    for network, outputs in ((by_hand, expected), (model, found)):
        (outputs / expected.detach().abs().max()).square().sum().backward()
        assert network
    gradients = dict(model.named_parameters())
    for key, parameter in by_hand.named_parameters():
        scale = parameter.grad.abs().max().item()
        torch.testing.assert_close(
            gradients[key].grad, parameter.grad, rtol=1e-3, atol=2e-3 * scale + 1e-12
        )


def test_a_shifted_stride_is_caught() -> None:
    """Keras' 'same' instead of PyTorch's padding: the planted mistake changes the numbers."""
    by_hand = BY_HAND["resnet20"][0]().eval()
    model = zoo.resnet20()
    load_into(model, by_hand.state_dict())
    images = torch.randn(2, 32, 32, 3)
    good = model(images)
    for block in (by_hand.layer2[0], by_hand.layer3[0]):
        block.conv1.padding = 0
        block.conv1.register_forward_pre_hook(lambda _, args: F.pad(args[0], (0, 1, 0, 1)))
    assert (by_hand(images.permute(0, 3, 1, 2)) - good).abs().max() > 1e-3


def test_include_top_and_classes() -> None:
    assert zoo.resnet18(include_top=False).output_shape == (None, 7, 7, 512)
    assert zoo.resnet50(include_top=False).output_shape == (None, 7, 7, 2048)
    assert zoo.squeezenet1_1(include_top=False).output_shape == (None, 13, 13, 512)
    assert zoo.resnet20(include_top=False, input_shape=(None, None, 3)).output_shape == (
        None, None, None, 64,
    )  # fmt: skip
    assert zoo.resnet20(classes=7).output_shape == (None, 7)
    assert zoo.squeezenet1_1(classes=7).output_shape == (None, 7)


def test_small_networks() -> None:
    lenet = zoo.lenet5()
    assert trainable(lenet) == 61_706
    assert lenet(torch.zeros(2, 32, 32, 1)).shape == (2, 10)
    cnn = zoo.small_cnn(classes=4, input_shape=(None, None, 3))
    assert cnn(torch.zeros(2, 40, 24, 3)).shape == (2, 4)


def test_weights_of_a_file_with_other_classes(tmp_path: Path) -> None:
    torch.save({"state_dict": zoo.resnet20().state_dict()}, tmp_path / "w.pth")
    model = zoo.resnet20(weights=tmp_path / "w.pth", classes=3)
    assert model.load_report.head_kept == ("linear.weight", "linear.bias")
    assert model.pretrained.path == tmp_path / "w.pth" and model.preprocessing is None
    base = zoo.resnet20(weights=tmp_path / "w.pth", include_top=False)
    assert base.load_report.head_unused == ("linear.weight", "linear.bias")
    with pytest.raises(WeightsError, match="missing from the file"):
        zoo.resnet32(weights=tmp_path / "w.pth")
    with pytest.raises(WeightsError, match="no weights called"):
        zoo.resnet20(weights="imagenet")


# --- real weights on real pictures: DATA.md says what a right loader scores ------------------


def _logits(model: nn.Module, pixels: np.ndarray, count: int) -> Tensor:
    with torch.inference_mode():
        return torch.cat(
            [model(model.preprocessing(pixels[i : i + 250])) for i in range(0, count, 250)]
        )


def _cifar10(count: int) -> tuple[np.ndarray, Tensor]:
    parquet = pytest.importorskip("pyarrow.parquet")
    image = pytest.importorskip("PIL.Image")
    table = parquet.read_table(SHARED / "data" / "cifar10-jpeg-test.parquet").slice(0, count)
    pictures = [
        np.asarray(image.open(io.BytesIO(row["bytes"])).convert("RGB"))
        for row in table["img"].to_pylist()
    ]
    return np.stack(pictures), torch.tensor(table["label"].to_pylist())


@needs_shared
@pytest.mark.slow
@pytest.mark.parametrize(
    "depth, file, right, loss", [
        (20, "resnet20-12fca82f.th", 8103, 0.8788), (56, "resnet56-4bfd9763.th", 8320, 0.9423),
    ],
)  # fmt: skip
def test_cifar10_scores(depth: int, file: str, right: int, loss: float) -> None:
    model = zoo.architectures.lookup(f"resnet{depth}")(weights=SHARED / "weights" / file)
    pixels, labels = _cifar10(10_000)
    logits = _logits(model, pixels, 10_000)
    assert abs((logits.argmax(1) == labels).sum().item() - right) <= 3
    assert abs(F.cross_entropy(logits, labels).item() - loss) < 5e-4


@needs_shared
def test_cifar10_first_thousand() -> None:
    model = zoo.resnet20(weights=SHARED / "weights" / "resnet20-12fca82f.th")
    pixels, labels = _cifar10(1000)
    share = (_logits(model, pixels, 1000).argmax(1) == labels).float().mean().item()
    assert abs(share - 0.8103) < 0.04  # 3 standard errors


@needs_shared
@pytest.mark.slow
def test_imagenette_scores() -> None:
    image = pytest.importorskip("PIL.Image")
    file = SHARED / "weights" / "squeezenet1_1-imagenet-fp16.safetensors"
    model = zoo.squeezenet1_1(weights=file)
    index = {
        "tench": 0, "english_springer": 217, "cassette_player": 482, "chain_saw": 491,
        "church": 497, "french_horn": 566, "garbage_truck": 569, "gas_pump": 571,
        "golf_ball": 574, "parachute": 701,
    }  # fmt: skip
    pictures, labels = [], []
    with zipfile.ZipFile(SHARED / "data" / "imagenette-mini.zip") as archive:
        for name in archive.namelist():
            parts = name.split("/")
            if "val" in parts and parts[-2] in index and parts[-1]:
                pictures.append(np.asarray(image.open(archive.open(name)).convert("RGB")))
                labels.append(index[parts[-2]])
    logits, truth = _logits(model, np.stack(pictures), 1500), torch.tensor(labels)
    assert len(labels) == 1500
    assert abs((logits.argmax(1) == truth).sum().item() - 929) <= 5
    ten = torch.tensor(sorted(index.values()))
    assert abs((ten[logits[:, ten].argmax(1)] == truth).sum().item() - 1439) <= 5
