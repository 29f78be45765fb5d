"""The run record as a job fills it in."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import platform
import shlex
import tempfile
from pathlib import Path

import numpy as np
import PIL
import torch

import stroma
from stroma.core.errors import RunError
from stroma.core.records import SMALL_SUPPORT, Finding, RunRecord, Score
from stroma.jobs.options import TrainOptions
from stroma.jobs.roads import size_of, typed_path
from stroma.report import facts as said

FEW_PHOTOS = 200  # a class, below which a network from scratch is better not trained
MODEL_FILE = "model.keras"


def versions() -> dict[str, str]:
    """What was used, for whoever repeats it."""
    return {
        "stroma": stroma.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "pillow": PIL.__version__,
    }


def machine() -> dict[str, str]:
    """Where it ran."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processors": str(os.cpu_count() or "unknown"),
        "threads": str(torch.get_num_threads()),
        "gpu": gpu,
    }


def command_of(options: TrainOptions) -> str:
    """The command line that does what the options say."""
    fixed = options.road == "features" or bool(_of_the_ladder(options))
    words = ["stroma", "transfer" if fixed else "train", typed_path(options.path)]
    for name in (
        "model", "weights", "epochs", "size", "batch", "lr", "group", "folds", "out",
    ):  # fmt: skip
        if (value := getattr(options, name)) is not None:
            words += ["--base" if fixed and name == "model" else f"--{name}", str(value)]
    for name, value in _of_the_ladder(options).items():
        words += [f"--{name}", value]
    words += label_words(options.labels, options.target_column)
    if options.budget is not None:
        words += ["--budget", f"{options.budget:g}s"]
    if options.seed:
        words += ["--seed", str(options.seed)]
    if options.device != "auto":
        words += ["--device", options.device]
    if options.quick:
        words.append("--quick")
    if options.drop_empty:
        words.append("--drop-empty")
    if options.mirror is not None:
        words.append("--mirror" if options.mirror else "--no-mirror")
    return shlex.join(words)


def label_words(labels: str, target_column: str | None) -> list[str]:
    """The options that say what the labels of a table are, where they were said."""
    words = [] if labels == "auto" else ["--labels", labels]
    return words if target_column is None else [*words, "--target-column", target_column]


def _of_the_ladder(options: TrainOptions) -> dict[str, str]:
    """What only `stroma transfer` takes, where it is not as usual."""
    usual = (("layer", None), ("head", "auto"), ("finetune", "auto"), ("target", "accuracy"))
    return {name: str(getattr(options, name)) for name, at in usual if getattr(options, name) != at}


def python_of(options: TrainOptions) -> str:
    """The same as Python."""
    given = {
        field.name: getattr(options, field.name)
        for field in dataclasses.fields(options)
        if field.name != "command" and getattr(options, field.name) != field.default
    }
    words = [f"{name}={(str(v) if isinstance(v, Path) else v)!r}" for name, v in given.items()]
    return (
        "from stroma.jobs import TrainOptions, train\n"
        f"run = train(TrainOptions({', '.join(words)}))"
    )


def resume_command(folder: Path) -> str:
    """The line that goes on with a run."""
    return shlex.join(["stroma", "train", "--resume", typed_path(str(folder))])


def begin_anew(run: RunRecord) -> str:
    """The line that did a run, for another folder than the one that it filled."""
    words = shlex.split(run.command) or ["stroma", "train", "photos/"]
    if "--out" in words:
        at = words.index("--out")
        del words[at : at + 2]
    return shlex.join([word for word in words if not word.startswith("--out=")])


def check_out(out: Path | None) -> None:
    """A folder that holds anything is not written to, and one that cannot be made is said early.

    Raises: RunError: it holds a run, or something else, or the machine refuses to make it.
    """
    folder = out or Path("runs")
    try:
        if out is None or not out.exists() or (out.is_dir() and not any(out.iterdir())):
            _try_to_make(folder)
            return
    except OSError as error:
        raise RunError(
            f"no run can be written to {folder}: {error.strerror or error}",
            where=f"--out {out}" if out else str(folder.resolve()),
            why="that is found out now, rather than after the training",
            fix="--out with a folder that you may write to",
        ) from None
    held = "a run" if (out / "run.json").exists() else "something" if out.is_dir() else ""
    raise RunError(
        f"{out} holds {held} already" if held else f"{out} is a file",
        where=f"--out {out}",
        why="nothing is ever overwritten; a run gets a folder of its own",
        fix=f"stroma train --resume {shlex.quote(str(out))}"
        if held == "a run"
        else "name a folder that does not exist yet, or leave --out away",
    )


