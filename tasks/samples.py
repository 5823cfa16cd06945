"""Look at what a model answered: `python -m tasks.samples wudi gsm8k --wrong`, `... --against ties --lost`."""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from tasks.console import command, quiet
from tasks.reading.choose import OF_TWO, RULES, Entry, chosen, entries_of
from tasks.reading.count import count, counts_of
from tasks.reading.find import find_answers
from tasks.reading.page import Page
from tasks.reading.tables import cells, print_counts
from wudi.commands.arguments import Arguments

EXAMPLES = (
    ("python -m tasks.samples wudi gsm8k --wrong", "what it got wrong, ten questions of it"),
    ("python -m tasks.samples wudi gsm8k --against ties --lost", "what it lost that ties has right"),
    ("python -m tasks.samples wudi mbpp --count", "how many are right, and how programs failed"),
    ("python -m tasks.samples base gsm8k --question 3 17 --prompt", "two questions with their whole prompts"),
)
PAGEFUL = 10
"""Questions that a terminal gets unless --limit says otherwise."""


class Output(Console):
    """Standard output, whose reader may leave before its end."""

    def on_broken_pipe(self) -> None:
        """End calmly: `head`, or whoever read, has enough. What is still buffered must not fail again on exit."""
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(0)


def main() -> None:
    """Print a model's answers, or what is asked about them."""
    options = parse()
    # What the output's encoding lacks is spelt out and not an error.
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    console = Output(highlight=False, soft_wrap=True)
    models = [options.model, *([options.against] if options.against else [])]
    entries = entries_of({model: find_answers(model, options.benchmark) for model in models})
    selected = chosen(entries, options.rule, options.question)
    page = Page(console, options.full, options.prompt)
    if options.json:
        lines = count_lines(selected, options.benchmark) if options.count else answer_lines(selected, options)
        for line in lines:
            console.out(line, highlight=False)
        return
    lines = introduction(entries, selected, models, options)
    if options.page:
        console.print(save(selected[: options.limit], lines, page, options), markup=False)
        return
    for line in lines:
        console.print(line, markup=False)
    if options.count and selected:
        print_counts(console, counts_of(selected))
    elif not options.count:
        limit = options.limit or (PAGEFUL if console.is_terminal and not options.question else len(selected))
        show(selected, page, limit)


def parse() -> argparse.Namespace:
    """The command line.

    Raises:
        SystemExit: It makes no sense.
    """
    parser = Arguments(
        prog="python -m tasks.samples",
        description="Look at what a model answered: the question, what was expected, the answer and its verdict.",
        reads="samples/MODEL/BENCHMARK.jsonl.gz",
        examples=EXAMPLES,
    )
    parser.add_argument("model", metavar="MODEL", help="base, an expert or a recipe")
    parser.add_argument("benchmark", metavar="BENCHMARK", help="as in params.yaml")
    parser.add_argument("--against", metavar="MODEL", help="show another model's answers beside these")
    add_choice(parser)
    add_form(parser)
    options = parser.parse_args()
    if options.rule in OF_TWO and not options.against:
        parser.error(f"--{options.rule} takes --against MODEL too")
    if options.page and (options.json or options.count):
        parser.error(f"--page takes no --{'json' if options.json else 'count'}")
    if options.against == options.model:
        parser.error("--against takes another model")
    return options


def add_choice(parser: argparse.ArgumentParser) -> None:
    """Declare what chooses questions."""
    choice = parser.add_argument_group("which questions")
    rules = choice.add_mutually_exclusive_group()
    for name, (words, _) in RULES.items():
        help_text = f"only questions that are {words.format('MODEL', 'the other')}"
        rules.add_argument(f"--{name}", dest="rule", action="store_const", const=name, help=help_text)
    choice.add_argument("--question", type=int, nargs="+", metavar="N", help="only these, by number")
    limit_help = f"no more than N; by default {PAGEFUL} on a terminal and all elsewhere"
    choice.add_argument("--limit", type=positive, metavar="N", help=limit_help)


def add_form(parser: argparse.ArgumentParser) -> None:
    """Declare what is shown of them."""
    form = parser.add_argument_group("in which form")
    form.add_argument("--count", action="store_true", help="how many, by task and by how programs failed")
    form.add_argument("--json", action="store_true", help="one line of JSON for each answer, or for each count")
    form.add_argument("--page", type=Path, metavar="FILE", help="write a page for a browser, FILE, of all of them")
    form.add_argument("--prompt", action="store_true", help="whole prompts, with their examples")
    form.add_argument("--full", action="store_true", help="very long answers too")


def positive(text: str) -> int:
    """A whole number above 0, as argparse asks for it."""
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"got {text!r}; takes a whole number above 0")
    return int(text)


def introduction(
    entries: Sequence[Entry], selected: Sequence[Entry], models: Sequence[str], options: argparse.Namespace
) -> list[str]:
    """What is said before the questions: how right the models are, and how many questions were chosen."""
    lines = [summary(entries, models, options.benchmark)]
    if any(entry.prompts_differ for entry in entries):
        lines.append(f"{models[1]} was asked with other prompts than {models[0]}; shown are those of {models[0]}.")
    if options.rule:
        lines.append(f"{RULES[options.rule][0].format(*models)}: {len(selected)}")
    return lines


def summary(entries: Sequence[Entry], models: Sequence[str], benchmark: str) -> str:
    """How right the models are, in a line."""
    questions = len(entries)
    if not questions:
        return f"{benchmark}: no questions"
    if len(models) == 1:
        right = sum(entry.first.right for entry in entries)
        return f"{models[0]} on {benchmark}: {right} of {questions} right ({right / questions:.1%})"
    both, first, second, neither = cells(count(benchmark, entries))
    return (
        f"{benchmark}: of {questions} questions, {models[0]} has {both + first} right and {models[1]} {both + second}: "
        f"both {both}, {models[0]} alone {first}, {models[1]} alone {second}, neither {neither}"
    )


def show(entries: Sequence[Entry], page: Page, limit: int) -> None:
    """Print entries, up to a limit, and what has been left out."""
    visible = entries[:limit]
    if not page.prompts and any(entry.question != entry.first.prompt for entry in visible):
        page.console.print("Of each prompt the question alone, without the examples before it; --prompt shows all.")
    page.console.print()
    for entry in visible:
        page.show(entry)
    if len(visible) < len(entries):
        page.console.print(f"{len(visible)} of {len(entries)} shown; --limit {len(entries)} shows all")


def save(entries: Sequence[Entry], lines: Sequence[str], page: Page, options: argparse.Namespace) -> str:
    """Write entries as a page for a browser; where it lies and how many there are on it, in a line."""
    from tasks.report.answers import write_page

    models = " and ".join([options.model, *([options.against] if options.against else [])])
    written = write_page(options.page, f"{models} on {options.benchmark}", lines, entries, page)
    return f"{written}: {len(entries)} {'question' if len(entries) == 1 else 'questions'}"


def answer_lines(entries: Sequence[Entry], options: argparse.Namespace) -> list[str]:
    """A line of JSON for each model's answer to each question."""
    return [
        json.dumps({"model": model, "benchmark": options.benchmark, **asdict(answer)})
        for entry in entries[: options.limit]
        for model, answer in entry.answers.items()
    ]


def count_lines(entries: Sequence[Entry], benchmark: str) -> list[str]:
    """A line of JSON for each count."""
    return [json.dumps({"benchmark": benchmark, **asdict(counted)}) for counted in counts_of(entries)]


if __name__ == "__main__":
    quiet()
    command(main)
