"""From a pretrained base and labelled pictures to a classifier, in one call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from torch import nn

from stroma.core.errors import ShapeError
from stroma.core.preprocessing import Preprocessing
from stroma.core.records import Score
from stroma.data import ImageData, Part
from stroma.models import Model
from stroma.transfer.compose import feature_extractor, with_head
from stroma.transfer.features import features
from stroma.transfer.heads.ridge import RidgeHead


@dataclass(frozen=True, kw_only=True, slots=True)
class Transferred:
    """What `transfer` made.

    Args:
        model: Pictures 0 to 255 (B, H, W, C) -> probabilities (B, K).
        extractor: The part of `model` below the head, for `features` of other parts.
        head: The head that `model` ends in, fitted on train and validation together.
        validation: Accuracy on validation of a head that was fitted on train alone.
    """

    model: Model
    extractor: Model
    head: RidgeHead
    validation: Score


def transfer(
    base: nn.Module,
    data: ImageData,
    *,
    layer: str | None = None,
    preprocessing: Preprocessing | None = None,
    precision: str = "auto",
    device: str = "auto",
    cache: bool = True,
    progress: Callable[[str, int, int], None] | None = None,
) -> Transferred:
    """A classifier: the frozen features of `base`, and a head solved in closed form.

    The features are computed once and cached. A head on train gives the figure on validation;
    the one that ships is then solved on both, with its penalty chosen by exact leave-one-out.
    The test part is not touched.

    Args:
        base: Network without its head, such as `zoo.squeezenet1_1(weights, include_top=False)`.
        data: Pictures of the size that `base` takes: `data.images(path, size=...)`.
        layer, preprocessing, precision, device, cache: As in `features`.
        progress: Called with (part, done, total) while pictures go through the base.
    Raises: ShapeError: the pictures have another size than the base takes.
    """
    extractor = feature_extractor(
        base, layer=layer, preprocessing=preprocessing, input_shape=_shape(base, data)
    )

    def of(name: str, part: Part) -> np.ndarray:
        told = (lambda done, total: progress(name, done, total)) if progress else None
        return features(
            extractor, part, precision=precision, device=device, cache=cache, progress=told
        )

    classes = len(data.class_names)
    train, validation = of("train", data.train), of("validation", data.validation)
    truth = data.validation.labels
    on_train = RidgeHead().fit(train, data.train.labels, classes)
    right = int((on_train.predict(validation) == truth).sum()) if len(truth) else 0
    head = RidgeHead().fit(
        np.concatenate([train, validation]), np.concatenate([data.train.labels, truth]), classes
    )
    return Transferred(
        model=with_head(extractor, head.as_layers()),
        extractor=extractor,
        head=head,
        validation=Score.of("validation accuracy", right, len(truth)),
    )


def _shape(base: nn.Module, data: ImageData) -> tuple[int, int, int]:
    wanted = base.input_shape[1:] if isinstance(base, Model) and base.inputs else data.shape
    if any(own not in (None, given) for own, given in zip(wanted, data.shape)):
        raise ShapeError(
            f"the pictures are {data.shape}, the base takes {tuple(wanted)}",
            where="transfer(base, data)",
            why="a network sees things at the size it was trained on",
            fix=f"data.images(path, size={tuple(wanted[:2])})",
        )
    return data.shape
