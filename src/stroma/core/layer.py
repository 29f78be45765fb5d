"""`Layer`: an `nn.Module` with Keras' protocol (`build`, `call`, `add_weight`, masks, config)."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, Unpack

import numpy as np
import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_map

from stroma.core.call_spec import CallSpec, read_call
from stroma.core.casting import call_mixed, cast_inputs
from stroma.core.config import Configurable
from stroma.core.dtypes import DTypePolicy, as_policy, dtype_name
from stroma.core.errors import GraphError, NotInitializedError
from stroma.core.input_spec import check_input_spec
from stroma.core.layer_options import (
    BaseOptions,
    LayerOptions,
    UnnamedOptions,
    check_options,
    declared_batch_shape,
)
from stroma.core.layer_weights import LayerWeights
from stroma.core.masks import UNSET, add_argument_masks, attach_masks, eager_masks
from stroma.core.misfit import explain_misfit
from stroma.core.names import check_name, snake_case
from stroma.core.recording import record_call, recorded_shape
from stroma.core.registry import resolve_by_kind
from stroma.core.shape_run import in_shape_run, probes, real_tensors
from stroma.core.symbolic import Node, SymbolicTensor, any_symbolic, map_symbolic

# What the author of a layer imports.
__all__ = ["BaseOptions", "Layer", "LayerOptions", "UnnamedOptions"]

_caller = threading.local()  # .training: what the layer that is calling was called with
_penalties = {"added": False}  # whether any layer ever kept one: else there are none to forget


@contextmanager
def _calling(training: bool) -> Iterator[None]:
    """Hand `training` to sublayers that a hand-written `call` calls without it."""
    before = getattr(_caller, "training", None)
    _caller.training = training
    try:
        yield
    finally:
        _caller.training = before


class Layer(Configurable, LayerWeights):
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
        >>> from stroma import layers
        >>> class Scale(layers.Layer):
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
    not_in_config: ClassVar[tuple[str, ...]] = ()  # what Keras' class of this name refuses
    hands_training_on = False  # True in networks: their code passes training= to every layer
    mixes_precision = True  # False in networks: each of their layers has a policy of its own

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._call_spec = read_call(cls.call)

    def __init__(self, **options: Unpack[LayerOptions]) -> None:
        check_options(type(self), options)
        LayerWeights.__init__(
            self, as_policy(options.get("dtype")), bool(options.get("trainable", True))
        )
        self._given_name = options.get("name")
        if self._given_name is not None:
            check_name(self._given_name, owner=type(self).__name__)
        self._network_name: str | None = None
        self.built = False
        self.supports_masking = False
        self.autocast = options.get("autocast", True)
        self.activity_regularizer = resolve_by_kind(
            "regularizer", options.get("activity_regularizer")
        )
        self._losses: list[Tensor] = []
        self._nodes: list[Node] = []
        self._build_shape: Any = None
        self._build_shapes: dict[str, Any] = {}  # by argument of `build`, where it has several
        self.declared_batch_shape = declared_batch_shape(options)

    def _check_initialized(self, error: AttributeError | None = None) -> None:
        if "_nodes" in self.__dict__:
            return
        if error is None or error.obj is self or "Module.__init__" in str(error):
            kind = type(self).__name__
            raise NotInitializedError(
                f"{kind}.__init__ does not call super().__init__() first",
                where=f"class {kind}",
                why="the layer's weights, sublayers and name have no place to be kept in before",
                fix="super().__init__() as the first line of __init__",
            ) from error

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
        return dtype_name(self._policy.variable_dtype)

    variable_dtype = dtype

    @property
    def compute_dtype(self) -> str:
        """The dtype it computes in, by name."""
        return dtype_name(self._policy.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments as plain data, with `name`, `trainable` and `dtype`."""
        config = self._captured_config(Layer)
        config |= {"name": self.name, "trainable": self._trainable, "dtype": self._policy.name}
        return {key: value for key, value in config.items() if key not in self.not_in_config}

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
                self._build_shapes = {name: named[name] for name in wanted if name in named}
                self.build(**self._build_shapes)
            else:
                self.build(first)
        self._build_shape = first
        self.built = True

    def build_declared(self) -> None:
        """Build from the `input_shape=` given to the constructor, when there is one."""
        if not self.built and self.declared_batch_shape is not None:
            recorded_shape(self, self.declared_batch_shape)

    # Calling

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """The computation. Override it."""
        raise GraphError(
            f"{type(self).__name__} does not define call(self, inputs)",
            where=f"class {type(self).__name__}",
            why="call is what the layer computes",
            fix="def call(self, inputs): return ...",
        )

    def forward(self, *args: Any, training: Any = None, mask: Any = UNSET, **kwargs: Any) -> Any:
        """What `layer(...)` does: record on symbolic tensors, else build once, cast, compute."""
        spec = self._call_spec
        if spec.switch is not None and len(args) > spec.switch:
            args, named = spec.by_name(args)
            training, mask = named.pop("training", training), named.pop("mask", mask)
            kwargs = {**named, **kwargs}
        if kwargs:
            args, kwargs = spec.in_place(args, kwargs)
        if not _all_plain(args) or kwargs:
            if any_symbolic(args, kwargs):
                args, kwargs = tree_map(_as_tensor, (args, kwargs))
                return record_call(self, args, training, mask, kwargs)
            args, kwargs = tree_map(_as_tensor, (args, kwargs))
        if self.input_spec is not None and args and not in_shape_run():  # its sizes are made up
            check_input_spec(self.input_spec, args[0], layer=self.name)
        if not self.built:
            self.build_from(args, kwargs)
        if args and self.autocast:
            args = cast_inputs(args, self._compute_dtype)
        if training is None:
            training = getattr(_caller, "training", None)
            if training is None:
                training = self.training
        if spec.training:
            kwargs["training"] = training
        eager = mask is UNSET
        if eager:
            add_argument_masks(spec, args, kwargs)
            masked = self.supports_masking or spec.mask or self._makes_mask()
            mask = eager_masks(args) if masked else None
        if spec.mask:
            kwargs["mask"] = mask
        try:
            outputs = self._compute(args, kwargs, training)
        except RuntimeError as error:
            explain_misfit(error, self.name, type(self).__name__, self._build_shape, args)
            raise
        if eager and (mask is not None or self._makes_mask()):
            attach_masks(outputs, self.compute_mask(args[0] if args else None, mask))
        return outputs

    def _compute(self, args: tuple[Any, ...], kwargs: dict[str, Any], training: bool) -> Any:
        compiling = torch.compiler.is_compiling()  # which cannot trace a walk over the layers
        if not compiling and _penalties["added"] and _is_outermost():
            self.clear_losses()  # as Keras: `losses` are those of the last call
        if self._modules and not (compiling and self.hands_training_on):
            with _calling(training):
                outputs = self._call_in_policy(args, kwargs)
        else:
            outputs = self._call_in_policy(args, kwargs)
        if self.activity_regularizer is not None and not in_shape_run():
            for output in tree_flatten(outputs)[0]:
                self.add_loss(self.activity_regularizer(output) / output.shape[0])
        return outputs

    def _call_in_policy(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """`call`, where a mixed policy computes in 16 bits from weights in 32."""
        if self.mixes_precision and self.autocast and self._policy.is_mixed:
            return call_mixed(self.call, self._policy, args, kwargs)
        return self.call(*args, **kwargs)

    # Recording

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
        return recorded_shape(self, input_shape)

    @property
    def input(self) -> Any:
        """The symbolic input of its only call in a network."""
        args = self._the_node().args
        return args[0] if args else None

    @property
    def output(self) -> Any:
        """The symbolic output of its only call in a network: cut a sub-model there."""
        node = self._the_node()
        return node.outputs if node.result is None else node.result

    def _the_node(self) -> Node:
        if self._nodes:
            return self._nodes[0]
        raise GraphError(
            f"layer {self.name!r} has no input or output yet",
            where=f"{type(self).__name__}.input and .output",
            why="it was not called on a symbolic tensor",
            fix="call it on Input(...), or build the network first",
        )

    # Masks

    def _makes_mask(self) -> bool:
        return type(self).compute_mask is not Layer.compute_mask

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """The mask of the output: the input's where masking is supported, else none."""
        return previous_mask if self.supports_masking else None

    def masks_come_out(self, mask: Any) -> bool:
        """Whether its call itself makes the masks of its outputs, as that of a network does."""
        return False

    # Losses

    def add_loss(self, loss: Any) -> None:
        """Add a penalty (a scalar or a list of them) computed in `call` to the loss."""
        # an exported network computes outputs alone
        if not in_shape_run() and not torch.compiler.is_exporting():
            _penalties["added"] = True
            self._losses.extend(loss if isinstance(loss, (list, tuple)) else [loss])

    @property
    def losses(self) -> list[Tensor]:
        """Penalties of the last call and of the regularised weights, sublayers included."""
        collected: list[Tensor] = []
        for layer in self._layers_within():
            collected += layer._losses
            if any(spec.regularizer is not None for spec in layer._specs.values()):
                collected += [
                    weight.spec.regularizer(weight.keras_view)
                    for weight in layer.own_weights()
                    if weight.spec.regularizer is not None and weight.requires_grad
                ]
        return collected

    def clear_losses(self) -> None:
        """Forget the penalties of the last call."""
        for layer in self._layers_within():
            layer._losses.clear()

    def _layers_within(self) -> Iterator[Layer]:
        return (module for module in self.modules() if isinstance(module, Layer))

    def __getstate__(self) -> dict[str, Any]:
        # A copy of a layer is not a copy of its network, nor of the graph of its last loss.
        return {**self.__dict__, "_nodes": [], "_losses": []}

    def extra_repr(self) -> str:
        return f"name={self.name!r}"


def _is_outermost() -> bool:
    """Whether the call that runs now was made by no layer."""
    return getattr(_caller, "training", None) is None and not in_shape_run()


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


def _as_tensor(leaf: Any) -> Any:
    return torch.from_numpy(leaf) if isinstance(leaf, np.ndarray) else leaf
