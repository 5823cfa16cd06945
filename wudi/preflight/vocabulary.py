"""Whether the tensors with a row for each token have the base's number of rows."""

from collections.abc import Mapping

from wudi.architecture import roles
from wudi.outline import Outline
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


def vocabulary_clashes(rows: Rows) -> list[str]:
    """What is wrong with other numbers of rows: one text for all tensors with the same numbers."""
    texts = []
    for theirs, ours in dict.fromkeys(rows.values()):
        names = [name for name, counts in rows.items() if counts == (theirs, ours)]
        texts.append(
            f"{' and '.join(names)} {'has' if len(names) == 1 else 'have'} {theirs} rows, the base's {ours}: its "
            "vocabulary has other tokens or other padding; `vocabulary: base` aligns it by token and drops what the "
            "base has not, `vocabulary: union` adds that to the base's"
        )
    return texts
