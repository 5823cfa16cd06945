"""`python -m benchmarks.versions`: comparing the versions of a long history, into a section of docs/performance.md.

The history is synthetic: every night an expert moves, so that every recipe answers anew. It is written as git and DVC
would leave it, with answers in DVC's cache.
"""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from benchmarks.merge import machine
from benchmarks.page import put_section
from benchmarks.process import ROOT, measured
from benchmarks.timing import in_words
from tasks import paths
from tasks.answers_file import write_answers

BENCHMARKS = ("gsm8k", "math", "humaneval", "mbpp")
GIT = ("git", "-c", "user.name=bench", "-c", "user.email=bench@localhost", "-c", "commit.gpgsign=false")


def main() -> None:
    """Measure and write the section."""
    parser = argparse.ArgumentParser(description="Measure how long comparing versions takes.")
    parser.add_argument("--nights", type=int, default=60)
    parser.add_argument("--recipes", type=int, default=8)
    parser.add_argument("--questions", type=int, default=200, help="of each benchmark")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        make_history(root, options.nights, options.recipes, options.questions)
        found = {name: seconds(root, arguments) for name, arguments in RUNS.items()}
    put_section("versions", page(found, options))


RUNS: Mapping[str, Sequence[str]] = {
    "first time": (),
    "again": (),
    "again, with table and report": ("--csv", "versions.csv", "--report", "versions.html"),
}


def seconds(root: Path, arguments: Sequence[str]) -> float:
    """How long the whole command takes, the start of Python included."""
    program = f"import os, runpy; os.chdir({str(root)!r}); runpy.run_module('tasks.compare', run_name='__main__')"
    return measured([sys.executable, "-c", program, *arguments], os.environ | {"PYTHONPATH": str(ROOT)}).seconds


def page(found: Mapping[str, float], options: argparse.Namespace) -> str:
    """The section, with the machine that it was measured on."""
    rows = [f"| {name} | {in_words(spent)} |" for name, spent in found.items()]
    return "\n".join(
        [
            "## Comparing versions",
            "",
            f"`python -m tasks.compare` over {options.nights} nights in each of which an expert moved, "
            f"{options.recipes} recipes and {len(BENCHMARKS)} benchmarks of {options.questions} questions, with every "
            "answer in the DVC cache and every step tested: seconds of the whole command. The first time reads every "
            f"answer; afterwards the verdicts are in `{paths.VERDICTS}`. Written by `python -m benchmarks.versions`.",
            "",
            "| | time |",
            "|---|---:|",
            *rows,
            "",
            machine(torch.device("cpu")),
        ]
    )


def make_history(root: Path, nights: int, recipes: int, questions: int) -> None:
    """A git and DVC repository with a tag for each night."""
    subprocess.run(["git", "init", "--quiet", root], check=True)
    (root / ".dvc").mkdir()
    (root / ".dvc" / "config").write_text("[core]\n    analytics = false\n", encoding="utf-8")
    (root / ".gitignore").write_text("/samples/\n/scores/\n/.cache/\n/.dvc/cache/\n", encoding="utf-8")
    generator = np.random.default_rng(0)
    names = [f"recipe_{number}" for number in range(recipes)]
    skills = generator.uniform(0.3, 0.6, recipes)
    for night in range(nights):
        skills = np.clip(skills + generator.normal(0, 0.03, recipes), 0.1, 0.9)
        write_night(root, night, dict(zip(names, skills, strict=True)), questions, generator)
        tag = f"night/2026-{1 + night // 28:02d}-{1 + night % 28:02d}"
        for arguments in (["add", "-A"], ["commit", "-qm", tag], ["tag", "-am", tag, tag]):
            subprocess.run([*GIT, *arguments], cwd=root, check=True)


def write_night(
    root: Path, night: int, skills: Mapping[str, float], questions: int, generator: np.random.Generator
) -> None:
    """What one night leaves in git and in the cache: an expert of a new commit, and other answers of all recipes."""
    experts = {name: {"source": f"owner/{name}", "revision": pinned(name, night)} for name in BENCHMARKS}
    params = {
        "base": {"source": "owner/base", "revision": pinned("base", 0)},
        "experts": {name: {**expert, "benchmarks": [name]} for name, expert in experts.items()},
        "recipes": {name: {"method": "ties"} for name in skills},
        "evaluation": {"benchmarks": {name: {"task": name} for name in BENCHMARKS}},
    }
    (root / paths.PARAMS).write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")
    models = {"base": 0.2, **dict.fromkeys(BENCHMARKS, 0.95), **skills}
    stages = {f"evaluate@{name}": evaluated(root, name, skill, questions, generator) for name, skill in models.items()}
    stages |= {
        f"fetch@{name}": {"cmd": "true", "outs": [{"path": f"models/experts/{name}", "md5": expert["revision"][:32]}]}
        for name, expert in experts.items()
    }
    lock = yaml.safe_dump({"schema": "2.0", "stages": stages}, sort_keys=False)
    (root / "dvc.lock").write_text(lock, encoding="utf-8")


def pinned(name: str, night: int) -> str:
    """The commit that a model is at: each night another expert moves."""
    turn = BENCHMARKS.index(name) if name in BENCHMARKS else 0
    return hashlib.sha1(f"{name} {(night + turn) // len(BENCHMARKS)}".encode()).hexdigest()


def evaluated(root: Path, name: str, skill: float, questions: int, generator: np.random.Generator) -> dict[str, Any]:
    """A model's answers and scores in the cache, and the stage in dvc.lock that names them."""
    lines, evaluations = {}, []
    for benchmark in BENCHMARKS:
        correct = (generator.random(questions) < skill).astype(float)
        lines[benchmark] = [answer(benchmark, number, value) for number, value in enumerate(correct)]
        fixed = {"benchmark": benchmark, "task": benchmark, "metric": "exact_match", "versions": {"lm_eval": "0.4"}}
        score = {"score": correct.mean(), "stderr": correct.std() / questions**0.5, "questions": questions}
        evaluations.append({**fixed, **score})
    folder = root / "made"
    write_answers(folder, lines)
    listing = [{"md5": cached(root, file.read_bytes()), "relpath": file.name} for file in sorted(folder.iterdir())]
    shutil.rmtree(folder)
    directory = cached(root, json.dumps(listing).encode(), ".dir")
    scores = cached(root, json.dumps({"evaluations": evaluations}).encode())
    code = [{"path": "tasks/evaluation", "md5": "0" * 32}]
    outs = [{"path": f"samples/{name}", "md5": directory}, {"path": f"scores/{name}.json", "md5": scores}]
    return {"cmd": "true", "deps": code, "outs": outs}


def answer(benchmark: str, number: int, correct: float) -> dict[str, Any]:
    """A line of a samples file, with a prompt of the usual length."""
    prompt = f"Question {number} of {benchmark}: " + "how many eggs does Grace buy on each of three days? " * 12
    texts = {"prompt": prompt, "generation": "Grace buys " * 10, "extracted": "4", "target": f"#### {number}"}
    return {"question": number, "task": benchmark, **texts, "correct": correct, "verdicts": {"exact_match": correct}}


def cached(root: Path, content: bytes, suffix: str = "") -> str:
    """Put content into DVC's cache; its md5."""
    md5 = hashlib.md5(content).hexdigest() + suffix
    path = root / ".dvc" / "cache" / "files" / "md5" / md5[:2] / md5[2:]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return md5


if __name__ == "__main__":
    main()
