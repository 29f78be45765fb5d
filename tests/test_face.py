"""The public face: a snapshot of every room's names, and signatures that are Keras'.

After a change that is meant, write the snapshot anew and read the difference:
`python tests/test_face.py > tests/face.txt`.
"""

import importlib
import inspect
from pathlib import Path

import pytest

import stroma
from oracle import keras

SNAPSHOT = Path(__file__).with_name("face.txt")


def public_names(room):
    """What a room offers: its static `__all__`, or what it defines itself."""
    if hasattr(room, "__all__"):
        return sorted(room.__all__)
    own = {name for name, value in vars(room).items()
           if getattr(value, "__module__", None) == room.__name__}  # fmt: skip
    return sorted(name for name in own if not name.startswith("_"))


def face_text():
    rooms = {
        name: importlib.import_module(f"stroma.{name}")
        for name in [*stroma._ROOMS, "optimizers.schedules"]
    }
    lines = [f"stroma: {' '.join([*stroma._ROOMS, *stroma._NAMES])}"]
    lines += [f"{name}: {' '.join(public_names(room))}" for name, room in sorted(rooms.items())]
    return "".join(f"{line}\n" for line in lines)


# Keras' arguments that stroma leaves out, each with its reason; "*" stands for every name.
LEFT_OUT = {
    ("*", "custom_objects"): "files name things in closed tables: DESIGN 2.13",
    ("layers.*", "lora_rank"): "adapters are a transform of their own room: STYLE 8",
    ("layers.*", "lora_alpha"): "adapters are a transform of their own room: STYLE 8",
    ("layers.*", "gptq_unpacked_column_size"): "quantization too: STYLE 8",
    ("layers.*", "quantization_config"): "quantization is a transform of its own room: STYLE 8",
    ("layers.*", "name"): "an option of every layer, by keyword: STYLE 6",
    ("layers.*", "dtype"): "an option of every layer, by keyword: STYLE 6",
}
# Where the parameters themselves differ.
DIFFERENT = {
    "models.Model": "Keras shows *args; the graph and the subclass form are both taken",
    "models.Sequential": "Keras' class shows *args; its __init__ is layers, trainable, name",
    "optimizers.Optimizer": "Keras shows *args; its base class has the same list",
    "callbacks.History": "a plain record of the run, not a callback that is attached",
    "losses.deserialize": "Keras calls a config a name here",
    **{
        f"applications.{name}": "weights=None: nothing is fetched that nobody asked for"
        for name in (
            "ResNet50",
            "ResNet101",
            "ResNet152",
            "MobileNetV2",
            "EfficientNetB0",
            "DenseNet121",
            "Xception",
            "InceptionV3",
        )
    },
    "losses.categorical_generalized_cross_entropy": "q has the default of Keras' own class",
}
ROOMS = {
    "layers": keras.layers,
    "losses": keras.losses,
    "metrics": keras.metrics,
    "optimizers": keras.optimizers,
    "schedules": keras.optimizers.schedules,
    "initializers": keras.initializers,
    "regularizers": keras.regularizers,
    "constraints": keras.constraints,
    "activations": keras.activations,
    "callbacks": keras.callbacks,
    "models": keras.models,
    "applications": keras.applications,
    "utils": keras.utils,
}


def pairs():
    for room, theirs in ROOMS.items():
        ours = importlib.import_module(f"stroma.{room}")
        for name in public_names(ours):
            mine, other = getattr(ours, name), getattr(theirs, name, None)
            if callable(mine) and callable(other):
                yield pytest.param(f"{room}.{name}", mine, other, id=f"{room}.{name}")


def positional(thing):
    """Name and default of each parameter that may be given by position."""
    return [
        (p.name, p.default)
        for p in inspect.signature(thing).parameters.values()
        if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]


def left_out(path, argument):
    room = path.split(".")[0]
    return any((key, argument) in LEFT_OUT for key in (path, f"{room}.*", "*"))


def disagreement(path, ours, theirs):
    """None where `ours` may be called in every way in which `theirs` may."""
    mine, wanted = positional(ours), positional(theirs)
    names = [name for name, _ in mine]
    expected = [(n, default) for n, default in wanted if n in names or not left_out(path, n)]
    return None if mine == expected else f"{path}: {mine} is not Keras' {expected}"


def test_the_face_is_the_one_that_was_agreed():
    assert face_text() == SNAPSHOT.read_text(encoding="utf-8")


def test_every_name_of_the_face_is_there_and_listed():
    for room in stroma._ROOMS:
        module = importlib.import_module(f"stroma.{room}")
        names = public_names(module)
        assert len(names) == len(set(names)), room
        for name in names:
            assert getattr(module, name) is not None, f"{room}.{name}"
        if hasattr(module, "__path__"):
            assert set(getattr(module, "__all__", ())), f"{room} has no static __all__"
    assert {*stroma._ROOMS, *stroma._NAMES} <= set(dir(stroma))
    for name in stroma._NAMES:
        assert getattr(stroma, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'layer'"):
        stroma.layer  # noqa: B018


@pytest.mark.parametrize(("path", "ours", "theirs"), list(pairs()))
def test_signatures_are_those_of_keras(path, ours, theirs):
    problem = disagreement(path, ours, theirs)
    if path in DIFFERENT:
        assert problem is not None, f"{path} is Keras' now: take it off the list"
    else:
        assert problem is None, problem


@pytest.mark.parametrize(
    "method",
    [
        "compile",
        "fit",
        "evaluate",
        "predict",
        "train_on_batch",
        "test_on_batch",
        "predict_on_batch",
        "summary",
        "get_layer",
    ],
)
def test_methods_of_a_model_are_those_of_keras(method):
    path = f"models.Model.{method}"
    problem = disagreement(path, getattr(stroma.Model, method), getattr(keras.Model, method))
    assert problem is None, problem


def test_the_listed_reasons_are_needed():
    paths = [param.values[0] for param in pairs()]
    assert set(DIFFERENT) <= set(paths)


def test_planted_differences_are_caught():
    def wanted(a, b=1, *, c=2):
        """What Keras would have."""

    def renamed(a, beta=1): ...
    def swapped(b=1, a=0): ...
    def other_default(a, b=2): ...
    def added(a, b=1, extra=3): ...
    def added_by_keyword(a, b=1, *, extra=3): ...

    for planted in (renamed, swapped, other_default, added):
        assert disagreement("layers.Planted", planted, wanted) is not None
    assert disagreement("layers.Planted", added_by_keyword, wanted) is None


if __name__ == "__main__":
    print(face_text(), end="")
