"""When bfloat16 pays: step time in float32 over bfloat16, against multiply-accumulates a sample.

`BF16_PAYS_FROM` in stroma/training/precision.py is read off this table: the size from which the
gain stays above 1.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator

import torch
from common import arguments, compared, in_turn, report
from resnet50_train import with_stroma

from stroma import layers, zoo
from stroma.models import Model, Sequential
from stroma.training.fitting import choose_device
from stroma.training.precision import macs_of_one


def networks() -> Iterator[tuple[str, Callable[[], Model], int]]:
    """(name, builder, side in pixels), from the smallest to the largest."""
    for width in (4, 8, 16, 32, 64):
        for side in (16, 32):
            yield f"plain {width} at {side}", plain(width, side), side
    yield "small_cnn at 32", lambda: zoo.small_cnn(), 32
    yield "resnet20 at 32", lambda: zoo.resnet20(), 32
    yield "resnet56 at 32", lambda: zoo.resnet56(), 32
    for side in (64, 128):
        yield (
            f"squeezenet1_1 at {side}",
            lambda side=side: zoo.squeezenet1_1(classes=10, input_shape=(side, side, 3)),
            side,
        )
        yield (
            f"resnet18 at {side}",
            lambda side=side: zoo.resnet18(classes=10, input_shape=(side, side, 3)),
            side,
        )


def plain(width: int, side: int) -> Callable[[], Model]:
    """Builder of a network of three convolutions with BatchNormalization."""

    def build() -> Model:
        parts: list[object] = [layers.Input((side, side, 3))]
        for stage in range(3):
            parts.append(layers.Conv2D(width * 2**stage, 3, padding="same", use_bias=False))
            parts += [layers.BatchNormalization(), layers.ReLU(), layers.MaxPooling2D()]
        return Sequential([*parts, layers.GlobalAveragePooling2D(), layers.Dense(10)])

    return build


def main() -> None:
    options = parse()
    device = choose_device(options.device)
    if options.threads:
        torch.set_num_threads(options.threads)
    rows = []
    for name, build, side in networks():
        if options.only and options.only not in name:
            continue
        x = torch.randn(options.batch, side, side, 3, device=device)
        y = torch.randint(0, 10, (options.batch,), device=device)
        one, other = build().to(device), build().to(device)
        macs = macs_of_one(one, x)
        seconds = in_turn(
            {
                "bfloat16": with_stroma(one, x, y, torch.bfloat16),
                "float32": with_stroma(other, x, y, None),
            },
            options.steps,
            warmup=2,
            device=device,
        )
        figures = compared(seconds)
        rows.append(
            {
                "network": name,
                "MACs a sample": macs,
                "float32 ms": figures["float32"]["median_ms"],
                "bfloat16 ms": figures["bfloat16"]["median_ms"],
                "gain": figures["float32"]["ratio"],
            }
        )
    rows.sort(key=lambda row: row["MACs a sample"])
    settings = {"batch": options.batch, "device": device.type, "steps": options.steps}
    report("gain of bfloat16", settings, rows)


def parse() -> argparse.Namespace:
    parser = arguments(__doc__)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--steps", type=int, default=20, help="timed steps of each")
    parser.add_argument("--only", default="", help="networks whose name contains this")
    return parser.parse_args()


if __name__ == "__main__":
    main()
