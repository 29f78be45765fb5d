"""Pretrained weights: one table of what exists, and where on this machine it already lies.

Nothing here opens a network connection unless weights are asked for by name and are nowhere on
the machine (`stroma.zoo.fetch`).
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Literal

import torch

from stroma.core.errors import WeightsError, did_you_mean
from stroma.core.preprocessing import Preprocessing
from stroma.saving.files import regular_file
from stroma.zoo.cards import Card, read_card
from stroma.zoo.fetch import download_file
from stroma.zoo.hub import hub_cache, hub_files, hub_weights, is_hub_name
from stroma.zoo.table import TABLE as TABLE
from stroma.zoo.table import WeightsEntry as WeightsEntry

Purpose = Literal["features", "finetuning"]
PURPOSES: tuple[Purpose, ...] = ("features", "finetuning")
_V1, _V2 = "imagenet-v1", "imagenet-v2"  # torchvision's recipes

_SUFFIXES = (".safetensors", ".pth", ".pt", ".th", ".bin", ".h5", ".keras")


@dataclass(frozen=True, kw_only=True)
class FoundWeights:
    """A file of weights on this machine.

    Args:
        path: The file.
        place: How it was found ("the given path", "torch hub's cache", ...).
        entry: Its line in the table; None: a file of the user's own.
        card: What timm or transformers wrote beside it; None: nothing.
        reason: Why these and not the other recipe; empty: there was no choice.
    """

    path: Path
    place: str
    entry: WeightsEntry | None = None
    card: Card | None = None
    reason: str = ""

    @cached_property
    def sha256(self) -> str:
        """Hash of the whole file, hexadecimal."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    @property
    def preprocessing(self) -> Preprocessing | None:
        """How its pictures were turned into numbers; None: not known."""
        if self.entry:
            return self.entry.preprocessing
        return self.card.preprocessing if self.card else None

    def suits(self, size: tuple[int, int]) -> bool:
        """Whether they saw pictures of about this (height, width): enlarged is another world.

        Pictures have half their side or more; those of networks for under 64 pixels are that small.
        """
        if self.preprocessing is None:
            return False
        side = min(self.preprocessing.size)
        return 2 * min(size) >= side and (side >= 64 or max(size) <= 64)

    @property
    def licence(self) -> str:
        """Terms of the file; empty: not known."""
        if self.entry:
            return self.entry.licence
        return self.card.licence if self.card else ""


def find_local(
    architecture: str | None = None, purpose: Purpose = "features"
) -> list[FoundWeights]:
    """The table's weights that already lie on this machine, in order of choice. No network.

    Looked for in `$STROMA_WEIGHTS` (a folder or a file), then in the caches of torch hub, the
    Hugging Face hub and Keras.

    Args:
        architecture: Only weights of this builder; None: of all.
        purpose: Which recipe of an architecture comes first: see `resolve_weights`.
    """
    return [
        found
        for entry in _in_order(TABLE, purpose)
        if architecture in (None, entry.architecture)
        for found in list(_search(entry))[:1]
    ]


def resolve_weights(
    architecture: str,
    weights: str | PathLike[str],
    *,
    purpose: Purpose = "features",
    download: bool = True,
    say: Callable[[str], None] | None = None,
) -> FoundWeights:
    """The file that `weights` means, fetched if it is named and nowhere on this machine.

    Where a name leaves the recipe open, v1 is taken for frozen features and v2 for fine-tuning, as
    far as they are on this machine, and the reason is said.

    Args:
        architecture: Builder the weights are for ("resnet50").
        weights: A path; "hf://owner/name" of the Hugging Face hub, or timm's "hf-hub:..."; or a
            name: a tag ("imagenet-v1"), the start of one ("imagenet"), the architecture,
            "architecture:tag", or a purpose ("finetuning").
        purpose: "features" or "finetuning": what the weights are for.
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
    if isinstance(weights, str) and is_hub_name(weights):
        path = hub_weights(weights, download=download, say=say)
        return replace(_given(architecture, path), place="in the Hugging Face cache")
    if isinstance(weights, str) and weights in PURPOSES:
        purpose, weights = weights, architecture
    entries = _entries(architecture, weights) if isinstance(weights, str) else []
    if not entries:
        return _given(architecture, weights)
    entries = _in_order(entries, purpose)
    for entry in entries:
        for found in _search(entry):
            _verify(found)
            reason = _reason(entry, entries, purpose)
            say(f"Using {found.path} ({found.place})" + (f": {reason}" if reason else ""))
            return replace(found, reason=reason)
    fetchable = [entry for entry in entries if entry.url]
    if not download or not fetchable:
        raise _nowhere(entries[0])
    reason = _reason(fetchable[0], fetchable, purpose)
    return replace(_fetch(fetchable[0], say), reason=reason)


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


def _in_order(entries: Sequence[WeightsEntry], purpose: Purpose) -> list[WeightsEntry]:
    """The table's order, except that v2 comes first where networks are to be tuned."""
    architectures = [entry.architecture for entry in entries]
    return sorted(
        entries,
        key=lambda entry: (
            architectures.index(entry.architecture),
            purpose == "finetuning" and entry.tag != _V2,
        ),
    )


def _reason(entry: WeightsEntry, entries: Sequence[WeightsEntry], purpose: Purpose) -> str:
    """Why this recipe, where the name meant both."""
    if not {_V1, _V2} <= {other.tag for other in entries}:
        return ""
    if purpose == "features":
        rule = "v1's features serve a head on a frozen base better than v2's"
    else:
        rule = "v2 is the better start for fine-tuning"
    if entry == entries[0]:
        return f"{entry.tag}, since {rule}"
    return f"{entry.tag}, though {rule}: {entries[0].tag} is not on this machine"


def _is_path(name: str) -> bool:
    return Path(name).name != name or name.lower().endswith(_SUFFIXES) or Path(name).is_file()


def _given(architecture: str, path: str | PathLike[str]) -> FoundWeights:
    path = regular_file(path)
    found = FoundWeights(path=path, place="the given path", card=read_card(path))
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
    for path in sorted(hub_cache().glob(f"models--*/snapshots/*/{entry.file}")):
        yield "in the Hugging Face cache", path
    for path in hub_files(entry.hub) if entry.hub else ():
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
