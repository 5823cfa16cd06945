"""Recipes that cannot be told apart share a letter: the compact letter display [Piepho 2004].

"Cannot be told apart" is not transitive: the first and the second may be alike, and the second and the third, but not
the first and the third. So a letter stands for a maximal set of recipes of which no two are told apart, and a recipe
may have several. Two recipes share a letter if and only if they are not told apart.
"""

from collections.abc import Collection, Sequence
from itertools import combinations
from string import ascii_lowercase


def together(recipes: Sequence[str], apart: Collection[tuple[str, str]]) -> list[list[str]]:
    """The maximal sets of recipes of which no two are told apart, those with the best recipes first.

    Args:
        recipes: Best first.
        apart: The pairs that are told apart, the better one first.
    """
    import networkx

    graph = networkx.Graph()
    graph.add_nodes_from(range(len(recipes)))
    pairs = combinations(range(len(recipes)), 2)
    graph.add_edges_from((one, other) for one, other in pairs if (recipes[one], recipes[other]) not in apart)
    return [[recipes[position] for position in group] for group in sorted(map(sorted, networkx.find_cliques(graph)))]


def letters(groups: Sequence[Sequence[str]]) -> dict[str, str]:
    """The letters of each recipe, `a` for the first group.

    They stand side by side; where there are more than 26, they go on with aa, ab and have commas between them.
    """
    separator = "" if len(groups) <= len(ascii_lowercase) else ","
    shared: dict[str, list[str]] = {}
    for number, group in enumerate(groups):
        for recipe in group:
            shared.setdefault(recipe, []).append(letter(number))
    return {recipe: separator.join(known) for recipe, known in shared.items()}


def letter(number: int) -> str:
    """a, b, ..., z, aa, ab, ..."""
    rest, last = divmod(number, len(ascii_lowercase))
    return (letter(rest - 1) if rest else "") + ascii_lowercase[last]
