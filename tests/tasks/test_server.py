"""Evaluation behind real servers: the same questions and answers as in this process, of the right model."""

import json
import random
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
import yaml
from lm_eval.api.instance import Instance
from lm_eval.api.model import LM
from lm_eval.models.huggingface import HFLM
from safetensors.torch import load_file, save_file

from tasks import paths, processes
from tasks.evaluate import evaluate
from tasks.evaluation.backends.completions import Refused
from tasks.evaluation.backends.server import BATCHED, serve
from tasks.evaluation.backends.vllm import check_vllm, load_vllm
from tasks.evaluation.harness import load_tasks
from tasks.evaluation.settings import Evaluation
from tasks.params import load_params
from tasks.strict import ParamsError
from tasks.zoo import ZooSettings, train
from tests.conftest import ROOT
from tests.tasks.serving import ask, command, listening, requests_in, score, settings, started_by
from wudi.errors import WudiError


@pytest.fixture(scope="module")
def zoo_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The zoo's base with large random weights, which writes all kinds of things."""
    folder = tmp_path_factory.mktemp("a zoo") / "base"
    train("base", folder, ZooSettings(base_steps=1, expert_steps=1))
    generator = torch.Generator().manual_seed(7)
    weights = load_file(folder / "model.safetensors")
    for name, weight in weights.items():
        if weight.ndim == 2:
            weights[name] = 0.2 * torch.randn(weight.shape, generator=generator).to(weight.dtype)
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    return folder


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def in_this_process(folder: Path) -> HFLM:
    return HFLM(pretrained=str(folder), device="cpu", dtype="float32", batch_size=1)


def questions(name: str) -> list[Instance]:
    (task,) = load_tasks(name)["tasks"].values()
    task.set_fewshot_seed(1234)
    task.build_all_requests(limit=3)
    return list(task.instances)


@pytest.mark.long
def test_answers_and_likelihoods_are_those_of_transformers(zoo_model: Path, tmp_path: Path) -> None:
    asked = questions("zoo_gsm8k") + questions("zoo_humaneval")
    asked.append(ask("A question that is far too long. " * 400))
    own = in_this_process(zoo_model)
    free = own.generate_until([ask("def add(a, b):", until=[])])[0]
    assert len(set(free)) > 5, "the model writes something that stop strings can cut"
    asked += [ask("def add(a, b):", until=until) for until in ([free[5:7]], [free[9], free[3:5]])]
    scored = [score("The sum is", " four"), score("The sum is", " 4."), score("", "One"), score("long " * 500, "end")]
    expected, likelihoods = own.generate_until(asked), own.loglikelihood(scored)
    log = tmp_path / "requests.jsonl"
    with serve(zoo_model, settings(command=command("--requests", str(log)), concurrency=3)) as backend:
        assert backend.lm.generate_until(asked) == expected
        for found, (likelihood, greedy) in zip(backend.lm.loglikelihood(scored), likelihoods, strict=True):
            assert found == (pytest.approx(likelihood, abs=1e-3), greedy)
        backend.lm.loglikelihood([score("long " * 3000, "end")])
    assert backend.together == 12
    sent = requests_in(log)
    assert {(body["temperature"], body["seed"]) for body in sent} == {(0, 1234)}
    assert max(len(body["prompt"][0]) + body["max_tokens"] for body in sent) == own.max_length


def test_a_whole_evaluation_gives_the_samples_of_transformers(zoo_model: Path) -> None:
    values = yaml.safe_load((ROOT / "params.yaml").read_text())
    values["experts"] = {"one": {"source": "zoo:gsm8k", "revision": None, "benchmarks": ["gsm8k"]}}
    values["evaluation"] = {
        "device": "cpu",
        "batch_size": 1,
        "benchmarks": {"gsm8k": {"task": "zoo_gsm8k", "limit": 6}},
    }
    served = {"backend": "server", "server": {"command": command()}}
    samples = []
    for name, backend in (("here", {}), ("served", served)):
        paths.PARAMS.write_text(yaml.safe_dump(values | {"evaluation": values["evaluation"] | backend}))
        evaluate(name, zoo_model, load_params())
        samples.append((paths.samples(name) / "gsm8k.jsonl.gz").read_bytes())
    assert samples[0] == samples[1]
    (entry,) = json.loads(paths.scores("served").read_text())["evaluations"]
    assert BATCHED in entry["warnings"]


