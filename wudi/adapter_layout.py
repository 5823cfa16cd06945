"""What a PEFT adapter says of itself: its scaling, what it changes in each tensor of the base, and whether it fits."""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from wudi.errors import WudiError
from wudi.folder import ADAPTER_CONFIG, Folder, read_json
from wudi.outline import Outline
from wudi.tensor_info import TensorInfo

PREFIX = "base_model.model."
FACTOR = re.compile(r"(?P<module>.+)\.lora_(?P<embedding>embedding_)?(?P<factor>[AB])(\.weight)?")
WRAPPERS = re.compile(r"\.(base_layer|modules_to_save)\.")
REFUSED = (
    "use_dora",
    "lora_bias",
    "use_qalora",
    "use_bdlora",
    "trainable_token_indices",
    "target_parameters",
    "layer_replication",
    "alora_invocation_tokens",
    "arrow_config",
    "kasa_config",
    "monteclora_config",
)
"""Settings with which the adapted model is more than base + scaling · BA."""
MOVES_BASE = ("pissa", "olora", "corda", "loftq", "lora_ga")
"""Values of `init_lora_weights` that subtract from the base's weights, so that BA is not the difference from them."""
REMEDY = "merge it into its base with merge_and_unload() and save_pretrained() first"


@dataclass(frozen=True)
class Settings:
    """What adapter_config.json says of the scaling."""

    rank: int
    alpha: float
    rank_stabilised: bool
    ranks: dict[str, int]
    alphas: dict[str, float]
    fan_in_fan_out: bool
    trained_on: str | None
    """The name or the path of the model that the adapter was trained on."""

    def rank_of(self, module: str) -> int:
        """The rank of the factors of one module."""
        return by_pattern(self.ranks, module, self.rank)

    def scaling(self, module: str) -> float:
        """What BA is multiplied by: alpha / r, or alpha / √r where the adapter is rank-stabilised."""
        rank = self.rank_of(module)
        return by_pattern(self.alphas, module, self.alpha) / (math.sqrt(rank) if self.rank_stabilised else rank)


@dataclass(frozen=True)
class Change:
    """Where the adapter's file keeps what it changes in one tensor: the names of both factors, or of a whole value."""

    module: str
    embedding: bool = False
    a: str | None = None
    b: str | None = None
    value: str | None = None


class AdapterLayout:
    """What the settings and the header of an adapter say.

    Raises:
        WudiError: adapter_config.json is damaged, or describes something else than plain LoRA.
    """

    def __init__(self, outline: Outline) -> None:
        self.outline = outline
        self.settings = read_settings(outline.files)
        self.changes = changes(outline.tensors)
        self._starts = sorted({name.partition(".")[0] for name in self.changes})

    def place(self, tensor: str) -> str | None:
        """The name under which the adapter changes a tensor of the base; None where it leaves it alone.

        Transformers loads a model with and without its head's prefix (`model.`, `transformer.`), so an adapter may
        have one more or one less than the base's files.
        """
        candidates = [tensor, tensor.partition(".")[2], *(f"{start}.{tensor}" for start in self._starts)]
        return next((name for name in candidates if name in self.changes), None)

    def stored_names(self, tensor: str) -> list[str]:
        """The tensors of the adapter's file that change a tensor of the base."""
        place = self.place(tensor)
        change = None if place is None else self.changes[place]
        return [name for name in (change.a, change.b, change.value) if name is not None] if change else []

    def clashes(self, base: Outline, transposed: Mapping[str, bool]) -> Iterator[str]:
        """What keeps the adapter from being added to the base, with both values; `transposed` as in `delta`."""
        places: dict[str, str] = {}
        for tensor, info in base.tensors.items():
            place = self.place(tensor)
            if place is None:
                continue
            if place in places:
                yield f"adapts {place}, which fits {places[place]} and {tensor} of the base"
            places[place] = tensor
            yield from self.misfits(self.changes[place], tensor, info, transposed[tensor])
        for name in sorted(self.changes.keys() - places.keys()):
            change = self.changes[name]
            yield f"has tensor {change.value or change.a or change.b}, which has no place in the base; {REMEDY}"

    def misfits(self, change: Change, tensor: str, info: TensorInfo, transposed: bool) -> Iterator[str]:
        """What is wrong with the change of one tensor, which has the shape and dtype `info` in the base."""
        tensors = self.outline.tensors
        if change.value is not None and tensors[change.value].shape != info.shape:
            own = list(tensors[change.value].shape)
            yield f"tensor {tensor} has shape {own}, the base's has {list(info.shape)}"
        for name in (change.a, change.b, change.value):
            if name is not None and tensors[name].floating != info.floating:
                yield f"tensor {name} is {tensors[name].dtype}, the base's is {info.dtype}"
        if change.a is None and change.b is None:
            return
        if change.a is None or change.b is None:
            yield f"has {change.a or change.b}, but not lora_{'B' if change.a else 'A'} of the same module"
            return
        yield from self.misshapen(change, tensors[change.a].shape, tensors[change.b].shape, tensor, info, transposed)

    def misshapen(
        self, change: Change, a: tuple[int, ...], b: tuple[int, ...], tensor: str, info: TensorInfo, transposed: bool
    ) -> Iterator[str]:
        """Whether the shapes of two factors agree with each other, the adapter's settings and the base's tensor."""
        rank = self.settings.rank_of(change.module)
        if len(a) != 2 or len(b) != 2 or a[0] != rank or b[1] != rank:
            yield (
                f"factors of {tensor} have shapes {list(b)} and {list(a)}; "
                f"takes [out, {rank}] and [{rank}, in], {rank} being the rank in {ADAPTER_CONFIG}"
            )
            return
        shape = (a[1], b[0]) if change.embedding or transposed else (b[0], a[1])
        if shape != info.shape:
            yield f"factors of {tensor} multiply to shape {list(shape)}, the base's has {list(info.shape)}"


