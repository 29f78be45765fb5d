"""The closed table of layers: what a `.keras` file or a config may name."""

from __future__ import annotations

from stroma.core.errors import FileFormatError
from stroma.core.inputs import InputLayer
from stroma.core.layer import Layer
from stroma.core.registry import Registry

layers_registry: Registry[type[Layer]] = Registry("layer", "keras.layers")
register_layer = layers_registry.register
# Where files say a layer comes from, if not from `keras.layers`: Keras has none, or hides it
ELSEWHERE = {
    "ConvNeXtBlock": "stroma",
    "StochasticDepth": "stroma",
    "CustomScaleLayer": "keras.src.applications.inception_resnet_v2",
    "LayerScale": "keras.src.applications.convnext",
}

register_layer("InputLayer")(InputLayer)  # it stands below this room and cannot enter itself

UNSAFE = {  # what Keras' files may hold and stroma never makes
    "Lambda": "it holds Python bytecode, and a file must never run code",
    "TFSMLayer": "it runs a TensorFlow program from another file",
    "TorchModuleWrapper": "it holds a pickled torch module, which is a program",
    "__lambda__": "it holds Python bytecode, and a file must never run code",
}


def refuse_unsafe(name: str, *, where: str) -> None:
    """Raise for a class that is code rather than data.

    Raises: FileFormatError: it is one of `UNSAFE`; the message says the ways out.
    """
    if name in UNSAFE:
        raise FileFormatError(
            f"the file holds a {name}: {UNSAFE[name]}",
            where=where,
            why="stroma never unpacks code from a file, and there is no flag that makes it do so",
            fix="write the layer as a class, and load with custom_objects={"
            f"{name!r}: YourLayer}}; or build the network in code and load its numbers alone, "
            "from a .safetensors or .weights.h5 file: model.load_weights(FILE)",
        )
