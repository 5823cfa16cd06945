"""Judging by computer algebra: sympy's parser on antlr 4.9, and workers that hostile answers do not take along."""

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

import psutil
import pytest
from antlr4.atn.ATNDeserializer import ATNDeserializer

from tasks.evaluation import latex
from tasks.evaluation.dependencies import replaced_runtime
from tasks.evaluation.harness import load_tasks
from tasks.evaluation.judges import judge_all
from tests.conftest import ROOT
from wudi.errors import WudiError

FINAL = "Final Answer: The final answer is ${}$. I hope it is correct.".format
HALF = {"problem": "?", "solution": r"It is $\boxed{\frac{1}{2}}$.", "answer": r"\frac{1}{2}"}

JUDGE = """
import os, signal, time
def process_results(document, results):
    said, = results
    if said == "killed": os.kill(os.getpid(), signal.SIGKILL)
    if said == "crash": signal.raise_signal(signal.SIGSEGV)
    if said == "exit": os._exit(0)
    if said == "no end": 9 ** 9 ** 9 ** 9
    if said == "memory": bytearray(1 << 40)
    if said == "more memory": return {"right": len([bytearray(1 << 20) for _ in range(1 << 20)])}
    if said == "deep": return process_results.__code__ and deep(1)
    if said == "noise": print("{}"); os.write(1, b"null\\n")
    if said == "fault": document["nothing"]
    if said == "no numbers": return {"right": object()}
    if said == "secret": return {"right": int("HF_TOKEN" in os.environ)}
    if said == "alarm": return {"right": interrupted(work)}
    if said == "alarm asleep": return {"right": interrupted(lambda: time.sleep(1.5))}
    return {"right": int(document["answer"] == said)}
def deep(depth):
    return deep(depth + 1)
def work():
    while True: pass
def interrupted(wait):
    def ring(*_): raise TimeoutError
    signal.signal(signal.SIGALRM, ring)
    signal.alarm(1)
    try: wait()
    except TimeoutError: return 1
    finally: signal.alarm(0)
    return 0
"""


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """A function that judges like those of lm-eval's tasks, and does what the answer says."""
    file = tmp_path_factory.mktemp("task") / "utils.py"
    file.write_text(JUDGE)
    return loaded(file)


@pytest.fixture(scope="module")
def minerva() -> Callable[..., Any]:
    """The harness's own function for MATH."""
    (spec,) = importlib.util.find_spec("lm_eval").submodule_search_locations or []
    return loaded(Path(spec) / "tasks" / "minerva_math" / "utils.py")


