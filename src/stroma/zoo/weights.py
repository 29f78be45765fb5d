"""Pretrained weights: one table of what exists, and where on this machine it already lies.

Nothing here opens a network connection unless weights are asked for by name and are nowhere on
the machine (`stroma.zoo.fetch`).
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any

import torch

from stroma.core.errors import WeightsError, did_you_mean
from stroma.core.preprocessing import PREPROCESSING_MODES, Preprocessing
from stroma.saving.files import regular_file
from stroma.zoo.fetch import download_file

_TORCHVISION = "https://download.pytorch.org/models/"
_AKAMASTER = "https://github.com/akamaster/pytorch_resnet_cifar10/raw/master/pretrained_models/"
_SUFFIXES = (".safetensors", ".pth", ".pt", ".th", ".bin", ".h5", ".keras")


@dataclass(frozen=True, kw_only=True, slots=True)
class WeightsEntry:
    """One file of pretrained weights.

    Args:
        architecture: The builder in `stroma.zoo` that these weights fit ("resnet18").
        tag: What they were trained on, and which recipe ("imagenet-v1").
        file: File name; it ends in the first digits of its SHA-256, as PyTorch's hub has it.
        url: Address to fetch it from; empty: only used where it already lies.
        megabytes: Size, 10^6 bytes, to three digits. The hash is what is checked.
        hash_prefix: First digits of the file's SHA-256.
        classes: Classes of the head.
        preprocessing: How its pictures were turned into numbers.
        licence: Terms of the file.
        source: Who trained it.
        hub: Repository on the Hugging Face hub with the same weights; looked for in its cache.
    """

    architecture: str
    tag: str
    file: str
    url: str
    megabytes: float
    hash_prefix: str
    classes: int
    preprocessing: Preprocessing
    licence: str
    source: str
    hub: str = ""

    @property
    def name(self) -> str:
        """`"resnet18:imagenet-v1"`."""
        return f"{self.architecture}:{self.tag}"


def _torchvision(
    architecture: str,
    digits: str,
    megabytes: float,
    *,
    tag: str = "imagenet-v1",
    resize: int = 256,
    stem: str = "",
    hub: str = "",
) -> WeightsEntry:
    file = f"{stem or architecture}-{digits}.pth"
    return WeightsEntry(
        architecture=architecture,
        tag=tag,
        file=file,
        url=_TORCHVISION + file,
        megabytes=megabytes,
        hash_prefix=digits,
        classes=1000,
        preprocessing=replace(PREPROCESSING_MODES["torch"], resize=resize),
        licence="BSD-3-Clause (torchvision); trained on ImageNet, whose terms are its own",
        source="https://github.com/pytorch/vision",
        hub=hub,
    )


def _cifar10(depth: int, digits: str, megabytes: float) -> WeightsEntry:
    file = f"resnet{depth}-{digits}.th"
    return WeightsEntry(
        architecture=f"resnet{depth}",
        tag="cifar10",
        file=file,
        url=_AKAMASTER + file,
        megabytes=megabytes,
        hash_prefix=digits,
        classes=10,
        preprocessing=replace(PREPROCESSING_MODES["torch"], size=(32, 32)),
        licence="BSD-2-Clause",
        source="https://github.com/akamaster/pytorch_resnet_cifar10",
    )


# The evaluation crops of the two recipes: 224 of 256 (v1), 224 of 232 (v2)
_V2: dict[str, Any] = {"tag": "imagenet-v2", "resize": 232}
# The order is the order of choice: "imagenet" means the first line of an architecture. v1 comes
# before v2 because v2's long recipe (label smoothing, mixing) gives features that a linear head
# separates less well (Kornblith et al. 2021, "Why Do Better Loss Functions Lead to Less
# Transferable Features?").
TABLE: tuple[WeightsEntry, ...] = (
    _torchvision("resnet18", "f37072fd", 46.8, hub="timm/resnet18.tv_in1k"),
    _torchvision("resnet34", "b627a593", 87.3, hub="timm/resnet34.tv_in1k"),
    _torchvision("resnet50", "0676ba61", 103, hub="timm/resnet50.tv_in1k"),
    _torchvision("resnet50", "11ad3fa6", 103, **_V2, hub="timm/resnet50.tv2_in1k"),
    _torchvision("resnet101", "63fe2227", 179, hub="timm/resnet101.tv_in1k"),
    _torchvision("resnet101", "cd907fc2", 179, **_V2, hub="timm/resnet101.tv2_in1k"),
    _torchvision("resnet152", "394f9c45", 242, hub="timm/resnet152.tv_in1k"),
    _torchvision("resnet152", "f82ba261", 242, **_V2, hub="timm/resnet152.tv2_in1k"),
    _torchvision("squeezenet1_1", "b8a52dc0", 4.96),
    replace(
        _torchvision("squeezenet1_1", "c462713d", 2.48, tag="imagenet-v1-fp16"),
        file="squeezenet1_1-imagenet-fp16.safetensors",
        url="",
        licence="BSD-3-Clause (ncnn-assets); trained on ImageNet, whose terms are its own",
        source="https://github.com/nihui/ncnn-assets",
    ),
    _torchvision("mobilenet_v2", "b0353104", 14.2),
    _torchvision("mobilenet_v2", "7ebf99e0", 14.3, **_V2),
    _torchvision("mobilenet_v3_small", "047dcff4", 10.3),
    # torchvision prepared these pictures by bicubic resizing, all others by bilinear
    _torchvision("efficientnet_b0", "7f5810bc", 21.4, stem="efficientnet_b0_rwightman"),
    _torchvision("vgg16", "397923af", 553),
    _torchvision("densenet121", "a639ec97", 32.3),
    _torchvision("convnext_tiny", "983f1562", 114, resize=236),
    _cifar10(20, "12fca82f", 1.10),
    _cifar10(32, "d509ac18", 1.89),
    _cifar10(44, "014dd654", 2.68),
    _cifar10(56, "4bfd9763", 3.47),
    _cifar10(110, "1d1ed7c2", 7.03),
)


@dataclass(frozen=True, kw_only=True)
class FoundWeights:
    """A file of weights on this machine.

    Args:
        path: The file.
        place: How it was found ("the given path", "torch hub's cache", ...).
        entry: Its line in the table; None: a file of the user's own.
    """

    path: Path
    place: str
    entry: WeightsEntry | None = None

    @cached_property
    def sha256(self) -> str:
        """Hash of the whole file, hexadecimal."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    @property
    def preprocessing(self) -> Preprocessing | None:
        """How its pictures were turned into numbers; None: not known."""
        return self.entry.preprocessing if self.entry else None

    @property
    def licence(self) -> str:
        """Terms of the file; empty: not known."""
        return self.entry.licence if self.entry else ""


