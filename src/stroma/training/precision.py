"""In which dtype `fit` computes, by static rules that can be read in one minute."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import nn
from torch.utils._pytree import tree_map
from torch.utils.flop_counter import FlopCounterMode

from stroma.core.checks import check_choice
from stroma.core.dtypes import dtype_name
from stroma.core.layer import Layer
from stroma.layers.recurrent import RNN

# Below this many multiply-accumulates a sample, casting costs what the faster kernels save.
BF16_PAYS_FROM = 5_000_000
NAMES = ("auto", "float32", "bfloat16", "bf16", "mixed_bfloat16", "float16", "mixed_float16")


class Precision(NamedTuple):
    """A choice and its reason: `dtype` is autocast's, None for plain float32."""

    dtype: torch.dtype | None
    reason: str

    @property
    def name(self) -> str:
        return "float32" if self.dtype is None else dtype_name(self.dtype)


def choose_precision(wanted: str, module: nn.Module, x: Any, device: torch.device) -> Precision:
    """The dtype for training `module` on inputs like `x`.

    Args:
        wanted: "auto", or a dtype by name.
        module: What is trained.
        x: One batch of inputs.
        device: Where it runs.
    """
    wanted = check_choice("precision", wanted, NAMES, owner="compile")
    if wanted != "auto":
        name = wanted.removeprefix("mixed_").replace("bf16", "bfloat16")
        return Precision(None if name == "float32" else getattr(torch, name), "asked for")
    if any(layer.dtype_policy.name != "float32" for layer in _layers(module)):
        return Precision(None, "the layers' own dtype policies decide")
    if not _has_bf16(device):
        return Precision(None, f"{device.type} has no fast bfloat16 here")
    macs = macs_of_one(module, x)
    if macs < BF16_PAYS_FROM:
        return Precision(None, f"{macs:,} multiply-accumulates a sample are too few to gain")
    if device.type == "cpu" and _has_recurrence(module):
        return Precision(None, "recurrent layers are slow in bfloat16 on a CPU")
    if _has_grouped_convolution(module) and device.type == "cpu":
        return Precision(None, "grouped convolutions are slow in bfloat16 on this CPU")
    return Precision(torch.bfloat16, f"{macs:,} multiply-accumulates a sample gain from bfloat16")


def macs_of_one(module: nn.Module, x: Any) -> int:
    """Multiply-accumulates of one sample, counted by torch on a forward pass."""
    one = tree_map(lambda leaf: leaf[:1], x)
    counter = FlopCounterMode(display=False)
    was_training = module.training
    module.eval()
    try:
        with torch.no_grad(), counter:
            module(one)
    finally:
        module.train(was_training)
    return int(counter.get_total_flops() // 2)


def _layers(module: nn.Module) -> list[Layer]:
    return [layer for layer in module.modules() if isinstance(layer, Layer)]


def _has_recurrence(module: nn.Module) -> bool:
    return any(isinstance(layer, (RNN, nn.RNNBase, nn.RNNCellBase)) for layer in module.modules())


def _has_grouped_convolution(module: nn.Module) -> bool:
    return any(getattr(layer, "groups", 1) > 1 for layer in module.modules())


def _has_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        # oneDNN emulates bfloat16 on older processors, many times slower than float32
        return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    return False
