"""Every mistake in params.yaml is one line: its path, what was found, what is allowed, the nearest valid name."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tasks.params import Params, ParamsError, load_params
from tests.conftest import ROOT


def parsed(tmp_path: Path, *edits: tuple[str, Any]) -> Params:
    """The project's params.yaml with some dotted paths set to other values (`...` deletes)."""
    values = yaml.safe_load((ROOT / "params.yaml").read_text())
    for path, value in edits:
        *parents, last = path.split(".")
        section = values
        for parent in parents:
            section = section[parent]
        if value is ...:
            del section[last]
        else:
            section[last] = value
    file = tmp_path / "params.yaml"
    file.write_text(yaml.safe_dump(values))
    return load_params(file)


def test_the_projects_own_file_is_sound(tmp_path: Path) -> None:
    params = parsed(tmp_path)
    assert params.expert_in("math") == "math"
    assert list(params.models())[:2] == ["base", "gsm8k"]
    assert params.models()["wudi"] == "recipe"
    with pytest.raises(ValueError, match="frozen"):
        params.zoo.seed = 3  # type: ignore[misc]


@pytest.mark.parametrize("file", sorted((ROOT / "experiments").glob("*.yaml")), ids=lambda file: file.stem)
def test_the_experiments_are_sound(file: Path) -> None:
    load_params(file)


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("recipes.ties.method", "tie", ["recipes.ties.method: got 'tie'", "did you mean ties?"]),
        ("recipes.ties.density", 1.3, ["recipes.ties.density: got 1.3", "above 0 and at most 1"]),
        ("recipes.wudi.iteratons", 3, ["recipes.wudi.iteratons: no such setting", "did you mean iterations?"]),
        ("recipes.wudi", "wudi", ["recipes.wudi", "{method: NAME"]),
        ("recipes.gsm8k", {"method": "wudi"}, ["recipes.gsm8k", "taken by an expert"]),
        ("recipes.base", {"method": "wudi"}, ["recipes.base", "taken by the base"]),
        ("recipes", {}, ["recipes", "at least 1"]),
        ("recipes.wudi.method", ["wudi"], ["recipes.wudi.method: got ['wudi']"]),
        ("base.source", "./models/base", ["base.source", "outside models/"]),
        ("experts.math.revision", ..., ["experts.math.revision: missing"]),
        ("base.source", "zoo:bse", ["base.source: got 'zoo:bse'", "zoo:base"]),
        ("base.source", "llama", ["base.source: got 'llama'", "OWNER/NAME"]),
        ("base.sorce", "x", ["base.sorce: no such key", "did you mean source?"]),
        ("base", ..., ["base: missing"]),
        ("experts.math.revison", "x", ["experts.math.revison: no such key", "did you mean revision?"]),
        ("experts.math.benchmarks", ["maths"], ["experts.math.benchmarks: got 'maths'", "did you mean math?"]),
        ("experts.math.benchmarks", [], ["evaluation.benchmarks.math: got 0 experts", "takes exactly one"]),
        ("experts.mbpp.benchmarks", ["mbpp", "math"], ["got 2 experts", "math, mbpp"]),
        ("experts.my expert", {"source": "a/b", "revision": None}, ["experts.my expert", "takes letters"]),
        ("evaluation.bachend", "hf", ["evaluation.bachend: no such key", "did you mean backend?"]),
        ("evaluation.backend", "tgi", ["evaluation.backend: got 'tgi'", "takes 'hf'"]),
        ("evaluation.batch_size", 0, ["evaluation.batch_size: got 0", "takes auto, or a whole number"]),
        ("evaluation.sandbox", "docker", ["evaluation.sandbox: got 'docker'", "'bubblewrap' or 'none'"]),
        ("evaluation.benchmarks.math.limt", 3, ["evaluation.benchmarks.math.limt", "did you mean limit?"]),
        ("evaluation.benchmarks.math.limit", -3, ["evaluation.benchmarks.math.limit: got -3"]),
        ("base", "zoo:base", ["base: got 'zoo:base'", "takes a section of keys"]),
        ("merge.dtype", "int8", ["merge.dtype: got 'int8'", "bfloat16"]),
        ("zoo.base_step", 5, ["zoo.base_step: no such key", "did you mean base_steps?"]),
        ("zoo.seed", -1, ["zoo.seed: got -1"]),
        ("recipies", {}, ["recipies: no such key", "did you mean recipes?"]),
    ],
)
def test_mistakes(path: str, value: Any, says: list[str], tmp_path: Path) -> None:
    with pytest.raises(ParamsError) as caught:
        parsed(tmp_path, (path, value))
    message = str(caught.value)
    assert all(words in message for words in says), message
    assert len(message.splitlines()) == 1, message


def test_all_mistakes_at_once(tmp_path: Path) -> None:
    with pytest.raises(ParamsError) as caught:
        parsed(tmp_path, ("recipes.ties.density", 7), ("recipes.wudi.method", "x"), ("evaluation.batch_size", "big"))
    assert len(str(caught.value).splitlines()) == 3


def test_numbers_that_yaml_reads_as_text(tmp_path: Path) -> None:
    # PyYAML takes 1e-5 for a string, DVC for a number.
    file = tmp_path / "params.yaml"
    text = (ROOT / "params.yaml").read_text().replace("learning_rate: auto", "learning_rate: 1e-5")
    file.write_text(text)
    assert load_params(file).recipes["wudi"].as_dict()["learning_rate"] == 1e-5


@pytest.mark.parametrize(
    ("text", "says"), [("a: [", "not valid YAML"), ("", "takes the sections"), ("- 1", "takes the sections")]
)
def test_what_is_no_params_file(text: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(ParamsError, match=says):
        load_params(tmp_path / "params.yaml")


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match="not found"):
        load_params(tmp_path / "params.yaml")
