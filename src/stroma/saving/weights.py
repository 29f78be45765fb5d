"""Weight files into tables of tensors, and tables of tensors into networks."""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import torch
from torch import Tensor, nn

from stroma.core.errors import FileFormatError, WeightsError, did_you_mean
from stroma.saving.files import regular_file, sniff
from stroma.saving.pytorch import read_pytorch
from stroma.saving.safetensors import read_safetensors

_READERS = {
    "zip": read_pytorch,
    "torch-legacy": read_pytorch,
    "safetensors": read_safetensors,
}
_FOREIGN = {  # what it is, and what to do about it
    "html": (
        "an HTML page: the download failed and saved its error message",
        "fetch the file again, from a link that answers with the file itself",
    ),
    "tar": (
        "torch.save's tar format of 2016-17, which PyTorch itself can only read unsafely",
        "use today's file of the same weights (resnet18-f37072fd.pth and the like), or convert it"
        " with the PyTorch that wrote it: torch.save(torch.load(FILE), 'new.pth')",
    ),
    "hdf5": (
        "an HDF5 file (Keras weights), which names its weights layer by layer",
        "build the Keras variant (stroma.applications) and call model.load_weights(FILE)",
    ),
    "keras": (
        "a whole Keras model, not weights alone",
        "model = models.load_model(FILE); its weights alone: model.save_weights(...)",
    ),
    "pickle": (
        "a pickle that torch.save did not write: a program, not weights",
        "save the weights with safetensors or torch.save(model.state_dict(), FILE)",
    ),
    "gzip": ("compressed with gzip", "unpack it first: gunzip FILE"),
    "git-lfs": ("a Git LFS pointer: the weights themselves were not fetched", "run: git lfs pull"),
    "unknown": (
        "no weight file stroma knows",
        "safetensors and PyTorch's .pth, .pt, .th, .bin can be read",
    ),
}
# One architecture, two networks with other strides, padding and names: what only torchvision's has,
# and what only Keras' has
_VARIANTS = {
    "ResNet": ("layer1.0.conv1.weight", "conv2_block1_3_conv.weight"),
    "MobileNetV2": ("features.1.conv.0.0.weight", "bn_Conv1.weight"),
    "EfficientNet": ("features.1.0.block.0.0.weight", "stem_conv.weight"),
    "DenseNet": ("features.conv0.weight", "pool2_bn.weight"),
}
_WHOSE = (("torchvision's variant", "stroma.zoo"), ("Keras' variant", "stroma.applications"))
_SHOWN = 5


def read_weights(path: str | PathLike[str]) -> dict[str, Tensor]:
    """The weights in a file, by name. Its first bytes tell the format, not its name.

    Args:
        path: A safetensors file, or a PyTorch checkpoint of either format.

    Raises:
        FileFormatError: the file is damaged, unsafe, or something else (named in the message).

    Example:
        >>> import tempfile, pathlib
        >>> folder = tempfile.TemporaryDirectory()
        >>> path = pathlib.Path(folder.name, "weights.pth")
        >>> torch.save({"fc.bias": torch.zeros(2)}, path)
        >>> read_weights(path)
        {'fc.bias': tensor([0., 0.])}
        >>> folder.cleanup()
    """
    path = regular_file(path)
    kind = sniff(path)
    if kind == "zip" and _is_keras(path):
        kind = "keras"
    if kind in _READERS:
        return _READERS[kind](path)
    what, fix = _FOREIGN[kind]
    raise FileFormatError(
        f"{path.name!r} is {what}",
        where=str(path),
        why="the content decides what a file is, not its name",
        fix=fix,
    )


def _is_keras(path: Path) -> bool:
    """Whether a zip holds a network's description, as a `.keras` file does."""
    try:
        with zipfile.ZipFile(path) as archive:
            return {"config.json", "metadata.json"} <= set(archive.namelist())
    except (zipfile.BadZipFile, OSError, ValueError):
        return False  # the reader says what is wrong with it


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadReport:
    """What `load_into` did.

    Args:
        source: Where the weights came from.
        loaded: Names that were copied.
        head_kept: Names of the classifier head that kept their initial values.
        head_unused: Names of the file's classifier head that the network has no place for.
    """

    source: str
    loaded: tuple[str, ...]
    head_kept: tuple[str, ...] = ()
    head_unused: tuple[str, ...] = ()


