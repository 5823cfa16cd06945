"""The stages of a project in which a model is a file of its skills, and everything takes a moment.

What a stage writes has the form of the project's own files, so that nights are compared by their true means.
"""

import gzip
import json
import os
import sys
import time
from pathlib import Path
from urllib.request import urlopen

import yaml

BENCHMARKS = ("gsm8k", "math")
QUESTIONS = 200
Skills = dict[str, float]


def main() -> None:
    """Run the stage that the command line names."""
    stage, *names = sys.argv[1:]
    called = " ".join([stage, *names])
    with Path(".git/started").open("a") as log:
        log.write(f"{called}\n")
    halt(called)
    {"fetch": fetch, "merge": merge, "evaluate": evaluate, "record": record}[stage](*names)


def halt(stage: str) -> None:
    """Wait for ever, or fail, in the stage that the environment names; a file says by which process."""
    if os.environ.get("TOY_HALT") == stage:
        Path(os.environ["TOY_PID"]).write_text(str(os.getpid()))
        time.sleep(300)
    if os.environ.get("TOY_FAIL") == stage:
        sys.exit(f"{stage} cannot be done")


def fetch(name: str) -> None:
    """Bring a model from the Hub, or from a folder."""
    model = params()["base"] if name == "base" else params()["experts"][name]
    source = model["source"]
    if source.startswith("/"):
        content = (Path(source) / "model.safetensors").read_bytes()
    else:
        url = f"{os.environ['HF_ENDPOINT']}/{source}/resolve/{model['revision']}/model.safetensors"
        content = urlopen(url, timeout=30).read()
    write(folder(name) / "skills.json", content.decode())


def merge(recipe: str) -> None:
    """Average the experts' skills, or come half-way from there to the best of them."""
    experts = [skills(folder(name)) for name in params()["experts"]]
    average = {name: sum(expert[name] for expert in experts) / len(experts) for name in BENCHMARKS}
    best = {name: max(expert[name] for expert in experts) for name in BENCHMARKS}
    share = params()["recipes"][recipe].get("scale", 0.0)
    merged = {name: (1 - share) * average[name] + share * best[name] for name in BENCHMARKS}
    write(Path("merged") / recipe / "skills.json", json.dumps(merged))


def evaluate() -> None:
    """Ask every model: it is right on as many of the first questions as it is skilled."""
    for name, path in everything().items():
        evaluations = []
        for benchmark, skill in skills(path).items():
            right = round(skill * QUESTIONS)
            write_answers(Path("samples") / name / f"{benchmark}.jsonl.gz", right)
            evaluations.append(evaluation(benchmark, right / QUESTIONS))
        write(Path("scores") / f"{name}.json", json.dumps({"mean": 0.5, "evaluations": evaluations}))


def evaluation(benchmark: str, score: float) -> dict[str, object]:
    """An entry of a scores file."""
    return {
        "benchmark": benchmark,
        "task": f"zoo_{benchmark}",
        "metric": "exact_match",
        "filter": "strict-match",
        "score": score,
        "stderr": (score * (1 - score) / QUESTIONS) ** 0.5,
        "questions": QUESTIONS,
        "num_fewshot": 2,
        "limit": None,
        "chat_template": False,
        "task_version": 1.0,
        "other_metrics": {},
        "sandbox": None,
        "model_sha256": "0123456789abcdef" * 4,
        "versions": {"lm_eval": "0.4.13"},
    }


def write_answers(path: Path, right: int) -> None:
    """The answers, of which so many are right."""
    path.parent.mkdir(parents=True, exist_ok=True)
    same = {"task": "zoo", "prompt": "?", "generation": "1", "extracted": "1", "target": "1"}
    lines = [{"question": number, **same, "correct": float(number < right)} for number in range(QUESTIONS)]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    path.write_bytes(gzip.compress(text.encode(), mtime=0))


def record() -> None:
    """Gather the scores: what is in git."""
    scores = {
        name: {
            entry["benchmark"]: entry for entry in json.loads(Path(f"scores/{name}.json").read_text())["evaluations"]
        }
        for name in everything()
    }
    means = {name: sum(entry["score"] for entry in found.values()) / 2 for name, found in scores.items()}
    recipes = {name: round(means[name], 4) for name in sorted(params()["recipes"])}
    first = max(recipes, key=lambda name: recipes[name])
    normalised = {name: 100 * score for name, score in recipes.items()}
    leader = {"recipe": first, "normalised": normalised[first], "score": recipes[first], "not_told_apart": 0}
    metrics = {"first": leader, "benchmarks_in_mean": 2, "normalised": normalised, "score": recipes}
    write(Path("results/metrics.json"), json.dumps(metrics, indent=2))
    header = "model,kind," + ",".join(f"{name}_score,{name}_stderr" for name in BENCHMARKS) + ",mean_score,seconds"
    rows = [
        ",".join(map(str, (name, kind(name), *numbers(found), means[name], time.time())))
        for name, found in scores.items()
    ]
    write(Path("results/leaderboard.csv"), "\n".join([header, *rows]) + "\n")


def entries(name: str) -> dict[str, dict[str, float]]:
    """A scores file by benchmark."""
    return {entry["benchmark"]: entry for entry in json.loads(Path(f"scores/{name}.json").read_text())["evaluations"]}


def numbers(found: dict[str, dict[str, float]]) -> list[float]:
    """Scores and standard errors."""
    return [found[name][value] for name in BENCHMARKS for value in ("score", "stderr")]


def kind(name: str) -> str:
    """What a model is."""
    return "base" if name == "base" else "expert" if name in params()["experts"] else "recipe"


def everything() -> dict[str, Path]:
    """Every model's folder."""
    fetched = {name: folder(name) for name in ("base", *params()["experts"])}
    return fetched | {name: Path("merged") / name for name in params()["recipes"]}


def folder(name: str) -> Path:
    """Where a fetched model lies."""
    return Path("models/base") if name == "base" else Path("models/experts") / name


def skills(path: Path) -> Skills:
    """A model's skills."""
    return json.loads((path / "skills.json").read_text())


def params() -> dict[str, dict[str, dict[str, object]]]:
    """params.yaml."""
    return yaml.safe_load(Path("params.yaml").read_text())


def write(path: Path, text: str) -> None:
    """Write a file anew: it may be a link into DVC's cache."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_text(text)


if __name__ == "__main__":
    main()
