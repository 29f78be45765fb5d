"""Progress, styles and odd characters, on terminals, in pipes and in tests."""

import io
import os
import re
import subprocess
import sys

import pytest

from stroma.cli import progress
from stroma.cli.console import Console, Talk
from stroma.cli.progress import LiveProgress, PlainProgress, Remaining, duration


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    """A clock that a test moves."""
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_a_pipe_gets_lines_a_terminal_a_bar(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    assert isinstance(Talk(io.StringIO()).progress(3, "x"), PlainProgress)
    assert isinstance(Talk(Terminal()).progress(3, "x"), LiveProgress)
    assert isinstance(Talk(Terminal(), plain=True).progress(3, "x"), PlainProgress)
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(Talk(Terminal()).progress(3, "x"), PlainProgress)


def test_styles_need_a_terminal_and_no_no_color(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert Console(Terminal()).styled and not Console(io.StringIO()).styled
    monkeypatch.setenv("NO_COLOR", "1")
    assert not Console(Terminal()).styled


def test_a_long_job_in_a_pipe_says_a_line_now_and_then(clock):
    stream = io.StringIO()
    with Talk(stream).progress(1000, "training") as bar:
        for done in range(1, 1001):
            clock[0] = done * 0.03  # 30 s in all
            bar.update(done, f"loss {done}")
    lines = stream.getvalue().splitlines()
    assert len(lines) == 7  # at 2, 7, 12, 17, 22 and 27 s, and the end
    assert lines[0] == "training: 67 of 1,000 (7%), about 28 s left, loss 67"
    assert lines[-1] == "training: 1,000 of 1,000 (100%), 30 s, loss 1000"


def test_a_quick_job_in_a_pipe_says_nothing(clock):
    stream = io.StringIO()
    with Talk(stream).progress(10, "reading") as bar:
        bar.update(10)
    assert stream.getvalue() == ""


def test_an_interrupted_job_claims_no_end(clock):
    stream = io.StringIO()
    with pytest.raises(KeyboardInterrupt), Talk(stream).progress(10, "reading") as bar:
        clock[0] = 3.0
        bar.update(1)
        raise KeyboardInterrupt
    assert len(stream.getvalue().splitlines()) == 1


def test_one_slow_step_does_not_spoil_the_time_left():
    left = Remaining(100, 0.0)
    left.update(1, 60.0)  # a compilation
    for done in range(2, 30):
        left.update(done, 60.0 + (done - 1) * 1.0)
    assert left.seconds(29) == pytest.approx(71.0)


def test_no_time_left_is_claimed_before_there_is_something_to_judge_by():
    assert Remaining(10, 0.0).seconds(0) is None


@pytest.mark.parametrize(
    "seconds, shown",
    [(0, "0.0 s"), (9.94, "9.9 s"), (9.97, "10 s"), (59.7, "1 min 0 s"), (3599.6, "1 h 0 min")],
)
def test_durations_round_into_the_next_unit(seconds, shown):
    assert duration(seconds) == shown


def test_a_bar_shows_label_amount_time_and_note(clock, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "60")
    stream = Terminal()
    with Talk(stream).progress(10, "training") as bar:
        for done in range(1, 11):
            clock[0] = done * 1.0
            bar.update(done, "loss 0.31, accuracy 91 %, validation loss 0.40, 1,200 photos/s, calm")
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", stream.getvalue())
    assert "training" in shown and "10 of 10 (100%)" in shown and "about 5.0 s left" in shown
    assert "photos/s" in shown and "calm" in shown  # wrapped, not cut off
    assert "\x1b[?25h" in stream.getvalue()  # the cursor is back


def test_control_characters_in_names_do_not_reach_the_terminal():
    stream = io.StringIO()
    console = Console(stream)
    console.line("a\x1b[2Jb\rc")
    console.heading("\x07bell")
    console.paragraph("x\x9by")
    console.facts([("k", "v\x1b")])
    console.table(["n"], [["t\x1b"]])
    assert re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", stream.getvalue()) is None


def test_what_a_code_page_lacks_is_spelled_plainly():
    code = (
        "from stroma.cli.console import Console, make_streams_safe; import sys; "
        "make_streams_safe(); Console(sys.stdout).line('64 × 64 → 3 – 5 … 猫')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        timeout=60,
        check=True,
    )
    assert done.stdout.decode() == "64 x 64 -> 3 - 5 ... ?\n"


def test_json_is_ascii_and_knows_no_nan():
    stream = io.StringIO()
    Console(stream).json({"class": "猫"})
    assert stream.getvalue().isascii()
    with pytest.raises(ValueError, match="JSON"):
        Console(stream).json({"loss": float("nan")})


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
@pytest.mark.parametrize("width", [60, 80, 120])
def test_on_a_real_terminal_no_line_is_wider_than_it(width):
    import fcntl
    import pty
    import struct
    import termios

    code = (
        "import sys, time; from stroma.cli.console import Talk; t = Talk(sys.stderr)\n"
        "t.heading('The data'); t.table(['class', 'photos'], [['oak ' * 30, 3]], right=[1])\n"
        "with t.progress(5, 'training') as bar:\n"
        "  for i in range(1, 6): time.sleep(0.11); bar.update(i, 'loss 0.5 ' * 12)\n"
    )
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    environment = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "NO_COLOR")}
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=slave, stdout=slave, stderr=slave, env={**environment, "TERM": "xterm"},
    )  # fmt: skip
    os.close(slave)
    shown = b""
    while True:
        try:
            piece = os.read(master, 65536)
        except OSError:  # how Linux says that the other end is closed
            break
        if not piece:
            break
        shown += piece
    os.close(master)
    assert process.wait(60) == 0
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown.decode())
    assert max(map(len, re.split(r"[\r\n]+", text))) <= width
    assert "5 of 5 (100%)" in text and text.count("oak") == 30
