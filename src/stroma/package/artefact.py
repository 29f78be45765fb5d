"""The thing that ships: a network, how pictures enter it, and what its answers are called."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from stroma.core.axes import shape_text
from stroma.core.checks import check_choice, check_number
from stroma.core.errors import ArgumentError, DataError, FileFormatError, GraphError, RunError
from stroma.core.plain import Record
from stroma.core.tasks import TASKS, Task
from stroma.data import Decoder
from stroma.data.decode import fit
from stroma.models import Model  # also enters the classes that files of networks name
from stroma.network.network import Network
from stroma.saving import load_model, read_extra, save_model
from stroma.training.fitting import device_of
from stroma.transfer.calibration import tempered
from stroma.transfer.unlike import StoredUnlike, Unlike, features_of

_KEY = "artefact"  # of the file's extra data
_BATCH = 32  # pictures at once
_SIDE = 1 << 14  # largest side in pixels that a file may ask for

Picture = str | PathLike[str] | bytes | np.ndarray


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer(Record):
    """What the network says about one picture.

    Args:
        class_name: The most probable class.
        probability: Its probability, in [0, 1].
        runner_up: The second most probable class; its probability is `runner_up_probability`.
        unlike: Share of the user's own photos that lie nearer to the training photos, in [0, 1):
            near 1, the picture is of something else. None: the artefact cannot tell.
    """

    class_name: str
    probability: float
    runner_up: str
    runner_up_probability: float
    unlike: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class SeveralAnswer(Record):
    """What a network for several classes says about one picture.

    Args:
        classes: Those above 0.5, the most probable first; there may be none.
        probabilities: Of every class by itself: they need not add up to 1.
        unlike: As in `Answer`.
    """

    classes: tuple[str, ...]
    probabilities: Mapping[str, float]
    unlike: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class NumberAnswer(Record):
    """The number that a network predicts for one picture; `unlike` as in `Answer`."""

    value: float
    unlike: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class _Facts(Record):
    """What the file holds beside the network; read back checked."""

    class_names: tuple[str, ...]
    size: tuple[int, ...]
    background: tuple[int, ...]
    max_pixels: int
    from_logits: bool
    provenance: Mapping[str, Any]
    temperature: float = 1.0
    unlike: StoredUnlike | None = None
    task: Task = "one class"


class Artefact:
    """A network that takes picture files: what `stroma train` leaves behind as `model.keras`.

    The geometry (upright, RGB, shorter side scaled, centre cut out) is the decoder's, the very
    object that prepared the training pictures; the arithmetic (scale, mean, deviation) lies in
    the network as layers (`stroma.transfer.preprocess`), so the file also works where only a
    network is read.

    Args:
        model: Network from pixels 0 to 255, (B, H, W, C), to one number for each class, (B, K).
        class_names: K names in the order of its outputs, K >= 2; of a number its one name.
        decoder: `data.decoder`; None: a plain one of the size of the network's input.
        from_logits: Whether the outputs are logits, of which a softmax is then taken (a sigmoid
            where the task is several classes).
        temperature: What logits are divided by, > 0, so that probabilities can be believed:
            `transfer.fit_temperature` on validation. A plain reader of the file does not see it.
        unlike: What tells photos unlike those of the training; its `layer` is one of the network.
        provenance: What is worth knowing later, as plain data: data, weights, figures, licence.
        task: "one class" (`predict` answers), "several classes" (`predict_several`), "number"
            (`predict_number`).
    Raises: ArgumentError: names, decoder, temperature or `unlike` do not fit the network.
    Example:
        >>> from stroma import layers, models
        >>> x = layers.Input((2, 2, 3))
        >>> y = layers.GlobalAveragePooling2D()(layers.Rescaling(1 / 255)(x))
        >>> artefact = Artefact(models.Model(x, y), ["red", "green", "blue"], from_logits=True)
        >>> artefact.predict([np.full((2, 2, 3), (0, 255, 0), np.uint8)])[0].class_name
        'green'
    """

    def __init__(
        self,
        model: Network,
        class_names: Sequence[str],
        *,
        decoder: Decoder | None = None,
        from_logits: bool = False,
        temperature: float = 1.0,
        unlike: Unlike | None = None,
        provenance: Mapping[str, Any] | None = None,
        task: Task = "one class",
    ) -> None:
        check_choice("task", task, TASKS, owner="Artefact")
        shape, outputs = model.input_shape, model.output_shape[-1]
        number = task == "number"
        fits = outputs == 1 if number else len(class_names) > 1
        if len(class_names) != outputs or not fits:
            raise ArgumentError(
                f"Artefact: {len(class_names)} class names for {outputs} outputs",
                where="Artefact(class_names=...)",
                why="a number is one output, and has one name"
                if number
                else "each output of the network is the probability of one class; two at least",
                fix="give the names in the order of the labels: data.class_names",
            )
        size = decoder.size if decoder else shape[1:3]
        if None in size or any(own not in (None, given) for own, given in zip(shape[1:3], size)):
            raise ArgumentError(
                f"Artefact: pictures of {shape_text(size)} for a network of {shape_text(shape)}",
                where="Artefact(decoder=...)",
                why="pictures must be prepared as for training: at the size the network learnt",
                fix="decoder=data.decoder, of the data it was trained on",
            )
        self.model, self.class_names = model, list(class_names)
        self.decoder = decoder or Decoder(size)
        self.channels = int(shape[3])
        self.from_logits, self.provenance = from_logits, dict(provenance or {})
        self.temperature = check_number(
            "temperature", temperature, owner="Artefact", minimum=0, exclusive=True
        )
        self.unlike, self.task = unlike, task
        self._with_features = None if unlike is None else _with_features(model, unlike)

    def predict(self, images: Iterable[Picture]) -> list[Answer]:
        """The answer for each picture.

        Args:
            images: Paths of picture files, their bytes, or uint8 arrays (H, W, 3) or, grey, (H, W).
        Raises: DataError: a file is no picture, or an array has another shape or dtype.
        """
        self._check_task("one class")
        answers = []
        for row, unlike in self._judged(images, _BATCH):
            first, second = np.argsort(-row, kind="stable")[:2].tolist()
            answers.append(
                Answer(
                    class_name=self.class_names[first],
                    probability=float(row[first]),
                    runner_up=self.class_names[second],
                    runner_up_probability=float(row[second]),
                    unlike=unlike,
                )
            )
        return answers

    def predict_several(self, images: Iterable[Picture]) -> list[SeveralAnswer]:
        """The same of a network for several classes: all that it sees in each picture."""
        self._check_task("several classes")
        return [
            SeveralAnswer(
                classes=tuple(
                    self.class_names[at]
                    for at in np.argsort(-row, kind="stable").tolist()
                    if row[at] > 0.5
                ),
                probabilities=dict(zip(self.class_names, row.tolist())),
                unlike=unlike,
            )
            for row, unlike in self._judged(images, _BATCH)
        ]

    def predict_number(self, images: Iterable[Picture]) -> list[NumberAnswer]:
        """The same of a network for a number."""
        self._check_task("number")
        return [
            NumberAnswer(value=float(row[0]), unlike=unlike)
            for row, unlike in self._judged(images, _BATCH)
        ]

    def _check_task(self, asked: Task) -> None:
        methods = dict(zip(TASKS, ("predict", "predict_several", "predict_number")))
        if self.task != asked:
            raise ArgumentError(
                f"this network predicts {self.task}, not {asked}",
                where=f"Artefact.{methods[asked]}",
                why="its answers have another form",
                fix=f"artefact.{methods[self.task]}(images)",
            )

    def probabilities(self, images: Iterable[Picture], *, batch_size: int = _BATCH) -> np.ndarray:
        """(N, K) probabilities of the pictures, computed in float32, at the temperature.

        Of a network for a number: (N, 1) numbers.
        """
        rows = [row for row, _ in self._judged(images, batch_size)]
        return np.stack(rows) if rows else np.zeros((0, len(self.class_names)), np.float32)

    def _judged(
        self, images: Iterable[Picture], batch_size: int
    ) -> Iterator[tuple[np.ndarray, float | None]]:
        """The probabilities of each picture, and how unlike the training photos it is."""
        if isinstance(images, (str, PathLike)):
            images = [images]  # a path is not an iterable of one-letter paths
        waiting = map(self.prepare, images)
        while batch := list(islice(waiting, batch_size)):
            yield from zip(*self._run(np.stack(batch)))

    def prepare(self, image: Picture) -> np.ndarray:
        """One picture as the data room would hold it: (H, W, C) uint8."""
        if isinstance(image, np.ndarray):
            pixels = fit(_as_rgb(image), self.decoder.size)
        elif isinstance(image, bytes):
            pixels = self.decoder(image).pixels
        else:
            pixels = self.decoder.read(Path(image))
        if self.channels == 1:
            return np.asarray(Image.fromarray(pixels).convert("L"))[..., None]
        return pixels

    @torch.no_grad()
    def _run(self, pixels: np.ndarray) -> tuple[np.ndarray, Sequence[float | None]]:
        x = torch.from_numpy(pixels).to(device_of(self.model))
        scores: Sequence[float | None] = [None] * len(pixels)
        if self.unlike is not None and self._with_features is not None:
            outputs, features = self._with_features(x, training=False)
            if features.ndim == 4:
                features = features.mean((1, 2))
            scores = self.unlike.score(features.float().cpu().numpy()).tolist()
        else:
            outputs = self.model(x, training=False)
        outputs = outputs.float()
        if self.from_logits and self.task != "number":
            outputs = outputs.softmax(-1) if self.task == "one class" else outputs.sigmoid()
        shares: np.ndarray = outputs.cpu().numpy()
        if self.temperature != 1 and self.task == "one class":
            shares = tempered(shares, self.temperature)
        return shares, scores

    def save(self, path: str | PathLike[str]) -> Path:
        """Write one `.keras` file with everything inside; to Keras it is a plain model."""
        facts = _Facts(
            class_names=tuple(self.class_names),
            size=self.decoder.size,
            background=self.decoder.background,
            max_pixels=self.decoder.max_pixels,
            from_logits=self.from_logits,
            provenance=self.provenance,
            temperature=self.temperature,
            unlike=None if self.unlike is None else self.unlike.to_record(),
            task=self.task,
        )
        return save_model(self.model, path, extra={_KEY: facts.to_json()})

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Artefact:
        """What `save` wrote. Runs no code of the file.

        Raises: FileFormatError: the file is damaged, or a model without class names.
        """
        extra = read_extra(path)
        if _KEY not in extra:
            raise FileFormatError(
                f"{Path(path).name!r} is a model without class names",
                where=str(path),
                why="its answers could not be named, nor pictures prepared as for its training",
                fix="models.load_model(path), then Artefact(model, class_names).save(path)",
            )
        model = load_model(path, compile=False)
        try:
            facts = _Facts.from_json(extra[_KEY], where=_KEY)
            return cls(
                model, facts.class_names, decoder=_decoder(facts), from_logits=facts.from_logits,
                temperature=facts.temperature, provenance=facts.provenance,
                unlike=None if facts.unlike is None else Unlike.from_record(facts.unlike),
                task=facts.task,
            )  # fmt: skip
        except (RunError, ArgumentError) as error:
            raise FileFormatError(
                f"{Path(path).name!r} does not hold together: {error.what}",
                where=f"{path}: {error.where}",
                why="what is kept beside the network was changed or damaged",
                fix="fetch or save the file again",
            ) from error


def _with_features(model: Network, unlike: Unlike) -> Model:
    """The network with a second output: the features that tell unlike photos."""
    size = unlike.prototypes.shape[1]
    try:
        features = features_of(model, unlike.layer)
    except GraphError as error:
        raise ArgumentError(
            f"Artefact: {error.what}", where="Artefact(unlike=...)", why=error.why, fix=error.fix
        ) from None
    if features.ndim not in (2, 4) or features.shape[-1] != size:
        raise ArgumentError(
            f"Artefact: layer {unlike.layer!r} gives {shape_text(features.shape)}, "
            f"the prototypes have {size} features",
            where="Artefact(unlike=...)",
            why="distances are taken between features of the same layer",
            fix="fit Unlike on features of this very network",
        )
    return Model(model.input, [model.output, features])


def _as_rgb(image: np.ndarray) -> np.ndarray:
    grey = image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 1)
    if image.dtype != np.uint8 or not (grey or (image.ndim == 3 and image.shape[2] == 3)):
        raise DataError(
            f"a picture must be uint8 (H, W, 3) or (H, W), got {image.dtype} {image.shape}",
            where="predict(images)",
            why="pixels are bytes, 0 to 255, channels last",
            fix="values in 0..1: (x * 255).round().astype('uint8'); a batch: predict(list(batch))",
        )
    pixels = image.reshape(*image.shape[:2], -1)
    return np.ascontiguousarray(np.repeat(pixels, 3, axis=2) if grey else pixels)


def _decoder(facts: _Facts) -> Decoder:
    match facts.size, facts.background:
        case (height, width), (red, green, blue) if 0 < min(facts.size) <= max(facts.size) <= _SIDE:
            return Decoder((height, width), (red, green, blue), facts.max_pixels)
    raise ArgumentError(
        f"pictures of size {facts.size} on a background {facts.background}",
        where=_KEY,
        why=f"a size is (height, width), 1 to {_SIDE} each, and a colour is (red, green, blue)",
        fix="save the model again with the stroma that trained it: the record is damaged",
    )
