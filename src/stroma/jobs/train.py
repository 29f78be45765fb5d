"""`stroma train`: from photos to a run folder with a model, a test and a report."""

from __future__ import annotations

import dataclasses
import datetime
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from stroma.core.errors import RunError
from stroma.core.records import DataFacts, Plan, RunRecord
from stroma.core.runs import REPORT_FILE, write_run
from stroma.data import ImageData, digits, images
from stroma.data.facts import data_facts
from stroma.data.images import natural_size
from stroma.data.labels import LabelsAre
from stroma.jobs import record as recording
from stroma.jobs.features import plan_features
from stroma.jobs.folds import cross_validated, everything, plan_test
from stroma.jobs.judging import Answering, Judged, judge
from stroma.jobs.labels import check_task, with_labels
from stroma.jobs.ladder import Climbed, LadderSettings, all_frozen, climb_ladder, treated
from stroma.jobs.measuring import findings_of, learnt_mean, measure_once, solve
from stroma.jobs.options import TrainOptions
from stroma.jobs.plan import LARGEST_SIDE, plan_scratch
from stroma.jobs.questions import QUESTIONS, Question
from stroma.jobs.recipe import Recipe
from stroma.jobs.roads import Road, choose_road
from stroma.jobs.scratch import Trained, calibrated, train_recipe
from stroma.jobs.table import Base, FeatureTable
from stroma.jobs.understanding import Understood, shortened, understand
from stroma.jobs.watch import Watch
from stroma.network.design import design
from stroma.package.artefact import Artefact
from stroma.report import write_report
from stroma.training.fitting import choose_device
from stroma.training.interrupt import Interrupted
from stroma.training.run_folder import RunFolder
from stroma.transfer import PixelBaselines
from stroma.transfer.unlike import Unlike


@dataclass(frozen=True, slots=True)
class Job:
    """A plan and what it needs: data, and the settings of its road.

    Args:
        plan: What will be done.
        data: Read and split; the test part is closed.
        how: Settings of the road.
        table: Features by the pretrained base, on the road of features.
        ladder: How far up to go on that road.
        folds: What the headline comes from; none of them: from the test part.
        seconds: How long reading and planning took.
    """

    plan: Plan
    data: ImageData
    how: Recipe | Base
    table: FeatureTable | None = None
    folds: tuple[ImageData, ...] = ()
    seconds: float = 0.0
    ladder: LadderSettings = field(default_factory=LadderSettings)

    @property
    def learnt(self) -> ImageData:
        """What the model that ships learns from: where folds are tested, from their photos too."""
        if not self.folds:
            return self.data
        return everything(self.data, len(self.folds), validation=self.table is None)

    def train(self, run: RunFolder, watch: Watch) -> Climbed | Trained:
        """Follow the plan, from the run's newest checkpoint where there is one."""
        return self._fit(self.learnt, run, watch)

    def judge(self, run: RunFolder, source: str, watch: Watch) -> Judged:
        """The headline from the folds, each with a training of its own."""

        def fit(fold: ImageData, place: RunFolder) -> Answering:
            return self._fit(fold, place, watch)

        if self.table is not None:
            self.table.of(self.learnt.train, watch)
        judged = cross_validated(
            fit, self.folds, source=source, folder=run.path, seed=self.plan.seed, watch=watch
        )
        # A look at the test part as first split would be one too many: its photos are learnt from
        return dataclasses.replace(judged, test_reads=judged.test_reads + self.data.test.reads)

    def _fit(self, data: ImageData, run: RunFolder, watch: Watch) -> Climbed | Trained:
        question = self.question
        if self.table is not None and question is not None:
            return solve(question, self.table, data, watch)
        if self.table is not None:
            return climb_ladder(
                self.table, data, self.ladder, trainings=len(self.folds) + 1,
                seed=self.plan.seed, watch=watch,
            )  # fmt: skip
        assert isinstance(self.how, Recipe)
        watch.stage("training")
        trained = train_recipe(self.how, data, run=run, device=self.device, watch=watch)
        return trained if question is not None else calibrated(trained, data.validation)

    @property
    def question(self) -> Question | None:
        """What is asked, where it is not one class a photo."""
        return QUESTIONS.get(self.data.task)

    @property
    def device(self) -> str:
        return str(self.plan.settings["device_asked"])


