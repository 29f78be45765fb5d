"""Freezing and thawing by name: which layers of a network training may change.

A frozen layer keeps its weights *and* its BatchNorm statistics, bit for bit, also under
`training=True`. Nothing has to be compiled again, and the optimizer keeps what it knows of a weight
while that rests.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from stroma.core.errors import ArgumentError, did_you_mean
from stroma.core.layer import Layer
from stroma.layers.normalization import BatchNormalization
from stroma.layers.torch_module import TorchModuleWrapper
from stroma.network.network import Network


class Place(NamedTuple):
    """One call of a layer, where it runs.

    Args:
        path: Its key in the network's `state_dict`, nested networks included: "base.layer1.conv".
        starts: Positions in `path` where a name may begin: at the front, and in each network.
        layer: The layer; itself no recorded network.
    """

    path: str
    starts: tuple[int, ...]
    layer: Layer

    def answers_to(self, name: str) -> str | None:
        """The path of what `name` means here, or None: this layer, or what it is a part of."""
        for start in self.starts:
            if f"{self.path[start:]}.".startswith(f"{name}."):
                return self.path[: start + len(name)]
        return None


def running_order(network: Network) -> list[Place]:
    """Every call of a layer in running order, those inside nested networks in their place.

    Layers of a network with its own `call` stand in the order in which it holds them. A shared
    layer stands wherever it is called.
    """
    return list(_places(network, "", (0,)))


def _places(network: Network, prefix: str, starts: tuple[int, ...]) -> Iterator[Place]:
    keys = {id(layer): key for key, layer in network.keys().items()}
    calls = [node.target for node in network.nodes if node.kind == "layer"]
    for layer in calls or network.keys().values():
        path = prefix + keys[id(layer)]
        if isinstance(layer, Network):
            yield from _places(layer, f"{path}.", (*starts, len(path) + 1))
        else:
            yield Place(path, starts, layer)


def freeze(network: Network, until: str | None = None) -> None:
    """Freeze the layers that run before `until`; without it, all of them.

    A layer that is shared with what comes after is frozen too: what reaches `until` then never
    changes. Layers from `until` on stay as they are, and so do weights that a class of yours makes
    for itself (`self.add_weight` in a `Model`): they have no place in the running order.
    `freeze(network)` reaches them.

    Args:
        network: The network; layers inside nested networks are reached.
        until: First layer that is not frozen: the name of a layer or of a nested network, its key
            in `state_dict`, or the beginning of keys ("layer3" for "layer3.0.conv1", ...).
    Raises: ArgumentError: no layer has this name, or several places do.
    Example:
        >>> from stroma import Sequential, layers
        >>> model = Sequential([layers.Input((4,)), layers.Dense(3), layers.Dense(2, name="head")])
        >>> freeze(model, until="head")
        >>> [layer.trainable for layer in model.layers]
        [False, True]
    """
    if until is None:
        network.trainable = False
        return
    before, _ = _split(network, until, owner="freeze(until=...)")
    for layer in before:
        layer.trainable = False
    _mark_networks(network)


def unfreeze(
    network: Network, from_: str | None = None, *, batch_normalization: bool = True
) -> None:
    """Let training change the layers from `from_` on; without it, all of them.

    Layers that run before `from_`, shared ones among them, stay as they are.

    Args:
        network: The network.
        from_: First layer to thaw, named as in `freeze`.
        batch_normalization: False leaves every BatchNormalization frozen, scale and statistics:
            with few photos in a batch its running figures know better than the batch's.
            BatchNorm inside a wrapped PyTorch module is reached too.
    Raises: ArgumentError: no layer has this name, or several places do.
    Example:
        >>> from stroma import Sequential, layers
        >>> model = Sequential([layers.Input((4,)), layers.Dense(3), layers.Dense(2, name="head")])
        >>> freeze(model)
        >>> unfreeze(model, from_="head")
        >>> [layer.trainable for layer in model.layers]
        [False, True]
    """
    if from_ is None:
        after = [place.layer for place in running_order(network)]
        if batch_normalization:
            network.trainable = True  # reaches what a network holds outside its layers
    else:
        _, after = _split(network, from_, owner="unfreeze(from_=...)")
    for layer in after:
        if batch_normalization:
            layer.trainable = True
        else:
            _thaw_all_but_normalization(layer)
    _mark_networks(network)


def _thaw_all_but_normalization(layer: Layer) -> None:
    for part in layer.modules():
        if isinstance(part, Layer) and not isinstance(part, BatchNormalization):
            part._trainable = True  # the setter would reach down to the normalization within
            for weight in part.own_weights():
                weight.requires_grad_(weight.spec.trainable and weight.is_floating_point())
            if isinstance(part, TorchModuleWrapper):
                part.freeze_normalization()


def _split(network: Network, name: str, *, owner: str) -> tuple[list[Layer], list[Layer]]:
    """The layers that run before `name`, and those that only run from there on; each once."""
    places = running_order(network)
    found = [place.answers_to(name) for place in places]
    meant = {path for path in found if path is not None}
    if len(meant) != 1:
        known = {part: None for place in places for part in _names(place)}
        raise ArgumentError(
            f"{network.name!r} has {'no layer' if not meant else f'{len(meant)} layers called'} "
            f"{name!r}.{did_you_mean(name, known) if not meant else ''}",
            where=owner,
            why="the name says where the frozen part ends",
            fix=f"one of: {', '.join(sorted(meant) or list(known)[:12])}",
        )
    at = next(index for index, path in enumerate(found) if path is not None)
    before = {id(place.layer): place.layer for place in places[:at]}
    after = {id(p.layer): p.layer for p in places[at:] if id(p.layer) not in before}
    return list(before.values()), list(after.values())


def _names(place: Place) -> Iterator[str]:
    """What a user may call this place, the shortest first: "layer3", "layer3.0", ..."""
    parts = place.path[place.starts[-1] :].split(".")
    for count in range(1, len(parts) + 1):
        yield ".".join(parts[:count])


def _mark_networks(network: Network) -> None:
    """A network is trainable while a layer in it is: Keras asks the network first."""
    for part in network.modules():
        if isinstance(part, Network):
            layers = [place.layer for place in running_order(part)]
            part._trainable = any(layer.trainable for layer in layers) or not layers
