"""The parts of reading answers: files, prompts, safe text, layout."""

import gzip
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from tasks.answers_file import Answer, read_answers, write_answers
from tasks.reading.choose import Entry, entries_of
from tasks.reading.count import kind
from tasks.reading.page import Page
from tasks.reading.prompts import questions_of
from tasks.reading.text import harmless, shortened
from tests.tasks.answer_lines import line, write
from wudi.errors import WudiError


@pytest.mark.parametrize(
    ("detail", "expected"),
    [
        ("timed_out: no end within 10 s", "timed_out"),
        ("failed: AssertionError", "failed: AssertionError"),
        ("failed: SyntaxError: bad (program.py, line 1)", "failed: SyntaxError"),
        ("failed: the program tampered with its checker", "failed"),
        ("exited", "exited"),
    ],
)
def test_the_kind_of_a_failure(detail: str, expected: str) -> None:
    assert kind(detail) == expected


@given(st.text())
def test_harmless_text_prints_and_ordinary_text_is_left_alone(text: str) -> None:
    safe = harmless(text)
    assert all(letter.isprintable() or letter in "\n\t" for letter in safe)
    assert harmless(safe) == safe


@given(st.text(), st.integers(3, 20))
def test_a_shortened_text_keeps_its_two_ends_and_says_what_it_lacks(text: str, most: int) -> None:
    text = text.strip("\n")
    short = shortened(text, most)
    if len(text) <= most:
        assert short == harmless(text)
    else:
        start, end = short.split(f"\n[{len(text) - most} characters left out]\n")
        assert (start, end) == (harmless(text[: most - most // 3]), harmless(text[-(most // 3) :]))


def entry(**values: Any) -> Entry:
    """One question with two answers to it."""
    answers = {"wudi": Answer.parse(line(0, 0.0, **values)), "ties": Answer.parse(line(0, 1.0))}
    return Entry("7 + 0?", answers)


@pytest.mark.parametrize("width", [5, 20, 79, 80, 120])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=width, highlight=False, color_system=None)
    generation = "def f(x):\n" + "    return " + "word " * 40 + "\n" + "z" * 300 + "漢" * 60
    Page(console).block("answered", generation)
    Page(console).columns(entry(generation=generation).answers)
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert max(map(len, lines)) <= max(width, 8)


def test_two_answers_stand_side_by_side_where_there_is_room() -> None:
    def lines(width: int) -> list[str]:
        console = Console(file=io.StringIO(), force_terminal=True, width=width, highlight=False, color_system=None)
        Page(console).show(entry(generation="left"))
        return console.file.getvalue().splitlines()  # type: ignore[attr-defined, no-any-return]

    assert any("left" in line and "#### 7" in line for line in lines(100))
    assert not any("left" in line and "#### 7" in line for line in lines(60))


def test_models_that_were_asked_different_questions_are_not_compared() -> None:
    lines = [Answer.parse(line(0, 1.0))]
    other = [Answer.parse(line(0, 1.0, target="#### 8"))]
    for answers in ([], other):
        with pytest.raises(WudiError, match="a and b answered other questions"):
            entries_of({"a": lines, "b": answers})


@pytest.mark.parametrize(
    "damage", [lambda file: file[:-9], lambda file: b"x" + file, lambda _: gzip.compress(b"[1]\n")]
)
def test_a_broken_file_is_named_with_its_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: Callable[[bytes], bytes]
) -> None:
    monkeypatch.chdir(tmp_path)
    path = write("wudi", "gsm8k", [line(0, 1.0)])
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(WudiError, match=r"gsm8k\.jsonl\.gz: not a samples file .*; mend it"):
        read_answers(path, "mend it")


def test_examples_before_a_question_are_cut() -> None:
    fixed = "Do sums.\n\nQ: 1+1\nA: 2\n\n"
    assert questions_of([f"{fixed}Q: {n}\nA:" for n in (1, 2)]) == ["Q: 1\nA:", "Q: 2\nA:"]
    drawn = [f"Q: {n}\nA: x\n\nmore\n\nQ: {n + 5}\n\nhint\nA:" for n in (1, 2)]
    assert questions_of(drawn) == ["Q: 6\n\nhint\nA:", "Q: 7\n\nhint\nA:"]


@given(st.lists(st.text(alphabet="ab \n", min_size=1), min_size=1))
def test_what_is_shown_of_a_prompt_is_its_end(prompts: list[str]) -> None:
    shown = questions_of(prompts)
    assert all(prompt.endswith(part) for prompt, part in zip(prompts, shown, strict=True))


def test_functions_that_a_question_gives_are_no_examples() -> None:
    prompts = ["import math\n\n\ndef f():\n    pass\n\ndef g():\n", "def h():\n    pass\n\ndef i():\n"]
    assert questions_of(prompts) == prompts
    assert questions_of(prompts[:1]) == prompts[:1]


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    """Any text, halves of letters too; nothing of the files before; the same bytes every time."""
    lines = [line(number, 0.5, generation=text) for number, text in enumerate(["\ud83d", "é\x00\u2028", "", "\n"])]
    written = []
    for benchmarks in (["sums", "old"], ["sums"], ["sums"]):
        write_answers(tmp_path / "wudi", dict.fromkeys(benchmarks, lines))
        written.append((tmp_path / "wudi" / "sums.jsonl.gz").read_bytes())
    assert len(set(written)) == 1
    assert [file.name for file in tmp_path.rglob("*.gz")] == ["sums.jsonl.gz"]
    answers = read_answers(tmp_path / "wudi" / "sums.jsonl.gz", "no remedy")
    assert [(answer.question, answer.generation) for answer in answers] == [
        (entry["question"], entry["generation"]) for entry in lines
    ]
