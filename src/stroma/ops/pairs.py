"""Operations on two tensors, number by number, and products."""

from __future__ import annotations

import operator
from typing import Any

import torch
from torch import Tensor

from stroma.core.dtypes import dtype_policy
from stroma.functional import values
from stroma.ops.calling import alike, apply, operation, to_tensor


def _floating(dtype: torch.dtype) -> torch.dtype:
    whole = not (dtype.is_floating_point or dtype.is_complex)
    return dtype_policy().variable_dtype if whole else dtype


_X = "x1 x2"
add = operation(operator.add, "x1 + x2.", _X, inputs="alike")
subtract = operation(operator.sub, "x1 - x2.", _X, inputs="alike")
multiply = operation(operator.mul, "x1 * x2.", _X, inputs="alike")
divide = operation(operator.truediv, "x1 / x2.", _X, inputs="alike floating")
true_divide = divide
floor_divide = operation(operator.floordiv, "x1 / x2, rounded down.", _X, inputs="alike")
mod = operation(operator.mod, "The rest of x1 / x2, with the sign of x2.", _X, inputs="alike")
fmod = operation(torch.fmod, "The rest of x1 / x2, with the sign of x1.", _X, inputs="alike")
power = operation(operator.pow, "x1 to the power x2.", _X, inputs="alike")
divide_no_nan = operation(values.divide_no_nan, "x1 / x2, and 0 where x2 is 0.",
                          inputs="alike floating")  # fmt: skip
arctan2 = operation(values.arctan2, "The angle of the point (x2, x1).", inputs="alike floating")
hypot = operation(values.hypot, "sqrt(x1² + x2²).", inputs="alike floating")
heaviside = operation(values.heaviside, "0 below 0, 1 above, x2 at 0.", inputs="alike floating")
ldexp = operation(values.ldexp, "x1 * 2^x2.")
logaddexp = operation(values.logaddexp, "log(e^x1 + e^x2).", inputs="alike floating")
logaddexp2 = operation(values.logaddexp2, "log2(2^x1 + 2^x2).", inputs="alike floating")
nextafter = operation(torch.nextafter, "The next float from x1 towards x2.", _X,
                      inputs="alike floating")  # fmt: skip
polar = operation(torch.polar, "The complex number of this length and angle.", "abs_ angle",
                  inputs="alike floating")  # fmt: skip
maximum = operation(values.maximum, "The larger of both; NaN where one is.", inputs="alike")
minimum = operation(values.minimum, "The smaller of both; NaN where one is.", inputs="alike")
fmax = operation(values.fmax, "The larger of both; the other where one is NaN.", inputs="alike")
fmin = operation(values.fmin, "The smaller of both; the other where one is NaN.", inputs="alike")
gcd = operation(torch.gcd, "The greatest common divisor.", _X, inputs="alike")
lcm = operation(torch.lcm, "The least common multiple.", _X, inputs="alike")

equal = operation(operator.eq, "Whether both are equal.", _X, inputs="alike")
not_equal = operation(operator.ne, "Whether both differ.", _X, inputs="alike")
less = operation(operator.lt, "Whether x1 < x2.", _X, inputs="alike")
less_equal = operation(operator.le, "Whether x1 <= x2.", _X, inputs="alike")
greater = operation(operator.gt, "Whether x1 > x2.", _X, inputs="alike")
greater_equal = operation(operator.ge, "Whether x1 >= x2.", _X, inputs="alike")
isclose = operation(values.isclose, "Whether |x1 - x2| <= atol + rtol |x2|.", inputs="alike")
logical_and = operation(values.logical_and, "Whether both are not 0.", inputs="alike")
logical_or = operation(values.logical_or, "Whether one is not 0.", inputs="alike")
logical_xor = operation(values.logical_xor, "Whether one alone is not 0.", inputs="alike")

