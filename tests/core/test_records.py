"""Records go to JSON and come back; damaged, older and newer files are met gently."""

import dataclasses
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from stroma.core import runs
from stroma.core.errors import RunError
from stroma.core.records import (
    ClassScore,
    DataFacts,
    EpochRow,
    FileNote,
    Finding,
    Interval,
    LayerRow,
    Plan,
    Prediction,
    RunRecord,
    Score,
    class_scores,
)

FULL = RunRecord(
    name="2026-11-20_photos_calm-fern",
    status="finished",
    versions={"torch": "2.13"},
    plan=Plan(road="features", image_size=(64, 64), settings={"lr": 0.1, "steps": [1, None]}),
    data=DataFacts(
        counts={"train": (3, 4)}, sizes=((640, 480),), skipped=(FileNote(path="a", problem="b"),)
    ),
    class_names=("ant", "<script>"),
    headline=Score.of("accuracy", 7, 8),
    baselines=(Score.of("nearest neighbour", 2, 8),),
    confusion=((3, 1), (0, 4)),
    layers=(LayerRow(name="conv", kind="Conv2D", output_shape=(None, 8, 8, 4)),),
    findings=(Finding(term="overfitting", severity="warning", confidence=0.8),),
)


def test_a_run_survives_json():
    again = RunRecord.from_json(json.loads(json.dumps(FULL.to_json())))
    assert again == FULL


@given(
    st.builds(
        EpochRow,
        epoch=st.integers(1, 1000),
        metrics=st.dictionaries(st.text(), st.floats(allow_nan=False)),
        seconds=st.none() | st.floats(0, 1e6),
    )
)
def test_any_epoch_survives_strict_json(row):
    text = json.dumps(row.to_json(), allow_nan=False)
    assert EpochRow.from_json(json.loads(text)) == row


def test_nan_is_kept_in_valid_json():
    text = json.dumps(EpochRow(epoch=1, metrics={"loss": math.nan}).to_json(), allow_nan=False)
    assert math.isnan(EpochRow.from_json(json.loads(text)).metrics["loss"])


def test_unknown_fields_are_passed_over_and_missing_ones_take_their_default():
    run = RunRecord.from_json({"name": "calm-fern", "mood": "sunny"})
    assert run == RunRecord(name="calm-fern")


@pytest.mark.parametrize(
    ("data", "place", "expected"),
    [
        ([], "run.json", "an object"),
        ({}, "run.json", "'name' is missing"),
        ({"name": 3}, "run.json: name", "text"),
        ({"name": "x", "status": "sleeping"}, "run.json: status", "one of 'running'"),
        ({"name": "x", "test_reads": True}, "run.json: test_reads", "a whole number"),
        ({"name": "x", "confusion": [[1, "2"]]}, "run.json: confusion[0][1]", "a whole number"),
        ({"name": "x", "data": {"counts": [1]}}, "run.json: data: counts", "an object"),
        ({"name": "x", "plan": "fast"}, "run.json: plan", "an object"),
    ],
)
def test_a_wrong_value_is_named_with_file_and_field(data, place, expected):
    with pytest.raises(RunError, match=r".") as caught:
        RunRecord.from_json(data, where="run.json")
    assert caught.value.where == place
    assert expected in caught.value.what


@given(st.integers(0, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_agrees_with_scipy(pair):
    right, count = pair
    interval = Interval.wilson(right, count)
    assert 0 <= interval.low <= interval.high <= 1
    if count:
        oracle = stats.binomtest(right, count).proportion_ci(0.95, method="wilson")
        assert interval.low == pytest.approx(oracle.low, abs=1e-6)
        assert interval.high == pytest.approx(oracle.high, abs=1e-6)
        assert interval.low <= right / count <= interval.high


def test_class_scores_agree_with_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics")
    confusion = [[5, 2, 0], [1, 7, 0], [0, 0, 0]]
    truth = [i for i, row in enumerate(confusion) for n in row for _ in range(n)]
    predicted = [j for row in confusion for j, n in enumerate(row) for _ in range(n)]
    precision, recall, f1, support = metrics.precision_recall_fscore_support(
        truth, predicted, labels=[0, 1, 2], zero_division=0
    )
    for index, score in enumerate(class_scores(["a", "b", "c"], confusion)):
        assert (score.precision or 0) == pytest.approx(precision[index])
        assert (score.recall or 0) == pytest.approx(recall[index])
        assert (score.f1 or 0) == pytest.approx(f1[index])
        assert score.support == support[index]
    assert class_scores(["a", "b", "c"], confusion)[2] == ClassScore(name="c", support=0)


def test_a_run_folder_is_read_back(tmp_path):
    runs.write_run(tmp_path, dataclasses.replace(FULL, confusion=()))
    with runs.JsonLines(tmp_path / runs.METRICS_FILE) as lines:
        for epoch, loss in [(1, 2.0), (2, 1.0), (2, 0.9)]:  # epoch 2 was repeated after a resume
            lines.append(EpochRow(epoch=epoch, metrics={"loss": loss}))
    with runs.JsonLines(tmp_path / runs.PREDICTIONS_FILE) as lines:
        lines.append(Prediction(path="a.jpg", truth=0, predicted=1))
    run = runs.read_run(tmp_path)
    assert [row.metrics["loss"] for row in run.history] == [2.0, 0.9]
    assert run.confusion == ((0, 1), (0, 0))
    assert run.folder == tmp_path


def test_a_kill_in_mid_line_costs_that_line_only(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"epoch": 1}\n{"epo')
    assert [row for _, row in runs.read_lines(path)] == [{"epoch": 1}]
    with runs.JsonLines(path) as lines:
        lines.append({"epoch": 2})
    assert [row for _, row in runs.read_lines(path)] == [{"epoch": 1}, {"epoch": 2}]


def test_what_is_no_run_is_said(tmp_path):
    with pytest.raises(RunError, match="not a run"):
        runs.read_run(tmp_path)
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(RunError, match="not JSON"):
        runs.read_run(tmp_path)
    runs.write_run(tmp_path, FULL)
    (tmp_path / "predictions.jsonl").write_text('{"path": "a", "truth": 0, "predicted": 2}\n')
    with pytest.raises(RunError, match="2 classes") as caught:
        runs.read_run(tmp_path)
    assert caught.value.where == "predictions.jsonl:1: predicted"


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "run.json"
    runs.write_atomic(path, b"old")
    with pytest.raises(TypeError):
        runs.write_atomic(path, "text")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
