"""`stroma rank`: which pretrained base suits these photos."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from stroma.cli.command import Session, command
from stroma.cli.reading import read_photos
from stroma.core.errors import ArgumentError, WeightsError
from stroma.transfer import load_base, provenance, rank
from stroma.transfer.bases import architecture_of
from stroma.zoo.table import TABLE, WeightsEntry
from stroma.zoo.weights import find_local, torch_cache

_ADVISED = ("squeezenet1_1", "mobilenet_v3_small", "resnet18", "resnet50")  # small to large


@command("rank")
@click.argument("path")
@click.option("--bases", metavar="A,B,C", default="",
              help="Names: resnet50, squeezenet1_1...; all whose weights are here.")  # fmt: skip
@click.option("--weights", metavar="FILE", multiple=True, type=click.Path(path_type=Path),
              help="A file of weights or a .keras file; may be given again.")  # fmt: skip
@click.option("--photos", metavar="N", type=int, default=2000, show_default=True,
              help="Look at N training photos at most.")  # fmt: skip
@click.option("--target", type=click.Choice(["accuracy", "balanced_accuracy"]),
              default="accuracy", show_default=True,
              help="balanced_accuracy: rare classes count as much as others.")  # fmt: skip
@click.option("--size", type=int, help="Side of the photos in pixels.")
@click.option("--seed", type=int, default=0, show_default=True, help="Other seed, other photos.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda.")
@click.option("--json", "as_json", is_flag=True, help="Print the table as JSON.")
def rank_command(
    session: Session, path: str, bases: str, weights: tuple[Path, ...], photos: int, target: str,
    size: int | None, seed: int, device: str, as_json: bool,
) -> None:  # fmt: skip
    """Compare pretrained bases on the photos in PATH; train and change nothing.

    Each base looks at the training photos once, frozen. The table says how often a linear head on
    its features is right about photos that it has not seen, how long a photo takes on this
    machine, and how large the weights are. LogME and the H-score stand beside it for those who
    know them; they decide nothing.
    """
    data = read_photos(session, path, size=size, seed=seed)
    if data.shape[2] != 3:
        raise ArgumentError(
            f"pretrained bases want photos in colour, these have {data.shape[2]} channel",
            where=f"stroma rank {path}",
            why="their first layer adds up red, green and blue",
            fix=f"stroma train {path} --weights none",
        )
    sources = _sources(bases, weights)
    if not sources:
        found = find_local()
        sources = [f.entry.name for f in found if f.entry and f.suits(data.size)]
    if not sources:
        raise _nothing(path, data.size)
    named = {}
    for source in sources:
        base = load_base(source, input_shape=data.shape)
        named[provenance(base).architecture] = base
    with session.talk.progress(0, "features") as bar:
        order = list(named)

        def told(name: str, done: int, total: int) -> None:
            bar.update_total(order.index(name) * total + done, len(order) * total)

        table = rank(
            named, data, photos=photos, target=target,  # type: ignore[arg-type]  # click has checked
            seed=seed, device=device, progress=told,
        )  # fmt: skip
    if as_json:
        session.out.json(table.to_json())
        return
    session.out.heading(f"{table.photos:,} training photos of {table.classes} classes")
    for line in table.lines(session.out.width):
        session.out.line(line)
    _say_sources(session, [(row.name, row.weights_file, row.licence) for row in table.rows])


def _sources(bases: str, files: Sequence[Path]) -> list[str | Path]:
    """Names and files, each once; a file takes the place of the name that it holds weights of."""
    names = [name.strip() for name in bases.split(",") if name.strip()]
    weights = [file for file in files if file.is_file() and file.suffix != ".keras"]
    held = {architecture_of(file) for file in weights}  # fetched or looked for no more
    return list(dict.fromkeys([*(name for name in names if name not in held), *files]))


def _say_sources(session: Session, rows: Sequence[tuple[str, str, str]]) -> None:
    session.out.line()
    session.out.facts(
        [
            (name, f"{file}; {licence or 'licence not known'}")
            for name, file, licence in rows
            if file
        ]
    )


def _nothing(path: str, size: tuple[int, int]) -> WeightsError:
    """Which files to bring and where to put them, and what can be done meanwhile."""
    entries = [next(e for e in TABLE if e.architecture == name) for name in _ADVISED]
    if max(size) <= 64:
        entries = [entry for entry in TABLE if entry.tag == "cifar10"][:3]
    return WeightsError(
        f"no pretrained weights for photos of {size[1]} × {size[0]} are on this machine",
        where="looked in $STROMA_WEIGHTS and the caches of torch hub, the Hugging Face hub and"
        " Keras",
        why="a base is ranked by what its weights see in the photos, and nothing is downloaded"
        " that nobody named",
        fix="\n".join([
            f"bring one or more of these, and put them into {torch_cache()}:",
            *(f"  {_line(entry)}" for entry in entries),
            f"or let one be fetched: stroma rank {path} --bases {entries[0].architecture}",
            f"meanwhile: stroma train {path} --weights none",
        ]),
    )  # fmt: skip


def _line(entry: WeightsEntry) -> str:
    return f"{entry.url} ({entry.megabytes:g} MB)"
