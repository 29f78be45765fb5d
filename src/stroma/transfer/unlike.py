"""Is this photo like those the classifier learnt from? A score that ships, with its error rates."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from stroma.core.checks import check_number, check_positive_int
from stroma.core.errors import ArgumentError, DataError, GraphError
from stroma.core.optional import require
from stroma.core.plain import Record
from stroma.core.records_transfer import UnlikeRow as UnlikeRow
from stroma.core.scores import Interval
from stroma.models import Model
from stroma.network.network import Network
from stroma.transfer.inputs import as_features, several_numbers

_PROTOTYPES = 64
_MOST_ROWS = 20_000  # photos that prototypes are made of; more change nothing that can be measured
_MOST_KEPT = 1024  # held-out distances that ship: percentiles to a thousandth
_MOST_NUMBERS = 1 << 22  # in the prototypes of a file
_THRESHOLDS = (0.90, 0.95, 0.98, 0.99)


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredUnlike(Record):
    """`Unlike` as plain data for a file: float32 numbers, little-endian, in base 64."""

    layer: str
    size: int  # D
    prototypes: str
    distances: str


class Unlike:
    """How far a photo's features are from those of the training photos, as a percentile.

    d(x) = 1 - max_p cos(x, prototype_p), the prototypes being spherical k-means of the training
    features; the score is 1 - p with p = (1 + #{held-out photos with a distance >= d}) / (1 + M),
    the conformal p-value. So of photos of the same kind a share of at most 1 - s (rounded up by
    one photo) gets a score of s or more, whatever the features are like. What is foreign gets
    scores near 1, not always: see `rates`.

    Measured on SqueezeNet features of imagenette-mini (`bench/unlike.py`), AUROC of handwritten
    digits against photos, and of three classes that were left out against the other seven:
    prototypes 1.000 and 0.91; all training photos as neighbours 0.997 and 0.92; relative
    Mahalanobis 0.976 and 0.87; Mahalanobis with shared shrunk covariance 0.74 and 0.79.
    Prototypes are averages of photos: small, fast, and no single photo travels with the model.

    Args:
        prototypes: (P, D) directions; they are scaled to length 1.
        distances: (M,) of held-out photos of the same kind, M >= 1.
        layer: Name of the layer whose output the features are.
    Shape: `distance`, `score`: (B, D) -> (B,)
    Raises: ArgumentError: arrays of other shapes, or numbers that are not finite.
    Example:
        >>> random = np.random.default_rng(0)
        >>> photos = np.abs(random.normal(size=(300, 8))) + [9, 9, 0, 0, 0, 0, 0, 0]
        >>> unlike = Unlike.fit(photos[:200], photos[200:])
        >>> bool(unlike.score(photos[200:]).mean() < 0.6), bool(unlike.score(-photos).min() > 0.98)
        (True, True)

    Reference: neighbours by cosine: Sun et al. 2022, "Out-of-distribution detection with deep
        nearest neighbors"; relative Mahalanobis: Ren et al. 2021; conformal p-values: Vovk et al.
        2005. Prototypes in place of neighbours are ours, for their size.
    """

    def __init__(self, prototypes: Any, distances: Any, *, layer: str = "") -> None:
        directions = np.asarray(prototypes, np.float32)
        kept = np.sort(np.asarray(distances, np.float32))
        if directions.ndim != 2 or not directions.size or kept.ndim != 1 or not len(kept):
            raise ArgumentError(
                f"Unlike: prototypes {directions.shape} and distances {kept.shape}",
                where="Unlike(prototypes, distances)",
                why="there must be one direction (1, D) and one held-out distance (1,) or more",
                fix="Unlike.fit(features, held_out)",
            )
        length = np.linalg.norm(directions, axis=1, keepdims=True)
        if not (np.isfinite(directions).all() and np.isfinite(kept).all() and length.min() > 0):
            raise ArgumentError(
                "Unlike: a prototype without direction, or a number that is not finite",
                where="Unlike(prototypes, distances)",
                why="a distance to it means nothing",
                fix="Unlike.fit(features, held_out)",
            )
        # What comes from a file has length 1 to the last bit but one, and must stay as it is
        length = np.where(np.abs(length - 1) < 1e-6, np.float32(1), length)
        self.prototypes, self.distances, self.layer = directions / length, kept, layer

    @classmethod
    def fit(
        cls,
        features: Any,
        held_out: Any,
        *,
        layer: str = "",
        prototypes: int = _PROTOTYPES,
        seed: int = 0,
    ) -> Self:
        """Prototypes of the training photos, and the distances that photos of the kind have.

        Args:
            features: (N, D) of the training photos.
            held_out: (M, D) of photos of the same kind that are none of them: validation.
            layer: Name of the layer that the features come from: `output_layer(extractor)`.
            prototypes: How many at most, >= 1.
            seed: Of the start of k-means.
        Raises: DataError: arrays that do not fit together.
        """
        check_positive_int("prototypes", prototypes, owner="Unlike.fit")
        x, other = (_unit(rows) for rows in (features, held_out))
        if x.shape[1:] != other.shape[1:] or not len(x) or not len(other):
            raise DataError(
                f"Unlike.fit: features {x.shape}, held-out features {other.shape}",
                where="Unlike.fit(features, held_out)",
                why="both are rows of the same D features, of one photo or more",
                fix="features(base, data.train), features(base, data.validation)",
            )
        random = np.random.default_rng(seed)
        if len(x) > _MOST_ROWS:
            x = x[random.choice(len(x), _MOST_ROWS, replace=False)]
        # k-means wants distinct points; below four photos a centre it only copies photos
        count = max(1, min(prototypes, len(np.unique(x, axis=0)), len(x) // 4))
        kmeans = require("sklearn.cluster").KMeans  # on use: a second and more to import
        centres = kmeans(count, n_init=1, max_iter=25, random_state=seed).fit(x).cluster_centers_
        made = cls(centres, [0.0], layer=layer)
        distances = made.distance(other)
        if len(distances) > _MOST_KEPT:
            distances = random.choice(distances, _MOST_KEPT, replace=False)
        made.distances = np.sort(distances)
        return made

    def distance(self, features: Any) -> np.ndarray:
        """(B,) 1 - cosine to the nearest prototype, in [0, 2]."""
        x = _unit(features)
        if x.shape[1] != self.prototypes.shape[1]:
            raise DataError(
                f"Unlike: features {x.shape} for prototypes of {self.prototypes.shape[1]}",
                where="Unlike.distance(features)",
                why="the features are those of another network or layer",
                fix=f"features of the layer {self.layer!r}" if self.layer else "the same extractor",
            )
        result: np.ndarray = 1 - (x @ self.prototypes.T).max(1)
        return result

    def score(self, features: Any) -> np.ndarray:
        """(B,) in [0, 1): near 1 for photos farther out than almost all held-out ones."""
        below = np.searchsorted(self.distances, self.distance(features), side="left")
        result: np.ndarray = below / (len(self.distances) + 1)
        return result

    def rates(
        self, own: Any, foreign: Any = None, thresholds: float | Sequence[float] = _THRESHOLDS
    ) -> tuple[UnlikeRow, ...]:
        """False alarms and catches, measured.

        Args:
            own: (B, D) features of photos of the user's kind, not those that were fitted on.
            foreign: (B, D) features of photos that should be called unlike.
            thresholds: Scores, each in [0, 1].
        """
        rows = []
        mine = self.score(own)
        others = None if foreign is None else self.score(foreign)
        for threshold in several_numbers("thresholds", thresholds, owner="Unlike.rates"):
            check_number("threshold", threshold, owner="Unlike.rates", minimum=0, maximum=1)
            alarms = int((mine >= threshold).sum())
            hits = None if others is None else int((others >= threshold).sum())
            rows.append(
                UnlikeRow(
                    threshold=float(threshold),
                    false_alarms=alarms / max(len(mine), 1),
                    false_alarms_interval=Interval.wilson(alarms, len(mine)),
                    caught=None if others is None or hits is None else hits / max(len(others), 1),
                    caught_interval=None
                    if others is None or hits is None
                    else Interval.wilson(hits, len(others)),
                )
            )
        return tuple(rows)

    def to_record(self) -> StoredUnlike:
        """Plain data, exact to the bit in float32."""
        return StoredUnlike(
            layer=self.layer, size=self.prototypes.shape[1],
            prototypes=_encoded(self.prototypes), distances=_encoded(self.distances),
        )  # fmt: skip

    @classmethod
    def from_record(cls, stored: StoredUnlike) -> Self:
        """What `to_record` gave. Raises: ArgumentError: it does not hold together."""
        numbers, distances = _decoded(stored.prototypes), _decoded(stored.distances)
        if stored.size < 1 or len(numbers) % stored.size or len(distances) > _MOST_KEPT:
            raise ArgumentError(
                f"Unlike: {len(numbers):,} numbers are no prototypes of size {stored.size}",
                where="unlike",
                why="they were changed or damaged",
                fix="fetch or save the file again",
            )
        return cls(numbers.reshape(-1, stored.size), distances, layer=stored.layer)


def output_layer(extractor: Network) -> str:
    """Name of the layer that gives the output of a feature extractor: `Unlike.fit(layer=...)`."""
    node = extractor.nodes[-1] if extractor.nodes else None
    if node is None or node.kind != "layer":
        raise GraphError(
            f"{extractor.name!r} does not end in a layer",
            where="output_layer(extractor)",
            why="the features are found again by the name of the layer that makes them",
            fix="end the extractor in a layer, such as GlobalAveragePooling2D",
        )
    return str(node.target.name)


def below_head(model: Network) -> Model:
    """The part of a classifier below its last layer with weights: its own feature extractor.

    Shape: (B, H, W, C) -> (B, D)
    Raises: GraphError: the model is no recorded network, or that layer does not see a layer's
        output (B, D).
    """
    for node in reversed(model.nodes):
        if node.kind == "layer" and node.target.weights:
            entering = node.inputs()[0]
            if entering.ndim == 2 and entering.node.kind == "layer":
                return Model(model.input, entering, name="features")
            break
    raise GraphError(
        f"{model.name!r} has no layer with weights that sees the features (B, D) of a layer",
        where="below_head(model)",
        why="features are what enters the last Dense layer",
        fix="name the features yourself: Model(model.input, model.get_layer(...).output)",
    )


def features_of(model: Network, layer: str) -> Any:
    """The symbolic output of `layer` within `model`. Raises: GraphError: there is none."""
    for node in reversed(model.nodes):
        if node.kind == "layer" and node.target.name == layer:
            return node.outputs
    raise GraphError(
        f"{model.name!r} has no layer {layer!r}",
        where="unlike",
        why="the features that tell unlike photos are its output",
        fix="Unlike.fit(..., layer=output_layer(extractor))",
    )


def _unit(features: Any) -> np.ndarray:
    x = as_features(features, owner="Unlike")
    # a length of its own for each row: squares of large features do not fit float32
    x = (x / np.maximum(np.abs(x).max(1, keepdims=True), 1e-30)).astype(np.float32)
    length = np.linalg.norm(x, axis=1, keepdims=True)
    result: np.ndarray = x / np.where(length > 0, length, 1)
    return result


def _encoded(values: np.ndarray) -> str:
    return base64.b64encode(values.astype("<f4").tobytes()).decode("ascii")


def _decoded(text: str) -> np.ndarray:
    try:
        content = base64.b64decode(text, validate=True)
        if len(content) > 4 * _MOST_NUMBERS:
            raise ValueError(f"{len(content):,} bytes")
        return np.frombuffer(content, "<f4")
    except (binascii.Error, ValueError) as error:
        raise ArgumentError(
            f"Unlike: what is kept is no array of float32 ({error})",
            where="unlike",
            why="it was changed or damaged",
            fix="fetch or save the file again",
        ) from None
