"""Keras' functions on nested structures: lists, tuples, dicts and named tuples of anything.

Example:
    >>> import stroma
    >>> stroma.tree.map_structure(lambda x: 2 * x, {"b": [1, 2], "a": (3,)})
    {'b': [2, 4], 'a': (6,)}
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable
from typing import Any

from torch.utils import _pytree as pytree

from stroma.core.errors import ArgumentError

__all__ = [
    "MAP_TO_NONE", "assert_same_paths", "assert_same_structure", "flatten", "flatten_with_path",
    "is_nested", "lists_to_tuples", "map_shape_structure", "map_structure", "map_structure_up_to",
    "pack_sequence_as", "traverse",
]  # fmt: skip


class MAP_TO_NONE:  # noqa: N801  # Keras' name
    """What `func` returns in `traverse` to put None in a place; None itself means: go on."""


def is_nested(structure: Any) -> bool:
    """Whether something is a list, tuple, dict or named tuple, also an empty one."""
    return pytree._get_node_type(structure) in pytree.SUPPORTED_NODES


def traverse(func: Callable[[Any], Any], structure: Any, top_down: bool = True) -> Any:
    """Replace parts by what `func` gives for them; where it gives None they stay.

    Args:
        func: Called with every part, from the whole down to the leaves.
        structure: Any nested structure; dicts are visited in the order of their keys.
        top_down: Whole before its parts, which are not visited where `func` replaced the whole.
            False: parts first.
    Example:
        >>> traverse(lambda part: 0 if part == [1] else None, {"a": [1], "b": [2]})
        {'a': 0, 'b': [2]}
    """
    structure = _sorted(structure)
    if not top_down:
        structure = _on_children(lambda part: traverse(func, part, top_down), structure)
    found = func(structure)
    if found is None:
        if not top_down:
            return structure
        return _on_children(lambda part: traverse(func, part, top_down), structure)
    return None if found is MAP_TO_NONE else found


def flatten(structure: Any) -> list[Any]:
    """The leaves, depth first; dicts in the order of their keys, an OrderedDict in its own.

    Example:
        >>> flatten({"b": [1, (2,)], "a": None})
        [None, 1, 2]

    Reference: Keras on torch leaves dicts inside of dicts in the order in which they were made, on
    TensorFlow and JAX it sorts them, as here.
    """
    return pytree.tree_flatten(_all_sorted(structure))[0]


def flatten_with_path(structure: Any) -> list[tuple[tuple[Any, ...], Any]]:
    """The leaves with their paths: keys of dicts, places in everything else.

    Example:
        >>> flatten_with_path([{"a": 1}, 2])
        [((0, 'a'), 1), ((1,), 2)]
    """
    if not is_nested(structure):
        return [((), structure)]
    structure = _sorted(structure)
    children = pytree.tree_flatten(structure, is_leaf=lambda part: part is not structure)[0]
    names = structure if isinstance(structure, dict) else range(len(children))
    return [
        ((name, *path), leaf)
        for name, child in zip(names, children)
        for path, leaf in flatten_with_path(child)
    ]


def map_structure(func: Callable[..., Any], *structures: Any, none_is_leaf: bool = True) -> Any:
    """The structure of `func` of each leaf, or of the leaves at the same place in several.

    Args:
        func: Takes a leaf of each structure.
        structures: One or more of the same structure.
        none_is_leaf: False: None stays None, and `func` does not see it.
    Raises: ArgumentError: no structure is given. ValueError: their structures differ.
    """
    if not structures:
        raise ArgumentError(
            "map_structure: no structure is given",
            where="map_structure(func)",
            why="there is nothing to go through",
            fix="map_structure(func, structure)",
        )

    def apply(*leaves: Any) -> Any:
        return None if not none_is_leaf and leaves[0] is None else func(*leaves)

    return pytree.tree_map(apply, *structures)


def map_structure_up_to(shallow_structure: Any, func: Callable[..., Any], *structures: Any) -> Any:
    """`map_structure` down to the leaves of `shallow_structure` only; what is below stays whole.

    Args:
        shallow_structure: Says how deep.
        func: Takes the part of each structure at a leaf of `shallow_structure`.
        structures: One or more, at least as deep.
    Example:
        >>> map_structure_up_to([0, 0], len, [[1, 2], [3]])
        [2, 1]
    """
    return pytree.tree_map(lambda _, *parts: func(*parts), shallow_structure, *structures)


def assert_same_structure(a: Any, b: Any) -> None:
    """Raise unless `a` and `b` are nested alike: the same kinds, sizes and keys at each level."""
    kinds = [pytree.tree_structure(_all_sorted(structure)) for structure in (a, b)]
    if kinds[0] != kinds[1]:
        raise _differ("structure", a, b)


def assert_same_paths(a: Any, b: Any) -> None:
    """Raise unless `a` and `b` have the same paths; a list and a tuple count as alike."""
    paths = [{path for path, _ in flatten_with_path(structure)} for structure in (a, b)]
    if paths[0] != paths[1]:
        raise _differ("paths", a, b)


def pack_sequence_as(structure: Any, flat_sequence: Iterable[Any]) -> Any:
    """A flat sequence in the form of `structure`: what `flatten` undid.

    Example:
        >>> pack_sequence_as({"b": 0, "a": [0, 0]}, [1, 2, 3])
        {'a': [1, 2], 'b': 3}
    """
    return pytree.tree_unflatten(list(flat_sequence), pytree.tree_structure(_all_sorted(structure)))


def lists_to_tuples(structure: Any) -> Any:
    """The structure with a tuple for every list."""
    return traverse(
        lambda part: tuple(part) if isinstance(part, list) else None, structure, top_down=False
    )


def map_shape_structure(func: Callable[[Any], Any], structure: Any) -> Any:
    """`map_structure` whose leaves are shapes: lists and tuples of sizes and None.

    Example:
        >>> map_shape_structure(len, {"x": (None, 3), "y": (4,)})
        {'x': 2, 'y': 1}
    """

    def is_shape(part: Any) -> bool:
        whole = isinstance(part, (list, tuple))
        return whole and all(size is None or isinstance(size, int) for size in part)

    return pytree.tree_map(func, _all_sorted(structure), is_leaf=is_shape)


def _sorted(structure: Any) -> Any:
    """A dict in the order of its keys: the same whichever way it was made."""
    if isinstance(structure, defaultdict):
        return defaultdict(structure.default_factory, sorted(structure.items(), key=_key))
    if isinstance(structure, dict) and not isinstance(structure, OrderedDict):
        return dict(sorted(structure.items(), key=_key))
    return structure


def _key(item: tuple[Any, Any]) -> Any:
    return item[0]


def _all_sorted(structure: Any) -> Any:
    return _on_children(_all_sorted, _sorted(structure))


def _on_children(func: Callable[[Any], Any], structure: Any) -> Any:
    if not is_nested(structure):
        return structure
    children, spec = pytree.tree_flatten(structure, is_leaf=lambda part: part is not structure)
    return pytree.tree_unflatten([func(child) for child in children], spec)


def _differ(what: str, a: Any, b: Any) -> ArgumentError:
    return ArgumentError(
        f"two structures do not have the same {what}",
        where=f"{str(a)[:100]} and {str(b)[:100]}",
        why="what belongs together is found by its place",
        fix="give both as the same nesting of lists, tuples and dicts",
    )
