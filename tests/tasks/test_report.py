"""The report and its pictures."""

import json
import subprocess
import sys
from contextlib import AbstractContextManager
from html.parser import HTMLParser
from pathlib import Path

import matplotlib
import pytest
from PIL import Image

from tasks import paths, record
from tasks.leaderboard import gather_files, write_results
from tasks.leaderboard.report import recipe_rows
from tasks.params import Params
from tests.conftest import ROOT
from tests.tasks.board_tools import edit_scores
from tests.tasks.small_project import ANSWERS, LAYERS, SIMILARITY, make_project, pattern, write

OUTPUTS = ["scores.csv", "comparisons.csv", "metrics.json", "report.html"]
PLOTS = [f"plots/{name}.png" for name in ("heatmap", "means", "interference", "similarity")]


def test_the_same_inputs_give_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All DVC outputs, in two folders, with other seconds and with a matplotlib style of the user's own."""
    for folder, seconds in (("one", 1.0), ("two", 200.0)):
        monkeypatch.chdir(tmp_path)
        params = make_project(tmp_path / folder)
        monkeypatch.chdir(tmp_path / folder)
        write(paths.timing("merge", "wudi"), json.dumps({"seconds": seconds}))
        with matplotlib_style(folder):
            write_results(gather_files(params), params)
    for output in [*OUTPUTS, *PLOTS]:
        one, two = ((tmp_path / folder / paths.RESULTS / output).read_bytes() for folder in ("one", "two"))
        assert one == two, output
    leaderboards = [(tmp_path / folder / paths.LEADERBOARD).read_text() for folder in ("one", "two")]
    assert leaderboards[0] != leaderboards[1]


def matplotlib_style(folder: str) -> AbstractContextManager[None]:
    """Settings as in somebody's matplotlibrc, for the second folder alone."""
    return matplotlib.rc_context({"font.size": 20, "savefig.dpi": 50, "axes.grid": True} if folder == "two" else {})


