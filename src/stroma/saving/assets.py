"""What layers keep in a `.keras` file beside settings and arrays: vocabularies, as Keras does it.

Such a layer names its files (`ASSETS`) and arrays (`ARRAYS`), gives them (`assets`,
`named_arrays`) and takes them back (`load_assets`, `load_named_arrays`); it never opens a file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stroma.core.layer import Layer
from stroma.saving import archive
from stroma.saving.arrays import Order, ordered_layers, places

_FOLDER = "assets"


def _keepers(network: Layer, order: Order) -> dict[str, Any]:
    """The layers that keep something, by their place in the file."""
    return {
        place.path: place.layer
        for place in places(network, order)
        if hasattr(place.layer, "load_assets")
    }


def assets_of(network: Layer) -> dict[str, bytes]:
    """What the layers keep, by member of the file."""
    return {
        f"{_FOLDER}/{path}/{name}": content
        for path, keeper in _keepers(network, ordered_layers).items()
        for name, content in keeper.assets().items()
    }


def load_assets(network: Layer, path: Path, order: Order = ordered_layers) -> None:
    """Hand each layer what the file has for it; a file without is not opened again."""
    for place, keeper in _keepers(network, order).items():
        members = {f"{_FOLDER}/{place}/{name}": name for name in keeper.ASSETS}
        found = archive.read_archive(path, members)
        keeper.load_assets({members[m]: content for m, content in found.items()}, where=str(path))
