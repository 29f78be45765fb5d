"""The report in a real browser: silent, still, reachable by keyboard, legible in both themes."""

import os
import shutil
from pathlib import Path

import pytest
from make_run import DIGITS
from make_transfer import make_transfer

from stroma.report import write_report

sync_api = pytest.importorskip("playwright.sync_api", reason="needs the package playwright")
CHROMIUM = os.environ.get("STROMA_CHROMIUM") or shutil.which("chromium") or ""
pytestmark = pytest.mark.skipif(
    not Path(CHROMIUM).is_file(), reason="needs Chromium: apt install chromium or $STROMA_CHROMIUM"
)
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync",
         "--disable-dev-shm-usage", "--disable-component-update", "--no-first-run"]  # fmt: skip

SCRIPTS = Path(__file__).parent
LOW_CONTRAST = (SCRIPTS / "low_contrast.js").read_text(encoding="utf-8")
UNNAMED = (SCRIPTS / "unnamed.js").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = make_transfer(tmp_path_factory.mktemp("browser") / "calm-fern", each=60)
    return write_report(folder).resolve().as_uri()


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def visit(browser):
    """Open a page offline; collects what it complains about and what it asks for."""
    contexts = []

    def open_page(address, **options):
        context = browser.new_context(offline=True, **options)
        contexts.append(context)
        page = context.new_page()
        page.complaints, page.asked = [], []
        page.on("console", lambda message: page.complaints.append(message.text))
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.on("request", lambda request: page.asked.append(request.url))
        page.goto(address)
        return page

    yield open_page
    for context in contexts:
        context.close()


def foreign(page):
    return [url for url in page.asked if not url.startswith(("file:", "data:"))]


def too_wide(page):
    return page.evaluate("document.documentElement.scrollWidth - innerWidth") > 0


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_silent_narrow_and_legible(visit, report, theme, width):
    page = visit(report, color_scheme=theme, viewport={"width": width, "height": 800})
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    assert page.complaints == []
    assert foreign(page) == []
    assert not too_wide(page)
    assert page.evaluate(LOW_CONTRAST) == []
    assert page.evaluate(UNNAMED) == []
    assert page.evaluate("[...document.images].every((image) => image.naturalWidth > 0)")


def test_the_contrast_check_can_fail(visit, report):
    page = visit(report)
    page.evaluate("document.querySelector('h1').style.color = '#bbbbbb'")
    assert len(page.evaluate(LOW_CONTRAST)) == 1


def test_with_script_off_everything_can_be_read(visit, report):
    page = visit(report, java_script_enabled=False)
    cell = page.locator("table.matrix td.miss a").first
    target = cell.get_attribute("href")
    assert not page.locator(target).is_visible()
    cell.click()
    assert page.locator(target).is_visible()
    assert page.locator(f"{target} img").first.is_visible()
    page.locator(f"{target} .close").click()
    assert not page.locator(target).is_visible()
    assert page.locator(".on-linear svg").first.is_visible()
    page.locator("label", has_text="logarithmic").first.click()
    assert page.locator(".on-log svg").first.is_visible()


def test_by_keyboard_a_cell_opens_and_gives_the_focus_back(visit, report):
    page = visit(report)
    cell = page.locator("table.matrix td.miss a").first
    cell.focus()
    page.keyboard.press("Enter")
    target = page.locator(cell.get_attribute("href"))
    target.wait_for(state="visible")
    assert cell.get_attribute("aria-current") == "true"
    page.keyboard.press("Escape")
    target.wait_for(state="hidden")
    assert page.evaluate("document.activeElement.getAttribute('href')") == cell.get_attribute(
        "href"
    )


def test_theme_sort_and_filter(visit, report):
    page = visit(report, color_scheme="light")
    paper = "getComputedStyle(document.body).backgroundColor"
    before = page.evaluate(paper)
    page.get_by_role("button", name="Dark theme").click()
    assert page.evaluate(paper) != before

    page.get_by_role("button", name="Recall", exact=True).click()
    shown = page.locator("table.classes tbody td:nth-child(3)").all_inner_texts()
    values = [float(text.split()[0]) for text in shown]
    assert values == sorted(values)

    chosen = page.locator("#mistakes .gallery > li").first.get_attribute("data-truth")
    page.locator(".filter select").select_option(label=chosen)
    visible = page.locator("#mistakes .gallery > li:visible").all()
    assert visible
    assert {item.get_attribute("data-truth") for item in visible} == {chosen}
    assert page.complaints == []


def test_a_ring_on_the_map_leads_to_its_photo(visit, report):
    page = visit(report)
    later = page.locator("#mistakes details .gallery > li").last
    assert not later.is_visible()
    page.locator(f'#map a[href="#{later.get_attribute("id")}"]').focus()
    page.keyboard.press("Enter")
    later.wait_for(state="visible")
    assert later.locator("img").count() == 2


def test_a_class_of_the_legend_stands_out(visit, report):
    page = visit(report)
    faded = (
        "[...document.querySelectorAll('#map .chart > g')].filter((g) => g.style.opacity).length"
    )
    button = page.get_by_role("button", name="three")
    button.click()
    assert page.evaluate(faded) == len(DIGITS) - 1
    button.click()
    assert page.evaluate(faded) == 0
    assert page.complaints == []


def test_long_hostile_names_do_not_widen_the_page(visit, tmp_path):
    names = ("<script>alert(1)</script>", "n" * 120, "a name with several words in it, and more")
    folder = make_transfer(tmp_path, (*names, *DIGITS), each=8)
    page = visit(write_report(folder).as_uri(), viewport={"width": 360, "height": 800})
    assert page.complaints == []
    assert not too_wide(page)


def test_on_paper_it_is_light_and_complete(visit, report):
    page = visit(report, color_scheme="dark", viewport={"width": 794, "height": 1123})
    page.get_by_role("button", name="Light theme").click()
    page.get_by_role("button", name="Dark theme").click()
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.evaluate(LOW_CONTRAST) == []
    assert not page.locator("nav").is_visible()
