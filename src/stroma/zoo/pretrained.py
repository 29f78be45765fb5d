"""Pretrained weights into a network of the zoo."""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike

from stroma.models import Model
from stroma.saving.weights import load_into, read_weights
from stroma.zoo.translation import torchvision_names
from stroma.zoo.weights import resolve_weights


def load_pretrained(
    model: Model,
    architecture: str,
    weights: str | PathLike[str] | None,
    *,
    head: str,
    rename: Callable[[str], str] | None = None,
) -> Model:
    """`model` with the weights loaded, and with what belongs to them: how pictures are prepared.

    Afterwards `model.preprocessing` is theirs, `model.pretrained` says which file they are (path,
    hash, licence) and `model.load_report` what was loaded of it.

    Args:
        model: The network.
        architecture: Its builder's name, for names in the table of weights.
        weights: A path, a name (`stroma.zoo.weights`), or None for none.
        head: How the names of its classifier head start; it may differ from the file's.
        rename: From a name in the file to the network's, where files have older names.

    Raises:
        WeightsError: the weights were not found, or do not fit.
        FileFormatError: the file is damaged or unsafe.
    """
    if weights is None:
        return model
    found = resolve_weights(architecture, weights)
    given = torchvision_names(read_weights(found.path), source=str(found.path))
    if rename is not None:
        given = {rename(name): tensor for name, tensor in given.items()}
    model.load_report = load_into(model, given, head=head, source=str(found.path))
    model.pretrained = found
    model.preprocessing = found.preprocessing
    return model