def load_into(
    module: nn.Module, weights: Mapping[str, Tensor], *, head: str = "", source: str = "weights"
) -> LoadReport:
    """Copies weights into a network, all or none, each cast to its dtype in the network.

    Every name must be on both sides with one shape. The classifier head alone may differ or be
    missing (other classes, `include_top=False`): then the network's head keeps its initial values
    as a whole, and the report says so. BatchNorm's `num_batches_tracked`, which files from before
    2018 lack, may be missing as well.

    Args:
        module: The network, its weights already made.
        weights: Tensors by `state_dict` name.
        head: How the names of the classifier head start ("fc."); empty: no head may differ.
        source: Where the weights came from, for messages.

    Raises:
        WeightsError: names or shapes differ; nothing was changed.

    Example:
        >>> network = nn.Sequential(nn.Linear(4, 2), nn.Linear(2, 3))
        >>> other = nn.Sequential(nn.Linear(4, 2), nn.Linear(2, 10))
        >>> load_into(network, other.state_dict(), head="1.").head_kept
        ('1.weight', '1.bias')
    """
    targets = module.state_dict()
    _check_variant(targets, weights, source)
    is_head = [name for name in {**targets, **weights} if head and name.startswith(head)]
    if all(_fits(targets.get(name), weights.get(name)) for name in is_head):
        is_head = []  # the heads are equal: an ordinary part of the network
    body = {name: tensor for name, tensor in targets.items() if name not in is_head}
    given = {name: tensor for name, tensor in weights.items() if name not in is_head}
    _check_equal(body, given, source)
    _warn_not_finite(given, source)
    with torch.no_grad():
        for name, tensor in given.items():
            body[name].copy_(tensor)
    return LoadReport(
        source=source,
        loaded=tuple(given),
        head_kept=tuple(name for name in is_head if name in targets),
        head_unused=tuple(name for name in is_head if name in weights),
    )


def load_fitting(module: nn.Module, weights: Mapping[str, Tensor], *, source: str) -> None:
    """Copies the weights that fit by name and shape; a warning names the others on both sides."""
    targets = module.state_dict()
    fitting = {name: w for name, w in weights.items() if _fits(targets.get(name), w)}
    skipped = [name for name in {**targets, **weights} if name not in fitting]
    if skipped:
        warn_skipped(skipped, source)
    with torch.no_grad():
        for name, tensor in fitting.items():
            targets[name].copy_(tensor)


def warn_skipped(names: Iterable[str], source: str) -> None:
    """Say which weights were passed over, as `skip_mismatch=True` asks."""
    names = list(names)
    warnings.warn(
        f"{Path(source).name}: {len(names)} weights were passed over ({_first(names)}); the"
        " network keeps its own there",
        stacklevel=4,
    )


def _fits(target: Tensor | None, given: Tensor | None) -> bool:
    return (
        target is not None
        and given is not None
        and target.shape == given.shape
        and target.is_floating_point() == given.is_floating_point()
    )


def _check_equal(targets: Mapping[str, Tensor], weights: Mapping[str, Tensor], source: str) -> None:
    missing = [
        name for name in targets if name not in weights and not name.endswith("num_batches_tracked")
    ]
    unexpected = [name for name in weights if name not in targets]
    differing = [
        f"{name}: network {_describe(targets[name])}, file {_describe(weights[name])}"
        for name in weights
        if name in targets and not _fits(targets[name], weights[name])
    ]
    found = [
        f"{len(names)} {label} ({_first(names)})"
        for names, label in (
            (missing, "missing from the file"),
            (unexpected, "the network does not have"),
            (differing, "with another shape or type"),
        )
        if names
    ]
    if found:
        hint = did_you_mean(missing[0], unexpected, count=1) if missing and unexpected else ""
        raise WeightsError(
            f"the weights do not fit the network: {'; '.join(found)}.{hint}",
            where=source,
            why=f"all {len(targets)} weights must match by name and shape; nothing was loaded",
            fix="build the network these weights were trained with, or name the right file",
        )


def _describe(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"


def _first(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")


def _check_variant(
    targets: Mapping[str, Tensor], weights: Mapping[str, Tensor], source: str
) -> None:
    for family, marks in _VARIANTS.items():
        network, file = ([mark in names for mark in marks] for names in (targets, weights))
        if sorted(network) == sorted(file) == [False, True] and network != file:
            (whose, room), (own, _) = _WHOSE[file.index(True)], _WHOSE[network.index(True)]
            raise WeightsError(
                f"these weights belong to {whose} of the {family}, the network is {own}",
                where=source,
                why="the two differ in strides or padding, biases or BatchNorm epsilon, so one's"
                " weights are wrong in the other even where shapes agree",
                fix=f"build the network from {room}",
            )


def _warn_not_finite(weights: Mapping[str, Tensor], source: str) -> None:
    bad = [
        name
        for name, tensor in weights.items()
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all())
    ]
    if bad:
        warnings.warn(
            f"{Path(source).name}: {len(bad)} weights hold NaN or infinity ({_first(bad)}); the"
            " network's outputs will not be numbers either",
            stacklevel=3,
        )
