"""`stroma demo`: photos to try stroma on, made here, downloaded from nowhere; then the main job."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from pathlib import Path

import click

from stroma.cli.command import Session, command
from stroma.cli.train import run_training
from stroma.data.demo import write_demo_photos
from stroma.jobs import TrainOptions


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
@click.option("--no-train", is_flag=True, help="Only write the photos.")
@click.option("--json", "as_json", is_flag=True, help="Print the record of the run as JSON.")
def demo(session: Session, photos: Path, seed: int, no_train: bool, as_json: bool) -> None:
    """Write the demo photos, then run `stroma train` on them.

    5,000 training and 1,000 test photos of 64 pixels in ten classes: handwritten digits on
    photographs, synthetic, and ten faulty files that the report should name.
    """
    with session.talk.progress(6000, "writing photos") as bar:
        facts = write_demo_photos(photos, seed=seed, progress=lambda done, _: bar.update(done))
    if as_json and no_train:
        session.out.json(asdict(facts) | {"folder": str(facts.folder), "synthetic": True})
        return
    blocks = session.talk if as_json else session.out
    verb = "are there already, unchanged" if facts.reused else "written"
    blocks.line(f"{facts.training + facts.test:,} synthetic photos {verb}: {facts.folder}")
    blocks.heading("Faults planted in it")
    blocks.table(["fault", "file"], [(fault.kind, fault.path) for fault in facts.faults])
    typed = shlex.join(["stroma", "train", str(facts.folder)])
    blocks.line()
    if no_train:
        blocks.line(f"Next: {typed}")
    else:
        blocks.line(f"$ {typed}")
        run_training(session, TrainOptions(path=str(facts.folder), command=typed), as_json=as_json)
