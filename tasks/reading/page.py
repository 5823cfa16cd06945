"""Questions and answers laid out for the eye: one below the other, or two models' side by side."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from tasks.answers_file import Answer
from tasks.reading.choose import Entry
from tasks.reading.parts import parts, verdict
from tasks.reading.text import harmless, shown

NARROWEST = 80
"""Columns of a terminal from which on two answers stand side by side."""
INDENT = 4


@dataclass(frozen=True)
class Page:
    """Where entries go and how much of each."""

    console: Console
    full: bool = False
    """Whether very long texts are shown whole."""
    prompts: bool = False
    """Whether whole prompts are shown and not their last parts alone."""

    @property
    def side_by_side(self) -> bool:
        """Whether there is room for two columns; a pipe gets one, with lines as long as they are."""
        return self.console.is_terminal and self.console.width >= NARROWEST

    def cut(self, value: Any) -> str:
        """A field of an answer, whole or up to a length."""
        return shown(value, full=self.full)

    def asked(self, entry: Entry) -> str:
        """The question, or the whole prompt."""
        return shown(entry.first.prompt, full=True) if self.prompts else self.cut(entry.question)

    def show(self, entry: Entry) -> None:
        """Print one question with what was expected, and each answer with its verdict."""
        first = entry.first
        self.heading(f"question {first.question} ({harmless(first.task)})", entry.answers)
        self.block("prompt" if self.prompts else "asked", self.asked(entry))
        self.block("expected", self.cut(first.target))
        if len(entry.answers) == 2 and self.side_by_side:
            self.columns(entry.answers)
        else:
            for model, answer in entry.answers.items():
                for label, text in parts(answer, self.cut):
                    self.block(label if len(entry.answers) == 1 else f"{model} {label}", text)
        self.console.print()

    def heading(self, title: str, answers: Mapping[str, Answer]) -> None:
        """Print the number of a question and each model's verdict in a line."""
        line = Text(title, style="bold")
        for model, answer in answers.items():
            line.append(f"  {model} " if len(answers) > 1 else "  ")
            line.append(verdict(answer), style="green" if answer.right else "red")
        self.console.print(line)

    def block(self, label: str, text: str) -> None:
        """Print a text below its label, moved in, and on a terminal folded to its width."""
        self.console.print(Text(f"  {label}", style="dim"))
        lines: Iterator[Text] = map(Text, text.split("\n"))
        if self.console.is_terminal:
            width = max(self.console.width - INDENT, INDENT)
            lines = (folded for line in lines for folded in line.wrap(self.console, width, overflow="fold"))
        for line in lines:
            self.console.print(Text(" " * INDENT) + line if line else line)

    def columns(self, answers: Mapping[str, Answer]) -> None:
        """Print two answers side by side, a row for each part that one of them has."""
        grid = Table(box=None, expand=True, padding=(0, 2, 0, 2))
        for model in answers:
            grid.add_column(Text(model, style="bold"), ratio=1, overflow="fold")
        columns = [dict(parts(answer, self.cut)) for answer in answers.values()]
        for label in dict.fromkeys(label for found in columns for label in found):
            grid.add_row(*(Text(label, style="dim") if label in found else Text() for found in columns))
            grid.add_row(*(Padding(Text(found.get(label, "")), (0, 0, 0, INDENT - 2)) for found in columns))
        self.console.print(grid, soft_wrap=False)
