"""A pretrained base and the features of photos by it, each computed once."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stroma import zoo
from stroma.core.errors import GraphError
from stroma.core.preprocessing import Preprocessing
from stroma.core.records_transfer import BaseFacts
from stroma.data import ImageData, Part
from stroma.jobs.watch import Watch
from stroma.models import Model
from stroma.transfer import feature_extractor, features
from stroma.transfer.bases import load_base
from stroma.transfer.unlike import output_layer
from stroma.zoo.weights import FoundWeights


@dataclass(frozen=True, kw_only=True, slots=True)
class Base(BaseFacts):
    """A pretrained base, as the settings of a plan keep it.

    Args:
        precision: What its features are computed in.
        cut: Whether it ends at `layer` because that was asked for.
    """

    precision: str = "float32"
    cut: bool = False


class FeatureTable:
    """The features of photos by a frozen base, each computed once, however often they are needed.

    Args:
        extractor: Pictures (B, H, W, C) to features (B, D).
        precision: What it computes in.
        device: "auto", "cpu", "cuda".
        cache: Whether they are kept on disk too.

    `seconds` is how long computing them has taken so far.
    """

    def __init__(
        self, extractor: Model, precision: str = "float32", device: str = "auto",
        *, cache: bool = True,
    ) -> None:  # fmt: skip
        self.extractor, self.precision, self.device = extractor, precision, device
        self.cache, self.seconds = cache, 0.0
        self._rows = np.zeros(0, np.int64)  # places in the store, ascending
        self._values = np.zeros((0, int(extractor.output_shape[-1])), np.float32)

    def of(
        self, part: Part, watch: Watch | None = None, precision: str | None = None
    ) -> np.ndarray:
        """(N, D), in the part's order; those that are new are computed in `precision`."""
        new = np.flatnonzero(~np.isin(part.rows, self._rows))
        if len(new):
            watch = watch or Watch()
            watch.stage("features")
            began = time.perf_counter()
            # In the order of the store: one cache on disk, whatever the split's seed
            ordered = part.take(new[np.argsort(part.rows[new])])
            found = features(
                self.extractor, ordered, precision=precision or self.precision,
                device=self.device,
                cache=self.cache,
                progress=watch.progress,
            )  # fmt: skip
            self.seconds += time.perf_counter() - began
            rows, values = (
                np.concatenate([self._rows, ordered.rows]), np.concatenate([self._values, found]),
            )  # fmt: skip
            order = np.argsort(rows)
            self._rows, self._values = rows[order], values[order]
        return self._values[np.searchsorted(self._rows, part.rows)]


def pretrained(name: str, found: FoundWeights, data: ImageData, layer: str | None) -> Model:
    """The extractor: pictures 0 to 255 in, features out.

    Raises: GraphError, ShapeError: the base has no such layer, or its output is no map.
    """
    model = _network(name, found.path, data)
    model.preprocessing = found.preprocessing
    return feature_extractor(model, layer=layer)


def facts_of_base(
    name: str, found: FoundWeights, extractor: Model, layer: str | None, precision: str
) -> Base:
    """What is recorded of a base."""
    return Base(
        architecture=name, weights_file=str(found.path), sha256=found.sha256, place=found.place,
        licence=found.licence, preprocessing=_told(found.preprocessing),
        layer=layer or _last_layer(extractor), parameters=extractor.count_params(),
        precision=precision, cut=layer is not None,
    )  # fmt: skip


def load_extractor(base: Base, data: ImageData) -> Model:
    """The extractor that a plan named, for a run that goes on."""
    model = _network(base.architecture, Path(base.weights_file), data)
    return feature_extractor(model, layer=base.layer if base.cut else None)


def _network(name: str, weights: Path, data: ImageData) -> Model:
    """The base without its head: what a `.keras` file holds, else the zoo's with these weights."""
    if weights.suffix == ".keras":
        return load_base(weights, input_shape=data.shape)
    return zoo.architectures.lookup(name)(
        weights=weights, include_top=False, input_shape=data.shape
    )


def _last_layer(extractor: Model) -> str:
    try:
        return output_layer(extractor)
    except GraphError:  # ends in a function: its output has no name
        return ""


def _told(preprocessing: Preprocessing | None) -> str:
    if preprocessing is None:
        return "not known: pixels 0 to 255 as they are"
    height, width = preprocessing.size
    mean, std = (
        " ".join(f"{value:g}" for value in values)
        for values in (preprocessing.mean, preprocessing.std)
    )
    scale = f"times {preprocessing.scale:.6g}, " if preprocessing.scale != 1 else ""
    return (
        f"{width} × {height}, {preprocessing.color.upper()}, {scale}minus {mean}, divided by {std}"
    )
