"""Every mistake in params.yaml is one line: its path, what was found, what is allowed, the nearest valid name."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from dvc.utils.serialize import modify_yaml

from tasks.params import Params, load_params
from tasks.strict import ParamsError
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


@pytest.mark.parametrize("file", [ROOT / "params.yaml", *sorted((ROOT / "experiments").glob("*.yaml"))], ids=str)
def test_dvc_can_edit_the_files(file: Path, tmp_path: Path) -> None:
    """`dvc exp run -S` writes the file anew, without quotes."""
    copy = shutil.copy(file, tmp_path / "params.yaml")
    with modify_yaml(copy) as values:
        values["zoo"]["seed"] = 7
    changed, before = yaml.safe_load(Path(copy).read_text()), yaml.safe_load(file.read_text())
    assert changed == before | {"zoo": before["zoo"] | {"seed": 7}}
    load_params(Path(copy))


def test_a_key_that_stands_twice_is_a_mistake(tmp_path: Path) -> None:
    """YAML would take the last one."""
    file = tmp_path / "params.yaml"
    file.write_text((ROOT / "params.yaml").read_text() + "zoo:\n  seed: 1\n")
    with pytest.raises(ParamsError, match=r"params\.yaml: not valid YAML: .*zoo.*twice.*line"):
        load_params(file)
    file.write_text("? [zoo]\n: {seed: 1}\n")
    with pytest.raises(ParamsError, match=r"params\.yaml: not valid YAML: found unhashable key"):
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
        ("evaluation.batch_size", True, ["evaluation.batch_size: got True", "takes auto, or a whole number"]),
        ("evaluation.benchmarks.math.limit", True, ["evaluation.benchmarks.math.limit: got True"]),
        ("evaluation.benchmarks.math.num_fewshot", "7", ["evaluation.benchmarks.math.num_fewshot: got '7'"]),
        ("evaluation.server", {"url": "http://a/v1"}, ["evaluation: has a section server, but backend is hf"]),
        ("evaluation.backend", "server", ["evaluation: backend server takes a section server"]),
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


def test_the_usual_benchmarks_go_by_their_names(tmp_path: Path) -> None:
    names = {"gsm8k": None, "math": {"limit": 3}, "math500": {}, "humaneval": {"num_fewshot": 1}, "mbpp": {"task": "x"}}
    experts = {"one": {"source": "a/b", "revision": None, "benchmarks": list(names)}}
    benchmarks = parsed(tmp_path, ("evaluation.benchmarks", names), ("experts", experts)).evaluation.benchmarks
    tasks = {name: row.task for name, row in benchmarks.items()}
    assert tasks == dict.fromkeys(names) | {
        "gsm8k": "gsm8k", "math": "minerva_math", "math500": "minerva_math500", "humaneval": "humaneval", "mbpp": "x",
    }  # fmt: skip
    assert (benchmarks["math"].limit, benchmarks["humaneval"].num_fewshot) == (3, 1)


def test_other_benchmarks_name_their_task(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match=r"evaluation\.benchmarks\.mine\.task: missing"):
        parsed(tmp_path, ("evaluation.benchmarks.mine", {"limit": 3}))


@pytest.mark.parametrize(
    ("server", "says"),
    [
        ({"command": "serve {model}"}, r"server\.command: got 'serve \{model\}'; takes \{model\} and \{port\}"),
        ({"command": "serve {model"}, "braces of your own doubled"),
        ({"url": "localhost:8000"}, r"server\.url: got 'localhost:8000'; takes an address"),
        ({}, "takes either command .* or url"),
        ({"url": "http://a/v1", "command": "serve {model} {port}"}, "takes either command .* or url"),
        ({"url": "http://a/v1", "concurency": 3}, "did you mean concurrency"),
    ],
)
def test_mistakes_about_servers(server: dict[str, Any], says: str, tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match=says):
        parsed(tmp_path, ("evaluation.backend", "server"), ("evaluation.server", server))
