"""Methods of other packages, which entry points add."""

import itertools
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.conftest import ROOT, moved, random_tensors, write_model
from tests.wudi.merges import Trio, all_tensors, nothing_written, task_vectors
from wudi import METHODS, Recipe, WudiError
from wudi.methods.registry import GROUP, Registry

MEDIAN = '''
import torch

from wudi import METHODS, Layer, Method, Recipe, Update
from wudi.settings import EverywhereSettings


def median(layer: Layer, settings: EverywhereSettings) -> Update:
    """Take the median of the task vectors at each entry."""
    return Update(layer.stacked().median(dim=0).values)


METHOD = Method(name="median", source="(paper, year)", settings=EverywhereSettings, merge=median)
'''
NUMBERS = itertools.count()


def package(folder: Path, entries: str, code: str = MEDIAN) -> str:
    """An installed package with entry points, in which {module} stands for its module; returns the module's name."""
    name = f"added_methods_{next(NUMBERS)}"
    described = folder / f"{name}-1.0.dist-info"
    described.mkdir(parents=True)
    (folder / f"{name}.py").write_text(code)
    (described / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (described / "entry_points.txt").write_text(f"[{GROUP}]\n{entries.format(module=name)}\n")
    return name


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of installed packages that this process sees."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    return folder


def command(folder: Path, *arguments: str, module: str = "wudi", cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """`python -m wudi` where the packages of `folder` are installed."""
    path = os.pathsep.join([str(folder), str(ROOT)])
    environment = {**os.environ, "PYTHONPATH": path, "COLUMNS": "200"}
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        env=environment,
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.long
def test_another_package_s_method_is_listed_and_merges(trio: Trio, tmp_path: Path) -> None:
    package(tmp_path / "site", "median = {module}:METHOD")
    listed = command(tmp_path / "site", "methods")
    assert listed.returncode == 0, listed.stderr
    assert "median\n  Take the median of the task vectors at each entry.\n  (paper, year)" in listed.stdout
    out = tmp_path / "out"
    base, experts = trio
    flags = ["--method=median", "--set", "scale=0.5", f"--out={out}", "--device=cpu"]
    merged = command(tmp_path / "site", "merge", str(base), *map(str, experts), *flags)
    assert merged.returncode == 0, merged.stderr
    weights, found = all_tensors(base), all_tensors(out)
    for name, deltas in task_vectors(trio).items():
        middle = torch.stack(deltas).sort(dim=0).values[1]
        torch.testing.assert_close(found[name], weights[name] + 0.5 * middle)


def test_names_that_other_packages_add_come_after_the_own_ones(site: Path) -> None:
    package(site, "median = {module}:METHOD")
    registry = Registry()
    assert list(registry) == [*METHODS, "median"]
    assert len(registry) == len(METHODS) + 1
    assert "median" in registry and "mode" not in registry
    assert registry["median"] is registry["median"]
    assert registry["median"].name == "median"
    with pytest.raises(KeyError):
        registry["mode"]


BROKEN = {
    "no module": ("median = no_such_module:METHOD", "does not load (ModuleNotFoundError: No module named 'no_such"),
    "no such name": ("median = {module}:MEDIAN", "does not load (AttributeError: "),
    "no Method": ("median = {module}:median", "got function; takes a Method"),
    "another name": ("middle = {module}:METHOD", "its Method is named median; give both one name"),
    "taken": ("ties = {module}:METHOD", "the name is taken"),
}


@pytest.mark.parametrize(("entry", "says"), BROKEN.values(), ids=BROKEN)
def test_an_entry_point_that_cannot_be_used_is_one_line_and_in_the_way_of_no_other(
    entry: str, says: str, site: Path
) -> None:
    module = package(site, entry)
    registry, name = Registry(), entry.partition(" ")[0]
    with pytest.raises(WudiError) as caught:
        registry[name]
    message = str(caught.value)
    assert message.startswith(f"entry point {entry.format(module=module)} of the package {module} in {GROUP}: ")
    assert says in message
    assert "\n" not in message
    assert all(registry[own] is METHODS[own] for own in METHODS if own != name)


@pytest.mark.parametrize("code", ["1 / 0", "raise RuntimeError('two\\nlines')", "def f(:", "import no_such_module"])
def test_a_module_that_fails_on_import(code: str, site: Path) -> None:
    package(site, "median = {module}:METHOD", code)
    with pytest.raises(WudiError, match="does not load") as caught:
        Registry()["median"]
    assert "\n" not in str(caught.value)


def test_two_packages_with_one_name(site: Path) -> None:
    modules = [package(site, "median = {module}:METHOD") for _ in range(2)]
    registry = Registry()
    assert list(registry).count("median") == 1
    with pytest.raises(WudiError, match=rf"entry point median = {modules[1]}:METHOD .*the name is taken"):
        registry["median"]


def test_a_recipe_names_the_broken_package(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package(site, "median = {module}:METHOD", "1 / 0")
    monkeypatch.setattr("wudi.recipe.METHODS", Registry())
    with pytest.raises(WudiError, match="ZeroDivisionError"):
        Recipe.parse({"method": "median"})
    with pytest.raises(WudiError, match=r"did you mean median\?"):
        Recipe.parse({"method": "medain"})
    assert Recipe.parse({"method": "ties"}).method is METHODS["ties"]


def test_the_command_says_it_in_one_line_and_runs_the_other_methods(tmp_path: Path) -> None:
    package(tmp_path / "site", "median = {module}:METHOD", "1 / 0")
    base = write_model(tmp_path / "base", random_tensors(0))
    expert = write_model(tmp_path / "expert", moved(random_tensors(0), 1))

    def merged(method: str) -> subprocess.CompletedProcess[str]:
        flags = [f"--method={method}", f"--out={tmp_path / method}", "--device=cpu"]
        return command(tmp_path / "site", "merge", str(base), str(expert), *flags)

    for failed in (command(tmp_path / "site", "methods"), merged("median")):
        assert failed.returncode == 1
        assert failed.stderr.startswith("error: entry point median = ")
        assert len(failed.stderr.splitlines()) == 1
    assert nothing_written(tmp_path / "median")
    assert merged("average").returncode == 0


def test_the_pipeline_s_merge_says_it_in_one_line(tmp_path: Path) -> None:
    package(tmp_path / "site", "median = {module}:METHOD", "1 / 0")
    text = (ROOT / "params.yaml").read_text()
    (tmp_path / "params.yaml").write_text(text.replace("average: {method: average}", "average: {method: median}"))
    failed = command(tmp_path / "site", "average", module="tasks.merge", cwd=tmp_path)
    assert failed.returncode == 1
    assert "entry point median = " in failed.stderr
    assert "Traceback" not in failed.stderr
