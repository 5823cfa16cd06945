"""`wudi from-mergekit`: what a config says, as a recipe that says the same, and what is lost told."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from tasks.params import load_params
from tests.conftest import ROOT
from tests.wudi.merges import Trio, all_tensors
from wudi.cli import main
from wudi.mergekit.convert import METHODS, UNKNOWN

EVALUATION = {"benchmarks": {"gsm8k": {"task": "gsm8k"}}}
ZOO = {"seed": 0, "base_steps": 1, "expert_steps": 1}


def two(**parameters: Any) -> list[dict[str, Any]]:
    """Two experts of one base, as most configs have them."""
    return [{"model": f"org/{name}", "parameters": {"weight": 1.0} | parameters} for name in ("math", "code")]


def config(method: str, **keys: Any) -> dict[str, Any]:
    return {"merge_method": method, "base_model": "org/base", "models": two()} | keys


class Converted:
    """What the command prints: the file for standard output, and the lines for people."""

    def __init__(self, out: str, err: str) -> None:
        self.text, self.err = out, err
        self.params = yaml.safe_load(out)
        (self.recipe,) = self.params["recipes"].values()
        self.command = next(line for line in out.splitlines() if line.startswith("#   wudi merge")).removeprefix("#   ")

    @property
    def lost(self) -> list[str]:
        """What is not carried."""
        lines = re.split(r"^to know:$|^.*: carried whole$", self.err, flags=re.MULTILINE)[0].splitlines()
        return [line.strip() for line in lines[1:]]


@pytest.fixture
def convert(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    def run(values: dict[str, Any] | str, *flags: str) -> Converted:
        (tmp_path / "config.yml").write_text(values if isinstance(values, str) else yaml.safe_dump(values))
        main(["from-mergekit", "config.yml", *flags])
        return Converted(*capsys.readouterr())

    monkeypatch.chdir(tmp_path)
    return run


@pytest.mark.parametrize(
    ("values", "recipe"),
    [
        (config("task_arithmetic"), {"method": "task_arithmetic", "scale": 1.0}),
        (
            config("task_arithmetic", parameters={"normalize": True, "lambda": 0.6}),
            {"method": "task_arithmetic", "scale": 0.3},
        ),
        (
            config("ties", models=two(density=0.5), parameters={"int8_mask": True, "normalize": True}),
            {"method": "ties", "density": 0.5, "trim": "tensor", "scale": 1.0, "merge": "mean"},
        ),
        (
            config("ties", parameters={"density": "5e-1", "normalize": False, "lambda": 0.4}),
            {"method": "ties", "density": 0.5, "trim": "tensor", "scale": 0.4, "merge": "sum"},
        ),
        (
            config("dare_linear", models=two(density=0.75)),
            {"method": "dare", "drop_rate": 0.25, "rescale": "l1", "seed": 0, "scale": 1.0},
        ),
        (
            config("dare_ties", models=two(density=0.53), parameters={"rescale": False}),
            {
                "method": "dare_ties",
                "drop_rate": 0.47,
                "rescale": "none",
                "seed": 0,
                "density": 1.0,
                "trim": "tensor",
                "scale": 1.0,
                "merge": "sum",
            },
        ),
        (
            config("della", models=two(density=0.6, epsilon=0.1)),
            {
                "method": "della",
                "density": 0.6,
                "epsilon": 0.1,
                "trim": "row",
                "rescale": "l1",
                "seed": 0,
                "scale": 1.0,
                "merge": "mean",
            },
        ),
        (
            config("breadcrumbs", models=two(density=0.7, gamma=0.1)),
            {"method": "breadcrumbs", "density": 0.8, "gamma": 0.1, "trim": "tensor", "scale": 1.0},
        ),
        (
            config("breadcrumbs_ties", models=two(density=0.7, gamma=0)),
            {"method": "ties", "density": 0.7, "trim": "tensor", "scale": 1.0, "merge": "mean"},
        ),
        (config("model_stock", models=[{"model": "org/math"}, {"model": "org/code"}]), {"method": "model_stock"}),
        (config("sce", parameters={"select_topk": 0.1}), {"method": "sce", "density": 0.1, "select": "task_vectors"}),
        (config("nuslerp"), {"method": "slerp", "t": 0.5, "on": "task_vectors"}),
    ],
)
def test_what_both_have_is_carried_whole(convert: Any, values: dict[str, Any], recipe: dict[str, Any]) -> None:
    found = convert(values)
    assert found.recipe == recipe
    assert found.err.endswith("config.yml: carried whole\n")
    assert [found.params["experts"][name]["source"] for name in ("math", "code")] == ["org/math", "org/code"]


@pytest.mark.parametrize("method", sorted(METHODS))
def test_params_yaml_takes_it_once_its_benchmarks_are_named(convert: Any, tmp_path: Path, method: str) -> None:
    values = config(method, parameters={"t": 0.3}, dtype="bfloat16", tokenizer_source="union")
    ancestor = ("--base", "org/root@v1") if method in ("slerp", "karcher") else ()
    if method == "slerp":
        values["models"] = [{"model": "org/base"}, {"model": "org/code"}]
    if method == "linear":
        values["parameters"]["weight"] = 0.5
    found = convert(values, *ancestor)
    found.params["experts"]["code"]["benchmarks"] = ["gsm8k"]
    file = tmp_path / "params.yaml"
    file.write_text(yaml.safe_dump(found.params | {"evaluation": EVALUATION, "zoo": ZOO}))
    params = load_params(file)
    assert (params.merge.dtype, params.merge.vocabulary) == ("bfloat16", "union")
    assert params.base.source == ("org/root" if ancestor else "org/base")
    assert params.recipes[method].method.name == found.recipe["method"]


@pytest.mark.parametrize(
    ("values", "recipe", "lost"),
    [
        (
            config("ties", models=[two(density=0.2)[0], two(density=[0.3, 0.5, 0.7])[1]]),
            {"density": 0.35},
            [
                "models[1].parameters.density: goes from layer to layer as 0.3, 0.5, 0.7; one value for all here, "
                "their mean 0.5",
                "density: differs by model (math 0.2, code 0.5); one value for all here, their mean 0.35",
            ],
        ),
        (
            config("task_arithmetic", models=two(weight=[{"filter": "mlp", "value": 0.5}, {"value": 0.25}])),
            {"weights": {"math": 0.25, "code": 0.25}},
            [
                f"models[{n}].parameters.weight: differs by tensor (mlp 0.5); one value for all here, that of the "
                "others: 0.25"
                for n in (0, 1)
            ],
        ),
        (
            config(
                "task_arithmetic", models=two(weight=[{"filter": "q", "value": 1}, {"filter": "k", "value": 0}])[:1]
            ),
            {"weights": {"math": 0.5}},
            ["models[0].parameters.weight: differs by tensor (q 1, k 0); one value for all here, their mean: 0.5"],
        ),
        (
            config("della_linear", models=two(density=0.6, epsilon=0.1)),
            {"method": "dare", "drop_rate": 0.4},
            ["epsilon: every entry is kept with probability 0.6 here, large and small ones alike (dare)"],
        ),
        (
            config("ties", models=two(density=0.5), parameters={"rescale": True}),
            {"density": 0.5},
            ["parameters.rescale: what trimming leaves is not scaled up here"],
        ),
        (
            config("model_stock", parameters={"filter_wise": True}),
            {"method": "model_stock"},
            ["parameters.filter_wise: one angle for each tensor here, and not for each of its rows"],
        ),
        (
            config("task_arithmetic", chat_template="chatml", tokenizer={"source": "union", "pad_to_multiple_of": 64}),
            {},
            [
                "tokenizer.pad_to_multiple_of: rows are the base's here, and those of added tokens follow them",
                "chat_template: the base's stays; for another one, have it in the base's folder as chat_template.jinja",
            ],
        ),
        (
            config("task_arithmetic", tokenizer_source="org/code", dtype="float64"),
            {},
            [
                "dtype: got float64; the merged model has the base's own (auto), or float32, bfloat16, float16",
                "tokenizer_source: got org/code, one of the experts; here the tokens are the base's tokens and those "
                "that only the experts have, with the base's special tokens and template (vocabulary: union)",
            ],
        ),
        (
            config("task_arithmetic", merge_metod="ties"),
            {},
            ["merge_metod: mergekit reads no such key; did you mean merge_method?"],
        ),
    ],
)
def test_what_a_recipe_cannot_have_is_told_line_by_line(
    convert: Any, values: dict[str, Any], recipe: dict[str, Any], lost: list[str]
) -> None:
    found = convert(values)
    assert recipe.items() <= found.recipe.items()
    assert found.lost == lost


PUBLISHED = {
    "gradients": (
        """
        slices:
          - sources:
              - {model: psmathur/orca_mini_v3_13b, layer_range: [0, 40]}
              - {model: garage-bAInd/Platypus2-13B, layer_range: [0, 40]}
        merge_method: slerp
        base_model: psmathur/orca_mini_v3_13b
        parameters:
          t:
            - {filter: self_attn, value: [0, 0.5, 0.3, 0.7, 1]}
            - {filter: mlp, value: [1, 0.5, 0.7, 0.3, 0]}
            - value: 0.5
        dtype: float16
        """,
        {"method": "slerp", "t": 0.5},
        3,
    ),
    "three at different densities": (
        """
        models:
          - {model: org/platypus, parameters: {density: [1, 0.7, 0.1], weight: 1.0}}
          - {model: org/mythomax, parameters: {density: 0.5, weight: [0, 0.3, 0.7, 1]}}
          - model: org/wizard
            parameters: {density: 0.33, weight: [{filter: mlp, value: 0.5}, {value: 0}]}
        merge_method: ties
        base_model: TheBloke/Llama-2-13B-fp16
        parameters: {normalize: true, int8_mask: true}
        dtype: float16
        """,
        {
            "method": "ties",
            "density": 0.485,
            "trim": "tensor",
            "scale": 1.0,
            "merge": "mean",
            "weights": {"platypus": 1.0, "mythomax": 0.5, "wizard": 0.0},
        },
        4,
    ),
    "a soup": (
        """
        models: [{model: a/x, parameters: {weight: 1.0}}, {model: a/y, parameters: {weight: 1.0}}]
        merge_method: linear
        dtype: bfloat16
        """,
        {"method": "task_arithmetic", "scale": 0.5},
        0,
    ),
}
"""The kinds of config that mergekit's own examples show: the text, the recipe, and how many lines are lost."""