_Y = "x y"
bitwise_and = operation(operator.and_, "Bits that both have.", _Y, inputs="alike")
bitwise_or = operation(operator.or_, "Bits that one has.", _Y, inputs="alike")
bitwise_xor = operation(operator.xor, "Bits that one alone has.", _Y, inputs="alike")
bitwise_left_shift = operation(operator.lshift, "x * 2^y.", _Y, inputs="alike")
left_shift = bitwise_left_shift
bitwise_right_shift = operation(operator.rshift, "x / 2^y, rounded down.", _Y, inputs="alike")
right_shift = bitwise_right_shift

matmul = operation(operator.matmul, "The product of matrices, or of stacks of them.", _X,
                   inputs="alike")  # fmt: skip
dot = operation(values.dot, "Sums over the last axis of x1 and the last but one of x2.",
                inputs="alike")  # fmt: skip
vdot = operation(values.vdot, "The sum of products of all numbers.", inputs="alike")
inner = operation(torch.inner, "Sums of products over the last axes of both.", _X, inputs="alike")
outer = operation(values.outer, "Products of each number of x1 with each of x2.", inputs="alike")
kron = operation(torch.kron, "Kronecker's product.", _X, inputs="alike")
tensordot = operation(values.tensordot, "Sums of products over chosen axes.", inputs="alike")
cross = operation(values.cross, "The vector that is orthogonal to both.", inputs="alike")
cdist = operation(values.distances, "Euclidean distances between rows of x and rows of y.",
                  inputs="alike floating")  # fmt: skip


def einsum(subscripts: str, *operands: Any, **kwargs: Any) -> Any:
    """Sums of products as Einstein's notation says: "ij,jk->ik" multiplies matrices.

    Args:
        subscripts: A letter for each axis of each tensor, and those of the result.
        operands: The tensors.
        kwargs: Accepted for Keras' signature.
    Example:
        >>> einsum("i,i->", [1.0, 2.0], [3.0, 4.0])
        tensor(11.)
    """
    return apply(values.einsum, *operands, inputs="alike", subscripts=subscripts, **kwargs)


def allclose(x1: Any, x2: Any, rtol: float = 1e-5, atol: float = 1e-8,
             equal_nan: bool = False) -> Tensor:  # fmt: skip
    """Whether `isclose` holds everywhere.

    Args:
        x1, x2: Numbers.
        rtol: Share of x2 by which they may differ.
        atol: By how much they may differ besides.
        equal_nan: Whether NaN equals NaN.
    Example:
        >>> bool(allclose([1.0], [1.0 + 1e-7]))
        True
    """
    close: Tensor = isclose(x1, x2, rtol, atol, equal_nan)
    return torch.all(close)


def isin(x1: Any, x2: Any, assume_unique: bool = False, invert: bool = False) -> Tensor:
    """Whether each number of x1 occurs in x2; whether it does not, with `invert`.

    Args:
        x1: Numbers asked for.
        x2: Numbers there are.
        assume_unique: Whether both hold each number once, which is faster.
        invert: Whether the answer is turned.
    Example:
        >>> isin([1, 2, 3], [3, 1])
        tensor([ True, False,  True])
    """
    first, second = alike(x1, x2)
    return torch.isin(first, second, assume_unique=assume_unique, invert=invert)


def where(condition: Any, x1: Any = None, x2: Any = None) -> Any:
    """x1 where the condition holds, x2 elsewhere; the places where it holds when both are None.

    Example:
        >>> where([True, False], 1.0, [2.0, 3.0])
        tensor([1., 3.])
    """
    if x1 is None and x2 is None:
        return torch.nonzero(to_tensor(condition)).T
    return apply(values.where, to_tensor(condition), *alike(x1, x2))


def select(condlist: Any, choicelist: Any, default: Any = 0) -> Any:
    """For each place the choice whose condition is the first that holds, else the default.

    Args:
        condlist: Truth values, one tensor a condition.
        choicelist: One tensor for each condition.
        default: Where no condition holds.
    Example:
        >>> select([[True, False], [True, True]], [[1, 1], [2, 2]])
        tensor([1, 2], dtype=torch.int32)
    """
    conditions = [to_tensor(condition) for condition in condlist]
    choices = alike(*choicelist, default)
    return apply(values.select, conditions, choices[:-1], choices[-1], inputs="made")
