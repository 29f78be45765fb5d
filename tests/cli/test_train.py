"""`stroma train` as typed: five blocks, answers and talk apart, stops that lose nothing."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from stroma.cli.main import main
from stroma.core.runs import read_run
from stroma.zoo import squeezenet1_1


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos") / "pets"
    draws = np.random.default_rng(0)
    for name, level in (("cat", 60), ("dog", 190)):
        (folder / name).mkdir(parents=True)
        for number in range(30):
            pixels = np.clip(level + draws.normal(0, 50, (16, 16, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    return folder


@pytest.fixture(autouse=True)
def own_place(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STROMA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    for name in ("TORCH_HOME", "HF_HOME", "KERAS_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "nothing"))
    for name in ("STROMA_WEIGHTS", "HF_HUB_CACHE", "STROMA_DEVICE"):
        monkeypatch.delenv(name, raising=False)


def the_run():
    (folder,) = Path("runs").iterdir()
    return folder


def test_the_five_blocks_come_in_order(capsys, photos):
    assert main(["train", str(photos), "--epochs", "2", "--folds", "0"]) == 0
    shown = capsys.readouterr()
    marks = [
        "The data: ", "The plan: from scratch", "In Python: ", "The result: Right on ",
        "no network  nearest neighbour", "Next", "from scratch on 4",
    ]  # fmt: skip
    places = [shown.out.find(mark) for mark in marks]
    assert -1 not in places and places == sorted(places)
    assert "--weights squeezenet1_1` (5 MB, fetched only if you type this)" in " ".join(
        shown.out.split()
    )
    assert "planning" in shown.err and "planning" not in shown.out
    folder = the_run()
    assert {path.name for path in folder.iterdir()} >= {
        "run.json", "metrics.jsonl", "predictions.jsonl", "checkpoints", "model.keras",
        "report.html", "photos",
    }  # fmt: skip


def test_few_photos_are_tested_in_folds_and_that_is_said(capsys, photos):
    assert main(["train", str(photos), "--epochs", "1", "--folds", "3"]) == 0
    shown = capsys.readouterr()
    told = " ".join(shown.out.split())
    assert "test k-fold, k = 3: you said so" in told
    assert "of 60 photos, each tested by a network that had never seen it." in told
    assert "k-fold, k = 3: each of 60 photos tested once" in told
    assert "folds=3" in told
    run = read_run(the_run())
    assert len(run.folds) == 3 and run.test_reads == 1 and run.headline.count == 60


def test_the_python_that_is_shown_does_the_same(capsys, photos):
    assert main(["train", str(photos), "--epochs", "1", "--dry-run"]) == 0
    (line,) = [x for x in capsys.readouterr().out.splitlines() if x.startswith("In Python: ")]
    scope = {}
    exec(line.removeprefix("In Python: "), scope)
    assert scope["run"].status == "finished" and len(scope["run"].predictions) > 0


def test_a_dry_run_writes_nothing(capsys, photos, tmp_path):
    assert main(["train", str(photos), "--dry-run", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["road"] == "from scratch" and plan["epochs"] >= 1 and plan["reasons"]["epochs"]
    assert plan["estimated_seconds"] <= plan["budget_seconds"] == 300
    assert {path.name for path in tmp_path.iterdir()} <= {"cache"}


def test_json_is_all_that_is_on_stdout(capsys, photos):
    assert main(["train", str(photos), "--epochs", "1", "--seed", "3", "--json"]) == 0
    shown = capsys.readouterr()
    record = json.loads(shown.out)
    assert record["status"] == "finished" and record["test_reads"] == 1
    assert record["plan"]["seed"] == 3 and "The data: " in shown.err
    assert record["command"] == f"stroma train {photos} --epochs 1 --seed 3 --json"


def test_the_road_of_features(capsys, photos, tmp_path):
    """The base has random weights here: the road is what is tested, not what it scores."""
    file = tmp_path / "squeezenet1_1-random.pth"
    torch.save(squeezenet1_1().state_dict(), file)
    assert main(["train", str(photos), "--weights", str(file), "--size", "64",
                 "--epochs", "9"]) == 0  # fmt: skip
    shown = capsys.readouterr().out
    assert "The plan: features" in shown and "squeezenet1_1, frozen + the best of" in shown
    assert "--epochs: the head is solved for" in " ".join(shown.split())
    assert f"The other road: stroma train {photos} --weights none" in shown
    run = read_run(the_run())
    assert run.plan.settings["weights_file"] == str(file) and len(run.plan.settings["sha256"]) == 64
    assert run.headline.value > 0.8 and run.test_reads == 1


def test_predict_evaluate_report_and_summary_of_a_run(capsys, photos):
    assert main(["train", str(photos), "--epochs", "3"]) == 0
    folder, photo = str(the_run()), str(photos / "cat" / "0.png")
    capsys.readouterr()
    assert main(["predict", folder, photo, photo]) == 0
    header, *rows = capsys.readouterr().out.splitlines()
    assert header == "path,predicted,probability,runner_up,runner_up_probability,unlike"
    assert len(rows) == 2 and rows[0].startswith(f"{photo},cat,0.")
    assert main(["predict", photo, "--json"]) == 0  # of the latest run
    shown = capsys.readouterr()
    assert json.loads(shown.out)["predicted"] == "cat" and folder in shown.err
    assert main(["evaluate", folder, str(photos)]) == 0
    assert "right on 60 photos (" in capsys.readouterr().out
    assert main(["report", "--no-photos", "--json"]) == 0
    assert Path(json.loads(capsys.readouterr().out)["report"]).is_file()
    assert main(["report", folder, "--compare", folder]) == 2
    assert "with itself" in capsys.readouterr().err
    assert main(["summary", folder]) == 0
    assert "Total params" in capsys.readouterr().out
    assert main(["train", "--resume", folder]) == 2
    assert "is finished" in capsys.readouterr().err


def pasted(shown):
    """Run a printed line of Python in a process of its own, as a user would."""
    (line,) = [x for x in shown.splitlines() if x.startswith("In Python: ")]
    done = subprocess.run(
        [sys.executable, "-c", line.removeprefix("In Python: ")], capture_output=True, text=True,
        timeout=100,
    )  # fmt: skip
    assert done.returncode == 0, f"{line}\n{done.stderr}"
    return line


def test_the_lines_of_python_run_as_pasted(capsys, photos):
    for name in ("a", "b"):
        assert main(["train", str(photos), "--epochs", "1", "--out", name]) == 0
    capsys.readouterr()
    lines = []
    for arguments in (
        ["predict", "a", str(photos / "cat" / "0.png")], ["evaluate", "a", str(photos)],
        ["summary", "a"], ["summary", "lenet5"], ["report", "a", "--no-photos"],
        ["report", "a", "--compare", "b"],
    ):  # fmt: skip
        assert main(arguments) == 0
        shown = capsys.readouterr()
        lines.append(pasted(shown.err))
        if arguments[0] == "evaluate":  # on the photos that it learnt from
            assert "Careful: these are the photos" in shown.out
    assert "photos=False" in lines[-2] and "compare(" in lines[-1]


def test_a_dry_run_says_what_is_odd_about_the_settings(capsys, photos):
    settings = ["--epochs", "4000", "--batch", "100000000", "--drop-empty"]
    empty = photos / "bird"
    empty.mkdir()
    try:
        assert main(["train", str(photos), "--dry-run", "--json"]) == 2
        assert "--drop-empty" in capsys.readouterr().err
        assert main(["train", str(photos), "--dry-run", "--json", *settings]) == 0
    finally:
        empty.rmdir()
    plan = json.loads(capsys.readouterr().out)
    assert plan["batch_size"] == sum(plan["data"]["counts"]["train"])
    assert "fewer than you said" in plan["reasons"]["batch"]
    assert (
        "times the budget" in plan["reasons"]["epochs"]
        and "1 to 5 min" in (plan["reasons"]["budget"])
    )


def test_summary_of_a_name_of_the_zoo(capsys):
    assert main(["summary", "lenet5"]) == 0
    shown = capsys.readouterr()
    assert "conv1" in shown.out and "zoo.lenet5()" in shown.err
    assert main(["summary", "lenet5", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[1]["name"] == "conv1"


def test_demo_writes_its_photos_and_trains_on_them(capsys, monkeypatch):
    import stroma.cli.demo as demo
    import stroma.cli.train as command
    from stroma.data.demo import write_demo_photos

    monkeypatch.setattr(
        demo, "write_demo_photos", lambda folder, **k: write_demo_photos(
            folder, training=300, test=60, **k)
    )  # fmt: skip
    prepare = command.prepare
    monkeypatch.setattr(command, "prepare", lambda o, w: short(prepare, o, w))
    assert main(["demo"]) == 0
    shown = capsys.readouterr().out
    assert "$ stroma train demo-photos\n" in shown and "(synthetic: made by a program)" in shown
    assert "the classes are numbers, letters or sides" in " ".join(shown.split())
    assert read_run(the_run()).command == "stroma train demo-photos"


def short(prepare, options, watch):
    import dataclasses

    job = prepare(options, watch)
    return dataclasses.replace(job, how=dataclasses.replace(job.how, epochs=1, width=16))


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_says_how_to_go_on_and_goes_on(capsys, photos, stop):
    arguments = [
        "train", str(photos), "--epochs", "400", "--batch", "8", "--folds", "0", "--out", "r",
    ]  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-m", "stroma", *arguments], stderr=subprocess.PIPE,
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    lines = Path("r/metrics.jsonl")  # made empty, before the first epoch is over
    while not (lines.exists() and lines.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(stop)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 128 + stop, err
    assert "stroma train --resume r" in err and "Traceback" not in err
    run = read_run(Path("r"))
    assert run.status == "interrupted" and 1 <= len(run.history) < 400
    assert "Interrupted after" in Path("r/report.html").read_text()
    shorten(Path("r"), len(run.history) + 1)
    assert main(["train", "--resume", "r"]) == 0
    assert read_run(Path("r")).status == "finished"


def shorten(folder, epochs):
    """End the run soon: only the way to go on is tested here, `tests/jobs` tests the weights."""
    record = json.loads((folder / "run.json").read_text())
    record["plan"]["settings"]["epochs"] = epochs
    (folder / "run.json").write_text(json.dumps(record))


def test_a_killed_run_goes_on(photos):
    arguments = [
        "train", str(photos), "--epochs", "400", "--batch", "8", "--folds", "0", "--out", "r",
    ]  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-m", "stroma", *arguments],
        stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    lines = Path("r/metrics.jsonl")  # made empty, before the first epoch is over
    while not (lines.exists() and lines.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.kill()
    process.wait(timeout=30)
    run = read_run(Path("r"))
    assert run.status == "running" and run.history
    shorten(Path("r"), len(run.history) + 2)
    assert main(["train", "--resume", "r"]) == 0
    assert os.path.exists("r/model.keras")
