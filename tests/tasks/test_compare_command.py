"""`python -m tasks.compare`: what it prints and writes, and its one line for a mistake."""

import io
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from tasks.versions import Comparison, History, compare
from tasks.versions.pictures import pictures
from tasks.versions.report import render
from tasks.versions.show import print_comparison
from tests.conftest import ROOT
from tests.tasks.small_project import ANSWERS, pattern
from tests.tasks.versions_project import NEW_MATHS, Project

NIGHT = "night/2026-11-03"


def ended(folder: Path, *arguments: str) -> tuple[int, str, str]:
    """Status, output and errors of the command in a folder."""
    command = [sys.executable, "-P", "-m", "tasks.compare", *arguments]  # -P: the folder has stubs of its own
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout, done.stderr


def printed(comparison: Comparison, width: int = 80, *, terminal: bool = False, benchmark: str = "mean") -> list[str]:
    """The lines of `print_comparison`, without colours."""
    out = io.StringIO()
    console = Console(file=out, width=width, force_terminal=terminal, highlight=False, soft_wrap=True)
    print_comparison(console, comparison, benchmark)
    return re.sub(r"\x1b\[[\d;]*m", "", out.getvalue()).splitlines()


@pytest.fixture(scope="module")
def comparison(told: Project) -> Comparison:
    return compare(History(told.root).nights())


def test_every_night_has_a_row_and_every_recipe_a_column(told: Project) -> None:
    status, output, errors = ended(told.root)
    assert (status, errors) == (0, "")
    lines = output.splitlines()
    assert lines[0].split() == ["version", "same", "until", "average", "wudi", "same", "best"]
    assert lines[2].split() == ["night/2026-11-01", "night/2026-11-02", "(2)", "22.5", "*50.0", "*50.0"]
    assert lines[3].split() == [NIGHT, "22.5", "▼27.5", "*50.0"]
    assert lines[5].split() == ["night/2026-11-03.10", "?26.7", "?33.3", "?56.7", "?*95.0"]
    moves = f"  {NIGHT}: expert maths a1b2c3d -> fffffff, recipe wudi iterations set to 100; told apart: wudi -22.5"
    assert moves in lines
    assert lines[lines.index("What moved:") + 4] == ""
    assert lines[-1].startswith("4 recipes do as before on every question asked in both")


def test_the_command_needs_no_torch() -> None:
    program = "import sys, tasks.compare, tasks.versions.show; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT).returncode == 0


def test_revisions_patterns_and_benchmarks_can_be_chosen(told: Project) -> None:
    _, output, _ = ended(told.root, "night/2026-11-0[12]", "HEAD", "--benchmark", "gsm8k", "--last", "1")
    lines = output.splitlines()
    assert lines[2].split() == ["HEAD", "20.0", "20.0", "60.0", "*90.0"]
    assert lines[-1] == "There is one version, and nothing to compare it with yet."
    assert any(line.startswith("Scores on gsm8k in percent.") for line in lines)


def test_the_workspace_comes_after_the_nights_if_it_is_another(told: Project, tmp_path: Path) -> None:
    project = told.copy(tmp_path / "copy")
    project.night(None, {**ANSWERS, "wudi": {"gsm8k": pattern(40, 40), "math": pattern(20, 20)}})
    _, output, _ = ended(project.root, "--last", "1")
    assert [line.split()[0] for line in output.splitlines()[2:4]] == ["night/2026-11-03.10", "workspace"]
    project.git("tag", "-d", *project.git("tag").split())
    _, output, _ = ended(project.root)
    assert output.splitlines()[2].split()[0] == "workspace"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["night/2026-11-3"], "error: night/2026-11-3: no such revision; did you mean night/2026-11-03"),
        (["--benchmark", "gsm"], "error: --benchmark gsm: no version was measured on it; did you mean gsm8k?"),
        (["--csv", "dvc.yaml/x.csv"], "error: dvc.yaml/x.csv: cannot be written"),
    ],
)
def test_a_mistake_is_one_line(told: Project, arguments: list[str], words: str) -> None:
    status, _, errors = ended(told.root, *arguments)
    assert status == 1
    assert errors.startswith(words)
    assert errors.count("\n") == 1


