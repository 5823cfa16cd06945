"""params.yaml, parsed once into frozen models; every mistake in it is one line."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

import yaml
from pydantic import AfterValidator, BaseModel, Field, PlainValidator, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from tasks import paths
from tasks.alerts import Channel, Nightly, hosts_alone
from tasks.evaluation.settings import Benchmark, Evaluation, Server
from tasks.fetching.folder import local_folder
from tasks.strict import Name, ParamsError, Strict, fail
from tasks.zoo import NAMES as ZOO_NAMES
from tasks.zoo import ZooSettings
from wudi import Recipe
from wudi.alignment import Policy
from wudi.settings import SettingError, nearest
from wudi.strict_yaml import mistake, parse

Checked = TypeVar("Checked", bound=BaseModel)
MAY_BE_SECRET = re.compile(r"nightly\.alerts(\.\d+)?(\.webhook|\.block)?")
"""Where a webhook's URL stands, or was put by mistake: what was found there is not printed."""


def valid_source(source: str) -> str:
    """A zoo name, a folder, a URL of fsspec or a Hub id."""
    folder = local_folder(source)
    if source.startswith("zoo:"):
        if source.removeprefix("zoo:") not in ZOO_NAMES:
            raise fail(f"takes {', '.join(f'zoo:{name}' for name in ZOO_NAMES)}")
    elif folder is not None:
        if folder.resolve().is_relative_to(paths.MODELS.resolve()):
            raise fail("takes a folder outside models/, which the pipeline writes and clears")
    elif "://" in source:
        check_protocol(source.partition("://")[0])
    elif not re.fullmatch(r"[\w.-]+/[\w.-]+", source):
        raise fail("takes zoo:NAME, a Hub id (OWNER/NAME), a folder (starting with ./, / or ~) or a URL (s3://...)")
    return source


def check_protocol(protocol: str) -> None:
    """Refuse URLs of which the files cannot be listed, and those for which there is a better form."""
    from fsspec.registry import available_protocols

    if protocol == "hf":
        raise fail("takes a Hub id as it is, OWNER/NAME, and its revision beside it")
    if protocol in ("http", "https"):
        raise fail("takes no http, which cannot be listed; name a Hub id, or download the files into a folder")
    if protocol not in available_protocols() or protocol in ("file", "local", "memory"):
        raise fail(f"takes a folder, or a URL of a store that fsspec reads, like s3:// or gs://, and not {protocol}://")


Source = Annotated[str, AfterValidator(valid_source)]


def valid_recipe(values: object) -> Recipe:
    """A recipe, checked by the method itself."""
    if not isinstance(values, dict):
        raise fail("takes {method: NAME, SETTING: VALUE, ...}")
    try:
        return Recipe.parse(values)
    except SettingError as error:
        raise PydanticCustomError(
            "setting", "{problem}", {"key": error.key, "problem": error.problem, "recipe": True}
        ) from error


class Model(Strict):
    """Where a checkpoint comes from."""

    source: Source
    """`zoo:NAME`; a Hub id `OWNER/NAME`; a folder (`./`, `/` or `~` first); a URL of fsspec, like `s3://BUCKET/PATH`."""
    revision: str | None
    """Branch, tag or commit on the Hub; null: the main branch. Always given, since DVC watches it."""


class Expert(Model):
    """A fine-tuned model of the base."""

    benchmarks: tuple[str, ...] = ()
    """The benchmarks that it is the expert in: its scores there are 100 % of the normalised scores."""


class Merge(Strict):
    """How merges are computed."""

    device: str = "auto"
    """auto (the GPU where there is one), cpu, cuda, cuda:1, or several: cuda:0,cuda:1."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Data type of the merged checkpoint; auto: the base's. Arithmetic is float32 always."""
    precision: Literal["float32", "tf32"] = "float32"
    """Of matrix products on a GPU: exact, or with 10 bits of mantissa."""
    vocabulary: Policy
    """Experts with other tokens than the base's: refused, aligned to the base's tokens, or added to them (union).

    Always given, since DVC watches it.
    """
    measure: bool = False
    """Whether each linear layer's interference is measured for every recipe, and not for the WUDI family alone."""


