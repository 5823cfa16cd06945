"""The report and its pictures."""

import json
import re
import shutil
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
from tasks.params import Params
from tasks.report.checkout import checkout
from tasks.report.commands import everything
from tasks.report.cost import cost
from tasks.report.merges import interference_rows
from tasks.report.sources import pinned, recipe_rows, source_rows
from tests.conftest import ROOT
from tests.tasks.board_tools import edit_scores
from tests.tasks.small_project import LAYERS, SIMILARITY, make_project, write

OUTPUTS = ["scores.csv", "comparisons.csv", "metrics.json"]
PLOTS = [f"plots/{name}.png" for name in ("heatmap", "means", "interference", "similarity", "similarity_kinds")]


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


class Tags(HTMLParser):
    """What a page loads, and whether its tags close."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attributes)
        if tag not in ("meta", "img", "link", "br", "hr"):
            self.open.append(tag)

    def handle_startendtag(self, _tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.addresses += [value or "" for name, value in attributes if name in ("src", "href", "srcset", "data")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_report_stands_alone(params: Params) -> None:
    """Nothing is loaded from elsewhere, every tag closes, pictures are inside."""
    page = written(params)
    parser = Tags()
    parser.feed(page)
    assert parser.open == []
    assert all(address.startswith(("#", "data:,")) for address in parser.addresses)
    assert "url(" not in page
    assert "@import" not in page
    for words in (
        "wudi and same share the first rank",
        "wudi is told apart from average",
        "Group a: wudi, same. Group b: average.",
        "wudi is above the base, which has 5.0.",
        "<td>1.9</td>",
        "gsm (expert)",
        "iterations: 300",
        "5.2 %",
        "How alike the experts are",
        "-0.25 <small>gsm and maths</small>",
    ):
        assert words in page, words
    assert "-0.00<" not in page


def written(params: Params) -> str:
    """The report of what lies in the working folder, without what rows are sorted by."""
    write_results(gather_files(params), params)
    return re.sub(r' data-key="[^"]*"', "", paths.REPORT.read_text(encoding="utf-8"))


def test_without_interference_and_similarity_the_report_does_without(params: Params) -> None:
    """No empty picture, no empty table, and none that an earlier run has left."""
    assert 'id="merges"' in written(params)
    paths.SIMILARITY.unlink()
    write(paths.merged("wudi") / "merge.json", json.dumps({"layers": {}}))
    page = written(params)
    assert sorted(file.name for file in paths.PLOTS.iterdir()) == ["heatmap.png", "means.png"]
    assert 'id="merges"' not in page
    assert "How alike" not in page


def test_what_was_not_timed_is_a_dash(params: Params) -> None:
    """Never a 0, which would be the fastest; without any seconds there is nothing to say about cost."""
    write(paths.timing("merge", "same"), json.dumps({"seconds": 0.5}))
    paths.timing("merge", "average").unlink()
    found = cost(gather_files(params))
    assert found is not None
    assert {row["name"]: (row["merge"].text, row["merge"].key, row["standing"]) for row in found.rows[:3]} == {
        "wudi": ("1.9", "1.93", "same is no worse and takes no longer"),
        "same": ("0.5", "0.5", "on the front"),
        "average": ("–", "", "–"),
    }
    assert found.front == ["same"]
    shutil.rmtree(paths.TIMINGS)
    assert cost(gather_files(params)) is None


def test_what_is_said_of_cost_is_said_of_the_recipes_that_have_one(params: Params) -> None:
    """One of which no seconds are known may merge faster than any; beside one alone there is nothing to say."""
    write(paths.timing("merge", "same"), json.dumps({"seconds": 0.5}))
    assert "No recipe scores higher than <b>same</b>, and none merges faster." in written(params)
    for untimed, words in (("average", ["None of the 2 recipes that have a mean and seconds"]), ("wudi", [])):
        paths.timing("merge", untimed).unlink()
        paths.LEADERBOARD.unlink()
        assert re.findall(r"No.*(?= scores higher than)", written(params)) == words


def test_sources_have_their_commits_and_recipes_their_settings(params: Params) -> None:
    """The commit is what the merges read; settings of one's own stand before the defaults."""
    sources = {"base": "zoo:base@0123abc", "experts/gsm": "zoo:gsm8k@4567def", "experts/maths": "./an@other"}
    write(paths.merged("wudi") / "merge.json", json.dumps({"sources": sources}))
    board = gather_files(params)
    assert [row["commit"] for row in source_rows(board, params)] == ["0123abc", "4567def", ""]
    settings = {row["name"]: row["settings"] for row in recipe_rows(board, params)}
    assert [setting["text"] for setting in settings["wudi"] if setting["chosen"]] == []
    assert {"text": "iterations: 300", "chosen": False} in settings["wudi"]
    assert "revision: 4567def" in pinned(board, params)


