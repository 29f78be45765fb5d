"""Faults planted in a copy of imagenette-mini: how many does the audit of features find?

In memory: 50 exact copies, 200 near-duplicates (cut, scaled, compressed, mirrored, lit anew; 40
each) and 100 wrong labels among the photos. "others" are pairs that were not planted: bursts of
one scene are among them, so the precision is a lower bound.

python bench/planted_faults.py                 all 5,500 photos: about 1 minute on two cores
python bench/planted_faults.py --photos 1500   a sample of them
"""

from __future__ import annotations

import argparse
import hashlib
import io
from typing import Any

import numpy as np
import torch
from common import SHARED, arguments, report
from PIL import Image
from scipy.special import softmax

from stroma import zoo
from stroma.data import ImageData, images
from stroma.data.copies import exact_copies
from stroma.data.scan import perceptual_hash
from stroma.diagnostics import near_duplicates, suspect_labels
from stroma.models import Model
from stroma.training.fitting import choose_device
from stroma.transfer import RidgeHead, feature_extractor

KINDS = ("crop", "resize", "recompress", "flip", "brightness")
WEIGHTS = SHARED / "weights" / "squeezenet1_1-imagenet-fp16.safetensors"


def main() -> None:
    options = parse()
    if options.threads:
        torch.set_num_threads(options.threads)
    random = np.random.default_rng(options.seed)
    data = images(SHARED / "data" / "imagenette-mini.zip", cache="memory")
    pixels, truth = all_photos(data)
    chosen = np.sort(random.permutation(len(pixels))[: options.photos or None])
    pixels, truth = pixels[chosen], truth[chosen]
    share = len(pixels) / 5500
    exact, near, wrong = (round(n * share) for n in (50, 200, 100))
    sources = random.choice(len(pixels), exact + near, replace=False)
    copies = [pixels[at] for at in sources[:exact]]
    kinds = [KINDS[i % len(KINDS)] for i in range(near)]
    copies += [
        changed(pixels[at], kind, random) for at, kind in zip(sources[exact:], kinds, strict=True)
    ]
    everything = np.concatenate([pixels, np.stack(copies)])
    extractor = feature_extractor(zoo.squeezenet1_1(weights=WEIGHTS, include_top=False))
    rows = seen(extractor, everything, options.device)

    table = [found_exact(everything, len(pixels), sources[:exact])]
    table += found_near(rows, everything, len(pixels), sources, exact, kinds)
    table.append(found_wrong(rows[: len(pixels)], truth, wrong, random))
    settings = {"photos": len(pixels), "seed": options.seed, "network": "squeezenet1_1"}
    report("planted faults", settings, table)


def all_photos(data: ImageData) -> tuple[np.ndarray, np.ndarray]:
    parts = [data.train, data.validation, data.open_test()]
    return np.concatenate([part.images() for part in parts]), np.concatenate(
        [part.labels for part in parts]
    )


@torch.no_grad()
def seen(extractor: Model, pixels: np.ndarray, device: str) -> np.ndarray:
    """(N, D) features; bfloat16 on the way, as `stroma train` would have them here."""
    place = choose_device(device)
    extractor.to(place).eval()
    with torch.autocast(place.type, torch.bfloat16):
        batches = [
            extractor(torch.from_numpy(pixels[at : at + 16]).to(place).float(), training=False)
            for at in range(0, len(pixels), 16)
        ]
    return torch.cat(batches).float().cpu().numpy()