class Resources(HTMLParser):
    """Every address that a page loads, and whether its tags close."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.addresses += [value or "" for name, value in attributes if name in ("src", "href", "srcset", "data")]
        if tag not in ("meta", "img", "link", "br", "hr"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_report_stands_alone(params: Params) -> None:
    """Nothing is loaded from elsewhere, every tag closes, pictures are inside, seconds are not."""
    write_results(gather_files(params), params)
    page = paths.REPORT.read_text(encoding="utf-8")
    parser = Resources()
    parser.feed(page)
    assert parser.open == []
    assert len(parser.addresses) == len(PLOTS)
    assert all(address.startswith("data:image/png;base64,") for address in parser.addresses)
    assert "url(" not in page
    assert "@import" not in page
    assert "://" not in page
    assert "1.93" not in page
    for words in (
        "wudi and same share the first rank",
        "wudi is told apart from average",
        "Group a: wudi, same. Group b: average.",
        "wudi is above the base, which has 5.0.",
        "gsm (expert)",
        "iterations: 300",
        "25.0 %",
        "0123456789ab",
        "5.2 %",
        "How alike the experts are",
        "-0.25 <small>gsm and maths</small>",
    ):
        assert words in page, words
    assert "-0.00" not in page


def test_without_interference_and_similarity_the_report_does_without(params: Params) -> None:
    """No empty picture, no empty table, and none that an earlier run has left."""
    write_results(gather_files(params), params)
    paths.SIMILARITY.unlink()
    write(paths.merged("wudi") / "merge.json", json.dumps({"layers": {}}))
    write_results(gather_files(params), params)
    page = paths.REPORT.read_text(encoding="utf-8")
    assert sorted(file.name for file in paths.PLOTS.iterdir()) == ["heatmap.png", "means.png"]
    assert page.count("<img") == 2
    assert "How alike" not in page
    assert "25.0 %" not in page


@pytest.mark.parametrize("damage", ["{", "[]", json.dumps({**SIMILARITY, "experts": ["maths", "old"]})])
def test_cosines_that_are_broken_or_of_other_experts_are_left_out(params: Params, damage: str) -> None:
    write(paths.SIMILARITY, damage)
    write_results(gather_files(params), params)
    assert "How alike" not in paths.REPORT.read_text(encoding="utf-8")


def test_interference_left_is_summed_before_it_is_divided(params: Params) -> None:
    """(0.5 + 0.5 + 0) of (3 + 1 + 0); what was measured on no layer, or is 0 throughout, has a dash."""
    board = gather_files(params)
    nothing = {name: dict.fromkeys(layer, 0.0) for name, layer in LAYERS.items()}
    write(paths.merged("same") / "merge.json", json.dumps({"layers": nothing}))
    left = {row["name"]: row["interference"] for row in recipe_rows(board, params)}
    assert left == {"wudi": "25.0", "same": "–", "average": "–"}


def test_forty_recipes_with_long_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures grow with the table and stay of a size that opens everywhere."""
    monkeypatch.chdir(tmp_path)
    names = [f"recipe_{number:02d}_".ljust(60, "x") for number in range(40)]
    models = {name: ANSWERS[name] for name in ("base", "gsm", "maths")}
    models |= {name: {"gsm8k": pattern(30 - n // 2, 40), "math": pattern(10, 20)} for n, name in enumerate(names)}
    params = make_project(tmp_path, models, names, dict.fromkeys(names, LAYERS))
    board = gather_files(params)
    write_results(board, params)
    for name, low, high in (("heatmap", 43 * 40, 2600), ("means", 43 * 40, 2600), ("interference", 400, 800)):
        with Image.open(paths.PLOTS / f"{name}.png") as picture:
            picture.load()
            assert picture.format == "PNG"
            assert 700 < picture.width < 2000
            assert low < picture.height < high
            assert picture.info.get("Software") is None
    assert len(board.between_recipes) == 40 * 39 / 2


def test_how_it_was_measured_and_warnings_are_in_the_report(params: Params) -> None:
    """What models have in common stands once, where they differ all values do."""
    for name in params.models():
        edit_scores(name, backend="hf", device="cuda:0", dtype="bfloat16", batch_size=16)
    edit_scores("wudi", dtype="float32", batch_size=None, warnings=["programs ran <without> a sandbox"])
    write_results(gather_files(params), params)
    page = paths.REPORT.read_text(encoding="utf-8")
    assert "backend hf; device cuda:0; data type bfloat16, float32; batch size 16, –" in page
    assert "<li>wudi: programs ran &lt;without&gt; a sandbox</li>" in page


def test_few_recipes_make_small_pictures(params: Params) -> None:
    """A picture of 6 rows is not a page long."""
    write_results(gather_files(params), params)
    for plot in PLOTS:
        with Image.open(paths.RESULTS / plot) as picture:
            assert 300 < picture.width < 1200
            assert 200 < picture.height < 700


@pytest.mark.usefixtures("params")
def test_the_stage_prints_one_line_and_its_warnings(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The finding, the groups and where the report lies; no half-written file is left."""
    monkeypatch.setattr("sys.argv", ["record"])
    edit_scores("wudi", warnings=["the [backend] is not deterministic"])
    record.main()
    out, err = capsys.readouterr()
    assert out.startswith("wudi and same share the first rank of 3 recipes")
    assert out.endswith("Group a: wudi, same. Group b: average. Report: results/report.html\n")
    assert out.count("\n") == 1
    assert err.splitlines()[-1] == "warning: wudi: the [backend] is not deterministic"
    assert not list(paths.RESULTS.rglob("*.partial"))


@pytest.mark.usefixtures("params")
def test_a_mistake_is_one_line_and_status_1(tmp_path: Path) -> None:
    """As a user meets it, in a process of its own."""
    paths.scores("gsm").unlink()
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    arguments = [sys.executable, "-m", "tasks.record"]
    failed = subprocess.run(arguments, env=environment, capture_output=True, text=True, check=False)
    assert failed.returncode == 1
    assert failed.stderr == "error: scores/gsm.json: not found; make it with: dvc repro evaluate_expert@gsm\n"
