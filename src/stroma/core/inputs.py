"""`Input`: the entry of a network."""

from __future__ import annotations

from typing import Any, cast

from stroma.core.axes import Shape, shape_text
from stroma.core.dtypes import to_dtype
from stroma.core.errors import GraphError, ShapeError
from stroma.core.layer import Layer
from stroma.core.shape_run import probes
from stroma.core.symbolic import Node, SymbolicTensor


class InputLayer(Layer):
    """The layer that stands for an entry of a network in `model.layers` and in files.

    Args:
        shape: Sizes without the batch axis, `None` where unknown.
        batch_size: Size of the batch axis, when it is fixed.
        dtype: Inputs are cast to it on entry; float32 when not given.
        sparse, ragged, input_tensor, optional: Accepted for Keras' order of arguments; must keep
            their defaults.
        batch_shape: Sizes with the batch axis, instead of `shape` and `batch_size`.
        name: Name of the entry.
    Shape: (*) -> (*)
    Raises: ShapeError: neither or both of `shape` and `batch_shape` are given, or a size is not
        a positive whole number.
    Example:
        >>> InputLayer((28, 28, 1), name="photo").output
        <SymbolicTensor shape=(None, 28, 28, 1) dtype=float32>
    """

    receptive = None

    def __init__(
        self,
        shape: Any = None,
        batch_size: int | None = None,
        dtype: Any = None,
        sparse: Any = None,
        ragged: Any = None,
        batch_shape: Any = None,
        input_tensor: Any = None,
        optional: bool = False,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        if sparse or ragged or input_tensor is not None or optional:
            raise GraphError(
                "Input takes no sparse=, ragged=, tensor= or optional= here",
                where="Input(...)",
                why="stroma's inputs are dense and given at call time",
                fix="Input(shape=..., dtype=...)",
            )
        self.batch_shape = _batch_shape(shape, batch_size, batch_shape)
        self.input_dtype = to_dtype(dtype or "float32")
        node = Node("input", self)
        node.outputs = SymbolicTensor(node, probes(self.batch_shape, self.input_dtype), name)
        self._nodes.append(node)
        self.built = True

    def call(self, inputs: Any) -> Any:
        return inputs


def _batch_shape(shape: Any, batch_size: int | None, batch_shape: Any) -> Shape:
    if (shape is None) == (batch_shape is None):
        raise ShapeError(
            f"Input needs shape= or batch_shape=, got {'neither' if shape is None else 'both'}",
            where="Input(...)",
            why="the layers after it make their weights for this shape",
            fix="Input((224, 224, 3)), without the batch axis",
        )
    if isinstance(shape, int):
        raise ShapeError(
            f"Input: shape must be a tuple, got {shape}",
            where=f"Input(shape={shape})",
            why="the shape has one size for each axis, and a number is no list of axes",
            fix=f"Input(shape=({shape},))",
        )
    full = tuple(batch_shape) if batch_shape is not None else (batch_size, *shape)
    for size in full:
        if size is not None and (isinstance(size, bool) or not isinstance(size, int) or size < 0):
            raise ShapeError(
                f"Input: every size must be a whole number or None, got {shape_text(full)}",
                where="Input(shape=...)",
                why="the shape counts rows, columns and channels",
                fix="Input((224, 224, 3)), without the batch axis",
            )
    return full


def Input(  # noqa: N802  # Keras' name
    shape: Any = None,
    batch_size: int | None = None,
    dtype: Any = None,
    sparse: Any = None,
    ragged: Any = None,
    batch_shape: Any = None,
    name: str | None = None,
    tensor: Any = None,
    optional: bool = False,
) -> SymbolicTensor:
    """A symbolic tensor: the entry of a network.

    Args:
        shape: Sizes without the batch axis, `None` where unknown: `(None, None, 3)`.
        batch_size: Size of the batch axis, when it is fixed.
        dtype: Inputs are cast to it on entry; float32 when not given.
        sparse, ragged, tensor, optional: Accepted for Keras' order of arguments; must keep their
            defaults.
        batch_shape: Sizes with the batch axis, instead of `shape` and `batch_size`.
        name: Name of the entry: the key of this input when inputs are given as a dict.
    Raises: ShapeError: neither or both of `shape` and `batch_shape` are given, or a size is not
        a positive whole number.
    Example:
        >>> Input((28, 28, 1)).shape
        (None, 28, 28, 1)
    """
    layer = InputLayer(
        shape, batch_size, dtype, sparse, ragged, batch_shape, tensor, optional, name
    )
    return cast(SymbolicTensor, layer.output)
