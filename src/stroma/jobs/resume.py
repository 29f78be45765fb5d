"""`stroma train --resume`: go on with a run, to the weights it would have had."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from stroma.core.errors import RunError
from stroma.core.records import Plan, RunRecord
from stroma.core.runs import RUN_FILE, read_run, write_run
from stroma.jobs import record as recording
from stroma.jobs.ladder import LadderSettings
from stroma.jobs.recipe import Recipe
from stroma.jobs.table import Base, FeatureTable, load_extractor
from stroma.jobs.train import Job, finish, read, share_chosen_by
from stroma.jobs.watch import Watch
from stroma.training.run_folder import RunFolder


def resume(folder: Path, watch: Watch | None = None) -> RunRecord:
    """Continue the run in `folder` where its newest checkpoint left it.

    Every setting comes from its `run.json`; the data must be those it began with.

    Raises: RunError: no run, a finished one, or other data than it began with.
    """
    watch = watch or Watch()
    run = read_run(folder)
    if run.status == "finished":
        raise RunError(
            f"{folder} is finished",
            where=str(folder / RUN_FILE),
            why="there is nothing to go on with, and its test part was read",
            fix=recording.begin_anew(run),
        )
    if run.plan is None or run.data is None or "photos" not in run.plan.settings:
        raise RunError(
            f"{folder} holds no run that `stroma train` began, or one that ended before its plan",
            where=str(folder / RUN_FILE),
            why="its settings are not in it",
            fix=recording.begin_anew(run),
        )
    job = _job(run.plan, run, folder, watch)
    watch.data(run.data, run.class_names)
    watch.plan(run.plan)
    run = dataclasses.replace(
        run, status="running", error="", versions=recording.versions(), confusion=()
    )
    write_run(folder, run)
    return finish(job, RunFolder(folder), run, watch)


def _job(plan: Plan, run: RunRecord, folder: Path, watch: Watch) -> Job:
    given = plan.settings
    height, width = given["size"]
    data = read(given["photos"], (height, width), given["split_seed"], given["group"],
                watch, given.get("drop_empty", False), given.get("labels", "auto"),
                given.get("target_column"))  # fmt: skip
    if run.data is not None and data.fingerprint != run.data.fingerprint:
        raise RunError(
            f"{given['photos']} is not what the run began with",
            where=str(Path(given["photos"]).resolve()),
            why="photos were added, removed or changed: the parts would be others, and test "
            "photos could have been trained on",
            fix=f"bring the photos back, or begin anew: {recording.begin_anew(run)}",
        )
    where = f"{folder / RUN_FILE}: plan: settings"
    features, count = plan.road == "features", given.get("folds", 0)
    share = share_chosen_by(features=features)
    folds = tuple(data.folds(count, seed=plan.seed, validation=share)) if count else ()
    if features:
        base = Base.from_json(given, where=where)
        table = FeatureTable(load_extractor(base, data), base.precision, given["device_asked"])
        ladder = LadderSettings.from_json(given, where=where)
        return Job(plan, data, base, table, folds, ladder=ladder)
    return Job(plan, data, Recipe.from_json(given, where=where), folds=folds)
