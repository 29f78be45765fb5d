"""Calibration error of published CIFAR-10 weights, before and after one temperature.

The temperature is fitted on a random half of the test pictures and judged on the other half, and
the other way round. resnet56 on 10,000 pictures takes about 1 minute on two cores.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from common import SHARED, arguments, report

from stroma import zoo
from stroma.data import images
from stroma.training.fitting import choose_device
from stroma.transfer import calibrate, expected_calibration_error, tempered

FILES = {"resnet20": "resnet20-12fca82f.th", "resnet56": "resnet56-4bfd9763.th"}


@torch.no_grad()
def main() -> None:
    options = parse()
    if options.threads:
        torch.set_num_threads(options.threads)
    logits, labels = answers(options)
    random = np.random.default_rng(options.seed)
    halves = np.array_split(random.permutation(len(labels)), 2)
    rows, unseen = [], np.empty((len(labels), logits.shape[1]))
    for name, fit, judge in (("first half", *halves), ("second half", *halves[::-1])):
        fitted = calibrate(logits[fit], labels[fit]).temperature
        judged = calibrate(logits[judge], labels[judge], temperature=fitted)
        before = calibrate(logits[judge], labels[judge], temperature=1.0)
        plain = np.exp(logits[judge] - logits[judge].max(1, keepdims=True))
        plain /= plain.sum(1, keepdims=True)
        unseen[judge] = tempered(plain, fitted)
        width = {
            moment: expected_calibration_error(p, labels[judge], binning="width")
            for moment, p in (("before", plain), ("after", unseen[judge]))
        }
        rows.append(
            {
                "fitted on": name, "temperature": fitted, "judged on": len(judge),
                "ECE before": before.ece_after, "ECE after": judged.ece_after,
                "ECE (width) before": width["before"], "ECE (width) after": width["after"],
                "NLL before": judged.nll_before, "NLL after": judged.nll_after,
            }
        )  # fmt: skip
    settings = {"network": options.network, "pictures": len(labels), "bins": 15}
    report("calibration on CIFAR-10", settings, rows)
    report(
        "refuse below, on CIFAR-10 after the temperature",
        settings,
        [
            {
                "refuse below": row.threshold, "answered": row.coverage, "wrong": row.error,
                "low": row.error_interval.low, "high": row.error_interval.high,
            }
            for row in calibrate(np.log(unseen), labels, temperature=1.0).refusal
        ],
    )  # fmt: skip


def answers(options: argparse.Namespace) -> tuple[np.ndarray, np.ndarray]:
    """(N, 10) logits and labels of the test pictures."""
    data = images(SHARED / "data" / "cifar10-jpeg-test.parquet", cache="memory", dedupe="none")
    device = choose_device(options.device)
    model = getattr(zoo, options.network)(weights=SHARED / "weights" / FILES[options.network])
    model.to(device).eval()
    logits, labels = [], []
    for part in (data.train, data.validation, data.open_test()):
        for batch in part.batches(250, shuffle=False).epoch(0):
            x = model.preprocessing(batch.x.to(device))
            logits.append(model(x, training=False).float().cpu().numpy())
            labels.append(batch.y.numpy())
            if options.pictures and sum(map(len, labels)) >= options.pictures:
                return np.concatenate(logits), np.concatenate(labels)
    return np.concatenate(logits), np.concatenate(labels)


def parse() -> argparse.Namespace:
    parser = arguments(__doc__)
    parser.add_argument("--network", choices=sorted(FILES), default="resnet56")
    parser.add_argument("--pictures", type=int, default=0, help="of the test set; 0: all")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