def loaded(file: Path) -> Callable[..., Any]:
    spec = importlib.util.spec_from_file_location(f"loaded_{file.parent.name}", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with replaced_runtime():
        spec.loader.exec_module(module)
    return module.process_results


def judged(function: Callable[..., Any], *answers: str, seconds: int = 60) -> list[Any]:
    return judge_all(function, [(HALF, [answer]) for answer in answers], seconds=seconds)


def test_sympy_parses_latex_though_it_was_asked_before() -> None:
    """And it leaves the others' version of the runtime alone."""
    script = r"""
from importlib.metadata import version
from sympy.parsing.latex import parse_latex
try:
    parse_latex("1")
except ImportError:
    pass
from tasks.evaluation.latex import enable_sympy_parser
enable_sympy_parser()
assert str(parse_latex(r"\frac{x}{2}")) == "x/2"
assert version("antlr4-python3-runtime").startswith("4.9")
from latex2sympy2_extended import latex2sympy
assert str(latex2sympy(r"\frac{x}{2}")) == "x/2"
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_what_sympy_does_not_parse_is_an_error_of_its_own() -> None:
    from sympy.parsing.latex import parse_latex
    from sympy.parsing.latex.errors import LaTeXParsingError

    latex.enable_sympy_parser()
    for wrong in ("", r"\frac{1}{", "(1,2)", "é"):
        with pytest.raises(LaTeXParsingError):
            parse_latex(wrong)


@pytest.fixture
def _working_afterwards(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    yield
    monkeypatch.undo()
    fresh_parser()


@pytest.mark.usefixtures("_working_afterwards")
def test_another_form_of_grammars_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="version 5, not 4"):
        latex.Version4().deserialize([5, 1, 2, 3])
    monkeypatch.setattr(latex, "Version4", ATNDeserializer)
    with pytest.raises(WudiError, match=r"MATH cannot be scored: .* install the versions that constraints.txt names"):
        fresh_parser()
    monkeypatch.undo()
    monkeypatch.setitem(latex.KNOWN, "2+2", "5")
    with pytest.raises(WudiError, match=r"it misreads 2\+2"):
        fresh_parser()


def fresh_parser() -> None:
    """Enable the parser as a process does that has not imported it yet."""
    for name in latex.GENERATED:
        sys.modules.pop(name, None)
    latex.enable_sympy_parser.__wrapped__()


def test_the_harness_judges(minerva: Callable[..., Any]) -> None:
    right = {"exact_match": 1, "math_verify": 1}
    wrong = {"exact_match": 0, "math_verify": 0}
    same = (r"\frac{1}{2}", "0.5", "1/2", r"\dfrac12", r"x = \frac{1}{2}", r"\frac{2}{4}", r"2^{-1}")
    other = (r"\frac{1}{3}", "", "5", r"\frac{1}{", "-0.5", r"\text{half}", "x")
    assert judged(minerva, *map(FINAL, same)) == [right] * len(same)
    assert judged(minerva, *map(FINAL, other)) == [wrong] * len(other)


@pytest.mark.long
def test_hostile_answers_are_wrong(minerva: Callable[..., Any]) -> None:
    hostile = (
        r"10^{10^{10^{10}}}",
        "9^9^9^9",
        "1" * 20_000,
        "1\0002",
        "½ \udc80 \U0001f600 \u202e",
        "{" * 1_000 + "}" * 1_000,
        r"\sqrt{" * 300 + "2" + "}" * 300,
        "$" * 5_000,
        "=" * 5_000,
    )
    for said, verdict in zip(hostile, judged(minerva, *map(FINAL, hostile)), strict=True):
        assert verdict in (None, {"exact_match": 0, "math_verify": 0}), said[:20]


def test_what_takes_a_worker_down_takes_nothing_else_along(judge: Callable[..., Any]) -> None:
    right, none = {"right": 1}, None
    answers = [
        HALF["answer"],
        "killed",
        HALF["answer"],
        "crash",
        "exit",
        HALF["answer"],
        "memory",
        "more memory",
        "deep",
    ]
    assert judged(judge, *answers, HALF["answer"]) == [right, none, right, none, none, right, none, none, none, right]


def test_what_does_not_end_is_killed(judge: Callable[..., Any]) -> None:
    assert judged(judge, "no end", HALF["answer"], "no end", seconds=1) == [None, {"right": 1}, None]


def test_nobody_waits_for_workers_after_an_interrupt(judge: Callable[..., Any]) -> None:
    def interrupted(items: Sequence[Any], description: str) -> NoReturn:  # noqa: ARG001
        raise KeyboardInterrupt

    questions = [(HALF, ["no end"])] * 20
    with pytest.raises(KeyboardInterrupt):
        judge_all(judge, questions, interrupted, seconds=3600)
    assert not [child for child in psutil.Process().children() if "tasks.evaluation.worker" in child.cmdline()]


def test_alarms_count_work_and_not_waiting(judge: Callable[..., Any]) -> None:
    """On a machine with other work a judge waits long for its turn."""
    assert judged(judge, "alarm", "alarm asleep") == [{"right": 1}, {"right": 0}]


def test_verdicts_stand_in_the_order_of_the_questions(judge: Callable[..., Any]) -> None:
    questions = [({"answer": str(number % 3)}, ["1"]) for number in range(100)]
    assert judge_all(judge, questions) == [{"right": int(number % 3 == 1)} for number in range(100)]
    assert judge_all(judge, []) == []


def test_what_judges_say_besides_is_no_verdict(judge: Callable[..., Any]) -> None:
    assert judged(judge, "noise", HALF["answer"]) == [{"right": 0}, {"right": 1}]


def test_workers_do_not_see_the_environment(judge: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "HF_TOKEN", "hf_secret")
    assert judged(judge, "secret") == [{"right": 0}]


def test_a_fault_of_the_judge_stops_the_evaluation(judge: Callable[..., Any], tmp_path: Path) -> None:
    with pytest.raises(WudiError, match=r"KeyError: 'nothing'.*\['fault'\]"):
        judged(judge, HALF["answer"], "fault")
    with pytest.raises(WudiError, match=r"TypeError: .*object"):
        judged(judge, HALF["answer"], "no numbers")
    file = tmp_path / "utils.py"
    file.write_text(JUDGE)
    function = loaded(file)
    file.write_text("import nothing_of_that_name")
    with pytest.raises(WudiError, match=r"cannot be imported to judge answers .*nothing_of_that_name"):
        judged(function, "1")


def test_a_task_looks_its_verdicts_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The miniature of MATH is judged ahead as MATH is."""
    (task,) = load_tasks("zoo_math")["tasks"].values()
    task.build_all_requests(limit=8)
    for number, instance in enumerate(task.instances):
        instance.resps.append(instance.doc["solution"] if number % 2 else "no idea")
    task.apply_filters()
    monkeypatch.setattr("tasks.evaluation.judges.Worker", None)
    verdicts = [
        task.process_results(instance.doc, list(instance.filtered_resps.values())) for instance in task.instances
    ]
    assert verdicts == [{"exact_match": number % 2, "math_verify": number % 2} for number in range(8)]
