"""The comparison of every public name of Keras with stroma's: what docs/keras-parity.md shows.

Each aspect of a name is "equal", "·" (nothing of the kind to compare), "missing", or the
difference in words; which of these are meant is in `keras_differences`.
"""

from __future__ import annotations

import importlib
import inspect
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

import stroma
from keras_calls import calls
from keras_differences import meant
from keras_parity import Apart, Whole, as_list, call, close, random_inputs
from keras_parity import run as run_layer
from keras_signatures import disagreement
from keras_values import describe, difference
from layer_examples import EXAMPLES, PREPROCESSING, SEQUENCE
from oracle import keras
from stroma.layers.augmenting import Augmentation

ROOMS = ("layers", "losses", "metrics", "optimizers", "schedules", "initializers", "activations",
         "regularizers", "constraints", "callbacks", "applications", "ops", "random",
         "utils")  # fmt: skip
ASPECTS = ("arguments", "output", "gradients", "file")
EQUAL, NOTHING, MISSING = "equal", "·", "missing"


@dataclass(frozen=True)
class Row:
    """A name that Keras has, and how stroma's is beside it."""

    path: str
    aspects: tuple[str, ...]  # in the order of ASPECTS


# Base classes, and functions about files and names: the aspects of all others test them
FACES = {"Loss", "Metric", "Optimizer", "LearningRateSchedule", "Initializer", "Regularizer",
         "Constraint", "serialize", "deserialize", "get"}  # fmt: skip


def keras_room(room: str) -> Any:
    return keras.optimizers.schedules if room == "schedules" else getattr(keras, room)


def names(room: str) -> list[str]:
    """Keras' public functions and classes of a room."""
    module = keras_room(room)
    return sorted(n for n, thing in vars(module).items()
                  if not n.startswith("_") and callable(thing))  # fmt: skip


def rows(room: str) -> Iterator[Row]:
    ours = importlib.import_module(f"stroma.{room}")
    for name in names(room):
        path, theirs = f"{room}.{name}", getattr(keras_room(room), name)
        mine = getattr(ours, name, None)
        if mine is None:
            yield Row(path, (MISSING,) * 4)
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield Row(
                path, (disagreement(path, mine, theirs) or EQUAL, *behaviour(path, mine, theirs))
            )


def behaviour(path: str, mine: Any, theirs: Any) -> tuple[str, str, str]:
    """Output, gradients, file."""
    room, name = path.split(".")
    if room == "layers":
        return layer(name)
    if room in ("callbacks", "applications") or name in FACES:
        return NOTHING, NOTHING, NOTHING
    if not inspect.isclass(theirs):
        return *function(path, mine, theirs), NOTHING
    made = next(filter(None, (both(mine, theirs, c) for c in calls(path, theirs))), None)
    if made is None:  # a base class
        return NOTHING, NOTHING, NOTHING
    output, gradients = COMPARE.get(room, lambda *_: (NOTHING, NOTHING))(*made)
    return output, gradients, config(room, *made)


# -- functions ----------------------------------------------------------------------------------


def tensors(value: Any) -> Any:
    """Arrays as tensors that gradients can be asked of."""
    if isinstance(value, (list, tuple)):
        return type(value)(tensors(v) for v in value)
    if isinstance(value, np.ndarray):
        return torch.tensor(value, requires_grad=value.dtype == np.float32)
    return value


def called(function: Any, given: dict[str, Any]) -> tuple[Any, list[torch.Tensor]]:
    """The result, and the leaves it was made of."""
    given = {name: tensors(value) for name, value in given.items()}
    found = [t for v in given.values() for t in (v if isinstance(v, (list, tuple)) else [v])
             if isinstance(t, torch.Tensor) and t.requires_grad]  # fmt: skip
    return function(*given.pop("", ()), **given), found


def gradients_of(result: Any, leaves: list[torch.Tensor]) -> list[Any]:
    outputs = [y for y in as_list(result) if isinstance(y, torch.Tensor) and y.requires_grad]
    if not outputs or not leaves:
        return []
    # not a sum: its gradient is the same for every element, so a scrambled order would pass
    probes = (torch.linspace(-1, 2, y.numel()).reshape(y.shape) for y in outputs)
    total = sum((y.abs() if y.is_complex() else y).mul(p).sum() for y, p in zip(outputs, probes))
    return [describe(g) for g in torch.autograd.grad(total, leaves, allow_unused=True)]


