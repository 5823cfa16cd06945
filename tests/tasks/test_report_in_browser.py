"""The report in a real browser: sorted, on a phone, in the dark, on paper, without scripts, and by its structure."""

import json
import shutil
from itertools import pairwise
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tasks import paths
from tasks.params import Params, load_params
from tests.browsing import DESK, PHONE, column, flaws, is_wider_than_the_window, opened
from tests.tasks.report_project import COMMIT, make_report_project, written_report

NASTY = """<script>document.title = "taken"</script><b>&"'"""
RECIPES = ["wudi", "ties", "average"]
BENCHMARKS = ["gsm8k", "math"]
MEGABYTE = 1_000_000


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three recipes, one of which was not timed, and a warning that would be markup if it could."""
    folder = tmp_path_factory.mktemp("three")
    make_report_project(folder, RECIPES, BENCHMARKS, 120)
    (folder / paths.timing("merge", "ties")).unlink()
    scores = folder / paths.scores("wudi")
    content = json.loads(scores.read_text())
    content["evaluations"][0]["warnings"] = [NASTY]
    scores.write_text(json.dumps(content))
    return folder


@pytest.fixture(scope="module")
def report(project: Path) -> Path:
    return written_report(project, load_params(project / "params.yaml"))


@pytest.fixture(scope="module")
def forty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty recipes with names of 60 letters on five benchmarks."""
    folder = tmp_path_factory.mktemp("forty")
    names = [f"recipe_{number:02d}_".ljust(60, "x") for number in range(40)]
    benchmarks = ["gsm8k", "math", "humaneval", "mbpp", "a_benchmark_".ljust(60, "y")]
    params = make_report_project(folder, names, benchmarks, 20, source=f"./folder {NASTY}")
    return written_report(folder, params)


@pytest.fixture(scope="module")
def partial(tmp_path_factory: pytest.TempPathFactory, project: Path) -> Path:
    """One recipe failed, another one lacks a benchmark."""
    folder = tmp_path_factory.mktemp("partial") / "project"
    shutil.copytree(project, folder)
    shutil.rmtree(folder / paths.merged("average"))
    (folder / paths.scores("average")).unlink()
    scores = folder / paths.scores("ties")
    content = json.loads(scores.read_text())
    del content["evaluations"][1]
    scores.write_text(json.dumps(content))
    return written_report(folder, load_params(folder / "params.yaml"), partial=True)


