"""Files of networks and weights. Whatever a file says, reading it never runs code."""

from stroma.core.custom_objects import (
    CustomObjectScope,
    custom_object_scope,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
)
from stroma.saving.cloning import clone_model
from stroma.saving.describe import has_graph_config, network_config
from stroma.saving.keras_format import load_architecture, load_model, read_extra, save_model
from stroma.saving.objects import deserialize_keras_object, serialize_keras_object
from stroma.saving.rebuild import Rebuilder
from stroma.saving.savable import Savable, model_from_json
from stroma.saving.vocabulary import networks_registry
from stroma.saving.weight_files import load_weights, save_weights

__all__ = [
    "CustomObjectScope",
    "Rebuilder",
    "Savable",
    "clone_model",
    "custom_object_scope",
    "deserialize_keras_object",
    "get_custom_objects",
    "get_registered_name",
    "get_registered_object",
    "has_graph_config",
    "load_architecture",
    "load_model",
    "load_weights",
    "model_from_json",
    "network_config",
    "networks_registry",
    "read_extra",
    "register_keras_serializable",
    "save_model",
    "save_weights",
    "serialize_keras_object",
]
