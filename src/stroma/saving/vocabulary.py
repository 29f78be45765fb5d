"""The names that a file may use, and what they mean: closed tables, and what the caller hands in.

Nothing is imported and no attribute is looked up because a file says so. A class is found in the
table of layers, in the table of networks that `stroma.models` fills, among the objects given as
`custom_objects`, or among those that a program registered itself.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from typing import Any

from stroma import layers  # noqa: F401  # fills the table of layers
from stroma.core.config import serialise
from stroma.core.custom_objects import REGISTERED, get_registered_name
from stroma.core.errors import FileFormatError, GraphError, did_you_mean
from stroma.core.layer import BaseOptions, LayerOptions
from stroma.core.registry import Registry, registries
from stroma.layers.registry import ELSEWHERE, layers_registry, refuse_unsafe

# "Functional" (the class of networks with a graph) and "Sequential"; `stroma.models` enters them
networks_registry: Registry[Any] = Registry("network", "keras.models")


def registered(name: str) -> Any:
    """What was registered as "package>name", found by either name; None: nothing."""
    by_last_part = {key.rpartition(">")[2]: thing for key, thing in REGISTERED.items()}
    return REGISTERED.get(name, by_last_part.get(name))


def class_name(cls: type) -> str:
    """The name of a layer's or network's class in files."""
    name = networks_registry.name_of(cls) or layers_registry.name_of(cls)
    return name or cls.__name__


def describe(thing: Any) -> dict[str, Any]:
    """A layer as Keras' files hold it, without its place in a network."""
    cls = type(thing)
    name = class_name(cls)
    if networks_registry.name_of(cls):
        module: str | None = "keras" if name == "Sequential" else "keras.src.models.functional"
        full_name = None if name == "Sequential" else name
    elif layers_registry.name_of(cls):
        module, full_name = ELSEWHERE.get(name, layers_registry.keras_module), None
    else:
        module, full_name = None, get_registered_name(cls)
    config = plain(thing.get_config(), cls if module else None)
    _refuse_nameless(config, thing)
    return {
        "module": module,
        "class_name": name,
        "config": config,
        "registered_name": full_name,
    }


def _refuse_nameless(config: dict[str, Any], layer: Any) -> None:
    """A lambda, or an object that has no config, cannot be found again by any name."""
    for key, value in config.items():
        text = value if isinstance(value, str) else ""
        if text == "<lambda>" or re.fullmatch(r"<.* at 0x[0-9a-f]+>", text):
            raise GraphError(
                f"{type(layer).__name__} {layer.name!r} has a {key} that no file can hold: {text}",
                where=f"{type(layer).__name__}({key}=...)",
                why="a file names functions, and this one has no name",
                fix=f"def my_{key}(x): ..., and load_model(FILE, custom_objects={{"
                f"'my_{key}': my_{key}}})",
            )


def plain(config: Any, cls: type | None = None) -> Any:
    """A config as JSON's types, without settings that are None and would be None anyway.

    Older versions of Keras do not know every setting; they read a file in which it is not named.
    """
    config = serialise(config)
    if cls is not None and isinstance(config, dict):
        config = _without_defaults(config, cls)
    return _plain_inside(config)


def _plain_inside(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain_inside(item) for item in value]
    if not isinstance(value, dict):
        return value
    value = {key: _plain_inside(item) for key, item in value.items()}
    if isinstance(value.get("config"), dict) and (cls := builtin_class(value)) is not None:
        value["config"] = _without_defaults(value["config"], cls)
    return value


def _without_defaults(config: dict[str, Any], cls: type) -> dict[str, Any]:
    parameters = inspect.signature(cls).parameters
    return {
        key: value
        for key, value in config.items()
        if value is not None
        or (key in parameters and parameters[key].default is not None and key != "name")
    }


def builtin_class(described: Mapping[str, Any]) -> type | None:
    """The class of stroma that a described object names, or None."""
    name, module = described.get("class_name"), described.get("module")
    if not isinstance(name, str) or ("module" in described and not isinstance(module, str)):
        return None
    for registry in registries().values():
        thing = registry.canonical().get(name) if name in registry else None
        matches = module is None or module in (registry.keras_module, "keras", "stroma")
        matches = matches or str(module).startswith(("keras.src", f"{registry.keras_module}."))
        if inspect.isclass(thing) and matches:
            return thing
    return None


def accepted(config: Mapping[str, Any], cls: type, *, where: str) -> dict[str, Any]:
    """The settings of a file that the class takes; one it does not know must be without effect.

    Raises: FileFormatError: an unknown setting that would change something.
    """
    parameters = inspect.signature(cls).parameters
    known = {*parameters}
    if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values()):
        known |= {*LayerOptions.__annotations__, *BaseOptions.__annotations__}
    taken = {}
    for key, value in config.items():
        if key in known:
            taken[key] = value
        elif value not in (None, False, [], {}):
            raise FileFormatError(
                f"{cls.__name__} has no setting {key!r} (it is {str(value)[:60]!r})."
                f"{did_you_mean(key, known)}",
                where=where,
                why="leaving it out would give another network",
                fix="save the model without it, or hand in an own class: custom_objects={"
                f"{cls.__name__!r}: ...}}",
            )
    return taken


def find_class(described: Mapping[str, Any], custom: Mapping[str, Any], *, where: str) -> Any:
    """The class that a described layer or network names.

    Raises: FileFormatError: no table has it; the message says the ways out.
    """
    name, registered = described.get("class_name"), described.get("registered_name")
    for key in (registered, name):
        if isinstance(key, str) and (thing := custom.get(key, REGISTERED.get(key))) is not None:
            return thing
    module = described.get("module", "keras")
    if isinstance(name, str):
        refuse_unsafe(name, where=where)
    if isinstance(name, str) and isinstance(module, str) and _is_kerass(module):
        for registry in (networks_registry, layers_registry):
            if name in registry:
                return registry.lookup(name)
    raise unknown(name, where=where)


def _is_kerass(module: str) -> bool:
    return module.split(".")[0] in ("keras", "stroma", "tf_keras", "tensorflow")


def unknown(name: Any, *, where: str) -> FileFormatError:
    """The error for a class that no table has."""
    count = len(layers_registry.canonical())
    return FileFormatError(
        f"the file names the class {str(name)[:80]!r}, which stroma does not know."
        f"{did_you_mean(str(name)[:80], layers_registry)}",
        where=where,
        why=f"stroma knows {count} layers by name, and imports nothing because a file says so",
        fix=f"is it yours? load_model(FILE, custom_objects={{{str(name)[:80]!r}: YourClass}}), or "
        "put @stroma.saving.register_keras_serializable() above the class",
    )


def refuse_node(what: str, *, where: str, name: str) -> GraphError:
    """The error for a recorded function that no table has."""
    return GraphError(
        f"{what} cannot be saved: it is not in the closed table of operations",
        where=where,
        why="a file may only name functions that every stroma knows",
        fix="make it a layer:\n"
        f"    class {name}(layers.Layer):\n"
        "        def call(self, inputs):\n"
        f"            return ...  # {what} of inputs\n"
        f"    y = {name}()(x)\n"
        f"    load_model(FILE, custom_objects={{{name!r}: {name}}})",
    )
