"""The report's samples: which questions are shown of each two models, how safely, and how they are chosen."""

from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page

from tasks import paths
from tasks.answers_file import write_answers
from tasks.leaderboard import gather_files, write_results
from tasks.params import Params
from tasks.report.pairs.answered import Answered
from tasks.report.pairs.benchmark import benchmark_of
from tasks.report.pairs.choosing import choose, weights_of
from tasks.report.pairs.excerpts import Question, Reply
from tasks.report.pairs.pair import pair
from tasks.report.samples import samples
from tests.browsing import PHONE, flaws, is_wider_than_the_window, opened
from tests.tasks.answer_lines import line
from tests.tasks.small_project import ANSWERS, make_project

HOSTILE = [
    "</script><script>alert(1)</script><!--<script>",
    "<img src=https://example.org/x.png onerror=alert(2)>",
    "</pre></details><h1>taken</h1><style>body { display: none }</style>",
    "\u202eturned\u202c \u2028 \u2029 \x00 \x1b[2J \ud800 {{ 7 * 7 }} {% raw %}",
    "A" * 1_000_000,
    "z" + "\u0335" * 400 + "漢" * 900,
]


def hostile_answers() -> None:
    """The small project's answers, in words that would be markup if they could."""
    for model, by_benchmark in ANSWERS.items():
        lines = {
            benchmark: [
                line(number, right, task=f"zoo_{benchmark}", **texts(number, model))
                for number, right in enumerate(verdicts)
            ]
            for benchmark, verdicts in by_benchmark.items()
        }
        write_answers(paths.samples(model), lines)


def texts(number: int, model: str) -> dict[str, Any]:
    """What a model has been asked and has answered, and why that program failed."""
    text = HOSTILE[number % len(HOSTILE)]
    asked = {"prompt": f"Question: {number} {text}", "target": text}
    return {**asked, "generation": f"{model} {text}", "extracted": [text], "detail": f"failed: {text}"}


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("hostile")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        params = make_project(folder)
        hostile_answers()
        yield folder / write_results(gather_files(params), params)


def chosen(page: Page) -> list[str]:
    """What the two boxes say."""
    return [page.get_by_label(name, exact=True).input_value() for name in ("Of", "and")]


def test_nothing_that_a_model_wrote_is_obeyed(report: Path, browser: Browser) -> None:
    with opened(browser, report, viewport=PHONE) as page:
        page.on("dialog", lambda dialog: pytest.fail(dialog.message))
        for other in ("base", "gsm", "average"):
            page.get_by_label("and", exact=True).select_option(other)
            page.eval_on_selector_all("#samples details", "all => all.forEach((folded) => (folded.open = true))")
            assert not is_wider_than_the_window(page)
        assert page.locator("h1").count() == 1
        assert page.locator("#samples img, #samples-pairs script, #samples-pairs style").count() == 0
        text = page.locator("#samples-pairs").inner_text()
    assert "alert(1)" in text and "\\u202eturned" in text and "{{ 7 * 7 }}" in text
    assert "characters left out]" in text
    assert all(letter.isprintable() or letter in "\n\t" for letter in text)


def test_two_models_are_chosen_by_the_keyboard(report: Path, browser: Browser) -> None:
    with opened(browser, report) as page:
        assert chosen(page) == ["wudi", "same"]
        page.get_by_label("and", exact=True).focus()
        page.keyboard.press("ArrowDown")
        assert chosen(page) == ["wudi", "average"]
        assert page.locator("#samples-status").inner_text() == "wudi alone: 19; average alone: 0"
        assert page.locator("#samples-pairs h3").inner_text() == "wudi and average"
        page.get_by_label("Of", exact=True).select_option("average")
        assert chosen(page)[0] == "average" and chosen(page)[1] != "average"
        assert flaws(page) == {}


def test_each_pair_and_each_shown_question_has_an_address(report: Path, browser: Browser) -> None:
    with opened(browser, report) as page:
        page.get_by_text("Every two models", exact=True).click()
        page.locator("#samples-alone a[href='#samples.wudi.average']").click()
        assert page.evaluate("location.hash") == "#samples.wudi.average"
        assert page.locator("#samples-pairs h3").inner_text() == "wudi and average"
        page.get_by_text("All by number").first.click()
        link = page.locator(".numbers a").first
        address = link.get_attribute("href") or ""
        link.click()
        assert page.locator(f"[id='{address[1:]}']").is_visible()
        numbers = page.locator(".numbers dd").first.inner_text().split()
        assert numbers == [str(number) for number in range(8, 24)]
        page.evaluate("location.hash = '#samples.%.wudi'")
        assert page.locator("#samples-pairs h3").inner_text() == "wudi and average"


def test_a_keyboard_goes_on_from_where_a_link_leads(report: Path, browser: Browser) -> None:
    """From the heading of the two models, and from the title of a question, in sight below the way around."""
    focused = "text => document.activeElement.textContent.startsWith(text)"
    with opened(browser, report) as page:
        page.get_by_text("Every two models", exact=True).click()
        page.locator("#samples-alone a[href='#samples.wudi.average']").press("Enter")
        page.wait_for_function(focused, arg="wudi and average")
        page.keyboard.press("Tab")
        page.wait_for_function(focused, arg="question ")
        page.get_by_text("All by number").first.click()
        link = page.locator(".numbers a").first
        number = link.inner_text()
        link.press("Enter")
        page.wait_for_function(focused, arg=f"question {number}: wudi alone")
        title, way_around = page.locator(":focus").bounding_box(), page.locator("nav").bounding_box()
        assert title is not None
        assert way_around is not None
        assert title["y"] >= way_around["y"] + way_around["height"]


