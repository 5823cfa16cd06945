"""Evaluation by lm-eval's own tasks, on the zoo and on the real benchmarks' data."""

import gzip
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from lm_eval.tasks import TaskManager
from lm_eval.tasks._index import Kind

from tasks import paths
from tasks.evaluate import evaluate
from tasks.evaluation import index
from tasks.evaluation.asking import Asking
from tasks.evaluation.backends import opened
from tasks.evaluation.benchmark import Loaded, run_benchmark
from tasks.evaluation.harness import load_tasks
from tasks.evaluation.kept import kept_answers
from tasks.evaluation.programs import CHECKER, CodeEval, pass_at_1
from tasks.params import Params, load_params
from tasks.strict import ParamsError
from tasks.zoo import ZooSettings, train
from tests.conftest import ROOT
from tests.tasks.hub import Hub
from wudi.errors import WudiError
from wudi.hashes import file_sha256

needs_sandbox = pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed")


@pytest.fixture(scope="module")
def zoo_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("zoo") / "base"
    train("base", folder, ZooSettings(base_steps=1, expert_steps=1))
    return folder


@pytest.fixture
def project(tmp_path: Path, zoo_base: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Params]:
    """Goes to an empty project with that base, and writes its params.yaml with the given benchmarks."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(zoo_base, paths.BASE)

    def write(benchmarks: dict[str, Any], **evaluation: Any) -> Params:
        values = yaml.safe_load((ROOT / "params.yaml").read_text())
        values["experts"] = {"one": {"source": "zoo:gsm8k", "revision": None, "benchmarks": list(benchmarks)}}
        values["evaluation"] |= {"benchmarks": benchmarks, "device": "cpu", "batch_size": 5, **evaluation}
        paths.PARAMS.write_text(yaml.safe_dump(values, sort_keys=False))
        return load_params()

    return write


def answers(benchmark: str) -> list[dict[str, Any]]:
    with gzip.open(paths.samples("base") / f"{benchmark}.jsonl.gz", "rt") as stream:
        return [json.loads(line) for line in stream]


@needs_sandbox
def test_scores_say_what_they_were_measured_with(project: Callable[..., Params]) -> None:
    params = project({"math": {"task": "zoo_math", "limit": 6}, "code": {"task": "zoo_humaneval", "limit": 6}})
    evaluate("base", paths.BASE, params)
    scores = json.loads(paths.scores("base").read_text())
    math, code = scores["evaluations"]
    assert {key for key in scores if key != "evaluations"} == {"math", "code", "mean"}
    assert (math["benchmark"], math["task"], math["questions"], math["limit"]) == ("math", "zoo_math", 6, 6)
    assert math["metric"] == "exact_match"
    assert "math_verify,none" in math["other_metrics"]
    assert (math["sandbox"], code["sandbox"]) == (None, "bubblewrap")
    assert code["versions"]["lm_eval"]
    assert code["model_sha256"] == file_sha256(paths.BASE / "model.safetensors")
    for entry in (math, code):
        lines = answers(entry["benchmark"])
        assert [line["question"] for line in lines] == list(range(6))
        assert sum(line["correct"] for line in lines) / 6 == pytest.approx(entry["score"])
        assert all(line["prompt"] and line["target"] for line in lines)


def test_a_model_that_is_too_short_for_a_benchmark(project: Callable[..., Params]) -> None:
    params = project({"gsm8k": {"task": "zoo_gsm8k", "limit": 2}})
    config = json.loads((paths.BASE / "config.json").read_text())
    (paths.BASE / "config.json").write_text(json.dumps({**config, "max_position_embeddings": 24}))
    with pytest.raises(WudiError, match="zoo_gsm8k generates up to 32 tokens, but the model takes 24 in all"):
        evaluate("base", paths.BASE, params)


@pytest.mark.parametrize(
    ("benchmark", "says"),
    [
        ({"task": "zoo_gsm9k"}, "lm-eval has no task 'zoo_gsm9k'; did you mean zoo_gsm8k?"),
        ({"task": "zoo_gsm8k", "metric": "f1"}, "gsm8k.metric: got 'f1', which zoo_gsm8k has not; known: exact_match"),
        ({"task": "zoo_gsm8k", "filter": "strict"}, "gsm8k.filter: got 'strict', .* did you mean strict-match?"),
        ({"task": "minerva_math", "metric": "math-verify"}, "minerva_math has not; did you mean math_verify?"),
        ({"task": "wikitext"}, "word_perplexity of wikitext is better when it is lower"),
        ({"task": "zoo_gsm8k", "num_fewshot": 10**6}, r"num_fewshot: got 1000000, but zoo_gsm8k has \d+ examples"),
        ({"task": "cola"}, "mcc of cola says nothing of a single question"),
        ({"task": "ai2_arc"}, "ai2_arc is a tag .* name one of them: arc_challenge, arc_easy"),
        ({"task": "zoo_gsm8k", "chat_template": True}, "chat_template: the model's tokenizer has no chat template"),
    ],
)
def test_mistakes_about_tasks(benchmark: dict[str, Any], says: str, project: Callable[..., Params]) -> None:
    with pytest.raises(ParamsError, match=says):
        evaluate("base", paths.BASE, project({"gsm8k": benchmark}))
    assert not paths.scores("base").exists()


@pytest.mark.parametrize(
    "task", ["mmlu", "bbh", "minerva_math", "leaderboard_bbh", "truthfulqa_mc2", "gsm8k_cot_llama"]
)
def test_the_small_index_holds_what_the_whole_one_has(task: str) -> None:
    """A group with every member, at every depth, and not the harness's 14,000 names."""
    manager = index.manager_with(task)
    assert len(manager.all_tasks) < 1000
    assert is_whole(manager, task)


