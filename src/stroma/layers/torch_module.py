"""Any PyTorch module as a layer."""

from __future__ import annotations

from typing import Any, Literal, NoReturn, Unpack

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.lazy import LazyModuleMixin
from torch.utils._pytree import tree_map_only

from stroma.core.axes import shape_text
from stroma.core.checks import check_choice
from stroma.core.errors import ArgumentError, ArgumentTypeError, GraphError, ShapeError
from stroma.core.layer import Layer, UnnamedOptions
from stroma.core.weight import Weight, WeightSpec

Layout = Literal["NCHW", "NHWC"]


class TorchModuleWrapper(Layer):
    """A PyTorch module as a layer: one node in a network, its parameters trained and saved.

    The module is switched to eval mode, as all layers are born; `training=True`, which `fit`
    passes, switches it to train mode and the next inference back.

    Args:
        module: The module. Lazy ones must have seen data once.
        name: Name of the layer.
        output_shape: Shape of the output with the batch axis, for modules that cannot run on the
            meta device. None: found by running the module.
        layout: Order of axes the module expects of four-axis tensors: `"NCHW"` (what torch's own
            modules take; inputs and outputs are permuted as views) or `"NHWC"` (taken as they
            are). Required for such input: a wrong guess would train on scrambled pictures.
    Shape: (B, *) -> what the module gives
    Raises:
        ArgumentTypeError: `module` is no `nn.Module`.
        ShapeError: four axes and no `layout`.
    Example:
        >>> layer = TorchModuleWrapper(torch.nn.Conv2d(3, 8, 3), layout="NCHW")
        >>> layer(torch.zeros(2, 32, 32, 3)).shape
        torch.Size([2, 30, 30, 8])

    Reference: Keras' layer of this name pickles the module into its config. Here it has no config:
        a file must never run code. Save its numbers with `state_dict()`.
    """

    receptive = "unknown"

    def __init__(
        self,
        module: nn.Module,
        name: str | None = None,
        output_shape: Any = None,
        *,
        layout: Layout | None = None,
        **options: Unpack[UnnamedOptions],
    ) -> None:
        _check_module(module)
        options.setdefault("dtype", _dtype_of(module))
        super().__init__(name=name, **options)
        self.layout = (
            None
            if layout is None
            else check_choice("layout", layout, ("NCHW", "NHWC"), owner="TorchModuleWrapper")
        )
        self.declared_output_shape = output_shape
        self.module = module.eval()
        if not self._trainable:
            self.trainable = False

    def call(self, *args: Any, training: bool = False, **kwargs: Any) -> Any:
        training = training and self.trainable  # frozen: its BatchNorm infers, as stroma's does
        if self.module.training is not training:
            self.module.train(training)
            for part in self._normalizations():  # one that is frozen infers, as stroma's does
                own = list(part.parameters())
                if own and not any(parameter.requires_grad for parameter in own):
                    part.eval()
        args, kwargs = tree_map_only(Tensor, self._to_module, (args, kwargs))
        outputs = self.module(*args, **kwargs)
        return tree_map_only(Tensor, self._from_module, outputs)

    def freeze_normalization(self) -> None:
        """Freeze the module's own BatchNorm, weights and statistics, until `trainable` is set.

        One without weights (`affine=False`) cannot be told from one that learns, and learns.
        """
        self.module.eval()  # so that the next training call switches every part anew
        for part in self._normalizations():
            part.requires_grad_(False)

    def _normalizations(self) -> list[nn.Module]:
        return [part for part in self.module.modules() if isinstance(part, _BatchNorm)]

    def _to_module(self, x: Tensor) -> Tensor:
        if x.dim() != 4 or self.layout == "NHWC":
            return x
        if self.layout is None:
            raise ShapeError(
                f"{type(self.module).__name__} is given {shape_text(tuple(x.shape))}: four axes, "
                "and their order is not said",
                where="TorchModuleWrapper(module, layout=...)",
                why="stroma's pictures are (batch, height, width, channels); torch's own modules "
                "take (batch, channels, height, width)",
                fix='TorchModuleWrapper(module, layout="NCHW")',
            )
        return x.permute(0, 3, 1, 2)  # (B, C, H, W)

    def _from_module(self, y: Tensor) -> Tensor:
        return y.permute(0, 2, 3, 1) if y.dim() == 4 and self.layout == "NCHW" else y

    def compute_output_shape(self, input_shape: Any) -> Any:
        return self.declared_output_shape or super().compute_output_shape(input_shape)

    def _declared_outputs(self, args: tuple[Any, ...]) -> Any:
        return super()._declared_outputs(args) if self.declared_output_shape else None

    def own_weights(self) -> list[Weight]:
        """The module's parameters and saved floating buffers, which become `Weight`s in place."""
        state = {id(t): (key, t) for key, t in self.module.state_dict(keep_vars=True).items()}
        parameters = {id(parameter) for parameter in self.module.parameters()}
        weights = [
            _as_weight(tensor, WeightSpec(key, trainable=id(tensor) in parameters), self.name)
            for key, tensor in state.values()
            if isinstance(tensor, Tensor) and tensor.is_floating_point()
        ]
        return sorted(weights, key=lambda weight: not weight.spec.trainable)

    def get_config(self) -> NoReturn:
        """A wrapped module has none.

        Raises: GraphError: always; the message says what to save instead.
        """
        raise GraphError(
            f"TorchModuleWrapper {self.name!r} holds a {type(self.module).__name__}, which "
            "cannot be written as a config",
            where=f"layer {self.name!r}: get_config(), model.save(...)",
            why="a file that could make any module could run any code",
            fix="save the numbers alone: model.save_weights('model.safetensors'), and build the "
            "model in code; or rewrite the module as a Layer",
        )


def _check_module(module: Any) -> None:
    if not isinstance(module, nn.Module):
        raise ArgumentTypeError(
            f"TorchModuleWrapper: module must be a torch.nn.Module, got {type(module).__name__}",
            where="TorchModuleWrapper(module)",
            why="its parameters are to be found and trained",
            fix="a plain function needs no wrapper: call it on the tensor",
        )
    lazy = [m for m in module.modules() if isinstance(m, LazyModuleMixin)]
    if any(part.has_uninitialized_params() for part in lazy):
        raise ArgumentError(
            f"TorchModuleWrapper: {type(module).__name__} has lazy parameters without a shape",
            where="TorchModuleWrapper(module)",
            why="an optimizer needs the parameters to exist",
            fix="call the module once on data before wrapping it",
        )


def _dtype_of(module: nn.Module) -> torch.dtype | None:
    floats = (p.dtype for p in module.parameters() if p.is_floating_point())
    return next(floats, None)


def _as_weight(tensor: Tensor, spec: WeightSpec, owner: str) -> Weight:
    """Give a tensor Keras' small protocol without replacing it: others may hold or share it."""
    if not isinstance(tensor, Weight):
        tensor.__class__ = Weight
        assert isinstance(tensor, Weight)
        tensor.spec, tensor.path = spec, f"{owner}/{spec.name}"
    return tensor
