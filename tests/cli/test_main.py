"""The command line as a user meets it: fast help, four-part errors, honest exit codes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest

from stroma.cli import main as cli
from stroma.cli.command import command
from stroma.cli.main import COMMANDS, Entry, load, main
from stroma.cli.welcome import last_run

GOLDEN = Path(__file__).parent / "golden"
STROMA = [sys.executable, "-m", "stroma"]


def run(*arguments, **environment):
    """One call in a process of its own, without a terminal."""
    return subprocess.run(
        [*STROMA, *map(str, arguments)],
        capture_output=True,
        env={**os.environ, **environment},
        timeout=120,
        check=False,
    )


def fails(capsys, *arguments):
    """The labelled parts of the error that these arguments give."""
    assert main(list(map(str, arguments))) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "Traceback" not in shown.err
    parts, name = {}, ""
    for line in shown.err.splitlines():
        if line[:8].strip().endswith(":") and not line.startswith(" "):
            name = line[:8].strip().rstrip(":")
        if name:
            parts[name] = f"{parts.get(name, '')} {line[8:]}".strip()
    assert set(parts) == {"error", "where", "why", "try"}
    return parts


def test_help_loads_neither_torch_nor_rich_nor_numpy():
    code = (
        "import sys; from stroma.cli.main import main; main(['--help']); "
        "print(*{'torch', 'rich', 'numpy', 'PIL', 'sklearn'} & set(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, check=True)
    assert done.stderr.strip() == b""


def test_a_planted_import_of_torch_is_caught():
    code = (
        "import sys; import torch; from stroma.cli.main import main; main(['--help']); "
        "print(*{'torch'} & set(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, check=True)
    assert done.stderr.strip() == b"torch"


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("verb", ["", *COMMANDS])
def test_help_reads_as_it_did(capsys, monkeypatch, verb, width):
    """After a change that is meant: STROMA_UPDATE_GOLDEN=1 pytest tests/cli, then read the diff."""
    monkeypatch.setenv("COLUMNS", str(width))
    assert main([*verb.split(), "--help"]) == 0
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= width
    path = GOLDEN / f"help{'-' * bool(verb)}{verb}-{width}.txt"
    if os.environ.get("STROMA_UPDATE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(shown, encoding="utf-8")
    assert shown == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("verb", COMMANDS)
def test_every_command_has_the_line_its_table_says(verb):
    made = load(COMMANDS[verb].source)
    assert isinstance(made, click.Command)
    assert made.name == verb
    assert made.help and len(made.help.splitlines()[0]) <= 100
    assert {"--plain", "--debug"} <= {name for p in made.params for name in p.opts}


def test_alone_it_says_at_most_twelve_lines_that_work(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 12
    verbs = [line.split()[1] for line in lines if line.startswith("  stroma ")]
    assert verbs and set(verbs) <= set(COMMANDS)
    assert "No run yet in runs/." in lines


def test_alone_it_names_the_last_run(capsys, monkeypatch, tmp_path):
    for number, name in enumerate(["2026-11-21_b", "2026-11-20_a"]):
        folder = tmp_path / "runs" / name
        folder.mkdir(parents=True)
        (folder / "run.json").write_text("{}")
        os.utime(folder / "run.json", (1e9 + number, 1e9 + number))
    monkeypatch.chdir(tmp_path)
    assert last_run(Path("runs")) == Path("runs/2026-11-20_a")
    assert main([]) == 0
    assert f"Last run: {Path('runs/2026-11-20_a')}" in capsys.readouterr().out


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == "stroma 0.1.0\n"


def test_an_unknown_verb_names_the_nearest(capsys):
    parts = fails(capsys, "docter", "photos")
    assert "Did you mean 'doctor'?" in parts["error"]
    assert parts["try"] == "stroma doctor --help"
    assert fails(capsys, "zzzzzz")["try"] == "stroma --help"


def test_photos_without_a_verb_are_given_one(capsys, tmp_path):
    (tmp_path / "my photos").mkdir()
    parts = fails(capsys, tmp_path / "my photos")
    assert parts["try"].endswith(f" '{tmp_path / 'my photos'}'")


def test_an_unknown_option_names_the_nearest(capsys):
    assert "Did you mean '--json'?" in fails(capsys, "doctor", "--jsn")["error"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["demo", "--seed", "x"],
        ["demo", "--seed", "-4"],
        ["demo", "--photos"],
        ["doctor", "extra"],
        ["check"],
        ["check", "no-such-folder"],
        ["--nothing"],
    ],
)
def test_wrong_usage_has_four_parts(capsys, monkeypatch, tmp_path, arguments):
    monkeypatch.chdir(tmp_path)
    fails(capsys, *arguments)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_taken_is_refused_and_kept(capsys, tmp_path):
    (tmp_path / "letter.txt").write_text("mine")
    parts = fails(capsys, "demo", "--photos", tmp_path)
    assert parts["where"] == str(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


@pytest.fixture
def verb(monkeypatch):
    """Registers a function as the command `try-it`."""

    def register(function):
        monkeypatch.setattr(sys.modules[__name__], "try_it", command("try-it")(function), False)
        monkeypatch.setitem(COMMANDS, "try-it", Entry(f"{__name__}:try_it", "For tests."))

    return register


def raising(error):
    def body(session):
        raise error

    return body


def test_an_unexpected_error_is_one_line_and_a_log(capsys, verb):
    verb(raising(ValueError("left\nright\x1b")))
    assert main(["try-it"]) == 1
    shown = capsys.readouterr().err
    assert len(shown.splitlines()) == 1
    log = Path(shown.rpartition("traceback: ")[2].rstrip(")\n"))
    text = log.read_text()
    log.unlink()
    assert "stroma try-it" in text and "Traceback" in text and "ValueError: left" in text


def test_debug_shows_the_traceback_before_or_after_the_verb(capsys, verb):
    verb(raising(ZeroDivisionError("here")))
    for arguments in (["--debug", "try-it"], ["try-it", "--debug"]):
        assert main(arguments) == 1
        shown = capsys.readouterr().err
        assert "Traceback" in shown
        Path(shown.rpartition("traceback: ")[2].rstrip(")\n")).unlink()


@pytest.mark.parametrize("error", [OSError(28, "No space left on device", "/x"), MemoryError()])
def test_faults_of_the_machine_have_four_parts(capsys, verb, error):
    verb(raising(error))
    fails(capsys, "try-it")


def test_an_interrupt_is_130(capsys, verb):
    verb(raising(KeyboardInterrupt()))
    assert main(["try-it"]) == 130


@pytest.mark.parametrize("number, code", [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_leaves_nothing_half_written(tmp_path, number, code):
    process = subprocess.Popen([*STROMA, "demo", "--photos", tmp_path / "d"])
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("d.*/train")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(number)
    assert process.wait(60) == code
    assert list(tmp_path.iterdir()) == []


def test_a_reader_who_leaves_is_met_quietly():
    line = f"'{sys.executable}' -m stroma --help | head -1"
    done = subprocess.run(["bash", "-c", line], capture_output=True, timeout=60, check=True)
    assert done.stdout.startswith(b"Usage: stroma")
    assert done.stderr == b""


def test_a_closed_pipe_is_141():
    code = (
        "import os, sys; from stroma.cli.main import main; r, w = os.pipe(); os.close(r); "
        "os.dup2(w, 1); sys.exit(main(['--help']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
def test_output_survives_the_code_page(tmp_path, encoding):
    folder = tmp_path / "猫\x1b[31m"
    folder.mkdir()
    (folder / "x").touch()
    done = run("demo", "--photos", folder, PYTHONIOENCODING=encoding, COLUMNS="60")
    assert done.returncode == 2
    assert b"\x1b" not in done.stderr and b"Traceback" not in done.stderr
    assert "error:" in done.stderr.decode(encoding)


def test_doctor_gives_facts_on_stdout_and_talk_on_stderr():
    done = run("doctor", "--json", NO_COLOR="1", PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    found = json.loads(done.stdout)
    assert found["versions"]["stroma"] == "0.1.0"
    assert found["machine"]["cores"] >= 1
    assert done.stderr == b"loading PyTorch...\n"


def test_doctor_names_the_weights_it_finds_and_survives_a_wrong_setting(
    capsys, monkeypatch, tmp_path
):
    (tmp_path / "resnet20-12fca82f.th").write_bytes(b"as good as any: doctor reads no weights")
    title = "pretrained weights on this machine"
    for setting, expected in ((tmp_path, "resnet20:cifar10"), (tmp_path / "x", "not looked for")):
        monkeypatch.setenv("STROMA_WEIGHTS", str(setting))
        assert main(["doctor", "--json"]) == 0
        assert expected in json.loads(capsys.readouterr().out)[title]


def test_doctor_for_people(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    assert main(["doctor"]) == 0
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    for title in ("versions", "machine", "device", "disk", "caches", "optional packages"):
        assert f"\n{title}\n" in shown


def test_a_shell_can_complete_verbs():
    done = run(_STROMA_COMPLETE="bash_complete", COMP_WORDS="stroma doc", COMP_CWORD="1")
    assert b"plain,doctor" in done.stdout


def test_every_module_of_a_command_is_named_by_the_table():
    """A file per command: none is forgotten, none is loaded by another."""
    sources = {entry.source.split(":")[0] for entry in COMMANDS.values()}
    assert {source.rpartition(".")[2] for source in sources} == set(COMMANDS)
    assert all(source.startswith("stroma.cli.") for source in sources)
    assert cli.WHAT
