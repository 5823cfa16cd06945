"""Batches, kept answers and memory: however an evaluation goes, it ends with the same answers."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from lm_eval.api.instance import Instance
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

from tasks import paths
from tasks.evaluate import evaluate
from tasks.evaluation.asking import Asking
from tasks.evaluation.backends import hf
from tasks.evaluation.backends.hf import Transformers, load_hf
from tasks.evaluation.backends.room import prompts_with_room
from tasks.evaluation.kept import KeptAnswers, kept_answers
from tasks.evaluation.settings import Evaluation
from tasks.params import Params, load_params
from tasks.zoo.tokenizer import train_tokenizer
from tests.conftest import ROOT
from wudi.errors import WudiError

SHOTS = {"two_shot": 2, "one_shot": 1}
"""Two benchmarks with different prompts, and the number of examples in each."""
UNTIL = {"until": ["\n\n"], "max_gen_toks": 12}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random model whose choices are far apart, so that rounding decides none of them."""
    folder = tmp_path_factory.mktemp("model") / "base"
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=512, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        max_position_embeddings=512, initializer_range=0.6, bos_token_id=0, eos_token_id=1, pad_token_id=2,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    train_tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture
def project(tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Params]:
    """Goes to a project with that model as its base, and writes params.yaml with the given benchmarks."""
    monkeypatch.chdir(tmp_path)
    paths.BASE.parent.mkdir()
    paths.BASE.symlink_to(model)

    def write(*benchmarks: str, **evaluation: Any) -> Params:
        values = yaml.safe_load((ROOT / "params.yaml").read_text())
        values["experts"] = {"one": {"source": "zoo:gsm8k", "revision": None, "benchmarks": list(benchmarks)}}
        rows = {name: {"task": "zoo_gsm8k", "limit": 23, "num_fewshot": SHOTS[name]} for name in benchmarks}
        values["evaluation"] |= {"benchmarks": rows, "device": "cpu", "batch_size": 5, "sandbox": "none", **evaluation}
        paths.PARAMS.write_text(yaml.safe_dump(values, sort_keys=False))
        return load_params()

    return write


def settings(**values: Any) -> Evaluation:
    return Evaluation.model_validate({"benchmarks": {"gsm8k": None}, "device": "cpu", **values})


def generation(prompt: str, number: int = 0, **options: Any) -> Instance:
    return Instance("generate_until", {}, (prompt, UNTIL | options), 0, ("task", number, 1))


def questions(count: int) -> list[str]:
    return [
        f"Question: {'and again ' * (number % 7)}what is {number} plus {number}?\nAnswer:" for number in range(count)
    ]


@contextmanager
def asking(backend: Transformers, folder: Path, protocol: str = "") -> Iterator[Asking]:
    with kept_answers(folder / "answers.db", {"model": "one"}, {"run": protocol}) as kept:
        yield Asking(backend, kept, "one")


def files() -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in [paths.scores("base"), *paths.samples("base").iterdir()]}


def test_prompts_of_any_length_are_answered_as_if_alone(model: Path, tmp_path: Path) -> None:
    """Left-padded in batches of any size, as transformers answers each prompt without padding."""
    prompts = questions(23)
    tokenizer = AutoTokenizer.from_pretrained(model)
    alone = AutoModelForCausalLM.from_pretrained(model)
    expected = []
    for prompt in prompts:
        tokens = tokenizer(prompt, return_tensors="pt")
        tokens.pop("token_type_ids", None)
        answer = alone.generate(**tokens, max_new_tokens=12, do_sample=False)[0, tokens["input_ids"].shape[1] :]
        expected.append(tokenizer.decode(answer, skip_special_tokens=True).split("\n\n")[0])
    assert len(set(expected)) > 10, "the model's answers depend on the question"
    for batch_size in (1, 5, 23, "auto"):
        backend = load_hf(model, settings(batch_size=batch_size))
        with asking(backend, tmp_path / str(batch_size)) as asked:
            assert asked.generate_until([generation(prompt) for prompt in prompts]) == expected


