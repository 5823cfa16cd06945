"""The model card that a merge writes: what the Hub reads of it, and what gives the merge again."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub import ModelCard, metadata_load

from tests.conftest import moved, random_tensors, write_model
from tests.wudi.merges import Trio, contents, run, run_command
from tests.wudi.test_vocabulary_merge import model
from tests.wudi.vocabularies import WORDS
from wudi.card import CARD
from wudi.recipe import Recipe

AVERAGE = {"method": "average"}
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def declare(folder: Path, **metadata: Any) -> None:
    """A model's own card."""
    (folder / CARD).write_text(f"---\n{yaml.safe_dump(metadata)}---\n\n# Theirs\n")


def from_hub(folder: Path, source: str) -> None:
    """What fetching leaves in a folder."""
    (folder / "source.json").write_text(json.dumps({"source": source, "commit": COMMIT}))


def card_of(trio: Trio, out: Path, recipe: Mapping[str, Any] = AVERAGE, **options: Any) -> ModelCard:
    return ModelCard.load(run(*trio, out, recipe, **options).out / CARD)


def recipe_in(card: ModelCard) -> dict[str, Any]:
    """The YAML that gives the merge again."""
    (text,) = re.findall(r"^```yaml\n(.*?)^```$", card.text, flags=re.MULTILINE | re.DOTALL)
    return yaml.safe_load(text)


def test_the_hub_reads_its_metadata(trio: Trio, tmp_path: Path) -> None:
    for number, folder in enumerate([trio[0], *trio[1]]):
        declare(folder, license="llama2", language=["en"])
        from_hub(folder, f"org/model{min(number, 2)}")
    card = card_of(trio, tmp_path / "merged")
    assert card.data.to_dict() == metadata_load(tmp_path / "merged" / CARD)
    assert card.data.to_dict() == {
        "base_model": ["org/model0", "org/model1", "org/model2"],
        "base_model_relation": "merge",
        "language": ["en"],
        "library_name": "transformers",
        "license": "llama2",
        "pipeline_tag": "text-generation",
        "tags": ["merge", "model-merging", "average"],
        "dtype": "float32",
    }
    assert "License: llama2, which all of them declare." in card.text
    assert f"at [`{COMMIT}`](https://huggingface.co/org/model0/tree/{COMMIT})" in card.text


@pytest.mark.parametrize(
    ("declared", "found", "says"),
    [
        ([{}] * 4, {}, "none lies beside their weights"),
        (
            [{"license": "mit"}] * 3 + [{}],
            {},
            "they do not all declare the same one (base mit, expert1 mit, expert2 mit)",
        ),
        ([{"license": "mit"}] * 3 + [{"license": "llama2"}], {}, "expert3 llama2)"),
        (
            [{"license": "other", "license_name": "own", "license_link": "LICENSE"}] * 4,
            {"license": "other", "license_name": "own", "license_link": "LICENSE"},
            "License: own, which all of them declare.",
        ),
        (
            [{"license": "other", "license_name": f"own{n}"} for n in range(4)],
            {},
            "they do not all declare the same one",
        ),
        ([{"language": "en"}, {"license": "mit"}] * 2, {}, "(expert1 mit, expert3 mit)"),
    ],
)
def test_a_license_is_declared_where_all_models_declare_the_same(
    trio: Trio, tmp_path: Path, declared: list[dict[str, str]], found: dict[str, str], says: str
) -> None:
    for folder, metadata in zip([trio[0], *trio[1]], declared, strict=True):
        declare(folder, **metadata)
    card = card_of(trio, tmp_path / "merged")
    keys = {"license", "license_name", "license_link", "language"}
    assert {key: value for key, value in card.data.to_dict().items() if key in keys} == found
    assert says in card.text


def test_cards_that_cannot_be_read_declare_nothing(trio: Trio, tmp_path: Path) -> None:
    for folder, text in zip(
        [trio[0], *trio[1]], ["---\n[\n---\n", "# No metadata\n", "---\n- 1\n---\n", ""], strict=True
    ):
        (folder / CARD).write_text(text)
    (trio[0] / CARD).write_bytes(b"---\n\xff\n---\n")
    assert "No license is declared here, as none lies beside their weights" in card_of(trio, tmp_path / "merged").text


