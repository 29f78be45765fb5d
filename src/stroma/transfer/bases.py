"""A pretrained base from a name or a file, without its head; and where a base comes from."""

from __future__ import annotations

from dataclasses import replace
from os import PathLike
from pathlib import Path

from torch import nn

from stroma import zoo
from stroma.core.errors import ArgumentTypeError, GraphError, ShapeError, WeightsError
from stroma.core.preprocessing import Preprocessing
from stroma.core.records_transfer import BaseFacts
from stroma.models import Model
from stroma.saving import load_architecture, load_model
from stroma.saving.files import regular_file
from stroma.saving.weights import read_weights
from stroma.transfer.unlike import below_head
from stroma.zoo.cards import Card, read_card
from stroma.zoo.hub import hub_weights, is_hub_name
from stroma.zoo.table import TABLE
from stroma.zoo.translation import resnet_of, torchvision_names
from stroma.zoo.weights import FoundWeights, Purpose

InputShape = tuple[int | None, int | None, int]


def load_base(
    source: str | PathLike[str],
    *,
    architecture: str | None = None,
    input_shape: InputShape | None = None,
    layer: str | None = None,
    preprocessing: Preprocessing | None = None,
    purpose: Purpose = "features",
) -> Model:
    """A pretrained network without its head, and what belongs to it.

    `base.pretrained` says which file it is (path, hash, licence) and `base.preprocessing` what it
    wants of pixels: from stroma's table, from what timm or transformers wrote beside the file
    (`config.json`, `preprocessor_config.json`), or as given here. No file ever runs code.

    Args:
        source: A name in the zoo ("resnet50", "resnet50:imagenet-v2"); "hf://owner/name" of the
            Hugging Face hub, fetched where it is not on this machine (extra `hub`); a file of
            weights with torchvision's, timm's or transformers' names (ResNets); or a `.keras`
            file, which is cut below its head.
        architecture: Builder in `stroma.zoo` for a file of weights; None: by what lies beside the
            file, its hash, its name, or the blocks that it holds.
        input_shape: (height, width, channels) of the pictures; None: what the network has.
        layer: Of a `.keras` file, the layer whose output is taken; None: what enters its head.
        preprocessing: What the network wants of pixels; None: as found.
        purpose: "features" or "finetuning": which recipe, where a name leaves it open.
    Shape: (B, H, W, C) -> (B, h, w, D), or (B, D)
    Raises: WeightsError: the file does not say for which network it is, or does not fit it, weight
        by weight. FileFormatError: it is damaged or unsafe. GraphError: no head is found to cut.
    """
    if not isinstance(source, (str, PathLike)):
        raise ArgumentTypeError(
            f"load_base: the source is {source!r} ({type(source).__name__}), no name and no file",
            where="load_base(source)",
            why="a network that is there already needs no loading",
            fix="load_base('squeezenet1_1'), or the path of a file",
        )
    if str(source).endswith(".keras"):
        base = _from_keras(Path(source), layer, input_shape)
    else:
        base = _from_weights(source, architecture, input_shape, purpose)
    if preprocessing is not None:
        base.preprocessing = preprocessing
    return base


def provenance(base: nn.Module) -> BaseFacts:
    """Where a base comes from: names, path, hash, licence, preprocessing; empty what is not known.

    `architecture` is the name in the table ("resnet50:imagenet-v1") where the weights are in it.

    Example:
        >>> provenance(nn.Linear(3, 2)).architecture
        'Linear'
    """
    found: FoundWeights | None = getattr(base, "pretrained", None)
    wanted: Preprocessing | None = getattr(base, "preprocessing", None)
    name = base.name if isinstance(base, Model) else type(base).__name__
    facts = BaseFacts(
        architecture=name,
        preprocessing=_told(wanted) if wanted else "",
        parameters=sum(parameter.numel() for parameter in base.parameters()),
    )
    if found is None:
        return facts
    return replace(
        facts, architecture=found.entry.name if found.entry else f"{name}:{_short(found.path)}",
        weights_file=str(found.path), sha256=found.sha256, place=found.place,
        licence=found.licence,
    )  # fmt: skip