def test_two_evaluations_from_scratch_give_the_same_bytes(project: Callable[..., Params]) -> None:
    params = project("two_shot", "one_shot")
    runs = []
    for _ in range(2):
        paths.answers("base").unlink(missing_ok=True)
        evaluate("base", paths.BASE, params)
        runs.append(files())
    assert runs[0] == runs[1]


@pytest.mark.parametrize("after", [0, 1, 3, 6])
def test_an_evaluation_that_was_interrupted_ends_in_the_same_files(
    after: int, project: Callable[..., Params], monkeypatch: pytest.MonkeyPatch
) -> None:
    params = project("two_shot", "one_shot")
    evaluate("base", paths.BASE, params)
    whole = files()
    with monkeypatch.context() as patched:
        batches_asked(patched, stop_after=after)
        with pytest.raises(KeyboardInterrupt):
            evaluate("base", paths.BASE, params)
    assert files() == whole, "what was there stays until there is something new"
    asked = batches_asked(monkeypatch)
    evaluate("base", paths.BASE, params)
    assert len(asked) == 10 - after
    assert files() == whole


def batches_asked(monkeypatch: pytest.MonkeyPatch, stop_after: int | None = None) -> list[int]:
    """The sizes of the batches that the model is asked from now on; it is interrupted after so many."""
    asked: list[int] = []
    ask = hf.Model.generate_until

    def counted(self: hf.Model, requests: list[Instance], disable_tqdm: bool = True) -> list[str]:
        if stop_after is not None and len(asked) == stop_after:
            raise KeyboardInterrupt
        asked.append(len(requests))
        return ask(self, requests, disable_tqdm)

    monkeypatch.setattr(hf.Model, "generate_until", counted)
    return asked


