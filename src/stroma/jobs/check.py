"""`stroma check --base`: what a pretrained base sees that is odd about photos."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import numpy as np

from stroma.core.records_audit import FeatureAudit
from stroma.data import ImageData, images
from stroma.data.images import natural_size
from stroma.jobs.labels import check_one_class
from stroma.jobs.options import TrainOptions
from stroma.jobs.roads import choose_road
from stroma.jobs.table import FeatureTable, pretrained
from stroma.jobs.understanding import look_at
from stroma.jobs.watch import Watch
from stroma.transfer import RidgeHead


@dataclass(frozen=True, slots=True)
class Looked:
    """What `look` saw.

    Args:
        data: The photos, at the size of the base.
        audit: What is odd about them.
        base: Which base looked, and where its weights lie.
    """

    data: ImageData
    audit: FeatureAudit
    base: str


def look(options: TrainOptions, watch: Watch | None = None) -> Looked:
    """Near-duplicates, suspected labels, outliers and hard classes; no file is changed.

    Every photo is judged by a ridge head that has not seen it, by exact leave-one-out.

    Args:
        options: `path`, `group`, the base (`model`, `weights`, `layer`), `size`, `device`.
        watch: Who is told.
    Raises: WeightsError: no such weights on this machine. DataError: no photos of two classes.
    """
    watch = watch or Watch()
    asked: dict[str, Any] = {"labels": options.labels, "target_column": options.target_column}
    natural = natural_size(options.path, group=options.group, **asked)
    road = choose_road(options, natural, watch.say)
    found = road.bases[0]
    name = road.architecture_of(found)
    size = options.size or (found.preprocessing.size if found.preprocessing else natural)
    data = images(  # here a faulty file is a finding, not a reason to stop
        options.path, size=size, group=options.group, drop_empty=True, max_skipped=sys.maxsize,
        progress=watch.reading, **asked,
    )  # fmt: skip
    check_one_class(data, options.path)
    table = FeatureTable(pretrained(name, found, data, options.layer), "auto", options.device)
    # Nothing is trained to be kept, so the test part may be looked at with the others
    parts = {key: part.open(again=True) for key, part in data.parts.items() if len(part)}
    whole = [table.of(part, watch) for part in parts.values()]
    labels = [part.labels for part in parts.values()]
    head = RidgeHead().fit(np.concatenate(whole), np.concatenate(labels), len(data.class_names))
    audit = look_at(head, table, parts, data.class_names, options.path)
    return Looked(data, audit, f"{name}, {found.path} ({found.place})")
