"""`.keras` files: a network, its weights and how it was trained, readable by Keras 3 as well.

The zip holds `config.json` (Keras' description of the network), `model.weights.h5` (the arrays,
in Keras' order of axes and places) and `metadata.json` (versions; names that Keras cannot hold;
what the caller adds). Reading is closed: see `vocabulary`.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from stroma.core.custom_objects import CustomObjectScope
from stroma.core.errors import ArgumentError, FileFormatError, GraphError
from stroma.core.names import is_plain, numbered
from stroma.core.weight import values_come_later
from stroma.network.network import Network
from stroma.saving import archive, whole_safetensors
from stroma.saving.arrays import arrays_of, load_arrays, ordered_layers
from stroma.saving.assets import assets_of, load_assets
from stroma.saving.describe import describe_layer
from stroma.saving.files import regular_file, sniff
from stroma.saving.hdf5 import StoredArrays, write_hdf5
from stroma.saving.operations import is_operation
from stroma.saving.rebuild import Rebuilder
from stroma.saving.training_state import load_optimizer, optimizer_groups

KERAS_VERSION = "3.15.1"  # whose format this is


def save_model(
    model: Network,
    filepath: str | PathLike[str],
    overwrite: bool = True,
    zipped: bool | None = None,
    *,
    include_optimizer: bool = True,
    extra: Mapping[str, Any] | None = None,
) -> Path:
    """Write a network with its weights and, if it is compiled, its optimizer's state.

    Args:
        model: A built network.
        filepath: File to write, ending in `.keras`, or in `.safetensors`: then the network stands
            in the file's header, and how it was compiled is left out. It is whole or not there.
        overwrite: False: refuse when the file is there.
        zipped: Must not be False: a folder is not written.
        include_optimizer: False leaves out how it was compiled.
        extra: Plain data to keep with it: preprocessing, class names, where it came from.
    Returns: The path.
    Raises: GraphError: the network is not built, or holds what a file cannot.
        ArgumentError: another ending, or the path is taken.
    """
    if zipped is False:
        raise ArgumentError(
            "a model is saved as one file, not as a folder",
            where="save(zipped=False)",
            why="one file is whole or not there, and a folder can be half written",
            fix="save('model.keras')",
        )
    path = target_path(filepath, (".keras", whole_safetensors.ENDING), overwrite)
    require_built(model)
    described = describe_layer(model)
    if path.name.endswith(whole_safetensors.ENDING):
        return whole_safetensors.write(path, model, described, dict(extra or {}))
    names: dict[str, str] = {}
    _rename(described["config"], "", names, set())
    groups = arrays_of(model)
    compiled = getattr(model, "_compiled", None)
    if compiled is not None and include_optimizer:
        config = model.get_compile_config()
        if config:
            described["compile_config"] = config
            groups |= optimizer_groups(compiled.optimizer, model)
    metadata = {
        "keras_version": KERAS_VERSION,
        "date_saved": time.strftime("%Y-%m-%d@%H:%M:%S"),
        "stroma": {"names": names, "extra": dict(extra or {})},
    }
    archive.write_archive(
        path,
        {
            archive.METADATA: json.dumps(metadata).encode(),
            archive.CONFIG: json.dumps(described).encode(),
            archive.WEIGHTS: write_hdf5(groups),
            **assets_of(model),
        },
    )
    return path


def load_model(
    filepath: str | PathLike[str],
    custom_objects: Mapping[str, Any] | None = None,
    compile: bool = True,  # Keras' name
    safe_mode: bool = True,
) -> Network:
    """The network in a `.keras` file, stroma's or Keras', or in a `.safetensors` of stroma's.

    Args:
        filepath: The file.
        custom_objects: Own classes and functions, by the names under which the file holds them.
        compile: Compile it as it was, with the optimizer's state.
        safe_mode: Accepted; False changes nothing: code in a file is never run.
    Raises: FileFormatError: the file is damaged, unsafe, or names what stroma does not know.
        WeightsError: its weights are not those of its network.
    """
    path = regular_file(filepath)
    if sniff(path) == "safetensors":
        return whole_safetensors.load(path, custom_objects)
    members = archive.read_archive(path)
    if archive.WEIGHTS not in members:
        raise archive.bad(path, f"it has no {archive.WEIGHTS}")
    stored = StoredArrays(members.pop(archive.WEIGHTS), where=str(path))
    described = _description(path, members)
    rebuilder = Rebuilder(custom_objects, where=str(path))
    with values_come_later(stored.elements()):
        network = rebuilt(described, rebuilder, path)

    def order(inner: Network) -> Any:
        return rebuilder.orders.get(id(inner)) or ordered_layers(inner)

    load_arrays(network, stored, order)
    load_assets(network, path, order)
    config = described.get("compile_config")
    if compile and isinstance(config, dict) and hasattr(network, "compile_from_config"):
        with CustomObjectScope(rebuilder.custom):
            network.compile_from_config(config)
        if network.compiled:
            load_optimizer(network.optimizer, network, stored, order)
    return network


def load_architecture(
    path: str | PathLike[str], custom_objects: Mapping[str, Any] | None = None
) -> Network:
    """The network that a `.keras` file describes, to look at: its weights have shapes, no numbers.

    They are on the meta device. The file's numbers are not read, so it takes no longer, and no more
    memory, for a large network than for a small one.

    Args:
        path: The file.
        custom_objects: As for `load_model`.
    Raises: FileFormatError: as for `load_model`, except what is wrong with the numbers alone.
    """
    path = Path(path).expanduser()
    members = archive.read_archive(path, (archive.CONFIG, archive.METADATA))
    described = _description(path, members)
    with values_come_later(device="meta"):
        return rebuilt(described, Rebuilder(custom_objects, where=str(path)), path)


def _description(path: Path, members: Mapping[str, bytes]) -> dict[str, Any]:
    """What the file says of its network, with the names that it had before it was saved."""
    described = archive.read_json(path, archive.CONFIG, members[archive.CONFIG])
    metadata = _metadata(path, members)
    if not isinstance(described, dict) or not isinstance(described.get("config"), dict):
        raise archive.bad(path, f"{archive.CONFIG} describes no network")
    _check_names(described, path)
    _restore_names(described["config"], "", metadata["names"], path)
    return described


def rebuilt(described: Any, rebuilder: Rebuilder, path: Path) -> Network:
    """The network that a file describes, with weights that have no values yet."""
    network = rebuilder.layer(described)
    if not isinstance(network, Network):
        raise archive.bad(path, f"it holds a {type(network).__name__}, not a network")
    return network


def read_extra(path: str | PathLike[str]) -> dict[str, Any]:
    """What `save_model(extra=...)` put into a file; empty for Keras' own files."""
    path = Path(path).expanduser()
    members = archive.read_archive(path, (archive.CONFIG, archive.METADATA))
    extra: dict[str, Any] = _metadata(path, members)["extra"]
    return extra


