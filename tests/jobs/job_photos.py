"""Tiny labelled photos for the jobs: three colours with noise, learnt in two epochs."""

from pathlib import Path

import numpy as np
from PIL import Image

COLOURS = {"red": (200, 40, 40), "green": (40, 200, 40), "blue": (40, 40, 200)}


def write_colours(folder: Path, each: int = 20, side: int = 16, noise: float = 40) -> Path:
    """`folder/<colour>/<number>.png`, the same for every call."""
    draws = np.random.default_rng(0)
    for name, colour in COLOURS.items():
        (folder / name).mkdir(parents=True)
        for number in range(each):
            grain = draws.normal(0, noise, (side, side, 3))
            pixels = np.clip(np.array(colour) + grain, 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number:03d}.png")
    return folder