def test_its_recipe_gives_the_merge_again(trio: Trio, tmp_path: Path) -> None:
    recipe = {"method": "ties", "density": 0.5, "weights": {"expert2": 0.25}, "exclude": ["*norm*"], "rest": "base"}
    found = recipe_in(card_of(trio, tmp_path / "merged", recipe, dtype="bfloat16"))
    assert found["base"] == {"source": "./base", "revision": None}
    assert list(found["experts"]) == ["expert1", "expert2", "expert3"]
    assert found["merge"] == {"dtype": "bfloat16", "precision": "float32", "vocabulary": "error"}
    assert Recipe.parse(found["recipes"]["ties"]) == Recipe.parse(recipe)
    again = run(*trio, tmp_path / "again", found["recipes"]["ties"], dtype=found["merge"]["dtype"])
    assert contents(again.out) == contents(tmp_path / "merged")


def test_names_that_params_yaml_does_not_take_are_changed_alike(tmp_path: Path) -> None:
    base = random_tensors(0)
    experts = [
        write_model(tmp_path / name, moved(base, seed)) for seed, name in enumerate(["math v1.0", "math-v1-0"], 1)
    ]
    trio = (write_model(tmp_path / "base", base), experts)
    weights = {"math v1.0": 0.5, "math-v1-0": 2.0}
    found = recipe_in(card_of(trio, tmp_path / "merged", {"method": "average", "weights": weights}))
    assert list(found["experts"]) == ["math-v1-0", "math-v1-0-2"]
    assert found["recipes"]["average"]["weights"] == {"math-v1-0": 0.5, "math-v1-0-2": 2.0}


def test_nothing_in_it_depends_on_where_the_models_lie(trio: Trio, tmp_path: Path) -> None:
    run_command(*trio, tmp_path / "merged", "--method=average")
    (tmp_path / "elsewhere").mkdir()
    places = [place.rename(tmp_path / "elsewhere" / place.name) for place in (trio[0], *trio[1])]
    run_command(places[0], places[1:], tmp_path / "again", "--method=average")
    assert (tmp_path / "again" / CARD).read_bytes() == (tmp_path / "merged" / CARD).read_bytes()


def test_a_model_that_continues_no_text_has_no_such_tag(trio: Trio, tmp_path: Path) -> None:
    for folder in (trio[0], *trio[1]):
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | {"architectures": ["LlamaForSequenceClassification"]}))
    card = card_of(trio, tmp_path / "merged")
    assert "pipeline_tag" not in card.data.to_dict() and "AutoModelForCausalLM" not in card.text


@pytest.mark.parametrize("policy", ["base", "union"])
def test_what_became_of_tokens_is_told_and_part_of_the_recipe(tmp_path: Path, policy: str) -> None:
    trio = model(tmp_path / "base", WORDS, 8, 0), [model(tmp_path / "padded", (*WORDS, "[PAD]"), 9, 1)]
    card = card_of(trio, tmp_path / "merged", vocabulary=policy)
    assert "expert padded: 9 rows against the base's 8" in card.text.partition("## Vocabulary")[2]
    assert recipe_in(card)["merge"]["vocabulary"] == policy


def test_a_password_in_a_source_is_published_nowhere(trio: Trio, tmp_path: Path) -> None:
    sources = ["sftp://me:secret@host/base", "abfs://container@account/math", "s3://bucket/code", "./law"]
    for folder, source in zip([trio[0], *trio[1]], sources, strict=True):
        (folder / "source.json").write_text(json.dumps({"source": source}))
    merged = run(*trio, tmp_path / "merged", AVERAGE).out
    for file in (CARD, "merge.json"):
        text = (merged / file).read_text()
        assert "secret" not in text
        assert all(source in text for source in ("sftp://host/base", *sources[1:]))


def test_the_paper_is_a_link_by_which_the_hub_finds_it(trio: Trio, tmp_path: Path) -> None:
    text = card_of(trio, tmp_path / "merged", {"method": "wudi", "iterations": 2}).text
    assert "[arXiv 2503.08099](https://arxiv.org/abs/2503.08099)" in text
