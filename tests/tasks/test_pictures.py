"""The pictures of interference and of similarity, on tables that try them."""

import io
import json
from collections.abc import Iterable

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tasks import paths
from tasks.leaderboard.interference_plot import by_kind_and_block, interference, recipe_styles
from tasks.leaderboard.load import load_interference, load_similarity
from tasks.leaderboard.similarity_plot import similarity
from tests.tasks.small_project import measured, write

KINDS = ["self_attn.q_proj", "self_attn.k_proj", "mlp.down_proj"]
LONG = [f"recipe_{number:02d}_".ljust(60, "x") for number in range(40)]


def table(recipes: Iterable[str], tensors: Iterable[str], values: tuple[float, float, float]) -> pd.DataFrame:
    """The same interference in every tensor of every recipe."""
    index = pd.MultiIndex.from_product([list(recipes), list(tensors)], names=["recipe", "tensor"])
    return pd.DataFrame([values] * len(index), index, ["sum", "mean", "result"], dtype=float)


def blocks(count: int) -> list[str]:
    return [f"model.layers.{block}.{kind}.weight" for block in range(count) for kind in KINDS]


def opened(picture: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(picture))
    image.load()
    return image


@pytest.mark.parametrize(
    ("recipes", "tensors", "values"),
    [
        (["wudi"], blocks(1), (4.0, 2.0, 1.0)),
        (LONG, blocks(80), (4.0, 2.0, 1.0)),
        (LONG[:7], [*blocks(40), "lm_head.weight", "q_proj.weight"], (4.0, 2.0, 0.0)),
        (["wudi", "swudi"], [f"tensor{number}" for number in range(300)], (4.0, 2.0, 1e-300)),
        (["wudi"], ["a"], (0.0, 0.0, 0.0)),
        (["wudi"], ["a"], (1e30, 1e30, 1e30)),
    ],
)
def test_interference_is_drawn_whatever_the_table(
    recipes: list[str], tensors: list[str], values: tuple[float, float, float]
) -> None:
    picture = opened(interference(table(recipes, tensors, values)))
    assert 300 < picture.width < 2000
    assert 300 < picture.height < 1300


def test_layers_of_a_kind_and_block_are_summed() -> None:
    tensors = [f"model.layers.{block}.mlp.experts.{expert}.w1.weight" for block in range(2) for expert in range(8)]
    summed = by_kind_and_block(table(["wudi"], [*tensors, "head.weight"], (4.0, 2.0, 1.0)))
    assert dict(summed["result"]) == {("wudi", "w1", 0): 8.0, ("wudi", "w1", 1): 8.0, ("wudi", "head", -1): 1.0}


def test_kinds_without_end_share_a_panel() -> None:
    summed = by_kind_and_block(table(["wudi"], [f"tensor{number}" for number in range(300)], (4.0, 2.0, 1.0)))
    kinds = list(summed.index.unique("kind"))
    assert (len(kinds), kinds[-1]) == (12, "289 other kinds")
    assert summed["sum"].sum() == 1200.0


def test_the_first_recipes_have_colours_of_their_own_and_all_others_are_named_together() -> None:
    styles = recipe_styles(LONG)
    assert len({styles[name]["color"] for name in LONG[:6]}) == 6
    assert {styles[name]["label"] for name in LONG[6:]} == {"34 other recipes"}
    assert recipe_styles(LONG[:7])[LONG[6]]["label"] == "1 other recipe"


@pytest.mark.usefixtures("params")
def test_interference_is_read_without_what_is_not_known() -> None:
    layers = {
        "known": {**measured(4.0, 2.0, 1.0), "rank": 3},
        "partly": {"rank": 3, "iterations": 8},
        "endless": measured(float("inf"), 2.0, 1.0),
        "blank": measured(float("nan"), 2.0, 1.0),
    }
    write(paths.merged("wudi") / "merge.json", json.dumps({"layers": layers}))
    assert list(load_interference(["average", "wudi", "missing"]).index) == [("wudi", "known")]
    assert load_interference(["average"]).empty


def cosines(count: int, seed: int = 0) -> pd.DataFrame:
    vectors = np.random.default_rng(seed).normal(size=(count, 20))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return pd.DataFrame(vectors @ vectors.T, LONG[:count], LONG[:count])


@pytest.mark.parametrize("count", [2, 6, 20])
def test_a_cell_of_the_similarity_has_a_size_of_its_own(count: int) -> None:
    """Names of 60 letters stand beside the cells, and take none of their room."""
    picture, smaller = opened(similarity(cosines(count))), opened(similarity(cosines(count - 1)))
    assert picture.width - smaller.width >= 89 - 1
    assert picture.height - smaller.height >= 51 - 1


def test_experts_that_have_nothing_in_common_are_drawn() -> None:
    nothing = pd.DataFrame(np.zeros((2, 2)), ["a", "b"], ["a", "b"])
    assert opened(similarity(nothing)).width > 200


@pytest.mark.usefixtures("params")
def test_similarity_is_read_by_expert() -> None:
    tables = load_similarity(["gsm", "maths"])
    assert list(tables) == [("all", ""), ("kind", "linear"), ("module", "q_proj")]
    assert tables["all", ""].loc["gsm", "maths"] == 0.123456
    assert load_similarity(["maths", "gsm"]) == {}
