"""Terminal text: nothing is lost at any width, and widths are what people see."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stroma.core.text import display_width, facts, printable, table, wrap

HEADERS = ["layer", "output shape", "parameters", "connected to"]
ROWS = [
    ["conv2d", "(None, 112, 112, 64)", "9,472", "input"],
    ["a_layer_with_a_long_name_of_its_own", "(None, 56, 56, 64)", "0", "conv2d, add, add_1, add_2"],
]


@pytest.mark.parametrize("width", [20, 40, 60, 80, 120, 400])
def test_a_table_keeps_every_word_at_any_width(width):
    text = "\n".join(table(HEADERS, ROWS, width, right=[2]))
    for cell in (cell for row in [HEADERS, *ROWS] for cell in row):
        assert all(word in text for word in cell.split())


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_table_fits_the_width_where_words_allow(width):
    assert max(map(len, table(HEADERS, ROWS, width, right=[2]))) <= width


def test_a_record_leaves_out_what_is_empty():
    words = ["a-word-of-twenty-----", "another-of-twenty----"]
    assert table(["one", "two", "note"], [[*words, ""]], 30) == [
        "  one  a-word-of-twenty-----", "  two  another-of-twenty----"
    ]  # fmt: skip


def test_a_table_that_cannot_fit_becomes_records():
    lines = table(["name", "value"], [["x" * 30, "y" * 30], ["z", "w"]], 40)
    assert lines == ["  name   " + "x" * 30, "  value  " + "y" * 30, "", "  name   z", "  value  w"]


def test_wide_characters_are_aligned_by_what_people_see():
    lines = table(["class", "n"], [["猫", 1], ["cat", 2]], 40, right=[1])
    assert lines == ["  class  n", "  猫     1", "  cat    2"]


def test_an_empty_table_shows_its_headers():
    assert table(["a", "b"], [], 40) == ["  a  b"]
    assert table(["a" * 30, "b" * 30], [], 40) == ["  " + "a" * 30 + ", " + "b" * 30]


def test_facts_wrap_under_their_values():
    assert facts([("a", "one two three"), ("name", 1)], 16) == [
        "  a     one two",
        "        three",
        "  name  1",
    ]


@given(st.text())
def test_printable_text_is_printable_and_only_escapes_what_is_not(text):
    shown = printable(text)
    assert shown.isprintable()
    assert shown == text or not text.isprintable()


@given(st.lists(st.text("ab猫 ", max_size=12), min_size=2, max_size=4), st.integers(1, 90))
def test_no_cell_is_lost(row, width):
    headers = [f"h{index}" for index in range(len(row))]
    text = "\n".join(table(headers, [row], width))
    assert all(word in text for cell in row for word in cell.split())


@given(st.text("ab猫\u0301"))
def test_display_width_is_additive(text):
    assert display_width(text) == sum(map(display_width, text))


def test_a_word_longer_than_the_line_is_kept_whole():
    assert wrap("a " + "b" * 30 + " c", 10) == ["a", "b" * 30, "c"]
