"""Small helpers under Keras' names. Each is loaded when it is used."""

from __future__ import annotations

import importlib
from typing import Any

_WHERE = {
    name: room
    for room, names in {
        "stroma.core.custom_objects": (
            "CustomObjectScope get_custom_objects get_registered_name get_registered_object "
            "register_keras_serializable"
        ),
        "stroma.core.seeds": "set_random_seed",
        "stroma.core.settings": (
            "disable_interactive_logging enable_interactive_logging is_interactive_logging_enabled"
        ),
        "stroma.saving": "custom_object_scope deserialize_keras_object serialize_keras_object",
        "stroma.utils.datasets": "Dataset split_dataset",
        "stroma.utils.directories": (
            "image_dataset_from_directory text_dataset_from_directory timeseries_dataset_from_array"
        ),
        "stroma.utils.files": "get_file",
        "stroma.utils.images": "array_to_img img_to_array load_img save_img",
        "stroma.utils.labels": "normalize to_categorical",
        "stroma.utils.plotting": "model_to_dot plot_model",
        "stroma.utils.progress": "Progbar",
        "stroma.utils.sequences": (
            "PyDataset Sequence pack_x_y_sample_weight pad_sequences unpack_x_y_sample_weight"
        ),
        "stroma.utils.state": "clear_session get_source_inputs is_keras_tensor standardize_dtype",
    }.items()
    for name in names.split()
}

__all__ = [  # static, for tools that read it
    "CustomObjectScope", "Dataset", "Progbar", "PyDataset", "Sequence", "array_to_img",
    "clear_session", "custom_object_scope", "deserialize_keras_object",
    "disable_interactive_logging", "enable_interactive_logging", "get_custom_objects", "get_file",
    "get_registered_name", "get_registered_object", "get_source_inputs",
    "image_dataset_from_directory", "img_to_array", "is_interactive_logging_enabled",
    "is_keras_tensor", "load_img", "model_to_dot", "normalize", "pack_x_y_sample_weight",
    "pad_sequences", "plot_model", "register_keras_serializable", "save_img",
    "serialize_keras_object", "set_random_seed", "split_dataset", "standardize_dtype",
    "text_dataset_from_directory", "timeseries_dataset_from_array", "to_categorical",
    "unpack_x_y_sample_weight",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(importlib.import_module(_WHERE[name]), name)
    from stroma.core.errors import did_you_mean

    meant = "" if name.startswith("_") else did_you_mean(name, __all__)
    raise AttributeError(f"module 'stroma.utils' has no attribute {name!r}.{meant}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
