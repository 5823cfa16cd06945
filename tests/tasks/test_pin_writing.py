"""Revisions written into params.yaml: whatever the shape of the file, nothing else in it changes."""

import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from dvc.utils.serialize import load_yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.params import load_params
from tasks.pinning import Pin, write_pins
from tests.conftest import ROOT
from wudi.errors import WudiError

OWN = yaml.safe_load((ROOT / "params.yaml").read_text())
REST = yaml.safe_dump({key: value for key, value in OWN.items() if key not in ("base", "experts")})
A, B, DIGITS, FLOAT, BINARY = "a" * 40, "c1" * 20, "7" * 40, "12e5" + "0" * 36, "0b" + "01" * 19
EXPERT_IN_ALL = "benchmarks: [gsm8k, math, humaneval, mbpp]"


def pins(**commits: str) -> tuple[Pin, ...]:
    return tuple(Pin(name=name, source="a/b", wanted=None, commit=commit) for name, commit in commits.items())


def revisions(values: Any) -> dict[str, Any]:
    return {name: model["revision"] for name, model in {"base": values["base"], **values["experts"]}.items()}


def written(folder: Path, text: str, **commits: str) -> str:
    """The file after the pins; DVC and PyYAML read the commits in it, as text."""
    file = folder / "params.yaml"
    file.write_bytes((text + REST).encode())
    before = yaml.safe_load(text)
    assert write_pins(file, pins(**commits)) == (revisions(before) != revisions(before) | commits)
    found = file.read_bytes().decode()
    assert found.endswith(REST)
    for values in (yaml.safe_load(found), load_yaml(str(file))):
        assert revisions(values) == revisions(before) | commits
    load_params(file)
    assert not write_pins(file, pins(**commits))
    return found.removesuffix(REST)


@pytest.mark.parametrize(
    ("model", "pinned"),
    [
        ("base: {source: a/b, revision: null}", f"base: {{source: a/b, revision: {A}}}"),
        ("base: {revision: main, source: a/b} # x", f"base: {{revision: {A}, source: a/b}} # x"),
        ("base: {source: a/b, revision: }", f"base: {{source: a/b, revision: {A} }}"),
        ("base: {source: a/b, revision}", f"base: {{source: a/b, revision: {A}}}"),
        ('base: {"source": "a/b", "revision": "main"}', f'base: {{"source": "a/b", "revision": "{A}"}}'),
        ("base:\n  source: a/b\n  revision:    ~   # main", f"base:\n  source: a/b\n  revision:    {A}   # main"),
        ("base:\n  revision: 'v1.0'\n\n  source: a/b", f"base:\n  revision: '{A}'\n\n  source: a/b"),
        ("base:\n  revision:   # which\n  source: a/b", f"base:\n  revision: {A}   # which\n  source: a/b"),
        ("base:\n  revision: >-\n    main\n  source: a/b", f"base:\n  revision: {A}\n  source: a/b"),
        ("base:\n  revision: !!str main\n  source: a/b", f"base:\n  revision: {A}\n  source: a/b"),
        ("base:\r\n  revision: null\r\n  source: a/b", f"base:\r\n  revision: {A}\r\n  source: a/b"),
        ("\ufeffbase: {source: a/b, revision: ä} # ö", f"\ufeffbase: {{source: a/b, revision: {A}}} # ö"),
    ],
)
def test_one_value_changes(model: str, pinned: str, tmp_path: Path) -> None:
    rest = f"\nexperts:\n  e: {{source: 'zoo:math', revision: null, {EXPERT_IN_ALL}}}\n"
    assert written(tmp_path, model + rest, base=A) == pinned + rest


@pytest.mark.parametrize(
    ("text", "commits", "pinned"),
    [
        (
            "base: {source: a/b, revision: &which main}\nexperts: {e: {source: a/c, revision: *which, IN}}\n",
            {"base": A, "e": B},
            f"base: {{source: a/b, revision: &which {A}}}\nexperts: {{e: {{source: a/c, revision: {B}, IN}}}}\n",
        ),
        (
            "base: {source: a/b, revision: &no null}\nexperts: {e: {source: 'zoo:math', revision: *no, IN}}\n",
            {"base": A},
            f"base: {{source: a/b, revision: &no {A}}}\nexperts: {{e: {{source: 'zoo:math', revision: null, IN}}}}\n",
        ),
        (
            "base: &b {source: a/b, revision: null}\nexperts: {e: {<<: *b, source: a/c, IN}}\n",
            {"base": A, "e": B},
            f"base: &b {{source: a/b, revision: {A}}}\nexperts: {{e: {{revision: {B}, <<: *b, source: a/c, IN}}}}\n",
        ),
        (
            "base: &b\n  revision: v1\n  source: a/b\nexperts:\n  e:\n    <<: *b  # the base's\n    IN\n",
            {"e": B},
            "base: &b\n  revision: v1\n  source: a/b\nexperts:\n  e:\n"
            f"    revision: {B}\n    <<: *b  # the base's\n    IN\n",
        ),
        (
            "base: {source: a/b, revision: null}\nexperts:\n  e: &e {source: a/c, revision: null}\n"
            "  f: *e\n  g: {source: 'zoo:math', revision: null, IN}\n",
            {"e": B, "f": B},
            f"base: {{source: a/b, revision: null}}\nexperts:\n  e: &e {{source: a/c, revision: {B}}}\n"
            "  f: *e\n  g: {source: 'zoo:math', revision: null, IN}\n",
        ),
    ],
    ids=["alias", "alias of another", "merge", "merge in lines", "whole model"],
)
def test_anchors(text: str, commits: dict[str, str], pinned: str, tmp_path: Path) -> None:
    text, pinned = (part.replace("IN", EXPERT_IN_ALL) for part in (text, pinned))
    assert written(tmp_path, text, **commits) == pinned


