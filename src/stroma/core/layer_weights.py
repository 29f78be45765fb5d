"""The half of `Layer` that keeps weights: making them, finding them, freezing, getting, setting."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_module_registration_hook

from stroma.core.axes import shape_text
from stroma.core.dtypes import DTypePolicy, dtype_name, to_dtype
from stroma.core.errors import ShapeError, WeightsError
from stroma.core.names import numbered
from stroma.core.registry import resolve_by_kind
from stroma.core.shape_run import real_tensors
from stroma.core.tracking import Container, track
from stroma.core.weight import (
    PROTOCOL,
    Weight,
    WeightSpec,
    first_values,
    layout_permutation,
    to_torch_layout,
)

if TYPE_CHECKING:
    from stroma.core.layer import Layer


class LayerWeights(nn.Module):
    """Weights of a layer, registered under torch's names, given and taken in Keras' order."""

    name: str  # a property of Layer
    built: bool
    build_declared: Callable[[], None]  # of Layer

    def __init__(self, policy: DTypePolicy, trainable: bool) -> None:
        super().__init__()
        self.training = False
        self._policy = policy
        self._compute_dtype = policy.compute_dtype
        self._moved = False  # whether `.to(dtype)` took it away from the dtype it was made in
        self._trainable = trainable
        self._specs: dict[str, WeightSpec] = {}  # registered name -> spec, in order of creation

    def add_weight(
        self,
        shape: Any = None,
        initializer: Any = None,
        dtype: Any = None,
        trainable: bool = True,
        autocast: bool = True,
        regularizer: Any = None,
        constraint: Any = None,
        aggregation: str = "none",
        name: str | None = None,
        *,
        layout: str | None = None,
    ) -> Weight:
        """Make a weight: an `nn.Parameter` when trainable, else a buffer.

        Args:
            shape: Shape in Keras' order of axes; an int or nothing means rank 1 or a scalar.
            initializer: Name, object or `f(shape, dtype)`; by default Glorot uniform for floats,
                zeros for the rest.
            dtype: By default the policy's variable dtype.
            trainable: Whether training may change it.
            autocast, aggregation: Accepted for Keras' signature; torch's autocast decides.
            regularizer: Penalty on it; constraint: projection after each update.
            name: Keras' name. In `state_dict` it stands under the attribute it is assigned to.
            layout: Keras' axes and torch's, `"HWIO->OIHW"`; None: the same order.
        """
        shape = () if shape is None else (shape,) if isinstance(shape, int) else tuple(shape)
        if any(size is None for size in shape):
            raise ShapeError(
                f"{type(self).__name__}: a weight needs known sizes, got {shape_text(shape)}",
                where=f"layer {self.name!r}",
                why="a size that the weight depends on is not known before the data is",
                fix="give that size in Input((height, width, channels)), or pool it away first: "
                "GlobalAveragePooling2D() instead of Flatten()",
            )
        torch_dtype = to_dtype(dtype) if dtype is not None else self._policy.variable_dtype
        if initializer is None:
            initializer = "glorot_uniform" if torch_dtype.is_floating_point else "zeros"
        make = resolve_by_kind("initializer", initializer)
        spec = WeightSpec(
            name=name or "variable",
            trainable=trainable,
            permutation=layout_permutation(layout, len(shape)),
            regularizer=resolve_by_kind("regularizer", regularizer),
            constraint=resolve_by_kind("constraint", constraint),
        )
        with real_tensors(), torch.no_grad():
            data = first_values(make, shape, torch_dtype, self.name)
            data = to_torch_layout(data, spec.permutation)
            weight = Weight(data, spec, self._trainable and _can_learn(spec, torch_dtype))
        # Until it is assigned to an attribute it stands under its own name, where that is free:
        # `self.bias = None` before `self.bias = self.add_weight(name="bias")` is common.
        tables = (self._parameters, self._buffers, self._modules, self.__dict__)
        taken = {*itertools.chain(*tables), *dir(type(self))}
        self._register_weight(numbered(spec.name.replace(".", "_"), taken), weight)
        return weight

    def _register_weight(self, key: str, weight: Weight) -> None:
        for table in (self._parameters, self._buffers):
            for old in [name for name, tensor in table.items() if tensor is weight]:
                del table[old]
                self._specs.pop(old, None)
        self.__dict__.pop(key, None)  # torch refuses a name that holds anything, even None
        weight.path = f"{self.name}/{weight.spec.name}"
        self._specs[key] = weight.spec
        if _can_learn(weight.spec, weight.dtype):
            self.register_parameter(key, weight)
        else:
            self.register_buffer(key, weight)

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, Weight) and any(
            tensor is value for tensor in (*self._parameters.values(), *self._buffers.values())
        ):
            self._register_weight(name, value)
            return
        if not name.startswith("_"):
            value = track(value)
        super().__setattr__(name, value)

    def __getattr__(self, name: str) -> Any:
        value = super().__getattr__(name)
        if name in self._specs and not hasattr(value, "assign"):
            # torch.export swaps weights for fake tensors, which lack Keras' small protocol
            for method in PROTOCOL:
                setattr(value, method, _bound(method, value))
        return value

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        # A layer without weights must follow too, so the dtype is asked of an empty tensor.
        dtype = fn(torch.empty(0, dtype=self._policy.variable_dtype)).dtype
        if dtype is not self._policy.variable_dtype and not self._policy.is_mixed:
            self._policy, self._compute_dtype = DTypePolicy(dtype_name(dtype)), dtype
            self._moved = True
        for key, spec in self._specs.items():  # `.to()` makes buffers plain tensors again
            buffer = self._buffers.get(key)
            if buffer is not None and not isinstance(buffer, Weight):
                weight = self._buffers[key] = Weight(buffer.detach(), spec, False)
                weight.path = f"{self.name}/{spec.name}"
        return self

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *args: Any) -> None:
        """As in torch, after building from a declared shape; an unbuilt layer cannot load.

        It says so even where the caller is not strict, which torch does not tell: the layer would
        draw its numbers at the first call, after the file was thought to be loaded.
        """
        own = [
            key
            for key in state_dict
            if key.startswith(prefix) and key[len(prefix) :].split(".")[0] not in self._modules
        ]
        if own and not self.built:
            self.build_declared()
            if not self.built:
                raise WeightsError(
                    f"layer {prefix.rstrip('.') or self.name!r} has no weights to load into yet",
                    where=f"load_state_dict: {', '.join(own[:3])}",
                    why="weights are made when the shape of the input is known",
                    fix="call the module on one batch first, or give the layer input_shape=...",
                )
        super()._load_from_state_dict(state_dict, prefix, *args)

    def own_weights(self) -> list[Weight]:
        """Weights made by this very layer in order of creation, the trainable kind first."""
        table = {**self._parameters, **self._buffers}
        own = [cast(Weight, table[key]) for key in self._specs if key in table]
        return sorted(own, key=lambda weight: not weight.spec.trainable)

    @property
    def weights(self) -> list[Weight]:
        """All weights: its own, trainable first, then its sublayers'; each once."""
        found: dict[int, Weight] = {}
        for weight in self.own_weights():
            found[id(weight)] = weight
        for layer in self.sublayers():
            for weight in layer.weights:
                found.setdefault(id(weight), weight)
        return list(found.values())

    variables = weights

    @property
    def trainable_weights(self) -> list[Weight]:
        """The weights that training changes now."""
        return [w for w in self.weights if isinstance(w, Tensor) and w.requires_grad]

    trainable_variables = trainable_weights

    @property
    def non_trainable_weights(self) -> list[Weight]:
        """The weights that training does not change by gradient now."""
        return [w for w in self.weights if not w.requires_grad]

    non_trainable_variables = non_trainable_weights

    def sublayers(self) -> Iterator[Layer]:
        """The layers directly below, through containers, each once, in order of registration."""
        seen: set[int] = set()
        for layer in _layers_below(self):
            if id(layer) not in seen:
                seen.add(id(layer))
                yield layer

    @property
    def trainable(self) -> bool:
        """Whether training changes its weights; may be set at any time, sublayers included."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = bool(value)
        for weight in self.own_weights():
            if _can_learn(weight.spec, weight.dtype):
                weight.requires_grad_(self._trainable)
        for layer in self.sublayers():
            layer.trainable = value

    def count_params(self) -> int:
        """How many numbers its weights hold."""
        return sum(weight.numel() for weight in self.weights)

    def get_weights(self) -> list[np.ndarray]:
        """NumPy copies of all weights, in Keras' order of axes."""
        return [weight.numpy() for weight in self.weights]

    def set_weights(self, weights: Iterable[Any]) -> None:
        """Assign all weights from arrays in the order and shapes of `get_weights`."""
        values, own = list(weights), self.weights
        if len(values) != len(own):
            raise ShapeError(
                f"layer {self.name!r} has {len(own)} weights, {len(values)} were given",
                where="set_weights",
                why="they are matched by order",
                fix=f"give {len(own)} arrays, or build the layer first by calling it once",
            )
        for weight, value in zip(own, values):
            shape = tuple(weight.keras_view.shape)
            if tuple(np.shape(value)) != shape:
                raise ShapeError(
                    f"{weight.path}: cannot set shape {shape} from shape {tuple(np.shape(value))}",
                    where="set_weights",
                    why="arrays are matched with weights by order, in Keras' order of axes",
                    fix="check the order of the arrays against [w.path for w in layer.weights]",
                )
            weight.assign(value)


def _build_when_held(holder: nn.Module, name: str, module: nn.Module | None) -> None:
    """Build a layer with `input_shape=` once a plain module holds it.

    An optimizer made from `module.parameters()` then finds its weights. A stroma layer or network
    builds its layers itself, where the shape that they really meet is known.
    """
    if isinstance(module, LayerWeights) and not isinstance(holder, LayerWeights | Container):
        module.build_declared()


register_module_module_registration_hook(_build_when_held)


def _can_learn(spec: WeightSpec, dtype: torch.dtype) -> bool:
    return spec.trainable and (dtype.is_floating_point or dtype.is_complex)


def _bound(method: str, value: Tensor) -> Callable[[Any], Tensor]:
    return lambda other: getattr(Weight, method)(value, other)


def _layers_below(module: nn.Module) -> Iterator[Any]:
    for child in module.children():
        if isinstance(child, LayerWeights):
            yield child
        else:
            yield from _layers_below(child)
