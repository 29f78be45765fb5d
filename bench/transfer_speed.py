"""How long until a pretrained SqueezeNet is right on Imagenette: features once, or fine-tuning?

`stroma transfer` in a process of its own with an empty cache: reading the photos, the features, a
head, the test, the report. Beside it the recipe of PyTorch's transfer tutorial, written by hand:
the whole network trains under SGD with momentum 0.9 at 0.001, a tenth of it every seven epochs, on
random windows of the photos, mirrored in half of the cases; here with batches of 32, the memory
format that is fastest, and bf16 where the processor has it. The photos are decoded before its clock
starts. It stops when it is as right on `val` as stroma was, or at `--limit` times its seconds.

That the recipe may look at `val` after every epoch, and stop at its best, is to its advantage.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from common import SHARED, arguments, report
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor, nn

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SIDE, BATCH = 224, 32


@dataclass(frozen=True, slots=True)
class Photos:
    """uint8 pixels (N, 3, 224, 224) and labels (N,)."""

    pixels: Tensor
    labels: Tensor


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--photos", type=Path, default=SHARED / "data" / "imagenette-mini.zip")
    parser.add_argument(
        "--weights", type=Path,
        default=SHARED / "weights" / "squeezenet1_1-imagenet-fp16.safetensors",
    )  # fmt: skip
    parser.add_argument("--limit", type=float, default=10.0, help="times stroma's seconds")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    ours = with_stroma(options.photos, options.weights)
    rows = [{"who": "stroma transfer", "epochs": 0} | ours]
    photos = {part: read(options.photos, part) for part in ("train", "val")}
    torch.manual_seed(0)
    theirs = by_hand(
        squeezenet(options.weights), photos, ours["accuracy"], options.limit * ours["seconds"]
    )
    rows.append({"who": "tutorial's fine-tuning"} | theirs)
    for row in rows:
        row["times"] = row["seconds"] / ours["seconds"]
    report("SqueezeNet to Imagenette", {"limit": options.limit}, rows)


def with_stroma(photos: Path, weights: Path) -> dict[str, float]:
    """Everything, from the start of Python on."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable, "-m", "stroma", "transfer", str(photos), "--weights", str(weights),
            "--out", f"{folder}/run", "--json",
        ]  # fmt: skip
        environment = os.environ | {"STROMA_CACHE": f"{folder}/cache"}
        began = time.perf_counter()
        ended = subprocess.run(command, stdout=subprocess.PIPE, env=environment, check=True)
        seconds = time.perf_counter() - began
    return {"accuracy": json.loads(ended.stdout)["headline"]["value"], "seconds": seconds}


def by_hand(
    network: nn.Module, photos: dict[str, Photos], wanted: float, limit: float
) -> dict[str, float]:
    """Train until `val` is as right as wanted; the best accuracy, and the seconds until then."""
    network = network.to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.001, momentum=0.9)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=7, gamma=0.1)
    began, best, epoch = time.perf_counter(), 0.0, 0
    while best < wanted and time.perf_counter() - began < limit:
        network.train()
        for x, y in views(photos["train"]):
            with torch.autocast("cpu", torch.bfloat16):
                loss = F.cross_entropy(network(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        schedule.step()
        best, epoch = max(best, accuracy(network, photos["val"])), epoch + 1
        print(f"epoch {epoch}: {best:.4f}, {time.perf_counter() - began:.0f} s", file=sys.stderr)
    return {"epochs": epoch, "accuracy": best, "seconds": time.perf_counter() - began}


def views(part: Photos) -> Iterator[tuple[Tensor, Tensor]]:
    """Random windows of 8 to 100 % of the area, seen at 224 pixels; half of them mirrored."""
    for at in torch.randperm(len(part.labels)).split(BATCH):
        count = len(at)
        area = torch.empty(count).uniform_(0.08, 1)
        ratio = torch.empty(count).uniform_(np.log(3 / 4), np.log(4 / 3)).exp()
        width, height = (area * ratio).sqrt().clamp(max=1), (area / ratio).sqrt().clamp(max=1)
        x, y = (torch.empty(count).uniform_(-1, 1) * (1 - side) for side in (width, height))
        width = width * torch.where(torch.rand(count) < 0.5, -1, 1)
        zero = torch.zeros(count)
        windows = torch.stack(
            [torch.stack([width, zero, x], 1), torch.stack([zero, height, y], 1)], 1
        )
        grid = F.affine_grid(windows, [count, 3, SIDE, SIDE], align_corners=False)
        seen = F.grid_sample(normalised(part.pixels[at]), grid, align_corners=False)
        yield seen.contiguous(memory_format=torch.channels_last), part.labels[at]


@torch.no_grad()
def accuracy(network: nn.Module, part: Photos) -> float:
    network.eval()
    right = 0
    for pixels, labels in zip(part.pixels.split(BATCH), part.labels.split(BATCH)):
        with torch.autocast("cpu", torch.bfloat16):
            right += int((network(normalised(pixels)).argmax(1) == labels).sum())
    return right / len(part.labels)


def normalised(pixels: Tensor) -> Tensor:
    mean, deviation = (torch.tensor(v).view(1, 3, 1, 1) for v in (MEAN, DEVIATION))
    x = (pixels.float() / 255 - mean) / deviation
    return x.contiguous(memory_format=torch.channels_last)


def read(path: Path, part: str) -> Photos:
    """All photos of `train/` or `val/` in a zip of class folders."""
    with zipfile.ZipFile(path) as archive:
        names = [
            name.split("/")
            for name in archive.namelist()
            if name.lower().endswith((".jpg", ".jpeg"))
        ]
        chosen = sorted(name for name in names if part in name[:-2])
        classes = sorted({name[-2] for name in chosen})
        pixels = [
            np.asarray(Image.open(io.BytesIO(archive.read("/".join(name)))).convert("RGB"))
            for name in chosen
        ]
    stacked = torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2)
    return Photos(stacked, torch.tensor([classes.index(name[-2]) for name in chosen]))


class Fire(nn.Module):
    """A 1x1 convolution to few channels, then 1x1 and 3x3 ones side by side."""

    def __init__(self, inputs: int, few: int, many: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(inputs, few, 1)
        self.expand1x1 = nn.Conv2d(few, many, 1)
        self.expand3x3 = nn.Conv2d(few, many, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.squeeze(x))
        return torch.cat([F.relu(self.expand1x1(x)), F.relu(self.expand3x3(x))], 1)


def squeezenet(weights: Path) -> nn.Module:
    """SqueezeNet 1.1 with its weights and a new classifier for ten classes."""
    pool = [nn.MaxPool2d(3, 2, ceil_mode=True) for _ in range(3)]
    features = nn.Sequential(
        nn.Conv2d(3, 64, 3, 2), nn.ReLU(), pool[0], Fire(64, 16, 64), Fire(128, 16, 64), pool[1],
        Fire(128, 32, 128), Fire(256, 32, 128), pool[2], Fire(256, 48, 192), Fire(384, 48, 192),
        Fire(384, 64, 256), Fire(512, 64, 256),
    )  # fmt: skip
    classifier = nn.Sequential(
        nn.Dropout(0.5), nn.Conv2d(512, 10, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )
    network = nn.Sequential()
    network.add_module("features", features)
    network.add_module("classifier", classifier)
    loaded = {key: value.float() for key, value in load_file(weights).items() if key[0] == "f"}
    missing = network.load_state_dict(loaded, strict=False)
    assert all(key.startswith("classifier") for key in missing.missing_keys), missing
    return network


if __name__ == "__main__":
    main()