def test_a_chat_is_the_same_text(zoo_model: Path, tmp_path: Path) -> None:
    chat = [{"role": "user", "content": "What is 2 + 2?"}]
    folder = tmp_path / "chat"
    copy_with_chat_template(zoo_model, folder)
    with listening(folder) as url, serve(folder, settings(url=url)) as backend:
        assert isinstance(backend.lm, LM)
        text = backend.lm.apply_chat_template(chat)
        assert text == in_this_process(folder).apply_chat_template(chat)
        assert text.startswith("<user>What")


def copy_with_chat_template(source: Path, folder: Path) -> None:
    folder.mkdir()
    for file in source.iterdir():
        if file.is_file():
            (folder / file.name).write_bytes(file.read_bytes())
    template = "{% for message in messages %}<{{ message.role }}>{{ message.content }}{% endfor %}"
    (folder / "chat_template.jinja").write_text(template)


def test_samples_of_a_repeated_question_differ(zoo_model: Path, tmp_path: Path) -> None:
    log = tmp_path / "requests.jsonl"
    with listening(zoo_model, "--requests", str(log)) as url, serve(zoo_model, settings(url=url)) as backend:
        for seed in (1, 1, 2):
            random.seed(seed)
            backend.lm.generate_until([ask("Hello", do_sample=True, temperature=0.8)] * 3)
        backend.lm.generate_until([ask("Hello", do_sample=False, temperature=0.8)])
    sent = requests_in(log)
    seeds = [body["seed"] for body in sent]
    assert sorted(seeds[:3]) == sorted(seeds[3:6])
    assert len(set(seeds[3:9])) == 6
    assert [body["temperature"] for body in sent] == [0.8] * 9 + [0.0]


def test_a_server_that_takes_text_alone(zoo_model: Path, tmp_path: Path) -> None:
    log = tmp_path / "requests.jsonl"
    faults = ["--text-only", "--requests", str(log)]
    with listening(zoo_model, *faults) as url, serve(zoo_model, settings(url=url)) as backend:
        assert any("no prompts as tokens" in warning for warning in backend.warnings)
        assert backend.lm.generate_until([ask("How much is 2 + 2?")]) == ["four"]
        with pytest.raises(Refused, match="prompt must be a string"):
            backend.lm.loglikelihood([score("The sum is", " four")])
    assert [body["prompt"] for body in requests_in(log)[1:2]] == ["How much is 2 + 2?"]


def test_a_server_without_room(zoo_model: Path, tmp_path: Path) -> None:
    log = tmp_path / "requests.jsonl"
    faults = ["--length", "64", "--requests", str(log)]
    with listening(zoo_model, *faults) as url, serve(zoo_model, settings(url=url)) as backend:
        assert any("takes 64 tokens where the model takes 2048" in warning for warning in backend.warnings)
        backend.lm.generate_until([ask("word " * 100)])
    (body,) = requests_in(log)
    assert len(body["prompt"][0]) + body["max_tokens"] == 64


def test_without_log_probabilities_of_the_prompt(zoo_model: Path) -> None:
    with listening(zoo_model) as url, serve(zoo_model, settings(url=url)) as backend:
        assert backend.lm.generate_until([ask("2 + 2?", until=["u"])]) == ["fo"]
        with pytest.raises(Refused, match="gives no log-probabilities of a prompt"):
            backend.lm.loglikelihood([score("The sum is", " four")])


def test_a_server_that_runs_already(zoo_model: Path) -> None:
    with listening(zoo_model) as url:
        for _ in range(2):
            with serve(zoo_model, settings(url=url)) as backend:
                assert backend.lm.generate_until([ask("2 + 2?")]) == ["four"]
            assert any("present weights" in warning for warning in backend.warnings)
        with serve(zoo_model, settings(url=url + "/", model="{model}")) as backend:
            assert backend.lm.generate_until([ask("2 + 2?")]) == ["four"]


