"""What of a module is frozen, by name: what a checkpoint keeps and a resumed run takes back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import nn

from stroma.core.layer import Layer


def frozen_names(module: nn.Module) -> dict[str, list[str]]:
    """The layers and the parameters that training may not change, under their names in `module`.

    Both are needed: a layer without parameters of its own (a BatchNorm without scale and centre)
    still has statistics, and a parameter of a plain module has no layer of ours around it.

    Example:
        >>> from stroma import Sequential, layers
        >>> model = Sequential([layers.Input((3,)), layers.Dense(2, name="a", trainable=False)])
        >>> frozen_names(model)
        {'layers': ['a'], 'weights': ['a.weight', 'a.bias']}
    """
    return {
        "layers": [
            name
            for name, part in module.named_modules()
            if isinstance(part, Layer) and not part.trainable
        ],
        "weights": [name for name, weight in module.named_parameters() if not weight.requires_grad],
    }


def restore_frozen(module: nn.Module, names: Mapping[str, Sequence[str]]) -> None:
    """Freeze exactly what `frozen_names` found, and thaw the rest."""
    layers, weights = set(names["layers"]), set(names["weights"])
    for name, part in module.named_modules():
        if isinstance(part, Layer):
            part._trainable = name not in layers  # the setter would reach down: each says its own
    for name, weight in module.named_parameters():
        weight.requires_grad_(name not in weights)
