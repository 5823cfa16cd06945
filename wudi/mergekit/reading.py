"""mergekit's YAML as what it means: one method over whole models with their parameters, or a clear refusal."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wudi.errors import WudiError
from wudi.mergekit.notes import Notes
from wudi.mergekit.reference import Reference, is_missing
from wudi.settings import nearest
from wudi.strict_yaml import mistake, parse

KEYS = [
    "merge_method",
    "base_model",
    "models",
    "slices",
    "modules",
    "parameters",
    "dtype",
    "out_dtype",
    "tokenizer_source",
    "tokenizer",
    "chat_template",
]
BUILDS = ("models", "slices", "modules")
"""What mergekit builds a model of: one of these."""
MODEL_KEYS = ["model", "parameters"]
Parameters = Mapping[str, Any]


@dataclass(frozen=True)
class Input:
    """A model that is merged, and its own parameters."""

    place: str
    model: Reference
    parameters: Parameters


@dataclass(frozen=True)
class Config:
    """A merge of whole models."""

    method: str
    base: Reference | None
    inputs: Sequence[Input]
    parameters: Parameters
    """Those of all models."""
    values: Mapping[str, Any]
    """The file itself, for what concerns data types and tokenizers."""

    @property
    def is_sliced(self) -> bool:
        """Whether the models are sources of a slice, to which mergekit does not add the base."""
        return bool(self.values.get("slices"))


def read_config(file: Path, notes: Notes) -> Config:
    """Read a file of mergekit's.

    Raises:
        WudiError: There is no such file, it is no YAML, no config of mergekit's, or one that builds a model of layers.
    """
    values = mapping(file)
    for key in sorted(values.keys() - set(KEYS), key=str):
        notes.lose(str(key), f"mergekit reads no such key; {nearest(str(key), KEYS)}")
    method = values.get("merge_method")
    if not isinstance(method, str):
        raise WudiError("merge_method: takes the name of one method" if method else no_method(values))
    if len(several := [key for key in BUILDS if values.get(key)]) > 1:
        raise WudiError(f"{' and '.join(several)}: stand side by side; takes one of them")
    base, given = values.get("base_model"), parameters("parameters", values)
    if values.get("slices"):
        whole = one_slice(values["slices"])
        base, given = whole.get("base_model", base), given | parameters("slices[0].parameters", whole)
        inputs = [sliced(f"slices[0].sources[{number}]", entry, notes) for number, entry in enumerate(whole["sources"])]
    else:
        inputs = [model_input(f"models[{number}]", entry, notes) for number, entry in enumerate(listed(values))]
    reference = None if base is None else Reference.parse("base_model", base)
    named = {entry.place: entry.model for entry in inputs} | ({"base_model": reference} if reference else {})
    for place in [place for place, model in named.items() if is_missing(model.model)]:
        notes.tell(place, f"{named[place]} is no folder here; of a model of the Hub write the whole name, OWNER/NAME")
    return Config(method, reference, inputs, given, values)


def mapping(file: Path) -> dict[str, Any]:
    """The file as YAML has it.

    Raises:
        WudiError: There is no such file, or it holds no one mapping.
    """
    import yaml

    try:
        values = parse(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise WudiError("not found; takes a YAML file of mergekit's") from None
    except OSError as error:
        raise WudiError(f"cannot be read ({error.strerror}); takes a YAML file of mergekit's") from None
    except yaml.composer.ComposerError as error:
        if "expected a single document" not in str(error):
            raise WudiError(f"not valid YAML: {mistake(error)}") from None
        raise WudiError(
            "holds several documents, which mergekit-multi merges one after the other; put each into a file "
            "of its own, and name a merged model of one by its folder in the next"
        ) from None
    except (yaml.YAMLError, ValueError) as error:
        raise WudiError(f"not valid YAML: {mistake(error)}") from None
    if not isinstance(values, dict):
        raise WudiError(no_method({}))
    return values


def no_method(values: Mapping[Any, Any]) -> str:
    """What is wrong with a file that names no merge method."""
    if "gate_mode" in values or "experts" in values:
        return (
            "is for mergekit-moe, which builds a mixture of experts out of whole models: a model of another "
            "architecture, which is no merge here; takes a config with merge_method"
        )
    near = [key for key in map(str, values) if "did you mean merge_method" in nearest(key, KEYS)]
    hint = f" (did you mean it by {near[0]}?)" if near else ""
    return f"has no merge_method{hint}; takes a config of mergekit's: merge_method, models or slices, base_model, ..."


def listed(values: Mapping[str, Any]) -> list[Any]:
    """The entries of `models`.

    Raises:
        WudiError: There are none.
    """
    if values.get("modules"):
        raise WudiError(
            "modules: merges parts of a model (a vision tower, a text model) in ways of their own; a recipe here "
            "merges all of a model in one way: write one config for each part, and merge each by itself"
        )
    models = values.get("models")
    if models is None:
        raise WudiError("has no models; takes a list of models, or one slice that takes whole models")
    if not isinstance(models, list) or not models:
        raise WudiError(f"models: got {models!r}; takes a list of models, or one slice that takes whole models")
    return models


def one_slice(slices: Any) -> dict[str, Any]:
    """The only slice of a config, if it takes the same layers of all its models, from the first one on.

    Raises:
        WudiError: Layers are stacked anew, so that the result is no merge of models of one shape.
    """
    whole = slices[0] if isinstance(slices, list) and len(slices) == 1 and isinstance(slices[0], dict) else {}
    sources = whole.get("sources")
    if not isinstance(sources, list) or not sources or not all(isinstance(entry, dict) for entry in sources):
        raise WudiError(
            "slices: stacks layers of models anew, or merges layers in different ways; a recipe here merges all layers "
            "of models of one shape in one way: takes models, or one slice with sources over the same layers"
        )
    ranges = {str(entry.get("layer_range")): entry.get("layer_range") for entry in sources}
    first = next(iter(ranges.values()))
    if len(ranges) != 1 or not isinstance(first, list) or len(first) != 2 or first[0] != 0:
        raise WudiError(
            f"slices[0]: takes the layers {', '.join(ranges)}; a recipe here merges whole models: takes sources with "
            "one layer_range over all layers, [0, N]"
        )
    return whole


def sliced(place: str, entry: Mapping[str, Any], notes: Notes) -> Input:
    """A source of a slice, which is taken for the whole model."""
    last = entry["layer_range"][1]
    notes.tell(f"{place}.layer_range", f"taken for all layers of the model: see that it has {last}, and no more")
    return model_input(place, {key: value for key, value in entry.items() if key != "layer_range"}, notes)


def model_input(place: str, entry: Any, notes: Notes) -> Input:
    """A model with its parameters.

    Raises:
        WudiError: It names no model.
    """
    if not isinstance(entry, dict) or "model" not in entry:
        raise WudiError(f"{place}: got {entry!r}; takes model: NAME and parameters")
    for key in sorted(entry.keys() - set(MODEL_KEYS), key=str):
        notes.lose(f"{place}.{key}", f"mergekit reads no such key; {nearest(str(key), MODEL_KEYS)}")
    if isinstance(entry["model"], dict) and entry["model"].get("override_architecture"):
        notes.lose(f"{place}.model.override_architecture", "the architecture is what the model's config says")
    model = Reference.parse(f"{place}.model", entry["model"])
    return Input(place, model, parameters(f"{place}.parameters", entry))


def parameters(place: str, entry: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of an entry.

    Raises:
        WudiError: They are no mapping.
    """
    found = entry.get("parameters") or {}
    if not isinstance(found, dict):
        raise WudiError(f"{place}: got {found!r}; takes a mapping from names to values")
    return found