def find_local(architecture: str | None = None) -> list[FoundWeights]:
    """The table's weights that already lie on this machine, in order of choice. No network.

    Looked for in `$STROMA_WEIGHTS` (a folder or a file), then in the caches of torch hub, the
    Hugging Face hub and Keras.

    Args:
        architecture: Only weights of this builder; None: of all.
    """
    return [
        found
        for entry in TABLE
        if architecture in (None, entry.architecture)
        for found in list(_search(entry))[:1]
    ]


def resolve_weights(
    architecture: str,
    weights: str | PathLike[str],
    *,
    download: bool = True,
    say: Callable[[str], None] | None = None,
) -> FoundWeights:
    """The file that `weights` means, fetched if it is named and nowhere on this machine.

    Args:
        architecture: Builder the weights are for ("resnet50").
        weights: A path; or a name: a tag ("imagenet-v1"), the start of one ("imagenet"), the
            architecture, or "architecture:tag".
        download: Whether a name that is nowhere on the machine may be fetched.
        say: Where to announce a file that was found or will be fetched; default: stderr.

    Raises:
        WeightsError: the name is unknown, the file is damaged, or it could not be fetched.

    Example:
        >>> resolve_weights("resnet18", "imagnet")
        Traceback (most recent call last):
        ...
        stroma.core.errors.WeightsError: resnet18 has no weights called 'imagnet'. Did you mean 'imagenet-v1'?
          where: weights='imagnet'
          why: names come from one table: imagenet-v1
          try: weights='imagenet-v1', or the path of a file
    """  # noqa: E501  (what a doctest expects cannot be wrapped)
    say = say or _to_stderr
    entries = [] if isinstance(weights, PathLike) else _entries(architecture, weights)
    if not entries:
        return _given(architecture, weights)
    for entry in entries:
        for found in _search(entry):
            _verify(found)
            say(f"Using {found.path} ({found.place})")
            return found
    fetchable = [entry for entry in entries if entry.url]
    if not download or not fetchable:
        raise _nowhere(entries[0])
    return _fetch(fetchable[0], say)


def _entries(architecture: str, name: str) -> list[WeightsEntry]:
    """The lines of the table that `name` may mean; empty when `name` is a path."""
    known = [entry for entry in TABLE if entry.architecture == architecture]
    tag = name.removeprefix(architecture).removeprefix(":")
    named = [e for e in known if e.tag == tag] or [
        e for e in known if not tag or e.tag.startswith(f"{tag}-")
    ]
    if named or _is_path(name):
        return named
    tags = [entry.tag for entry in known]
    raise WeightsError(
        f"{architecture} has no weights called {name!r}.{did_you_mean(name, tags)}",
        where=f"weights={name!r}",
        why=f"names come from one table: {', '.join(tags) or 'nothing for this architecture'}",
        fix=f"weights={tags[0]!r}, or the path of a file" if tags else "give the path of a file",
    )


