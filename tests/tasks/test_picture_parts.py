"""What pictures are made of: inks, outlines, scales, names at the side, tables of layers."""

import itertools
import json
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks import paths
from tasks.leaderboard.load import load_interference, load_similarity
from tasks.pictures.beside import spread
from tasks.pictures.cost import timed
from tasks.pictures.drawing import elided
from tasks.pictures.frame import scales_of
from tasks.pictures.inks import HIGHS, LINES, LOWS, schemes, step
from tasks.pictures.layers import by_kind_and_block, left_by_kind
from tasks.pictures.outlines import commands, shortened
from tasks.pictures.scales import decades, in_digits, in_seconds, times
from tests.tasks.picture_boards import LONG, write_seconds
from tests.tasks.small_project import measured, write

SIZES = st.floats(1e-12, 1e12)
PLACES = st.integers(-99999, 99999).map(lambda value: value / 100)


def luminance(colour: str) -> float:
    """As WCAG 2 defines it."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_text_and_marks_are_told_from_what_is_behind_them(scheme: int) -> None:
    inks = schemes()[scheme]
    marks = ["first", "near", "apart", "model", *(f"line-{number}" for number in range(LINES))]
    assert all(contrast(inks[name], inks["paper"]) >= 3 for name in marks)
    for name in ("ink", "faint", "front", "line-0"):
        assert contrast(inks[name], inks["paper"]) >= 4.5, name
    assert contrast(inks["faint"], inks["missing"]) >= 4.5
    for name, colour in inks.items():
        if cell := re.fullmatch(r"(?:below-)?(low|high)-\d", name):
            assert contrast(colour, inks["ink" if cell[1] == "low" else "paper"]) >= 4.5, name


def test_both_schemes_have_the_same_inks_and_the_light_ones_are_all_different() -> None:
    light, dark = schemes()
    assert list(light) == list(dark)
    assert len(set(light.values())) == len(light)


@given(st.floats(-150, 150), st.sampled_from([0.2, 1.0, 100.0]))
def test_a_cell_is_the_darker_the_farther_its_number_is_from_0(value: float, top: float) -> None:
    light = schemes()[0]
    for sign in (1, -1):
        shades = [step(sign * share * top, top)[0] for share in sorted((abs(value) / 150, 1.0))]
        assert luminance(shades[0]) >= luminance(shades[1])
    assert step(top, top)[0] == light[f"high-{HIGHS - 1}"]
    assert step(0.0, top)[0] == light["low-0"]
    assert step(top * 2, top) == step(top, top)
    assert len({step(top * share / 100, top)[0] for share in range(101)}) == LOWS + HIGHS


@given(st.lists(st.tuples(PLACES, PLACES), min_size=2, max_size=30))
def test_a_shortened_outline_is_nowhere_a_tenth_away(points: list[tuple[float, float]]) -> None:
    """However many steps lead there."""
    written = shortened(("M" if not at else "L", list(point)) for at, point in enumerate(points))
    steps = [float(number) for number in re.findall(r"-?(?:\d+\.?\d*|\.\d+)", written)]
    places = np.cumsum(np.reshape(steps, (-1, 2)), axis=0)
    assert np.abs(places[-1] - points[-1]).max() < 0.051
    assert np.abs(places[0] - points[0]).max() < 0.051


def test_outlines_in_short() -> None:
    assert shortened(commands("M 10 20 \nL 11.04 19.5 \nL 12 19.5 \nz")) == "m10 20l1-.5 1 0z"
    assert shortened(commands("M 1 1 \nM 2 2 \nL 3 3")) == "m1 1m1 1l1 1"


@given(st.lists(st.floats(-200, 200), min_size=1, max_size=40), st.floats(0.1, 20))
def test_names_at_the_side_keep_their_order_and_their_distance(wanted: list[float], distance: float) -> None:
    places = spread(wanted, distance, 0.0, 100.0)
    assert all(-1e-6 <= place <= 100 + 1e-6 for place in places)
    room = min(distance, 100 / max(len(wanted) - 1, 1))
    order = sorted(range(len(wanted)), key=wanted.__getitem__)
    assert all(places[two] - places[one] >= room - 1e-6 for one, two in itertools.pairwise(order))


def test_a_name_with_room_stands_level_with_its_mark() -> None:
    assert spread([10.0, 90.0, 50.0], 5.0, 0.0, 100.0) == [10.0, 90.0, 50.0]
    assert spread([50.0, 50.0], 10.0, 0.0, 100.0) == [45.0, 55.0]


@given(st.lists(st.text(min_size=1, max_size=70), min_size=1, max_size=8, unique=True))
def test_names_in_short_are_still_told_apart(names: list[str]) -> None:
    short = elided(names)
    assert len(set(short)) == len(names)
    assert all(one == name or len(one) < len(name) for name, one in zip(names, short, strict=True))
    assert elided(LONG[:2], 11) == ["recipe_00…xxxxxxxxx", "recipe_01…xxxxxxxxx"]


@given(SIZES, st.floats(2.6, 1e9))
def test_an_axis_has_a_few_numbers_whatever_its_range(low: float, ratio: float) -> None:
    for found in (decades(low, low * ratio), times(low, low * ratio)):
        assert 1 <= len(found) <= 12
        assert all(low * (1 - 1e-6) <= value <= low * ratio * (1 + 1e-6) for value in found)


@pytest.mark.parametrize(
    ("value", "written"), [(0.0, "0"), (0.02, "0.02"), (1e-6, "10⁻⁶"), (3.2e5, "3.2·10⁵"), (1e30, "10³⁰")]
)
def test_numbers_in_a_few_digits(value: float, written: str) -> None:
    assert in_digits(value) == written


@pytest.mark.parametrize(
    ("value", "written"), [(0.01, "0.01 s"), (59.0, "59 s"), (180.0, "3 min"), (7200.0, "2 h"), (864000.0, "10 d")]
)
def test_times_as_one_says_them(value: float, written: str) -> None:
    assert in_seconds(value) == written


@pytest.mark.usefixtures("params")
def test_the_front_is_what_no_recipe_is_both_cheaper_and_better_than() -> None:
    seconds = {"slow": 9.0, "twin": 3.0, "good": 3.0, "same": 3.0, "cheap": 1.0, "waste": 2.0}
    write_seconds(seconds)
    values = {"slow": 60.0, "twin": 70.0, "good": 80.0, "same": 80.0, "cheap": 50.0, "waste": 40.0, "unknown": 99.0}
    scores = pd.DataFrame({"value": values, "low": values, "high": values})
    table = timed(scores, "merge")
    assert set(table.index) == set(seconds)
    for name in table.index:
        beaten = any(
            seconds[other] <= seconds[name]
            and values[other] >= values[name]
            and (seconds[other], values[other]) != (seconds[name], values[name])
            for other in seconds
        )
        assert table["front"][name] != beaten, name


def layers(recipes: list[str], tensors: list[str], values: tuple[float, float, float]) -> pd.DataFrame:
    """The same interference in every tensor of every recipe."""
    index = pd.MultiIndex.from_product([recipes, tensors], names=["recipe", "tensor"])
    return pd.DataFrame([values] * len(index), index, ["sum", "mean", "result"], dtype=float)


def test_layers_of_a_kind_and_block_are_summed() -> None:
    tensors = [f"model.layers.{block}.mlp.experts.{expert}.w1.weight" for block in range(2) for expert in range(8)]
    summed = by_kind_and_block(layers(["wudi"], [*tensors, "head.weight"], (4.0, 2.0, 1.0)))
    assert dict(summed["result"]) == {("wudi", "w1", 0): 8.0, ("wudi", "w1", 1): 8.0, ("wudi", "head", -1): 1.0}
    shares = left_by_kind(summed.loc["wudi"])
    assert shares == {"all layers": 25.0, "w1": 25.0, "head": 25.0}


def test_kinds_without_end_are_taken_together() -> None:
    summed = by_kind_and_block(layers(["wudi"], [f"tensor{number}" for number in range(300)], (4.0, 2.0, 1.0)))
    kinds = list(summed.index.unique("kind"))
    assert (len(kinds), kinds[-1]) == (12, "289 other kinds")
    assert summed["sum"].sum() == 1200.0


@pytest.mark.parametrize("values", [(4.0, 2.0, 1.0), (4.0, 2.0, 0.0), (0.0, 0.0, 0.0), (4.0, 2.0, 1e-300), (1e30,) * 3])
def test_every_number_has_its_place_in_the_frame(values: tuple[float, float, float]) -> None:
    """Larger ones higher, 0 the lowest."""
    scales = scales_of(by_kind_and_block(layers(LONG[:2], ["a.0.q", "a.80.q", "head"], values)))
    heights = [scales.down(value) for value in sorted(values)]
    assert heights == sorted(heights, reverse=True)
    assert all(0 <= height <= 1.5 for height in heights + [scales.down(tick) for tick in scales.ticks])
    assert 0 < scales.across(-11) < scales.across(0) < scales.across(80) < 2.4


@pytest.mark.usefixtures("params")
def test_interference_is_read_without_what_is_not_known() -> None:
    known = {
        "known": {**measured(4.0, 2.0, 1.0), "rank": 3},
        "partly": {"rank": 3, "iterations": 8},
        "endless": measured(float("inf"), 2.0, 1.0),
        "blank": measured(float("nan"), 2.0, 1.0),
    }
    write(paths.merged("wudi") / "merge.json", json.dumps({"layers": known}))
    assert list(load_interference(["average", "wudi", "missing"]).index) == [("wudi", "known")]
    assert load_interference(["average"]).empty


@pytest.mark.usefixtures("params")
def test_similarity_is_read_by_expert() -> None:
    tables = load_similarity(["gsm", "maths"])
    assert list(tables) == [("all", ""), ("kind", "linear"), ("module", "q_proj")]
    assert tables["all", ""].loc["gsm", "maths"] == 0.123456
    assert load_similarity(["maths", "gsm"]) == {}
