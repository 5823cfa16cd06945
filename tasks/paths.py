"""Where everything lies, relative to the project's root: the one place that spells a path."""

from pathlib import Path

PARAMS = Path("params.yaml")
GRAPH = Path("dvc.yaml")
MODELS = Path("models")
BASE = MODELS / "base"
EXPERTS = MODELS / "experts"
TASK_VECTORS = Path("task_vectors")
MERGED = Path("merged")
SCORES = Path("scores")
SAMPLES = Path("samples")
RESULTS = Path("results")
TIMINGS = Path("timings")
CACHE = Path(".cache")
VERDICTS = CACHE / "verdicts.db"

LEADERBOARD = RESULTS / "leaderboard.csv"
COMPARISONS = RESULTS / "comparisons.csv"
SCORES_TABLE = RESULTS / "scores.csv"
SIMILARITY = RESULTS / "similarity.json"
METRICS = RESULTS / "metrics.json"
PLOTS = RESULTS / "plots"
REPORT = RESULTS / "report.html"


def expert(name: str) -> Path:
    """The model folder of an expert."""
    return EXPERTS / name


def task_vector(name: str) -> Path:
    """The folder of an expert's task vector."""
    return TASK_VECTORS / name


def merged(name: str) -> Path:
    """The model folder of a recipe."""
    return MERGED / name


def scores(name: str) -> Path:
    """The scores of a model: the base, an expert or a recipe."""
    return SCORES / f"{name}.json"


def samples(name: str) -> Path:
    """The folder of a model's answers, one `BENCHMARK.jsonl.gz` a benchmark."""
    return SAMPLES / name


def answers(name: str) -> Path:
    """Where a model's answers are kept while it is evaluated, and for the next evaluation."""
    return CACHE / "answers" / f"{name}.db"


def timing(stage: str, name: str) -> Path:
    """Where a stage leaves its wall-clock seconds; no DVC output, because seconds differ from run to run."""
    return TIMINGS / stage / f"{name}.json"
