"""`Layer`: an `nn.Module` with Keras' protocol (`build`, `call`, `add_weight`, masks, config)."""

from __future__ import annotations

import inspect
import itertools
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypedDict, Unpack, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_map

from stroma.core import weight as weight_functions
from stroma.core.axes import Shape, shape_text
from stroma.core.call_spec import CallSpec, read_call
from stroma.core.config import Configurable
from stroma.core.dtypes import DTypePolicy, as_policy, to_dtype
from stroma.core.errors import (
    ArgumentTypeError,
    GraphError,
    ShapeError,
    StromaError,
    did_you_mean,
)
from stroma.core.names import check_name, numbered, snake_case
from stroma.core.registry import registries, resolve
from stroma.core.shape_run import in_shape_run, probes, real_tensors
from stroma.core.symbolic import (
    Node,
    SymbolicTensor,
    any_symbolic,
    finish,
    is_symbolic,
    map_symbolic,
    tell_what_fits,
)
from stroma.core.tracking import track
from stroma.core.weight import PROTOCOL, Weight, WeightSpec, layout_permutation, to_torch_layout


class UnnamedOptions(TypedDict, total=False):
    """Keyword arguments of a layer that has `name` in its own signature."""

    dtype: Any
    trainable: bool
    autocast: bool
    input_shape: Any
    batch_input_shape: Any
    batch_shape: Any
    batch_size: int | None
    input_dim: int | None


class BaseOptions(UnnamedOptions, total=False):
    """Keyword arguments of a layer that has `activity_regularizer` in its own signature."""

    name: str | None


class LayerOptions(BaseOptions, total=False):
    """Keyword arguments that every layer takes."""

    activity_regularizer: Any


class _Unset:
    """Marks `mask=` as not given: then masks travel on eager tensors (`_keras_mask`)."""


_UNSET = _Unset()
_caller = threading.local()  # .training: what the layer that is calling was called with


@contextmanager
def _calling(training: bool) -> Iterator[None]:
    """Hand `training` to sublayers that a hand-written `call` calls without it."""
    before = getattr(_caller, "training", None)
    _caller.training = training
    try:
        yield
    finally:
        _caller.training = before


