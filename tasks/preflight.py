"""Look at the models of params.yaml where they lie, before one is fetched: `python -m tasks.preflight`."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from tasks import paths
from tasks.console import command, quiet, step
from tasks.fetching.folder import local_folder
from tasks.fetching.provenance import PROVENANCE
from tasks.params import Model, Params, load_params
from wudi.alignment import Policy
from wudi.commands.arguments import Arguments
from wudi.errors import WudiError
from wudi.experts import ExpertOutline
from wudi.outline import Outline
from wudi.preflight import Finding, Findings, examine, lacking_room, lines
from wudi.remote import Unreachable, hub_url, outlines
from wudi.tensor_info import BITS

SEEN = paths.CACHE / "preflight"
DTYPES = {"float32": "F32", "bfloat16": "BF16", "float16": "F16"}
Models = Mapping[str | None, Model]
"""The experts by name, and the base under None."""


def main() -> None:
    """Say whether the experts fit the base and the disk has room."""
    Arguments(
        prog="python -m tasks.preflight",
        description="See whether the models of params.yaml can be merged, before one is fetched.",
        reads="params.yaml, and the headers of the models where they lie",
        examples=(("python -m tasks.preflight", "do the experts fit the base, and has the disk room?"),),
    ).parse_args()
    params = load_params()
    look = Look.at(params)
    look.tell(params)
    for error in look.unreachable:
        step(f"not looked at: {error}")
    step(f"{len(look.outlines)} models looked at, and nothing is in the way of merging them")


def preflight_once(params: Params) -> None:
    """Look at the models before the first of them is fetched, once for the same sources.

    Where one cannot be reached the others are compared, and its own fetch tells.

    Raises:
        WudiError: They cannot be merged: every reason, with the expert's name in params.yaml.
    """
    SEEN.mkdir(parents=True, exist_ok=True)
    seen = SEEN / hashlib.sha256(json.dumps(fingerprint(params)).encode()).hexdigest()[:16]
    with FileLock(SEEN / ".lock"):
        if not seen.exists() and reached_and_told(params):
            seen.touch()


def reached_and_told(params: Params) -> bool:
    """Look and tell; false where some model did not answer.

    Raises:
        WudiError: The models that answered cannot be merged.
    """
    try:
        look = Look.at(params)
        look.tell(params)
    except Unreachable:  # after its listing was read
        return False
    return not look.unreachable


@dataclass(frozen=True)
class Look:
    """What was found of the models: outlines, and why there is none of some."""

    outlines: Mapping[str | None, Outline]
    refused: Mapping[str | None, WudiError]
    unreachable: tuple[WudiError, ...]

    @classmethod
    def at(cls, params: Params) -> "Look":
        """Read the headers of all models that lie somewhere; the zoo's are made here and fit one another."""
        models = to_compare(params)
        places = [fetched(target(name), model) or address(model) for name, model in models.items()]
        found = dict(zip(models, outlines(places), strict=True))
        errors = {name: error for name, error in found.items() if isinstance(error, WudiError)}
        return cls(
            {name: outline for name, outline in found.items() if isinstance(outline, Outline)},
            {name: error for name, error in errors.items() if not isinstance(error, Unreachable)},
            tuple(error for error in errors.values() if isinstance(error, Unreachable)),
        )

    def tell(self, params: Params) -> None:
        """Print the notes, or raise every problem.

        Raises:
            WudiError: There are problems.
        """
        findings = self.findings(params.merge.vocabulary)
        problems = [*lines(findings.problems, who), *lacking_room(self.outputs(params)), *unknown_tasks(params)]
        if problems:
            raise WudiError("\n".join(problems))
        for line in lines(findings.notes, who):
            step(line)

    def findings(self, vocabulary: Policy) -> Findings:
        """What is wrong with the models and good to know of them."""
        refused = tuple(Finding(name, str(error)) for name, error in self.refused.items())
        base = self.outlines.get(None)
        experts = [ExpertOutline(name, outline) for name, outline in self.outlines.items() if name is not None]
        compared = examine(base, experts, vocabulary) if base is not None else Findings(())
        return Findings((*refused, *compared.problems), compared.notes)

    def outputs(self, params: Params) -> dict[Path, int]:
        """The bytes that are still to be written: copies, task vectors in float32, and merged models."""
        base = self.outlines.get(None)
        copies = {
            target(name): sum(look.files.sizes[file] for file in look.headers) for name, look in self.outlines.items()
        }
        vectors, merged = {}, {}
        if base is not None:
            vectors = {paths.task_vector(name): float32(base, self.outlines.get(name)) for name in params.experts}
            merged = dict.fromkeys(map(paths.merged, params.recipes), merged_size(base, params.merge.dtype))
        return {paths.MODELS: missing(copies), paths.TASK_VECTORS: missing(vectors), paths.MERGED: missing(merged)}


