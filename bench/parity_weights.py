"""Published weights through stroma's builders: do they score what a right loader scores?

The wanted figures were measured with PyTorch itself (shared/DATA.md).
"""

from __future__ import annotations

import argparse
import io
import time
import zipfile
from pathlib import Path

import numpy as np
import pyarrow.parquet
import torch
import torch.nn.functional as F
from common import SHARED, arguments, report
from PIL import Image
from torch import Tensor

from stroma import zoo
from stroma.models import Model
from stroma.training.fitting import choose_device

IMAGENET = {
    "tench": 0, "english_springer": 217, "cassette_player": 482, "chain_saw": 491, "church": 497,
    "french_horn": 566, "garbage_truck": 569, "gas_pump": 571, "golf_ball": 574, "parachute": 701,
}  # fmt: skip
RESNETS = {
    "resnet20": ("resnet20-12fca82f.th", 8103, 0.8788),
    "resnet56": ("resnet56-4bfd9763.th", 8320, 0.9423),
}
AT_ONCE = 250  # pictures


def main() -> None:
    options = parse()
    if options.threads:
        torch.set_num_threads(options.threads)
    device = choose_device(options.device)
    whole = options.pictures is None
    rows = []
    pictures, labels = cifar10(options.data, options.pictures)
    for name, (file, right, entropy) in RESNETS.items():
        model = zoo.architectures.lookup(name)(weights=options.weights / file).to(device)
        began = time.perf_counter()
        logits = logits_of(model, pictures, device)
        rows.append(
            row(name, "right", logits.argmax(1), labels, right if whole else None)
            | {"cross-entropy": F.cross_entropy(logits, labels).item()}
            | {"wanted cross-entropy": entropy if whole else None}
            | {"seconds": time.perf_counter() - began}
        )
    pictures, labels = imagenette(options.data, options.pictures)
    weights = options.weights / "squeezenet1_1-imagenet-fp16.safetensors"
    began = time.perf_counter()
    logits = logits_of(zoo.squeezenet1_1(weights=weights).to(device), pictures, device)
    seconds = time.perf_counter() - began
    ten = torch.tensor(sorted(IMAGENET.values()))
    for what, answers, wanted in (
        ("right of 1,000", logits.argmax(1), 929),
        ("right of ten", ten[logits[:, ten].argmax(1)], 1439),
    ):
        found = row("squeezenet1_1", what, answers, labels, wanted if whole else None)
        rows.append(found | {"seconds": seconds})
    report(
        "published weights", {"device": device.type, "pictures": options.pictures or "all"}, rows
    )


def row(name: str, what: str, answers: Tensor, labels: Tensor, wanted: int | None) -> dict:
    """One line of the table."""
    right = int((answers == labels).sum())
    return {"network": name, "figure": what, "right": right, "of": len(labels), "wanted": wanted}


def logits_of(model: Model, pictures: np.ndarray, device: torch.device) -> Tensor:
    """The network's answers, its own preprocessing before it."""
    with torch.inference_mode():
        parts = [
            model(model.preprocessing(pictures[at : at + AT_ONCE]).to(device)).cpu()
            for at in range(0, len(pictures), AT_ONCE)
        ]
    return torch.cat(parts)


def cifar10(data: Path, count: int | None) -> tuple[np.ndarray, Tensor]:
    """Test pictures and labels."""
    table = pyarrow.parquet.read_table(data / "cifar10-jpeg-test.parquet").slice(0, count)
    files = [io.BytesIO(cell["bytes"]) for cell in table["img"].to_pylist()]
    return np.stack([decoded(file) for file in files]), torch.tensor(table["label"].to_pylist())


def imagenette(data: Path, count: int | None) -> tuple[np.ndarray, Tensor]:
    """Validation photos, and their labels among ImageNet's thousand."""
    pictures, labels = [], []
    with zipfile.ZipFile(data / "imagenette-mini.zip") as archive:
        for name in archive.namelist()[:: 1 if count is None else max(1, 1500 // count)]:
            parts = name.split("/")
            if "val" in parts and parts[-2] in IMAGENET and parts[-1]:
                pictures.append(decoded(io.BytesIO(archive.read(name))))
                labels.append(IMAGENET[parts[-2]])
    return np.stack(pictures), torch.tensor(labels)


def decoded(file: io.BytesIO) -> np.ndarray:
    """(H, W, 3) of uint8."""
    return np.asarray(Image.open(file).convert("RGB"))


def parse() -> argparse.Namespace:
    parser = arguments(__doc__)
    parser.add_argument("--data", type=Path, default=SHARED / "data", help="folder of the data")
    parser.add_argument("--weights", type=Path, default=SHARED / "weights", help="of the weights")
    parser.add_argument("--pictures", type=int, help="only about so many of each, for a quick look")
    return parser.parse_args()


if __name__ == "__main__":
    main()
