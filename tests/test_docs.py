"""docs/recipes.md says of every method what the registry says."""

import re
from dataclasses import fields

import pytest

from tests.conftest import ROOT
from wudi import METHODS
from wudi.commands.methods import in_words
from wudi.settings import EverywhereSettings, Settings, default_of

COMMON = {declared.name: default_of(declared) for declared in fields(Settings)} | {"rest": None}


def table() -> dict[str, list[str]]:
    """The cells of each method's row."""
    lines = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8").splitlines()
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in lines if line.startswith("| `")]
    return {row[0].strip(" `"): [cell.strip() for cell in row] for row in rows}


def test_the_table_has_every_method_of_this_package() -> None:
    def everywhere(name: str) -> bool:
        return issubclass(METHODS[name].settings, EverywhereSettings)

    assert sorted(table()) == sorted(METHODS)
    assert list(table()) == sorted(table(), key=everywhere, reverse=True)


@pytest.mark.parametrize("method", METHODS)
def test_each_row_has_the_settings_and_their_defaults(method: str) -> None:
    own = [declared for declared in fields(METHODS[method].settings) if declared.name not in ("rest",)]
    expected = {
        f"{declared.name}: {in_words(default_of(declared))}"
        for declared in own
        if declared.name not in COMMON or default_of(declared) != COMMON[declared.name]
    }
    assert set(re.findall(r"`([^`]+)`", table()[method][2])) == expected


@pytest.mark.parametrize("method", METHODS)
def test_each_row_has_the_paper(method: str) -> None:
    for number in re.findall(r"arxiv.org/abs/(\d{4}\.\d{5})", table()[method][3]):
        assert number in METHODS[method].source
