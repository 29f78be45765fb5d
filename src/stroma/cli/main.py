"""`stroma`: the table of commands, and what surrounds each: errors, signals, exit codes."""

from __future__ import annotations

import difflib
import importlib
import os
import shlex
import signal
import sys
import traceback
from collections.abc import Sequence
from types import FrameType
from typing import Any, NamedTuple, NoReturn

import click

import stroma
from stroma.cli import errors
from stroma.cli.command import SETTINGS, Session, common_options
from stroma.cli.console import make_streams_safe
from stroma.core.errors import ArgumentError, did_you_mean
from stroma.core.text import printable

WHAT = "stroma builds, trains, transfers, understands and ships convolutional networks."


class Entry(NamedTuple):
    """Where a command is defined (loaded only to run it), its one line, and if it takes torch."""

    source: str
    help: str
    torch: bool = True


COMMANDS = {
    "train": Entry("stroma.cli.train:train_command", "Train on photos: the main job."),
    "transfer": Entry(
        "stroma.cli.transfer:transfer", "Train on a pretrained base: heads, then fine-tuning."
    ),
    "rank": Entry("stroma.cli.rank:rank_command", "Compare pretrained bases on photos."),
    "predict": Entry("stroma.cli.predict:predict", "Say what is in photos."),
    "evaluate": Entry("stroma.cli.evaluate:evaluate", "Measure a model on other photos."),
    "explain": Entry("stroma.cli.explain:explain", "Show where in a photo an answer comes from."),
    "report": Entry(
        "stroma.cli.report:report", "Write the report of a run, or compare runs.", False
    ),
    "check": Entry("stroma.cli.check:check", "Look at the photos, train nothing."),
    "summary": Entry("stroma.cli.summary:summary", "Show the layers of a network."),
    "demo": Entry("stroma.cli.demo:demo", "Write demo photos and train on them."),
    "doctor": Entry("stroma.cli.doctor:doctor", "Say what this machine has, for bug reports."),
}

_WELCOME = "stroma.cli.welcome:welcome"


def load(source: str) -> Any:
    """The thing at "module:name"; the only place where the command line imports late."""
    module, _, name = source.partition(":")
    return getattr(importlib.import_module(module), name)


class Commands(click.Group):
    """The verbs of `COMMANDS`, imported one at a time."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        session, entry = context.ensure_object(Session), COMMANDS[name]
        asks_help = {"-h", "--help"} & set(session.arguments)
        if entry.torch and "torch" not in sys.modules and not asks_help:
            session.talk.line("loading PyTorch…")  # seconds of silence would look like a hang
        found: click.Command = load(entry.source)
        return found

    def resolve_command(
        self, context: click.Context, arguments: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        verb = arguments[0]
        if verb not in COMMANDS:
            near = difflib.get_close_matches(verb, COMMANDS, n=1)
            fix = shlex.join(["stroma", *near, "--help"])
            if os.path.exists(verb):  # photos without a verb
                fix = shlex.join(["stroma", "train" if "train" in COMMANDS else "check", verb])
            raise ArgumentError(
                f"there is no command {verb!r}.{did_you_mean(verb, near)}",
                where=f"stroma {verb}",
                why=f"the commands are {', '.join(COMMANDS)}",
                fix=fix,
            )
        return super().resolve_command(context, arguments)

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Click's own would import every command for its line, and cut long lines off."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in COMMANDS.items()])


@click.group(cls=Commands, context_settings=SETTINGS, help=WHAT, invoke_without_command=True)
@click.version_option(stroma.__version__, message="stroma %(version)s")
@click.pass_context
def root(context: click.Context) -> None:
    if context.invoked_subcommand is None:
        verbs = {name: entry.help for name, entry in COMMANDS.items()}
        load(_WELCOME)(context.ensure_object(Session).out, WHAT, verbs)


root.params += common_options()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line; the exit code."""
    session = Session(sys.argv[1:] if arguments is None else arguments)
    make_streams_safe()
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        code = _run(session)
        sys.stdout.flush()  # here, where a reader who is gone can still be met quietly
        return code
    except (KeyboardInterrupt, click.Abort):
        print("\ninterrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # Python flushes stdout once more at exit: let it flush into nothing.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except Exception as error:
        return _fail(error, session)
    finally:
        signal.signal(signal.SIGTERM, before)


def _run(session: Session) -> int:
    if "_STROMA_COMPLETE" in os.environ:  # a shell asks click what could be typed next
        root.main(prog_name="stroma")
    if "" in session.arguments:
        raise ArgumentError(
            "an argument is empty",
            where=shlex.join(["stroma", *session.arguments]),
            why="a shell variable that is not set leaves one; as a path it would mean this folder",
            fix="name the path; this folder is .",
        )
    # Not click's `main`: it would end the process itself, with 1, on a closed pipe.
    try:
        with root.make_context("stroma", session.arguments.copy(), obj=session) as context:
            root.invoke(context)
    except click.exceptions.Exit as ended:
        return ended.exit_code
    return 0


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    """SIGTERM leaves through every `finally`, so that nothing half-written stays behind."""
    raise SystemExit(128 + number)


def _fail(error: Exception, session: Session) -> int:
    explained = errors.explain(error, session.arguments)
    if session.debug:
        traceback.print_exception(error)
    if explained is not None:
        print(errors.render(explained, session.talk.width), file=sys.stderr)
        return 2
    log = errors.write_log(error, session.arguments)
    said = printable(f"{type(error).__name__}: {error}".splitlines()[0])
    print(f"stroma failed: {said} (traceback: {log})", file=sys.stderr)
    return 1