def changed(pixels: np.ndarray, kind: str, random: np.random.Generator) -> np.ndarray:
    """A near-duplicate of one photo, saved as a JPEG once more."""
    picture, side, quality = Image.fromarray(pixels), pixels.shape[0], 90
    if kind == "crop":
        kept = int(side * random.uniform(0.85, 0.95))
        x, y = random.integers(0, side - kept + 1, 2).tolist()
        box = (x, y, x + kept, y + kept)
        picture = picture.resize((side, side), Image.Resampling.BICUBIC, box=box)
    elif kind == "resize":
        small = int(side * random.uniform(0.4, 0.8))
        picture = picture.resize((small, small), Image.Resampling.BICUBIC)
        picture = picture.resize((side, side), Image.Resampling.BICUBIC)
    elif kind == "recompress":
        quality = int(random.integers(20, 61))
    elif kind == "flip":
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    else:
        lit = pixels * random.uniform(0.7, 1.3) + random.uniform(-15, 15)
        picture = Image.fromarray(np.clip(lit, 0, 255).astype(np.uint8))
    content = io.BytesIO()
    picture.save(content, "JPEG", quality=quality)
    return np.asarray(Image.open(content).convert("RGB"))


def found_exact(pixels: np.ndarray, originals: int, sources: np.ndarray) -> dict[str, Any]:
    """What the digest of the pixels finds, as `stroma.data.images` takes it."""
    digests = [hashlib.sha256(picture.tobytes()).digest()[:16] for picture in pixels]
    first = exact_copies(np.array(digests, "V16"))
    pairs = {(int(first[at]), at) for at in np.flatnonzero(first != np.arange(len(first)))}
    planted = {(int(source), originals + at) for at, source in enumerate(sources)}
    return row("exact copies", planted, pairs)


def found_near(
    rows: np.ndarray,
    pixels: np.ndarray,
    originals: int,
    sources: np.ndarray,
    exact: int,
    kinds: list[str],
) -> list[dict[str, Any]]:
    """By features alone, with the perceptual hash beside them, and each kind of change."""
    hashes = np.array([perceptual_hash(picture) for picture in pixels], np.uint64)
    left_out = np.delete(np.arange(len(rows)), np.s_[originals : originals + exact])
    planted = {(int(s), originals + at) for at, s in enumerate(sources[exact:])}
    alone = near_duplicates(rows[left_out])
    both = near_duplicates(rows[left_out], hashes=hashes[left_out])
    by_features = {(pair.first, pair.second) for pair in alone.pairs}
    together = {(pair.first, pair.second) for pair in both.pairs}
    table = [
        row("near-duplicates, features", planted, by_features, alone.threshold),
        row("near-duplicates, features and hash", planted, together, both.threshold),
    ]
    for kind in KINDS:
        some = {pair for pair in planted if kinds[pair[1] - originals] == kind}
        table.append({"fault": f"  {kind}", "planted": len(some), "found": len(some & together),
                      "recall": len(some & together) / max(len(some), 1)})  # fmt: skip
    return table


def found_wrong(
    rows: np.ndarray, truth: np.ndarray, count: int, random: np.random.Generator
) -> dict[str, Any]:
    """Wrong labels, by the leave-one-out probabilities of a ridge head that learnt from them."""
    classes = int(truth.max()) + 1
    planted = random.choice(len(truth), count, replace=False)
    labels = truth.copy()
    labels[planted] = (labels[planted] + random.integers(1, classes, count)) % classes
    head = RidgeHead().fit(rows, labels, classes)
    found = suspect_labels(softmax(head.sharpness * head.held_out, 1), labels)
    named = [suspect.index for suspect in found.suspects]
    right = np.cumsum(np.isin(named, planted))
    half = np.flatnonzero(right >= 0.5 * np.arange(1, len(named) + 1))
    return row("wrong labels", set(planted.tolist()), set(named)) | {
        "recall at precision 0.5": int(right[half[-1]]) / count if len(half) else 0.0
    }


def row(fault: str, planted: set[Any], named: set[Any], threshold: float | None = None) -> dict:
    hits = len(planted & named)
    return {
        "fault": fault, "planted": len(planted), "found": hits, "others": len(named) - hits,
        "recall": hits / max(len(planted), 1), "precision": hits / max(len(named), 1),
        "threshold": threshold,
    }  # fmt: skip


def parse() -> argparse.Namespace:
    parser = arguments(__doc__)
    parser.add_argument("--photos", type=int, default=0, help="a sample of so many; 0: all")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