def is_whole(manager: TaskManager, name: str) -> bool:
    entry = manager.task_index[name]
    return entry.kind is not Kind.GROUP or all(is_whole(manager, member) for member in entry.cfg["task"])


def test_choices_are_judged_by_likelihood(project: Callable[..., Params], tmp_path: Path) -> None:
    """A task of another kind, as MMLU is one: the lines say which choice was the likeliest."""
    documents = [{"question": f"{n} + {n} =", "choices": [str(2 * n), "x"], "answer": 0} for n in range(9)]
    (tmp_path / "sums.jsonl").write_text("".join(json.dumps(document) + "\n" for document in documents))
    task = {
        "task": "sums",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(tmp_path / "sums.jsonl")}},
        "test_split": "test",
        "output_type": "multiple_choice",
        "doc_to_text": "{{question}}",
        "doc_to_choice": "{{choices}}",
        "doc_to_target": "answer",
        "metric_list": [{"metric": "acc"}, {"metric": "acc_norm"}],
    }
    params = project({"sums": {"task": "sums"}})
    loaded = Loaded("sums", params.evaluation.benchmarks["sums"], TaskManager(include_defaults=False).load([task]))
    with opened(paths.BASE, params.evaluation) as backend, kept_answers(paths.answers("base"), {}, {}) as kept:
        result = run_benchmark(loaded, Asking(backend, kept, "sums"), params.evaluation)
    assert [line["question"] for line in result.answers] == list(range(9))
    assert (result.evaluation["metric"], result.evaluation["questions"]) == ("acc", 9)
    for line, document in zip(result.answers, documents, strict=True):
        likeliest = int(line["loglikelihoods"][1] > line["loglikelihoods"][0])
        assert line["generation"].strip() == document["choices"][likeliest]
        assert line["correct"] == (likeliest == 0) == line["verdicts"]["acc,none"]
    assert result.evaluation["score"] == pytest.approx(sum(line["correct"] for line in result.answers) / 9)


PROGRAMS = """
task: runs_programs
custom_dataset: !function tasks.zoo.datasets.humaneval
output_type: generate_until
test_split: test
doc_to_text: "{{prompt}}"
doc_to_target: ""
process_results: !function tests.tasks.unsafe_task.execute
metric_list: [{metric: passed, aggregation: mean, higher_is_better: true}]
unsafe_code: true
"""


def test_tasks_that_execute_programs_by_themselves_are_refused(
    project: Callable[..., Params], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "runs_programs.yaml").write_text(PROGRAMS)
    monkeypatch.setattr(index, "TASKS_FOLDER", tmp_path / "tasks")
    index.manager_with.cache_clear()
    with pytest.raises(ParamsError, match="runs_programs executes model-written programs by itself"):
        evaluate("base", paths.BASE, project({"code": {"task": "runs_programs", "limit": 2}}))
    index.manager_with.cache_clear()


