"""Every name of `keras.ops`: the same signature, values and dtypes over many inputs."""

from __future__ import annotations

import inspect
import itertools
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from ops_cases import ANOTHER_WAY, CASES, NOT_COMPARED, ONLY_CASES

from oracle import keras
from stroma import ops

_RNG = np.random.default_rng(0)
POOL: dict[str, Any] = {
    "float32": _RNG.normal(size=(3, 4)).astype("float32"),
    "positive": _RNG.uniform(0.1, 0.9, size=(3, 4)).astype("float32"),
    "int32": _RNG.integers(1, 6, size=(3, 4)).astype("int32"),
    "uint8": _RNG.integers(0, 6, size=(3, 4)).astype("uint8"),
    "int64": _RNG.integers(-4, 6, size=(3, 4)).astype("int64"),
    "bool": _RNG.integers(0, 2, size=(3, 4)).astype(bool),
    "float64": _RNG.normal(size=(3, 4)),
    "a float": 2.5,
    "an int": 3,
    "ints": [1, 2, 3, 4],
    "floats": [0.5, 1.5, 2.0, -1.0],
}
WIDE = {"int64", "float64"}
NAMES = [
    name
    for name in dir(keras.ops)
    if not name.startswith("_") and callable(getattr(keras.ops, name))
]


def fresh(value: Any) -> Any:
    """A tensor of its own for each call: Keras changes some of its inputs in place."""
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value.copy())
    if isinstance(value, tuple) and any(isinstance(v, np.ndarray) for v in value):
        return tuple(fresh(v) for v in value)
    if isinstance(value, list) and any(isinstance(v, np.ndarray) for v in value):
        return [fresh(v) for v in value]
    return value


def named(kwargs: dict[str, Any] | None) -> dict[str, Any]:
    return {key: fresh(value) for key, value in (kwargs or {}).items()}


def leaves(result: Any) -> list[Any]:
    if isinstance(result, (tuple, list)) and not all(isinstance(v, int) for v in result):
        return [leaf for part in result for leaf in leaves(part)]
    return [result]


def difference(ours: Any, theirs: Any, wide: bool = False) -> str | None:
    """None where both are the same; with `wide`, 64 bits may stand where Keras has 32."""
    mine, wanted = leaves(ours), leaves(theirs)
    if len(mine) != len(wanted):
        return f"{len(mine)} results for {len(wanted)}"
    for a, b in zip(mine, wanted):
        if not isinstance(b, (torch.Tensor, np.ndarray)):
            if (float(a) if isinstance(b, float) else a) != b:
                return f"{a} for {b}"
            continue
        if not isinstance(a, type(b)):
            return f"{type(a)} for {type(b)}"
        if a.dtype != b.dtype:
            kept = wide and a.dtype in (torch.float64, torch.int64)
            if not kept or a.is_floating_point() != b.is_floating_point():
                return f"{a.dtype} for {b.dtype}"
        if tuple(a.shape) != tuple(b.shape):
            return f"shape {tuple(a.shape)} for {tuple(b.shape)}"
        x, y = (np.asarray(v.detach().resolve_conj() if isinstance(v, torch.Tensor) else v)
                for v in (a, b))  # fmt: skip
        if not np.allclose(x, y, rtol=1e-5, atol=1e-5, equal_nan=True):
            return f"{x.ravel()[:5]} for {y.ravel()[:5]}"
    return None


def compare(name: str, args: tuple[Any, ...], kwargs: dict[str, Any] | None = None,
            wide: bool = False, ours: Any = None) -> str | None:  # fmt: skip
    """What differs; "-" where Keras does not take these inputs."""
    mine, theirs = ops, keras.ops
    for part in name.split("."):
        mine, theirs = getattr(mine, part), getattr(theirs, part)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of how Keras calls torch
            wanted = theirs(*[fresh(a) for a in args], **named(kwargs))
    except Exception:  # so many kinds there are: then there is nothing to compare with
        return "-"
    found = (ours or mine)(*[fresh(a) for a in args], **named(kwargs))
    return difference(found, wanted, wide)


def combinations(name: str) -> list[tuple[str, ...]]:
    """Keys of the pool for each argument that has no default."""
    if name in ONLY_CASES:
        return []
    parameters = inspect.signature(getattr(keras.ops, name)).parameters.values()
    required = [p for p in parameters
                if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD]  # fmt: skip
    return list(itertools.product(POOL, repeat=len(required))) if len(required) in (1, 2) else []


def test_nothing_of_keras_ops_is_missing() -> None:
    for path in ("", "image", "linalg", "nn", "numpy"):
        theirs = getattr(keras.ops, path) if path else keras.ops
        ours = getattr(ops, path) if path else ops
        public = [name for name in dir(theirs) if not name.startswith("_")]
        assert [name for name in public if not hasattr(ours, name)] == []
        assert path == "linalg" or set(public) <= {*ours.__dict__}
    assert len(NAMES) == 337


@pytest.mark.parametrize("name", NAMES)
def test_same_signature(name: str) -> None:
    def listed(function: Any) -> list[tuple[str, Any]]:
        return [(p.name, p.default) for p in inspect.signature(function).parameters.values()
                if p.kind is not p.VAR_KEYWORD]  # fmt: skip

    assert listed(getattr(ops, name)) == listed(getattr(keras.ops, name))


@pytest.mark.parametrize("name", [name for name in NAMES if name not in NOT_COMPARED])
def test_same_values_and_dtypes(name: str) -> None:
    compared = 0
    for keys in combinations(name):
        if any(key in ANOTHER_WAY.get(name, ()) for key in (*keys, "/".join(keys))):
            continue
        args = tuple(POOL[key] for key in keys)
        with np.errstate(all="ignore"):
            differs = compare(name, args, wide=bool(WIDE & {*keys}))
        assert differs in (None, "-"), f"{name}({', '.join(keys)}): {differs}"
        compared += differs is None
    for args, kwargs in CASES.get(name, []):
        assert compare(name, args, kwargs) is None, f"{name}{args}, {kwargs}"
        compared += 1
    assert compared, f"nothing is compared for {name}"


@pytest.mark.parametrize("path", [path for path in CASES if "." in path])
def test_same_values_in_the_rooms_of_their_own(path: str) -> None:
    for args, kwargs in CASES[path]:
        assert compare(path, args, kwargs) is None, f"{path}, {kwargs}"


def test_a_planted_mistake_is_caught() -> None:
    x = (POOL["float32"],)
    assert compare("exp", x) is None
    assert compare("exp", x, ours=torch.expm1) is not None
    assert compare("mean", (POOL["int32"],), ours=lambda x: x.double().mean()) is not None  # dtype
    assert compare("sum", x, ours=lambda x: x.sum()[None]) is not None  # shape
    assert compare("add", (POOL["int32"], 2.5), ours=lambda x, y: x + int(y)) is not None