@pytest.mark.parametrize(
    ("names", "model", "says"),
    [
        (["--name", "mine"], None, "serves mine, not .*base; write `model: NAME`.*`command` in place of `url`"),
        (["--name", "mine"], "yours", "serves mine, not yours"),
        (["--name", "mine", "--root", str(ROOT)], "mine", f"serves {ROOT} as mine, not"),
        (["--name", str(ROOT)], None, f"serves {ROOT}, not .*base"),
    ],
)
def test_a_server_of_another_model(names: Sequence[str], model: str | None, says: str, zoo_model: Path) -> None:
    with (
        listening(zoo_model, *names) as url,
        pytest.raises(ParamsError, match=says),
        serve(zoo_model, settings(url=url, model=model)),
    ):
        pytest.fail("a score of another model")


def test_a_name_that_tells_nothing_is_noted(zoo_model: Path) -> None:
    with (
        listening(zoo_model, "--name", "mine") as url,
        serve(zoo_model, settings(url=url, model="mine")) as backend,
    ):
        assert any("whether its mine is" in warning for warning in backend.warnings)
    with serve(zoo_model, settings(command=command("--canned", "four", "--name", "mine"))) as backend:
        assert len(backend.warnings) == 1


def test_passing_failures_are_waited_out(zoo_model: Path) -> None:
    with serve(zoo_model, settings(command=command("--canned", "four", "--fail-first", "2"))) as backend:
        assert backend.lm.generate_until([ask("2 + 2?")]) == ["four"]


def test_what_a_server_refuses_is_not_asked_again(zoo_model: Path, tmp_path: Path) -> None:
    log = tmp_path / "requests.jsonl"
    faults = ["--canned", "four", "--refuse", "max_tokens must be at least 9", "--requests", str(log)]
    with (
        pytest.raises(Refused, match="answered 400: max_tokens must be at least 9"),
        serve(zoo_model, settings(command=command(*faults))),
    ):
        pytest.fail("it takes no request")
    assert len(requests_in(log)) == 1, "as tokens and as text"


def test_a_server_that_dies(zoo_model: Path) -> None:
    says = r"was ended by SIGKILL; answers so far are kept.*base.log ends with\n(.*\n)*  CUDA error"
    evaluation = settings(command=command("--canned", "four", "--die-after", "2"))
    with pytest.raises(WudiError, match=says), serve(zoo_model, evaluation) as backend:
        backend.lm.generate_until([ask(f"{number} + 3?") for number in range(5)])


def test_a_server_that_died_unnoticed_gives_no_score(zoo_model: Path) -> None:
    evaluation = settings(command=command("--canned", "four", "--pids", "pids"))
    with pytest.raises(WudiError, match="was ended by SIGKILL"), serve(zoo_model, evaluation):
        kill_server(Path("pids"))


def kill_server(file: Path) -> None:
    """Return as soon as its launcher has taken note."""
    server, _ = started_by(file)
    launcher = server.parent()
    assert launcher is not None
    server.kill()
    while processes.runs(launcher):
        time.sleep(0.05)


def test_an_adapter(tmp_path: Path) -> None:
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text("{}")
    (adapter / "adapter_model.safetensors").write_bytes(b"")
    with pytest.raises(WudiError, match="wudi merge"), serve(adapter, settings(command=command())):
        pytest.fail("servers load adapters in ways of their own")


def test_vllm_says_what_it_takes(zoo_model: Path) -> None:
    evaluation = Evaluation.model_validate({"backend": "vllm", "benchmarks": {"gsm8k": None}})
    with pytest.raises(WudiError, match=r"pip install 'wudi\[vllm\]'.*backend: server"):
        load_vllm(zoo_model, evaluation)
    with pytest.raises(WudiError, match="not installed"):
        check_vllm(evaluation)
