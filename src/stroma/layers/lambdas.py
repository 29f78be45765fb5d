"""A function as a layer, in memory only."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, NoReturn, Unpack

from stroma.core.errors import ArgumentTypeError, GraphError
from stroma.core.layer import Layer, LayerOptions


class Lambda(Layer):
    """Any function as a layer: y = function(x, **arguments).

    It works in memory. It is not written to files nor read from them: Keras' files hold the
    function's bytecode, and a file that runs code can do anything.

    Args:
        function: Of one tensor, or a list of them; it may take `training` and `mask` besides.
        output_shape: Shape of y without the batch, or a function of x's shape: used where running
            the function on no numbers does not tell it.
        mask: The mask of y, or a function of x and its mask.
        arguments: More arguments of the function, by name.
    Shape: (B, *) -> (B, *)
    Raises: ArgumentTypeError: function cannot be called; GraphError: it is to be saved.
    Example:
        >>> Lambda(lambda x: x**2)(torch.tensor([1.0, 3.0]))
        tensor([1., 9.])
    """

    def __init__(
        self,
        function: Callable[..., Any],
        output_shape: Any = None,
        mask: Any = None,
        arguments: Mapping[str, Any] | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**options)
        if not callable(function):
            raise ArgumentTypeError(
                f"Lambda: function must be a function, got {function!r}",
                where="Lambda(function)",
                why="it is what the layer computes",
                fix="Lambda(lambda x: x * 2)",
            )
        self.function = function
        self.mask = mask
        self.declared_output_shape = output_shape
        given: Mapping[str, Any] = arguments or {}
        self.function_arguments = {**given}
        self.supports_masking = mask is not None
        taken = _parameters(function)
        self._hands_on = tuple(name for name in ("training", "mask") if name in taken)

    def call(self, inputs: Any, mask: Any = None, training: bool = False) -> Any:
        known = {"training": training, "mask": mask}
        handed = {name: known[name] for name in self._hands_on}
        return self.function(inputs, **self.function_arguments, **handed)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return self.mask(inputs, previous_mask) if callable(self.mask) else self.mask

    def compute_output_shape(self, input_shape: Any) -> Any:
        shape = self.declared_output_shape
        if shape is None:
            return super().compute_output_shape(input_shape)
        if callable(shape):
            return shape(input_shape)
        first = input_shape[0] if isinstance(input_shape[0], (tuple, list)) else input_shape
        return (first[0], *((shape,) if isinstance(shape, int) else shape))

    def _declared_outputs(self, args: tuple[Any, ...]) -> Any:
        declared = self.declared_output_shape is not None
        return super()._declared_outputs(args) if declared else None

    def get_config(self) -> NoReturn:
        """A function has none.

        Raises: GraphError: always; the message shows the layer to write instead.
        """
        name = getattr(self.function, "__name__", "")
        text = name if name.isidentifier() else "function"
        raise GraphError(
            f"Lambda {self.name!r} holds the function {name or self.function!r}, which no file "
            "can hold",
            where=f"layer {self.name!r}: get_config(), model.save(...)",
            why="a file that holds code could run any code; stroma neither writes nor reads it",
            fix="make it a layer:\n"
            "    class MyLayer(layers.Layer):\n"
            "        def call(self, inputs):\n"
            f"            return ...  # what {text} returns\n"
            "    load_model(FILE, custom_objects={'MyLayer': MyLayer})\n"
            "or save the numbers alone: model.save_weights('model.safetensors')",
        )


def _parameters(function: Callable[..., Any]) -> tuple[str, ...]:
    """The names of what a function takes; of one written in C they may not be known."""
    try:
        return tuple(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return ()