class Params(Strict):
    """The whole file."""

    base: Model
    experts: dict[Name, Expert] = Field(min_length=1)
    recipes: dict[Name, Annotated[Recipe, PlainValidator(valid_recipe)]] = Field(min_length=1)
    merge: Merge
    evaluation: Evaluation
    zoo: ZooSettings
    nightly: Nightly = Nightly()

    @model_validator(mode="after")
    def names_are_unique(self) -> Self:
        """A score file is named after its model, so no two models share a name."""
        for name in self.recipes:
            if name in self.experts or name == "base":
                raise fail(f"recipes.{name}: the name is taken by {'the base' if name == 'base' else 'an expert'}")
        if "base" in self.experts:
            raise fail("experts.base: the name is taken by the base")
        return self

    @model_validator(mode="after")
    def recipes_fit_the_experts(self) -> Self:
        """A weight names an expert, and a method for two experts has two."""
        for name, recipe in self.recipes.items():
            try:
                recipe.check(list(self.experts))
            except SettingError as error:
                raise fail(f"recipes.{name}.{error}") from error
        return self

    @model_validator(mode="after")
    def each_benchmark_has_its_expert(self) -> Self:
        """Scores are normalised by the declared expert's, so each benchmark has exactly one."""
        known = list(self.evaluation.benchmarks)
        for reserved in ("mean", "evaluations"):
            if reserved in known:
                raise fail(f"evaluation.benchmarks.{reserved}: the name is taken by a key of the score files")
        for name, expert in self.experts.items():
            for benchmark in expert.benchmarks:
                if benchmark not in known:
                    raise fail(f"experts.{name}.benchmarks: got {benchmark!r}; {nearest(benchmark, known)}")
        for benchmark in known:
            experts = [name for name, expert in self.experts.items() if benchmark in expert.benchmarks]
            if len(experts) != 1:
                raise fail(
                    f"evaluation.benchmarks.{benchmark}: got {len(experts)} experts that name it"
                    f"{' (' + ', '.join(experts) + ')' if experts else ''}; "
                    f"takes exactly one: list {benchmark} under that expert's benchmarks"
                )
        return self

    def expert_in(self, benchmark: str) -> str:
        """The name of the declared expert of a benchmark."""
        return next(name for name, expert in self.experts.items() if benchmark in expert.benchmarks)

    def models(self) -> dict[str, Literal["base", "expert", "recipe"]]:
        """Every model that is evaluated, with its kind, in the order of the leaderboard."""
        return {
            "base": "base",
            **dict.fromkeys(self.experts, "expert"),
            **dict.fromkeys(self.recipes, "recipe"),
        }


def load_params(path: Path = paths.PARAMS) -> Params:
    """Read and check params.yaml.

    Raises:
        ParamsError: The file is missing, is no YAML, or has mistakes: all of them, one a line.
    """
    return checked(Params, read_values(path), path)


def load_nightly(path: Path = paths.PARAMS) -> Nightly:
    """The `nightly` section alone: who is to be told that the rest of the file has mistakes.

    Raises:
        ParamsError: The file is missing, is no YAML, or has mistakes in that section.
    """

    class Section(BaseModel):
        nightly: Nightly = Nightly()

    return checked(Section, read_values(path), path).nightly


def read_values(path: Path) -> dict[str, Any]:
    """The file as YAML has it.

    Raises:
        ParamsError: The file is missing, or is no YAML of sections.
    """
    try:
        values = parse(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ParamsError(f"{path}: not found; run this in the project's root folder") from None
    except (yaml.YAMLError, ValueError) as error:
        raise ParamsError(f"{path}: not valid YAML: {hosts_alone(mistake(error))}") from None
    if not isinstance(values, dict):
        raise ParamsError(f"{path}: takes the sections {', '.join(Params.model_fields)}")
    return values


def checked(model: type[Checked], values: dict[str, Any], path: Path) -> Checked:
    """The values as a model.

    Raises:
        ParamsError: They have mistakes: all of them, one a line.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        lines = [one_line(mistake) for mistake in error.errors()]
        raise ParamsError("\n".join(f"{path}: {line}" for line in lines)) from None


def one_line(mistake: Any) -> str:
    """One mistake: its path in the file, what was found, what is allowed, the nearest valid name."""
    location = ".".join(str(part) for part in mistake["loc"] if part != "[key]")
    context = mistake.get("ctx", {})
    if context.get("recipe"):
        return ".".join(part for part in (location, context["key"]) if part) + f": {mistake['msg']}"
    if not location:
        return str(mistake["msg"])
    if mistake["type"] == "params" and isinstance(mistake["input"], dict):
        return f"{location}: {mistake['msg']}"
    if mistake["type"] == "extra_forbidden":
        return f"{location}: no such key; {nearest(str(mistake['loc'][-1]), keys_at(mistake['loc'][:-1]))}"
    if mistake["type"] == "invalid_key":
        keys = ", ".join(keys_at(mistake["loc"][:-1]))
        return f"{location}: got the key {mistake['input']!r} (what YAML makes of on, off, yes, no); takes {keys}"
    if mistake["type"] == "missing":
        return f"{location}: missing; it must be given"
    if MAY_BE_SECRET.fullmatch(location):
        return f"{location}: {allowed(mistake['msg'])}"
    return f"{location}: got {mistake['input']!r}; {allowed(mistake['msg'])}"


def allowed(message: str) -> str:
    """The sentence of pydantic about what is allowed, in this project's form."""
    message = re.sub(r"^Input should be", "takes", message)
    message = re.sub(r"takes a valid dictionary.*", "takes a section of keys", message)
    message = re.sub(r"takes a valid (tuple|list).*", "takes a list", message)
    return message.replace("Dictionary should have at least 1 item after validation, not 0", "takes at least 1 entry")


def keys_at(location: tuple[int | str, ...]) -> list[str]:
    """The keys that the section at a path may have."""
    sections: dict[str, type[BaseModel]] = {
        "": Params,
        "base": Model,
        "experts": Expert,
        "merge": Merge,
        "evaluation": Evaluation,
        "evaluation.server": Server,
        "evaluation.benchmarks": Benchmark,
        "zoo": ZooSettings,
        "nightly": Nightly,
        "nightly.alerts": Channel,
    }
    path = ".".join(str(part) for part in location)
    parent = ".".join(str(part) for part in location[:-1])
    return list((sections.get(path) or sections.get(parent) or Params).model_fields)
