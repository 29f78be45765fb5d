"""Operations over axes: sums, means, extremes, orders and counts."""

from __future__ import annotations

from typing import Any

import torch

from stroma.core.dtypes import dtype_policy
from stroma.functional import arrays, counting, nans, reductions
from stroma.functional.normalization import moments as synchronized_moments
from stroma.ops.calling import apply, operation, to_tensor
from stroma.ops.elementwise import at_least_int32

_SHORT = {torch.bool, torch.int8, torch.int16, torch.uint8}


def summed(dtype: torch.dtype) -> torch.dtype:
    """Short integers are summed in 32 bits."""
    return torch.int32 if dtype in _SHORT else dtype


def _mean(dtype: torch.dtype) -> torch.dtype:
    return dtype if dtype.is_floating_point or dtype.is_complex else dtype_policy().variable_dtype


sum = operation(reductions.sum_, "The sum over axes.", result=summed)
prod = operation(reductions.prod, "The product over axes.", result=summed)
mean = operation(reductions.mean, "The mean over axes.", result=_mean)
var = operation(reductions.var, "The mean squared distance from the mean.", result=_mean)
std = operation(reductions.std, "The square root of `var`.", result=_mean)
max = operation(reductions.max_, "The largest number over axes; at least `initial`.")
min = operation(reductions.min_, "The smallest number over axes; at most `initial`.")
amax = operation(reductions.amax, "The largest number over axes.")
amin = operation(reductions.amin, "The smallest number over axes.")
ptp = operation(reductions.ptp, "The largest number minus the smallest.")
any = operation(reductions.any_, "Whether a number over axes is not 0.")
all = operation(reductions.all_, "Whether every number over axes is not 0.")
count_nonzero = operation(reductions.count_nonzero, "How many numbers are not 0.")
argmax = operation(reductions.argmax, "Where the largest number is.", result=torch.int32)
argmin = operation(reductions.argmin, "Where the smallest number is.", result=torch.int32)
median = operation(reductions.median, "The middle number, or the mean of the middle two.")
quantile = operation(reductions.quantile, "The number below which a share `q` of all lies.")
logsumexp = operation(reductions.logsumexp, "log(sum(e^x)), without overflow.")
norm = operation(reductions.norm, "The norm of vectors or matrices.")
cumsum = operation(reductions.cumsum, "Sums of all numbers up to each.", result=at_least_int32)
cumprod = operation(reductions.cumprod, "Products of numbers up to each.", result=at_least_int32)
sort = operation(reductions.sort, "The numbers along an axis in rising order.")
argsort = operation(reductions.argsort, "Where the numbers in rising order are.",
                    result=torch.int32)  # fmt: skip
diff = operation(reductions.diff, "Differences of neighbours, taken `n` times.")

nansum = operation(reductions.nan_sum, "The sum without NaN.", result=summed)
nanmean = operation(reductions.nan_mean, "The mean without NaN.", inputs="floating")
nanmax = operation(reductions.nan_max, "The largest number without NaN.")
nanmin = operation(reductions.nan_min, "The smallest number without NaN.")
nanvar = operation(reductions.nan_var, "The variance without NaN.", inputs="floating")
nanstd = operation(reductions.nan_std, "The deviation without NaN.", inputs="floating")
nanprod = operation(nans.nan_prod, "The product without NaN.", result=summed)
nancumsum = operation(nans.nan_cumsum, "`cumsum` with 0 for NaN.", result=at_least_int32)
nancumprod = operation(nans.nan_cumprod, "`cumprod` with 1 for NaN.", result=at_least_int32)
nanargmax = operation(nans.nan_argmax, "Where the largest number is that is not NaN.",
                      result=torch.int32)  # fmt: skip
nanargmin = operation(nans.nan_argmin, "Where the smallest number is that is not NaN.",
                      result=torch.int32)  # fmt: skip
nanmedian = operation(nans.nan_median, "The median without NaN.", inputs="floating")
nanquantile = operation(nans.nan_quantile, "Quantiles without NaN.")
nanpercentile = operation(nans.nan_percentile, "Percentiles without NaN.")
percentile = operation(reductions.percentile, "The number below which `q` percent lie.")

top_k = operation(reductions.top_k, "The `k` largest numbers of the last axis, and their places.")
in_top_k = operation(reductions.in_top_k, "Whether the target's score is among the `k` largest.")
histogram = operation(counting.histogram, "How many numbers each of `bins` equal steps holds.")
bincount = operation(counting.bincount, "How often each whole number from 0 occurs.")
corrcoef = operation(counting.correlation, "Correlations between rows.", inputs="floating")
correlate = operation(counting.correlate, "Sums of products of x1 with x2 at each shift.",
                      inputs="alike")  # fmt: skip
argpartition = operation(counting.argpartition, "An order with the `kth` number in its place.",
                         result=torch.int32)  # fmt: skip


def average(x: Any, axis: Any = None, weights: Any = None) -> Any:
    """The mean over axes, each number weighed.

    Args:
        x: Numbers.
        axis: One axis or several; all when None.
        weights: Of x's shape, or of its size along the axis.
    Example:
        >>> average([1.0, 3.0], weights=[3.0, 1.0])
        tensor(1.5000)
    """
    return apply(reductions.average, x, weights, inputs="floating", axis=axis)


def moments(x: Any, axes: Any, keepdims: bool = False, synchronized: bool = False) -> Any:
    """Mean and variance over axes.

    Args:
        x: Any tensor.
        axes: Those that are reduced.
        keepdims: Whether they stay, with size 1.
        synchronized: Over the processes of torch.distributed together.
    Example:
        >>> moments([1.0, 3.0], [0])
        (tensor(2.), tensor(1.))
    """
    if not synchronized:
        return apply(reductions.moments, x, axes=axes, keepdims=keepdims)
    tensor, dims = to_tensor(x), [axes] if isinstance(axes, int) else list(axes)
    both = synchronized_moments(tensor, dims, synchronized=True)
    return both if keepdims else tuple(torch.squeeze(part, tuple(dims)) for part in both)


def trapezoid(y: Any, x: Any = None, dx: float = 1.0, axis: int = -1) -> Any:
    """The area under the polygon through y.

    Args:
        y: Heights.
        x: Where they were taken; every `dx` when None.
        dx: Distance of neighbours.
        axis: Along which they follow one another.
    Example:
        >>> trapezoid([1.0, 2.0, 3.0])
        tensor(4.)
    """
    return apply(counting.trapezoid, y, x, inputs="floating", dx=dx, axis=axis)


def unique(
    x: Any,
    sorted: bool = True,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: int | None = None,
    size: int | None = None,
    fill_value: Any = None,
) -> Any:
    """Each number that occurs, once.

    Args:
        x: Numbers.
        sorted: In rising order; they are in any case.
        return_index: Also where each occurs first.
        return_inverse: Also the place in the result of each number of x.
        return_counts: Also how often each occurs.
        axis: Whole slices along it; numbers when None.
        size: Length of the result: cut, or filled with `fill_value` (the smallest when None).
        fill_value: See `size`.
    Example:
        >>> unique([3, 1, 3], return_counts=True)
        (tensor([1, 3], dtype=torch.int32), tensor([1, 2]))
    """
    return counting.unique(
        to_tensor(x), return_index=return_index, return_inverse=return_inverse,
        return_counts=return_counts, axis=axis, size=size, fill_value=fill_value,
    )  # fmt: skip


searchsorted = operation(arrays.searchsorted, "Where numbers belong in a sequence that rises.",
                         inputs="alike")  # fmt: skip
digitize = operation(arrays.digitize, "The number of the bin in which each number lies.")
