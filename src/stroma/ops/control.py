"""Loops and branches as functions: on PyTorch they are Python's own, run eagerly.

On symbolic tensors the sizes must be known where a loop counts steps; a condition on values cannot
be recorded, and says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_map, tree_unflatten

from stroma.core.errors import ArgumentError
from stroma.ops.calling import to_tensor


def cond(pred: Any, true_fn: Callable[[], Any], false_fn: Callable[[], Any]) -> Any:
    """true_fn() where the truth value holds, else false_fn().

    Args:
        pred: A truth value.
        true_fn, false_fn: Functions without arguments.
    Example:
        >>> cond(3 > 2, lambda: "yes", lambda: "no")
        'yes'
    """
    return true_fn() if pred else false_fn()


def switch(index: Any, branches: Sequence[Callable[..., Any]], *operands: Any) -> Any:
    """branches[index](*operands); an index beyond the ends takes the last one there.

    Example:
        >>> switch(1, [lambda x: x + 1, lambda x: x * 2], 5)
        10
    """
    chosen = min(max(int(index), 0), len(branches) - 1)
    return branches[chosen](*operands)


def while_loop(
    cond: Callable[..., Any],
    body: Callable[..., Any],
    loop_vars: Any,
    maximum_iterations: int | None = None,
) -> Any:
    """body on the variables again and again while cond holds.

    Args:
        cond: Takes the variables, gives a truth value.
        body: Takes them, gives the next ones.
        loop_vars: One variable, or a tuple or list of them.
        maximum_iterations: After which it ends in any case.
    Example:
        >>> while_loop(lambda i: i < 10, lambda i: i + 4, 0)
        tensor(12, dtype=torch.int32)
    """
    several = isinstance(loop_vars, (tuple, list))
    values = tree_map(to_tensor, tuple(loop_vars) if several else (loop_vars,))
    steps = 0
    while (maximum_iterations is None or steps < maximum_iterations) and cond(*values):
        found = body(*values)
        values = tuple(found) if isinstance(found, (tuple, list)) else (found,)
        steps += 1
    return values if several else values[0]


def fori_loop(lower: int, upper: int, body_fun: Callable[[int, Any], Any], init_val: Any) -> Any:
    """body_fun(i, value) for each i from lower to upper - 1, each on what the one before gave.

    Args:
        lower: The first i.
        upper: The one after the last.
        body_fun: Takes i and the value, gives the next value.
        init_val: The value at first.
    Example:
        >>> fori_loop(0, 4, lambda i, total: total + i, 0)
        6
    """
    value = init_val
    for i in range(lower, upper):
        value = body_fun(i, value)
    return value


def map(f: Callable[[Any], Any], xs: Any) -> Any:
    """f on each entry along the first axis; the results are stacked.

    Args:
        f: Takes an entry.
        xs: Tensors, nested or not.
    Example:
        >>> map(lambda x: x * x, [1.0, 2.0, 3.0])
        tensor([1., 4., 9.])
    """
    return scan(lambda _, x: (0, f(x)), 0, xs)[1]


def scan(
    f: Callable[[Any, Any], tuple[Any, Any]],
    init: Any,
    xs: Any = None,
    length: int | None = None,
    reverse: bool = False,
    unroll: int | bool = 1,
) -> tuple[Any, Any]:
    """A loop that carries a value along the first axis and keeps one output of each step.

    Args:
        f: Takes what is carried and an entry of xs, gives what to carry and an output.
        init: What is carried at first.
        xs: Tensors, nested or not; None for no entries.
        length: Steps, where there is no xs.
        reverse: From the last entry to the first.
        unroll: Accepted for Keras' signature: nothing is compiled here.
    Raises: ArgumentError: neither xs nor length is given.
    Example:
        >>> scan(lambda total, x: (total + x, total + x), 0.0, [1.0, 2.0, 3.0])
        (tensor(6.), tensor([1., 3., 6.]))
    """
    if xs is None and length is None:
        raise ArgumentError(
            "scan needs xs or length",
            where="ops.scan(f, init)",
            why="one of them says how many steps there are",
            fix="ops.scan(f, init, length=10)",
        )
    entries, nesting = _entries(xs)
    steps = length if length is not None else entries[0].shape[0]
    carried, outputs = tree_map(to_tensor, init), []
    for i in reversed(range(steps)) if reverse else range(steps):
        entry = None if xs is None else tree_unflatten([x[i] for x in entries], nesting)
        carried, output = f(carried, entry)
        outputs.append(output)
    return carried, _stacked(outputs[::-1] if reverse else outputs, carried)


def _entries(xs: Any) -> tuple[list[Any], Any]:
    """Leaves as tensors; a list of numbers is one tensor, as it is everywhere in Keras."""
    if isinstance(xs, list) and not any(isinstance(x, (Tensor, np.ndarray)) for x in xs):
        xs = to_tensor(xs)
    leaves, nesting = tree_flatten(xs)
    return [to_tensor(leaf) for leaf in leaves], nesting


def _stacked(outputs: list[Any], carried: Any) -> Any:
    if outputs and outputs[0] is None:  # Keras gives zeros there
        outputs = [tree_map(torch.zeros_like, carried)] * len(outputs)
    leaves = [tree_flatten(output)[0] for output in outputs]
    nesting = tree_flatten(outputs[0])[1]
    stacked = [torch.stack([to_tensor(leaf) for leaf in column]) for column in zip(*leaves)]
    return tree_unflatten(stacked, nesting)


def associative_scan(
    f: Callable[[Any, Any], Any], elems: Any, reverse: bool = False, axis: int = 0
) -> Any:
    """Results of a chain of an associative f: f(x0, x1), f(f(x0, x1), x2), ...

    Neighbours are joined over distances of 1, 2, 4, ...: log2(n) calls of f on whole tensors.

    Args:
        f: Takes two structures of tensors, of any size along the axis, gives a third one.
        elems: A tensor or a structure of tensors.
        reverse: From the end to the beginning.
        axis: Along which they are joined.
    Example:
        >>> associative_scan(lambda a, b: a + b, [1.0, 2.0, 3.0, 4.0])
        tensor([ 1.,  3.,  6., 10.])

    Reference: Hillis & Steele 1986, "Data parallel algorithms".
    """
    leaves, nesting = _entries(elems)
    if reverse:
        leaves = [torch.flip(leaf, (axis,)) for leaf in leaves]
    size, distance = leaves[0].shape[axis], 1
    while distance < size:
        before = tree_unflatten([x.narrow(axis, 0, size - distance) for x in leaves], nesting)
        after = tree_unflatten([x.narrow(axis, distance, size - distance) for x in leaves], nesting)
        joined = tree_flatten(f(before, after))[0]
        leaves = [torch.cat([x.narrow(axis, 0, distance), y], axis) for x, y in zip(leaves, joined)]
        distance *= 2
    if reverse:
        leaves = [torch.flip(leaf, (axis,)) for leaf in leaves]
    return tree_unflatten(leaves, nesting)


def vectorized_map(function: Callable[[Any], Any], elements: Any) -> Any:
    """function on each entry along the first axis, all at once.

    Args:
        function: Takes an entry.
        elements: Tensors, nested or not.
    Example:
        >>> vectorized_map(lambda x: x.sum(), [[1.0, 2.0], [3.0, 4.0]])
        tensor([3., 7.])
    """
    leaves, nesting = _entries(elements)
    return torch.vmap(function)(tree_unflatten(leaves, nesting))


def vectorize(
    pyfunc: Callable[..., Any], *, excluded: Any = None, signature: str | None = None
) -> Callable[..., Any]:
    """A function of numbers made a function of tensors, number by number.

    Args:
        pyfunc: Takes tensors of no axes, or of those that the signature names.
        excluded: Positions of arguments that are handed on whole.
        signature: NumPy's, such as "(n),(n)->()"; no axes when None.
    Example:
        >>> vectorize(lambda a, b: a + 10 * b)([1, 2], [[3], [4]]).tolist()
        [[31, 32], [41, 42]]
    """
    whole = set(excluded or ())
    inner = None if signature is None else signature.partition("->")[0]
    ranks = [] if inner is None else [_rank(part) for part in inner.replace(" ", "").split("),(")]

    def call(*args: Any) -> Any:
        tensors = {i: to_tensor(arg) for i, arg in enumerate(args) if i not in whole}
        own = dict(zip(tensors, ranks or [0] * len(tensors)))
        shapes = [x.shape[: x.dim() - own[i]] for i, x in tensors.items()]
        lead = np.broadcast_shapes(*shapes)
        flat = [x.expand(*lead, *x.shape[x.dim() - own[i] :]).flatten(0, len(lead) - 1)
                if lead else x for i, x in tensors.items()]  # fmt: skip

        def one(*rows: Any) -> Any:
            given = dict(zip(tensors, rows))
            return pyfunc(*[given.get(i, arg) for i, arg in enumerate(args)])

        if not lead:
            return one(*flat)
        return tree_map(lambda y: y.unflatten(0, lead), torch.vmap(one)(*flat))

    return call


def _rank(part: str) -> int:
    names = part.strip("()")
    return len(names.split(",")) if names else 0


def custom_gradient(f: Callable[..., tuple[Any, Callable[..., Any]]]) -> Callable[..., Any]:
    """A function that brings its own gradient.

    Args:
        f: Takes tensors, gives its result and a function from the result's gradient to that of
            each input; that function takes it as `upstream`, by keyword or by position.
    Example:
        >>> @custom_gradient
        ... def twice(x):
        ...     return 2 * x, lambda upstream: 20 * upstream
        >>> x = torch.tensor(1.0, requires_grad=True)
        >>> twice(x).backward()
        >>> x.grad
        tensor(20.)
    """

    class Function(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, *args: Any) -> Any:
            output, ctx.gradient = f(*args)
            return output

        @staticmethod
        def backward(ctx: Any, *upstream: Any) -> Any:
            return ctx.gradient(*upstream)

    return lambda *args: Function.apply(*args)  # type: ignore[no-untyped-call]


def jvp(fun: Callable[..., Any], primals: Any, tangents: Any, has_aux: bool = False) -> Any:
    """A function's value, and its change along a direction.

    Args:
        fun: A function of tensors.
        primals: Where, one tensor for each argument.
        tangents: The direction, shaped alike.
        has_aux: fun gives (value, more): more is handed on.
    Example:
        >>> import warnings; warnings.simplefilter("ignore")  # torch's own, once
        >>> jvp(lambda x: x**2, [torch.tensor(3.0)], [torch.tensor(1.0)])
        (tensor(9.), tensor(6.))
    """
    where, along = (tuple(tree_map(to_tensor, tuple(part))) for part in (primals, tangents))
    return torch.func.jvp(fun, where, along, has_aux=has_aux)
