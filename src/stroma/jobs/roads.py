"""Which road: features of a pretrained base, or a network from scratch; and why."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from stroma import zoo
from stroma.core.errors import ArgumentError, WeightsError
from stroma.jobs.options import TrainOptions
from stroma.transfer.bases import architecture_of, network_file
from stroma.zoo.hub import hub_weights, is_hub_name
from stroma.zoo.weights import TABLE, FoundWeights, find_local, resolve_weights, torch_cache

# Nobody names them, so these are tried in this order: best features first, as long as time allows.
_PREFERRED = ("resnet50", "resnet34", "resnet18", "squeezenet1_1", "resnet56", "resnet20")
_SMALLEST = "squeezenet1_1"


@dataclass(frozen=True, slots=True)
class Road:
    """`bases` are candidates in order of choice; none of them means: from scratch."""

    why: str
    other: str
    bases: tuple[FoundWeights, ...] = ()
    architecture: str = ""  # of a given file that the table does not know

    def architecture_of(self, base: FoundWeights) -> str:
        return base.entry.architecture if base.entry is not None else self.architecture


def choose_road(
    options: TrainOptions, size: tuple[int, int], say: Callable[[str], None] | None = None
) -> Road:
    """The road that the options name, else the one that this machine allows.

    Args:
        options: Of the run.
        size: (height, width) that the photos have by themselves.
        say: Told where weights were found, or that they will be fetched.
    Raises: ArgumentError: the network is unknown, or the weights do not say theirs.
        WeightsError: the weights are not there, or damaged.
    """
    if network := _own_network(options):
        other = _typed(options.path, "--weights", "none")
        return Road(f"you named a network ({network})", other, (network_file(network),),
                    network.stem)  # fmt: skip
    if options.model is not None:
        zoo.architectures.lookup(options.model)
    given, fixed = options.weights, options.road == "features"
    if given == "none":
        if fixed:
            raise _without_base(options)
        return Road("you asked for no pretrained weights (--weights none)", _with_weights(options))
    other = _typed(options.path, "--weights", "none")
    if given is not None:
        if is_hub_name(given):
            name = options.model or architecture_of(hub_weights(given, download=True, say=say))
        else:
            name = _architecture_of(options, given)
        tag = Path(given) if Path(given).is_file() else given
        try:
            found = resolve_weights(name, tag, say=say)
        except WeightsError as error:
            if Path(given).exists():
                raise
            fix = f"{error.fix}. {_meanwhile(options)}"
            raise WeightsError(error.what, where=error.where, why=error.why, fix=fix) from error
        return Road(f"you named weights ({given})", other, (found,), name)
    lying = find_local(options.model)
    found_here = [found for found in lying if _suits(found, size)]
    if fixed and not found_here:  # photos of another size than the base knows: better than nothing
        if not lying:
            raise _nowhere(options)
        found_here = lying
    if not found_here:
        why = f"no weights of {options.model}" if options.model else "no pretrained weights"
        return Road(f"{why} for such photos are on this machine", _with_weights(options))
    found_here.sort(key=_rank)
    return Road("pretrained weights are on this machine", other, tuple(found_here))


def _without_base(options: TrainOptions) -> ArgumentError:
    return ArgumentError(
        "transfer without pretrained weights",
        where="--weights none",
        why="it builds on what a base has learnt on other photos",
        fix=_typed(options.path, "--weights", "none") + " trains from scratch",
    )


def _nowhere(options: TrainOptions) -> WeightsError:
    """Which file to bring, where to put it, and what can be done meanwhile."""
    name = options.model or _SMALLEST
    entry = next((entry for entry in TABLE if entry.architecture == name and entry.url), None)
    if entry is None:
        bring = f"--weights FILE with the weights of {name}"
    else:
        bring = (
            f"bring {entry.url} ({entry.megabytes:g} MB) to {torch_cache() / entry.file}, or give "
            f"its path: --weights FILE. --weights {name} fetches it"
        )
    what = f"weights of {options.model}" if options.model else "pretrained weights"
    return WeightsError(
        f"no {what} are on this machine",
        where="$STROMA_WEIGHTS and the caches of torch hub, the Hugging Face hub and Keras",
        why="a base is what was learnt on other photos, and nothing is fetched unless you name it",
        fix=f"{bring}. {_meanwhile(options)}",
    )


def _meanwhile(options: TrainOptions) -> str:
    """What needs no base."""
    return f"Meanwhile, from scratch: {_typed(options.path, '--weights', 'none')}"


def _rank(found: FoundWeights) -> int:
    name = found.entry.architecture if found.entry else ""
    return _PREFERRED.index(name) if name in _PREFERRED else len(_PREFERRED)


def _own_network(options: TrainOptions) -> Path | None:
    """The `.keras` file that was named, as the base or as its weights."""
    given = [name for name in (options.model, options.weights) if name]
    named = [name for name in given if name.endswith(".keras")]
    if not named:
        return None
    if len(given) > 1:
        raise ArgumentError(
            f"both {given[0]} and {given[1]} are named",
            where=f"--base {given[0]} --weights {given[1]}",
            why="a .keras file holds a network and its weights",
            fix=f"--base {named[0]}",
        )
    if not Path(named[0]).is_file():
        raise WeightsError(
            f"there is no file {named[0]}",
            where=str(Path(named[0]).resolve()),
            why="a base that ends in .keras is a file with a network and its weights",
            fix="the path of a file that is there, or a name such as squeezenet1_1",
        )
    return Path(named[0])


def _suits(found: FoundWeights, size: tuple[int, int]) -> bool:
    """Whether the weights saw pictures of about this size: enlarged ones are another world."""
    if found.preprocessing is None:
        return False
    return min(size) / min(found.preprocessing.size) >= 0.5 and (
        min(found.preprocessing.size) >= 64 or max(size) <= 64
    )


def _architecture_of(options: TrainOptions, weights: str) -> str:
    """The network that weights belong to: as asked for, by their name, their file's or its hash."""
    path, flag = Path(weights), "--base" if options.road == "features" else "--model"
    known_as = _in_table(path) if path.is_file() else ""
    if options.model is not None:
        if known_as and known_as != options.model:
            raise ArgumentError(
                f"{path.name} holds weights of {known_as}, not of {options.model}",
                where=f"{flag} {options.model} --weights {weights}",
                why="its name or its hash is in stroma's table, and no layer would fit",
                fix=f"{flag} {known_as}, or leave {flag} out",
            )
        return options.model
    name = weights.partition(":")[0]
    if name in zoo.architectures:
        return name
    if path.is_file():
        if known_as:
            return known_as
        named = [known for known in zoo.architectures if path.name.startswith(known)]
        if named:
            return max(named, key=len)
    elif path.name == weights and not path.suffix:
        tags = sorted({entry.architecture for entry in TABLE if entry.tag.startswith(weights)})
        known = tags or sorted({entry.architecture for entry in TABLE})
        raise ArgumentError(
            f"{weights!r} does not say for which network",
            where=f"--weights {weights}",
            why=f"there are weights for {', '.join(known)}",
            fix=f"--weights {known[0]}",
        )
    else:
        folder = path.is_dir()
        raise ArgumentError(
            f"{weights} is a folder" if folder else f"there is no file of weights {weights}",
            where=str(path.resolve()),
            why="--weights takes 'none', a file, or a name such as squeezenet1_1",
            fix=f"--weights {path / 'FILE'}"
            if folder
            else f"--weights {_SMALLEST}, or the path of a file that is there",
        )
    raise ArgumentError(
        f"{path.name} does not say for which network it is",
        where=f"--weights {weights}",
        why="neither its name nor its hash is in stroma's table",
        fix=f"add {flag}, one of: {', '.join(sorted(zoo.architectures))}",
    )


def _in_table(path: Path) -> str:
    """The network of a file that stroma's table knows; "" for another file."""
    sha256 = FoundWeights(path=path, place="").sha256
    known = (
        entry.architecture
        for entry in TABLE
        if path.name == entry.file or sha256.startswith(entry.hash_prefix)
    )
    return next(known, "")


def _with_weights(options: TrainOptions) -> str:
    return _typed(options.path, "--weights", _SMALLEST)


def _typed(path: str, *rest: str) -> str:
    return shlex.join(["stroma", "train", typed_path(path), *rest])


def typed_path(path: str) -> str:
    """A path as it must be typed: one that begins with "-" would be read as an option.

    Example:
        >>> typed_path("-photos"), typed_path("photos")
        ('./-photos', 'photos')
    """
    return f"./{path}" if path.startswith("-") else path


def size_of(architecture: str) -> str:
    """ "5 MB": what the table says the weights of an architecture weigh."""
    sizes = [entry.megabytes for entry in TABLE if entry.architecture == architecture and entry.url]
    return f"{sizes[0]:.0f} MB" if sizes else ""
