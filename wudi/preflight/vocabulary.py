"""Whether the tensors with a row for each token have the base's number of rows, and whether others can be aligned."""

from collections.abc import Mapping

from wudi.alignment import Policy, no_tokenizer
from wudi.architecture import roles
from wudi.outline import Outline
from wudi.vocabulary import lists_tokenizer
from wudi.vocabulary_tensors import vocabulary_tensors

Rows = Mapping[str, tuple[int, int]]
"""By tensor the expert's number of rows and the base's, where these differ and nothing else does."""


def other_rows(base: Outline, expert: Outline) -> Rows:
    """The tensors of the vocabulary whose rows are more or fewer than the base's.

    Raises:
        WudiError: The base's config.json names a known class, which cannot be built from it.
    """
    ours, theirs = base.tensors, expert.tensors
    longer = {name for name, info in theirs.items() if name in ours and differs_in_rows(info.shape, ours[name].shape)}
    if not longer:
        return {}
    names = longer.intersection(vocabulary_tensors(ours, roles(base), base.config))
    return {name: (theirs[name].shape[0], ours[name].shape[0]) for name in sorted(names)}


def differs_in_rows(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    """Whether two shapes agree in everything but the first number."""
    return bool(one) and bool(other) and one != other and one[1:] == other[1:]


def vocabulary_clashes(base: Outline, expert: Outline, policy: Policy) -> list[str]:
    """What is wrong with other numbers of rows: that they are refused, or that no tokenizer tells how they lie.

    Raises:
        WudiError: As `other_rows` does.
    """
    rows = other_rows(base, expert)
    if policy == "error":
        return [
            f"{text}: its vocabulary has other tokens or other padding; `vocabulary: base` aligns it by token and "
            "drops what the base has not, `vocabulary: union` adds that to the base's"
            for text in in_words(rows)
        ]
    models = {"the base": base, "the expert": expert}
    whose = next((who for who, model in models.items() if not lists_tokenizer(model.files.sizes)), None)
    return [no_tokenizer(ours, theirs, whose) for theirs, ours in dict.fromkeys(rows.values())] if whose else []


def vocabulary_notes(base: Outline, expert: Outline, policy: Policy) -> list[str]:
    """That other numbers of rows are aligned.

    Raises:
        WudiError: As `other_rows` does.
    """
    return [f"{text}; `vocabulary: {policy}` aligns them by token" for text in in_words(other_rows(base, expert))]


def in_words(rows: Rows) -> list[str]:
    """The numbers of rows: one text for all tensors with the same numbers."""
    texts = []
    for theirs, ours in dict.fromkeys(rows.values()):
        names = [name for name, counts in rows.items() if counts == (theirs, ours)]
        texts.append(f"{' and '.join(names)} {'has' if len(names) == 1 else 'have'} {theirs} rows, the base's {ours}")
    return texts
