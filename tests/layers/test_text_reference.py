"""Text and category layers beside Keras on TensorFlow, whose answers `text_reference.json` holds.

`make_text_reference.py` made them; what it asked and what came out stand there together.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from stroma import layers

CASES = json.loads(Path(__file__).with_name("text_reference.json").read_text())["cases"]
CROSSED = "HashedCrossing"


def answered(case):
    """Our layer, and its answer, to one of the questions."""
    arguments = dict(case["arguments"])
    layer = getattr(layers, case["layer"])(**arguments)
    if case.get("adapt") is not None:
        layer.adapt([np.array(row) for row in case["adapt"]] if "stream" in case
                    else _as_given(case, case["adapt"]))  # fmt: skip
    if case.get("vocabulary"):
        layer.set_vocabulary(**case["vocabulary"])
    return layer, layer(_as_given(case, case["inputs"]))


def _as_given(case, values):
    return np.array(values) if case["layer"] in ("IntegerLookup", "Discretization") else values


def described(case):
    shown = {k: v for k, v in case["arguments"].items() if k != "vocabulary"}
    return f"{case['layer']}-{shown}"[:80]


@pytest.mark.parametrize("case", CASES, ids=described)
def test_the_answer_is_that_of_keras(case):
    layer, output = answered(case)
    found = output.numpy() if hasattr(output, "numpy") else output
    if case["dtype"] == "string":
        assert found.tolist() == case["output"]
    else:
        assert str(found.dtype) == case["dtype"]
        expected = np.array(case["output"], dtype=found.dtype)
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)
    if "learned" in case:
        assert layer.get_vocabulary() == case["learned"]
        assert layer.get_vocabulary(include_special_tokens=False) == case["plain"]
        assert layer.vocabulary_size() == case["size"]
    if "boundaries" in case:
        np.testing.assert_allclose(layer.bin_boundaries, case["boundaries"], rtol=1e-6, atol=1e-7)


def test_the_reference_asks_every_layer():
    asked = {case["layer"] for case in CASES}
    assert asked == {"Hashing", CROSSED, "StringLookup", "IntegerLookup", "TextVectorization",
                     "Discretization"}  # fmt: skip
    assert len(CASES) > 150


def test_a_planted_mistake_is_caught():
    """A vocabulary in alphabetical order, or a hash without its key, gives other answers."""
    case = next(c for c in CASES if c["layer"] == "TextVectorization" and "learned" in c)
    assert sorted(case["learned"]) != case["learned"]
    salted = [c for c in CASES if c["layer"] == "Hashing" and c["arguments"].get("salt")]
    wrong = {**salted[0], "arguments": {**salted[0]["arguments"], "salt": None}}
    _, output = answered(wrong)
    assert output.tolist() != salted[0]["output"]