@pytest.mark.parametrize("which", ["report", "partial", "forty"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_and_asks_for_nothing(
    browser: Browser, which: str, scheme: str, request: pytest.FixtureRequest
) -> None:
    """`opened` sees to it that the page says nothing and asks for nothing."""
    for viewport in (PHONE, DESK):
        with opened(browser, request.getfixturevalue(which), viewport=viewport, color_scheme=scheme) as page:
            assert not is_wider_than_the_window(page)
            assert page.locator("h1").inner_text().startswith("Leaderboard of")
            assert page.title() == page.locator("h1").inner_text()


@pytest.mark.parametrize("width", [360, 660, 768, 1024, 1280])
def test_the_way_around_hides_no_heading(browser: Browser, report: Path, width: int) -> None:
    """It stays at the top of wide windows, on two lines in some of them; a section's heading is seen below it."""
    with opened(browser, report, viewport={"width": width, "height": 600}) as page:
        for link in page.locator("nav a").all():
            link.click()
            heading = page.locator(f"{link.get_attribute('href')} > h2").bounding_box()
            way_around = page.locator("nav").bounding_box()
            assert heading is not None
            assert way_around is not None
            assert heading["y"] >= max(0, way_around["y"] + way_around["height"])


def test_forty_recipes_stay_small(forty: Path) -> None:
    assert forty.stat().st_size < 6 * MEGABYTE


def test_every_column_sorts_by_click(browser: Browser, report: Path) -> None:
    """Numbers as numbers, the best first; a second click turns it round; what is missing stays last."""
    with opened(browser, report) as page:
        assert column(page, "board", "rank") == ["1", "2", "3", "", "", ""]
        for heading in (*BENCHMARKS, "normalised", "mean score", "tokens/s"):
            values = sorted_by(page, heading, "descending")
            assert values == sorted(values, reverse=True), heading
            assert sorted_by(page, heading, "ascending") == sorted(values), heading
        for heading in ("model", "group"):
            sorted_by(page, heading, "ascending")
        page.get_by_role("button", name="merge s").first.click()
        known = column(page, "board", "merge s")
        assert known == ["20.0", "60.0", "", "", "", ""]
        page.get_by_role("button", name="merge s").first.click()
        assert column(page, "board", "merge s") == ["60.0", "20.0", "", "", "", ""]
        page.get_by_role("button", name="rank").click()
        assert column(page, "board", "rank") == ["1", "2", "3", "", "", ""]


def sorted_by(page: Page, heading: str, direction: str) -> list[float]:
    """Click on a heading of the leaderboard, and read its column."""
    board = page.locator("#board")
    board.get_by_role("button", name=heading, exact=True).click()
    assert board.locator("th[aria-sort]").evaluate_all("all => all.map(th => [th.textContent, th.ariaSort])") == [
        [heading, direction]
    ]
    texts = column(page, "board", heading)
    return [] if heading in ("model", "group") else [float(text) for text in texts]


def test_it_sorts_by_keyboard_and_equal_rows_keep_their_order(browser: Browser, report: Path) -> None:
    with opened(browser, report) as page:
        models = column(page, "board", "model")
        button = page.locator("#board").get_by_role("button", name="evaluate s")
        for key in ("Enter", "Space"):
            button.press(key)
            assert column(page, "board", "model") == models, "all evaluations took as long"
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "tokens/s"
        page.locator("#board").get_by_role("button", name="gsm8k").press("Enter")
        assert column(page, "board", "model") != models


def test_the_kinds_of_models_stay_told_apart_when_sorted(browser: Browser, report: Path) -> None:
    with opened(browser, report) as page:
        page.locator("#board").get_by_role("button", name="gsm8k", exact=True).click()
        first = page.locator("#board tbody tr").first
        assert first.locator("th").inner_text() == "gsm8k_expert expert"
        expert = first.locator("td").first.evaluate("cell => getComputedStyle(cell).color")
        recipe = page.locator("#board tr.recipe td").first.evaluate("cell => getComputedStyle(cell).color")
        assert expert != recipe


def test_dark_is_dark(browser: Browser, report: Path) -> None:
    """Page, ink and the letters in pictures change; on paper they do not."""
    found = {}
    for scheme in ("light", "dark"):
        with opened(browser, report, color_scheme=scheme) as page:
            found[scheme] = colours(page)
            page.emulate_media(media="print", color_scheme=scheme)
            found[f"{scheme} on paper"] = colours(page)
    assert all(one != other for one, other in zip(found["light"], found["dark"], strict=True))
    assert found["dark on paper"] == found["light on paper"] == found["light"]


def colours(page: Page) -> list[str]:
    """Of the page, of its letters, and of the letters in a picture."""
    return page.evaluate(
        """() => [getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color,
                  getComputedStyle(document.querySelector("figure svg text")).fill]"""
    )


@pytest.mark.parametrize("which", ["report", "forty"])
def test_on_paper_nothing_is_cut(browser: Browser, which: str, request: pytest.FixtureRequest) -> None:
    """No buttons, no way around, and every table and picture as wide as the paper at most."""
    paper = {"width": 1032, "height": 700}  # A4 across, within its margins
    with opened(browser, request.getfixturevalue(which), viewport=paper) as page:
        page.emulate_media(media="print")
        assert not page.locator("nav").is_visible()
        assert not is_wider_than_the_window(page)
        cut = """all => all.filter(box => box.checkVisibility() && box.scrollWidth > innerWidth).map(box => box.id)"""
        assert page.locator("table, figure, pre").evaluate_all(cut) == []
        boxes = page.locator(".table").evaluate_all("all => all.map(box => getComputedStyle(box).overflowX)")
        assert set(boxes) == {"visible"}
        page.emulate_media(media="screen")
        assert page.pdf(prefer_css_page_size=True).startswith(b"%PDF")


def test_without_scripts_all_is_there(browser: Browser, report: Path) -> None:
    with opened(browser, report, java_script_enabled=False) as page:
        assert page.locator("#board tbody tr").count() == 6
        assert page.locator("button, #samples-choice").locator("visible=true").count() == 0
        assert NASTY in page.locator(".warnings").inner_text()
        for section in page.locator("nav a").all():
            assert page.locator(str(section.get_attribute("href"))).is_visible()
        page.locator("summary", has_text="params.yaml").click()
        assert f"revision: {COMMIT}" in page.locator("pre[aria-label='params.yaml']").inner_text()


@pytest.mark.parametrize("media", ["screen", "print"])
def test_a_heading_as_long_as_usual_names_is_one_line(browser: Browser, report: Path, media: str) -> None:
    """As those of recipes are beside the versions before; longer ones may break."""
    lines = """(heading) => {
        heading.textContent = "task_arithmetic";
        const letters = document.createRange();
        letters.selectNodeContents(heading);
        return new Set([...letters.getClientRects()].map((box) => box.top)).size;
    }"""
    with opened(browser, report) as page:
        page.emulate_media(media=media)
        for heading in ("#board th[data-first] button", "#tasks th:not(.text, .name)"):
            assert page.locator(heading).nth(2).evaluate(lines) == 1


def test_what_a_model_wrote_is_text(browser: Browser, report: Path) -> None:
    """It is escaped; and were it not, the page lets no script run but its own."""
    with opened(browser, report) as page:
        assert page.title() != "taken"
        assert NASTY in page.locator(".warnings").inner_text()
    context = browser.new_context()
    page = context.new_page()
    page.goto(report.as_uri())
    page.on("console", lambda message: said.append(message.text))
    said: list[str] = []
    page.evaluate(
        """document.body.insertAdjacentHTML("beforeend", '<img src="data:," onerror="document.title = 1">')"""
    )
    page.wait_for_timeout(100)
    assert page.title() != "1"
    assert "Content Security Policy" in said[0]
    context.close()


@pytest.mark.parametrize("which", ["report", "partial"])
def test_its_structure_is_sound(browser: Browser, which: str, request: pytest.FixtureRequest) -> None:
    """What a screen reader and a keyboard go by."""
    with opened(browser, request.getfixturevalue(which), viewport=PHONE) as page:
        assert flaws(page) == {}
        levels = page.locator("h1, h2, h3, h4").evaluate_all("all => all.map(heading => Number(heading.tagName[1]))")
        assert levels[0] == 1
        assert levels.count(1) == 1
        assert all(deeper <= level + 1 for level, deeper in pairwise(levels))
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"


def test_names_stay_in_sight_while_numbers_scroll(browser: Browser, forty: Path) -> None:
    """The first of forty rows, scrolled to its end, still says whose it is; the last one still has its headings."""
    with opened(browser, forty, viewport=PHONE) as page:
        box = page.locator(".table", has=page.locator("#board"))
        box.evaluate("box => box.scrollTo(box.scrollWidth, box.scrollHeight)")
        edges = box.bounding_box()
        name = page.locator("#board tbody tr").last.locator("th").bounding_box()
        heading = page.locator("#board thead th").last.bounding_box()
        assert edges is not None
        assert name is not None
        assert heading is not None
        assert abs(name["x"] - edges["x"]) < 2
        assert abs(heading["y"] - edges["y"]) < 2
        assert name["width"] < edges["width"] / 2


def test_numbers_and_whole_hashes_can_be_taken(browser: Browser, report: Path) -> None:
    with opened(browser, report) as page:
        page.locator("#sources .hash").first.click()
        assert page.evaluate("getSelection().toString()") == COMMIT
        page.locator("#board td.mean").first.evaluate("cell => getSelection().selectAllChildren(cell)")
        assert page.evaluate("getSelection().toString()") == page.locator("#board td.mean").first.inner_text()


def test_what_is_missing_is_named_with_its_command(browser: Browser, partial: Path) -> None:
    """A failed recipe is a row of dashes; one without a benchmark has its other score, no mean and no rank."""
    with opened(browser, partial) as page:
        assert page.locator(".banner").is_visible()
        assert "dvc repro evaluate_recipe@average" in page.locator("#missing").inner_text()
        rows = {row.locator("th").inner_text(): row for row in page.locator("#board tbody tr").all()}
        assert set(rows["average"].locator("td").all_inner_texts()) <= {"", "–", "20.0", "15.0", "360"}
        score, without = rows["ties"].locator("td").all_inner_texts()[3:5]
        assert float(score.split()[0]) > 0
        assert without == "–"
        assert column(page, "board", "normalised").count("") == 2


def test_params_of_the_page_are_params(project: Path, browser: Browser, report: Path, tmp_path: Path) -> None:
    """What the page shows as params.yaml is read back as the same experiment, at the commits."""
    with opened(browser, report) as page:
        (tmp_path / "params.yaml").write_text(str(page.locator("pre[aria-label='params.yaml']").text_content()))
    found, asked = load_params(tmp_path / "params.yaml"), load_params(project / "params.yaml")
    assert found.base.revision == COMMIT
    assert without_revisions(found) == without_revisions(asked)


def without_revisions(params: Params) -> object:
    """Everything else that a file of parameters says."""
    models = {
        name: model.model_dump(exclude={"revision"}) for name, model in {"": params.base, **params.experts}.items()
    }
    return models, params.recipes, params.merge, params.evaluation, params.zoo
