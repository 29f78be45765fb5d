"""docs/keras-parity.md is what `make parity` writes today, and says that nothing is unexplained."""

import importlib.util
import re
from pathlib import Path

import pytest

from keras_differences import DIFFERENCES, meant
from keras_table import EQUAL, MISSING, ROOMS, Row, bugs, rows
from stroma.core.custom_objects import get_custom_objects

DOCS = Path(__file__).parents[1] / "docs"
QUICK = [room for room in ROOMS if room != "layers"]  # those take a minute
# an example opens a file and leaves it open
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def tool():
    spec = importlib.util.spec_from_file_location("make_parity", DOCS / "make_parity.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def written():
    return (DOCS / "keras-parity.md").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def nothing_registered():
    """Other tests of the same process enter objects of their own, which Keras does not know."""
    registered = get_custom_objects()
    kept = dict(registered)
    registered.clear()
    yield
    registered.update(kept)


@pytest.mark.parametrize("room", QUICK)
def test_a_room_is_as_the_page_says(room, tool, written):
    found = list(rows(room))
    assert len(found) > 5
    assert not [told for row in found for told in bugs(row)]
    missing = [line for line in tool.table(found) if line not in written]
    assert not missing, "make parity"


@pytest.mark.slow
def test_the_whole_page_is_the_one_in_docs(tool, written):
    assert tool.page() == written, "make parity"


def test_the_page_explains_everything(written):
    assert "| bug" not in written
    numbers = {int(n) for n in re.findall(r"\[(\d+)\]", written)}
    assert max(numbers) <= len(DIFFERENCES) <= 25
    assert all(difference.reason and difference.places for difference in DIFFERENCES)


def test_planted_rows_are_judged(tool):
    equal = Row("ops.planted", (EQUAL,) * 4)
    wrong = Row("ops.planted", (EQUAL, "1 instead of 2", EQUAL, EQUAL))
    gone = Row("ops.planted", (MISSING,) * 4)
    known = Row("ops.sparsemax", (EQUAL, "1 instead of 2", EQUAL, EQUAL))
    verdicts = [tool.verdict(row) for row in (equal, wrong, gone, known)]
    assert verdicts == [EQUAL, "bug", MISSING, "different"]
    assert bugs(wrong) and bugs(gone) and not bugs(equal) and not bugs(known)
    assert meant("ops.sparsemax", "output") and not meant("ops.sparsemax", "gradients")
