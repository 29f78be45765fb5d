"""Which layers a model runs, and what they give: forward hooks, so that any `nn.Module` will do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from stroma.core.axes import shape_text
from stroma.core.errors import ArgumentError, GraphError, did_you_mean
from stroma.core.layer import Layer
from stroma.explain.subject import Layout, Subject
from stroma.layers.torch_module import TorchModuleWrapper


@dataclass(frozen=True, slots=True)
class Seen:
    """One call of a layer: its path in the model and what it gave, channels last."""

    path: str
    module: nn.Module
    output: Tensor

    @property
    def is_map(self) -> bool:
        """Whether the output is laid out in space: (B, H, W, C) with more than one place."""
        return self.output.ndim == 4 and self.output.shape[1] * self.output.shape[2] > 1


def layout_of(subject: Subject, path: str) -> Layout:
    """The order of axes of what the module at `path` gives.

    A stroma layer says so itself; a torch module inside a wrapper has the wrapper's, one in a
    PyTorch model that model's, and one that a user's layer calls by hand torch's own.
    """
    module = subject.model.get_submodule(path)
    if isinstance(module, Layer):
        first = getattr(module, "data_format", None) == "channels_first"
        return "NCHW" if first else "NHWC"
    steps = path.split(".")
    for end in range(len(steps) - 1, 0, -1):
        above = subject.model.get_submodule(".".join(steps[:end]))
        if isinstance(above, TorchModuleWrapper):
            return _torch_layout(above)
        if isinstance(above, Layer):
            return "NCHW"
    if isinstance(subject.model, TorchModuleWrapper):
        return _torch_layout(subject.model)
    return "NCHW" if isinstance(subject.model, Layer) else subject.layout


def _torch_layout(wrapper: TorchModuleWrapper) -> Layout:
    return "NHWC" if wrapper.layout == "NHWC" else "NCHW"


def channels_last(output: Tensor, layout: Layout) -> Tensor:
    return output.permute(0, 2, 3, 1) if output.ndim == 4 and layout == "NCHW" else output


@contextmanager
def watching(subject: Subject) -> Iterator[list[Seen]]:
    """A list that fills, while the model runs, with each layer's output in order of execution."""
    calls: list[Seen] = []

    def watcher(path: str, layout: Layout) -> Any:
        def note(module: nn.Module, inputs: Any, output: Any) -> None:
            if isinstance(output, Tensor):
                calls.append(Seen(path, module, channels_last(output, layout)))

        return note

    hooks = [
        module.register_forward_hook(watcher(path, layout_of(subject, path)))
        for path, module in subject.model.named_modules()
        if path
    ]
    try:
        yield calls
    finally:
        for hook in hooks:
            hook.remove()


@contextmanager
def catching(subject: Subject, path: str, *, cut: bool) -> Iterator[list[Tensor]]:
    """A list that fills with one layer's outputs, channels last, as they leave it.

    With `cut` each is a leaf of the gradient graph: what comes before needs no gradient then, so
    frozen weights and whole-number inputs are no obstacle. Of a layer that is called more than
    once the last call is the last in the list.
    """
    outputs: list[Tensor] = []
    layout = layout_of(subject, path)

    def catch(module: nn.Module, inputs: Any, output: Any) -> Any:
        if not isinstance(output, Tensor):
            return None
        kept = channels_last(output.detach() if cut else output, layout)
        kept = kept.requires_grad_() if cut and kept.is_floating_point() else kept
        outputs.append(kept)
        # A copy goes on: the next layer may work in place (ReLU(inplace=True)).
        copy = kept.clone()
        return copy.permute(0, 3, 1, 2) if copy.ndim == 4 and layout == "NCHW" else copy

    hook = subject.model.get_submodule(path).register_forward_hook(catch)
    try:
        yield outputs
    finally:
        hook.remove()


def run_watched(subject: Subject, x: Tensor) -> list[Seen]:
    """Every layer's output for pictures x, in order of execution, without gradients."""
    with subject.inference(gradients=False), watching(subject) as calls:
        subject.forward(x)
    return calls


def spatial_layer(subject: Subject, x: Tensor, name: str | None) -> Seen:
    """The layer `name`, else the last one with a spatial map; what it gave for x comes with it.

    Raises: ArgumentError: no such layer, or it has no map. GraphError: no layer has one.
    """
    calls = run_watched(subject, x)
    if name is not None:
        found = named_layer(subject, calls, name)
        if not found.is_map:
            listed = ", ".join(call.path for call in _maps(calls)[-5:]) or "none"
            raise ArgumentError(
                f"layer {found.path!r} gives {shape_text(tuple(found.output.shape))}, no map",
                where="explain(layer=...)",
                why="a map says where: it needs height and width of more than one place",
                fix=f"a layer with a map, such as: {listed}",
            )
        return found
    maps = _maps(calls)
    if not maps:
        raise GraphError(
            f"no layer of {type(subject.model).__name__} gives a spatial map after its weights",
            where="explain(layer=None)",
            why="the picture is flattened, or averaged away, before anything is learnt from it",
            fix="integrated_gradients(model, image) or occlusion(model, image): they need no map; "
            "stroma explain ... --method occlusion",
        )
    return _innermost(maps)


def named_layer(subject: Subject, calls: list[Seen], name: str) -> Seen:
    """The last call of the layer with this path, or whose path ends in it, or of this name."""
    paths = {call.path for call in calls}
    exact = [call for call in calls if call.path == name]
    found = exact or [
        call
        for call in calls
        if call.path.endswith(f".{name}")
        or (isinstance(call.module, Layer) and call.module.name == name)
    ]
    alike = sorted({call.path for call in found})
    if len(alike) > 1:
        raise ArgumentError(
            f"{len(alike)} layers are called {name!r}",
            where="explain(layer=...)",
            why="one name must mean one layer",
            fix=f"its whole path: one of {', '.join(alike)}",
        )
    if not found:
        exists = name in dict(subject.model.named_modules())
        raise ArgumentError(
            f"layer {name!r} was not run, or gives no single tensor"
            if exists
            else f"there is no layer {name!r}.{did_you_mean(name, paths)}",
            where="explain(layer=...)",
            why="layers are named by their path in the model",
            fix=f"one of: {', '.join(list(dict.fromkeys(call.path for call in calls))[-8:])}",
        )
    return found[-1]


def _maps(calls: list[Seen]) -> list[Seen]:
    """Calls that give a map made with weights: rescaled pixels alone are nothing learnt.

    A matrix or a kernel counts, BatchNorm's factors do not.
    """
    maps, learnt = [], False
    for call in calls:
        learnt = learnt or any(weight.ndim > 1 for weight in call.module.parameters())
        if learnt and call.is_map:
            maps.append(call)
    return maps


def _innermost(maps: list[Seen]) -> Seen:
    """The last map, under the name of the smallest part that gave it.

    A nested network gives the very tensor that its last layer gave. Among plain layers that hold
    one memory the last counts: it may be a ReLU that worked in place.
    """
    last = maps[-1]
    same = [
        call
        for call in maps
        if call.output.data_ptr() == last.output.data_ptr()
        and call.output.shape == last.output.shape
    ]
    plain = [call for call in same if not any(True for _ in call.module.children())]
    return (plain or same)[-1]


def describe(module: nn.Module) -> str:
    """What a layer is, in words: its class, and an activation that it applies itself."""
    activation = getattr(module, "activation", None)
    name = getattr(activation, "__name__", "linear")
    return type(module).__name__ if name == "linear" else f"{type(module).__name__}, {name}"