def _metadata(path: Path, members: Mapping[str, bytes]) -> dict[str, Any]:
    data = archive.read_json(path, archive.METADATA, members.get(archive.METADATA, b"{}"))
    own = data.get("stroma", {}) if isinstance(data, dict) else None
    names, extra = (own.get(k, {}) if isinstance(own, dict) else None for k in ("names", "extra"))
    if not isinstance(names, dict) or not isinstance(extra, dict):
        raise archive.bad(path, f"{archive.METADATA} is not what stroma or Keras write")
    return {"names": names, "extra": extra}


def target_path(path: str | PathLike[str], endings: str | tuple[str, ...], overwrite: bool) -> Path:
    """Where to write, with one of these endings, and free unless it may be overwritten."""
    path, endings = Path(path).expanduser(), (endings,) if isinstance(endings, str) else endings
    if not path.name.endswith(endings):
        raise ArgumentError(
            f"the file must end in {' or '.join(endings)}, got {path.name!r}",
            where="save(filepath)",
            why="the ending tells people and programs what is in it",
            fix=f"save({path.stem + endings[0]!r})",
        )
    if path.exists() and not overwrite:
        raise ArgumentError(
            f"{path.name!r} is already there",
            where=str(path),
            why="overwrite=False was asked for",
            fix="give another name, or overwrite=True",
        )
    return path


