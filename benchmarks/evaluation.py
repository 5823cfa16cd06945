"""`make bench-evaluation`: an evaluation beside lm-eval's own command line, into a section of docs/performance.md.

Needs the whole project, not `wudi` alone: the harness is what is measured.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from statistics import median

import torch
import yaml

from benchmarks.merge import machine, table, told
from benchmarks.page import put_section
from benchmarks.process import ROOT, measured
from benchmarks.timing import in_turn

TASKS = ("zoo_gsm8k", "zoo_math")
LIMIT = 50
BATCH = 16
NEW_TOKENS = 64
PROGRAMS = 500


def main() -> None:
    """Measure and write the section."""
    parser = argparse.ArgumentParser(description="Measure evaluations beside lm-eval and transformers.")
    parser.add_argument("--rounds", type=int, default=3, help="turns that each program takes")
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        whole = whole_evaluations(Path(folder), rounds)
        generated = generation(Path(folder) / "generating", rounds)
    put_section("evaluation", page(whole, generated, programs(rounds), rounds))


def whole_evaluations(folder: Path, rounds: int) -> dict[str, float]:
    """Seconds of the whole process: this project's stage and lm-eval's command, on one model and the same questions."""
    from tasks.zoo import ZooSettings, train

    train("base", folder / "models" / "base", ZooSettings(base_steps=1, expert_steps=1))
    write_params(folder)
    rivals = {"this project": [sys.executable, "-m", "tasks.evaluate", "base"], "lm_eval": harness()}
    environment = os.environ | {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    found: dict[str, list[float]] = {name: [] for name in rivals}
    for _ in range(rounds):
        for name, command in rivals.items():
            run = measured(["env", "-C", folder, *command], environment)
            found[name].append(run.seconds)
            told(f"{name}: {run.seconds:.1f} s")
    return {name: median(seconds) for name, seconds in found.items()}


def write_params(folder: Path) -> None:
    """A params.yaml that asks what the harness's command asks."""
    values = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    values["experts"] = {"one": {"source": "zoo:gsm8k", "revision": None, "benchmarks": list(TASKS)}}
    rows = {task: {"task": task, "limit": LIMIT} for task in TASKS}
    values["evaluation"] = {"device": "cpu", "dtype": "float32", "batch_size": BATCH, "benchmarks": rows}
    (folder / "params.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")


def harness() -> list[str]:
    """lm-eval's command for the same."""
    return [
        *(sys.executable, "-m", "lm_eval", "run", "--model", "hf"),
        *("--model_args", "pretrained=models/base,dtype=float32", "--device", "cpu", "--batch_size", str(BATCH)),
        *("--tasks", ",".join(TASKS), "--include_path", str(ROOT / "tasks" / "zoo" / "lm_eval_tasks")),
        *("--limit", str(LIMIT), "--output_path", "harness", "--log_samples"),
    ]


def generation(folder: Path, rounds: int) -> dict[str, float]:
    """Tokens a second of one batch: asked as an evaluation asks, and by `transformers.generate` alone."""
    from lm_eval.api.instance import Instance

    from tasks.evaluation.asking import Asking
    from tasks.evaluation.backends.hf import load_hf
    from tasks.evaluation.kept import kept_answers
    from tasks.evaluation.settings import Evaluation

    write_model(folder)
    settings = {"device": "cpu", "batch_size": BATCH, "benchmarks": {"gsm8k": None}}
    backend = load_hf(folder, Evaluation.model_validate(settings))
    prompts = [f"Question: what is {number} plus {number}? " * 8 + "\nAnswer:" for number in range(BATCH)]
    tokens = backend.tokenizer(prompts, return_tensors="pt", padding=True)
    inputs = {name: tokens[name] for name in ("input_ids", "attention_mask")}
    options = {"until": ["Question:", "</s>", "<|im_end|>"], "max_gen_toks": NEW_TOKENS}
    requests = [Instance("generate_until", {}, (prompt, options), 0, ("task", 0, 1)) for prompt in prompts]

    def asked() -> None:
        with kept_answers(folder / "answers.db", {}, {}) as kept:
            Asking(backend, kept, "measuring").generate_until(requests)

    def alone() -> None:
        made = backend.lm.model.generate(**inputs, max_new_tokens=NEW_TOKENS, do_sample=False, pad_token_id=2)
        assert made.shape[1] == inputs["input_ids"].shape[1] + NEW_TOKENS

    seconds = in_turn({"this project": asked, "transformers.generate": alone}, torch.device("cpu"), rounds)
    return {name: BATCH * NEW_TOKENS / spent for name, spent in seconds.items()}


def write_model(folder: Path) -> None:
    """A random model of 44 million parameters that never comes to an end."""
    from transformers import LlamaConfig, LlamaForCausalLM

    from tasks.zoo.tokenizer import train_tokenizer

    torch.manual_seed(0)
    config = LlamaConfig(vocab_size=512, hidden_size=576, intermediate_size=1536, num_hidden_layers=12)
    config.num_attention_heads, config.num_key_value_heads, config.head_dim = 9, 3, 64
    config.bos_token_id, config.eos_token_id, config.max_position_embeddings = 0, 1, 1024
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        model.lm_head.weight[1].zero_()  # the end token is never the likeliest
    model.save_pretrained(folder)
    train_tokenizer().save_pretrained(folder)


def programs(rounds: int) -> float:
    """Seconds of `PROGRAMS` right programs with their tests, each in a sandbox of its own, on all cores."""
    from tasks.sandbox import run_programs
    from tasks.zoo.problems import MINIATURES

    documents = MINIATURES["mbpp"].documents("train", PROGRAMS)
    candidates = [(document["code"], "\n".join(document["test_list"])) for document in documents]

    def run() -> None:
        assert all(verdict.passed for verdict in run_programs(candidates))

    return in_turn({"sandbox": run}, torch.device("cpu"), rounds)["sandbox"]


def page(whole: Mapping[str, float], generated: Mapping[str, float], executed: float, rounds: int) -> str:
    """The section."""
    rows = [
        {"program": name, "seconds": f"{seconds:.1f}", "of lm_eval's": f"{seconds / whole['lm_eval']:.2f}"}
        for name, seconds in whole.items()
    ]
    speeds = [{"program": name, "tokens a second": f"{speed:.0f}"} for name, speed in generated.items()]
    asked = " and ".join(f"`{task}`" for task in TASKS)
    return f"""## Evaluations beside lm-eval

Measured by `make bench-evaluation` on: {machine(torch.device("cpu"))}. Medians of {rounds} turns.

A whole evaluation, from the start of the process to its end: {LIMIT} questions each of {asked}, on
the zoo's model of a million parameters in batches of {BATCH}, one thread. `lm_eval` is the harness's own command line
with its samples written; the questions, prompts and answers are the same. What is saved is the index of 14,000 tasks.

{table(rows)}

Generation, {BATCH} prompts at a time, {NEW_TOKENS} tokens each, on a random model of 44 million parameters in float32:
asked as an evaluation asks, with stop strings and answers kept on disk, and `transformers.generate` alone.

{table(speeds)}

{PROGRAMS} programs with three tests each, every one in a sandbox of its own, on all cores: {executed:.1f} s.
"""


if __name__ == "__main__":
    main()
