"""What transfer from a pretrained base leaves in a run, as plain records."""

from __future__ import annotations

from dataclasses import dataclass

from stroma.core.plain import Record
from stroma.core.scores import Interval, Score


@dataclass(frozen=True, kw_only=True, slots=True)
class Rung(Record):
    """One way to a classifier, and what it gave.

    Args:
        name: "features + ridge", "head: lda", "tuned from layer4.0.conv1 on", "tuned whole".
        seconds: That it took, beyond the rungs before; of one that was left out, what it needs.
        score: Accuracy on validation; None: left out.
        epochs: Of tuning.
        chosen: Whether the model that ships stands on it.
        left_out: Why it was not tried.
    """

    name: str
    seconds: float
    score: Score | None = None
    epochs: int = 0
    chosen: bool = False
    left_out: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class HeadScore(Record):
    """One row of the table.

    Args:
        name: Of the head ("ridge").
        score: Accuracy or balanced accuracy on held-out samples; None: not tried.
        low, high: Its 95 % confidence interval.
        seconds: That fitting and judging took.
        how: "leave-one-out" or "5-fold".
        setting: What was chosen inside ("penalty 4.2").
        class_recalls: Share of each class that was found, in the order of the classes.
        skipped: Why it was not tried.
    """

    name: str
    score: float | None = None
    low: float | None = None
    high: float | None = None
    seconds: float = 0.0
    how: str = ""
    setting: str = ""
    class_recalls: tuple[float, ...] = ()
    skipped: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Lead(Record):
    """By how much the chosen head is ahead of the next one, on the same samples.

    Args:
        over: The runner-up.
        difference: Of the scores. low, high: Its paired 95 % confidence interval; where it holds
            0, the two cannot be told apart.
    """

    over: str
    difference: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True, slots=True)
class ReliabilityRow(Record):
    """The photos whose confidence lies between `low` and `high`.

    Args:
        confidence: Their mean probability of the predicted class.
        accuracy: Share of them that was right, of which `interval` is Wilson's.
    """

    low: float
    high: float
    count: int
    confidence: float
    accuracy: float
    interval: Interval


@dataclass(frozen=True, kw_only=True, slots=True)
class RefusalRow(Record):
    """What happens when answers below a probability are refused.

    Args:
        threshold: Answers less probable than this are refused.
        accepted: Photos that are answered; `coverage` is their share, with its interval.
        error: Share of the accepted that is wrong; None where none is accepted.
    """

    threshold: float
    accepted: int
    coverage: float
    coverage_interval: Interval
    error: float | None
    error_interval: Interval


@dataclass(frozen=True, kw_only=True, slots=True)
class Calibration(Record):
    """How far probabilities can be believed, before and after one temperature.

    Args:
        temperature: What logits are divided by; above 1 the network was too sure of itself.
        count: Photos it was measured on.
        nll_before, nll_after: Mean negative log-likelihood, nats.
        ece_before, ece_after: `expected_calibration_error` in bins of equal mass.
        reliability: Table after the temperature; `reliability_before` that without one.
        refusal: "Refuse below" table after the temperature.
    """

    temperature: float
    count: int
    nll_before: float
    nll_after: float
    ece_before: float
    ece_after: float
    reliability: tuple[ReliabilityRow, ...]
    refusal: tuple[RefusalRow, ...]
    reliability_before: tuple[ReliabilityRow, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class UnlikeRow(Record):
    """What happens when photos of a score of `threshold` or more are called unlike.

    Args:
        false_alarms: Share of the user's own photos that is called so, with its interval.
        caught: Share of foreign photos that is called so; None: none were given.
    """

    threshold: float
    false_alarms: float
    false_alarms_interval: Interval
    caught: float | None = None
    caught_interval: Interval | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class BaseFacts(Record):
    """The pretrained base of a run, and what was done with it.

    Args:
        architecture: Its builder in the zoo.
        weights_file: Where its weights lay; `sha256` their hash, `place` how they were found.
        licence: Terms of the weights; empty: not known.
        preprocessing: What it wants of pixels, in one line.
        layer: Whose output the features are.
        parameters: Of the base without its head.
        frozen: What was held fixed and what was trained: "all of squeezenet1_1 (722,496
            parameters); the head was solved for".
    """

    architecture: str
    weights_file: str = ""
    sha256: str = ""
    place: str = ""
    licence: str = ""
    preprocessing: str = ""
    layer: str = ""
    parameters: int = 0
    frozen: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class EmbeddedPhoto(Record):
    """Where one photo lies on the two axes along which the features vary most.

    Args:
        path: As the user would type it.
        label: Index of its class.
        part: "train", "validation" or "test".
    """

    path: str
    label: int
    x: float
    y: float
    part: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Embedding(Record):
    """A map of the photos by principal component analysis of their features.

    Args:
        photos: At most 2,000, drawn by chance where there are more.
        explained: Share of the variance on the first and on the second axis, each in [0, 1]; what
            lies far apart on the map is, what lies close together may not be.
    """

    photos: tuple[EmbeddedPhoto, ...] = ()
    explained: tuple[float, ...] = ()