def test_one_more_benchmark_asks_no_question_twice(
    project: Callable[..., Params], monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluate("base", paths.BASE, project("two_shot"))
    asked = batches_asked(monkeypatch)
    evaluate("base", paths.BASE, project("two_shot", "one_shot"))
    assert asked == [5, 5, 5, 5, 3], "those of the new one alone"
    asked.clear()
    evaluate("base", paths.BASE, project("two_shot", "one_shot", batch_size=23))
    assert asked == [23, 23], "other batches may give other last bits"


def test_a_run_that_is_forced_asks_everything_again(
    project: Callable[..., Params], monkeypatch: pytest.MonkeyPatch
) -> None:
    params = project("two_shot")
    asked = batches_asked(monkeypatch)
    evaluate("base", paths.BASE, params)
    evaluate("base", paths.BASE, params)
    assert asked == 2 * [5, 5, 5, 5, 3]


def test_answers_of_other_weights_are_not_used(
    project: Callable[..., Params], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    evaluate("base", paths.BASE, project("two_shot"))
    other = AutoModelForCausalLM.from_pretrained(paths.BASE)
    with torch.no_grad():
        other.lm_head.weight.mul_(-1)
    other.save_pretrained(tmp_path / "other")
    AutoTokenizer.from_pretrained(paths.BASE).save_pretrained(tmp_path / "other")
    asked = batches_asked(monkeypatch)
    evaluate("base", tmp_path / "other", project("two_shot", "one_shot"))
    assert len(asked) == 10


@pytest.mark.parametrize("damage", ["garbage", "torn", "other tables"])
def test_kept_answers_that_are_damaged_are_dropped(damage: str, project: Callable[..., Params]) -> None:
    params = project("two_shot")
    evaluate("base", paths.BASE, params)
    whole, kept = files(), paths.answers("base")
    content = kept.read_bytes()
    if damage == "other tables":
        kept.unlink()
        with closing(sqlite3.connect(kept)) as database:
            database.execute("CREATE TABLE batches (something TEXT)")
    else:
        kept.write_bytes(
            b"no database " * 1000 if damage == "garbage" else content[:4096] + b"\xff" * len(content[4096:])
        )
    evaluate("base", paths.BASE, params)
    assert files() == whole


def test_kept_answers_that_cannot_be_read_are_one_error(project: Callable[..., Params]) -> None:
    params = project("two_shot")
    paths.answers("base").mkdir(parents=True)
    with pytest.raises(WudiError, match=r"answers/base\.db: answers cannot be kept there"):
        evaluate("base", paths.BASE, params)


@pytest.mark.parametrize("file", ["generation_config.json", "tokenizer_config.json"])
def test_answers_under_other_settings_of_the_model_are_not_used(
    file: str, project: Callable[..., Params], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shutil.copytree(paths.BASE, tmp_path / "model")
    evaluate("base", tmp_path / "model", project("two_shot"))
    settings = json.loads((tmp_path / "model" / file).read_text())
    (tmp_path / "model" / file).write_text(json.dumps({**settings, "something": 3}))
    asked = batches_asked(monkeypatch)
    evaluate("base", tmp_path / "model", project("two_shot", "one_shot"))
    assert len(asked) == 10


def test_killed_in_the_middle(project: Callable[..., Params]) -> None:
    """kill -9 of the real command, as soon as some answers are on disk."""
    params = project("two_shot", "one_shot")
    evaluate("base", paths.BASE, params)
    whole = files()
    paths.answers("base").unlink()
    command = [sys.executable, "-m", "tasks.evaluate", "base"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    running = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 120
    while running.poll() is None and time.monotonic() < deadline and kept_batches() < 2:
        time.sleep(0.005)
    running.send_signal(signal.SIGKILL)
    running.communicate()
    assert running.returncode == -signal.SIGKILL
    assert 2 <= kept_batches() < 10
    evaluate("base", paths.BASE, params)
    assert files() == whole


def kept_batches() -> int:
    if not paths.answers("base").exists():
        return 0
    try:
        with sqlite3.connect(f"file:{paths.answers('base')}?mode=ro", uri=True) as database:
            return int(database.execute("SELECT count(*) FROM batches").fetchone()[0])
    except sqlite3.OperationalError:  # the tables are just being made
        return 0


def test_sampled_answers_differ_and_come_again(model: Path, tmp_path: Path) -> None:
    """Repeats of one question are drawn independently; a run draws as an interrupted one does when it goes on."""
    requests = [generation("Question: what?", do_sample=True, temperature=1.0) for _ in range(20)]
    backend = load_hf(model, settings(batch_size=5))
    with asking(backend, tmp_path / "whole") as asked:
        whole = asked.generate_until(requests)
    assert len(set(whole)) > 10

    ask_and_stop(backend, tmp_path / "parts", requests, after=2)
    torch.rand(3)
    with asking(backend, tmp_path / "parts") as asked:
        assert asked.generate_until(requests) == whole


def ask_and_stop(backend: Transformers, folder: Path, requests: list[Instance], after: int) -> None:
    """Ask until so many batches are kept, and then interrupt."""
    with pytest.raises(KeyboardInterrupt), asking(backend, folder) as asked:  # noqa: PT012
        asked.kept = StopsAfter(asked.kept, after)
        asked.generate_until(requests)


class StopsAfter(KeptAnswers):
    """Keeps so many batches and is then interrupted."""

    def __init__(self, kept: KeptAnswers, batches: int) -> None:
        super().__init__(kept.path, kept.database)
        object.__setattr__(self, "left", batches)

    def keep(self, key: str, answers: Any, batch_size: int | None) -> None:
        left: int = self.left  # type: ignore[attr-defined]
        if not left:
            raise KeyboardInterrupt
        object.__setattr__(self, "left", left - 1)
        super().keep(key, answers, batch_size)


def limited(monkeypatch: pytest.MonkeyPatch, room: int) -> list[int]:
    """A device that has no memory for more prompts than `room` at a time; gives the sizes that were tried."""
    tried: list[int] = []
    generate = hf.Model._model_generate

    def within(self: hf.Model, context: torch.Tensor, *arguments: Any, **options: Any) -> Any:
        tried.append(len(context))
        if len(context) > room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 3.00 GiB")
        return generate(self, context, *arguments, **options)

    monkeypatch.setattr(hf.Model, "_model_generate", within)
    return tried


def test_the_batch_is_lowered_where_memory_runs_out(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = [generation(prompt) for prompt in questions(23)]
    with asking(load_hf(model, settings(batch_size=3)), tmp_path / "three") as asked:
        expected = asked.generate_until(requests)
    tried = limited(monkeypatch, room=3)
    backend = load_hf(model, settings(batch_size=12))
    with asking(backend, tmp_path / "lowered") as asked:
        assert asked.generate_until(requests) == expected
    assert tried == [12, 6, 3, 3, 3, 3, 3, 3, 3, 2], "what did not fit once is not tried again"
    assert backend.batch_size == 3


def test_a_lowered_batch_stays_low_after_an_interruption(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = [generation(prompt) for prompt in questions(23)]
    tried = limited(monkeypatch, room=3)
    ask_and_stop(load_hf(model, settings(batch_size=12)), tmp_path, requests, after=1)
    tried.clear()
    with asking(load_hf(model, settings(batch_size=12)), tmp_path) as asked:
        asked.generate_until(requests)
    assert tried == [3, 3, 3, 2]


def test_no_memory_for_one_prompt_is_one_error(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limited(monkeypatch, room=0)
    with (
        asking(load_hf(model, settings(batch_size=4)), tmp_path) as asked,
        pytest.raises(WudiError, match="no memory for a single prompt on cpu: CUDA out of memory"),
    ):
        asked.generate_until([generation(prompt) for prompt in questions(4)])


def test_choices_are_kept_too(model: Path, tmp_path: Path) -> None:
    """Log-likelihoods, with the choices of a question asked together."""
    pairs = [(prompt, choice) for prompt in questions(9) for choice in (" yes", " no", " perhaps")]
    requests = [Instance("loglikelihood", {}, pair, 0, ("task", number, 1)) for number, pair in enumerate(pairs)]
    backend = load_hf(model, settings(batch_size=2))
    expected = backend.lm.loglikelihood(requests)
    for protocol in ("one", "another"):
        with asking(backend, tmp_path, protocol) as asked:
            answers = asked.loglikelihood(requests)
        assert [greedy for _, greedy in answers] == [greedy for _, greedy in expected]
        assert [value for value, _ in answers] == pytest.approx([value for value, _ in expected], abs=1e-4)


def test_choices_that_were_asked_by_another_batch_size_are_asked_again(model: Path, tmp_path: Path) -> None:
    requests = [Instance("loglikelihood", {}, (prompt, " yes"), 0, ("task", 0, 1)) for prompt in questions(5)]
    keys = []
    for run, batch_size in enumerate((2, 3, 2)):
        with asking(load_hf(model, settings(batch_size=batch_size)), tmp_path, str(run)) as asked:
            asked.loglikelihood(requests)
            keys.append(asked.kept.database.execute("SELECT count(*) FROM batches").fetchone()[0])
    assert keys == [1, 2, 2]


def test_prompts_that_are_cut_are_a_warning(model: Path, tmp_path: Path) -> None:
    long = "Question: " + "and " * 600 + "?\nAnswer:"
    with asking(load_hf(model, settings(batch_size=5)), tmp_path) as asked:
        asked.generate_until([generation(prompt) for prompt in [*questions(4), long]])
        assert asked.cut_prompts() == ["1 prompts lost their beginning: the model takes 512 tokens in all"]
        asked.cut = 0
        asked.generate_until([generation(prompt) for prompt in questions(4)])
        assert asked.cut_prompts() == []


def test_the_room_for_prompts(model: Path) -> None:
    """A power of two that shrinks with the prompts' length, and more so where every token's logits are wanted."""
    loaded = AutoModelForCausalLM.from_pretrained(model)
    lengths = [2**power for power in range(4, 40, 2)]
    for choices in (False, True):
        sizes = [prompts_with_room(loaded, tokens, choices=choices) for tokens in lengths]
        assert sizes == sorted(sizes, reverse=True)
        assert (sizes[0], sizes[-1]) == (256, 1)
        assert all(size.bit_count() == 1 for size in sizes)
    assert any(
        prompts_with_room(loaded, tokens, choices=True) < prompts_with_room(loaded, tokens, choices=False)
        for tokens in lengths
    )
