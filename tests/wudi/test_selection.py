"""include and exclude: what the method merges, what is left to `rest`, and patterns that fit nothing."""

from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from tests.wudi.merges import (
    Trio,
    all_tensors,
    assert_factors,
    bare_files,
    contents,
    interrupted,
    nothing_written,
    run,
    run_command,
    task_vectors,
)
from wudi import Layer, Recipe, WudiError

REST = {"average": 1 / 3, "base": 0.0, "sum": 1.0}
"""The factor on the sum of three task vectors."""
SCALE = 2.0
BLOCK = "model.layers.0."
Q, UP = f"{BLOCK}self_attn.q_proj.weight", f"{BLOCK}mlp.up_proj.weight"


def recipe(**settings: Any) -> dict[str, Any]:
    return {"method": "task_arithmetic", "scale": SCALE, "rest": "average", **settings}


def matches(name: str, *patterns: str) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


@pytest.mark.parametrize("rest", REST)
def test_include_is_what_the_method_merges_and_nothing_else(rest: str, trio: Trio, tmp_path: Path) -> None:
    include = ["*.q_proj.weight", "*.mlp.*"]
    out = run(*trio, tmp_path / "out", recipe(rest=rest, include=include)).out
    assert_factors(out, trio, lambda name: SCALE if matches(name, *include) else REST[rest])


@pytest.mark.parametrize("rest", REST)
def test_exclude_leaves_tensors_to_rest(rest: str, trio: Trio, tmp_path: Path) -> None:
    out = run(*trio, tmp_path / "out", recipe(rest=rest, exclude=["*.q_proj.weight", "*.mlp.*"])).out

    def factor(name: str) -> float:
        by_method = "proj" in name and not matches(name, "*.q_proj.weight", "*.mlp.*")
        return SCALE if by_method else REST[rest]

    assert_factors(out, trio, factor)


@pytest.mark.parametrize("rest", REST)
def test_exclude_takes_away_from_include(rest: str, trio: Trio, tmp_path: Path) -> None:
    settings = recipe(rest=rest, include=["*.self_attn.*"], exclude=["*.[kv]_proj.*"])
    out = run(*trio, tmp_path / "out", settings).out
    assert_factors(out, trio, lambda name: SCALE if matches(name, "*.q_proj.*", "*.o_proj.*") else REST[rest])


@pytest.mark.parametrize("rest", REST)
def test_a_method_for_all_tensors_merges_norms_that_are_included(rest: str, trio: Trio, tmp_path: Path) -> None:
    out = run(*trio, tmp_path / "out", recipe(rest=rest, include=["*norm.weight", "lm_head.*"])).out
    assert_factors(out, trio, lambda name: SCALE if matches(name, "*norm.weight", "lm_head.*") else REST[rest])


@pytest.mark.parametrize("method", [{"method": "wudi", "iterations": 20}, {"method": "swudi"}, {"method": "iso_c"}])
def test_a_method_for_linear_weights_reaches_the_head(method: dict[str, Any], trio: Trio, tmp_path: Path) -> None:
    out = run(*trio, tmp_path / "out", {**method, "include": ["lm_head.weight"], "rest": "base"}).out
    base, merged = all_tensors(trio[0]), all_tensors(out)
    expected = Recipe.parse(method).merge(Layer(deltas=task_vectors(trio)["lm_head.weight"])).delta
    torch.testing.assert_close(merged.pop("lm_head.weight"), base["lm_head.weight"] + expected)
    assert all(torch.equal(tensor, base[name]) for name, tensor in merged.items())


def test_include_all_gives_a_method_for_linear_weights_every_matrix(trio: Trio, tmp_path: Path) -> None:
    out = run(*trio, tmp_path / "out", {"method": "wudi_flow", "include": ["*"]}).out
    base, merged = all_tensors(trio[0]), all_tensors(out)
    for name, deltas in task_vectors(trio).items():
        flow = Recipe.parse({"method": "wudi_flow"}).merge(Layer(deltas=deltas)).delta if deltas[0].dim() == 2 else None
        update = torch.stack(deltas).mean(dim=0) if flow is None else flow
        torch.testing.assert_close(merged[name], base[name] + update, msg=name)


def test_patterns_decide_over_the_whole_model_s_threshold(trio: Trio, tmp_path: Path) -> None:
    """Of one tensor alone, TIES over the whole model is TIES over that tensor."""
    outs = [
        run(*trio, tmp_path / trim, {"method": "ties", "trim": trim, "include": [Q], "rest": "base"}).out
        for trim in ("model", "tensor")
    ]
    first, second = map(all_tensors, outs)
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("kind", ["include", "exclude"])
def test_a_method_for_every_tensor_is_told_what_the_others_get(kind: str) -> None:
    with pytest.raises(WudiError, match=r"^rest: got method beside include or exclude; takes .*average, base or sum"):
        Recipe.parse({"method": "ties", kind: ["*.mlp.*"]})


