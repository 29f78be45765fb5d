"""`stroma predict`: one line a photo, CSV or JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

from stroma.cli import errors
from stroma.cli.answers import Answers, Kept, check_out
from stroma.cli.command import Session, command
from stroma.core.errors import ArgumentError, DataError, StromaError
from stroma.core.runs import RUN_FILE
from stroma.core.text import printable
from stroma.data.layout import READABLE, UNSUPPORTED
from stroma.data.listing import LISTS, Pictures, pictures
from stroma.data.records import Audit
from stroma.jobs import predict as answers
from stroma.jobs.artefacts import latest_model, load_artefact
from stroma.jobs.record import MODEL_FILE
from stroma.package.artefact import Artefact

_IN_FULL = 3  # faults that are told in four parts; the others have a line each
_JSON = (".jsonl", ".ndjson", ".json")


@command("predict")
@click.argument("paths", metavar="[RUN] PATH...", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="JSON lines instead of CSV.")
@click.option("--out", metavar="FILE", type=click.Path(path_type=Path),
              help="Write to this file; one that ends in .jsonl gets JSON lines.")  # fmt: skip
@click.option("--resume", is_flag=True, help="Go on with FILE: what it answers is not asked again.")
@click.option("--overwrite", is_flag=True, help="Write FILE anew if it is there.")
def predict(
    session: Session, paths: tuple[str, ...], as_json: bool, out: Path | None, resume: bool,
    overwrite: bool,
) -> None:  # fmt: skip
    """Say what a model sees in each photo: a line each, CSV on stdout.

    RUN is a folder that `stroma train` made, or the model.keras in it; the latest in runs/ where
    none is named. PATH is a photo, a folder, a zip, or a list of paths (.txt or .csv). Lines come
    as they are computed. What cannot be read is counted and named on stderr, the others are
    answered, and the exit code is 2. Where the model can tell, `unlike` is the share of your own
    photos that are more like those it learnt from: 0.99 and above means that the photo is
    probably of something else.
    """
    check_out(out, resume, overwrite)
    named, photos = _run_and_photos(paths)
    model = named or latest_model()
    if named is None:
        session.talk.line(f"the model of {model}, the latest run that has one")
    artefact, found = load_artefact(model), pictures(photos)
    as_json = as_json or (out is not None and out.suffix.lower() in _JSON)
    failed: list[StromaError] = [
        DataError(f"{e.path}: {e.reason}", where=e.path, why="a picture was expected",
                  fix="save it as JPEG or PNG")
        for e in found.entries if e.outcome == "skipped"
    ]  # fmt: skip
    total = len(found) + len(failed)
    if out is None:
        writer = Answers(session.out.stream, as_json)
        for said in answers(artefact, found, failed.append):
            writer.write(said)
    else:
        with _file(session, out, as_json, artefact, found, resume) as (writer, rest):
            _answer_all(session, writer, artefact, rest, failed)
    session.talk.line(
        f"In Python: from stroma.jobs import predict; "
        f"answers = list(predict({str(model)!r}, {list(photos)!r}))"
    )
    _tell(session, found, failed, total)


def _run_and_photos(paths: Sequence[str]) -> tuple[Path | None, Sequence[str]]:
    """RUN, if the first path is one, and the photos."""
    if "" in paths:
        raise ArgumentError(
            "an empty path was given", where="stroma predict ''", why="it names no photo",
            fix="stroma predict RUN photos/",
        )  # fmt: skip
    first, others = Path(paths[0]), paths[1:]
    if not _is_model(first) and (first.exists() or not others or _is_photo(first)):
        return None, paths
    if not others:
        raise ArgumentError(
            "PATH is missing", where=f"stroma predict {first}",
            why=f"{first} is a model, and it is not said what it should look at",
            fix=f"stroma predict {first} photos/",
        )  # fmt: skip
    return first, others


def _is_model(path: Path) -> bool:
    if path.is_dir():
        return (path / RUN_FILE).is_file() or (path / MODEL_FILE).is_file()
    return path.suffix == ".keras"


def _is_photo(path: Path) -> bool:
    """Whether a path that is not there was meant as photos: a missing RUN has no such ending."""
    return path.suffix.lower() in {*READABLE, *UNSUPPORTED, *LISTS, ".zip"}


@contextmanager
def _file(
    session: Session, out: Path, as_json: bool, artefact: Artefact, found: Pictures, resume: bool
) -> Iterator[tuple[Answers, Pictures]]:
    """A writer to the file, and the photos that it does not answer yet."""
    if not resume:
        with out.open("w", encoding="utf-8", newline="") as file:
            yield Answers(file, as_json), found
        return
    kept = Kept(out, as_json)
    last = kept.last_of(found.names)
    if last is not None:
        for said in answers(artefact, found.take([last]), lambda error: None):
            kept.check(said)
    rest = found.take(at for at, name in enumerate(found.names) if not kept.has(name))
    if len(rest) < len(found):
        done = len(found) - len(rest)
        session.talk.line(f"{out} answers {done:,} of {len(found):,} photos already")
    with kept.open() as file:
        yield Answers(file, as_json, header=not kept.header), rest


def _answer_all(
    session: Session, writer: Answers, artefact: Artefact, found: Pictures,
    failed: list[StromaError],
) -> None:  # fmt: skip
    before, done = len(failed), 0
    with session.talk.progress(len(found), "looking at the photos") as bar:
        for said in answers(artefact, found, failed.append):
            writer.write(said)
            done += 1
            bar.update(done + len(failed) - before, "")


def _tell(session: Session, found: Pictures, failed: Sequence[StromaError], total: int) -> None:
    """On stderr, so that a table in a file holds answers only: what was not answered, and why."""
    others = [entry for entry in found.entries if entry.outcome != "skipped"]
    for line in Audit(others).summary_lines():
        session.talk.line(line)
    for error in failed[:_IN_FULL]:
        print(f"\n{errors.render(error, session.talk.width)}", file=session.talk.stream)
    for error in failed[_IN_FULL:]:
        session.talk.line(f"not answered: {printable(error.what)}")
    if failed:
        session.talk.line()
        session.talk.line(f"{len(failed):,} of {total:,} photos could not be read; see above")
        raise click.exceptions.Exit(2)