def test_the_page_says_what_is_checked_out(tmp_path: Path) -> None:
    """The commit and what differs from it, beside what any run writes; no password of the remote's."""
    assert checkout(tmp_path) is None
    git = ["git", "-C", str(tmp_path), "-c", "user.name=A", "-c", "user.email=a@example.org"]
    subprocess.run([*git, "init", "--quiet"], check=True)
    assert checkout(tmp_path) is None
    for file in ("params.yaml", "dvc.lock", "tasks.py"):
        write(tmp_path / file, "before")
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "--quiet", "--message", "First"], check=True)
    subprocess.run([*git, "remote", "add", "origin", "https://me:secret@example.org/merges/our-runs.git"], check=True)
    for file in ("params.yaml", "dvc.lock", "new.py"):
        write(tmp_path / file, "after")
    found = checkout(tmp_path)
    assert found is not None
    assert found.commit == subprocess.check_output([*git, "rev-parse", "HEAD"], text=True).strip()
    assert found.changed == ["params.yaml"]
    assert (found.url, found.folder) == ("https://example.org/merges/our-runs.git", "our-runs")
    assert f"git checkout {found.commit}" in everything(found)


@pytest.mark.parametrize("damage", ["{", "[]", json.dumps({**SIMILARITY, "experts": ["maths", "old"]})])
def test_cosines_that_are_broken_or_of_other_experts_are_left_out(params: Params, damage: str) -> None:
    write(paths.SIMILARITY, damage)
    assert "How alike" not in written(params)


def test_interference_left_is_summed_before_it_is_divided(params: Params) -> None:
    """(0.5 + 0.5 + 0) of (3 + 1 + 0); what was measured on no layer, or is 0 throughout, has a dash."""
    board = gather_files(params)
    nothing = {name: dict.fromkeys(layer, 0.0) for name, layer in LAYERS.items()}
    write(paths.merged("same") / "merge.json", json.dumps({"layers": nothing}))
    left = {row["name"]: row["left"].text for row in interference_rows(board)}
    assert left == {"wudi": "25.0", "same": "–", "average": "–"}


def test_how_it_was_measured_and_warnings_are_in_the_report(params: Params) -> None:
    """What models have in common stands once, where they differ all values do."""
    for name in params.models():
        edit_scores(name, backend="hf", device="cuda:0", dtype="bfloat16", batch_size=16)
    edit_scores("wudi", dtype="float32", batch_size=None, warnings=["programs ran <without> a sandbox"])
    page = written(params)
    for name, value in {
        "backend": "hf",
        "device": "cuda:0",
        "data type": "bfloat16, float32",
        "batch size": "16, –",
    }.items():
        assert f"<dt>{name}</dt><dd>{value}</dd>" in page
    assert "<li>wudi: programs ran &lt;without&gt; a sandbox</li>" in page


def test_few_recipes_make_small_pictures(params: Params) -> None:
    """A picture of 6 rows is not a page long."""
    write_results(gather_files(params), params)
    for plot in PLOTS:
        with Image.open(paths.RESULTS / plot) as picture:
            assert 300 < picture.width < 1200
            assert 100 < picture.height < 700


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
    made = "make it with: dvc repro evaluate_expert@gsm, or see what is there with --partial"
    assert failed.stderr == f"error: scores/gsm.json: not found; {made}\n"