def prepare(options: TrainOptions, watch: Watch | None = None) -> Job:
    """Look at the photos, choose the road, make the plan. Nothing is written.

    Raises: DataError: the photos cannot be used. ArgumentError, WeightsError: a setting cannot.
    """
    began = time.perf_counter()
    watch = watch or Watch()
    recording.check_out(options.out)
    choose_device(options.device)  # a wrong name is said before minutes of decoding
    size = (8, 8) if options.path == "digits" else natural_size(
        options.path, group=options.group, labels=options.labels,
        target_column=options.target_column,
    )  # fmt: skip
    road = choose_road(options, size, watch.say)
    data = read(options.path, _stored_size(options, road, size), options.seed, options.group, watch,
                options.drop_empty, options.labels, options.target_column)  # fmt: skip
    watch.data(facts_of(data, options.path), data.class_names)
    check_task(data, options)
    testing = plan_test(options, data, validation=share_chosen_by(features=bool(road.bases)))
    if road.bases:
        plan, base, ladder, table = plan_features(options, data, road, watch, testing)
        job = Job(plan, data, base, table, ladder=ladder)
    else:
        plan, recipe = plan_scratch(options, data, road, watch, testing)
        job = Job(plan, data, recipe)
    plan = with_labels(plan, options, data)
    watch.plan(plan)
    folds = testing.folds if plan.settings["folds"] else ()
    seconds = round(time.perf_counter() - began, 2)
    return dataclasses.replace(job, plan=plan, folds=folds, seconds=seconds)


def share_chosen_by(*, features: bool) -> float:
    """Share of a fold that is its validation part: a head chooses by leave-one-out, without."""
    return 0.0 if features else 0.15


def _stored_size(
    options: TrainOptions, road: Road, natural: tuple[int, int]
) -> int | tuple[int, int]:
    if options.size is not None:
        return options.size
    if road.bases and road.bases[0].preprocessing is not None:
        return road.bases[0].preprocessing.size
    return natural if max(natural) <= LARGEST_SIDE else LARGEST_SIDE


def read(
    path: str, size: int | tuple[int, int], seed: int, group: str | None, watch: Watch,
    drop_empty: bool = False, labels: LabelsAre = "auto", target_column: str | None = None,
) -> ImageData:  # fmt: skip
    """The three parts, as a plan's settings describe them."""
    if path == "digits":
        return digits(seed=seed)
    return images(
        path, size=size, seed=seed, group=group, drop_empty=drop_empty, labels=labels,
        target_column=target_column, progress=watch.reading,
    )  # fmt: skip


def facts_of(data: ImageData, path: str) -> DataFacts:
    """What the audit found, with a word on how the parts were made."""
    return data_facts(data, source=path)


def train(options: TrainOptions, watch: Watch | None = None, job: Job | None = None) -> RunRecord:
    """Train on photos and leave a run folder; returns its record.

    Args:
        options: What the user said.
        watch: Who is told how it goes.
        job: What `prepare(options)` gave, where it was called before.
    Raises: StromaError: something that the user can mend. Interrupted: asked to stop; the run
        folder holds a report and what is needed to go on.
    Example:
        run = train(TrainOptions(path="photos/"))
        run.headline.value, run.folder / "report.html"
    """
    watch = watch or Watch()
    job = job or prepare(options, watch)
    folder = RunFolder.create(options.out or "auto", _subject(options.path))
    run = RunRecord(
        name=folder.path.name,
        created=datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        command=options.command or recording.command_of(options),
        python=recording.python_of(options),
        resume_command=recording.resume_command(folder.path),
        versions=recording.versions(), machine=recording.machine(),
        plan=job.plan, data=facts_of(job.learnt, options.path),
        class_names=tuple(job.data.class_names),
        seconds={"reading and planning": job.seconds},
    )  # fmt: skip
    write_run(folder.path, run)
    return finish(job, folder, run, watch)


def finish(job: Job, folder: RunFolder, run: RunRecord, watch: Watch) -> RunRecord:
    """Everything after the plan: train, test once, understand, save, report."""
    with _told(folder, run, watch):
        clock = _Clock()
        done = _one_class if job.question is None else _measured
        trained, run, unlike = done(job, folder, run, clock, watch)
        run = dataclasses.replace(
            run, status="finished", best_epoch=trained.best_epoch,
            layers=tuple(design(trained.model)), seconds={**run.seconds, **clock.took},
            paths={"model": recording.MODEL_FILE, "report": REPORT_FILE},
        )  # fmt: skip
        run = dataclasses.replace(run, findings=(*recording.findings(run), *run.findings))
        artefact(trained, job, run, unlike).save(folder.path / recording.MODEL_FILE)
        write_run(folder.path, run)
        write_report(folder.path)
    return dataclasses.replace(run, folder=folder.path)


def _one_class(
    job: Job, folder: RunFolder, run: RunRecord, clock: _Clock, watch: Watch
) -> tuple[Trained, RunRecord, Unlike | None]:
    """What ships, the run with what is known of it, and what tells photos of another kind."""
    source = run.data.source if run.data else ""
    trained, judged = _tested(job, folder, source, clock, watch)
    watch.stage("understanding")
    known = understand(trained, job.learnt, judged, source, seed=job.plan.seed)
    clock.note("understanding")
    run = dataclasses.replace(
        _with_ladder(_with(run, known), job, trained), headline=judged.headline,
        baselines=judged.baselines, confusion=judged.confusion, folds=judged.folds,
        test_reads=judged.test_reads, predictions=judged.predictions,
        findings=known.photo_audit.findings() if known.photo_audit else (),
    )  # fmt: skip
    network = dataclasses.replace(trained.network(), best_epoch=trained.best_epoch)
    return network, run, known.score