@pytest.mark.parametrize("kind", PUBLISHED)
def test_configs_as_people_publish_them(convert: Any, kind: str) -> None:
    text, recipe, lost = PUBLISHED[kind]
    found = convert(text, *(("--base", "meta-llama/Llama-2-13b-hf") if recipe["method"] == "slerp" else ()))
    assert (found.recipe, len(found.lost)) == (recipe, lost)


def test_values_that_do_not_differ_are_no_loss(convert: Any) -> None:
    same = two(density=[0.5, 0.5], weight=[{"filter": "mlp", "value": 0.5}, {"value": "5e-1"}])
    found = convert(config("ties", models=same))
    assert (found.recipe["density"], found.recipe["weights"]) == (0.5, {"math": 0.5, "code": 0.5})
    assert not found.lost
    shadowed = two(weight=[{"value": 0.5}, {"filter": "mlp", "value": 0.25}])
    assert not convert(config("task_arithmetic", models=shadowed)).lost


def test_what_has_another_meaning_or_none_is_told_too(convert: Any) -> None:
    found = convert(config("dare_ties", models=two(density=0.5, gamma=0.1), parameters={"t": 1}, dtype="bfloat16"))
    assert "density: the dropped entries are drawn at random by both programs" in found.err
    assert "rescale: to the tensor's L1 norm, as mergekit has it" in found.err
    assert "models[0].parameters.gamma: mergekit's dare_ties does not read it; left out" in found.err
    assert "parameters.t: mergekit's dare_ties does not read it; left out" in found.err
    assert "dtype: mergekit computes in bfloat16; here arithmetic is float32" in found.err