def function(path: str, mine: Any, theirs: Any) -> tuple[str, str]:
    drawn = path.startswith("random.") or path == "ops.dropout"
    output, gradients = NOTHING, NOTHING
    for given in calls(path, theirs):
        try:
            expected, leaves = called(theirs, given)
            slopes = gradients_of(expected, leaves)
        except Exception:  # this kind of tensor is not for this function
            continue
        try:
            result, leaves = called(mine, given)
            found = gradients_of(result, leaves) if slopes else []
        except Exception as error:
            return f"{_first(error)} for {_kinds(given)}", gradients
        problem = difference(describe(result), describe(expected), numbers=not drawn)
        if problem:
            return f"{problem} for {_kinds(given)}", gradients
        output = EQUAL
        if slopes and not drawn:
            problem = difference(found, slopes)
            if problem:
                return output, f"{problem} for {_kinds(given)}"
            gradients = EQUAL
    return output, gradients


def _first(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"[:120]


def _kinds(given: dict[str, Any]) -> str:
    parts = (f"{v.dtype}{list(v.shape)}" if isinstance(v, np.ndarray) else type(v).__name__
             for v in given.values())  # fmt: skip
    return ", ".join(parts)


# -- classes ------------------------------------------------------------------------------------


def both(mine: Any, theirs: Any, given: dict[str, Any]) -> tuple[Any, Any] | None:
    try:
        other = theirs(**given)
    except Exception:
        return None
    return mine(**given), other


def pairs_of_targets() -> Iterator[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(0)
    shares = rng.dirichlet(np.ones(4), 6).astype("float32")
    hot = np.eye(4, dtype="float32")[rng.integers(0, 4, 6)]
    yield hot, shares
    yield rng.integers(0, 4, 6).astype("int32"), shares
    yield rng.integers(0, 4, (6,)).astype("int32"), rng.integers(0, 4, (6,)).astype("int32")
    yield (shares > 0.3).astype("float32")[:, :1], shares[:, :1]


def loss(mine: Any, theirs: Any) -> tuple[str, str]:
    for y_true, y_pred in pairs_of_targets():
        results = []
        try:
            for thing in (theirs, mine):
                given = torch.tensor(y_pred, requires_grad=y_pred.dtype == np.float32)
                value = thing(y_true, given, sample_weight=np.linspace(0.2, 1, 6, dtype="float32"))
                results.append((describe(value), gradients_of(value, [given])))
        except Exception as error:
            if results:
                return _first(error), NOTHING
            continue
        output = difference(results[1][0], results[0][0])
        return output or EQUAL, difference(results[1][1], results[0][1]) or EQUAL
    return NOTHING, NOTHING


def metric(mine: Any, theirs: Any) -> tuple[str, str]:
    for y_true, y_pred in pairs_of_targets():
        results = []
        try:
            for thing in (theirs, mine):
                thing.reset_state()
                thing.update_state(y_true[:4], y_pred[:4])
                thing.update_state(y_true[4:], y_pred[4:])
                results.append(describe(thing.result()))
        except Exception as error:
            if results:
                return _first(error), NOTHING
            continue
        return difference(results[1], results[0]) or EQUAL, NOTHING
    return NOTHING, NOTHING


def optimizer(mine: Any, theirs: Any) -> tuple[str, str]:
    """Five steps, on a matrix with the same gradients."""
    rng = np.random.default_rng(0)
    start = rng.normal(size=(4, 3)).astype("float32")
    weights = [kit.layers.Dense(3, use_bias=False) for kit in (stroma, keras)]
    for dense in weights:
        dense.build((None, 4))
        dense.set_weights([start])
    mine.build(list(weights[0].parameters()))
    for _ in range(5):
        slope = torch.tensor(rng.normal(size=(4, 3)).astype("float32"))
        weights[0].weight.grad = slope.T.clone()
        mine.step()
        theirs.apply([slope], weights[1].trainable_variables)
    results = [describe(dense.get_weights()[0]) for dense in weights]
    return difference(*results) or EQUAL, NOTHING


def schedule(mine: Any, theirs: Any) -> tuple[str, str]:
    steps = (0, 1, 5, 6, 29, 30, 31, 500)
    values = [[float(thing(step)) for step in steps] for thing in (mine, theirs)]
    return difference(*values) or EQUAL, NOTHING


def initializer(mine: Any, theirs: Any) -> tuple[str, str]:
    """Numbers that are drawn are compared by mean and spread of 90,000."""
    shape = (300, 300) if type(mine).__name__ not in ("STFT",) else (5, 1, 10)
    values = []
    for thing in (mine, theirs):
        drawn = np.asarray(torch.as_tensor(thing(shape)).detach()).astype("float32")
        values.append(drawn)
    if np.allclose(*values, atol=1e-5):
        return EQUAL, NOTHING
    moments = [(v.mean(), v.std(), np.quantile(v, 0.9)) for v in values]
    near = np.allclose(*moments, rtol=0.03, atol=0.03 * values[1].std())
    return EQUAL if near else f"{moments[0]} instead of {moments[1]}", NOTHING


def on_a_weight(mine: Any, theirs: Any) -> tuple[str, str]:
    square = np.random.default_rng(0).normal(size=(4, 4)).astype("float32")
    (result, leaves), (expected, others) = (called(t, {"": (square,)}) for t in (mine, theirs))
    output = difference(describe(result), describe(expected))
    slopes = gradients_of(expected, others)
    return output or EQUAL, difference(gradients_of(result, leaves), slopes) or EQUAL


COMPARE: dict[str, Callable[[Any, Any], tuple[str, str]]] = {
    "losses": loss, "metrics": metric, "optimizers": optimizer, "schedules": schedule,
    "initializers": initializer, "regularizers": on_a_weight, "constraints": on_a_weight,
}  # fmt: skip


def config(room: str, mine: Any, theirs: Any) -> str:
    """What a file holds of each, read by the other library: no setting is lost or changed."""
    kits = importlib.import_module(f"stroma.{room}"), keras_room(room)
    if not all(hasattr(kit, "serialize") for kit in kits):
        return NOTHING
    ours, other = kits
    try:
        here = ours.deserialize(other.serialize(theirs)).get_config()
        # not other.deserialize: it gives the string "Lamb" for Lamb
        there = keras.saving.deserialize_keras_object(ours.serialize(mine)).get_config()
    except Exception as error:
        return _first(error)
    pairs = ((here, mine.get_config()), (there, theirs.get_config()))
    problems = (
        f"{key}: {problem}" for a, b in pairs for key in sorted(a.keys() & b.keys() - {"name"})
        if None not in (a[key], b[key])  # None stands for what the class chooses
        and (problem := difference(describe(a[key]), describe(b[key])))
    )  # fmt: skip
    return next(problems, EQUAL)


# -- layers -------------------------------------------------------------------------------------

# Layers that hold others, on sequences
AROUND: dict[str, Callable[[Any], Any]] = {
    "RNN": lambda kit: kit.RNN(kit.GRUCell(3), return_sequences=True),
    "SimpleRNNCell": lambda kit: kit.RNN(kit.SimpleRNNCell(4)),
    "LSTMCell": lambda kit: kit.RNN(kit.LSTMCell(4)),
    "GRUCell": lambda kit: kit.RNN(kit.GRUCell(4)),
    "StackedRNNCells": lambda kit: kit.RNN(kit.StackedRNNCells([kit.LSTMCell(3), kit.GRUCell(2)])),
    "Bidirectional": lambda kit: kit.Bidirectional(kit.LSTM(3)),
    "TimeDistributed": lambda kit: kit.TimeDistributed(kit.Dense(2)),
    "SpectralNormalization": lambda kit: kit.SpectralNormalization(kit.Dense(2)),
}


def layer(name: str) -> tuple[str, str, str]:
    if name in AROUND:
        return compare_layer(AROUND[name], (SEQUENCE,))
    canonical = getattr(getattr(stroma.layers, name), "__name__", name)
    chosen = [e for e in EXAMPLES.get(canonical, []) if e.keras]
    if name in PREPROCESSING or not chosen:
        return NOTHING, NOTHING, NOTHING
    pictures = issubclass(getattr(stroma.layers, canonical), Augmentation)  # of three colours
    found = [compare_layer(lambda kit, e=e: getattr(kit, name)(**e.arguments),
                           ((8, 8, 3),) if pictures else e.shapes) for e in chosen]  # fmt: skip
    return tuple(next((v for v in aspect if v != EQUAL), EQUAL) for aspect in zip(*found))


def compare_layer(make: Callable[[Any], Any], shapes: Any) -> tuple[str, str, str]:
    """Output to 1e-5, gradients to 1e-4, with the same weights; a file each way."""
    inputs = random_inputs(shapes)
    try:
        ours, theirs = make(stroma.layers), make(keras.layers)
        call(ours, inputs, training=False), call(theirs, inputs, training=False)
        generator = torch.Generator().manual_seed(7)
        values = [torch.rand(w.shape, generator=generator).numpy() * 0.8 + 0.1
                  for w in theirs.weights if "seed" not in w.name]  # fmt: skip
        ours.set_weights(values), theirs.set_weights(values)
        y, slopes = run_layer(ours, inputs)
        expected, wanted = run_layer(theirs, inputs)
        close(y, expected, 1e-5)
    except Exception as error:
        return _first(error), NOTHING, NOTHING
    return EQUAL, _slopes(slopes, wanted), files(make, shapes, inputs)


def _slopes(found: list[Any], wanted: list[Any]) -> str:
    if len(found) != len(wanted) or any((a is None) != (b is None) for a, b in zip(found, wanted)):
        return f"gradients of {len(found)} instead of {len(wanted)}"
    pairs = [(a, b) for a, b in zip(found, wanted) if b is not None]
    largest = max((b.abs().max().item() for _, b in pairs), default=0)
    try:
        for a, b in pairs:
            close(a, b, 1e-4, floor=max(1e-2, largest / 100))
    except AssertionError as error:
        return _first(error)
    return EQUAL if pairs else NOTHING


def files(make: Callable[[Any], Any], shapes: Any, inputs: Any) -> str:
    """A `.keras` file of each library, opened by the other: the same answers."""
    libraries = stroma, keras
    try:
        make(keras.layers)(keras.Input(shapes[0]) if len(shapes) == 1 else inputs)
    except Exception:  # Keras on torch cannot record Equalization
        return NOTHING
    try:
        with tempfile.TemporaryDirectory() as folder:
            for writer, reader in (libraries, libraries[::-1]):
                entries = [writer.layers.Input(s, dtype="int64" if isinstance(s, Whole) else None)
                           for s in shapes]  # fmt: skip
                given = Apart(entries) if isinstance(shapes, Apart) else entries
                given = given if len(given) > 1 else given[0]
                model = writer.Model(entries, call(make(writer.layers), given))
                path = Path(folder) / f"{writer.__name__}.keras"
                model.save(path)
                again = reader.models.load_model(path)
                x = list(inputs) if isinstance(inputs, (list, tuple)) else inputs
                close(again(x, training=False).detach(), model(x, training=False).detach(), 1e-5)
    except Exception as error:
        return _first(error)
    return EQUAL


def odd(row: Row) -> Iterator[tuple[str, str]]:
    """Aspects of a row that are not Keras', with what they are."""
    if MISSING in row.aspects:
        yield MISSING, MISSING
        return
    for aspect, value in zip(ASPECTS, row.aspects):
        if value not in (EQUAL, NOTHING):
            yield aspect, value


def bugs(row: Row) -> list[str]:
    """Differences for which the table of differences has no reason."""
    return [f"{row.path} {a}: {v}" for a, v in odd(row) if not meant(row.path, a)]


if __name__ == "__main__":
    for chosen in sys.argv[1:] or ROOMS:
        found = list(rows(chosen))
        for told in (text for row in found for text in bugs(row)):
            print(told[:400])
        print(f"{chosen}: {len(found)} names")