def _measured(
    job: Job, folder: RunFolder, run: RunRecord, clock: _Clock, watch: Watch
) -> tuple[Trained, RunRecord, Unlike | None]:
    """The same of several classes or a number."""
    trained = job.train(folder, watch).network()
    clock.note("training")
    tested = measure_once(
        trained, job.data, run.data.source if run.data else "", folder.path, watch
    )
    clock.note("test")
    run = dataclasses.replace(
        run, measured=tested.measured, answers=tested.answers, test_reads=tested.test_reads,
        base=all_frozen(job.how, "ridge") if isinstance(job.how, Base) else None,
        findings=tuple(findings_of(tested.measured, run)),
    )  # fmt: skip
    return trained, run, None


def _tested(
    job: Job, folder: RunFolder, source: str, clock: _Clock, watch: Watch
) -> tuple[Climbed | Trained, Judged]:
    """What ships, and what the test or the folds said."""
    if job.folds:
        judged = job.judge(folder, source, watch)
        clock.note("folds")
        trained = job.train(folder, watch)
        clock.note("training")
        return trained, judged
    classes = len(job.data.class_names)
    baselines = PixelBaselines(job.data.train, classes, seed=job.plan.seed)
    trained = job.train(folder, watch)
    clock.note("training")
    judged = judge(trained, job.data, baselines, source, folder.path, watch)
    clock.note("test")
    return trained, judged


def _with(run: RunRecord, known: Understood) -> RunRecord:
    audit = shortened(known.photo_audit) if known.photo_audit else None
    return dataclasses.replace(
        run, calibration=known.calibration, unlike=known.unlike, photo_audit=audit,
        embedding=known.embedding,
    )  # fmt: skip


def _with_ladder(run: RunRecord, job: Job, trained: Climbed | Trained) -> RunRecord:
    if not (isinstance(trained, Climbed) and isinstance(job.how, Base)):
        return run
    found, choice = trained.found, trained.found.choice
    return dataclasses.replace(
        run, base=treated(job.how, found), ladder=found.rungs,
        heads=choice.table if choice else (), lead=choice.lead if choice else None,
    )  # fmt: skip


class _Clock:
    """How long each stage took."""

    def __init__(self) -> None:
        self.took: dict[str, float] = {}
        self._since = time.perf_counter()

    def note(self, stage: str) -> None:
        now = time.perf_counter()
        self.took[stage] = round(now - self._since, 2)
        self._since = now


def artefact(trained: Trained, job: Job, run: RunRecord, unlike: Unlike | None) -> Artefact:
    """What ships: the network, its names, and how photos enter it."""
    weights = job.how.to_json() if isinstance(job.how, Base) else None
    headline = run.headline or (run.measured.figures[0] if run.measured else None)
    asked = {name: job.plan.settings.get(name) for name in ("labels", "target_column")}
    return Artefact(
        trained.model, run.class_names, decoder=job.data.decoder, task=job.data.task,
        from_logits=not trained.probabilities, temperature=trained.temperature, unlike=unlike,
        provenance={
            "run": run.name, "created": run.created, "data": job.data.fingerprint,
            "versions": dict(run.versions), "weights": weights,
            "headline": headline.to_json() if headline else None, "folds": len(run.folds),
        } | ({**asked, "learnt_mean": learnt_mean(job.data)} if job.question else {}),
    )  # fmt: skip


@contextmanager
def _told(folder: RunFolder, run: RunRecord, watch: Watch) -> Iterator[None]:
    """However it ends, the run folder says so, and an unfinished one has a report too."""
    try:
        yield
    except BaseException as error:
        stopped = isinstance(error, (KeyboardInterrupt, SystemExit))  # the latter by SIGTERM
        said = "; ".join([type(error).__name__, *str(error).splitlines()[:1]])
        if stopped:
            by = "SIGTERM" if isinstance(error, SystemExit) else "SIGINT"
            said = f"stopped by {error.by.name if isinstance(error, Interrupted) else by}"
        run = dataclasses.replace(
            run, status="interrupted" if stopped else "failed", error=said,
            paths={"report": REPORT_FILE},
        )  # fmt: skip
        try:
            write_run(folder.path, run)
            write_report(folder.path)
        except (OSError, RunError) as second:  # a full disk: the first error is the one that counts
            watch.say(f"the report could not be written: {second}")
        if stopped:
            watch.say(f"{said}; all that is there is in {folder.path}. Go on with:")
            watch.say(f"  {run.resume_command}")
        raise


def _subject(path: str) -> str:
    name = Path(path).resolve().name or "photos"
    return re.sub(r"[^A-Za-z0-9-]+", "-", Path(name).stem).strip("-")[:40] or "photos"
