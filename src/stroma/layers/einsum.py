"""A dense layer whose sum is written in Einstein's notation."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple, Unpack

import torch
from torch import Tensor

from stroma import activations, constraints, initializers, regularizers
from stroma.core.axes import Shape, shape_text
from stroma.core.casting import floating
from stroma.core.errors import ArgumentError, ShapeError
from stroma.core.layer import Layer, LayerOptions
from stroma.initializers.drawn import VarianceScaling
from stroma.layers.arguments import Act, Con, Init, Reg
from stroma.layers.registry import register_layer

_FORM = re.compile(r"(\.\.\.)?([a-zA-Z]+)(\.\.\.)?,([a-zA-Z]+)->(\.\.\.)?([a-zA-Z]+)(\.\.\.)?")


class _Equation(NamedTuple):
    """`"...ab,bc->...ac"` taken apart."""

    inputs: str
    weight: str
    output: str
    left: bool  # whether "..." stands before the letters
    right: bool


@register_layer("EinsumDense")
class EinsumDense(Layer):
    """Affine map along any axes: y = act(einsum(equation, x, W) + b).

    Args:
        equation: `"ab,bc->ac"`: the axes of x, of W and of y, one letter each. `"..."` before the
            letters of x and y (or after them) stands for any number of axes.
        output_shape: Sizes of y without the batch and without what `"..."` stands for; None:
            the size that x has there.
        activation: Name or function applied to y; None: the identity.
        bias_axes: The letters of y along which b has a number each; None: no b.
        kernel_initializer, bias_initializer: First values of W and b. Glorot's, He's and LeCun's
            count the axes that are summed as inputs and those of y as outputs.
        kernel_regularizer, bias_regularizer: Penalties on W and b.
        kernel_constraint, bias_constraint: Projections of W and b after each update.
    Shape: (B, *) -> (B, *output_shape)
    Raises:
        ArgumentError: an equation of another form, or a letter that comes from nowhere.
        ShapeError: the input has not the axes or sizes that the equation says.
    Example:
        >>> EinsumDense("abc,cde->abde", (None, 4, 2), bias_axes="de")(torch.zeros(2, 7, 3)).shape
        torch.Size([2, 7, 4, 2])

    Reference: Einstein 1916, section 5; Vaswani et al. 2017 use it for their heads.
    """

    receptive = "unknown"

    def __init__(
        self,
        equation: str,
        output_shape: int | Sequence[int | None],
        activation: Act = None,
        bias_axes: str | None = None,
        kernel_initializer: Init = "glorot_uniform",
        bias_initializer: Init = "zeros",
        kernel_regularizer: Reg = None,
        bias_regularizer: Reg = None,
        kernel_constraint: Con = None,
        bias_constraint: Con = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**options)
        self.equation = equation
        self.partial_output_shape: Shape = (
            tuple(output_shape) if isinstance(output_shape, Sequence) else (output_shape,)
        )
        self.bias_axes = bias_axes
        self._parts = _read(equation, bias_axes or "")
        self.activation = activations.get(activation)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)

    def build(self, input_shape: Shape) -> None:
        parts = self._parts
        sizes = self._sizes(input_shape)
        self.weight = self.add_weight(
            shape=tuple(sizes[letter] for letter in parts.weight),
            initializer=self._with_fans(),
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
            name="kernel",
        )
        self.bias = None
        if self.bias_axes:
            first = min(parts.output.index(letter) for letter in self.bias_axes)
            elided = len(input_shape) - len(parts.inputs) if parts.right else 0
            own = [sizes[o] if o in self.bias_axes else 1 for o in parts.output[first:]]
            self.bias = self.add_weight(
                shape=(*own, *[1] * elided),
                initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
                name="bias",
            )

    def _sizes(self, shape: Shape) -> dict[str, int | None]:
        """The size behind each letter, by the input's shape and the output's given sizes."""
        parts, elided = self._parts, len(shape) - len(self._parts.inputs)
        free = parts.left or parts.right
        if elided < 0 or (elided and not free):
            raise ShapeError(
                f"EinsumDense: {self.equation!r} takes {len(parts.inputs)} axes"
                f"{' or more' if free else ''}, got {shape_text(shape)}",
                where=f"layer {self.name!r}",
                why="each letter before the comma stands for one axis of the input",
                fix="one letter per axis, or '...' for all that are not summed",
            )
        sizes = dict(zip(parts.inputs, shape[elided:] if parts.left else shape))
        named = parts.output if parts.left else parts.output[1:]  # the others hold the batch
        if len(named) != len(self.partial_output_shape):
            raise ShapeError(
                f"EinsumDense: output_shape {self.partial_output_shape} does not fit "
                f"{self.equation!r}",
                where=f"layer {self.name!r}",
                why=f"it has one size for each of the axes {named!r}, without the batch",
                fix=f"give {len(named)} sizes; None means the input's",
            )
        for letter, size in zip(named, self.partial_output_shape):
            known = sizes.get(letter)
            if size is not None and known not in (None, size):
                raise ShapeError(
                    f"EinsumDense: axis {letter!r} is {known} in the input {shape_text(shape)} "
                    f"and {size} in output_shape",
                    where=f"layer {self.name!r}",
                    why="one letter stands for one size",
                    fix="None in output_shape takes the input's size; another letter, another axis",
                )
            sizes[letter] = known if size is None else size
        return sizes

    def _with_fans(self) -> Any:
        """The kernel's initializer, told which axes of W are inputs and which outputs."""
        make = self.kernel_initializer
        if not isinstance(make, VarianceScaling):
            return make
        axes: dict[bool, list[int]] = {True: [], False: []}
        for axis, letter in enumerate(self._parts.weight):
            axes[letter in self._parts.output].append(axis)
        return make.over(axes[False], axes[True])

    @property
    def kernel(self) -> Tensor:
        """Keras' name of `weight`."""
        return self.weight

    def call(self, inputs: Tensor) -> Tensor:
        x = floating(inputs, self._compute_dtype)
        y = torch.einsum(self.equation, x, self.weight)
        return self.activation(y if self.bias is None else y + self.bias)


def _read(equation: str, bias_axes: str) -> _Equation:
    """The parts of an equation in which every letter has a meaning."""
    match = _FORM.fullmatch(equation.replace(" ", "")) if isinstance(equation, str) else None
    if match is None or match[1] != match[5] or match[3] != match[7] or (match[1] and match[3]):
        raise ArgumentError(
            f"EinsumDense: {equation!r} is no equation of a dense layer",
            where="EinsumDense(equation)",
            why="it names the axes of input, weight and output by letters, any others by '...' "
            "on the same side of input and output",
            fix="EinsumDense('...x,xy->...y', output_shape=10)",
        )
    _, inputs, _, weight, _, output, _ = match.groups()
    lost = (
        {*weight} - {*inputs, *output} | {*output} - {*inputs, *weight} | {*bias_axes} - {*output}
    )
    if lost:
        raise ArgumentError(
            f"EinsumDense({equation!r}, bias_axes={bias_axes!r}): the letters {sorted(lost)} come "
            "from nowhere",
            where="EinsumDense(equation, bias_axes=...)",
            why="a weight's axis is one of the input or of the output, an output's one of the "
            "input or of the weight, a bias's one of the output",
            fix="EinsumDense('...x,xy->...y', output_shape=10, bias_axes='y')",
        )
    return _Equation(inputs, weight, output, bool(match[1]), bool(match[3]))