def _try_to_make(folder: Path) -> None:
    """Make the folder and a file in it, and take both away: no rule foretells what a disk does."""
    made = [path for path in (folder, *folder.parents) if not os.path.lexists(path)]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    finally:
        for path in made:
            with contextlib.suppress(OSError):
                path.rmdir()


def findings(run: RunRecord) -> tuple[Finding, ...]:
    """What the figures of a finished run say about what to do next."""
    found = []
    best = max(run.baselines, key=lambda score: score.value, default=None)
    if run.headline and best and run.headline.value <= best.value:
        level = run.headline.value == best.value
        found.append(
            Finding(
                term="baseline", severity="warning" if level else "critical",
                evidence=f"{run.headline.value:.1%} right, {best.name} {best.value:.1%}",
                means="the network learnt nothing that the pixels do not say by themselves",
                try_next=run.plan.other_road if run.plan else "",
            )
        )  # fmt: skip
    if small := _small_test(run):
        found.append(small)
    if advice := advice_of(run):
        found.append(
            Finding(
                term="transfer learning", severity="warning",
                evidence=f"from scratch on {said.photos(fewest(run))}{_of_smallest(run)}",
                means="a network from scratch wants hundreds of photos of each kind",
                try_next=advice,
            )
        )  # fmt: skip
    return tuple(found)


def _of_smallest(run: RunRecord) -> str:
    number = run.measured is not None and run.measured.task == "number"
    return "" if number else " of the smallest class"


def _small_test(run: RunRecord) -> Finding | None:
    """What a test part of few photos means, where no folds have made up for it."""
    counts = run.data.counts.get("test", ()) if run.data else ()
    score, settings = run.headline, run.plan.settings if run.plan else {}
    if score is None or run.folds or min(counts, default=SMALL_SUPPORT) >= SMALL_SUPPORT:
        return None
    more = settings.get("folds_by", "")
    return Finding(
        term="confidence interval", severity="info",
        evidence=f"{said.photos(sum(counts))} tested, {min(counts)} of the smallest class: "
        f"{said.between(score.interval)}",
        means="another such set of photos could give any figure in this interval",
        try_next=f"{begin_anew(run)} {more}" if more else "test on more photos",
    )  # fmt: skip


def fewest(run: RunRecord) -> int:
    """Training photos of the smallest class."""
    counts = run.data.counts.get("train", ()) if run.data else ()
    return min(counts, default=0)


def advice_of(run: RunRecord) -> str:
    """The command to try where a network was trained from scratch on too few photos, or nothing."""
    plan, data = run.plan, run.data
    if plan is None or data is None or plan.road != "from scratch":
        return ""
    if not 0 < fewest(run) < FEW_PHOTOS or data.source == "digits":
        return ""
    asked = label_words(plan.settings.get("labels", "auto"), plan.settings.get("target_column"))
    words = ["stroma", "train", typed_path(data.source), "--weights", "squeezenet1_1", *asked]
    return shlex.join(words)


def advice_line(run: RunRecord) -> str:
    """How a run from scratch on few photos ends; empty for others.

    "from scratch on 245 photos: 69 % (61 to 76). Try: `...` (5 MB, fetched only if you type this)"
    """
    advice, score = advice_of(run), run.headline
    if not advice or score is None or run.data is None:
        return ""
    photos = sum(run.data.counts.get("train", ()))
    doubt = _doubt(score)
    return (
        f"from scratch on {said.photos(photos)}: {score.value:.0%}{doubt}. Try: `{advice}` "
        f"({size_of('squeezenet1_1')}, fetched only if you type this)"
    ).replace("%", " %")


def _doubt(score: Score) -> str:
    if score.interval is None:
        return ""
    return f" ({100 * score.interval.low:.0f} to {100 * score.interval.high:.0f})"
