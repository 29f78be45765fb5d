"""One training step of a ResNet: stroma's loop beside the same network written by hand.

Both get the same weights and the same batch, in one process, in turns. The first losses are
compared, so that nobody is fast by computing something else.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import torch
import torch.nn.functional as F
from common import arguments, compared, in_turn, report
from torch import nn
from torch_resnet import RESNETS, ResNet

from stroma import losses, optimizers, zoo
from stroma.core.batches import Batch
from stroma.training.fitting import choose_device
from stroma.training.loop import Settings, step
from stroma.training.objective import Objective
from stroma.training.precision import choose_precision, macs_of_one
from stroma.training.state import State

RATE, MOMENTUM = 0.01, 0.9


def main() -> None:
    options = parse()
    device = choose_device(options.device)
    if options.threads:
        torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    side = options.image
    model = getattr(zoo, options.network)(input_shape=(side, side, 3)).to(device)
    module = ResNet(*RESNETS[options.network]).to(device, memory_format=torch.channels_last)
    module.load_state_dict(model.state_dict())
    x = torch.randn(options.batch, side, side, 3, device=device)
    y = torch.randint(0, 1000, (options.batch,), device=device)
    precision = choose_precision(options.precision, model, x, device)
    contestants = {
        "by hand": by_hand(module, x.permute(0, 3, 1, 2), y, precision.dtype),
        "stroma": with_stroma(model, x, y, precision.dtype),
    }
    first = {name: run().item() for name, run in contestants.items()}
    torch.testing.assert_close(first["stroma"], first["by hand"], rtol=2e-2, atol=0)
    seconds = in_turn(contestants, options.steps, warmup=options.warmup, device=device)
    macs = macs_of_one(model, x)
    peak = matmul_flops(precision.dtype or torch.float32, device) if not options.no_peak else None
    rows = []
    for name, figures in compared(seconds).items():
        rate = 1e3 * options.batch / figures["median_ms"]
        row = {"who": name, "img/s": rate, **figures, "first_loss": first[name]}
        if (
            peak is not None
        ):  # training is three forward passes: outputs, inputs' and weights' gradients
            row["% of matmul peak"] = 100 * 6 * macs * rate / peak
        rows.append(row)
    report(
        f"{options.network} training step",
        {
            "image": side, "batch": options.batch, "precision": precision.name,
            "device": device.type, "steps": options.steps, "MACs": macs,
            "matmul GFLOPS": None if peak is None else peak / 1e9,
        },
        rows,
    )  # fmt: skip


def with_stroma(
    model: nn.Module, x: torch.Tensor, y: torch.Tensor, dtype: torch.dtype | None
) -> Callable[[], torch.Tensor]:
    """stroma's own step, everything in it: seeding, loss, backward, update, running figures."""
    optimizer = optimizers.SGD(RATE, momentum=MOMENTUM)
    objective = Objective(losses.SparseCategoricalCrossentropy(from_logits=True))
    state = State(model, optimizer, objective, seed=0, epochs=1)
    batch = Batch(x=x, y=y, weight=None, size=len(x))
    settings = Settings(device=x.device, autocast=dtype)

    def run() -> torch.Tensor:
        loss = step(state, batch, settings)
        state.step += 1
        return loss

    return run


def by_hand(
    module: nn.Module, x: torch.Tensor, y: torch.Tensor, dtype: torch.dtype | None
) -> Callable[[], torch.Tensor]:
    """What a careful PyTorch user writes: channels_last, autocast, fused SGD."""
    optimizer = torch.optim.SGD(module.parameters(), lr=RATE, momentum=MOMENTUM, fused=True)
    module.train()

    def run() -> torch.Tensor:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(x.device.type, dtype, enabled=dtype is not None):
            loss = F.cross_entropy(module(x).float(), y)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return run


def matmul_flops(dtype: torch.dtype, device: torch.device, size: int = 2048) -> float:
    """Floating-point operations a second of the best of five square matrix products."""
    a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    seconds = in_turn({"matmul": lambda: a @ b}, 5, warmup=1, device=device)["matmul"]
    return 2 * size**3 / min(seconds)


def parse() -> argparse.Namespace:
    parser = arguments(__doc__)
    parser.add_argument("--network", choices=sorted(RESNETS), default="resnet50")
    parser.add_argument("--image", type=int, default=224, help="side in pixels")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--steps", type=int, default=10, help="timed steps of each")
    parser.add_argument("--warmup", type=int, default=2)
    parser.add_argument("--precision", default="auto", help="auto, float32 or bfloat16")
    parser.add_argument("--no-peak", action="store_true", help="leave the matmul peak unmeasured")
    return parser.parse_args()


if __name__ == "__main__":
    main()