def test_models_with_revisions_adapters_and_folders(convert: Any, tmp_path: Path) -> None:
    (tmp_path / "my" / "expert").mkdir(parents=True)
    models = [
        {"model": "org/base", "parameters": {"weight": 9}},
        {"model": "org/math.v1@abc", "parameters": {"weight": 1}},
        {"model": "my/expert", "parameters": {"weight": 0.5}},
        {"model": "org/base+org/lora@v2", "parameters": {"weight": 1}},
        {"model": {"model": {"path": "other/math.v1", "revision": "x"}}, "parameters": {"weight": 1}},
        {"model": "/data/code", "parameters": {"weight": 1}},
    ]
    found = convert(config("task_arithmetic", models=models))
    sources = {name: (each["source"], each["revision"]) for name, each in found.params["experts"].items()}
    assert sources == {
        "math-v1": ("org/math.v1", "abc"),
        "expert": ("./my/expert", None),
        "lora": ("org/lora", "v2"),
        "math-v1-2": ("other/math.v1", "x"),
        "code": ("/data/code", None),
    }
    assert found.recipe["weights"]["expert"] == 0.5
    assert "#   hf download org/lora --revision v2 --local-dir ./lora\n" in found.text
    words = shlex.split(found.command)
    assert words[2:8] == ["./base", "./math-v1", "./my/expert", "./lora", "./math-v1-2", "/data/code"]
    assert "weights.expert=0.5" in words


