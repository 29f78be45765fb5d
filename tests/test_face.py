"""The public face: a snapshot of every room's names, and signatures that are Keras'.

After a change that is meant, write the snapshot anew and read the difference:
`python tests/test_face.py > tests/face.txt`.
"""

import importlib
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

import stroma
from keras_differences import DIFFERENCES, meant
from keras_signatures import disagreement
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
    if meant(path, "arguments"):
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
    listed = [p for d in DIFFERENCES for p in d.places if p.endswith(":arguments")]
    assert all(any(fnmatchcase(f"{path}:arguments", p) for path in paths) for p in listed)


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
