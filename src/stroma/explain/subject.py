"""`Subject`: a model as the explanations run it: any `nn.Module`, one picture in, scores out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from stroma.core.axes import shape_text
from stroma.core.checks import check_choice, check_int
from stroma.core.errors import (
    ArgumentError,
    ArgumentTypeError,
    DataError,
    GraphError,
    ShapeError,
    WeightsError,
    did_you_mean,
)
from stroma.core.layer import Layer
from stroma.core.preprocessing import Preprocessing
from stroma.data.decode import Decoder
from stroma.layers.reshaping import Permute, Reshape
from stroma.network.freezing import running_order
from stroma.network.network import Network
from stroma.training.fitting import device_of

Layout = Literal["NCHW", "NHWC"]
Preprocess = Callable[[Tensor], Tensor] | Literal[False]
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
        ended = self.outputs is not self.scores  # several classes at once do not sum to 1
        shares = ended or abs(float(outputs.sum()) - 1) < 1e-3
        between = bool(((outputs >= 0) & (outputs <= 1)).all())
        return float((outputs if shares and between else scores.softmax(0))[index])


class Subject:
    """A model, and how pictures enter it.

    Args:
        model: Any `nn.Module` that gives one vector of class scores (B, K).
        preprocessing: Applied to pictures before the model sees them. None: the model's own
            (`model.preprocessing`, which came with its weights), if it has one; False: nothing.
        layout: Order of axes that a plain PyTorch module takes; stroma's own need none.
    Raises: ArgumentError: a PyTorch module without `layout`. ArgumentTypeError: no model, or
        preprocessing that cannot be called.
    """

    def __init__(
        self,
        model: nn.Module,
        preprocessing: Preprocess | None = None,
        layout: Layout | None = None,
    ) -> None:
        if not isinstance(model, nn.Module):
            raise ArgumentTypeError(
                f"{model!r:.60} is no model",
                where="explain(model)",
                why="a network is run on the picture",
                fix='models.load_model("model.keras"), or any torch.nn.Module with layout="NCHW"',
            )
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
        own = getattr(model, "preprocessing", None) if preprocessing is None else None
        self._is_own = isinstance(own, Preprocessing)  # a model may use that name for a part of it
        self.model, self.preprocessing = model, own if self._is_own else preprocessing or None
        if self.preprocessing is not None and not callable(self.preprocessing):
            raise ArgumentTypeError(
                f"preprocessing is {preprocessing!r:.60}, which cannot be called",
                where="explain(preprocessing=...)",
                why="it turns pictures (batch, height, width, channels) into the model's input",
                fix="preprocessing=other_model.preprocessing, or lambda x: x / 255; False: none",
            )
        self.layout: Layout = layout or ("NCHW" if _takes_channels_first(model) else "NHWC")
        self.device = device_of(model)

    def picture(self, image: Any) -> Tensor:
        """One picture (H, W, C), or (1, H, W, C), or a file, as a float batch (1, H, W, C)."""
        if isinstance(image, (str, Path)):
            image = Decoder(self._size_for(image)).read(image)
        x = as_numbers(image)
        x = x[None] if x.ndim == 3 else x
        if x.ndim != 4 or len(x) != 1:
            raise ShapeError(
                f"an explanation is of one picture, got {shape_text(tuple(x.shape))}",
                where="explain(image)",
                why="each picture has a map of its own",
                fix="one of a batch: batch[0]; grey pictures: image[..., None]",
            )
        return self.pictures(x)

    def pictures(self, x: Tensor, first: int = 0) -> Tensor:
        """Pictures (B, H, W, C) as float32 on the model's device; `first` counts those before.

        Raises: DataError: one is not finite, or looks prepared for the model already.
        """
        x = x.detach().to(self.device, torch.float32)
        finite = x.flatten(1).isfinite().all(1) if x.numel() else x.new_ones(len(x)).bool()
        if not finite.all():
            raise DataError(
                f"picture {first + int(finite.int().argmin())} holds NaN or infinity",
                where="explain(image)",
                why="every answer of the network would be NaN as well",
                fix="look at how it was read and prepared; np.isfinite(image).all() tells",
            )
        if self._is_own and x.numel() and (x.min() < 0 or 0 < x.max() <= 1):
            raise DataError(
                f"the pixels go from {float(x.min()):.3g} to {float(x.max()):.3g}, and "
                "model.preprocessing takes them from 0 to 255",
                where="explain(image, preprocessing=None)",
                why="they look prepared already; prepared twice, the answer is of another picture",
                fix="give the pixels 0 to 255; or preprocessing=False for a prepared picture",
            )
        return x

    def _size_for(self, path: str | Path) -> tuple[int, int]:
        """(height, width) at which a file is read: what the network declares."""
        model = self.model
        if isinstance(model, Network) and len(model.inputs) == 1 and model.inputs[0].ndim == 4:
            shape = model.inputs[0].shape
            height, width = shape[2:] if self.layout == "NCHW" else shape[1:3]
            if height and width:
                return height, width
        if isinstance(self.preprocessing, Preprocessing):
            return self.preprocessing.size
        raise ArgumentError(
            f"the model does not say at which size to read {str(path)!r}",
            where="explain(image)",
            why="its input has no fixed height and width",
            fix="give the pixels: np.asarray(PIL.Image.open(FILE).resize((width, height)))",
        )

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
        scores = ends.logits_of(output)
        if scores.isnan().any() or output.isnan().any():
            raise answers_nan(self.model, f"{type(self.model).__name__} answers NaN")
        return Answer(scores, output)

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
    else:
        index = check_int("target", target, owner="explain")
        if not 0 <= index < count:
            raise ArgumentError(
                f"there is no class {index}",
                where="explain(target=...)",
                why=f"the model has {count} classes, counted from 0",
                fix=f"a number from 0 to {count - 1}",
            )
    return index, names[index]


def as_numbers(given: Any, where: str = "explain(image)") -> Tensor:
    """Pictures or colours as a tensor of real numbers.

    Raises: ArgumentTypeError: they are none.
    """
    try:
        x = given if isinstance(given, Tensor) else np.asarray(given)
    except ValueError:  # lists of different lengths
        x = np.array(None)
    if isinstance(x, Tensor) and not x.is_complex():
        return x.detach()
    if isinstance(x, np.ndarray) and x.dtype.kind in "biuf":
        return torch.tensor(x)
    raise ArgumentTypeError(
        f"{given!r:.60} is no array of numbers",
        where=where,
        why="a network is given numbers",
        fix="an array or a tensor (height, width, channels), or the path of a picture",
    )


def as_colour(name: str, given: Any, x: Tensor, where: str) -> Tensor:
    """A number, one for each channel, or a picture, as large as pictures x (1, H, W, C).

    Raises: ShapeError: it is none of these. ArgumentError: it is not finite.
    """
    value = as_numbers(given, where).to(x)
    if not value.isfinite().all():
        raise ArgumentError(
            f"the {name} is NaN or infinite",
            where=where,
            why="the network would be shown a picture that is none",
            fix="a number from the range of the pixels",
        )
    try:
        return value.expand_as(x).clone()
    except RuntimeError:
        raise ShapeError(
            f"the {name} is {shape_text(tuple(value.shape))}, the picture "
            f"{shape_text(tuple(x.shape[1:]))}",
            where=where,
            why="each pixel needs a value of its own, or one of its channel",
            fix="a number, one for each channel, or a picture of the same size",
        ) from None


def _takes_channels_first(model: nn.Module) -> bool:
    """Whether the first layer of a network to which the order of axes matters has them so."""
    for place in running_order(model) if isinstance(model, Network) else ():
        if isinstance(place.layer, (Permute, Reshape)):
            return False
        if (data_format := getattr(place.layer, "data_format", None)) is not None:
            return bool(data_format == "channels_first")
    return False


def answers_nan(model: nn.Module, what: str) -> WeightsError:
    """The error for values that are no numbers; it names the weight they come from."""
    return WeightsError(
        what,
        where=_not_finite(model) or "its layers, or preprocessing=...",
        why="what is no number can be neither shown nor explained",
        fix="load weights that are whole, or train again with a lower learning rate",
    )


def _not_finite(model: nn.Module) -> str:
    """The first weight that is not finite; empty: all are."""
    for name, weight in model.state_dict().items():
        if weight.is_floating_point() and not weight.isfinite().all():
            return f"weight {name!r}"
    return ""


def as_array(x: Tensor) -> np.ndarray:
    """On the host, as float32."""
    array: np.ndarray = x.detach().to(torch.float32).cpu().numpy()
    return array


def noise(shape: tuple[int, ...], seed: int, device: torch.device) -> Tensor:
    """Uniform in [0, 1), from a generator of its own: the same on every device."""
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)).to(device)