def require_built(model: Network) -> None:
    if not model.built:
        raise GraphError(
            f"network {model.name!r} has no weights yet",
            where="save",
            why="the shape of its input is not known",
            fix="call it once on data, or give Input((height, width, channels)) first",
        )


# Names. Keras on torch cannot load names with dots, and paths in files have no spaces. It also
# forgets to zero the gradients of a layer whose name stands elsewhere in nested networks, too.


def _is_network(described: Any) -> bool:
    return isinstance(described, dict) and isinstance(described.get("layers"), list)


def _rename(config: Any, path: str, names: dict[str, str], outside: set[str]) -> None:
    """Give layers names that Keras can work with, and note the originals in `names`.

    Args:
        config: A network's.
        path: Names of the networks around it.
        names: Filled: path and name in the file -> name in stroma.
        outside: Names of layers in the networks before it; filled.
    """
    if not _is_network(config):
        return
    old = [str(entry["config"].get("name")) for entry in config["layers"]]
    taken, changed = {*old, *outside}, {}
    for name, entry in zip(old, config["layers"]):
        layer = entry["class_name"] != "InputLayer" and not is_operation(entry["module"])
        if re.search(r"[. ]", name) or (layer and name in outside):
            safe = numbered(re.sub(r"[. ]", "__", name), taken)
            taken.add(safe)
            changed[name], names[f"{path}{safe}"] = safe, name
    _apply(config, changed)
    outside |= {str(entry["config"].get("name")) for entry in config["layers"]}
    for entry in config["layers"]:
        _rename(entry["config"], f"{path}{entry['config'].get('name')}/", names, outside)


def _restore_names(config: Any, path: str, names: Mapping[str, Any], file: Path) -> None:
    if not _is_network(config):
        return
    changed: dict[str, str] = {}
    for entry in config["layers"]:
        inner = entry.get("config") if isinstance(entry, dict) else None
        if not isinstance(inner, dict):
            continue
        name = str(inner.get("name"))
        _restore_names(inner, f"{path}{name}/", names, file)
        original = names.get(f"{path}{name}")
        if original is not None:
            if not isinstance(original, str) or not _is_safe_form(original, str(name)):
                raise archive.bad(file, f"the name {name!r} stands for {str(original)[:60]!r}")
            changed[name] = original
    _apply(config, changed)


def _is_safe_form(original: str, name: str) -> bool:
    safe = re.sub(r"[. ]", "__", original)
    return name == safe or re.fullmatch(re.escape(safe) + r"_\d+", name) is not None


def _apply(config: dict[str, Any], changed: Mapping[str, str]) -> None:
    """Rename layers of one network, and every reference to them."""
    if not changed:
        return
    for entry in config["layers"]:
        inner = entry["config"]
        for holder in (entry, inner):
            if holder.get("name") in changed:
                holder["name"] = changed[holder["name"]]
        _apply_to_references(entry.get("inbound_nodes"), changed)
    for end in ("input_layers", "output_layers"):
        _apply_to_references(config.get(end), changed)


def _apply_to_references(value: Any, changed: Mapping[str, str]) -> None:
    if isinstance(value, list):
        if len(value) == 3 and isinstance(value[0], str) and value[0] in changed:
            value[0] = changed[value[0]]
        for item in value:
            _apply_to_references(item, changed)
    elif isinstance(value, dict):
        for item in value.values():
            _apply_to_references(item, changed)


def _check_names(described: Any, path: Path) -> None:
    """Refuse names of layers that could lead anywhere when used as a path."""
    stack = [described]
    while stack:
        item = stack.pop()
        if isinstance(item, list):
            stack += item
        elif isinstance(item, dict):
            stack += item.values()
            if "class_name" not in item:
                continue
            inner = item.get("config")
            found = (item.get("name"), inner.get("name") if isinstance(inner, dict) else None)
            for name in found:
                if isinstance(name, str) and not is_plain(name, besides="-."):
                    raise FileFormatError(
                        f"a layer is called {name[:60]!r}",
                        where=str(path),
                        why="names become keys and paths: letters, digits, '_', '-', '.', "
                        "at most 128",
                        fix="save the model with other names",
                    )