def test_two_models_without_a_benchmark_in_common_are_not_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, browser: Browser
) -> None:
    """As where the answers of some were pulled: none alone right would be a finding."""
    monkeypatch.chdir(tmp_path)
    params = make_project(tmp_path)
    board = gather_files(params)
    for name in ("wudi/gsm8k", "average/math"):
        (paths.SAMPLES / f"{name}.jsonl.gz").unlink()
    report = tmp_path / write_results(board, params)
    words = "There is no benchmark whose answers of both are at hand."
    with opened(browser, report) as page:
        page.get_by_label("and", exact=True).select_option("average")
        assert page.locator("#samples-pairs p").all_inner_texts() == [words]
        assert page.locator("#samples-status").inner_text() == ""
        page.get_by_text("Every two models", exact=True).click()
        names = [text.split()[1] for text in page.locator("#samples-alone tbody th").all_inner_texts()]
        row = page.locator("#samples-alone tbody tr").nth(names.index("wudi")).locator("td")
        assert row.nth(names.index("average")).inner_text() == "–"
        assert row.nth(names.index("average")).locator("a").count() == 0
        assert row.nth(names.index("base")).locator("a").count() == 1
    with opened(browser, report, java_script_enabled=False) as page:
        assert (
            page.locator("article.pair", has=page.get_by_role("heading", name="wudi and average"))
            .get_by_text(words)
            .is_visible()
        )


def test_without_scripts_the_first_recipe_is_shown_against_those_that_follow(report: Path, browser: Browser) -> None:
    with opened(browser, report, java_script_enabled=False) as page:
        titles = page.locator("#samples-pairs h3").all_inner_texts()
        assert titles == ["wudi and same", "wudi and average", "wudi and base"]
        assert not page.locator("#samples-choice").is_visible()
        command = "python -m tasks.samples wudi math --against average --differ --page wudi-average-math.html"
        assert command in page.locator("#samples .command").all_inner_texts()


def test_the_script_builds_what_is_there_without_it(report: Path, browser: Browser) -> None:
    """Of a long question its start, which ends where letters do, and says that there is more."""
    found = []
    for script in (True, False):
        with opened(browser, report, java_script_enabled=script) as page:
            if script:
                page.get_by_label("and", exact=True).select_option("average")
            pair = page.locator("article.pair", has=page.get_by_role("heading", name="wudi and average"))
            found.append([text.split() for text in pair.locator("summary, dd, p").all_text_contents()])
            starts = pair.locator("summary small").all_text_contents()
            assert any(start.endswith("…") for start in starts)
            assert max(map(len, starts)) == 100
    assert found[0] == found[1]


def test_the_same_answers_give_the_same_section(params: Params) -> None:
    board = gather_files(params)
    assert samples(board, params) == samples(board, params)


@pytest.mark.parametrize(
    ("remove", "missing", "shown"),
    [
        (["wudi/math"], ["wudi (math)"], {"gsm8k"}),
        (["same/math", "same/gsm8k"], ["same"], {"gsm8k", "math"}),
        ([f"{model}/{name}" for model in ANSWERS for name in ("gsm8k", "math")], ["wudi", "same", "average"], set()),
    ],
)
def test_answers_that_are_not_at_hand_are_named(
    params: Params, remove: list[str], missing: list[str], shown: set[str]
) -> None:
    board = gather_files(params)
    for name in remove:
        (paths.SAMPLES / f"{name}.jsonl.gz").unlink()
    section = samples(board, params)
    assert section is not None
    assert section.missing[: len(missing)] == missing
    assert {compared.benchmark for pair in section.pairs for compared in pair.benchmarks} == shown


def random_answered(models: int, questions: int, length: Callable[[], int]) -> Answered:
    """Models that never were, right by chance."""
    generator = np.random.default_rng(0)
    asked = [Question(number, "sums", f"{number} + 1?", str(number + 1)) for number in range(questions)]
    replies = {
        f"m{model}": [
            Reply(bool(right), "right" if right else "wrong", (("answered", "x" * length()),))
            for right in generator.random(questions) < 0.3 + model / models / 2
        ]
        for model in range(models)
    }
    return Answered("sums", asked, replies)


def test_each_two_of_forty_recipes_get_questions_within_the_budget() -> None:
    lengths = np.random.default_rng(1)
    answered = random_answered(40, 300, lambda: int(lengths.integers(50, 600)))
    models = list(answered.replies)
    chosen = choose(answered, weights_of(models, set(models), "m0"), 1, 500_000)
    benchmark = benchmark_of(answered, chosen)
    assert sum(len(str(question)) for question in benchmark.shown.values()) < 600_000
    for first, second in combinations(models, 2):
        (compared,) = pair(first, second, [benchmark], 2).benchmarks
        assert any(side.shown for side in compared.sides)
        for side, other in zip(compared.sides, (second, first), strict=True):
            assert {question.number for question in side.shown} <= set(side.numbers)
            for question in side.shown:
                assert question.replies[side.model].right and not question.replies[other].right


def test_no_budget_shows_no_texts_and_still_every_number() -> None:
    answered = random_answered(3, 50, lambda: 10)
    models = list(answered.replies)
    benchmark = benchmark_of(answered, choose(answered, weights_of(models, set(models), "m0"), 2, 0))
    (compared,) = pair("m0", "m1", [benchmark], 2).benchmarks
    assert not benchmark.shown and compared.differ
