"""All pictures of the leaderboard, by name."""

from collections.abc import Iterator

from tasks.leaderboard.gather import Leaderboard
from tasks.leaderboard.load import load_interference, load_similarity
from tasks.pictures.blocks import blocks
from tasks.pictures.cost import cost
from tasks.pictures.drawing import style
from tasks.pictures.frame import scales_of
from tasks.pictures.heatmap import heatmap
from tasks.pictures.interference import interference
from tasks.pictures.layers import by_kind_and_block, by_recipe
from tasks.pictures.means import means
from tasks.pictures.picture import Picture
from tasks.pictures.similarity import similarity, similarity_kinds


def draw(board: Leaderboard) -> dict[str, Picture]:
    """Draw what there is to draw.

    The names are means, heatmap, cost (where seconds are known), similarity and similarity_kinds (where there are
    cosines of two experts), interference and, for each recipe that has measured it, interference/RECIPE. These last
    have no file, since `dvc plots` shows all files one below the other, and cost has none, since it differs every run.
    """
    with style():
        return dict(drawn(board))


def drawn(board: Leaderboard) -> Iterator[tuple[str, Picture]]:
    """The pictures one after the other."""
    yield "means", means(board)
    yield "heatmap", heatmap(board)
    if (of_cost := cost(board)) is not None:
        yield "cost", of_cost
    cosines = load_similarity(board.experts)
    if len(board.experts) > 1 and cosines:
        yield "similarity", similarity(cosines["all", ""])
        if len(cosines) > 1:
            yield "similarity_kinds", similarity_kinds(cosines)
    layers = load_interference(board.recipes)
    if len(layers):
        table = by_kind_and_block(layers)
        yield "interference", interference(table)
        scales = scales_of(table)
        for name, part in by_recipe(table).items():
            yield f"interference/{name}", blocks(name, part, scales)
