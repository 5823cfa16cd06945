"""What is known of a model without reading a weight, as a person wants to see it."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from wudi.errors import WudiError
from wudi.experts import TASK_VECTOR, ExpertOutline
from wudi.outline import Outline
from wudi.preflight.configs import has_chat_template, settings
from wudi.preflight.quantised import in_words, quantisation, quantised
from wudi.preflight.structure import architecture, stacks
from wudi.tied_heads import source_of
from wudi.vocabulary import TOKENIZER
from wudi.vocabulary_tensors import INPUT

HEADS = ("lm_head.weight", "embed_out.weight")


@dataclass(frozen=True)
class Facts:
    """One model in words and numbers; None for what its files do not say."""

    source: str
    kind: str
    """model, LoRA adapter or task vector."""
    architecture: str | None
    layers: int | None
    hidden_size: int | None
    parameters: int
    bytes: int
    dtypes: dict[str, int]
    """The number of entries in each dtype, most first."""
    files: int
    vocabulary_rows: int | None
    tokens: int | None
    head: str
    """own, tied to the embedding, stored though tied, or none."""
    quantisation: str | None
    chat_template: bool
    rank: int | None = None
    alpha: float | None = None
    adapts: tuple[str, ...] = ()
    """The modules that an adapter changes."""
    trained_on: str | None = None

    def rows(self) -> dict[str, str]:
        """Each fact with its label, those that do not apply left out."""
        values = {
            "source": self.source,
            "kind": self.kind,
            "architecture": self.architecture,
            "layers": self.layers,
            "hidden size": self.hidden_size,
            "parameters": f"{self.parameters:,}",
            "size": readable(self.bytes),
            "dtype": ", ".join(self.dtypes),
            "files": self.files,
            "vocabulary rows": self.vocabulary_rows,
            "tokenizer": None if self.tokens is None else f"{self.tokens} tokens",
            "head": self.head,
            "quantisation": self.quantisation,
            "chat template": "yes" if self.chat_template else "no",
            "rank": self.rank,
            "alpha": self.alpha,
            "adapts": ", ".join(self.adapts) or None,
            "trained on": self.trained_on,
        }
        return {label: str(value) for label, value in values.items() if value is not None}

    def as_dict(self) -> dict[str, Any]:
        """The facts for programs."""
        return asdict(self)


def facts(expert: ExpertOutline) -> Facts:
    """What an outline says.

    Raises:
        WudiError: Its config.json, its adapter's settings or its tokenizer are damaged.
    """
    outline, config = expert.outline, settings(expert.outline)
    heights = stacks(outline.tensors)
    adapter = expert.layout.settings if expert.layout else None
    embedding = input_embedding(outline)
    return Facts(
        source=outline.where,
        kind=kind(expert),
        architecture=architecture(outline) or config.get("model_type"),
        layers=max(heights.values(), default=config.get("num_hidden_layers", config.get("n_layer"))),
        hidden_size=config.get("hidden_size", config.get("n_embd")),
        parameters=sum(info.elements for info in outline.tensors.values() if info.floating),
        bytes=outline.bytes,
        dtypes=dtypes(outline),
        files=len(outline.headers),
        vocabulary_rows=outline.tensors[embedding].shape[0] if embedding else None,
        tokens=tokens(outline),
        head="none" if outline.is_adapter else head(outline, embedding),
        quantisation=quantisation_in_words(outline),
        chat_template=has_chat_template(outline),
        rank=adapter.rank if adapter else None,
        alpha=adapter.alpha if adapter else None,
        adapts=adapted(expert),
        trained_on=adapter.trained_on if adapter else None,
    )


def kind(expert: ExpertOutline) -> str:
    """What a model's files hold."""
    if expert.outline.is_adapter:
        return "LoRA adapter"
    return "task vector" if expert.outline.metadata.get("content") == TASK_VECTOR else "model"


def dtypes(outline: Outline) -> dict[str, int]:
    """The number of entries in each dtype, most first."""
    counts = Counter[str]()
    for info in outline.tensors.values():
        counts[info.dtype] += info.elements
    return dict(counts.most_common())


def input_embedding(outline: Outline) -> str | None:
    """The name of the matrix with a row for each token."""
    named = (name for name, info in outline.tensors.items() if INPUT.search(name) and len(info.shape) == 2)
    return next(named, None)


def tokens(outline: Outline) -> int | None:
    """How many tokens the folder's tokenizer.json names.

    Raises:
        WudiError: It is damaged.
    """
    if TOKENIZER not in outline.files.sizes:
        return None
    try:
        content = json.loads(outline.files.text(TOKENIZER))
        vocabulary = content["model"].get("vocab", {})
        added = {token["content"] for token in content.get("added_tokens", ())}
    except (OSError, ValueError, AttributeError, KeyError, TypeError):
        raise WudiError(f"{outline.where}/{TOKENIZER}: not a sound tokenizer; fetch the checkpoint again") from None
    known = vocabulary if isinstance(vocabulary, dict) else [piece for piece, _ in vocabulary]
    return len({*known, *added})


def head(outline: Outline, embedding: str | None) -> str:
    """Whether the output head is a matrix of its own."""
    stored = next((name for name in outline.tensors if name.endswith(HEADS)), None)
    names = [stored] if stored else HEADS
    tied = embedding is not None and any(source_of(name, outline, outline.config) for name in names)
    if stored:
        return "stored, though tied" if tied else "own"
    return "tied to the embedding" if tied else "none"


def quantisation_in_words(outline: Outline) -> str | None:
    """How the weights are quantised; None where they are not."""
    if outline.is_adapter or not quantised(outline):
        return None
    found = quantisation(outline)
    return in_words(found) if found else "yes"


def adapted(expert: ExpertOutline) -> tuple[str, ...]:
    """The modules that an adapter changes, by their own names."""
    changes = expert.layout.changes.values() if expert.layout else ()
    return tuple(sorted({change.module.rpartition(".")[2] for change in changes}))


def readable(size: int) -> str:
    """A number of bytes in the unit that fits it."""
    unit, power = next(
        ((unit, power) for unit, power in (("GB", 9), ("MB", 6), ("kB", 3)) if size >= 10**power), ("B", 0)
    )
    return f"{size / 10**power:.{2 if power else 0}f} {unit}"


def shared(models: Sequence[Facts]) -> dict[str, str]:
    """The facts that all models have in common."""
    first, *others = (model.rows() for model in models)
    return {label: value for label, value in first.items() if all(rows.get(label) == value for rows in others)}


def table(models: Sequence[tuple[str, Facts]]) -> str:
    """What differs between a base and its experts: a model a column, a fact a row."""
    common = shared([found for _, found in models])
    columns = [found.rows() for _, found in models]
    labels = [label for label in dict.fromkeys(label for rows in columns for label in rows) if label not in common]
    base, *experts = (name for name, _ in models)
    head = ["", f"{base} (base)", *experts]
    return aligned([head, *([label, *(rows.get(label, "-") for rows in columns)] for label in labels)])


def aligned(lines: Sequence[Sequence[str]]) -> str:
    """Text in columns, each as wide as its widest entry."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    rows = ("  ".join(part.ljust(width) for part, width in zip(line, widths, strict=True)) for line in lines)
    return "\n".join(row.rstrip() for row in rows)
