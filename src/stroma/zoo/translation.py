"""Other libraries' names for the weights of a ResNet, in torchvision's."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from torch import Tensor

from stroma.core.errors import WeightsError

# transformers' `ResNetForImageClassification`; a bare `ResNetModel` lacks the first word
_MARK = re.compile(r"(?:resnet\.)?embedder\.embedder\.convolution\.weight")
_STEM = r"(?:resnet\.)?embedder\.embedder\."
_BLOCK = r"(?:resnet\.)?encoder\.stages\.(?P<stage>\d+)\.layers\.(?P<block>\d+)\."
_RULES = [  # transformers counts stages and convolutions from 0
    (re.compile(pattern), template)
    for pattern, template in (
        (_STEM + r"convolution\.", "conv1."),
        (_STEM + r"normalization\.", "bn1."),
        (_BLOCK + r"layer\.(?P<place>\d+)\.convolution\.", "layer{stage}.{block}.conv{place}."),
        (_BLOCK + r"layer\.(?P<place>\d+)\.normalization\.", "layer{stage}.{block}.bn{place}."),
        (_BLOCK + r"shortcut\.convolution\.", "layer{stage}.{block}.downsample.0."),
        (_BLOCK + r"shortcut\.normalization\.", "layer{stage}.{block}.downsample.1."),
        (r"classifier\.1\.", "fc."),
    )
]
# Whether a block has three convolutions, blocks of each stage -> the builder in the zoo
_BLOCKS: dict[tuple[bool, tuple[int, ...]], str] = {
    (False, (2, 2, 2, 2)): "resnet18",
    (False, (3, 4, 6, 3)): "resnet34",
    (True, (3, 4, 6, 3)): "resnet50",
    (True, (3, 4, 23, 3)): "resnet101",
    (True, (3, 8, 36, 3)): "resnet152",
}


def torchvision_names(weights: Mapping[str, Tensor], source: str = "weights") -> dict[str, Tensor]:
    """The same tensors under torchvision's names, which timm's ResNets have too.

    A table that is not transformers' comes back as it is.

    Args:
        weights: By name.
        source: Where they came from, for messages.
    Raises: WeightsError: two names mean the same weight.
    Example:
        >>> import torch
        >>> name = "resnet.embedder.embedder.convolution.weight"
        >>> list(torchvision_names({name: torch.zeros(64, 3, 7, 7)}))
        ['conv1.weight']
    """
    if not any(_MARK.fullmatch(name) for name in weights):
        return dict(weights)
    translated: dict[str, Tensor] = {}
    for name, tensor in weights.items():
        new = _translate(name)
        if new in translated:
            raise WeightsError(
                f"two weights would be called {new!r}, the second is {name!r}",
                where=source,
                why="a name of transformers' ResNet stands for one weight",
                fix="save the network's state_dict again, and load that file",
            )
        translated[new] = tensor
    return translated


def _translate(name: str) -> str:
    """An unknown name stays, and is then missed by name where weights are matched."""
    for pattern, template in _RULES:
        if match := pattern.match(name):
            found = {key: int(number) for key, number in match.groupdict().items()}
            raised = {key: found[key] + 1 for key in ("stage", "place") if key in found}
            return template.format(**found | raised) + name[match.end() :]
    return name


def resnet_of(names: Iterable[str]) -> str:
    """The ResNet for photos whose weights have these (torchvision's) names; empty: none.

    Example:
        >>> resnet_of(f"layer{s}.{n}.conv2.weight" for s in (1, 2, 3, 4) for n in (0, 1))
        'resnet18'
    """
    names = list(names)
    blocks = {match[0] for name in names if (match := re.match(r"layer\d\.\d+(?=\.conv2\.)", name))}
    depths = tuple(sum(block.startswith(f"layer{stage}.") for block in blocks)
                   for stage in (1, 2, 3, 4))  # fmt: skip
    return _BLOCKS.get(("layer1.0.conv3.weight" in names, depths), "")
