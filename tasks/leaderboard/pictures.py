"""All pictures of the leaderboard, by file name."""

from tasks.leaderboard.gather import Leaderboard
from tasks.leaderboard.interference_plot import interference
from tasks.leaderboard.load import load_interference, load_similarity
from tasks.leaderboard.plots import heatmap, means
from tasks.leaderboard.similarity_plot import similarity


def pictures(board: Leaderboard) -> dict[str, bytes]:
    """Draw what there is to draw; a user's own matplotlib style changes nothing in it.

    interference.png is left out where no recipe measures interference, similarity.png where there is nothing to
    compare: a single expert, or no results/similarity.json of these experts.
    """
    import matplotlib.style

    layers, cosines = load_interference(board.recipes), load_similarity(board.experts)
    with matplotlib.style.context("default"):
        drawn = {"heatmap.png": heatmap(board), "means.png": means(board)}
        if len(layers):
            drawn["interference.png"] = interference(layers)
        if len(board.experts) > 1 and cosines:
            drawn["similarity.png"] = similarity(cosines["all", ""])
    return drawn
