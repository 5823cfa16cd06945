"""A merge's model card: the Hub's metadata, and for people what was merged, how, and how to do it again.

The same merge gives the same bytes: nothing in it depends on where the models lie or when they were merged.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wudi.checkpoint import Checkpoint
from wudi.fitting import BASE_TOKENS
from wudi.fragment import Experiment, Source, names
from wudi.job import Job
from wudi.provenance import Provenance, provenance

if TYPE_CHECKING:
    from huggingface_hub import ModelCardData

CARD = "README.md"
LICENSE = ("license", "license_name", "license_link")
USAGE = """```python
from transformers import AutoModelForCausalLM, AutoTokenizer

folder = "."  # this folder, or the id of its repository
model = AutoModelForCausalLM.from_pretrained(folder, dtype="auto")
tokenizer = AutoTokenizer.from_pretrained(folder)
```"""
DTYPES = {"F64": "float64", "F32": "float32", "BF16": "bfloat16", "F16": "float16"}


def model_card(job: Job, *, union: bool) -> str:
    """The README.md of a merge; `union` says that the merged model has tokens which the base has not."""
    from huggingface_hub import ModelCard

    declared = {name: declaration(model.folder) for name, model in models(job).items()}
    data = metadata(job, declared)
    return str(ModelCard(f"---\n{data.to_yaml()}\n---\n\n{body(job, declared, union)}"))


def models(job: Job) -> dict[str, Checkpoint]:
    """The base and its experts by name."""
    return {"base": job.base, **job.inputs.by_name}


def sources(job: Job) -> dict[str, Provenance | None]:
    """Where each model came from; None where nothing in its folder says so."""
    return {name: provenance(model.folder) for name, model in models(job).items()}


def declaration(folder: Path | None) -> Mapping[str, Any]:
    """The metadata that a model's own card declares; nothing where it has no card, or one that cannot be read."""
    from huggingface_hub import metadata_load

    try:
        return metadata_load(folder / CARD) or {} if folder is not None and (folder / CARD).is_file() else {}
    except Exception:  # whatever a card of another's hand holds: it declares nothing then
        return {}


def metadata(job: Job, declared: Mapping[str, Mapping[str, Any]]) -> "ModelCardData":
    """What the Hub reads of the card."""
    from huggingface_hub import ModelCardData

    hub = list(dict.fromkeys(found.source for found in sources(job).values() if found and found.is_hub_id))
    dtypes = dict.fromkeys(DTYPES[info.dtype] for info in job.infos().values() if info.floating)
    return ModelCardData(
        base_model=hub or None,
        base_model_relation="merge" if hub else None,
        language=common(declared, ("language",)).get("language"),
        library_name="transformers",
        pipeline_tag="text-generation" if generates_text(job.base.config) else None,
        tags=["merge", "model-merging", job.tensors.recipe.method.name],
        dtype=next(iter(dtypes)) if len(dtypes) == 1 else None,
        **common(declared, LICENSE),
    )


def common(declared: Mapping[str, Mapping[str, Any]], keys: tuple[str, ...]) -> dict[str, Any]:
    """What all models declare alike under these keys; nothing where one differs in any of them or lacks the first."""
    first, *others = [{key: own[key] for key in keys if own.get(key)} for own in declared.values()]
    return first if keys[0] in first and all(own == first for own in others) else {}


def generates_text(config: Mapping[str, Any] | None) -> bool:
    """Whether the config's class continues text."""
    classes = (config or {}).get("architectures") or []
    return bool(classes) and all(name.endswith(("ForCausalLM", "LMHeadModel")) for name in classes)


def body(job: Job, declared: Mapping[str, Mapping[str, Any]], union: bool) -> str:
    """What people read of the card."""
    method = job.tensors.recipe.method
    parts = [
        f"# A merge of {', '.join(job.inputs.names)}",
        f"Merged without training by the method `{method.name}`.",
        f"## Use\n\n{USAGE}" if generates_text(job.base.config) else "",
        f"## Models\n\n{model_list(job)}\n{license_line(declared)}",
        f"## Recipe\n\n```yaml\n{experiment(job, union).as_yaml()}```\n\nThese are the sections of a `params.yaml`, "
        "which give this model again to the byte on the same kind of machine, with the versions in `merge.json`.",
        f"## Method\n\n`{method.name}`: {method.summary}\n\n{linked(method.source)}.",
        f"## Vocabulary\n\n{bullets(job.vocabulary)}" if job.vocabulary else "",
        "## Files\n\nThe hashes of the inputs and of these files are in `merge.json`; `wudi verify FOLDER` compares "
        "them.",
    ]
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


def model_list(job: Job) -> str:
    """The base and each expert, with the source and the commit where they are known."""
    return bullets(
        f"{name}: {hub_link(source) if source.is_hub_id else source}" if source else name
        for name, source in sources(job).items()
    )


def hub_link(source: Provenance) -> str:
    """A repository of the Hub at its commit, as a link."""
    page = f"https://huggingface.co/{source.source}"
    return f"[{source.source}]({page}) at [`{source.commit}`]({page}/tree/{source.commit})"


def license_line(declared: Mapping[str, Mapping[str, Any]]) -> str:
    """The license that all models declare, or why there is none."""
    if found := common(declared, LICENSE):
        return f"License: {found.get('license_name', found['license'])}, which all of them declare."
    given = [f"{name} {own['license']}" for name, own in declared.items() if own.get("license")]
    says = f"they do not all declare the same one ({', '.join(given)})" if given else "none lies beside their weights"
    return f"No license is declared here, as {says}: see the models' own."


def experiment(job: Job, union: bool) -> Experiment:
    """What gives this merge again; a model of which nothing says where it came from is a folder of its name."""
    found = sources(job)
    experts = dict(zip(job.inputs.names, names(job.inputs.names), strict=True))
    settings = job.tensors.recipe.as_dict()
    if "weights" in settings:
        settings["weights"] = {experts.get(name, name): weight for name, weight in settings["weights"].items()}
    vocabulary = "union" if union else "base" if BASE_TOKENS in job.vocabulary else "error"
    return Experiment(
        base=source_of("base", found["base"]),
        experts={name: source_of(expert, found[expert]) for expert, name in experts.items()},
        recipes={settings["method"]: settings},
        merge={"dtype": job.dtype, "precision": job.precision, "vocabulary": vocabulary},
    )


def source_of(name: str, found: Provenance | None) -> Source:
    """A model's source at its commit."""
    return Source(f"./{name}") if found is None else Source(found.source, found.commit)


def linked(source: str) -> str:
    """A paper with a link to arXiv, by which the Hub also finds it."""
    return re.sub(r"arXiv (\d{4}\.\d{4,5})", r"[arXiv \1](https://arxiv.org/abs/\1)", source)


def bullets(items: Iterable[str]) -> str:
    """A list, one item a line."""
    return "".join(f"- {item}\n" for item in items)
