"""The ladder: which rungs are climbed, which one ships, and what is left of the base."""

import numpy as np
import pytest
import torch

import stroma
from stroma.core.errors import ArgumentError
from stroma.core.records import Score
from stroma.transfer.ladder import Rung, Transferred, _best
from tuning_networks import few_digits, staged


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("STROMA_CACHE", str(tmp_path))


DATA = few_digits(count=300)


def right(result):
    part = DATA.validation
    with torch.no_grad():
        answers = result.model(torch.from_numpy(part.images()).float()).argmax(1).numpy()
    return (answers == part.labels).mean()


def test_without_a_budget_the_base_stays_as_it_is():
    base = staged()
    before = {key: value.clone() for key, value in base.state_dict().items()}
    result = stroma.transfer(base, DATA, head="auto")
    assert result.rungs[0].name == "features + ridge" and len(result.rungs) <= 2
    assert result.tuned is None and sum(rung.chosen for rung in result.rungs) == 1
    assert all(torch.equal(value, before[key]) for key, value in base.state_dict().items())


def test_with_time_it_is_tuned_and_the_best_rung_ships():
    base = staged()
    before = {key: value.clone() for key, value in base.state_dict().items()}
    result = stroma.transfer(base, DATA, budget=100, epochs=15)
    assert all(torch.equal(value, before[key]) for key, value in base.state_dict().items())
    assert all(layer.trainable for layer in base.layers)  # a copy was tuned
    kept = result.model.state_dict()
    assert all(torch.equal(v, kept[k]) for k, v in result.extractor.state_dict().items())
    names = [rung.name for rung in result.rungs]
    assert names == ["features + ridge", "tuned from base.layer3.conv on", "tuned whole"]
    values = [rung.score.value for rung in result.rungs]
    chosen = [rung.chosen for rung in result.rungs].index(True)
    assert values[chosen] == max(values) == result.validation.value
    assert chosen == int(np.argmax(values)) > 0  # the features of a random base are poor
    assert right(result) == pytest.approx(max(values))  # the weights are those of that rung
    assert DATA.test.reads == 0
    assert str(result).count("\n") == 2 and "-> " in str(result)


def test_without_time_it_is_left_out_and_says_what_it_needs():
    result = stroma.transfer(staged(), DATA, budget=0.001)
    assert [rung.score is None for rung in result.rungs] == [False, True, True]
    assert "s are left" in result.rungs[1].left_out and "left out" in str(result)
    assert result.rungs[0].chosen and result.tuned is None


def test_tuning_that_does_not_pay_leaves_no_trace():
    """A base whose features are perfect: nothing can be better than the ridge."""
    base = staged()
    before = {key: value.clone() for key, value in base.state_dict().items()}
    easy = few_digits((0, 1), 100)
    result = stroma.transfer(base, easy, budget=60, epochs=1)
    assert result.validation.value == 1.0 and result.rungs[0].chosen
    assert all(torch.equal(value, before[key]) for key, value in base.state_dict().items())


def test_of_equals_the_cheaper_rung_ships():
    rungs = [Rung(name=n, seconds=s, score=Score.of("", k, 10)) for n, s, k in
             [("a", 1, 8), ("b", 2, 9), ("c", 3, 9)]]  # fmt: skip
    assert _best(rungs) == 1
    assert Rung.from_json(rungs[0].to_json()) == rungs[0]
    assert Transferred.__doc__


def test_a_budget_is_a_positive_number():
    with pytest.raises(ArgumentError, match="budget"):
        stroma.transfer(staged(), DATA, budget=0)
