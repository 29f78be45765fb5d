"""ResNets as one writes them by hand in PyTorch: the yardstick, with torchvision's names."""

from __future__ import annotations

from torch import Tensor, nn


class Block(nn.Module):
    """Residual block: two 3x3 convolutions, or 1x1, 3x3, 1x1 when `expansion` is 4."""

    def __init__(self, inputs: int, width: int, stride: int, expansion: int) -> None:
        super().__init__()
        kernels = (3, 3) if expansion == 1 else (1, 3, 1)
        sizes = [inputs, *[width] * (len(kernels) - 1), width * expansion]
        strided = kernels.index(3)
        for number, kernel in enumerate(kernels, 1):
            self.add_module(
                f"conv{number}",
                nn.Conv2d(
                    sizes[number - 1], sizes[number], kernel,
                    stride if number - 1 == strided else 1, kernel // 2, bias=False,
                ),
            )  # fmt: skip
            self.add_module(f"bn{number}", nn.BatchNorm2d(sizes[number]))
        self.last = len(kernels)
        self.downsample = None
        if stride != 1 or inputs != sizes[-1]:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, sizes[-1], 1, stride, bias=False), nn.BatchNorm2d(sizes[-1])
            )
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.bn2(self.conv2(x))
        if self.last == 3:
            x = self.bn3(self.conv3(self.relu(x)))
        x += shortcut
        return self.relu(x)


class ResNet(nn.Module):
    """ResNet for photos: `depths` blocks in four stages."""

    def __init__(self, depths: tuple[int, ...], expansion: int, classes: int = 1000) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        inputs = 64
        for stage, depth in enumerate(depths):
            width = 64 * 2**stage
            blocks = []
            for number in range(depth):
                stride = 2 if stage and not number else 1
                blocks.append(Block(inputs, width, stride, expansion))
                inputs = width * expansion
            self.add_module(f"layer{stage + 1}", nn.Sequential(*blocks))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(inputs, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(self.avgpool(x).flatten(1))


RESNETS = {
    "resnet18": ((2, 2, 2, 2), 1),
    "resnet34": ((3, 4, 6, 3), 1),
    "resnet50": ((3, 4, 6, 3), 4),
}
