"""A config of mergekit's as an experiment of this project, or the reason why it has none."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from wudi.errors import WudiError
from wudi.fragment import Experiment, Source, names
from wudi.mergekit.asked import Asked
from wudi.mergekit.notes import Notes
from wudi.mergekit.output import merge_section
from wudi.mergekit.reading import Config, Input
from wudi.mergekit.reference import Reference
from wudi.mergekit.task_vectors import SUMS
from wudi.mergekit.weights import WEIGHTS
from wudi.recipe import Recipe
from wudi.settings import SettingError, nearest

METHODS: Mapping[str, Callable[[Asked], dict[str, Any]]] = {**SUMS, **WEIGHTS}
ALL_ARE_MERGED = ("linear", "slerp", "karcher")
"""Methods that merge what the config calls the base like any other model."""
UNKNOWN = {
    "passthrough": "stacks layers and merges none",
    "multislerp": "is a mean on the sphere of another kind; merge_method: karcher is the one here",
    "nearswap": "moves towards another model where they are near",
    "arcee_fusion": "picks entries by a divergence of the two models' weights",
    "ram": "scales what single experts change, and averages the rest",
    "ramplus_tl": "scales what single experts change by overlap, and averages the rest",
}


@dataclass(frozen=True)
class Conversion:
    """What a config says in this project's words."""

    experiment: Experiment
    recipe: Mapping[str, Any]
    """The experiment's one recipe."""


def convert(config: Config, notes: Notes, ancestor: Source | None = None) -> Conversion:
    """Carry over what both programs have, and note what is lost.

    `ancestor` is the model that all others were fine-tuned from, where the config has none: mergekit merges weights
    there, this project what they differ by.

    Raises:
        WudiError: A method or a way of merging that has no like here, or parameters out of its range.
    """
    method = METHODS.get(config.method)
    if method is None:
        raise WudiError(f"merge_method: {unknown(config.method)}")
    base, inputs = models(config, ancestor)
    experts = {name: expert_source(entry, base) for name, entry in inputs.items() if name != "base"}
    asked = Asked(config, inputs, notes)
    recipe = method(asked)
    checked(recipe, list(experts))
    asked.tell_unread()
    if (own := (config.base or config.inputs[0].model).model) != base:
        notes.lose("--base", f"config, tokenizer and chat template are those of {base} here; mergekit takes {own}'s")
    (name,) = names([config.method], taken=["base", *experts])
    return Conversion(Experiment(base, experts, {name: recipe}, merge_section(config, notes)), recipe)


def unknown(method: str) -> str:
    """Why a method cannot be carried."""
    known = list(METHODS)
    if method in UNKNOWN:
        return (
            f"{method} {UNKNOWN[method]}, for which there is no method here; those that both have: {', '.join(known)}"
        )
    return f"got {method!r}; {nearest(method, known)}"


def models(config: Config, ancestor: Source | None) -> tuple[Source, dict[str, Input]]:
    """The base, and the models with a say under the experts' names, the base among them where it has one.

    Raises:
        WudiError: There is no base, a model stands there twice, or there is nothing to merge.
    """
    inputs = {str(entry.model): entry for entry in config.inputs}
    if len(inputs) < len(config.inputs):
        raise WudiError("models: one of them is listed twice; takes each model once")
    own, name = config.base, str(config.base)
    if own is not None and config.method in ALL_ARE_MERGED and (name in inputs or not config.is_sliced):
        # mergekit adds the base to the models, though not to a slice
        inputs = {name: inputs.pop(name, Input("base_model", own, {})), **inputs}
    base = base_of(config, ancestor)
    others = [entry for name, entry in inputs.items() if name != str(base)]
    if not others:
        raise WudiError(f"models: nothing to merge into {base}; takes at least one other model")
    named = dict(zip(names(map(short, others), taken=["base"]), others, strict=True))
    has_say = str(base) in inputs and config.method in ALL_ARE_MERGED
    return base, {**({"base": inputs[str(base)]} if has_say else {}), **named}


def base_of(config: Config, ancestor: Source | None) -> Source:
    """The model to which the merge is added.

    A linear merge is the same from wherever it is seen, and so its first model will do.

    Raises:
        WudiError: There is none, or it is a model that the method merges with others by their angle.
    """
    method, own = config.method, None if config.base is None else config.base.whole("base_model")
    if method in ("slerp", "karcher") or (method == "nuslerp" and own is None):
        return vantage(config, ancestor)
    if method == "linear":
        return ancestor or own or config.inputs[0].model.model
    if own is None:
        raise WudiError(f"base_model: is missing, and {method} needs one; write base_model: NAME into the file")
    if ancestor is not None:
        raise WudiError(f"base_model: is {own} already; leave out --base")
    return own


def vantage(config: Config, ancestor: Source | None) -> Source:
    """The model from which others are seen that are merged by their angle.

    Raises:
        WudiError: There is none, or it is one of them.
    """
    if ancestor is None:
        raise WudiError(
            f"base_model: {config.method} merges models by their angle, and here they are experts of another model, "
            "from which all of them were fine-tuned; name that one: --base OWNER/NAME. It does not change their merge"
        )
    if str(ancestor) in map(str, [config.base, *(entry.model for entry in config.inputs)]):
        raise WudiError(
            f"--base: got {ancestor}, which is one of those that {config.method} merges, and an expert is another "
            "model than the base; name another one of their shape, which does not change their merge"
        )
    return ancestor


def short(entry: Input) -> str:
    """The last part of a model's name, or of its adapter's."""
    found = entry.model.lora or entry.model.model
    return found.source.rstrip("/").rpartition("/")[2]


def expert_source(entry: Input, base: Source) -> Source:
    """Where an expert comes from; an adapter is one by itself, if it is one of the base.

    Raises:
        WudiError: It is an adapter of another model.
    """
    model: Reference = entry.model
    if model.lora is None:
        return model.model
    if model.model != base:
        raise WudiError(
            f"{entry.place}.model: got {model}, an adapter of another model than the base, {base}; merge the two with "
            "PEFT and name the result"
        )
    return model.lora


def checked(recipe: Mapping[str, Any], experts: list[str]) -> None:
    """See that the recipe is one.

    Raises:
        WudiError: A parameter is beyond what the method takes here.
    """
    try:
        Recipe.parse(recipe).check(experts)
    except SettingError as error:
        raise WudiError(f"{recipe['method']}.{error}") from None
