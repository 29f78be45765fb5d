"""stroma.tree against keras.tree on drawn structures; what differs is refused."""

from collections import OrderedDict, namedtuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oracle import keras
from stroma import tree
from stroma.core.errors import ArgumentError

Point = namedtuple("Point", ["x", "y"])


def in_order(made):
    """Keras on torch sorts no dict that lies in another one."""
    return dict(sorted(made.items()))


leaves = st.integers(-5, 5) | st.none() | st.text("ab", max_size=2)
# Keras on torch counts only the fields of a named tuple in which there are leaves
structures = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.sampled_from("dcba"), inner, max_size=3).map(in_order)
        | st.dictionaries(st.sampled_from("dcba"), inner, max_size=3).map(OrderedDict)
        | st.tuples(leaves, leaves).map(lambda pair: Point(*pair))
    ),
    max_leaves=8,
)


def both(name, *args, **options):
    """What the two answer: the value with its repr (orders of dicts, kinds), or that it fails."""
    answers = []
    for library in (tree, keras.tree):
        try:
            answers.append(repr(getattr(library, name)(*args, **options)))
        except (ValueError, TypeError):
            answers.append("refused")
    return answers


@settings(max_examples=60, deadline=None)
@given(structures)
def test_one_structure(structure):
    cases = [
        ("is_nested", structure), ("flatten", structure), ("flatten_with_path", structure),
        ("lists_to_tuples", structure), ("pack_sequence_as", structure, range(30)),
        ("pack_sequence_as", structure, range(len(tree.flatten(structure)))),
        ("traverse", lambda part: (7 if part == 1 else None), structure),
        ("traverse", lambda part: (tree.MAP_TO_NONE if part == [] else None), structure, False),
    ]  # fmt: skip
    for name, *args in cases:
        if name == "traverse":
            theirs = keras.tree.traverse(_with(args[0]), *args[1:])
            assert repr(tree.traverse(*args)) == repr(theirs)
        else:
            ours, theirs = both(name, *args)
            assert ours == theirs, name


def _with(func):
    return lambda part: keras.tree.MAP_TO_NONE if func(part) is tree.MAP_TO_NONE else func(part)


@settings(max_examples=40, deadline=None)
@given(structures, structures)
def test_two_structures(a, b):
    ours, theirs = both("assert_same_paths", a, b)
    assert ours == theirs
    assert len(set(both("assert_same_structure", a, a))) == 1
    assert len(set(both("map_structure", lambda x: (x, 1), a))) == 1
    assert len(set(both("map_structure", lambda x, y: (x, y), a, a))) == 1


def test_shapes_and_depths():
    shapes = {"x": (None, 3), "a": [(2, 2), (4,)]}
    assert len(set(both("map_shape_structure", len, shapes))) == 1
    assert len(set(both("map_structure_up_to", [None, [None, None]], str, [[1, 1], [2, 2]]))) == 1
    assert len(set(both("map_structure", str, [None, 1], none_is_leaf=False))) == 1


@pytest.mark.parametrize(("a", "b"), [([1], [1, 2]), ([1], (1,)), ({"a": 1}, {"b": 1}), (1, [1])])
def test_another_structure_is_refused(a, b):
    with pytest.raises(ArgumentError, match="same structure"):
        tree.assert_same_structure(a, b)
    assert both("assert_same_structure", a, b) == ["refused", "refused"]


def test_dicts_are_visited_in_the_order_of_their_keys():
    structure = {"b": {"d": 1, "c": 2}, "a": [{"f": 3, "e": 4}]}
    assert tree.flatten(structure) == [4, 3, 2, 1]
    assert [path for path, _ in tree.flatten_with_path(structure)][-1] == ("b", "d")
    assert tree.pack_sequence_as(structure, [4, 3, 2, 1]) == structure
    assert tree.flatten(OrderedDict(b=1, a=2)) == [1, 2]
