"""What an import loads. Times are measured by `bench/import_time.py`; here only which modules."""

import json
import subprocess
import sys

import pytest

# Loaded by the room that needs them, when it is used: not by layers, models or training.
ON_USE = {"PIL", "sklearn", "scipy", "h5py", "rich", "pyarrow", "jinja2", "matplotlib", "pandas",
          "simplejpeg", "click", "keras", "tensorflow", "huggingface_hub", "sympy",
          "torch._dynamo", "torch._inductor"}  # fmt: skip

MODEL = """
from stroma import layers, models
model = models.Sequential([layers.Input((8, 8, 3)), layers.Conv2D(4, 3), layers.Flatten(),
                           layers.Dense(2)])
"""
TRAINING = """
import numpy as np
model.compile("adam", "mse", metrics=["mae"])
model.fit(np.zeros((4, 8, 8, 3)), np.zeros((4, 2)), verbose=0)
"""


def loaded_by(code):
    """The modules that a fresh interpreter has loaded after `code`."""
    program = f"{code}\nimport json, sys; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=True
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


def rooms(modules):
    return {name.split(".")[1] for name in modules if name.startswith("stroma.")}


def test_stroma_alone_loads_nothing():
    modules = loaded_by("import stroma")
    assert rooms(modules) == set()
    assert not modules & (ON_USE | {"torch", "numpy"})


def test_layers_and_models_load_nothing_optional():
    modules = loaded_by("import stroma.layers, stroma.models")
    assert modules & ON_USE == set()
    assert not rooms(modules) & {"data", "zoo", "report", "cli", "transfer", "jobs", "package"}


def test_building_and_training_load_nothing_optional():
    # the first meta operation imports torch._dynamo, and with it sympy: torch's own affair
    modules = loaded_by(MODEL + TRAINING)
    assert modules & ON_USE <= {"torch._dynamo", "torch._inductor", "sympy"}


@pytest.mark.parametrize("room", ["data", "zoo", "transfer", "saving", "applications"])
def test_rooms_come_when_they_are_named(room):
    modules = loaded_by(f"import stroma; stroma.{room}")
    assert f"stroma.{room}" in modules
    assert not modules & {"sklearn", "matplotlib", "pandas", "keras", "rich", "jinja2"}


def test_a_planted_import_is_seen():
    assert "h5py" in loaded_by("import stroma.layers, h5py") & ON_USE