def who(expert: str | None) -> str:
    """Where a model stands in params.yaml."""
    return f"{paths.PARAMS}: " + ("base" if expert is None else f"experts.{expert}")


def to_compare(params: Params) -> Models:
    """The models that lie somewhere; none where the base or every expert is trained on the spot."""
    models: dict[str | None, Model] = {None: params.base}
    models |= params.experts.items()
    lying = {name: model for name, model in models.items() if not model.source.startswith("zoo:")}
    return lying if None in lying and len(lying) > 1 else {}


def target(name: str | None) -> Path:
    """The folder that a model is fetched into."""
    return paths.BASE if name is None else paths.expert(name)


def fetched(folder: Path, model: Model) -> Path | None:
    """The folder, if it holds this model already."""
    try:
        record = json.loads((folder / PROVENANCE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return folder if (record.get("source"), record.get("revision")) == (model.source, model.revision) else None


def address(model: Model) -> Path | str:
    """Where a model lies, as `wudi.remote.outline` takes it."""
    folder = local_folder(model.source)
    if folder is not None:
        return folder
    return model.source if "://" in model.source else hub_url(model.source, model.revision)


def unknown_tasks(params: Params) -> list[str]:
    """What evaluations would stumble over when the merges are done: tasks, metrics and filters that lm-eval has not."""
    if all(benchmark.is_usual for benchmark in params.evaluation.benchmarks.values()):
        return []
    from tasks.evaluation.counted import check_benchmarks  # imports the harness, which takes seconds

    try:
        check_benchmarks(params.evaluation)
    except WudiError as error:
        return [str(error)]
    return []


def fingerprint(params: Params) -> dict[str, object]:
    """What decides the outcome, as far as it shows here: sources, and in local folders the times of their files."""
    found: dict[str, object] = {"recipes": sorted(params.recipes), "dtype": params.merge.dtype}
    found["evaluation.benchmarks"] = {name: row.model_dump() for name, row in params.evaluation.benchmarks.items()}
    for name, model in to_compare(params).items():
        folder = local_folder(model.source)
        files = sorted(folder.iterdir()) if folder is not None and folder.is_dir() else []
        times = [(file.name, file.stat().st_mtime_ns) for file in files if file.is_file()]
        found[name or ""] = [model.source, model.revision, times]
    return found


def float32(base: Outline, expert: Outline | None) -> int:
    """What a task vector takes: an adapter's factors, or every weight of the base."""
    infos = (expert if expert is not None and expert.is_adapter else base).tensors.values()
    return sum(4 * info.elements for info in infos if info.floating)


def merged_size(base: Outline, dtype: str) -> int:
    """What a merged model takes in a dtype of params.yaml."""
    name = DTYPES.get(dtype)
    infos = base.tensors.values()
    return sum(info.elements * BITS[name] // 8 if name and info.floating else info.bytes for info in infos)


def missing(outputs: Mapping[Path, int]) -> int:
    """The bytes of those outputs that are not there yet; what an interrupted run left counts."""
    there = {folder: folder.with_name(f"{folder.name}.partial") for folder in outputs if not folder.exists()}
    return sum(max(outputs[folder] - size(partial), 0) for folder, partial in there.items())


def size(folder: Path) -> int:
    """The bytes of the files at the top of a folder."""
    return sum(file.stat().st_size for file in folder.iterdir() if file.is_file()) if folder.is_dir() else 0


if __name__ == "__main__":
    quiet()
    command(main)
