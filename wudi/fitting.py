"""Fit experts to their base: tied heads that one side stores, and vocabularies aligned by token and not by row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from wudi.alignment import Alignment, Policy, refuse_differences
from wudi.checkpoint import Checkpoint
from wudi.errors import WudiError
from wudi.experts import Expert
from wudi.extended_base import ExtendedBase, extension
from wudi.fit import NEW_ROWS, Fit
from wudi.tied_heads import alias_of
from wudi.tokens import Alignments, Tokens
from wudi.vocabulary import Vocabulary
from wudi.vocabulary_union import Union, plan_union

BASE_TOKENS = "the merged model has the base's tokens in the base's rows"


@dataclass(frozen=True)
class Fitted:
    """A base and experts that agree tensor by tensor and row by row, and what was done to get there."""

    base: Checkpoint
    experts: list[Expert]
    lines: list[str] = field(default_factory=list)
    """What became of tokens, in words; nothing where all models have the same."""
    vocabularies: list[Vocabulary] = field(default_factory=list)
    """The experts' tokens, where the merged model has some of them."""
    union: Union | None = None
    """Where each token of the merged model is, if it has more than the base."""


def fit(base: Checkpoint, experts: Sequence[Expert], policy: Policy) -> Fitted:
    """Fit experts, whose headers fit but for the rows of their vocabulary, to the base.

    Raises:
        WudiError: Tokens differ and the policy is `error`, or cannot be aligned because a tokenizer is missing.
    """
    tied = [with_aliases(base, expert) for expert in experts]
    tokens = Tokens(base)
    found = [tokens.alignments(expert) for expert in tied]
    differing = [own for own in map(most_telling, found) if own is not None]
    if not differing:
        return Fitted(base, tied, tokens.notes)
    if policy == "error":
        refuse_differences(differing)
    lines = [*tokens.notes, *(f"expert {own.name}: {own.describe()}" for own in differing)]
    if policy == "union" and any(own.new for own in differing):
        return united(tokens, tied, found, lines)
    aligned = [
        with_rows(expert, {table: each.rows for table, each in own.items()})
        for expert, own in zip(tied, found, strict=True)
    ]
    return Fitted(base, aligned, [*lines, BASE_TOKENS])


def with_aliases(base: Checkpoint, expert: Expert) -> Expert:
    """An expert that knows which of its tensors stand for those of the base that it does not store."""
    if expert.is_factored or expert.is_task_vector:
        return expert
    lacking = [name for name in base.tensors if name not in expert.checkpoint.tensors]
    aliases = {name: alias_of(name, expert.checkpoint, base) for name in lacking}
    return replace(expert, fit=Fit(aliases)) if aliases else expert


def with_rows(expert: Expert, rows: Mapping[str, Tensor]) -> Expert:
    """An expert that reads its embeddings and heads in the base's rows."""
    return replace(expert, fit=Fit(expert.fit.aliases, rows))


def most_telling(alignments: Alignments) -> Alignment | None:
    """The first of an expert's alignments that is not the identity."""
    return next((own for own in alignments.values() if not own.is_identity), None)


def united(tokens: Tokens, experts: Sequence[Expert], found: Sequence[Alignments], lines: list[str]) -> Fitted:
    """Give the base, and so the merged model, the tokens of all experts.

    Raises:
        WudiError: A model whose embedding and head have different numbers of rows, or an adapter of either.
    """
    base_rows = {tokens.rows(table) for table in tokens.tables}
    refuse_uneven(tokens.base.where, base_rows)
    rows = base_rows.pop()
    identity = Alignment("", rows, rows, torch.arange(rows), {}, {}, {})
    for expert, own in zip(experts, found, strict=True):
        refuse_uneven(expert.checkpoint.where, {each.expert_rows for each in own.values()})
    union = plan_union(tokens.vocabulary, rows, [next(iter(own.values()), identity) for own in found])
    refuse_adapted_tables(tokens, experts)
    extensions = {}
    for table in tokens.tables:
        owners = [
            (whole(expert, table), places)
            for expert, places in zip(experts, union.experts, strict=True)
            if not expert.is_factored
        ]
        extensions[table] = extension(tokens.base.read(table), union.base, owners)
    aligned = [
        expert if expert.is_factored else with_rows(expert, dict.fromkeys(tokens.tables, places))
        for expert, places in zip(experts, union.experts, strict=True)
    ]
    vocabularies = [known for known in map(tokens.vocabulary_of, experts) if known is not None]
    added = ", ".join(f"{token!r} (row {row})" for token, row in list(union.tokens.items())[:8])
    more = f" and {len(union.tokens) - 8} more" if len(union.tokens) > 8 else ""
    lines.append(f"the merged model has {union.rows} rows: the base's tokens, then {added}{more}")
    return Fitted(ExtendedBase(tokens.base, extensions), aligned, lines, vocabularies, union)


def whole(expert: Expert, table: str) -> Tensor:
    """An expert's own tensor with all rows that an alignment counts."""
    name = expert.fit.name(table)
    assert name is not None, "a table of the vocabulary has a value in every expert"
    own = expert.checkpoint.read(name)
    if name + NEW_ROWS not in expert.checkpoint.tensors:
        return own
    return torch.cat([own, expert.checkpoint.read(name + NEW_ROWS)])


def refuse_uneven(where: str, counts: set[int]) -> None:
    """Raise a `WudiError` where one plan of rows does not hold for embedding and head alike."""
    if len(counts) > 1:
        raise WudiError(
            f"{where}: its embedding and its head have {' and '.join(map(str, sorted(counts)))} rows, and a union of "
            "vocabularies needs equal numbers; merge with `vocabulary: base`"
        )


def refuse_adapted_tables(tokens: Tokens, experts: Sequence[Expert]) -> None:
    """Raise a `WudiError` where an adapter changes a tensor that the union makes longer."""
    for expert in experts:
        changed = [table for table in tokens.tables if expert.is_factored and expert.stored_names(table)]
        if changed:
            raise WudiError(
                f"expert {expert.name}: is an adapter that changes {changed[0]}, which cannot get new rows; merge it "
                "into its base with merge_and_unload() and save_pretrained() first, or take `vocabulary: base`"
            )


@dataclass(frozen=True)
class NewRows:
    """The tokens of an expert that its base has not, with their flags, and by tensor their rows in float32."""

    tokens: Mapping[str, Mapping[str, bool]]
    rows: Mapping[str, Tensor]


def new_rows(base: Checkpoint, expert: Expert) -> NewRows:
    """What an expert has beyond the base's vocabulary."""
    tokens = Tokens(base)
    found = tokens.alignments(expert)
    first = most_telling(found)
    if first is None or not first.new:
        return NewRows({}, {})
    for own in found.values():
        refuse_uneven(expert.checkpoint.where, {own.expert_rows, first.expert_rows})
    known = tokens.vocabulary_of(expert)
    places = torch.tensor(list(first.new.values()))
    flags = known.added if known is not None else {}
    rows = {table: whole(expert, table)[places].float() for table in found}
    return NewRows({token: flags.get(token, {}) for token in first.new}, rows)