@pytest.mark.parametrize("lost", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_model_that_cannot_be_loaded_is_one_error(lost: str, project: Callable[..., Params]) -> None:
    params = project({"gsm8k": {"task": "zoo_gsm8k", "limit": 2}})
    (paths.BASE / lost).unlink()
    if lost == "tokenizer.json":
        (paths.BASE / "tokenizer_config.json").unlink()
    with pytest.raises(WudiError, match=r"models/base: transformers cannot load it \(\w+: "):
        evaluate("base", paths.BASE, params)


def test_data_that_cannot_be_had_are_one_error(project: Callable[..., Params], tmp_path: Path) -> None:
    project({"gsm8k": {"task": "gsm8k", "limit": 2}})
    nowhere = {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(tmp_path / "empty"), "PYTHONPATH": str(ROOT)}
    arguments = [sys.executable, "-m", "tasks.evaluate", "base"]
    done = subprocess.run(
        arguments, env={**os.environ, **nowhere, "HF_HUB_OFFLINE": "1"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "evaluation.benchmarks: gsm8k: its data cannot be read" in done.stderr


@needs_sandbox
def test_lines_say_why_a_program_failed(project: Callable[..., Params]) -> None:
    evaluate("base", paths.BASE, project({"code": {"task": "zoo_humaneval", "limit": 5}}))
    lines = answers("code")
    assert all(bool(line.get("detail")) == (line["correct"] == 0) for line in lines)
    assert any("Error" in line.get("detail", "") for line in lines), "a model of one step writes no Python"


def test_programs_that_run_unprotected_are_a_warning(project: Callable[..., Params]) -> None:
    params = project(
        {"code": {"task": "zoo_humaneval", "limit": 2}, "sums": {"task": "zoo_gsm8k", "limit": 2}}, sandbox="none"
    )
    evaluate("base", paths.BASE, params)
    code, sums = json.loads(paths.scores("base").read_text())["evaluations"]
    assert (len(code["warnings"]), sums["warnings"]) == (1, [])
    assert "unprotected" in code["warnings"][0]


def test_seconds_and_speed_are_left_beside_the_scores(project: Callable[..., Params]) -> None:
    evaluate("base", paths.BASE, project({"sums": {"task": "zoo_gsm8k", "limit": 7}}))
    timing = json.loads(paths.timing("evaluate", "base").read_text())
    measured = timing["benchmarks"]["sums"]
    assert measured["questions"] == 7
    assert 0 < measured["generation_seconds"] < measured["seconds"] < timing["seconds"]
    assert measured["tokens_per_second"] == pytest.approx(
        measured["tokens"] / measured["generation_seconds"], rel=0.01, abs=0.1
    )


def test_the_metric_and_filter_of_params_count(project: Callable[..., Params]) -> None:
    evaluate("base", paths.BASE, project({"x": {"task": "zoo_gsm8k", "limit": 3, "filter": "flexible-extract"}}))
    (entry,) = json.loads(paths.scores("base").read_text())["evaluations"]
    assert entry["filter"] == "flexible-extract"
    assert list(entry["other_metrics"]) == ["exact_match,strict-match"]


@needs_sandbox
def test_pass_at_k_is_the_unbiased_estimate() -> None:
    right, wrong = "def f(): return 1", "def f(): return 2"
    CHECKER.use("bubblewrap", CHECKER.track)
    assert pass_at_1(["assert f() == 1"], [[right, wrong]]) == 0.5
    estimates, _ = CodeEval().compute(["assert f() == 1"], [[right, wrong, wrong, wrong]], k=[1, 2, 4])
    assert estimates == {"pass@1": 0.25, "pass@2": pytest.approx(0.5), "pass@4": 1.0}


@pytest.fixture(scope="module")
def hub(hub_server: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """The Hub on loopback, and an environment in which clients use it and an empty cache."""
    with Hub(hub_server, cache=tmp_path_factory.mktemp("hf")) as running:
        yield running


@pytest.mark.long
@needs_sandbox
def test_the_real_benchmarks(hub: Hub, project: Callable[..., Params]) -> None:
    """GSM8K, MATH, HumanEval and MBPP from the Hub's data, with the harness's own prompts: a small zoo model fails."""
    project(
        {
            "gsm8k": {"task": "gsm8k", "limit": 2},
            "math": {"task": "minerva_math500", "limit": 2},
            "humaneval": {"task": "humaneval", "limit": 2},
            "mbpp": {"task": "mbpp", "limit": 2},
        },
        batch_size=2,
    )
    config = json.loads((paths.BASE / "config.json").read_text())
    (paths.BASE / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 1}))  # it writes 1,024 tokens
    environment = hub.client(ROOT)
    arguments = [sys.executable, "-m", "tasks.evaluate", "base"]
    done = subprocess.run(arguments, env=environment, capture_output=True, text=True, check=False, timeout=400)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 1, "one line a step"
    assert done.stderr == ""
    scores = json.loads(paths.scores("base").read_text())
    expected = {"gsm8k": (5, 3.0), "math": (4, 3.1), "humaneval": (0, 1.0), "mbpp": (3, 1.0)}
    for entry in scores["evaluations"]:
        assert (entry["num_fewshot"], entry["task_version"]) == expected[entry["benchmark"]]
        assert entry["questions"] == 2
        assert entry["score"] <= 0.1
    assert "Janet" in answers("gsm8k")[0]["prompt"].split("Question:")[-1]
    assert answers("math")[0]["prompt"].endswith("Solution:")
    assert answers("humaneval")[0]["prompt"].startswith("from typing import List")
    assert answers("mbpp")[0]["prompt"].endswith("[BEGIN]\n")


def test_loading_leaves_nothing_replaced() -> None:
    import importlib.metadata

    import evaluate as hf_evaluate

    load = hf_evaluate.load
    load_tasks("zoo_gsm8k")
    assert hf_evaluate.load is load
    assert importlib.metadata.version("antlr4-python3-runtime").startswith("4.9")
