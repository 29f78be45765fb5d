"""`stroma train`: the one verb; it looks, plans, trains, tests once and reports."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from stroma.cli.blocks import result_block
from stroma.cli.command import Session, command
from stroma.cli.knowing import ladder_block
from stroma.cli.reading import label_options
from stroma.cli.showing import Shown
from stroma.core.errors import ArgumentError
from stroma.core.records import RunRecord
from stroma.jobs import TrainOptions, prepare, resume, train
from stroma.jobs.options import folds_of, seconds_of
from stroma.jobs.record import advice_line, python_of
from stroma.jobs.roads import typed_path
from stroma.jobs.train import facts_of
from stroma.training.interrupt import Interrupted

# option -> (what it means, a value that works)
_MEANING = {
    "epochs": ("an epoch is one pass over the training photos", 10),
    "size": ("below 8 pixels there is nothing to see in a photo", 64),
    "batch": ("a step averages over its photos: over one, it follows every accident", 32),
    "lr": ("it is how far each step goes, so it lies above 0", 0.1),
    "seed": ("the generators of random numbers count from 0 to 4,294,967,295", 0),
}


@command("train")
@click.argument("path", required=False)
@click.option("--model", metavar="NAME", help="A network of the zoo, such as resnet18.")
@click.option("--weights", metavar="WHICH", help="'none', a file, or a name: squeezenet1_1.")
@click.option("--epochs", type=int, help="Passes over the training photos.")
@click.option("--budget", metavar="TIME", help="What training may take: 90s, 10m, 1h.")
@click.option("--size", type=int, help="Side of the photos in pixels.")
@click.option("--batch", type=int, help="Photos in a step.")
@click.option("--lr", type=float, help="Highest learning rate.")
@click.option("--seed", type=int, default=0, show_default=True, help="Other seed, other split.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the run; a new one.")
@click.option("--group", metavar="REGEX", help="Photos whose paths match alike stay together.")
@label_options
@click.option("--drop-empty", is_flag=True, help="Leave out classes without photos.")
@click.option("--mirror/--no-mirror", default=None, help="Whether a mirrored photo means the same.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda.")
@click.option("--folds", metavar="K", default="auto", show_default=True,
              help="Test every photo, in K folds; 0: the test part alone.")  # fmt: skip
@click.option("--quick", is_flag=True, help="A version of one minute.")
@click.option("--dry-run", is_flag=True, help="Stop after the plan; nothing is written.")
@click.option("--resume", "run", type=click.Path(path_type=Path), help="Go on with this run.")
@click.option("--json", "as_json", is_flag=True, help="Print the record of the run as JSON.")
def train_command(
    session: Session, path: str | None, run: Path | None, dry_run: bool, as_json: bool,
    budget: str | None, folds: str, **settings: Any,
) -> None:  # fmt: skip
    """Train on the photos in PATH: a folder of class folders, a zip, a CSV, Parquet, or `digits`.

    Weights that are named, or found on this machine, are used as they are and only a head is
    solved for; else a small network is trained from scratch. The plan says which, and why.
    """
    if run is not None:
        _check_alone(path, budget, {**settings, "folds": folds_of(folds)})
        go_on(session, run, as_json)
        return
    if path is None:
        raise ArgumentError(
            "PATH is missing",
            where="stroma train",
            why="it says where the photos are",
            fix="stroma train photos/, or stroma demo to try it on made ones",
        )
    options = options_of(session, path, budget, folds, settings)
    run_training(session, options, as_json=as_json, dry_run=dry_run)


def options_of(
    session: Session, path: str, budget: str | None, folds: str, settings: dict[str, Any]
) -> TrainOptions:
    """What was typed, checked; refusals are in the words of the command line."""
    settings["folds"] = folds_of(folds)
    typed = shlex.join(["stroma", *session.arguments])
    seconds = None if budget is None else seconds_of(budget)
    try:
        return TrainOptions(path=path, budget=seconds, command=typed, **settings)
    except ArgumentError as error:
        raise _as_typed(error, settings) from None


def run_training(
    session: Session, options: TrainOptions, *, as_json: bool = False, dry_run: bool = False
) -> None:
    """The five blocks; with `as_json` they go to stderr, and the record to stdout."""
    blocks = session.talk if as_json else session.out
    with stoppable(), Shown(session, blocks) as watch:
        job = prepare(options, watch)
        blocks.line(f"In Python: {'; '.join(python_of(options).splitlines())}")
        if dry_run:
            if as_json:
                facts = facts_of(job.learnt, options.path).to_json()
                session.out.json(job.plan.to_json() | {"data": facts})
            return
        record = train(options, watch, job)
    _end(session, record, as_json)


def go_on(session: Session, folder: Path, as_json: bool) -> None:
    """`--resume`."""
    blocks = session.talk if as_json else session.out
    with stoppable(), Shown(session, blocks) as watch:
        record = resume(folder, watch)
    _end(session, record, as_json)


def _end(session: Session, run: RunRecord, as_json: bool) -> None:
    folder = run.folder or Path(run.name)
    if as_json:
        session.out.json(run.to_json() | {"folder": str(folder)})
        return
    ladder_block(session.out, run)
    out, quoted = session.out, shlex.quote(typed_path(str(folder)))
    result_block(out, run, str(folder))
    out.heading("Next")
    for line in ("report {} --open", "predict {} PHOTO...", "evaluate {} OTHER_PHOTOS/"):
        out.line(f"  stroma {line.format(quoted)}")
    if line := advice_line(run):
        out.line()
        out.paragraph(line)


def _as_typed(error: ArgumentError, settings: dict[str, Any]) -> ArgumentError:
    """The refusal of a setting in the words of the command line, with a value to type."""
    name = error.where.removeprefix("train(").partition("=")[0]
    if name not in _MEANING:
        return error
    meaning, value = _MEANING[name]
    return ArgumentError(
        error.what.replace(f"train: {name} ", f"--{name} ", 1),
        where=f"--{name} {settings[name]}",
        why=meaning,
        fix=f"--{name} {value}",
    )


def _check_alone(path: str | None, budget: str | None, settings: dict[str, Any]) -> None:
    """A resumed run has its settings: another one typed beside it would be silently ignored."""
    defaults = {field.name: field.default for field in dataclasses.fields(TrainOptions)}
    given = [
        "--" + name.replace("_", "-") for name, value in settings.items() if value != defaults[name]
    ]
    given += ["--budget"] * (budget is not None) + ["PATH"] * (path is not None)
    if given:
        raise ArgumentError(
            f"{', '.join(given)} cannot be changed in a run that goes on",
            where="stroma train --resume",
            why="it ends with the weights it would have had, so all its settings are kept",
            fix="leave them away, or begin a new run",
        )


@contextmanager
def stoppable() -> Iterator[None]:
    """An orderly stop is no error: all has been said, and the exit code says the rest."""
    try:
        yield
    except Interrupted as stopped:
        raise click.exceptions.Exit(128 + stopped.by) from None