def test_outside_of_git(tmp_path: Path) -> None:
    status, output, errors = ended(tmp_path)
    assert (status, output) == (1, "")
    assert "not in a git repository" in errors


def test_last_takes_a_number_above_0(told: Project) -> None:
    assert ended(told.root, "--last", "0")[0] == 2


def test_tables_for_pandas_and_pages_for_people(told: Project, tmp_path: Path) -> None:
    csv, page = tmp_path / "new" / "versions.csv", tmp_path / "new" / "versions.html"
    status, output, _ = ended(told.root, "--csv", str(csv), "--report", str(page))
    assert status == 0
    assert output.splitlines()[-2:] == [f"wrote {csv}", f"wrote {page}"]
    table = pd.read_csv(csv, parse_dates=["when"])
    means = table[table["benchmark"] == "mean"].pivot(index="version", columns="model", values="score")
    assert means.loc[NIGHT, "wudi"] == pytest.approx(0.275)
    assert table.groupby("version")["names"].first().to_dict()["night/2026-11-01"] == 2
    assert sorted(path.name for path in csv.parent.iterdir()) == ["versions.csv", "versions.html"]


class Page(HTMLParser):
    """What a page loads, its headers, and whether its tags close."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.pictures: list[str] = []
        self.open: list[str] = []
        self.scopes: list[str | None] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = dict(attributes)
        self.addresses += [value or "" for name, value in attributes if name in ("src", "href", "srcset", "data")]
        if tag == "svg":
            self.pictures.append(values["aria-labelledby"] or "")
        if tag == "th":
            self.scopes.append(values.get("scope"))
        if tag not in ("meta", "img", "link", "br", "hr"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_report_stands_alone_and_can_be_read_aloud(comparison: Comparison) -> None:
    text = render(comparison)
    page = Page()
    page.feed(text)
    assert page.open == []
    assert page.addresses == ["data:,"]
    assert len(page.pictures) == 2
    assert all(f'id="{words}"' in text for names in page.pictures for words in names.split())
    assert set(page.scopes) == {"col", "row"}
    for absent in ("url(", "@import", "://", "<script"):
        assert absent not in text
    assert text.index("Highest mean score of 4 versions") < text.index("<table")
    assert 'aria-label="lower than in the version before"' in text
    assert "math: questions 20 -&gt; 15" in text


def test_pictures_are_the_same_bytes_each_time(comparison: Comparison) -> None:
    one, other = pictures(comparison), pictures(comparison)
    assert one == other
    assert set(one) == {"mean", "benchmarks"}


def test_a_single_version_has_a_report(comparison: Comparison) -> None:
    text = render(compare(comparison.versions[:1]))
    assert "nothing to compare it with yet" in text
    assert "The last step" not in text


def test_a_narrow_terminal_has_a_line_for_each_version_and_recipe(comparison: Comparison) -> None:
    lines = printed(comparison, 50, terminal=True)
    assert all(len(line) <= 50 for line in lines)
    rows = [line.split() for line in lines]
    assert ["wudi", "▼27.5", "-22.5"] in rows
    assert printed(comparison, 50) == printed(comparison, 200)


def test_an_encoding_without_triangles(comparison: Comparison) -> None:
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    print_comparison(Console(file=out, width=80, soft_wrap=True), comparison)
    out.seek(0)
    assert "v27.5" in out.read()


def test_sixty_nights_are_sixty_rows_at_most(told: Project, tmp_path: Path) -> None:
    """Those in which nothing changed are one."""
    project = told.copy(tmp_path / "copy")
    project.git("tag", "-d", *project.git("tag").split())
    project.night("night/2027-01-01")
    for day in range(2, 31):
        project.git("tag", f"night/2027-01-{day:02d}")
    project.night("night/2027-02-01", experts__maths__revision=NEW_MATHS)
    for day in range(2, 29):
        project.git("commit", "-q", "--allow-empty", "-m", f"night {day}")
        project.git("tag", f"night/2027-02-{day:02d}")
    lines = printed(compare(History(project.root).nights()))
    assert [line.split()[:3] for line in lines[2:4]] == [
        ["night/2027-01-01", "night/2027-01-30", "(30)"],
        ["night/2027-02-01", "night/2027-02-28", "(28)"],
    ]
    assert lines[4].startswith("Mean scores in percent")
