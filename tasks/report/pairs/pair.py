"""Two models on each benchmark: the questions that one alone has right, a few of them with both answers."""

from collections.abc import Sequence
from dataclasses import dataclass

from tasks.report.pairs.benchmark import Benchmark
from tasks.report.pairs.excerpts import Question


@dataclass(frozen=True)
class Side:
    """What one of the two models alone has right."""

    model: str
    numbers: list[int]
    """All such questions."""
    shown: list[Question]
    """A few of them."""


@dataclass(frozen=True)
class Compared:
    """Two models on one benchmark."""

    benchmark: str
    sides: tuple[Side, Side]
    command: str
    """Writes a page of all these questions."""

    @property
    def differ(self) -> bool:
        """Whether there are such questions."""
        return any(side.numbers for side in self.sides)


@dataclass(frozen=True)
class Pair:
    """Two models on every benchmark that both have answered."""

    first: str
    second: str
    benchmarks: list[Compared]


def pair(first: str, second: str, benchmarks: Sequence[Benchmark], each: int) -> Pair:
    """Two models, with up to so many questions a benchmark and side."""
    both = [benchmark for benchmark in benchmarks if {first, second} <= set(benchmark.models)]
    return Pair(first, second, [compared(first, second, benchmark, each) for benchmark in both])


def compared(first: str, second: str, benchmark: Benchmark, each: int) -> Compared:
    """Two models on a benchmark."""
    sides = (side(first, second, benchmark, each), side(second, first, benchmark, each))
    page = f"{first}-{second}-{benchmark.name}.html"
    command = f"python -m tasks.samples {first} {benchmark.name} --against {second} --differ --page {page}"
    return Compared(benchmark.name, sides, command)


def side(model: str, other: str, benchmark: Benchmark, each: int) -> Side:
    """What a model has right, and another has not."""
    places = benchmark.alone(model, other)
    among = set(places)
    shown = [
        question
        for place, question in benchmark.shown.items()
        if place in among and {model, other} <= set(question.replies)
    ]
    return Side(model, [benchmark.numbers[place] for place in places], shown[:each])
