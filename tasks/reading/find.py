"""Where a model's answers lie; where they do not, the one sentence that says why and how to get them."""

from tasks import paths
from tasks.answers_file import Answer, read_answers
from tasks.params import load_params
from wudi.errors import WudiError
from wudi.settings import nearest

STAGES = {"base": "evaluate_base", "expert": "evaluate_expert@{name}", "recipe": "evaluate_recipe@{name}"}


def find_answers(model: str, benchmark: str) -> list[Answer]:
    """A model's answers to a benchmark; a folder in samples/ is enough, whatever params.yaml says.

    Raises:
        WudiError: There is no such model or benchmark, or its answers are missing or broken.
    """
    path = paths.samples(model) / f"{benchmark}.jsonl.gz"
    if model in sampled() and benchmark in answered(model):
        return read_answers(path, f"bring it back with `dvc checkout --force {paths.samples(model)}`")
    return read_answers(path, remedy(model, benchmark))


def remedy(model: str, benchmark: str) -> str:
    """The commands that bring answers which are not there.

    Raises:
        WudiError: No command does: neither params.yaml nor samples/ knows the model, or the model the benchmark.
    """
    params = load_params()
    kinds = params.models()
    models = list(dict.fromkeys([*kinds, *sampled()]))
    if model not in models:
        raise WudiError(f"no model is called {model!r}; {nearest(model, models)}")
    asked = list(params.evaluation.benchmarks) if model in kinds else []
    benchmarks = list(dict.fromkeys([*asked, *answered(model)]))
    if benchmark not in benchmarks:
        raise WudiError(f"{model} was not asked any {benchmark!r}; {nearest(benchmark, benchmarks)}")
    if model not in kinds:
        return "params.yaml does not know the model, so nothing makes it"
    return (
        f"make it with `dvc repro {STAGES[kinds[model]].format(name=model)}`, "
        f"or get it with `dvc pull {paths.samples(model)}` where it was pushed"
    )


def sampled() -> list[str]:
    """The models that have a folder in samples/."""
    return sorted(folder.name for folder in paths.SAMPLES.glob("*") if folder.is_dir())


def answered(model: str) -> list[str]:
    """The benchmarks that a model has answers to."""
    return sorted(file.name.removesuffix(".jsonl.gz") for file in paths.samples(model).glob("*.jsonl.gz"))