def changes(names: Iterable[str]) -> dict[str, Change]:
    """Sort the names in an adapter's file by the tensor that they change, without PEFT's prefix."""
    found: dict[str, Change] = {}
    for name in names:
        own = name.removeprefix(PREFIX)
        match = FACTOR.fullmatch(own)
        tensor = f"{match['module']}.weight" if match else WRAPPERS.sub(".", own)
        change = found.get(tensor) or Change(tensor.rpartition(".")[0])
        if match is None:
            found[tensor] = replace(change, value=name)
        elif match["factor"] == "A":
            found[tensor] = replace(change, a=name, embedding=bool(match["embedding"]))
        else:
            found[tensor] = replace(change, b=name, embedding=bool(match["embedding"]))
    return found


def by_pattern(values: Mapping[str, Any], module: str, default: Any) -> Any:
    """The value of the first pattern that matches the end of a module's name, as PEFT's `get_pattern_key` has it."""
    return next((value for key, value in values.items() if re.match(rf"(.*\.)?({key})$", module)), default)


def read_settings(folder: Folder) -> Settings:
    """Check adapter_config.json and keep what decides the scaling.

    Raises:
        WudiError: It is not of plain LoRA, or a value has no meaning.
    """
    config, file = read_json(folder, ADAPTER_CONFIG), f"{folder.where}/{ADAPTER_CONFIG}"
    kind = config.get("peft_type")
    if kind != "LORA":
        raise WudiError(f"{file}: peft_type is {kind!r}, takes 'LORA'; {REMEDY}")
    for key in REFUSED:
        if config.get(key):
            raise WudiError(f"{file}: {key} is {config[key]!r}, takes plain LoRA, without it; {REMEDY}")
    start = config.get("init_lora_weights")
    if isinstance(start, str) and start.lower().startswith(MOVES_BASE):
        raise WudiError(
            f"{file}: init_lora_weights is {start!r}, which subtracts from the base's weights; takes an adapter to the "
            f"unchanged base; save it with path_initial_model_for_weight_conversion, or {REMEDY}"
        )
    return Settings(
        rank=checked(file, "r", config.get("r"), int),
        alpha=checked(file, "lora_alpha", config.get("lora_alpha"), float),
        rank_stabilised=bool(config.get("use_rslora")),
        ranks=patterns(file, "rank_pattern", config, int),
        alphas=patterns(file, "alpha_pattern", config, float),
        fan_in_fan_out=bool(config.get("fan_in_fan_out")),
        trained_on=str(config["base_model_name_or_path"]) if config.get("base_model_name_or_path") else None,
    )


def patterns(file: str, key: str, config: Mapping[str, Any], kind: type) -> dict[str, Any]:
    """A checked mapping from regular expressions on module names to numbers."""
    values = config.get(key) or {}
    if not isinstance(values, dict):
        raise WudiError(f"{file}: {key} is {values!r}, takes patterns with their numbers; save the adapter again")
    for pattern in values:
        try:
            re.compile(pattern)
        except re.error as error:
            raise WudiError(f"{file}: {key} has {pattern!r}, which is no pattern ({error}); correct it") from None
    return {pattern: checked(file, f"{key}.{pattern}", value, kind) for pattern, value in values.items()}


def checked(file: str, key: str, value: Any, kind: type) -> Any:
    """A number of adapter_config.json: a rank is whole and at least 1, an alpha any finite number."""
    allowed = (int,) if kind is int else (int, float)
    number = isinstance(value, allowed) and not isinstance(value, bool) and math.isfinite(value)
    if not number or (kind is int and value < 1):
        takes = "a whole number of at least 1" if kind is int else "a number"
        raise WudiError(f"{file}: {key} is {value!r}, takes {takes}; save the adapter again with PEFT")
    return value
