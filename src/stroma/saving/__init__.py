"""Files of networks and weights. Whatever a file says, reading it never runs code."""

from stroma.saving.describe import has_graph_config, network_config
from stroma.saving.keras_format import load_architecture, load_model, read_extra, save_model
from stroma.saving.rebuild import Rebuilder
from stroma.saving.savable import Savable, clone_model, model_from_json
from stroma.saving.vocabulary import networks_registry, register_keras_serializable
from stroma.saving.weight_files import load_weights, save_weights

__all__ = [
    "Rebuilder",
    "Savable",
    "clone_model",
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
]