def test_what_only_a_person_can_edit_is_left_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "params.yaml"
    file.write_text(
        f"base: {{source: a/b, revision: &x gsm8k}}\nexperts: {{e: {{source: a/c, revision: null, {EXPERT_IN_ALL}}}}}\n"
        + REST.replace("task: zoo_gsm8k", "task: *x")
    )
    before = file.read_text()
    with pytest.raises(WudiError, match=r"params\.yaml: .* give each model a line `revision: \.\.\.` of its own"):
        write_pins(file, pins(base=A))
    with pytest.raises(WudiError, match=r"has no experts\.ee"):
        write_pins(file, pins(ee=A))
    assert file.read_text() == before
    assert list(tmp_path.iterdir()) == [file]


def test_permissions_and_links_stay_and_nothing_is_written_in_vain(tmp_path: Path) -> None:
    file, link = tmp_path / "real.yaml", tmp_path / "params.yaml"
    file.write_text((ROOT / "experiments" / "llama-2-13b-trio.yaml").read_text())
    file.chmod(0o640)
    link.symlink_to(file.name)
    assert write_pins(link, pins(base=A))
    assert link.is_symlink()
    assert (file.stat().st_mode & 0o777, load_params(file).base.revision) == (0o640, A)
    os.utime(file, ns=(1, 1))
    assert not write_pins(link, pins(base=A))
    assert file.stat().st_mtime_ns == 1


@pytest.mark.parametrize("file", [ROOT / "params.yaml", *sorted((ROOT / "experiments").glob("*.yaml"))], ids=str)
def test_the_projects_own_files(file: Path, tmp_path: Path) -> None:
    text = file.read_text()
    names = ["base", *load_params(file).experts]
    copy = tmp_path / "params.yaml"
    text = text.replace("source: zoo:", "source: zoo/")
    copy.write_text(text)
    assert write_pins(copy, pins(**dict.fromkeys(names, A)))
    lines = zip(text.splitlines(), copy.read_text().splitlines(), strict=True)
    changed = [(old, new) for old, new in lines if old != new]
    assert len(changed) == len(names)
    assert all(new == old.replace("null", A) for old, new in changed)


commits = st.sampled_from([A, B, DIGITS, FLOAT, BINARY]) | st.text("0123456789abcdef", min_size=40, max_size=40)
spaces = st.sampled_from(["", " ", "   "])
comments = st.sampled_from(["", " # plain", "  # revision: null", " # 'quoted' {x: *y}"])
wishes = st.sampled_from(["null", "~", "", "main", "'v 1'", '"refs/pr/1"', "1.0", "12e5", "feature-x", f"'{B}'"])


@st.composite
def models(draw: st.DrawFn, name: str, indent: str) -> list[str]:
    """A model's text, cut in two where its revision stands: before it, the revision, behind it."""
    wish, comment, space = draw(wishes), draw(comments), draw(spaces)
    wish = f"'{wish}'" if re.fullmatch("[0-9.e]+", wish) else wish
    source = draw(st.sampled_from(["source: a/b", "'source': 'a/b'", 'source: "a/b"']))
    first = draw(st.booleans())
    lead = f"revision:{space} " if wish else "revision:"
    if wish and draw(st.booleans()):  # {in braces}
        before, after = ("", f", {source}") if first else (f"{source}, ", space)
        return [f"{indent}{name}: {{{space}{before}{lead}", wish, f"{after}}}{comment}\n"]
    deeper, blank = indent + "  " + space, draw(st.sampled_from(["", "\n", "# between\n"]))
    before, after = ("", f"{deeper}{source}\n") if first else (f"{deeper}{source}{comment}\n{blank}", blank)
    return [f"{indent}{name}:{comment}\n{before}{deeper}{lead}", wish, f"{comment}\n{after}"]


@st.composite
def files(draw: st.DrawFn) -> tuple[list[str], list[str]]:
    """A file in pieces, every second of which is a revision; and the models' names in their order."""
    names = [f"e{number}" for number in range(draw(st.integers(1, 3)))]
    zoo = f"  zoo: {{source: 'zoo:math', revision: null, {EXPERT_IN_ALL}}}\n"
    base, experts = draw(models("base", "")), [draw(models(name, "  ")) for name in names]
    pieces = list(base)
    pieces[-1] += f"experts:\n{zoo}"
    for before, wish, after in experts:
        pieces = [*pieces[:-1], pieces[-1] + before, wish, after]
    newline = draw(st.sampled_from(["\n", "\r\n"]))
    return [piece.replace("\n", newline) for piece in pieces], ["base", *names]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(file=files(), data=st.data())
def test_every_byte_but_those_of_the_revisions_stays(
    file: tuple[list[str], list[str]], data: st.DataObject, tmp_path: Path
) -> None:
    pieces, names = file
    asked = {name: data.draw(commits, name) for name in data.draw(st.sets(st.sampled_from(names), min_size=1))}
    found = written(tmp_path, "".join(pieces), **asked)
    expected = [re.escape(piece) for piece in pieces]
    for number, name in enumerate(sorted(asked, key=names.index), 1):
        expected[1 + 2 * names.index(name)] = rf" ?(['\"]?){asked[name]}\{number}"
    assert re.fullmatch("".join(expected), found)