def network_file(path: Path) -> FoundWeights:
    """A `.keras` file as a base: where no card lies beside it, pixels enter as they are.

    That is right where the arithmetic of pixels lies in the network, as it does in every model that
    stroma ships and behind Keras' `Rescaling`.

    Raises: FileFormatError: the file is no network. ShapeError: it takes no pictures.
    """
    shape = load_architecture(regular_file(path)).input_shape
    if not isinstance(shape, tuple) or len(shape) != 4:
        raise ShapeError(
            f"the network in {path.name} takes {shape}, not pictures",
            where=str(path),
            why="a base takes one batch of pictures: (batch, height, width, channels)",
            fix="a network whose input is layers.Input((height, width, 3))",
        )
    card, (height, width) = read_card(path), shape[1:3]
    if card is None and height and width:
        card = Card(preprocessing=Preprocessing(size=(height, width), scale=1.0))
    return FoundWeights(path=path, place="the given path", card=card)


def architecture_of(path: Path) -> str:
    """The builder in `stroma.zoo` that a file of weights is for.

    By the card beside it, its hash, its name, or the residual blocks it holds, in this order.

    Raises: WeightsError: none of these tells.
    """
    card, found = read_card(path), FoundWeights(path=regular_file(path), place="")
    if card and card.architecture in zoo.architectures:
        return card.architecture
    for entry in TABLE:
        if path.name == entry.file or found.sha256.startswith(entry.hash_prefix):
            return entry.architecture
    named = [known for known in zoo.architectures if path.name.startswith(known)]
    if named:
        return max(named, key=len)
    if by_blocks := resnet_of(torchvision_names(read_weights(path), source=str(path))):
        return by_blocks
    raise WeightsError(
        f"{path.name} does not say for which network it is",
        where=str(path),
        why="no card lies beside it, its name and hash are in no table, its blocks are no ResNet's"
        + (f"; the card says {card.architecture!r}" if card and card.architecture else ""),
        fix="load_base(path, architecture=...), or let the file's name begin with the network's: "
        + ", ".join(sorted(zoo.architectures)),
    )


def _from_weights(
    source: str | PathLike[str], architecture: str | None, shape: InputShape | None,
    purpose: Purpose,
) -> Model:  # fmt: skip
    name, _, tag = str(source).partition(":")
    weights: str | PathLike[str] = source
    if architecture is None:
        if isinstance(source, str) and is_hub_name(source):
            architecture = architecture_of(hub_weights(source, download=True))
        elif not Path(source).is_file() and (name in zoo.architectures or name.isidentifier()):
            architecture, weights = name, tag or purpose
        else:
            architecture = architecture_of(Path(source))
    options = {} if shape is None else {"input_shape": shape}
    build = zoo.architectures.lookup(architecture)
    return build(weights=weights, include_top=False, **options)


def _from_keras(path: Path, layer: str | None, shape: InputShape | None) -> Model:
    model = load_model(path, compile=False)
    assert isinstance(model, Model)
    if layer is not None:
        base = Model(model.input, model.get_layer(layer).output, name=model.name)
    else:
        base = _without_head(model)
    wanted = tuple(base.input_shape[1:])
    if shape is not None and any(own not in (None, given) for own, given in zip(wanted, shape)):
        raise ShapeError(
            f"the network in {path.name} takes pictures of {wanted}, these are {shape}",
            where=str(path),
            why="the size is written in the file",
            fix=f"data.images(path, size={wanted[:2]})",
        )
    base.pretrained = FoundWeights(path=path, place="the given path", card=read_card(path))
    base.preprocessing = base.pretrained.preprocessing
    return base


def _without_head(model: Model) -> Model:
    """What enters the last dense layer; the whole network where it ends in features already."""
    if len(model.output_shape) == 4:
        return model
    last = model.nodes[-1] if model.nodes else None
    if last is not None and last.kind == "layer" and not last.target.weights:
        entering = last.inputs()[0]
        if entering.ndim == 4:  # pooled or flattened, nothing more
            return model
    try:
        return below_head(model)
    except GraphError as error:
        error.fix = "load_base(path, layer='...'), the layer whose output the features are"
        raise


def _short(path: Path) -> str:
    """Of the cache's models--owner--name/snapshots/hash/model.safetensors: owner/name."""
    for parent in path.parents:
        if parent.name.startswith("models--"):
            return parent.name.removeprefix("models--").replace("--", "/")
    return path.stem


def _told(wanted: Preprocessing) -> str:
    """ "RGB 224 x 224 of 256, (x * 0.00392 - mean) / std, mean (0.485, ...), std (...)"."""
    size = f"{wanted.size[0]} x {wanted.size[1]}" + (f" of {wanted.resize}" * bool(wanted.resize))
    mean, std = (", ".join(f"{n:g}" for n in numbers) for numbers in (wanted.mean, wanted.std))
    return (
        f"{wanted.color.upper()} {size}, (x * {wanted.scale:.6g} - mean) / std, mean ({mean}),"
        f" std ({std})"
    )
