"""The ladder as a job climbs it: features once, heads, and fine-tuning as far as time allows."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from stroma.core.plain import Record
from stroma.core.records_transfer import BaseFacts
from stroma.data import ImageData, Part
from stroma.data.part import joined
from stroma.jobs.options import Finetune
from stroma.jobs.scratch import Trained, calibrated
from stroma.jobs.table import Base, FeatureTable
from stroma.jobs.watch import Told, Watch
from stroma.transfer.finetune import StageRow
from stroma.transfer.heads.scoring import Target
from stroma.transfer.ladder import Transferred, climb

_AT_ONCE = 64  # photos that are answered at once
_HEAD_WORK = 1e10  # multiplications that one head of "auto" may cost: about a second


@dataclass(frozen=True, kw_only=True, slots=True)
class LadderSettings(Record):
    """How far up to go.

    Args:
        head: "auto" or the name of one.
        finetune: As in `TrainOptions`.
        target: What heads are chosen by.
        tuning_seconds: For features, heads and tuning together; None: nothing is tuned.
        tuning_epochs: Most epochs of tuning.
    """

    head: str = "auto"
    finetune: Finetune = "auto"
    target: Target = "accuracy"
    tuning_seconds: float | None = None
    tuning_epochs: int = 10


@dataclass(frozen=True, slots=True)
class Climbed:
    """The rung that was chosen: a head on features, or a tuned network.

    A head answers as the network that ships does: in float32, but for photos whose features were
    needed before, as those of a fold are. Its temperature is within it (`Head.sharpness`).
    """

    found: Transferred
    table: FeatureTable
    tuned: Trained | None = None
    best_epoch: None = None

    @property
    def temperature(self) -> float:
        return self.tuned.temperature if self.tuned is not None else 1.0

    def answers(self, part: Part) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """(positions, their (B, K) probabilities), batch by batch, in the part's order."""
        if self.tuned is not None:
            yield from self.tuned.answers(part)
            return
        shares = self.found.head.probabilities(self.table.of(part, precision="float32"))
        for start in range(0, len(part), _AT_ONCE):
            positions = np.arange(start, min(start + _AT_ONCE, len(part)))
            yield positions, shares[positions]

    def network(self) -> Trained:
        """Pictures in, probabilities out: what ships."""
        return self.tuned or Trained(self.found.model, None, probabilities=True)


def climb_ladder(
    table: FeatureTable,
    data: ImageData,
    settings: LadderSettings,
    *,
    trainings: int = 1,
    seed: int = 0,
    watch: Watch | None = None,
) -> Climbed:
    """As far up the ladder as pays on validation; the test part is not touched.

    Args:
        table: Features by the base, frozen.
        data: Train is learnt from, validation chooses where there is one.
        settings: How far to go.
        trainings: How many such climbs share the time for heads: folds and the one that ships.
        seed: Of folds within, projections and tuning.
        watch: Who is told.
    """
    watch, began = watch or Watch(), time.perf_counter()
    earlier = table.seconds  # folds may have computed the features already
    table.of(joined([data.train, data.validation]), watch)
    watch.stage("heads")

    def watching(steps: int) -> list[Told]:
        watch.stage("tuning")
        return [Told(watch, steps)]

    found = climb(
        table.extractor, data, lambda name, part: table.of(part), began=began - earlier,
        deadline=None if settings.tuning_seconds is None else began + settings.tuning_seconds,
        head=settings.head, target=settings.target, most_work=_HEAD_WORK / trainings,
        epochs=settings.tuning_epochs, forced=settings.finetune == "always",
        precision=table.precision, device=table.device, seed=seed,
        watching=watching,
    )  # fmt: skip
    if found.tuned is None:
        return Climbed(found, table)
    network = Trained(found.model.eval(), None, probabilities=True)
    return Climbed(found, table, calibrated(network, data.validation))


def treated(base: Base, found: Transferred) -> BaseFacts:
    """The base with a word on what was frozen and what was trained."""
    if found.tuned is None:
        return all_frozen(base, found.head.name)
    return _facts(base, _tuned(found.tuned.stages, _whole(base)))


def all_frozen(base: Base, head: str) -> BaseFacts:
    """The base where nothing of it was trained."""
    return _facts(base, f"all of {_whole(base)}; the head ({head}) was solved for")


def _whole(base: Base) -> str:
    return f"{base.architecture}, {base.parameters:,} parameters"


def _facts(base: Base, frozen: str) -> BaseFacts:
    facts = {key: value for key, value in base.to_json().items() if key not in ("precision", "cut")}
    return BaseFacts.from_json(facts | {"frozen": frozen})


def _tuned(stages: tuple[StageRow, ...], whole: str) -> str:
    still = [stage for stage in stages if not stage.rate]
    learnt = [stage for stage in stages if stage.rate]
    if not still:
        return f"nothing but BatchNormalization of {whole}; head and base were tuned"
    frozen = sum(stage.parameters for stage in still)
    return f"{frozen:,} of {whole}; from {learnt[0].start} on it was tuned, with the head"
