"""The report as text: well-formed, escaped, self-contained, and honest in its edge cases."""

import base64
import dataclasses
import hashlib
import math
import re
from html.parser import HTMLParser

import pytest
from make_run import DIGITS, make_run, record

from stroma.core import runs
from stroma.core.records import EpochRow, FileNote, Finding, Prediction, RunRecord, Score
from stroma.report import drawing, facts, render, svg, write_report

VOID = {"meta", "link", "img", "input", "br", "wbr"}
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"


class Page(HTMLParser):
    """Reads a page strictly: every element closed in order, ids unique, links inside the page."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.feed(html)
        self.close()
        assert not self.open, f"left open: {self.open}"

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-1:]}"
        self.open.pop()

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.text += data

    def all(self, name):
        return [attributes for tag, attributes in self.elements if tag == name]


def check(html: str) -> Page:
    """What must hold for every report, whatever is in it."""
    page = Page(html)
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for tag, attributes in page.elements:
        assert "style" not in attributes, "the policy blocks style attributes"
        assert not [name for name in attributes if name.startswith("on")], (tag, attributes)
        address = attributes.get("src") or attributes.get("href") or ""
        assert re.match(r"#|data:|$", address), f"{tag} asks for {address}"
        if address.startswith("#"):
            assert address[1:] in ids, f"{address} leads nowhere"
    assert len(page.all("script")) == 1
    assert len(page.all("h1")) == 1
    assert not re.search(r"url\(|@import|fetch\(|XMLHttp|https?://", html)
    for image in page.all("img"):
        assert image["alt"]
    return page


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("runs") / "calm-fern")


@pytest.fixture(scope="module")
def html(folder):
    return write_report(folder).read_text(encoding="utf-8")


def test_a_full_report_is_sound_and_small(html):
    page = check(html)
    assert len(html.encode()) < 1_000_000
    assert "Right on 922 of 1,000 photos it had never seen." in page.text
    assert "95\u00a0% interval 90.4\u00a0to\u00a093.7\u00a0%" in page.text
    for said in (
        "71.9 points better than nearest neighbour on pixels",
        "Synthetic pictures",
        "broken: ends in mid-picture",
        "turned upright",
        "stroma train demo-photos/ --seed 7",
        "sha256:5b1f0c9a7e34d2886a90b1c2",
        "torch\u00a02.13.0",
        "frozen",
    ):
        assert said in page.text, said


def test_the_policy_names_exactly_this_script_and_style(html):
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', html).group(1)
    policy = policy.replace("&#39;", "'")
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for tag, source in (("style", "style-src"), ("script", "script-src")):
        body = re.search(f"<{tag}>(.*?)</{tag}>", html, re.DOTALL).group(1)
        digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
        assert f"{source} 'sha256-{digest}'" in policy


def test_each_count_of_the_matrix_opens_its_photos_without_script(html, folder):
    page = check(html)
    run = runs.read_run(folder)
    links = {link["href"][1:] for link in page.all("a") if link["href"].startswith("#cell-")}
    filled = {
        f"cell-{i}-{j}" for i, row in enumerate(run.confusion) for j, n in enumerate(row) if n
    }
    assert filled <= links
    panels = {s["id"] for s in page.all("section") if s.get("class") == "opened"}
    assert panels == filled
    assert ".opened:target { display: block" in html


def test_colour_is_never_the_only_sign(html):
    assert re.search(r"✓</span><span class=.unseen.>right", html)
    assert re.search(r"✗</span><span class=.unseen.>wrong", html)
    assert re.findall(r'text class="label s\d"[^>]*>(\w+)<', html)[:2] == ["training", "validation"]
    assert "stroke-dasharray" in re.search(r"\.line\.s1 \{[^}]*dash[^}]*\}", html).group()


def test_hostile_names_stay_text(tmp_path):
    names = (HOSTILE, "cat\u202egpj", "\udcff\x1b[31m", "{{ 7 * 7 }}")
    make_run(tmp_path, names, each=6, error=0.5)
    run = runs.read_run(tmp_path)
    bad = [dataclasses.replace(p, path=f"{HOSTILE}/{p.path}") for p in run.predictions]
    run = dataclasses.replace(
        run,
        name=HOSTILE,
        command=HOSTILE,
        error=HOSTILE,
        status="failed",
        predictions=tuple(bad),
        versions={HOSTILE: HOSTILE},
        findings=(Finding(term=HOSTILE, evidence=HOSTILE, try_next=f"stroma {HOSTILE}"),),
        history=(EpochRow(epoch=1, metrics={HOSTILE: 1.0, f"val_{HOSTILE}": 2.0}),),
        data=dataclasses.replace(run.data, skipped=(FileNote(path=HOSTILE, problem=HOSTILE),)),
    )
    html = render(run)
    page = check(html)
    html.encode("utf-8")  # an undecodable file name must not stop the report
    assert HOSTILE in page.text
    assert "{{ 7 * 7 }}" in page.text
    assert "\u202e" not in html
    assert "\x1b" not in html
    assert "\\u202egpj" in page.text


def test_the_hostile_test_can_fail():
    with pytest.raises(AssertionError):
        check(f"<h1>{HOSTILE}</h1><script></script>")


def test_an_interrupted_run_says_how_far_it_came(tmp_path):
    folder = make_run(
        tmp_path, each=0, epochs=7, status="interrupted", headline=None, best_epoch=None,
        resume_command="stroma train --resume runs/calm-fern",
    )  # fmt: skip
    page = check(write_report(folder).read_text(encoding="utf-8"))
    assert "This run was interrupted after epoch 7 of 24." in page.text
    assert "Continue with stroma train --resume runs/calm-fern" in page.text
    assert "This file contains no photos." in page.text


def test_a_run_with_nothing_in_it_still_reports():
    page = check(render(RunRecord(name="bare")))
    assert "This run is not finished" in page.text
    assert "No epoch was finished." in page.text


def test_no_mistakes_is_said_with_its_doubt(tmp_path):
    make_run(tmp_path, DIGITS[:3], each=8, error=0.0)
    page = check(render(runs.read_run(tmp_path)))
    assert "None of the 24 test photos. The set is small" in page.text
    assert "Only 24 test photos" in page.text
    assert page.text.count("few") >= 3


def test_above_twenty_classes_the_worst_pairs_take_the_matrix_place(tmp_path):
    make_run(tmp_path, tuple(f"class {i}" for i in range(30)), each=20, error=0.3)
    page = check(render(runs.read_run(tmp_path)))
    assert not [t for t in page.all("table") if t.get("class") == "matrix"]
    assert "30 classes make a table that no screen holds" in page.text
    assert len([s for s in page.all("section") if s.get("class") == "opened"]) == 20


def test_missing_and_foreign_thumbnails_leave_a_tile_with_the_path(tmp_path):
    folder = make_run(tmp_path / "run", DIGITS[:2], each=4, error=0.0)
    secret = tmp_path / "secret.webp"
    secret.write_bytes((folder / "photos/0.webp").read_bytes())
    (folder / "photos/1.webp").write_text("not a picture")
    (folder / "photos/2.webp").write_bytes(b"RIFF0000WEBP" + bytes(70_000))
    run = runs.read_run(folder)
    wanted = (
        "../secret.webp",
        str(secret),
        "photos/1.webp",
        "photos/2.webp",
        "photos",
        "a\0b",
        None,
    )
    odd = tuple(
        Prediction(path=f"lost/{i}.jpg", truth=0, predicted=1, thumbnail=name)
        for i, name in enumerate(wanted)
    )
    html = render(dataclasses.replace(run, predictions=odd))
    page = check(html)
    assert not page.all("img")
    tiles = [s["aria-label"] for s in page.all("span") if s.get("class", "").startswith("tile")]
    assert {f"no picture of lost/{i}.jpg" for i in range(len(wanted))} <= set(tiles)


def test_a_limit_thins_the_thumbnails_and_says_so(folder, html):
    run = runs.read_run(folder)
    limit = len(html.encode()) - 100_000
    small = render(run, limit=limit)
    page = check(small)
    assert limit - 10_000 < len(small.encode()) <= limit
    assert re.search(r"\d+ pictures were left out to keep the file small", page.text)
    assert 0 < len(page.all("img")) < len(Page(html).all("img"))


def test_a_flood_of_skipped_files_does_not_flood_the_page(folder):
    run = runs.read_run(folder)
    notes = tuple(FileNote(path=f"{i}.txt", problem="no picture") for i in range(20_000))
    groups = tuple((f"{i}.jpg", f"{i}.copy.jpg") for i in range(20_000))
    data = dataclasses.replace(run.data, skipped=notes, duplicates=groups)
    html = render(dataclasses.replace(run, data=data))
    assert check(html).text.count("19,500 more are listed in run.json") == 2
    assert len(html.encode()) < 1_000_000


def test_without_photos_no_picture_is_inside(folder):
    page = check(render(runs.read_run(folder), photos=False))
    assert not page.all("img")
    assert "This file contains no photos." in page.text
    assert "demo-photos/test/three/" in page.text.replace("\n", "")


def test_certainty_is_judged_on_the_whole_test_part_only(folder):
    run = runs.read_run(folder)
    bins = facts.reliability(run)
    assert sum(one.count for one in bins) == 1000
    assert all(one.interval.low <= one.right <= one.interval.high for one in bins)
    kept = facts.refusals(run)
    assert kept[0].refused <= kept[-1].refused
    partial = dataclasses.replace(run, predictions=tuple(facts.mistakes(run)))
    assert facts.reliability(partial) == []


def test_verdict_and_helpers():
    run = record(headline=Score.of("accuracy", 1, 1), confusion=((1,),))
    assert facts.verdict(run) == "Right on 1 of 1 photo it had never seen."
    run = record(confusion=((8, 2, 0), (0, 10, 0), (5, 0, 5)), headline=None)
    assert [(m.truth, m.predicted, m.count) for m in facts.mix_ups(run)] == [(2, 0, 5), (0, 1, 2)]
    assert facts.worst_class(dataclasses.replace(run, class_names=("a", "b", "c"))).name == "c"


def test_worse_than_the_baseline_is_not_hidden():
    run = record(confusion=(), headline=Score.of("accuracy", 10, 100))
    assert "10.3 points worse than nearest neighbour on pixels" in check(render(run)).text


@pytest.mark.parametrize(
    "values", [[], [1.0], [0.0, 0.0], [math.nan, 1.0, math.inf], [1e-9, 1e9], [-3.0, -1.0]]
)
@pytest.mark.parametrize("log", [False, True])
def test_any_curve_draws_finite_marks_inside_the_chart(values, log):
    chart = svg.line_chart([svg.Series("loss", list(enumerate(values, 1)))], title="x", log=log)
    assert "nan" not in chart
    assert "inf" not in chart
    for x, y in re.findall(r'cx="([\d.-]+)" cy="([\d.-]+)"', chart):
        assert 0 <= float(x) <= drawing.WIDTH
        assert 0 <= float(y) <= drawing.HEIGHT


def test_ten_thousand_epochs_make_a_small_chart():
    points = [(epoch, 1 / epoch) for epoch in range(1, 10_001)]
    assert len(svg.line_chart([svg.Series("loss", points)], title="loss")) < 20_000