def test_one_slice_over_all_layers_is_a_merge_of_models(convert: Any) -> None:
    sources = [{"model": f"org/{name}", "layer_range": [0, 32]} for name in ("base", "code")]
    values = {
        "slices": [{"sources": sources, "parameters": {"t": 0.25}}],
        "merge_method": "slerp",
        "base_model": "org/base",
    }
    found = convert(values, "--base", "org/root")
    assert found.recipe == {"method": "slerp", "t": 0.25}
    assert list(found.params["experts"]) == ["base-2", "code"]
    assert "slices[0].sources[1].layer_range: taken for all layers of the model: see that it has 32" in found.err
    assert found.lost == [
        "--base: config, tokenizer and chat template are those of org/root here; mergekit takes org/base's"
    ]


def test_to_a_slice_the_base_is_not_added(convert: Any) -> None:
    sources = [{"model": f"org/{name}", "layer_range": [0, 32]} for name in ("math", "code")]
    values = {"merge_method": "linear", "base_model": "org/base", "parameters": {"weight": 1}}
    assert convert(values | {"slices": [{"sources": sources}]}).recipe["scale"] == 0.5
    models = [{"model": source["model"]} for source in sources]
    assert convert(values | {"models": models}).recipe["scale"] == pytest.approx(1 / 3)


def test_nothing_is_downloaded_into_a_folder_that_is_merged(convert: Any, tmp_path: Path) -> None:
    for name in ("math", "base"):
        (tmp_path / "own" / name).mkdir(parents=True)
    models = [{"model": name, "parameters": {"weight": 1}} for name in ("org/math", "own/math", "own/base")]
    found = convert(config("task_arithmetic", models=models))
    assert shlex.split(found.command)[2:6] == ["./base-2", "./math-2", "./own/math", "./own/base"]
    assert "#   hf download org/math --local-dir ./math-2\n" in found.text


@pytest.mark.parametrize("base", [(), ("--base", "{0}"), ("--base", "{1}")])
def test_a_linear_merge_is_the_same_from_wherever_it_is_seen(
    convert: Any, trio: Trio, tmp_path: Path, base: tuple[str, ...]
) -> None:
    places = [trio[0], *trio[1]]
    weights = [0.5, 1.0, 2.0]
    models = [
        {"model": str(place), "parameters": {"weight": weight}} for place, weight in zip(trio[1], weights, strict=True)
    ]
    found = convert({"merge_method": "linear", "models": models}, *(word.format(*places) for word in base))
    main([*shlex.split(found.command)[1:], "--device=cpu"])
    merged, experts = all_tensors(tmp_path / "merged"), [all_tensors(place) for place in trio[1]]
    for name, tensor in merged.items():
        mean = sum(weight * expert[name] for weight, expert in zip(weights, experts, strict=True)) / sum(weights)
        torch.testing.assert_close(tensor, mean, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ("[1, 2", "not valid YAML"),
        ("merge_method: ties\nmerge_method: dare_ties", "the key merge_method stands here twice, at line 2"),
        ("[a]: b", "not valid YAML"),
        ("- 1", "has no merge_method; takes a config of mergekit's"),
        ("a: 1\n---\nb: 2", "holds several documents, which mergekit-multi merges one after the other"),
        ({"base_model": "a/b", "experts": [], "gate_mode": "hidden"}, "is for mergekit-moe"),
        ({"merge_metod": "ties"}, "has no merge_method (did you mean it by merge_metod?)"),
        (config("tise"), "merge_method: got 'tise'; did you mean ties?"),
        *((config(name), f"merge_method: {name} {why}") for name, why in UNKNOWN.items()),
        ({"merge_method": ["ties"]}, "merge_method: takes the name of one method"),
        (config("ties", models=[{"model": "a/b\nrecipes: {}"}]), "takes a name of characters that can be printed"),
        (config("ties", models=None), "has no models; takes a list of models"),
        (config("ties", models=[{"parameters": {}}]), "models[0]: got {'parameters': {}}; takes model: NAME"),
        (config("ties", models=[{"model": 3}]), "models[0].model: got 3; takes the name of a model"),
        (config("ties", models=[{"model": "a/b@c@d"}]), "models[0].model: got 'a/b@c@d'"),
        (config("ties", models=two() + two()), "models: one of them is listed twice"),
        (config("ties", models=[{"model": "org/base"}]), "models: nothing to merge into org/base"),
        (config("ties", models=[{"model": "org/math"}]), "models[0]: has no weight, which ties needs of each model"),
        (config("ties", base_model=None), "base_model: is missing, and ties needs one"),
        (config("ties", models=two(density=0)), "ties.density: got 0.0; takes"),
        (config("ties", models=two(weight=-1)), "ties.weights"),
        (config("ties", parameters={"lambda": "much"}), "parameters.lambda: got 'much'; takes a number"),
        (config("ties", parameters={"lambda": "nan"}), "parameters.lambda: got 'nan'; takes a number"),
        (config("ties", parameters={"lambda": True}), "parameters.lambda: got True; takes a number"),
        (
            config("ties", parameters={"normalize": "perhaps"}),
            "parameters.normalize: got 'perhaps'; takes true or false",
        ),
        (config("ties", parameters=[1]), "parameters: got [1]; takes a mapping"),
        (config("ties", models=two(density=[])), "models[0].parameters.density: got an empty list"),
        (config("slerp"), "base_model: slerp merges models by their angle"),
        (config("ties", slices=[{"sources": []}]), "models and slices: stand side by side; takes one of them"),
        (config("ties", models=[{"model": "s3://bucket/math"}]), "models[0].model: got 's3://bucket/math'; takes a"),
        (config("ties", base_model="org/base+org/lora"), "base_model: got org/base+org/lora; takes a model without"),
        (config("linear", parameters={"normalize": False, "weight": 1}), "got false with weights that add up to 3"),
        (config("breadcrumbs_ties", models=two(density=0.5)), "drops outliers and elects signs, which no method here"),
        (
            config("ties", models=[{"model": "org/x+org/lora"}]),
            "models[0].model: got org/x+org/lora, an adapter of another",
        ),
        (config("ties", models=None, modules={"text": {}}), "modules: merges parts of a model"),
        (
            {"merge_method": "passthrough", "slices": [{"sources": [{"model": "a/b", "layer_range": [0, 8]}]}] * 2},
            "slices: stacks layers of models anew",
        ),
        (
            {"merge_method": "ties", "slices": [{"sources": [{"model": "a/b", "layer_range": [4, 8]}]}]},
            "slices[0]: takes the layers [4, 8]; a recipe here merges whole models",
        ),
    ],
)
def test_what_cannot_be_carried_at_all_is_one_paragraph(
    convert: Any, values: dict[str, Any] | str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        convert(values)
    said = str(stopped.value)
    assert said.startswith("error: config.yml: ") and says in said and "\n" not in said
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("base", "says"),
    [
        ("zoo:base", "--base: got 'zoo:base'; takes a model of the Hub, OWNER/NAME"),
        ("s3://bucket/base", "--base: got 's3://bucket/base'; takes a model of the Hub, OWNER/NAME"),
        ("org/root+org/lora", "--base: got org/root+org/lora; takes a model without an adapter"),
        ("", "--base: got ''; takes the name of a model"),
        ("org/base", "--base: got org/base, which is one of those that karcher merges"),
        ("org/math", "--base: got org/math, which is one of those that karcher merges"),
    ],
)
def test_what_models_cannot_be_seen_from(convert: Any, base: str, says: str) -> None:
    with pytest.raises(SystemExit, match=re.escape(says)):
        convert(config("karcher"), "--base", base)


