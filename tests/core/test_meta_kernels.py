"""Shapes are learned without importing torch's compiler, and the compiler works when it comes."""

import subprocess
import sys

COMPILER = "'torch._dynamo' in sys.modules"
CNN = """
import sys
import torch
from stroma import layers, models
model = models.Sequential([
    layers.Conv2D(8, 3, padding="same", activation="relu", input_shape=(16, 16, 3)),
    layers.BatchNormalization(), layers.MaxPooling2D(), layers.Dropout(0.5), layers.Flatten(),
    layers.Dense(4, activation="softmax")])
model.summary(print_fn=lambda line: None)
"""


def says(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_building_and_summary_import_no_compiler() -> None:
    assert says(f"{CNN}\nprint({COMPILER})") == "False"


def test_torch_by_itself_imports_it() -> None:
    """When this fails, torch has mended it: `core/meta_kernels.py` can go."""
    program = f"import sys, torch; torch.empty(2, device='meta').relu(); print({COMPILER})"
    assert says(program) == "True"


def test_a_kernel_goes_torchs_own_way_once_the_compiler_is_there() -> None:
    program = f"""{CNN}
from stroma.core.meta_kernels import _hidden_kernels
hidden = [function for _, function in _hidden_kernels()]
def ways(name):
    return {{vars(f)["__dynamo_disable"].__module__ for f in hidden if f.__name__ == name}}
assert len(hidden) > 100
assert ways("relu") == ways("add") == {{"stroma.core.meta_kernels"}}
import torch._dynamo
assert torch.relu(torch.empty(2, 3, device="meta")).shape == (2, 3)
print(ways("relu"))
"""
    assert says(program) == "{'torch._dynamo.eval_frame'}"


def test_a_network_built_without_it_compiles() -> None:
    program = f"""{CNN}
compiled = torch.compile(model, backend="eager", fullgraph=True)
x = torch.rand(2, 16, 16, 3)
print(torch.equal(model(x), compiled(x)))
"""
    assert says(program) == "True"
