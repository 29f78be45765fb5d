"""Operations on one tensor, number by number."""

from __future__ import annotations

import operator

import torch

from stroma.functional import values
from stroma.ops.calling import operation


def at_least_int32(dtype: torch.dtype) -> torch.dtype:
    return torch.int32 if dtype == torch.bool else dtype


absolute = operation(operator.abs, "|x|.", "x")
abs = absolute
angle = operation(torch.angle, "The angle of a complex number, in radians.", "x", inputs="floating")
arccos = operation(torch.acos, "The angle whose cosine is x.", "x", inputs="floating")
arccosh = operation(torch.acosh, "The inverse of cosh.", "x", inputs="floating")
arcsin = operation(torch.asin, "The angle whose sine is x.", "x", inputs="floating")
arcsinh = operation(torch.asinh, "The inverse of sinh.", "x", inputs="floating")
arctan = operation(torch.atan, "The angle whose tangent is x.", "x", inputs="floating")
arctanh = operation(torch.atanh, "The inverse of tanh.", "x", inputs="floating")
bitwise_not = operation(operator.invert, "Every bit turned.", "x")
bitwise_invert = bitwise_not
cbrt = operation(values.cbrt, "The real cube root.", inputs="floating")
ceil = operation(torch.ceil, "The next whole number above.", "x", inputs="floating")
clip = operation(values.clip, "x kept between x_min and x_max.", result=at_least_int32)
conjugate = operation(values.conjugate, "The complex conjugate.")
conj = conjugate
copy = operation(values.copy, "A tensor of the same numbers, in memory of its own.")
cos = operation(torch.cos, "The cosine of an angle in radians.", "x", inputs="floating")
cosh = operation(torch.cosh, "(e^x + e^-x) / 2.", "x", inputs="floating")
deg2rad = operation(torch.deg2rad, "Degrees as radians.", "x", inputs="floating")
erf = operation(torch.erf, "The error function.", "x")
erfc = operation(torch.erfc, "1 - erf(x), exact for large x too.", "x")
erfinv = operation(torch.erfinv, "The inverse of erf.", "x")
exp = operation(torch.exp, "e to the power x.", "x", inputs="floating")
exp2 = operation(torch.exp2, "2 to the power x.", "x", inputs="floating")
expm1 = operation(torch.expm1, "e^x - 1, exact for small x too.", "x", inputs="floating")
fabs = operation(torch.abs, "|x| as a floating-point number.", "x", inputs="floating")
floor = operation(torch.floor, "The next whole number below.", "x", inputs="floating")
i0 = operation(torch.special.i0, "The modified Bessel function of order 0.", "x", inputs="floating")
imag = operation(values.imag, "The imaginary part; 0 of real numbers.")
isfinite = operation(torch.isfinite, "Whether it is neither infinite nor NaN.", "x")
isinf = operation(torch.isinf, "Whether it is infinite.", "x")
isnan = operation(torch.isnan, "Whether it is not a number.", "x")
isneginf = operation(torch.isneginf, "Whether it is -infinity.", "x")
isposinf = operation(torch.isposinf, "Whether it is +infinity.", "x")
isreal = operation(torch.isreal, "Whether it has no imaginary part.", "x")
log = operation(torch.log, "The natural logarithm.", "x", inputs="floating")
log10 = operation(torch.log10, "The logarithm to base 10.", "x", inputs="floating")
log1p = operation(torch.log1p, "log(1 + x), exact for small x too.", "x", inputs="floating")
log2 = operation(torch.log2, "The logarithm to base 2.", "x", inputs="floating")
logical_not = operation(torch.logical_not, "True where x is 0 or False.", "x")
nan_to_num = operation(values.nan_to_num, "Numbers in place of NaN and infinities.")
negative = operation(operator.neg, "-x.", "x")
rad2deg = operation(torch.rad2deg, "Radians as degrees.", "x", inputs="floating")
real = operation(torch.real, "The real part.", "x")
reciprocal = operation(torch.reciprocal, "1 / x.", "x", inputs="floating")
round = operation(values.round_, "The nearest number of `decimals` places, of two the even.")
rsqrt = operation(torch.rsqrt, "1 / sqrt(x).", "x", inputs="floating")
sign = operation(torch.sign, "-1, 0 or 1.", "x")
signbit = operation(torch.signbit, "Whether the sign is negative, that of -0.0 too.", "x")
sin = operation(torch.sin, "The sine of an angle in radians.", "x", inputs="floating")
sinc = operation(torch.sinc, "sin(pi x) / (pi x), and 1 at 0.", "x", inputs="floating")
sinh = operation(torch.sinh, "(e^x - e^-x) / 2.", "x", inputs="floating")
sqrt = operation(torch.sqrt, "The square root.", "x", inputs="floating")
square = operation(torch.square, "x².", "x", result=at_least_int32)
tan = operation(torch.tan, "The tangent of an angle in radians.", "x", inputs="floating")
tanh = operation(torch.tanh, "The hyperbolic tangent.", "x", inputs="floating")
trunc = operation(torch.trunc, "The whole part.", "x")
view_as_complex = operation(torch.view_as_complex, "Pairs (*, 2) as complex numbers (*).", "x")
view_as_real = operation(values.view_as_real, "Complex numbers (*) as pairs (*, 2).")
