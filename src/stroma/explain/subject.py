"""`Subject`: a model as the explanations run it: any `nn.Module`, one picture in, scores out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from stroma.core.axes import shape_text
from stroma.core.checks import check_choice
from stroma.core.errors import ArgumentError, GraphError, ShapeError, did_you_mean
from stroma.core.layer import Layer
from stroma.training.fitting import device_of

Layout = Literal["NCHW", "NHWC"]
Preprocess = Callable[[Tensor], Tensor]
Target = int | str | None

# What turns scores into probabilities at the end of a network.
_ENDINGS = frozenset(
    (
        F.softmax, torch.softmax, Tensor.softmax, F.log_softmax, torch.log_softmax,
        Tensor.log_softmax, torch.sigmoid, Tensor.sigmoid, F.logsigmoid,
    )
)  # fmt: skip


class _BeforeTheEnd(TorchFunctionMode):
    """Remembers what went into each softmax and sigmoid: the last one's input are the logits.

    Gradients of probabilities fade where the network is sure (p (1 - p) -> 0) and mix in the
    evidence for other classes, so every method here explains the number before them.
    """

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Tensor, Tensor]] = []

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        result = function(*args, **(kwargs or {}))
        if function in _ENDINGS and args and isinstance(args[0], Tensor):
            self.calls.append((result, args[0]))
        return result

    def logits_of(self, output: Tensor) -> Tensor:
        """The input of the softmax or sigmoid that made `output`; else `output` itself."""
        return next((given for made, given in self.calls if made is output), output)


@dataclass(frozen=True, slots=True)
class Answer:
    """One run: `scores` (B, K) before a final softmax or sigmoid, `outputs` (B, K) after it."""

    scores: Tensor
    outputs: Tensor

    def score(self, index: int) -> Tensor:
        """(B,) score of a class. One output unit is two classes: 1 for it, 0 against it."""
        if self.scores.shape[1] == 1:
            return self.scores[:, 0] if index else -self.scores[:, 0]
        return self.scores[:, index]

    def probability(self, index: int) -> float:
        """Of the first sample; NaN where the network ends in scores that are no probabilities."""
        scores, outputs = self.scores[0].detach(), self.outputs[0].detach()
        if len(scores) == 1:
            positive = float(scores[0].sigmoid())
            return positive if index else 1 - positive
        sums_to_one = bool((outputs >= 0).all()) and abs(float(outputs.sum()) - 1) < 1e-3
        return float((outputs if sums_to_one else scores.softmax(0))[index])


class Subject:
    """A model, and how pictures enter it.

    Args:
        model: Any `nn.Module` that gives one vector of class scores (B, K).
        preprocessing: Applied to pictures before the model sees them.
        layout: Order of axes that a plain PyTorch module takes; stroma's own need none.
    Raises: ArgumentError: a PyTorch module without `layout`.
    """

    def __init__(
        self,
        model: nn.Module,
        preprocessing: Preprocess | None = None,
        layout: Layout | None = None,
    ) -> None:
        if layout is None and not isinstance(model, Layer):
            raise ArgumentError(
                f"{type(model).__name__} is no stroma network: say in which layout it takes images",
                where="explain(layout=...)",
                why="pictures are (height, width, channels) here, torch's own modules take "
                "(channels, height, width)",
                fix='layout="NCHW" (the picture is permuted, without a copy) or layout="NHWC"',
            )
        if layout is not None:
            check_choice("layout", layout, ("NCHW", "NHWC"), owner="explain")
        self.model, self.preprocessing = model, preprocessing
        self.layout: Layout = layout or "NHWC"
        self.device = device_of(model)

    def picture(self, image: Any) -> Tensor:
        """One picture (H, W, C), or (1, H, W, C), as a float batch (1, H, W, C)."""
        x = image if isinstance(image, Tensor) else torch.tensor(np.asarray(image))
        x = x[None] if x.ndim == 3 else x
        if x.ndim != 4 or len(x) != 1:
            raise ShapeError(
                f"an explanation is of one picture, got {shape_text(tuple(x.shape))}",
                where="explain(image)",
                why="each picture has a map of its own",
                fix="one of a batch: batch[0]; grey pictures: image[..., None]",
            )
        return x.detach().to(self.device, torch.float32)

    def run(self, x: Tensor) -> Answer:
        """The answer for pictures (B, H, W, C); gradients flow when `x` or a weight wants them."""
        with _BeforeTheEnd() as ends:
            output = self.forward(x)
        while isinstance(output, (list, tuple)) and len(output) == 1:
            output = output[0]
        if not isinstance(output, Tensor) or output.ndim != 2:
            given = shape_text(tuple(output.shape)) if isinstance(output, Tensor) else "several"
            raise ShapeError(
                f"the model's output is {given}, not one score for each class (batch, classes)",
                where=type(self.model).__name__,
                why="what is explained is the score of one class",
                fix="cut the output out: Model(model.input, model.output[...]); "
                "a map: GlobalAveragePooling2D on top",
            )
        return Answer(ends.logits_of(output), output)

    def forward(self, x: Tensor) -> Any:
        """The model's own output for pictures (B, H, W, C), whatever its shape."""
        x = x if self.preprocessing is None else self.preprocessing(x)
        return self.model(x.permute(0, 3, 1, 2) if self.layout == "NCHW" else x)

    @contextmanager
    def inference(self, *, gradients: bool) -> Iterator[None]:
        """Every part in eval mode meanwhile, with or without gradients; as it was afterwards."""
        modes = [(module, module.training) for module in self.model.modules()]
        self.model.eval()
        try:
            with torch.inference_mode(False), torch.set_grad_enabled(gradients):
                yield
        finally:
            for module, training in modes:
                module.training = training

    def gradient(self, score: Tensor, of: Tensor, name: str) -> Tensor:
        """d(sum of scores) / d`of`; an error where no gradient gets there."""
        if score.requires_grad:
            (found,) = torch.autograd.grad(score.sum(), of, allow_unused=True)
            if found is not None:
                return found
        raise GraphError(
            f"the class score does not depend on {name} by a gradient",
            where=type(self.model).__name__,
            why="something between them has none (rounding, argmax, detach, a whole-number input),"
            " or it lies on a branch that is not used",
            fix='occlusion(model, image) needs no gradients; or name another layer: layer="..."',
        )


