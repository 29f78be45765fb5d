"""Which class activation map finds its photo among four? The grid pointing game.

Four test photos of Imagenette, of four classes, among the 20 of their class that SqueezeNet is
surest of, are put together to one picture of two by two. A map for the class of one of them should
lie on its quarter: "in place" is the share of the map's sum that does, 0.25 by chance. Each method
at several layers, on the same grids; differences to Grad-CAM are paired.

Reference: Böhle, Fritz & Schiele 2021, "Convolutional dynamic alignment networks", section 4.2.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from cifar import half
from common import SHARED, arguments, report

from stroma import Model, zoo
from stroma.data import Part, images
from stroma.explain import gradcam, gradcam_plus_plus, hires_cam

WEIGHTS = "squeezenet1_1-imagenet-fp16.safetensors"
# Imagenette's classes among ImageNet's thousand, in the order of their folders
CLASSES = (482, 491, 497, 217, 566, 569, 571, 574, 701, 0)
LAYERS = tuple(f"features.{at}.concatenate" for at in (12, 10, 7, 4))
METHODS = {"Grad-CAM": gradcam, "Grad-CAM++": gradcam_plus_plus, "HiRes-CAM": hires_cam}
SIDE, SUREST = 112, 20  # pixels of a photo; photos of a class


def main() -> None:
    options = parse()
    if options.threads:
        torch.set_num_threads(options.threads)
    network = zoo.squeezenet1_1(weights=options.weights / WEIGHTS, input_shape=(None, None, 3))
    part = images(options.data / "imagenette-mini.zip", size=SIDE, cache="memory").open_test()
    pixels, labels = sure_of(network, part)
    rng = np.random.default_rng(0)
    shares: dict[tuple[str, str], list[float]] = {}
    for _ in range(options.grids):
        four = rng.permutation(len(CLASSES))[:4]
        tiles = [pixels[rng.choice(np.flatnonzero(labels == k))] for k in four]
        grid = np.concatenate(
            [np.concatenate(tiles[:2], axis=1), np.concatenate(tiles[2:], axis=1)]
        )
        for layer in LAYERS:
            for name, method in METHODS.items():
                found = method(network, grid, CLASSES[four[0]], layer=layer).map
                shares.setdefault((layer, name), []).append(in_place(found))
    report("grid pointing game", {"grids": options.grids, "network": "squeezenet1_1"},
           table(shares))  # fmt: skip


def sure_of(network: Model, part: Part) -> tuple[np.ndarray, np.ndarray]:
    """Of each class the photos whose own class, seen alone, is the most probable."""
    pixels = part.images()
    z = torch.from_numpy(network.predict(network.preprocessing(pixels).numpy(), verbose=0))
    p = z.softmax(-1)[np.arange(len(z)), np.array(CLASSES)[part.labels]].numpy()
    kept = np.concatenate([
        members[np.argsort(-p[members])[:SUREST]]
        for members in (np.flatnonzero(part.labels == k) for k in range(len(CLASSES)))
    ])  # fmt: skip
    return pixels[kept], part.labels[kept]


def in_place(found: np.ndarray) -> float:
    """Share of a map's sum in the upper left quarter; chance where it is empty."""
    whole = F.interpolate(torch.from_numpy(found)[None, None], (2 * SIDE, 2 * SIDE))[0, 0]
    total = float(whole.sum())
    return float(whole[:SIDE, :SIDE].sum()) / total if total > 0 else 0.25


def table(shares: dict[tuple[str, str], list[float]]) -> list[dict[str, Any]]:
    rows = []
    for (layer, name), values in shares.items():
        row: dict[str, Any] = {"layer": layer, "map": name, "in place": float(np.mean(values))}
        if name != "Grad-CAM":
            gains = np.array(values) - shares[layer, "Grad-CAM"]
            row |= {"over Grad-CAM": float(gains.mean()), "± paired": half(gains.tolist())}
        rows.append(row)
    return rows


def parse() -> Any:
    parser = arguments(__doc__)
    parser.add_argument("--data", type=Path, default=SHARED / "data", help="folder of the data")
    parser.add_argument("--weights", type=Path, default=SHARED / "weights", help="of the weights")
    parser.add_argument("--grids", type=int, default=100)
    return parser.parse_args()


if __name__ == "__main__":
    main()
