"""How well does the "unlike your photos" score tell what the photos are not?

SqueezeNet features of imagenette-mini: prototypes of train, percentiles of validation, own photos
from test. Foreign: scikit-learn's handwritten digits; and, harder, classes that were left out.
Beside it what it was chosen over. About 1 minute on two cores.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from common import SHARED, arguments, report
from PIL import Image
from planted_faults import WEIGHTS, seen
from sklearn.covariance import ledoit_wolf_shrinkage
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score

from stroma import zoo
from stroma.data import Part, images
from stroma.transfer import Unlike, feature_extractor, output_layer

LEFT_OUT = ((0, 1, 2), (3, 4, 5), (6, 7, 8))


def main() -> None:
    options = parse()
    if options.threads:
        torch.set_num_threads(options.threads)
    data = images(SHARED / "data" / "imagenette-mini.zip", cache="memory")
    extractor = feature_extractor(zoo.squeezenet1_1(weights=WEIGHTS, include_top=False))
    layer = output_layer(extractor)

    def of(part: Part) -> tuple[np.ndarray, np.ndarray]:
        at = np.random.default_rng(0).permutation(len(part))[: options.photos or None]
        return seen(extractor, part.images(at), options.device), part.labels[at]

    train, held, own = of(data.train), of(data.validation), of(data.open_test())
    foreign = seen(extractor, digit_photos(options.digits), options.device)
    rows = [
        compared("handwritten digits", train, held, own[0], foreign),
        *(
            compared(f"classes {left} left out", without(train, left), without(held, left),
                     without(own, left)[0], own[0][np.isin(own[1], left)])
            for left in LEFT_OUT
        ),
    ]  # fmt: skip
    settings = {"photos": len(train[0]), "layer": layer, "network": "squeezenet1_1"}
    report("unlike your photos: AUROC", settings, rows)
    unlike = Unlike.fit(train[0], held[0], layer=layer)
    report(
        "unlike your photos: error rates on the digits",
        settings | {"prototypes": len(unlike.prototypes), "held out": len(held[0])},
        [
            {
                "score from": rate.threshold, "false alarms": rate.false_alarms,
                "low": rate.false_alarms_interval.low, "high": rate.false_alarms_interval.high,
                "digits caught": rate.caught,
            }
            for rate in unlike.rates(own[0], foreign)
        ],
    )  # fmt: skip


def compared(
    name: str,
    train: tuple[np.ndarray, np.ndarray],
    held: tuple[np.ndarray, np.ndarray],
    own: np.ndarray,
    foreign: np.ndarray,
) -> dict[str, object]:
    truth = np.r_[np.zeros(len(own)), np.ones(len(foreign))]
    both = np.concatenate([own, foreign])
    scores = {"prototypes (ours)": Unlike.fit(train[0], held[0]).distance(both)}
    scores["all neighbours"] = 1 - (unit(both) @ unit(train[0]).T).max(1)
    scores["Mahalanobis"], scores["relative Mahalanobis"] = mahalanobis(*train, both)
    figures = {kind: float(roc_auc_score(truth, values)) for kind, values in scores.items()}
    return {"foreign": name, "own": len(own), "others": len(foreign)} | figures


def mahalanobis(x: np.ndarray, y: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """To the nearest class with one shrunk covariance; and that less the distance to all photos.

    Reference: Lee et al. 2018; Ren et al. 2021.
    """
    x, rows = x.astype(np.float64), rows.astype(np.float64)
    means = np.stack([x[y == label].mean(0) for label in np.unique(y)])
    within = x - means[np.searchsorted(np.unique(y), y)]
    near = np.min([distances(rows, mean, within) for mean in means], 0)
    return near, near - distances(rows, x.mean(0), x - x.mean(0))


def distances(rows: np.ndarray, mean: np.ndarray, centred: np.ndarray) -> np.ndarray:
    covariance, size = centred.T @ centred / len(centred), centred.shape[1]
    share = ledoit_wolf_shrinkage(centred, assume_centered=True)
    covariance = (1 - share) * covariance + share * covariance.trace() / size * np.eye(size)
    away = rows - mean
    return np.einsum("nd,nd->n", away, np.linalg.solve(covariance, away.T).T)


def digit_photos(count: int) -> np.ndarray:
    """White on black, 224 x 224, in three equal channels."""
    inks = load_digits().images[:count] * (255 / 16)
    return np.stack([
        np.asarray(
            Image.fromarray(ink.astype(np.uint8)).resize((224, 224), Image.Resampling.BICUBIC)
            .convert("RGB")
        )
        for ink in inks
    ])  # fmt: skip


def without(rows: tuple[np.ndarray, np.ndarray], left: tuple[int, ...]) -> tuple:
    kept = ~np.isin(rows[1], left)
    return rows[0][kept], rows[1][kept]


def unit(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def parse() -> argparse.Namespace:
    parser = arguments(__doc__)
    parser.add_argument("--photos", type=int, default=0, help="of each part at most; 0: all")
    parser.add_argument("--digits", type=int, default=500)
    return parser.parse_args()


if __name__ == "__main__":
    main()
