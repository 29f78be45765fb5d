"""What every command shares: a session, `--debug`, `--plain`, and how help is shown."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import click

from stroma.cli.console import Console, Talk

SETTINGS: dict[str, Any] = {"help_option_names": ["-h", "--help"], "max_content_width": 120}


class Session:
    """One call of the command line.

    Args:
        arguments: What was typed after `stroma`.
    """

    def __init__(self, arguments: Sequence[str] = ()) -> None:
        self.arguments = list(arguments)
        self.debug = False
        self.plain = False

    @cached_property
    def out(self) -> Console:
        """stdout: the answer, and nothing else."""
        return Console(sys.stdout, plain=self.plain)

    @cached_property
    def talk(self) -> Talk:
        """stderr: what is going on."""
        return Talk(sys.stderr, plain=self.plain)


def _note(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value and parameter.name is not None:  # given before or after the verb: either counts
        setattr(context.find_object(Session), parameter.name, True)


def common_options() -> list[click.Option]:
    """The options that are understood before and after every verb."""
    return [
        click.Option(
            [f"--{name}"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_note,
            help=text,
        )
        for name, text in (
            ("plain", "Whole lines only, nothing redrawn: for screen readers and logs."),
            ("debug", "Show the traceback of an error."),
        )
    ]


def command(name: str) -> Callable[[Callable[..., None]], click.Command]:
    """Make a function (session, and its options by name) the command `name`."""

    def decorate(function: Callable[..., None]) -> click.Command:
        made = click.command(name, context_settings=SETTINGS)(click.pass_obj(function))
        made.params += common_options()
        return made

    return decorate
