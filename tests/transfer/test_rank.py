"""Ranking bases: scores, times, sizes, and which one to take."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import stroma
from stroma import layers
from stroma.core.errors import (
    ArgumentError,
    ArgumentTypeError,
    DataError,
    ShapeError,
    WeightsError,
)
from stroma.core.records_rank import BaseScore, Ranking
from stroma.core.seeds import set_random_seed
from stroma.data import arrays, digits
from stroma.models import Model
from stroma.transfer import RidgeHead, features, pareto_front, rank
from stroma.transfer.rank import _compared


@pytest.fixture(scope="module")
def data():
    return digits()


def base(filters: int, pool: int = 2) -> Model:
    set_random_seed(0)
    x = layers.Input((8, 8, 1))
    y = layers.Conv2D(filters, 3, activation="relu")(x)
    return Model(x, layers.Flatten()(layers.AveragePooling2D(pool)(y)), name=f"conv{filters}")


@pytest.fixture(scope="module")
def ranking(data) -> Ranking:
    bases = {"blind": base(1, pool=6), "small": base(4), "large": base(16)}
    return rank(bases, data, photos=400, cache=False)


def test_scores_are_exact_leave_one_out(data, ranking) -> None:
    rows = {row.name: row for row in ranking.rows}
    assert [row.name for row in ranking.rows] == ["large", "small", "blind"]
    assert ranking.photos == 400 and ranking.classes == 10
    found = features(base(4), data.train, cache=False)
    again = rank({"small": base(4)}, data, photos=None, cache=False).rows[0]
    head = RidgeHead().fit(found, data.train.labels, 10)
    assert again.score == pytest.approx((head.held_out.argmax(1) == data.train.labels).mean())
    assert again.low < again.score < again.high
    assert rows["small"].features == 36 and rows["small"].parameters == 4 * 10
    assert rows["small"].bytes == 160
    assert all(row.seconds > 0 for row in ranking.rows)


def test_the_scores_beside_it_agree_on_easy_cases(ranking) -> None:
    large, _, blind = ranking.rows
    assert large.log_evidence > blind.log_evidence and large.h_score > blind.h_score


def test_the_best_is_far_ahead_of_a_blind_one(ranking) -> None:
    blind = ranking.rows[-1]
    assert blind.lead is not None and blind.lead.low > 0.2 and not blind.chosen
    assert ranking.rows[0].lead is None and ranking.rows[0].on_front


def test_the_table_and_the_record(ranking) -> None:
    text = str(ranking)
    assert "LogME" in text and "front" in text and text.count("chosen") == 1
    assert f"\n\n{ranking.chosen.name}: " in text
    stored = json.loads(json.dumps(ranking.to_json()))
    assert Ranking.from_json(stored) == ranking


def test_a_torch_module_is_a_base(data) -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten())
    found = rank(module, data, photos=300, layout="NCHW", cache=False).rows[0]
    assert found.name == "Sequential" and found.score > 0.8 and found.features == 72


def test_balanced_accuracy(data) -> None:
    row = rank(base(4), data, photos=300, target="balanced_accuracy", cache=False).rows[0]
    assert row.low < row.score < row.high


def test_top_level_rank_is_both_words(data) -> None:
    assert int(stroma.rank(torch.zeros(2, 3, 4))) == 3
    assert stroma.rank([base(4)], data, photos=200, cache=False).chosen.name == "conv4"


# --- the front, and the rule ----------------------------------------------------------------


@given(st.lists(st.tuples(*[st.integers(0, 3)] * 3), min_size=1, max_size=12))
def test_the_front_is_what_nothing_dominates(rows) -> None:
    expected = [
        not any(all(a <= b for a, b in zip(other, row)) and other != row for other in rows)
        for row in rows
    ]
    assert pareto_front(rows).tolist() == expected


def scored(name: str, right: int, seconds: float, megabytes: float = 1.0):
    row = BaseScore(
        name=name, score=right / 1000, low=0.0, high=1.0, seconds=seconds,
        bytes=int(1e6 * megabytes), parameters=1, features=1, log_evidence=0.0, h_score=0.0,
        score_per_second=(right / 1000 - 0.1) / seconds,
    )  # fmt: skip
    return row, np.arange(1000) < right


def choose(*tried) -> dict[str, BaseScore]:
    rows = _compared(tried, np.arange(1000) % 10, "accuracy")
    assert sum(row.chosen for row in rows) == 1
    return {row.name: row for row in rows}


def test_a_fast_base_wins_only_when_it_comes_close() -> None:
    slow, fast, awful = scored("slow", 960, 0.05), scored("fast", 945, 0.005), (
        scored("awful", 300, 0.0001)
    )  # fmt: skip
    found = choose(awful, fast, slow)
    assert found["fast"].chosen and found["awful"].score_per_second > 10 * 50
    assert found["fast"].lead.difference == pytest.approx(0.015)
    assert choose(slow, scored("fast", 900, 0.005), awful)["slow"].chosen


def test_what_may_be_chance_comes_close() -> None:
    """With one error against none the quotient of errors says nothing."""
    assert choose(scored("slow", 1000, 0.05), scored("fast", 999, 0.005))["fast"].chosen


def test_the_front_of_a_ranking() -> None:
    found = choose(
        scored("a", 950, 0.05, 100), scored("b", 940, 0.01, 50), scored("c", 930, 0.02, 60),
        scored("d", 920, 0.03, 5),
    )  # fmt: skip
    assert [row.name for row in found.values() if row.on_front] == ["a", "b", "d"]


# --- what goes wrong ------------------------------------------------------------------------


def test_faults(data) -> None:
    with pytest.raises(ArgumentError, match="no bases"):
        rank([], data)
    with pytest.raises(ArgumentError, match="two bases are called 'conv4'"):
        rank([base(4), base(4)], data, cache=False)
    with pytest.raises(ArgumentError, match="photos"):
        rank(base(4), data, photos=0)
    with pytest.raises(WeightsError, match="no weights called 'cifar'"):
        rank("resnet18:cifar", data)
    one = data.train.take(np.flatnonzero(data.train.labels == 0))
    with pytest.raises(DataError, match="of class 0"):
        rank(base(4), one, cache=False)


def test_rank_takes_photos_and_networks(data) -> None:
    for bases, pictures, message in (
        ([base(4)], "photos/", "the pictures are a path"),
        ([base(4)], np.zeros((3, 8, 8, 1)), "the pictures are"),
        ([3], data, "no network"),
    ):
        with pytest.raises(ArgumentTypeError, match=message):
            rank(bases, pictures)
    pixels = np.random.default_rng(0).integers(0, 256, (40, 9, 9, 1), np.uint8)
    larger = arrays(pixels, np.arange(40) % 2, ["a", "b"])
    with pytest.raises(ShapeError, match="the base takes"):
        rank([base(4)], larger)
