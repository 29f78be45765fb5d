"""Tuning on the ladder: the rate that is taken, and the changes that pictures may undergo."""

import time

import numpy as np
import pytest
import torch

from stroma import layers
from stroma.transfer import feature_extractor, features, rungs
from stroma.transfer.heads import RidgeHead
from stroma.transfer.rungs import RATES, Climb, Judge
from stroma.transfer.stages import stages
from tuning_networks import few_digits, staged


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("STROMA_CACHE", str(tmp_path))


def climbing(data, seconds=1000.0, epochs=1):
    extractor = feature_extractor(staged(), input_shape=data.shape)
    train, validation = (features(extractor, part) for part in (data.train, data.validation))
    head = RidgeHead().fit(train, data.train.labels, len(data.class_names))
    judge = Judge(validation, data.validation, data.train.labels, "accuracy")
    return Climb(
        extractor, data, judge, head, time.perf_counter() + seconds, epochs, False, "float32",
        "cpu", 0, lambda steps: (),
    )  # fmt: skip


def changes(climb):
    return [type(layer) for layer in climb._changes()]


def test_digits_are_not_mirrored_and_what_is_its_own_mirror_image_may_be():
    assert changes(climbing(few_digits(count=300))) == [layers.RandomTranslation]
    assert layers.RandomFlip in changes(climbing(few_digits((0, 8), 120)))


def test_the_rate_is_the_best_of_a_trial_and_a_rate_that_diverges_never_is(monkeypatch):
    climb = climbing(few_digits(count=400))
    before = {key: value.clone() for key, value in climb.extractor.state_dict().items()}
    stage = stages(climb.extractor)[-1]
    assert climb._rate(climb.extractor, stage) in RATES
    monkeypatch.setattr(rungs, "RATES", (1e6, 1e-2, 1e-9))
    assert climb._rate(climb.extractor, stage) == 1e-2
    after = climb.extractor.state_dict()
    assert all(torch.equal(value, after[key]) for key, value in before.items())


@pytest.mark.parametrize("seconds", [1000.0, 0.0])
def test_time_for_trials_is_taken_only_where_there_is_some(monkeypatch, seconds):
    tried = []
    monkeypatch.setattr(Climb, "_rate", lambda *_: tried.append(1) or 3e-3)
    climb = climbing(few_digits(count=150), seconds)
    head = climb.judge.rung("head", climb.head, time.perf_counter())
    made, _ = climb.on(head)
    assert tried == ([1] if seconds else [])
    assert [rung.score is not None for rung in made] == [seconds > 0] * 2
    assert np.all([rung.seconds > 0 for rung in made])
