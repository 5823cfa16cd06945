"""What makes a folder of shards a model: index, config, tokenizer, model card."""

import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from wudi.checkpoint import Checkpoint
from wudi.folder import CONFIG, INDEX, SINGLE
from wudi.provenance import provenance
from wudi.recipe import Recipe
from wudi.tensor_info import TensorInfo
from wudi.vocabulary_tensors import with_vocab_size
from wudi.work_folder import WorkFolder

NOT_COPIED = (
    "*.safetensors",
    "*.index.json",
    "*.bin",
    "*.pt",
    "*.pth",
    "*.gguf",
    "*.h5",
    "*.msgpack",
    "*.ot",
    "*.onnx",
    "README.md",
    "merge.json",
    "source.json",
)
PACKAGES = ("wudi", "torch", "safetensors", "transformers")


def copy_companions(source: Path, target: Path, dtype: str | None) -> None:
    """Copy config, generation config, tokenizer and chat template; `dtype`, if given, is written into the config."""
    for file in sorted(source.iterdir()):
        if file.is_file() and not file.name.startswith(".") and not any(file.match(skip) for skip in NOT_COPIED):
            shutil.copyfile(file, target / file.name)
    config = target / "config.json"
    if dtype is not None and config.is_file():
        content = json.loads(config.read_text(encoding="utf-8"))
        content["torch_dtype" if "torch_dtype" in content else "dtype"] = dtype
        config.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def write_index(work: WorkFolder, shards: Mapping[str, Sequence[str]], infos: Mapping[str, TensorInfo]) -> None:
    """Say which shard holds which tensor, as transformers expects it of every model but a single-file one."""
    if list(shards) == [SINGLE]:
        return
    weight_map = {tensor: shard for shard, tensors in shards.items() for tensor in tensors}
    total = sum(info.bytes for info in infos.values())
    work.write_json(INDEX, {"metadata": {"total_size": total}, "weight_map": weight_map})


def resize(work: WorkFolder, rows: int) -> None:
    """Write a vocabulary's number of rows into the config."""
    content = json.loads((work.path / CONFIG).read_text(encoding="utf-8"))
    work.write_text(CONFIG, json.dumps(with_vocab_size(content, rows), indent=2) + "\n")


def model_card(
    recipe: Recipe, base: Checkpoint, experts: Mapping[str, Checkpoint], vocabulary: Sequence[str] = ()
) -> str:
    """A README.md with the Hub's metadata, the recipe and its source, the models, and what became of tokens."""
    settings = bullets(f"{name}: {value}" for name, value in recipe.as_dict().items())
    sources = {name: provenance(model.folder) for name, model in {"base": base, **experts}.items()}
    models = bullets(f"{name}: {source}" if source else name for name, source in sources.items())
    hub = [source.source for source in sources.values() if source and source.is_hub_id]
    metadata = "base_model:\n" + bullets(hub) + "base_model_relation: merge\n" if hub else ""
    return (
        f"---\nlibrary_name: transformers\n{metadata}tags:\n- merge\n---\n\n"
        f"# A merge of {', '.join(experts)}\n\n"
        f"Merged without training by the method `{recipe.method.name}` ({recipe.method.source}).\n\n"
        f"## Recipe\n\n{settings}\n## Models\n\n{models}\n"
        + (f"## Vocabulary\n\n{bullets(vocabulary)}\n" if vocabulary else "")
        + "The hashes of the inputs and of these files are in `merge.json`.\n"
    )


def bullets(items: Iterable[str]) -> str:
    """A list, one item a line."""
    return "".join(f"- {item}\n" for item in items)


def versions() -> dict[str, str]:
    """The versions of what computed a merge."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
