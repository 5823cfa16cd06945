"""What the samples command shows of models' answers: the right ones, safely, and in a form that others can read."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tasks import paths, samples
from tasks.params import Params
from tasks.reading.text import LONGEST
from tests.browsing import PHONE, flaws, is_wider_than_the_window, opened
from tests.conftest import ROOT
from tests.tasks.answer_lines import line, write
from wudi.errors import WudiError

Show = Callable[..., str]
WUDI = [1.0, 0.0, 1.0, 0.0, 0.0]
TIES = [1.0, 1.0, 0.0, 0.0, 0.0]


@pytest.fixture
def show(params: Params, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Show:
    """What the command prints; wudi and ties (which params.yaml does not know) have answered gsm8k."""
    assert "ties" not in params.recipes
    write("wudi", "gsm8k", [line(number, correct) for number, correct in enumerate(WUDI)])
    write("ties", "gsm8k", [line(number, correct, generation="none") for number, correct in enumerate(TIES)])

    def run(*arguments: str) -> str:
        monkeypatch.setattr("sys.argv", ["samples", *arguments])
        samples.main()
        return capsys.readouterr().out

    return run


def numbers(text: str) -> list[int]:
    """The questions that were shown."""
    return [int(line.split()[1]) for line in text.splitlines() if line.startswith("question ")]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), [0, 1, 2, 3, 4]),
        (("--right",), [0, 2]),
        (("--wrong",), [1, 3, 4]),
        (("--wrong", "--limit", "2"), [1, 3]),
        (("--against", "ties"), [0, 1, 2, 3, 4]),
        (("--against", "ties", "--differ"), [1, 2]),
        (("--against", "ties", "--gained"), [2]),
        (("--against", "ties", "--lost"), [1]),
        (("--question", "4", "0", "4"), [4, 0]),
        (("--question", "4", "0", "--right"), [0]),
        (("--question", "4", "--right"), []),
    ],
)
def test_the_options_choose_questions_and_json_the_same_ones(
    show: Show, options: tuple[str, ...], expected: list[int]
) -> None:
    assert numbers(show("wudi", "gsm8k", *options)) == expected
    lines = [json.loads(text) for text in show("wudi", "gsm8k", *options, "--json").splitlines()]
    models = ["wudi", "ties"] if "--against" in options else ["wudi"]
    assert [(entry["question"], entry["model"]) for entry in lines] == [
        (number, model) for number in expected for model in models
    ]


def test_a_page_has_the_question_what_was_expected_the_answer_and_its_verdict(show: Show) -> None:
    text = show("wudi", "gsm8k", "--question", "3")
    assert "wudi on gsm8k: 2 of 5 right (40.0%)" in text
    assert "question 3 (more_sums)  wrong" in text
    assert text.index("Question: 7 + 3?") < text.index("#### 10") < text.index("<<7+3=10>>") < text.index("extracted")
    assert "3 + 1?" not in text and "--prompt" in text
    whole = show("wudi", "gsm8k", "--question", "3", "--prompt")
    assert "3 + 1?" in whole and "--prompt" not in whole


def test_two_models_are_summed_up_in_a_line(show: Show) -> None:
    text = show("wudi", "gsm8k", "--against", "ties", "--lost")
    assert "wudi has 2 right and ties 2: both 1, wudi alone 1, ties alone 1, neither 2" in text
    assert "wrong by wudi, right by ties: 1" in text
    assert "question 1 (sums)  wudi wrong  ties right" in text


def test_counts_are_by_task_and_failures_by_kind(show: Show) -> None:
    details = [
        None,
        "timed_out: no end within 10 s",
        None,
        "failed: NameError: name 'x' is not defined",
        "failed: an odd end",
    ]
    write("wudi", "code", [line(n, right, detail=details[n]) for n, right in enumerate(WUDI)])
    counts = [json.loads(text) for text in show("wudi", "code", "--count", "--json").splitlines()]
    assert [(count["task"], count["questions"], count["right"]) for count in counts] == [
        ("sums", 3, {"wudi": 2}),
        ("more_sums", 2, {"wudi": 0}),
        ("all", 5, {"wudi": 2}),
    ]
    assert counts[-1]["failures"] == {"wudi": {"timed_out": 1, "failed: NameError": 1, "failed": 1}}
    table = [text.split() for text in show("wudi", "code", "--count").splitlines()]
    assert ["all", "5", "2", "3"] in table and ["wudi", "failed:", "NameError", "1"] in table
    both = [text.split() for text in show("wudi", "gsm8k", "--count", "--against", "ties").splitlines()]
    assert ["all", "5", "1", "1", "1", "2"] in both


def test_verdicts_and_details_are_shown_where_the_file_has_them(show: Show) -> None:
    verdicts = {"exact_match,none": 0.0, "math_verify,none": 1.0}
    write("wudi", "math", [line(0, 0.25, verdicts=verdicts, detail="timed_out: no end within 10 s")])
    text = show("wudi", "math")
    assert "exact_match,none 0; math_verify,none 1" in text
    assert "timed_out: no end within 10 s" in text
    assert "wrong (0.25 of 1)" in text
    (entry,) = map(json.loads, show("wudi", "math", "--json").splitlines())
    assert entry["verdicts"] == verdicts


def test_choices_are_shown_with_their_likelihoods(show: Show) -> None:
    write("wudi", "choices", [line(0, 0.0, generation=" B", extracted=" B", loglikelihoods=[-2.5, -0.25])])
    write("wudi", "text", [line(0, 0.0, generation=None, extracted=-12.5)])
    assert "-2.5, -0.25" in show("wudi", "choices")
    assert "-12.5" in show("wudi", "text") and "answered" not in show("wudi", "text")


HOSTILE = "\x1b[2J\x1b]0;title\x07 \x00 \x9b31m \u202e \u2028 \r [bold red]x[/] [/] :smile: \ud800 →"


def test_what_a_model_wrote_cannot_touch_the_terminal(show: Show) -> None:
    write("wudi", "gsm8k", [line(0, 0.0, generation=HOSTILE, extracted=HOSTILE, target=HOSTILE, task=HOSTILE)])
    for options in ((), ("--count",), ("--prompt",), ("--json",)):
        text = show("wudi", "gsm8k", *options)
        assert all(letter.isprintable() or letter == "\n" for letter in text)
    text = show("wudi", "gsm8k")
    assert r"\x1b[2J\x1b]0;title\x07 \x00 \x9b31m \u202e \u2028 \r [bold red]x[/] [/] :smile: \ud800 →" in text


def test_very_long_answers_are_cut_with_a_note(show: Show) -> None:
    write("wudi", "gsm8k", [line(0, 0.0, generation="y" * (LONGEST + 7))])
    cut, full = show("wudi", "gsm8k"), show("wudi", "gsm8k", "--full")
    assert cut.count("y") - full.count("y") == -7
    assert "[7 more characters; --full shows them]" in cut and "more characters" not in full


def run(*arguments: str) -> list[str]:
    """The command line of the samples command."""
    return [sys.executable, "-m", "tasks.samples", *arguments]


ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


@pytest.mark.usefixtures("params")
def test_a_reader_that_leaves_early_ends_it_calmly() -> None:
    write("wudi", "gsm8k", [line(number, 0.0, generation="word " * 300) for number in range(500)])
    with subprocess.Popen(
        run("wudi", "gsm8k"), env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline() == "wudi on gsm8k: 0 of 500 right (0.0%)\n"
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 0


@pytest.mark.usefixtures("params")
def test_letters_that_the_output_cannot_encode_are_spelt_out() -> None:
    write("wudi", "gsm8k", [line(0, 0.0, generation="→")])
    done = subprocess.run(
        run("wudi", "gsm8k"), env={**ENVIRONMENT, "PYTHONIOENCODING": "ascii"}, capture_output=True, check=True
    )
    assert rb"\u2192" in done.stdout


@pytest.mark.usefixtures("params")
def test_a_terminal_gets_a_pageful_and_is_told_how_many_there_are() -> None:
    write("wudi", "gsm8k", [line(number, 0.0) for number in range(30)])
    ours, theirs = pty.openpty()
    with subprocess.Popen(run("wudi", "gsm8k", "--wrong"), env=ENVIRONMENT, stdout=theirs) as process:
        os.close(theirs)
        chunks = []
        with open(ours, "rb", buffering=0) as terminal:  # noqa: PTH123
            try:
                while chunk := terminal.read(4096):
                    chunks.append(chunk)
            except OSError:  # how Linux says that the other side is closed
                pass
    assert process.returncode == 0
    assert b"".join(chunks).count(b"answered") == samples.PAGEFUL
    assert b"10 of 30 shown; --limit 30 shows all" in b"".join(chunks)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("wuid", "gsm8k"), "no model is called 'wuid'; did you mean wudi?"),
        (("wudi", "gsm8"), "wudi was not asked any 'gsm8'; did you mean gsm8k?"),
        (("wudi", "gsm8k", "--question", "9"), "there is no question 9; takes 0 to 4"),
        (("average", "gsm8k"), "not found; make it with `dvc repro evaluate_recipe@average`, or get it with `dvc pull"),
        (("gsm", "gsm8k"), "evaluate_expert@gsm`"),
        (("base", "gsm8k"), "evaluate_base`"),
        (("ties", "math"), "ties was not asked any 'math'; known: gsm8k"),
    ],
)
def test_mistakes_are_one_sentence_with_the_way_out(show: Show, arguments: tuple[str, ...], says: str) -> None:
    for model in ("average", "gsm", "base"):
        (paths.samples(model) / "gsm8k.jsonl.gz").unlink(missing_ok=True)
    with pytest.raises(WudiError) as caught:
        show(*arguments)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    "arguments",
    [
        ("wudi", "gsm8k", "--lost"),
        ("wudi", "gsm8k", "--against", "wudi"),
        ("wudi", "gsm8k", "--right", "--wrong"),
        ("wudi", "gsm8k", "--limit", "0"),
        ("wudi", "gsm8k", "--page", "page.html", "--json"),
        ("wudi", "gsm8k", "--page", "page.html", "--count"),
    ],
)
def test_a_command_line_that_makes_no_sense_has_status_2(show: Show, arguments: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as caught:
        show(*arguments)
    assert caught.value.code == 2


MARKUP = "</pre><script>alert(1)</script><img src=//example.org/x.png onerror=alert(2)>"


def test_a_page_has_the_chosen_questions_each_with_an_address(show: Show, browser: Browser) -> None:
    lines = [line(number, right, generation=f"{MARKUP} {HOSTILE} {'y' * 9000}") for number, right in enumerate(WUDI)]
    write("wudi", "gsm8k", lines)
    page = Path("pages") / "differ.html"
    arguments = ("wudi", "gsm8k", "--against", "ties", "--differ", "--page", str(page))
    assert show(*arguments) == f"{page}: 2 questions\n"
    assert [file.name for file in page.parent.iterdir()] == [page.name]
    written = page.read_bytes()
    show(*arguments)
    assert page.read_bytes() == written
    for options in ({"viewport": PHONE, "color_scheme": "dark"}, {"java_script_enabled": False}):
        with opened(browser, page, **options) as looked:
            assert looked.locator("article h2").all_text_contents() == ["question 1 sums", "question 2 sums"]
            assert looked.locator("#question-2 .right").count() == looked.locator("#question-2 .wrong").count()
            text = looked.locator("main").text_content() or ""
            assert MARKUP in text and r"\u202e" in text and "--full shows them" in text
            assert looked.locator("script, main img").count() == 0
    with opened(browser, page, viewport=PHONE) as looked:
        assert not is_wider_than_the_window(looked)
        assert flaws(looked) == {}


def test_a_page_takes_the_other_options_too(show: Show) -> None:
    page = Path("page.html")
    assert show("wudi", "gsm8k", "--limit", "1", "--prompt", "--page", "page.html") == "page.html: 1 question\n"
    assert "3 + 1?" not in page.read_text() and "0 + 1?" in page.read_text()
    show("wudi", "gsm8k", "--right", "--question", "1", "--page", "page.html")
    assert "<article" not in page.read_text()


def test_a_page_that_cannot_be_written_is_one_sentence(show: Show) -> None:
    Path("folder").mkdir()
    with pytest.raises(WudiError, match="--page folder: cannot be written"):
        show("wudi", "gsm8k", "--page", "folder")
    assert list(Path().glob(".*partial")) == []


def test_answers_are_read_without_a_params_file(show: Show) -> None:
    paths.PARAMS.unlink()
    assert numbers(show("ties", "gsm8k", "--right")) == [0, 1]


def test_a_file_without_questions(show: Show) -> None:
    write("wudi", "gsm8k", [])
    assert show("wudi", "gsm8k") == "gsm8k: no questions\n\n"
    assert show("wudi", "gsm8k", "--count") == "gsm8k: no questions\n"
    assert show("wudi", "gsm8k", "--json", "--count") == ""
    with pytest.raises(WudiError, match="there is no question 0"):
        show("wudi", "gsm8k", "--question", "0")