def test_keys_of_any_kind_are_told(convert: Any) -> None:
    found = convert(config("ties", parameters={1: 2, "x": 3}))
    assert all(f"parameters.{key}: mergekit's ties does not read it" in found.err for key in (1, "x"))


def test_a_file_is_written_once(convert: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    printed = convert(config("ties"))
    arguments = ["from-mergekit", "config.yml", "--out", "params-ties.yaml"]
    main(arguments)
    assert (tmp_path / "params-ties.yaml").read_text() == printed.text
    assert "wrote params-ties.yaml" in capsys.readouterr().err
    with pytest.raises(SystemExit, match=r"params-ties\.yaml: exists already"):
        main(arguments)
    with pytest.raises(SystemExit, match="not found; takes a YAML file of mergekit's"):
        main(["from-mergekit", "none.yml"])
    with pytest.raises(SystemExit, match="is org/base already; leave out --base"):
        main(["from-mergekit", "config.yml", "--base", "org/root"])


def test_the_page_s_example_is_what_comes_out(convert: Any) -> None:
    page = (ROOT / "docs" / "mergekit.md").read_text(encoding="utf-8")
    given, becomes, told = re.findall(r"^```\w*\n(.*?)^```$", page, flags=re.MULTILINE | re.DOTALL)[1:4]
    found = convert(given)
    assert found.params == yaml.safe_load(becomes)
    assert found.err == told


def test_the_page_names_every_method_of_mergekit_s() -> None:
    page = (ROOT / "docs" / "mergekit.md").read_text(encoding="utf-8")
    section = page.partition("## Method by method")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \|", section, flags=re.MULTILINE)
    assert sorted(rows) == sorted(METHODS)
    for name in UNKNOWN:
        assert f"`{name}`" in page