class Layer(Configurable, nn.Module):
    """Base of all layers: subclass it, make weights in `build`, compute in `call`.

    A layer is born in eval mode, so that `layer(x)` infers. `training=` given in the call beats
    the calling layer's, which beats `self.training` (`.train()`, `.eval()`).

    Args:
        name: Name in its network; by default the snake-case class, numbered in the network.
        dtype: Dtype policy: a float dtype, `"mixed_bfloat16"`, or None for the default policy.
        trainable: False freezes the weights and puts BatchNormalization in inference.
        activity_regularizer: Penalty on the output, added to the loss.
        input_shape, batch_input_shape: Shape of the input, without and with the batch axis, for
            the first layer of a `Sequential`.
    Raises: ArgumentTypeError: an unknown keyword argument.
    Example:
        >>> class Scale(Layer):
        ...     def build(self, input_shape):
        ...         self.factor = self.add_weight(shape=input_shape[-1:], initializer="ones")
        ...     def call(self, inputs):
        ...         return inputs * self.factor
        >>> Scale()(torch.ones(2, 3)).shape
        torch.Size([2, 3])

    Reference: Keras 3 `keras.layers.Layer`; weights keep PyTorch's names and layout.
    """

    _call_spec = CallSpec()
    input_spec: Any = None
    # What a receptive field needs: (kernel, stride, dilation) per spatial axis; None: pointwise,
    # "unknown": cannot be said, "all": sees everything.
    receptive: Any = "unknown"

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._call_spec = read_call(cls.call)

    def __init__(self, **options: Unpack[LayerOptions]) -> None:
        nn.Module.__init__(self)
        owner = type(self).__name__
        for option in options:
            if option not in LayerOptions.__annotations__:
                known = {*LayerOptions.__annotations__, *inspect.signature(type(self)).parameters}
                raise ArgumentTypeError(
                    f"{owner} has no argument {option!r}.{did_you_mean(option, known)}",
                    where=f"{owner}({option}=...)",
                    why="an argument that is silently ignored hides a mistake",
                    fix=f"one of: {', '.join(sorted(known - {'options', 'kwargs'}))}",
                )
        self.training = False
        self.built = False
        self.supports_masking = False
        self.autocast = options.get("autocast", True)
        self._given_name = options.get("name")
        if self._given_name is not None:
            check_name(self._given_name, owner=owner)
        self._network_name: str | None = None
        self._policy: DTypePolicy = as_policy(options.get("dtype"))
        self._compute_dtype = self._policy.compute_dtype
        self._trainable = bool(options.get("trainable", True))
        self.activity_regularizer = resolve_by_kind(
            "regularizer", options.get("activity_regularizer")
        )
        self._specs: dict[str, WeightSpec] = {}  # registered name -> spec, in order of creation
        self._losses: list[Tensor] = []
        self._nodes: list[Node] = []
        self._build_shape: Any = None
        self.declared_batch_shape = _declared_shape(options)

    # Identity

    @property
    def name(self) -> str:
        """The name given, else the one its network numbered it with."""
        return self._given_name or self._network_name or snake_case(type(self).__name__)

    @name.setter
    def name(self, value: str) -> None:
        self._given_name = check_name(value, owner=type(self).__name__)

    @property
    def dtype_policy(self) -> DTypePolicy:
        return self._policy

    @property
    def dtype(self) -> str:
        """The dtype of its weights, by name."""
        return str(self._policy.variable_dtype).removeprefix("torch.")

    variable_dtype = dtype

    @property
    def compute_dtype(self) -> str:
        """The dtype it computes in, by name."""
        return str(self._policy.compute_dtype).removeprefix("torch.")

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments as plain data, with `name`, `trainable` and `dtype`."""
        config = self._captured_config(Layer)
        config.setdefault("name", None)
        return {
            **config,
            "name": self.name,
            "trainable": self._trainable,
            "dtype": self._policy.name,
        }

    # Weights

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
            data = torch.as_tensor(make(shape, dtype=torch_dtype)).to(torch_dtype)
            data = to_torch_layout(data, spec.permutation)
            weight = Weight(data, spec, trainable and self._trainable and _is_float(torch_dtype))
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
        if weight.spec.trainable and weight.dtype.is_floating_point:
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
        if isinstance(value, Tensor) and not hasattr(value, "assign"):
            # torch.export swaps weights for fake tensors, which lack Keras' small protocol
            for method in PROTOCOL:
                setattr(value, method, _bound(method, value))
        return value

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        for key, spec in self._specs.items():  # `.to()` makes buffers plain tensors again
            buffer = self._buffers.get(key)
            if buffer is not None and not isinstance(buffer, Weight):
                weight = self._buffers[key] = Weight(buffer.detach(), spec, False)
                weight.path = f"{self.name}/{spec.name}"
        return self

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
            if weight.spec.trainable and weight.dtype.is_floating_point:
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
            shape = tuple(weight_functions._view(weight).shape)
            if tuple(np.shape(value)) != shape:
                raise ShapeError(
                    f"{weight.path}: cannot set shape {shape} from shape {tuple(np.shape(value))}",
                    where="set_weights",
                    fix="check the order of the arrays against [w.path for w in layer.weights]",
                )
            weight.assign(value)

    # Building

    def build(self, input_shape: Any) -> None:
        """Make the weights. Override it; shapes have `None` for sizes not known yet."""

    def build_from(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Build once, from the shapes of the first call's arguments."""
        shapes = tuple(tree_map(_shape_of, arg) for arg in args)
        named = {
            f"{name}_shape": shape for name, shape in zip(self._call_spec.arguments, shapes)
        } | {
            f"{name}_shape": tree_map(_shape_of, value)
            for name, value in kwargs.items()
            if name in self._call_spec.arguments
        }
        wanted = list(inspect.signature(self.build).parameters)
        first = next(iter(named.values()), ())
        with real_tensors():
            if len(wanted) > 1:
                self.build(**{name: named[name] for name in wanted if name in named})
            else:
                self.build(first)
        self._build_shape = first
        self.built = True

    # Calling

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """The computation. Override it."""
        raise GraphError(
            f"{type(self).__name__} does not define call(self, inputs)",
            where=f"class {type(self).__name__}",
            why="call is what the layer computes",
            fix="def call(self, inputs): return ...",
        )

    def forward(self, *args: Any, training: Any = None, mask: Any = _UNSET, **kwargs: Any) -> Any:
        """What `layer(...)` does: record on symbolic tensors, else build once, cast, compute."""
        spec = self._call_spec
        if spec.switch is not None and len(args) > spec.switch:
            args, named = spec.by_name(args)
            training, mask = named.pop("training", training), named.pop("mask", mask)
            kwargs = {**named, **kwargs}
        if not _all_plain(args) or kwargs:
            if any_symbolic(args, kwargs):
                return self._record(args, training, mask, kwargs)
            args, kwargs = tree_map(_as_tensor, (args, kwargs))
        if not self.built:
            self.build_from(args, kwargs)
        if args and self.autocast:
            args = self._cast(args)
        if training is None:
            training = getattr(_caller, "training", None)
            if training is None:
                training = self.training
        if spec.training:
            kwargs["training"] = training
        eager = mask is _UNSET
        if eager:
            mask = self._eager_masks(args, kwargs)
        if spec.mask:
            kwargs["mask"] = mask
        outputs = self._compute(args, kwargs, training)
        if eager and (mask is not None or self._makes_mask()):
            _attach_masks(outputs, self.compute_mask(_only(args), mask))
        return outputs

    def _compute(self, args: tuple[Any, ...], kwargs: dict[str, Any], training: bool) -> Any:
        if self._modules and not self.hands_training_on:
            with _calling(training):
                outputs = self._call_in_policy(args, kwargs)
        else:
            outputs = self._call_in_policy(args, kwargs)
        if self.activity_regularizer is not None and not in_shape_run():
            for output in tree_flatten(outputs)[0]:
                self.add_loss(self.activity_regularizer(output) / output.shape[0])
        return outputs

    hands_training_on = False  # True in networks: their code passes training= to every layer
    mixes_precision = True  # False in networks: each of their layers has a policy of its own

    def _call_in_policy(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """`call`, where a mixed policy computes in 16 bits from weights in 32."""
        policy = self._policy
        if not (self.mixes_precision and self.autocast and policy.is_mixed):
            return self.call(*args, **kwargs)
        if in_shape_run():  # meta kernels want one dtype: only the result's is of interest
            args = tree_map(lambda leaf: _cast_leaf(leaf, policy.variable_dtype), args)
            outputs = self.call(*args, **kwargs)
        else:
            leaves = tree_flatten(args)[0]
            device = next((x.device.type for x in leaves if isinstance(x, Tensor)), "cpu")
            with torch.autocast(device, policy.compute_dtype):
                outputs = self.call(*args, **kwargs)
        return tree_map(lambda leaf: _cast_leaf(leaf, policy.compute_dtype), outputs)

    def _cast(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """Floating inputs in the compute dtype, unless torch's autocast is choosing dtypes."""
        dtype = self._compute_dtype
        for arg in args:
            for leaf in arg if type(arg) in (list, tuple) else (arg,):
                if isinstance(leaf, Tensor) and leaf.dtype is not dtype and _castable(leaf):
                    return cast(
                        "tuple[Any, ...]", tree_map(lambda leaf: _cast_leaf(leaf, dtype), args)
                    )
        return args

    # Recording

    def _record(
        self, args: tuple[Any, ...], training: Any, mask: Any, kwargs: dict[str, Any]
    ) -> Any:
        args, kwargs = tree_map(_as_tensor, (args, kwargs))
        try:
            return self._record_fitting(args, training, mask, kwargs)
        except StromaError as error:
            tell_what_fits(error, self, args)
            raise

    def _record_fitting(
        self, args: tuple[Any, ...], training: Any, mask: Any, kwargs: dict[str, Any]
    ) -> Any:
        if not self.built:
            self.build_from(args, kwargs)
        spec = self._call_spec
        if mask is _UNSET:
            mask = tree_map(lambda leaf: leaf.mask if is_symbolic(leaf) else None, _only(args))
            if not any_symbolic(mask):
                mask = None
        for name, arg in zip(spec.arguments, args):
            if f"{name}_mask" in spec.argument_masks and is_symbolic(arg):
                kwargs.setdefault(f"{name}_mask", arg.mask)
        given = dict(kwargs)
        masked = mask is not None or self._makes_mask()
        if masked:
            given["mask"] = mask if spec.mask else None
        if training is not None:
            given["training"] = training
        node = Node("layer", self, args, given)
        outputs = finish(node, lambda: self._declared_outputs(args))
        self._nodes.append(node)
        if masked:
            _attach_symbolic_masks(outputs, self.compute_mask(_only(args), mask))
        return outputs

    def run_for_shapes(self, *args: Any, **kwargs: Any) -> Any:
        """How the shape run calls this layer: like any call, in inference."""
        kwargs.setdefault("mask", None)
        return self.forward(*args, **{**kwargs, "training": kwargs.get("training") or False})

    def _declared_outputs(self, args: tuple[Any, ...]) -> Any:
        """Probes from the layer's own `compute_output_shape`, when running it was not possible."""
        if type(self).compute_output_shape is Layer.compute_output_shape:
            return None
        shapes = [map_symbolic(lambda tensor: tensor.shape, arg) for arg in args]
        shape = self.compute_output_shape(shapes[0])
        return probes(tuple(shape), self._policy.compute_dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The output's shape for an input's shape: found by running the layer on no numbers.

        Example:
            >>> from stroma import layers
            >>> layers.Dense(4).compute_output_shape((None, 3))
            (None, 4)
        """
        single = _is_shape(input_shape)
        entries = [
            SymbolicTensor(Node("input", "input"), probes(tuple(shape), self._compute_dtype))
            for shape in ([input_shape] if single else input_shape)
        ]
        outputs = self(entries[0] if single else entries)
        self._nodes.pop()
        return tuple(outputs.shape) if is_symbolic(outputs) else [out.shape for out in outputs]

    @property
    def input(self) -> Any:
        """The symbolic input of its only call in a network."""
        return _only(self._the_node().args)

    @property
    def output(self) -> Any:
        """The symbolic output of its only call in a network: cut a sub-model there."""
        return self._the_node().outputs

    def _the_node(self) -> Node:
        if self._nodes:
            return self._nodes[0]
        raise GraphError(
            f"layer {self.name!r} has no input or output yet",
            why="it was not called on a symbolic tensor",
            fix="call it on Input(...), or build the network first",
        )

    # Masks

    def _makes_mask(self) -> bool:
        return type(self).compute_mask is not Layer.compute_mask

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """The mask of the output: the input's where masking is supported, else none."""
        return previous_mask if self.supports_masking else None

    def _eager_masks(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if torch.compiler.is_compiling():
            return None
        for name, arg in zip(self._call_spec.arguments, args):
            if f"{name}_mask" in self._call_spec.argument_masks:
                kwargs.setdefault(f"{name}_mask", getattr(arg, "_keras_mask", None))
        if not args or not (self.supports_masking or self._call_spec.mask or self._makes_mask()):
            return None
        if isinstance(args[0], Tensor):
            return getattr(args[0], "_keras_mask", None)
        masks = tree_map(lambda leaf: getattr(leaf, "_keras_mask", None), args[0])
        return masks if any(mask is not None for mask in tree_flatten(masks)[0]) else None

    # Losses

    def add_loss(self, loss: Any) -> None:
        """Add a penalty (a scalar or a list of them) computed in `call` to the loss."""
        if not in_shape_run():
            self._losses.extend(loss if isinstance(loss, (list, tuple)) else [loss])

    @property
    def losses(self) -> list[Tensor]:
        """Penalties of the last call and of the regularised weights, sublayers included."""
        collected = list(self._losses)
        collected += [
            weight.spec.regularizer(weight.keras_view)
            for weight in self.own_weights()
            if weight.spec.regularizer is not None and weight.requires_grad
        ]
        for layer in self.sublayers():
            collected += layer.losses
        return collected

    def clear_losses(self) -> None:
        """Forget the penalties of the last call."""
        self._losses.clear()
        for layer in self.sublayers():
            layer.clear_losses()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_nodes": []}  # a copy of a layer is not a copy of its network

    def extra_repr(self) -> str:
        return f"name={self.name!r}"


def resolve_by_kind(kind: str, identifier: Any) -> Any:
    """`resolve` in the registry of a kind, whose room is on a higher floor than this one.

    The rooms enter their names when they are imported, and `stroma.layers` imports all of them.
    """
    if identifier is None or (callable(identifier) and not inspect.isclass(identifier)):
        return identifier
    return resolve(registries()[kind], identifier)


def _bound(method: str, value: Tensor) -> Callable[[Any], Tensor]:
    return lambda other: getattr(Weight, method)(value, other)


def _is_float(dtype: torch.dtype) -> bool:
    return dtype.is_floating_point or dtype.is_complex


def _is_shape(shape: Any) -> bool:
    return all(size is None or isinstance(size, int) for size in shape)


def _declared_shape(options: LayerOptions) -> Shape | None:
    batch = options.get("batch_input_shape") or options.get("batch_shape")
    if batch is not None:
        return tuple(batch)
    if options.get("input_dim") is not None:
        return (options.get("batch_size"), options["input_dim"])
    shape = options.get("input_shape")
    if shape is None:
        return None
    return (options.get("batch_size"), *((shape,) if isinstance(shape, int) else shape))


def _layers_below(module: nn.Module) -> Iterator[Layer]:
    for child in module.children():
        if isinstance(child, Layer):
            yield child
        else:
            yield from _layers_below(child)


def _shape_of(leaf: Any) -> Any:
    """A call argument's shape as a plain tuple (a leaf, so that lists of inputs stay lists)."""
    if isinstance(leaf, SymbolicTensor):
        return tuple(leaf.shape)
    if isinstance(leaf, Tensor):
        if in_shape_run() or not leaf.dim():
            return tuple(leaf.shape)
        return (None, *leaf.shape[1:])
    return leaf


def _all_plain(args: tuple[Any, ...]) -> bool:
    """Whether all arguments are tensors or lists of them: nothing to record or to convert."""
    for arg in args:
        if isinstance(arg, Tensor):
            continue
        if type(arg) in (list, tuple) and all(isinstance(item, Tensor) for item in arg):
            continue
        return False
    return True


def _only(args: tuple[Any, ...]) -> Any:
    return args[0] if args else None


def _as_tensor(leaf: Any) -> Any:
    return torch.from_numpy(leaf) if isinstance(leaf, np.ndarray) else leaf


def _castable(leaf: Tensor) -> bool:
    if not leaf.is_floating_point():
        return False
    return leaf.is_meta or not torch.is_autocast_enabled(leaf.device.type)


def _cast_leaf(leaf: Any, dtype: torch.dtype) -> Any:
    return leaf.to(dtype) if isinstance(leaf, Tensor) and _castable(leaf) else leaf


def _attach_masks(outputs: Any, masks: Any) -> None:
    """Put masks on eager tensors: they travel so between layers in a user's own code."""
    if masks is None or torch.compiler.is_compiling():
        return
    if isinstance(outputs, Tensor):
        outputs._keras_mask = masks  # type: ignore[attr-defined]
    else:
        for output, mask in zip(outputs, masks):
            _attach_masks(output, mask)


def _attach_symbolic_masks(outputs: Any, masks: Any) -> None:
    if masks is None:
        return
    if is_symbolic(outputs):
        outputs.mask = masks
    elif isinstance(outputs, (list, tuple)):
        pairs = zip(outputs, masks if isinstance(masks, (list, tuple)) else [masks])
        for output, mask in pairs:
            _attach_symbolic_masks(output, mask)
