"""`stroma transfer`: train, with the road fixed: a pretrained base, heads, fine-tuning."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from stroma.cli.command import Session, command
from stroma.cli.reading import label_options
from stroma.cli.train import options_of, run_training


@command("transfer")
@click.argument("path")
@click.option(
    "--base", "model", metavar="NAME", help="A network of the zoo: resnet50; or a .keras file."
)
@click.option("--weights", metavar="WHICH", help="A file, or a name: squeezenet1_1.")
@click.option("--head", metavar="NAME", default="auto", show_default=True,
              help="ridge, lda, logistic...; auto compares them.")  # fmt: skip
@click.option("--finetune", type=click.Choice(["auto", "always", "never"]), default="auto",
              show_default=True,
              help="auto: as far as --budget goes and pays; always: past it too.")  # fmt: skip
@click.option("--budget", metavar="TIME", help="What all of it may take: 90s, 10m, 1h.")
@click.option("--layer", metavar="NAME", help="Layer whose output the features are; the last.")
@click.option("--target", type=click.Choice(["accuracy", "balanced_accuracy"]),
              default="accuracy", show_default=True,
              help="balanced_accuracy: rare classes count as much as others.")  # fmt: skip
@click.option("--epochs", type=int, help="Most epochs of fine-tuning.")
@click.option("--size", type=int, help="Side of the photos in pixels.")
@click.option("--seed", type=int, default=0, show_default=True, help="Other seed, other split.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the run; a new one.")
@click.option("--group", metavar="REGEX", help="Photos whose paths match alike stay together.")
@label_options
@click.option("--drop-empty", is_flag=True, help="Leave out classes without photos.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda.")
@click.option("--folds", metavar="K", default="auto", show_default=True,
              help="Test every photo, in K folds; 0: the test part alone.")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Stop after the plan; nothing is written.")
@click.option("--json", "as_json", is_flag=True, help="Print the record of the run as JSON.")
def transfer(
    session: Session, path: str, budget: str | None, folds: str, dry_run: bool, as_json: bool,
    **settings: Any,
) -> None:  # fmt: skip
    """Teach a pretrained network your photos in PATH: a folder, a zip, a CSV or Parquet.

    The base looks at each photo once; heads on its features are compared; with a budget the base
    is tuned as well, as far as it pays. A run that was stopped goes on by `stroma train --resume`.
    """
    options = options_of(session, path, budget, folds, {**settings, "road": "features"})
    run_training(session, options, as_json=as_json, dry_run=dry_run)
