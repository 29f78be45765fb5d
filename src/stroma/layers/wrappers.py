"""Layers around recurrent ones: `Bidirectional`, and `TimeDistributed` for any layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Unpack

import torch
from torch import Tensor, nn

from stroma.core.axes import Shape, shape_text
from stroma.core.checks import check_choice
from stroma.core.config import Configurable
from stroma.core.errors import ArgumentError, ArgumentTypeError, ShapeError
from stroma.core.layer import Layer, LayerOptions
from stroma.core.registry import resolve
from stroma.layers.normalization import BatchNormalization
from stroma.layers.registry import layers_registry, register_layer
from stroma.layers.wrapping import Wrapper

Merge = Literal["concat", "sum", "mul", "ave"] | None
_MODES = ("concat", "sum", "mul", "ave", None)


@register_layer("Bidirectional")
class Bidirectional(Layer):
    """A recurrent layer read from both ends: y = merge(forward(x), backward(x) turned round).

    Args:
        layer: The layer that reads forward, or its config: an `RNN`, `LSTM`..., or any layer with
            `go_backwards`, `return_sequences`, `return_state` and `stateful`. It is made anew
            from its arguments: weights that it has already stay with it.
        merge_mode: "concat" (side by side), "sum", "mul", "ave"; None: a pair of outputs.
        weights: Arrays to begin with, those of the forward layer first.
        backward_layer: The layer that reads backward; by default `layer` with
            `go_backwards=True`.
    Call arguments: As those of `RNN`; of `initial_state` the first half goes forward.
    Shape: (B, T, D) -> (B, *, D')
    Raises: ArgumentTypeError: not a recurrent layer. ArgumentError: both read in one direction, or
        they differ in what they return.
    Example:
        >>> from stroma import layers
        >>> layer = layers.Bidirectional(layers.LSTM(4, return_sequences=True))
        >>> layer(torch.zeros(2, 5, 3)).shape
        torch.Size([2, 5, 8])

    Reference: Schuster & Paliwal 1997. As in Keras, steps that a mask leaves out come out as 0
        where every step comes out, whatever the layer's `zero_output_for_mask`.
    """

    def __init__(
        self,
        layer: Any,
        merge_mode: Merge = "concat",
        weights: Sequence[Any] | None = None,
        backward_layer: Any = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**options)
        self.merge_mode = check_choice("merge_mode", merge_mode, _MODES, owner="Bidirectional")
        layer, backward = _recurrent(layer, "layer"), _recurrent(backward_layer, "backward_layer")
        if backward is None:
            name = f"backward_{layer.name.removeprefix('backward_')}"
            turned = {**layer.arguments(), "go_backwards": True, "name": name}
            backward = type(layer)(**anew(turned))
        name = f"forward_{layer.name.removeprefix('forward_')}"
        self.forward_layer = type(layer)(**{**anew(layer.arguments()), "name": name})
        self.backward_layer = backward
        self._check_pair()
        for one in (self.forward_layer, self.backward_layer):
            if hasattr(one, "zero_output_for_mask"):
                one.zero_output_for_mask = one.return_sequences
        if not self.trainable:
            self.trainable = False
        self._first_weights = weights
        self.return_sequences, self.return_state = layer.return_sequences, layer.return_state
        self.stateful = layer.stateful
        self.supports_masking = True

    def _check_pair(self) -> None:
        forward, backward = self.forward_layer, self.backward_layer
        for name in ("stateful", "return_sequences", "return_state", "go_backwards"):
            equal = getattr(forward, name) == getattr(backward, name)
            if equal is (name == "go_backwards"):
                raise ArgumentError(
                    f"Bidirectional: {name} is {getattr(forward, name)} in the forward layer and "
                    f"{getattr(backward, name)} in the backward layer",
                    where="Bidirectional(layer, backward_layer=...)",
                    why="one reads from the beginning, one from the end, and their outputs are "
                    "merged",
                    fix="give the backward layer go_backwards=True and the other settings of "
                    "the forward layer",
                )

    def build(self, sequences_shape: Shape, initial_state_shape: Any = None) -> None:
        for layer in (self.forward_layer, self.backward_layer):
            if not layer.built:
                layer.build(sequences_shape)
                layer.built, layer._build_shape = True, sequences_shape
        if self._first_weights is not None:
            self.set_weights(self._first_weights)

    def call(
        self, sequences: Tensor, initial_state: Any = None, mask: Any = None, training: bool = False
    ) -> Any:
        half = len(initial_state) // 2 if initial_state is not None else 0
        before = (None, None) if not half else (initial_state[:half], initial_state[half:])
        y, back = (
            layer(sequences, initial_state=states, mask=mask, training=training)
            for layer, states in zip((self.forward_layer, self.backward_layer), before)
        )
        states: tuple[Any, ...] = ()
        if self.return_state:
            (y, *forward_states), (back, *backward_states) = y, back
            states = (*forward_states, *backward_states)
        back = back.flip(1) if self.return_sequences else back
        if self.merge_mode is None:
            return (y, back, *states)
        return (self._merge(y, back), *states) if states else self._merge(y, back)

    def _merge(self, y: Tensor, back: Tensor) -> Tensor:
        if self.merge_mode == "concat":
            return torch.cat([y, back], dim=-1)
        if self.merge_mode == "mul":
            return y * back
        return (y + back) / 2 if self.merge_mode == "ave" else y + back

    @property
    def states(self) -> list[Any] | None:
        """What the next batch of a stateful layer begins with, forward states first."""
        forward, backward = self.forward_layer.states, self.backward_layer.states
        return None if forward is None else [*forward, *backward]

    def reset_state(self) -> None:
        """Let the next batch of a stateful layer begin with zeros."""
        self.forward_layer.reset_state()
        self.backward_layer.reset_state()

    reset_states = reset_state

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """The input's, where every step comes out; states have none."""
        mask = previous_mask[0] if isinstance(previous_mask, (list, tuple)) else previous_mask
        mask = mask if self.return_sequences else None
        masks = [mask, mask] if self.merge_mode is None else [mask]
        return masks if self.return_state or len(masks) > 1 else mask


def _recurrent(layer: Any, argument: str) -> Any:
    """The layer, or the one a config describes; None stays None for the backward layer."""
    if layer is None and argument == "backward_layer":
        return None
    if isinstance(layer, dict):
        layer = resolve(layers_registry, layer)
    needed = ("go_backwards", "return_sequences", "return_state", "stateful")
    if not isinstance(layer, Layer) or not all(hasattr(layer, name) for name in needed):
        raise ArgumentTypeError(
            f"Bidirectional: {argument} must be a recurrent layer, got {type(layer).__name__}",
            where=f"Bidirectional({argument}=...)",
            why=f"it is read in both directions: it needs {', '.join(needed)}",
            fix="Bidirectional(LSTM(64)); a cell of your own goes into RNN(cell)",
        )
    return layer


def anew(value: Any) -> Any:
    """Arguments with every object in them (a cell, an initializer) made again from its own."""
    if isinstance(value, dict):
        return {key: anew(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [anew(item) for item in value]
    return type(value)(**anew(value.arguments())) if isinstance(value, Configurable) else value


@register_layer("TimeDistributed")
class TimeDistributed(Wrapper):
    """A layer applied to every moment of a sequence alike: y[:, t] = layer(x[:, t]).

    All moments go through the layer at once, as one batch of B T samples.

    Args:
        layer: The layer inside, or its config.
    Call arguments:
        inputs: (B, T, ...).
        training: Handed on.
        mask: (B, T, ...), handed on moment by moment where the layer takes one.
    Shape: (B, T, *) -> (B, T, *)
    Raises: ShapeError: fewer than three axes, or a mask for another batch or time.
    Example:
        >>> from stroma import layers
        >>> video = torch.zeros(2, 5, 8, 8, 3)
        >>> layers.TimeDistributed(layers.Conv2D(4, 3))(video).shape
        torch.Size([2, 5, 6, 6, 4])

    Reference: Keras 3 `keras.layers.TimeDistributed`. Moments are taken one by one where samples of
        a batch may see each other: with BatchNormalization in training, and in layers that are
        neither stroma's nor torch's.
    """

    def __init__(self, layer: Any, **options: Unpack[LayerOptions]) -> None:
        super().__init__(layer, **options)
        self.supports_masking = True

    def build(self, input_shape: Shape) -> None:
        if len(input_shape) < 3:
            raise ShapeError(
                f"TimeDistributed takes (batch, time, ...), got {shape_text(input_shape)}",
                where=f"layer {self.name!r}",
                why="the layer inside gets what is left without the axis of time, "
                "with the batch in front",
                fix="x[..., None] makes each number a moment of one feature",
            )
        super().build((input_shape[0], *input_shape[2:]))

    def call(self, inputs: Tensor, training: bool = False, mask: Any = None) -> Any:
        if mask is not None and tuple(mask.shape[:2]) != tuple(inputs.shape[:2]):
            raise ShapeError(
                f"TimeDistributed: the mask is {shape_text(tuple(mask.shape))}, the input "
                f"{shape_text(tuple(inputs.shape))}",
                where=f"layer {self.name!r}: mask",
                why="it says of each moment of each sample whether it counts",
                fix=f"a mask of shape {tuple(inputs.shape[:2])}",
            )
        mask = mask if self.layer._call_spec.mask else None
        if self._may_mix_samples(training):
            rows = [None] * inputs.shape[1] if mask is None else mask.unbind(1)
            outputs = [self._inside(x, training, m) for x, m in zip(inputs.unbind(1), rows)]
            return torch.stack(outputs, dim=1)
        flat = None if mask is None else mask.flatten(0, 1)
        outputs = self._inside(inputs.flatten(0, 1), training, flat)  # (B T, ...)
        return outputs.unflatten(0, inputs.shape[:2])  # (B, T, ...)

    def _inside(self, x: Tensor, training: bool, mask: Any) -> Any:
        given = {} if mask is None else {"mask": mask}
        return self.layer(x, training=training, **given)

    def _may_mix_samples(self, training: bool) -> bool:
        return any(
            (training and isinstance(module, (BatchNormalization, nn.modules.batchnorm._BatchNorm)))
            or not type(module).__module__.startswith(("stroma.", "torch."))
            for module in self.layer.modules()
        )