def choose_class(
    target: Target, answer: Answer, class_names: Sequence[str] | None
) -> tuple[int, str]:
    """Index and name of the class to explain: the one asked for, else the most probable."""
    count = max(answer.scores.shape[1], 2)
    names = [str(index) for index in range(count)] if class_names is None else list(class_names)
    if len(names) != count:
        raise ArgumentError(
            f"{len(names)} class names for {count} classes",
            where="explain(class_names=...)",
            why="the names stand in the order of the outputs",
            fix="data.class_names, of the data that the model was trained on",
        )
    if target is None:
        index = int(torch.stack([answer.score(i)[0] for i in range(count)]).argmax())
    elif isinstance(target, str):
        if target not in names:
            raise ArgumentError(
                f"there is no class {target!r}.{did_you_mean(target, names)}",
                where="explain(target=...)",
                why="names are those of class_names"
                if class_names
                else "class_names was not given, so classes are known by number",
                fix=f"one of: {', '.join(names[:20])}{', ...' if count > 20 else ''}",
            )
        index = names.index(target)
    elif 0 <= target < count:
        index = int(target)
    else:
        raise ArgumentError(
            f"there is no class {target}",
            where="explain(target=...)",
            why=f"the model has {count} classes, counted from 0",
            fix=f"a number from 0 to {count - 1}",
        )
    return index, names[index]


def as_array(x: Tensor) -> np.ndarray:
    """On the host, as float32."""
    array: np.ndarray = x.detach().to(torch.float32).cpu().numpy()
    return array


def noise(shape: tuple[int, ...], seed: int, device: torch.device) -> Tensor:
    """Uniform in [0, 1), from a generator of its own: the same on every device."""
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)).to(device)