def test_a_base_without_linear_weights_is_refused_where_the_method_takes_no_others(tmp_path: Path) -> None:
    base, experts = bare_files(
        tmp_path / "models", [{"norm.weight": torch.full((4,), float(seed))} for seed in range(3)]
    )
    settings: list[dict[str, Any]] = [{"method": "wudi"}, {"method": "ties", "rest": "average"}]
    for values in settings:
        with pytest.raises(WudiError, match="no tensor of the base is known as a linear weight"):
            run(base, experts, tmp_path / "out", values)
    assert nothing_written(tmp_path / "out")
    run(base, experts, tmp_path / "out", {"method": "ties"})


@pytest.mark.parametrize("method", ["della", "breadcrumbs", "sce", "ties", "pcb", "slerp"])
def test_a_scalar_is_a_vector_of_one(method: str, tmp_path: Path) -> None:
    files: list[dict[str, torch.Tensor]] = [
        {"logit_scale": torch.tensor(float(seed)), "m": torch.full((3, 3), float(seed))} for seed in range(3)
    ]
    base, experts = bare_files(tmp_path / "models", files)
    merged = all_tensors(run(base, experts, tmp_path / "out", {"method": method}).out)
    assert merged["logit_scale"].shape == ()


@pytest.mark.parametrize("kind", ["include", "exclude"])
@pytest.mark.parametrize(
    "pattern", ["*.qproj.weight", "*.Q_PROJ.weight", "q_proj", "model.layers.0", "*.weight ", "model.layers.1.*"]
)
def test_a_pattern_that_matches_nothing(kind: str, pattern: str, trio: Trio, tmp_path: Path) -> None:
    with pytest.raises(WudiError) as caught:
        run(*trio, tmp_path / "out", recipe(**{kind: ["*.up_proj.weight", pattern]}))
    message = str(caught.value)
    assert message.startswith(f"{kind}: {pattern!r} matches no tensor")
    assert "\n" not in message
    assert nothing_written(tmp_path / "out")


@pytest.mark.parametrize(
    "settings",
    [
        recipe(include=["*.q_proj.weight"], exclude=["*.self_attn.*"]),
        recipe(exclude=["*"]),
        {"method": "swudi", "include": ["*norm.weight"]},
        {"method": "swudi", "exclude": ["*_proj.weight"]},
    ],
)
def test_patterns_that_leave_nothing_to_the_method(settings: dict[str, Any], trio: Trio, tmp_path: Path) -> None:
    with pytest.raises(WudiError, match="include and exclude leave no tensor to the method"):
        run(*trio, tmp_path / "out", settings)
    assert nothing_written(tmp_path / "out")


def test_the_command_says_what_each_pattern_matched(
    trio: Trio, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    patterns = ("--set=include=*.self_attn.*,lm_head.weight", "--set=exclude=*.k_proj.weight", "--set=rest=base")
    run_command(*trio, tmp_path / "out", "--method=task_arithmetic", *patterns)
    printed = capsys.readouterr()
    assert printed.err.splitlines() == [
        "include *.self_attn.*: 4 of 12 tensors",
        "include lm_head.weight: 1 of 12 tensors",
        "exclude *.k_proj.weight: 1 of 12 tensors",
        "the method merges 4 of 12 tensors, the others get base",
    ]
    assert "tensors" not in printed.out


def test_a_wrong_pattern_on_the_command_line(trio: Trio, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ("--set=exclude=*.q_proj.weight,*.wq.weight", "--set=rest=base")
    with pytest.raises(SystemExit) as caught:
        run_command(*trio, tmp_path / "out", "--method=ties", *flags)
    assert str(caught.value.code).startswith("error: exclude: '*.wq.weight' matches no tensor")
    assert capsys.readouterr().err == ""
    assert nothing_written(tmp_path / "out")


def test_command_line_yaml_and_python_give_the_same_bytes(trio: Trio, tmp_path: Path) -> None:
    text = "{method: ties, include: ['*.q_proj.weight', '*.k_proj.weight'], exclude: '*.k_proj.weight', rest: sum}"
    values = yaml.safe_load(text)
    assert Recipe.parse(values).settings.include == ("*.q_proj.weight", "*.k_proj.weight")
    assert Recipe.parse(values).settings.exclude == ("*.k_proj.weight",)
    assert Recipe.parse(Recipe.parse(values).as_dict()) == Recipe.parse(values)
    flags = (
        "--set",
        "include=*.q_proj.weight,*.k_proj.weight",
        "--set",
        "exclude=*.k_proj.weight",
        "--set",
        "rest=sum",
    )
    run_command(*trio, tmp_path / "command", "--method=ties", *flags)
    run(*trio, tmp_path / "yaml", values)
    assert contents(tmp_path / "command") == contents(tmp_path / "yaml")


def test_patterns_belong_to_the_recipe_that_an_interrupted_run_must_share(trio: Trio, tmp_path: Path) -> None:
    interrupted(trio, tmp_path / "out", recipe(include=[Q]), count=9)
    resumed = contents(run(*trio, tmp_path / "out", recipe(include=[UP])).out)
    assert resumed == contents(run(*trio, tmp_path / "fresh", recipe(include=[UP])).out)
