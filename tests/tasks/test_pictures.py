"""The pictures on boards that try them: what they show, what they leave out, and what every one of them keeps."""

import contextlib
import io
import math
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image

from tasks import paths
from tasks.leaderboard.gather import Leaderboard
from tasks.pictures import Picture, draw
from tasks.pictures.inks import schemes
from tests.tasks.picture_boards import LONG, board_of, texts, variables, write_cosines, write_layers, write_seconds

STRANGE = ['<b>"wudi"</b>', "a & b's $x^2$", "été ∑ 合并"]
Drawn = tuple[Leaderboard, dict[str, Picture]]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Drawn:
    """Three recipes with strange names; one has no score on a benchmark, one no seconds, one no interference."""
    with contextlib.chdir(tmp_path_factory.mktemp("small")):
        board = board_of(STRANGE, ["gsm", "maths"], missing=[(STRANGE[2], "on_gsm")])
        write_seconds({STRANGE[0]: 3.0, STRANGE[2]: 4000.0})
        write_layers(STRANGE[:2], 3, "lm_head.weight")
        write_cosines(["gsm", "maths"])
        return board, draw(board)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Drawn:
    """Forty recipes and five benchmarks with names of 60 letters, and eighty blocks."""
    experts = [f"expert_{number:02d}_".ljust(60, "y") for number in range(5)]
    with contextlib.chdir(tmp_path_factory.mktemp("large")):
        board = board_of(LONG, experts)
        write_seconds({name: 0.01 * 1.5**number for number, name in enumerate(LONG)})
        write_seconds({name: 10.0 + number for number, name in enumerate(LONG)}, "evaluate")
        write_layers(LONG[:3], 80, "lm_head.weight")
        write_cosines(experts)
        return board, draw(board)


@pytest.fixture(scope="module", params=["small", "large"])
def drawn(request: pytest.FixtureRequest) -> Drawn:
    found: Drawn = request.getfixturevalue(request.param)
    return found


def test_every_picture_is_an_element_for_a_page(drawn: Drawn) -> None:
    """It is named and described, loads and runs nothing, and has no id that another one has."""
    ids: list[str] = []
    for name, picture in drawn[1].items():
        root = ElementTree.fromstring(picture.svg)
        assert root.tag == "svg"
        assert root.get("role") == "img"
        own = [node.get("id", "") for node in root.iter() if node.get("id")]
        assert root.get("aria-labelledby", "").split() == own
        assert [node.text for node in root[:2]] == [picture.title, picture.description]
        assert {node.tag for node in root.iter()} <= {"svg", "title", "desc", "g", "path", "circle", "text"}, name
        assert not [key for node in root.iter() for key in node.attrib if "href" in key or key.startswith("on")]
        assert "url(" not in picture.svg
        assert "<!" not in picture.svg
        ids += own
    assert len(ids) == len(set(ids))


def test_every_colour_has_a_counterpart_in_the_dark(drawn: Drawn) -> None:
    for picture in drawn[1].values():
        root = ElementTree.fromstring(picture.svg)
        colours = {node.get(key) for node in root.iter() for key in ("fill", "stroke")} - {None, "none"}
        assert colours == {f"var(--plot-{name})" for name in variables(picture.svg)}
        assert variables(picture.svg) <= set(schemes()[1])


def test_all_but_costs_and_single_recipes_are_files_too(drawn: Drawn) -> None:
    files = {name: picture.png for name, picture in drawn[1].items() if picture.png}
    assert set(files) == {name for name in drawn[1] if name != "cost" and "/" not in name}
    for name, png in files.items():
        with Image.open(io.BytesIO(png)) as image:
            image.load()
            assert image.format == "PNG", name
            assert image.info.get("Software") is None
            assert 250 < image.width < 4000
            assert 100 < image.height < 3000


def test_every_name_and_every_number_of_the_table_is_text(drawn: Drawn) -> None:
    board, pictures = drawn
    shown = texts(pictures["heatmap"].svg, "text", "title")
    values = board.wide("normalised")
    for model in values.index:
        label = f"{model} (expert)" if board.summary["kind"][model] == "expert" else model
        assert label in shown
        for benchmark in board.benchmarks:
            assert [text for text in shown if text.startswith(f"{label} on {benchmark}: ")]
    assert set(board.benchmarks) <= set(shown)
    numbers = [f"{value:.1f}" for value in values.to_numpy().ravel() if not math.isnan(value)]
    assert not set(numbers) - set(texts(pictures["heatmap"].svg))


def test_a_name_is_no_formula_and_no_tag(small: Drawn) -> None:
    board, pictures = small
    for name in ("heatmap", "means"):
        assert set(STRANGE) <= set(texts(pictures[name].svg)), name
    # without a mean there is no point, and without seconds neither
    assert STRANGE[0] in texts(pictures["cost"].svg)
    assert "No seconds are known of" in " ".join(texts(pictures["cost"].svg))
    assert board.recipes[-1] == STRANGE[2]


def test_what_is_missing_is_grey_and_said(small: Drawn) -> None:
    svg = small[1]["heatmap"].svg
    assert f"{STRANGE[2]} on on_gsm: not measured" in texts(svg, "title")
    assert "missing" in variables(svg)
    assert "no mean" in texts(small[1]["means"].svg)


def test_a_mark_says_what_it_is_where_a_pointer_rests_on_it(small: Drawn) -> None:
    _, pictures = small
    assert "gsm (expert) on on_gsm: 100.0 (90.0 of the expert's 90.0)" in texts(pictures["heatmap"].svg, "title")
    assert "gsm and maths, self_attn.q_proj: " in " ".join(texts(pictures["similarity_kinds"].svg, "title"))
    points = texts(pictures[f"interference/{STRANGE[0]}"].svg, "title")
    assert f"{STRANGE[0]}, q_proj, block 1: 0.5" in points
    assert f"{STRANGE[0]}, lm_head, no block: 0.5" in points


def test_pictures_are_there_for_what_is_measured(small: Drawn, large: Drawn) -> None:
    always = {"means", "heatmap", "cost", "similarity", "similarity_kinds", "interference"}
    assert set(small[1]) == always | {f"interference/{name}" for name in STRANGE[:2]}
    assert set(large[1]) == always | {f"interference/{name}" for name in LONG[:3]}


def test_nothing_to_show_is_no_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One expert is like no other, and nothing was timed."""
    monkeypatch.chdir(tmp_path)
    write_cosines(["gsm"])
    pictures = draw(board_of(["wudi"], ["gsm"]))
    assert set(pictures) == {"means", "heatmap"}
    assert not paths.MERGED.exists()


def test_the_same_board_gives_the_same_bytes(small: Drawn, tmp_path_factory: pytest.TempPathFactory) -> None:
    board, pictures = small
    with contextlib.chdir(tmp_path_factory.mktemp("again")):
        write_cosines(["gsm", "maths"])
        write_layers(STRANGE[:2], 3, "lm_head.weight")
        again = draw(board)
    assert set(pictures) - set(again) == {"cost"}
    assert all(again[name] == pictures[name] for name in again)


def test_forty_recipes_fit_into_a_page(large: Drawn) -> None:
    """Of 6 MB, with room for the rest: forty recipes' interference in eighty blocks, and all other pictures."""
    sizes = {name: len(picture.svg) for name, picture in large[1].items()}
    of_one = max(size for name, size in sizes.items() if "/" in name)
    assert 40 * of_one + sum(size for name, size in sizes.items() if "/" not in name) < 2.5e6
