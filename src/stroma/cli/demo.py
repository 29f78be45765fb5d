"""`stroma demo`: photos to try stroma on, made here, downloaded from nowhere."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from stroma.cli.command import Session, command
from stroma.data.demo import write_demo_photos


@command("demo")
@click.option(
    "--photos",
    type=click.Path(path_type=Path),
    default=Path("demo-photos"),
    show_default=True,
    help="Folder to write; one that holds anything else is left alone.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Other seed, other photos.",
)
@click.option("--json", "as_json", is_flag=True, help="Print what was written as JSON.")
def demo(session: Session, photos: Path, seed: int, as_json: bool) -> None:
    """Write the demo photos: handwritten digits on photographs, synthetic, with planted faults.

    5,000 training and 1,000 test photos of 64 pixels in ten classes, and ten faulty files
    that `stroma check` should name.
    """
    with session.talk.progress(6000, "writing photos") as bar:
        facts = write_demo_photos(photos, seed=seed, progress=lambda done, _: bar.update(done))
    if as_json:
        session.out.json(asdict(facts) | {"folder": str(facts.folder), "synthetic": True})
        return
    verb = "are there already, unchanged" if facts.reused else "written"
    session.out.line(f"{facts.training + facts.test:,} synthetic photos {verb}: {facts.folder}")
    session.out.heading("Faults planted in it")
    session.out.table(["fault", "file"], [(fault.kind, fault.path) for fault in facts.faults])
    session.out.heading("Next")
    session.out.line(f"  stroma check {facts.folder}")
