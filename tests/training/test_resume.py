"""A run can be stopped at any step and goes on to the same weights, bit for bit."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import stroma
from stroma import callbacks, layers, models
from stroma.core.errors import RunError
from stroma.training.checkpoints import checkpoints, read_newest
from stroma.training.interrupt import Interrupted

rng = np.random.default_rng(1)
X, Y = rng.normal(size=(60, 6)).astype("float32"), rng.integers(0, 3, 60)


def build() -> Any:
    stroma.set_random_seed(5)
    model = models.Sequential(
        [
            layers.Input((6,)),
            layers.Dense(16, activation="relu"),
            layers.BatchNormalization(),
            layers.Dropout(0.4),
            layers.Dense(3, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def digest(model: Any) -> str:
    sha = hashlib.sha256()
    for key, value in model.state_dict().items():
        sha.update(key.encode() + value.contiguous().numpy().tobytes())
    return sha.hexdigest()


def test_seeded_runs_repeat_bit_for_bit() -> None:
    digests = set()
    for _ in range(2):
        model = build()
        model.fit(X, Y, batch_size=8, epochs=3, verbose=0, seed=11)
        digests.add(digest(model))
    assert len(digests) == 1
    other = build()
    other.fit(X, Y, batch_size=8, epochs=3, verbose=0, seed=12)
    assert digest(other) not in digests  # the seed matters: the test can fail


@pytest.mark.parametrize("at", [1, 7, 8, 13, 20])
def test_stopped_at_any_step_and_resumed(tmp_path: Path, at: int) -> None:
    before = signal.getsignal(signal.SIGINT)  # a shell's background job ignores it
    whole = build()
    wanted = whole.fit(X, Y, batch_size=8, epochs=4, verbose=0, seed=3, validation_data=(X, Y))

    class Stop(callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            if self.state.step + 0 == at:
                os.kill(os.getpid(), signal.SIGINT)

    run = tmp_path / "run"
    with pytest.raises(Interrupted) as stopped:
        build().fit(
            X, Y, batch_size=8, epochs=4, verbose=0, seed=3, run=run, callbacks=[Stop()],
            validation_data=(X, Y),
        )  # fmt: skip
    assert stopped.value.by is signal.SIGINT and stopped.value.saved == str(run)
    assert signal.getsignal(signal.SIGINT) is before
    again = build()
    history = again.fit(X, Y, batch_size=8, epochs=4, verbose=0, resume=run, validation_data=(X, Y))
    assert digest(again) == digest(whole)
    assert history.history == wanted.history


SCRIPT = """
import sys, time
sys.path.insert(0, {tests!r})
from test_resume import *
from stroma.training.run_folder import RunFolder
class Slow(callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        print(self.state.step, flush=True); time.sleep(0.02)
folder = RunFolder.create({run!r}, save_seconds=0.05)
build().fit(X, Y, batch_size=8, epochs=200, verbose=0, seed=3, run=folder, callbacks=[Slow()])
"""


def test_killed_in_mid_epoch_and_resumed(tmp_path: Path) -> None:
    run = tmp_path / "run"
    script = SCRIPT.format(tests=str(Path(__file__).parent), run=str(run))
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True,
        # the same bits come of the same number of threads, and another test may have set it here
        env={**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())},
    )  # fmt: skip
    assert process.stdout is not None
    for line in process.stdout:
        if int(line) >= 21 and read_newest(run / "checkpoints"):
            break
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    saved = read_newest(run / "checkpoints")
    assert saved is not None and saved["step"] > 0
    epochs = saved["epoch"] + 2
    whole, again = build(), build()
    whole.fit(X, Y, batch_size=8, epochs=epochs, verbose=0, seed=3)
    again.fit(X, Y, batch_size=8, epochs=epochs, verbose=0, resume=run)
    assert digest(again) == digest(whole)


def test_a_damaged_checkpoint_falls_back_and_all_damaged_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    build().fit(X, Y, batch_size=8, epochs=3, verbose=0, seed=3, run=run)
    newest, older = checkpoints(run / "checkpoints")
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 1
    newest.write_bytes(content)
    saved = read_newest(run / "checkpoints")
    assert saved is not None and saved["epoch"] == 2
    assert newest.name in capsys.readouterr().err
    older.write_bytes(older.read_bytes()[:-7])
    with pytest.raises(RunError, match="every checkpoint is damaged"):
        build().fit(X, Y, epochs=3, verbose=0, resume=run)


def test_a_run_is_never_overwritten(tmp_path: Path) -> None:
    build().fit(X, Y, epochs=1, verbose=0, run=tmp_path / "run")
    with pytest.raises(RunError, match="holds a run already"):
        build().fit(X, Y, epochs=1, verbose=0, run=tmp_path / "run")


def test_early_stopping_remembers_its_best_over_a_resume(tmp_path: Path) -> None:
    def options() -> dict[str, Any]:
        stop = callbacks.EarlyStopping("loss", patience=2, restore_best_weights=True)
        return {"batch_size": 8, "verbose": 0, "callbacks": [stop]}

    whole = build()
    whole.fit(X, Y, epochs=6, seed=3, **options())
    run = tmp_path / "run"
    build().fit(X, Y, epochs=3, seed=3, run=run, **options())
    again = build()
    again.fit(X, Y, epochs=6, resume=run, **options())
    assert digest(again) == digest(whole)


def test_backup_and_restore_goes_on_by_itself(tmp_path: Path) -> None:
    whole = build()
    whole.fit(X, Y, batch_size=8, epochs=4, verbose=0, seed=3)
    backup = tmp_path / "backup"

    class Crash(callbacks.Callback):
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            if epoch == 2:
                raise ValueError("the machine stopped")

    keep = callbacks.BackupAndRestore(backup)
    with pytest.raises(ValueError, match="machine"):
        build().fit(X, Y, batch_size=8, epochs=4, verbose=0, seed=3, callbacks=[keep, Crash()])
    again = build()
    again.fit(
        X, Y, batch_size=8, epochs=4, verbose=0, seed=3,
        callbacks=[callbacks.BackupAndRestore(backup)],
    )  # fmt: skip
    assert digest(again) == digest(whole)
    assert not backup.exists()


def test_second_interrupt_stops_at_once() -> None:
    class Twice(callbacks.Callback):
        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.01)

    with pytest.raises(KeyboardInterrupt) as stopped:
        build().fit(X, Y, epochs=1, verbose=0, callbacks=[Twice()])
    assert not isinstance(stopped.value, Interrupted)
