"""The blocks of transfer and of the look at photos: there when recorded, sound, escaped, small."""

import dataclasses
import math
import re

import pytest
from make_run import DIGITS, make_run, record
from make_transfer import BASE, LADDER, audit, calibration, embedding, heads, make_transfer
from test_report import HOSTILE, check

from stroma.core import runs
from stroma.core.records import Prediction, RunRecord
from stroma.core.records_transfer import (
    BaseFacts,
    EmbeddedPhoto,
    Embedding,
    HeadScore,
    Lead,
    Rung,
    UnlikeRow,
)
from stroma.core.scores import Interval, Score
from stroma.report import drawing, facts, ladder, render, write_report
from stroma.report import embedding as mapping
from stroma.report.compare import differences
from stroma.report.render import PAGE_LIMIT

BLOCKS = {"foundation", "certainty", "map", "audit"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_transfer(tmp_path_factory.mktemp("runs") / "calm-fern")


@pytest.fixture(scope="module")
def html(folder):
    return write_report(folder).read_text(encoding="utf-8")


def blocks(page):
    return {section.get("id") for section in page.all("section")} & BLOCKS


def test_a_full_report_is_sound_and_small(html):
    page = check(html)
    assert blocks(page) == BLOCKS
    assert len(html.encode()) < 1_000_000
    for said in (
        "Kept: tuned from features.9 on, 97.5\u00a0% validation accuracy on 750 photos.",
        "left out: needs 412 s, 96 s are left",
        "lda leads ridge by 0.4 points on the same photos (95 % interval −0.1 to +0.9): too little",
        "not tried: 5,000 photos: too dear for what it gains",
        "squeezenet1_1, 722,496 parameters without its head",
        BASE.sha256, "BSD-3-Clause", "features.0 to features.8; features.9 and later were tuned",
        "temperature of 1.84, before which certainty and truth were 6.1 points apart; after it 1.2",
        "Yours, called unlike", "these two axes hold 30\u00a0% of what varies",
        "Labels that may be wrong: 23 of 5,000 photos have odds of 9 to 1 or more against them",
        "Perhaps the same photo twice: 8 pairs listed, of 5,000 photos", "two parts", "two labels",
        "Unlike the others of their class: 6 of 5,000 photos", "photo 2", "The hardest classes",
        "nothing was moved, relabelled or deleted",
    ):  # fmt: skip
        assert said in page.text, said


def test_each_block_is_drawn_only_when_its_record_is_there(tmp_path):
    make_run(tmp_path, DIGITS[:3], each=6, epochs=2)
    run = runs.read_run(tmp_path)
    assert not blocks(check(render(run)))
    alone = {
        "ladder": (LADDER, "foundation"),
        "heads": (heads(3), "foundation"),
        "base": (BASE, "foundation"),
        "calibration": (calibration(), "certainty"),
        "unlike": ((_unlike(None),), "certainty"),
        "embedding": (embedding(run), "map"),
        "photo_audit": (audit(DIGITS[:3]), "audit"),
    }
    for field, (value, block) in alone.items():
        assert blocks(check(render(dataclasses.replace(run, **{field: value})))) == {block}, field


def _unlike(caught: float | None) -> UnlikeRow:
    interval = Interval(low=0.0, high=1.0)
    return UnlikeRow(
        threshold=0.95, false_alarms=0.05, false_alarms_interval=interval,
        caught=caught, caught_interval=None if caught is None else interval,
    )  # fmt: skip


def test_unknown_things_are_said_to_be_unknown():
    run = record(
        base=dataclasses.replace(BASE, licence="", weights_file="", sha256=""),
        unlike=(_unlike(None),),
        ladder=(Rung(name="features + ridge", seconds=2.0, left_out=""),),
        heads=(HeadScore(name="svm"),),
    )
    text = check(render(run)).text
    assert "Not known: ask whoever the weights came from" in text
    assert "not measured" in text
    assert text.count("no reason was noted") == 2


def test_wrong_photos_have_their_map_beside_them(folder, html):
    page = check(html)
    shown = [i["alt"] for i in page.all("img") if i["alt"].startswith("where ")]
    assert len(shown) == 48
    assert "not whether the answer is right" in page.text
    bare = check(render(runs.read_run(folder), photos=False))
    assert not bare.all("img")
    assert "Grad-CAM" not in bare.text


def test_a_lost_map_leaves_a_tile(folder):
    run = runs.read_run(folder)
    lost = [dataclasses.replace(p, explained="../secret.webp") for p in facts.mistakes(run)]
    page = check(render(dataclasses.replace(run, predictions=tuple(lost))))
    tiles = [s["aria-label"] for s in page.all("span") if s.get("class") == "tile large"]
    assert sum(label.startswith("no map for") for label in tiles) == 48


def test_the_page_stays_below_its_limit_with_large_maps(folder):
    run = runs.read_run(folder)
    # noise does not compress: each map is nearly as large as a thumbnail may be
    large = b"\x89PNG\r\n\x1a\n" + bytes(63 * 1024)
    for prediction in run.predictions:
        if prediction.explained:
            (folder / "large").mkdir(exist_ok=True)
            (folder / "large" / prediction.explained.split("/")[1]).write_bytes(large)
    explained = tuple(
        dataclasses.replace(p, explained=p.explained and p.explained.replace("photos", "large"))
        for p in run.predictions
    )
    run = dataclasses.replace(run, predictions=explained)
    assert PAGE_LIMIT / 2 < len(render(run).encode()) <= PAGE_LIMIT
    small = render(run, limit=2_000_000)
    assert 1_800_000 < len(small.encode()) <= 2_000_000
    assert re.search(r"\d+ pictures were left out to keep the file small", check(small).text)


def test_hostile_names_stay_text(tmp_path):
    names = (HOSTILE, "cat\u202egpj", "\udcff\x1b[31m", "{{ 7 * 7 }}")
    make_transfer(tmp_path, names, each=6)
    run = runs.read_run(tmp_path)
    marked = dataclasses.replace
    photos = tuple(marked(p, path=f"{HOSTILE}\x1b", part=HOSTILE) for p in run.embedding.photos)
    found = run.photo_audit
    run = marked(
        run,
        predictions=tuple(marked(p, path=f"{HOSTILE}\x1b") for p in run.predictions),
        base=BaseFacts(
            architecture=HOSTILE, weights_file=HOSTILE, sha256=HOSTILE, place=HOSTILE,
            licence=HOSTILE, preprocessing=HOSTILE, layer=HOSTILE, frozen=HOSTILE,
        ),
        ladder=tuple(marked(r, name=HOSTILE, left_out=r.left_out and HOSTILE) for r in LADDER),
        heads=tuple(
            marked(h, name=HOSTILE, how=HOSTILE, setting=HOSTILE, skipped=HOSTILE)
            for h in run.heads
        ),
        lead=Lead(over=HOSTILE, difference=0.1, low=0.05, high=0.2),
        embedding=Embedding(photos=photos, explained=(0.5, 0.2)),
        photo_audit=marked(
            found,
            duplicates=marked(found.duplicates, pairs=tuple(
                marked(pair, first_path=HOSTILE, second_path=HOSTILE, first_part=HOSTILE)
                for pair in found.duplicates.pairs)),
            suspects=marked(found.suspects, suspects=tuple(
                marked(one, path=f"{HOSTILE}\u202e", label=99) for one in found.suspects.suspects)),
            outliers=marked(found.outliers, found=tuple(
                marked(one, path=HOSTILE, label=-1) for one in found.outliers.found)),
        ),
    )  # fmt: skip
    html = render(run)
    page = check(html)
    html.encode("utf-8")
    assert blocks(page) == BLOCKS
    assert "class 99" in page.text
    assert "class -1" in page.text
    assert "\u202e" not in html
    assert "\x1b" not in html


def test_a_flood_of_suspicions_is_capped_and_counted():
    html = render(record(photo_audit=audit(DIGITS, many=500)))
    text = check(html).text
    assert len(html.encode()) < 1_000_000
    assert "11,300 more are listed in run.json" in text  # of 11,500 suspected labels
    assert "3,800 more are listed in run.json" in text  # of 4,000 pairs


def test_a_clean_audit_says_so():
    found = audit(DIGITS)
    clean = dataclasses.replace(
        found,
        duplicates=dataclasses.replace(found.duplicates, pairs=()),
        suspects=dataclasses.replace(found.suspects, suspects=()),
        outliers=dataclasses.replace(found.outliers, found=()),
    )
    told = "Among 5,000 photos no label is in doubt, no two are nearly the same, none stands"
    assert told in check(render(record(photo_audit=clean))).text


def test_the_measured_calibration_takes_the_place_of_the_test_photos(folder):
    run = runs.read_run(folder)
    assert [one.count for one in facts.reliability(run)] == [63] * 12
    kept = {row.threshold: row for row in facts.refusals(run)}
    assert set(kept) == {0.0, 0.5, 0.7, 0.9, 0.99}  # of none accepted nothing can be said
    assert kept[0.9].kept.value == pytest.approx(600 / 611)
    wilson = Interval.wilson(600, 611)
    assert kept[0.9].kept.interval.low == pytest.approx(wilson.low)
    assert kept[0.9].kept.interval.high == pytest.approx(wilson.high)
    assert render(run).count("If unsure answers are refused") == 1
    assert "Hollow squares: before" in render(run)
    cool = dataclasses.replace(calibration(), temperature=1.0)  # nothing was corrected
    html = render(dataclasses.replace(run, calibration=cool))
    assert "certainty and truth are 1.2 points apart" in check(html).text
    assert "Hollow squares" not in html


def test_steps_add_up_their_time_and_gain():
    rungs = (
        Rung(name="a", seconds=10, score=Score.of("accuracy", 80, 100)),
        Rung(name="b", seconds=5, score=Score.of("accuracy", 70, 100)),
        Rung(name="c", seconds=9, left_out="no time"),
        Rung(name="d", seconds=20, score=Score.of("accuracy", 85, 100), chosen=True),
    )
    steps = ladder.climbed(rungs)
    assert [(s.number, s.after) for s in steps] == [(1, 10), (2, 15), (4, 35)]
    assert steps[0].gain is None
    assert [s.gain for s in steps[1:]] == pytest.approx([-0.1, 0.05])
    chart = ladder.ladder_chart(rungs)
    assert chart.count("<circle") == 3
    assert chart.count('class="mark s1"') == 1  # the one that was kept


@pytest.mark.parametrize("seconds", [[0.0, 0.0], [1e-9, 1e6], [math.nan, 1.0], [math.inf, 1.0]])
@pytest.mark.parametrize("values", [[1.0, 1.0], [0.0, 0.0], [0.5, math.nan], [0.2, 0.9]])
def test_any_ladder_draws_finite_marks_inside_the_chart(seconds, values):
    rungs = [
        Rung(name="x", seconds=s, score=Score(name="accuracy", value=v))
        for s, v in zip(seconds, values, strict=True)
    ]
    chart = ladder.ladder_chart(rungs)
    assert not re.search(r"\bnan\b|\binf\b", chart)
    for x, y in re.findall(r'cx="([\d.-]+)" cy="([\d.-]+)"', chart):
        assert 0 <= float(x) <= drawing.WIDTH
        assert 0 <= float(y) <= drawing.HEIGHT
    check(render(record(ladder=tuple(rungs))))


def told_apart(kinds):
    """Whether no two kinds have the same mark once all colours are the same."""
    marks = [(kind.shape, "hollow" in kind.style) for kind in kinds]
    return len(marks) == len(set(marks))


def cloud(classes, each=5):
    photos = tuple(
        EmbeddedPhoto(path=f"{label}/{n}.jpg", label=label, x=float(label), y=float(n))
        for label in range(classes)
        for n in range(each)
    )
    names = tuple(f"class {k}" for k in range(classes))
    return RunRecord(name="map", class_names=names, embedding=Embedding(photos=photos))


def test_shape_alone_tells_the_classes_of_the_map_apart():
    drawn = mapping.photo_map(cloud(14), {})
    assert told_apart(drawn.kinds)
    assert not told_apart([mapping.Kind("a", 1, 7), mapping.Kind("b", 1, 14)])  # it can fail


def test_of_many_classes_the_most_mistaken_keep_a_mark():
    run = dataclasses.replace(
        cloud(40), predictions=(Prediction(path="33/1.jpg", truth=33, predicted=2),)
    )
    drawn = mapping.photo_map(run, {"33/1.jpg": "wrong-0"})
    assert [(kind.name, kind.count) for kind in drawn.kinds[:1]] == [("26 other classes", 130)]
    assert "class 33" in {kind.name for kind in drawn.kinds}
    assert drawn.chart.count('<a href="#wrong-0"') == drawn.wrong == drawn.linked == 1


def test_the_map_is_capped_true_to_scale_and_passes_over_what_is_not_finite():
    drawn = mapping.photo_map(cloud(10, each=1000), {})
    assert 1000 < drawn.shown <= mapping.MOST_POINTS
    assert len(drawn.chart) < 300_000
    square = tuple(
        EmbeddedPhoto(path=f"{x}{y}", label=0, x=x, y=y)
        for x, y in ((0, 0), (7, 0), (0, 7), (math.nan, 1), (1, math.inf))
    )
    drawn = mapping.photo_map(RunRecord(name="map", embedding=Embedding(photos=square)), {})
    places = [
        (float(x), float(y)) for x, y in re.findall(r'x="([\d.-]+)" y="([\d.-]+)"', drawn.chart)
    ]
    assert len(places) == 3
    (x0, y0), (x1, _), (_, y2) = places
    assert x1 - x0 == pytest.approx(y0 - y2, abs=0.2)
    assert mapping.photo_map(RunRecord(name="none", embedding=Embedding()), {}) is None


def test_runs_compared_name_base_and_chosen_rung():
    one, other = record(ladder=LADDER, base=BASE), record()
    told = dict(differences([one, other]))
    assert told["base"] == ["squeezenet1_1", "–"]
    assert told["chosen rung"] == ["tuned from features.9 on", "–"]