def _is_path(name: str) -> bool:
    return Path(name).name != name or name.lower().endswith(_SUFFIXES) or Path(name).is_file()


def _given(architecture: str, path: str | PathLike[str]) -> FoundWeights:
    found = FoundWeights(path=regular_file(path), place="the given path")
    for entry in TABLE:
        if entry.architecture == architecture and found.sha256.startswith(entry.hash_prefix):
            return replace(found, entry=entry)
    for entry in TABLE:
        if entry.file == found.path.name:
            _verify(replace(found, entry=entry))
    return found


def _search(entry: WeightsEntry) -> Iterator[FoundWeights]:
    for place, path in _candidates(entry):
        if path.is_file():
            yield FoundWeights(path=path, place=place, entry=entry)


def _candidates(entry: WeightsEntry) -> Iterator[tuple[str, Path]]:
    if own := own_place():
        if own.is_dir():
            yield "in $STROMA_WEIGHTS", own / entry.file
        elif _identifies(entry, own):
            yield "$STROMA_WEIGHTS", own
    yield "in torch hub's cache", torch_cache() / entry.file
    hub = _hugging_face_cache()
    for path in sorted(hub.glob(f"models--*/snapshots/*/{entry.file}")):
        yield "in the Hugging Face cache", path
    if entry.hub:
        snapshots = hub / f"models--{entry.hub.replace('/', '--')}" / "snapshots"
        for name in ("model.safetensors", "pytorch_model.bin"):
            for path in sorted(snapshots.glob(f"*/{name}")):
                yield "in the Hugging Face cache", path
    yield "in Keras' cache", _keras_cache() / entry.file


def _identifies(entry: WeightsEntry, path: Path) -> bool:
    found = FoundWeights(path=path, place="")
    return path.name == entry.file or found.sha256.startswith(entry.hash_prefix)


def own_place() -> Path | None:
    """`$STROMA_WEIGHTS`, a folder or a file, when it is set."""
    value = os.environ.get("STROMA_WEIGHTS")
    if not value:
        return None
    path = Path(value).expanduser()
    if not (path.is_dir() or path.is_file()):
        raise WeightsError(
            f"STROMA_WEIGHTS names {value!r}, which is no folder and no file",
            where="the environment variable STROMA_WEIGHTS",
            why="weights are looked for there first",
            fix="make that folder, or unset STROMA_WEIGHTS",
        )
    return path


def torch_cache() -> Path:
    """Where `torch.hub` keeps weights; it may not exist yet."""
    return Path(torch.hub.get_dir()) / "checkpoints"


def _hugging_face_cache() -> Path:
    home = os.environ.get("HF_HOME") or Path("~/.cache/huggingface").expanduser()
    return Path(os.environ.get("HF_HUB_CACHE") or Path(home, "hub"))


def _keras_cache() -> Path:
    return Path(os.environ.get("KERAS_HOME") or Path("~/.keras").expanduser()) / "models"


def _verify(found: FoundWeights) -> None:
    """Files under the table's own name must have its hash; a hub's repack has another one."""
    entry = found.entry
    if entry is None or found.path.name != entry.file:
        return
    if not found.sha256.startswith(entry.hash_prefix):
        raise WeightsError(
            f"{found.path.name} is not the file its name says: its SHA-256 starts with"
            f" {found.sha256[:8]}, not {entry.hash_prefix}",
            where=str(found.path),
            why="it was cut short, damaged or changed",
            fix="move it away and ask again, or rename it if these weights are your own",
        )


def _fetch(entry: WeightsEntry, say: Callable[[str], None]) -> FoundWeights:
    own = own_place()
    folder = own if own and own.is_dir() else torch_cache()
    mirror = os.environ.get("STROMA_WEIGHTS_URL")  # for machines that reach only a mirror
    url = f"{mirror.rstrip('/')}/{entry.file}" if mirror else entry.url
    say(f"Fetching {url} ({entry.megabytes:g} MB; {entry.licence}) to {folder}")
    path = download_file(url, folder / entry.file, entry.hash_prefix)
    return FoundWeights(path=path, place=f"fetched from {url}", entry=entry)


def _nowhere(entry: WeightsEntry) -> WeightsError:
    source = entry.url or entry.source
    return WeightsError(
        f"the weights {entry.name!r} are not on this machine",
        where=f"{entry.file} ({entry.megabytes:g} MB)",
        why="looked in $STROMA_WEIGHTS and the caches of torch hub, the Hugging Face hub and Keras",
        fix=f"fetch {source} and put it at {torch_cache() / entry.file}",
    )


def _to_stderr(text: str) -> None:
    print(text, file=sys.stderr)
