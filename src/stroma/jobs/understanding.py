"""What is worth knowing beyond the headline: how sure to be, what is odd, where photos lie."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from stroma.core.errors import GraphError
from stroma.core.records_audit import FeatureAudit
from stroma.core.records_transfer import Calibration, EmbeddedPhoto, Embedding, UnlikeRow
from stroma.data import ImageData, Part
from stroma.diagnostics import audit_features
from stroma.jobs.judging import Judged, path_as_typed
from stroma.jobs.ladder import Climbed
from stroma.jobs.scratch import Trained
from stroma.jobs.table import FeatureTable
from stroma.transfer import Head
from stroma.transfer.calibration import calibrate, tempered
from stroma.transfer.heads.head import softmax
from stroma.transfer.unlike import Unlike, below_head, output_layer

_MAPPED = 2000  # photos on the map
_DECOMPOSED = 4000  # photos that its axes are found by
_COMPARED = 4000  # photos whose features are computed anew for the unlike score
_LISTED = 1000  # pairs and groups of near-duplicates that a run keeps
_SHARE_HELD_OUT = 0.15


@dataclass(frozen=True, slots=True)
class Understood:
    """What `understand` found; fields as in `RunRecord`, and the score that ships."""

    calibration: Calibration | None
    score: Unlike | None
    unlike: tuple[UnlikeRow, ...]
    photo_audit: FeatureAudit | None
    embedding: Embedding | None


def understand(
    trained: Climbed | Trained, data: ImageData, judged: Judged, source: str, *, seed: int = 0
) -> Understood:
    """Look at the photos through the network that learnt them.

    Args:
        trained: What was trained on `data`.
        data: What it learnt from; the test part is seen only as `judged` has opened it.
        judged: What the test said.
        source: What the user typed: paths begin with it.
        seed: Of samples.
    """
    parts = {"train": data.train, "validation": data.validation}
    if judged.tested is not None:
        parts["test"] = judged.tested
    parts = {name: part for name, part in parts.items() if len(part)}
    audit = None
    if isinstance(trained, Climbed):
        table: FeatureTable | None = trained.table
        audit = look_at(trained.found.head, trained.table, parts, data.class_names, source)
    else:
        table = _own_features(trained)
        parts = {name: _some(part, seed) for name, part in parts.items()}
    score, rows = _unlike(trained, table, parts, seed)
    return Understood(
        calibration=_calibration(trained, data, judged), score=score, unlike=rows,
        photo_audit=audit,
        embedding=embedding(table, parts, source, seed) if table is not None else None,
    )  # fmt: skip


def look_at(
    head: Head, table: FeatureTable, parts: Mapping[str, Part], class_names: Sequence[str],
    source: str,
) -> FeatureAudit:  # fmt: skip
    """The audit of all photos by features of a frozen base.

    Args:
        head: Fitted on the first of the photos: for these its held-out answers stand.
        table: Features of all parts.
        parts: By name.
        class_names: In the order of the labels.
        source: What the user typed.
    """
    features = np.concatenate([table.of(part) for part in parts.values()])
    shares = [softmax(head.sharpness * head.held_out)]
    if len(unseen := features[len(head.held_out) :]):
        shares.append(head.probabilities(unseen))
    return audit_features(
        features,
        np.concatenate([part.labels for part in parts.values()]),
        np.concatenate(shares),
        class_names,
        parts=[name for name, part in parts.items() for _ in range(len(part))],
        paths=[path_as_typed(source, name) for part in parts.values() for name in part.names],
    )


def shortened(audit: FeatureAudit) -> FeatureAudit:
    """The audit with the nearest pairs only, where a folder of one burst has millions."""
    found = audit.duplicates
    kept = dataclasses.replace(found, pairs=found.pairs[:_LISTED], groups=found.groups[:_LISTED])
    return dataclasses.replace(audit, duplicates=kept)


def embedding(
    table: FeatureTable, parts: Mapping[str, Part], source: str, seed: int = 0
) -> Embedding:
    """Photos on the two axes along which their features vary most.

    Reference: Pearson 1901. The axes are those of a sample where there are many photos.
    """
    features = np.concatenate([table.of(part) for part in parts.values()])
    draws = np.random.default_rng(seed)
    mean = features.mean(0)
    sample = features
    if len(features) > _DECOMPOSED:
        sample = features[draws.choice(len(features), _DECOMPOSED, replace=False)]
    _, values, axes = np.linalg.svd(sample - sample.mean(0), full_matrices=False)
    variance = values**2 / max(float((values**2).sum()), float(np.finfo(np.float32).tiny))
    places = (features - mean) @ axes[:2].T
    places = np.pad(places, ((0, 0), (0, 2 - places.shape[1])))  # a single feature has one axis
    shown = np.arange(len(features))
    if len(shown) > _MAPPED:
        shown = np.sort(draws.choice(shown, _MAPPED, replace=False))
    photos = [
        (name, label, part)
        for part, rows in parts.items()
        for name, label in zip(rows.names, rows.labels.tolist())
    ]
    return Embedding(
        photos=tuple(
            EmbeddedPhoto(
                path=path_as_typed(source, photos[at][0]), label=photos[at][1], part=photos[at][2],
                x=round(float(places[at, 0]), 4), y=round(float(places[at, 1]), 4),
            )
            for at in shown.tolist()
        ),
        explained=tuple(round(float(share), 4) for share in variance[:2]),
    )  # fmt: skip


def _calibration(trained: Climbed | Trained, data: ImageData, judged: Judged) -> Calibration | None:
    """On the test part; where folds were tested, on what the network that ships has not seen."""
    temperature, labels = trained.temperature, data.validation.labels
    if judged.tested is not None and judged.probabilities is not None:
        shares, labels = judged.probabilities, judged.tested.labels
    elif isinstance(trained, Climbed):
        head = trained.found.head
        shares = softmax(head.sharpness * head.held_out)
        labels = np.concatenate([data.train.labels, data.validation.labels])
    elif len(labels):
        shares = np.concatenate([rows for _, rows in trained.answers(data.validation)])
    else:
        return None
    before = tempered(shares, 1 / temperature)
    logits = np.log(np.maximum(before, np.finfo(np.float32).tiny))
    return calibrate(logits, labels, temperature=temperature)


def _unlike(
    trained: Climbed | Trained, table: FeatureTable | None, parts: Mapping[str, Part], seed: int
) -> tuple[Unlike | None, tuple[UnlikeRow, ...]]:
    """The score by the features of the network that ships, and its false alarms on the test."""
    if isinstance(trained, Climbed) and trained.tuned is not None:  # its features are new ones
        table = _own_features(trained.tuned)
        parts = {name: _some(part, seed) for name, part in parts.items()}
    if table is None:
        return None, ()
    try:
        layer = _score_layer(trained)
    except GraphError:  # it ends in a function: a file could not name it
        return None, ()
    learnt = table.of(parts["train"])
    if "validation" in parts:
        held_out = table.of(parts["validation"])
    else:
        order = np.random.default_rng(seed).permutation(len(learnt))
        count = max(1, round(_SHARE_HELD_OUT * len(learnt)))
        held_out, learnt = learnt[order[:count]], learnt[order[count:]]
    score = Unlike.fit(learnt, held_out, layer=layer, seed=seed)
    return score, score.rates(table.of(parts["test"])) if "test" in parts else ()


def _score_layer(trained: Climbed | Trained) -> str:
    if isinstance(trained, Climbed) and trained.tuned is None:
        return output_layer(trained.table.extractor)
    return output_layer(below_head(trained.network().model))


def _own_features(trained: Trained) -> FeatureTable | None:
    """What enters the last layer of a network that was trained; None: it cannot be cut there."""
    try:
        return FeatureTable(below_head(trained.model), cache=False)
    except GraphError:
        return None


def _some(part: Part, seed: int) -> Part:
    if len(part) <= _COMPARED:
        return part
    chosen = np.random.default_rng(seed).choice(len(part), _COMPARED, replace=False)
    return part.take(np.sort(chosen))
