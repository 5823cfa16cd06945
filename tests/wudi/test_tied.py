"""Tied weights that are stored twice: one weight where they are equal in every model, two where they are not."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.conftest import moved, random_tensors, write_model
from tests.wudi.merges import Trio, all_tensors, run
from wudi.architecture import tied
from wudi.checkpoint import Checkpoint

EMBEDDING, HEAD = "model.embed_tokens.weight", "lm_head.weight"
DARE = {"method": "dare", "drop_rate": 0.5, "scale": 1.0}


def models() -> list[dict[str, Tensor]]:
    """A base and two experts whose head is a copy of the embedding, which training moves most."""
    base = random_tensors(0)
    tensors = [base, *(moved(base, seed) for seed in (1, 2))]
    for seed, expert in enumerate(tensors[1:]):
        expert[EMBEDDING] = base[EMBEDDING] + random_tensors(seed + 3)[EMBEDDING]
    return [{**model, HEAD: model[EMBEDDING].clone()} for model in tensors]


def written(folder: Path, tensors: list[dict[str, Tensor]], ties: bool = True) -> Trio:
    paths = [write_model(folder / f"model{number}", model) for number, model in enumerate(tensors)]
    if ties:
        for path in paths:
            config = path / "config.json"
            config.write_text(config.read_text().replace('"tie_word_embeddings": false', '"tie_word_embeddings": true'))
    return paths[0], paths[1:]


def merged(
    folder: Path, tensors: list[dict[str, Tensor]], recipe: dict[str, Any], ties: bool = True
) -> dict[str, Tensor]:
    return all_tensors(run(*written(folder, tensors, ties), folder / "out", recipe).out)


def equal(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def test_equal_copies_stay_equal_though_masks_are_drawn_by_name(tmp_path: Path) -> None:
    one = merged(tmp_path / "tied", models(), DARE)
    two = merged(tmp_path / "untied", models(), DARE, ties=False)
    assert torch.equal(one[HEAD], one[EMBEDDING])
    assert not torch.equal(two[HEAD], two[EMBEDDING])
    assert equal({**one, HEAD: two[HEAD]}, two)


def test_a_copy_is_merged_as_the_weight_alone_would_be(tmp_path: Path) -> None:
    both = models()
    alone = [{name: tensor for name, tensor in model.items() if name != HEAD} for model in both]
    found = merged(tmp_path / "both", both, DARE)
    assert equal(
        {name: tensor for name, tensor in found.items() if name != HEAD}, merged(tmp_path / "one", alone, DARE)
    )


@pytest.mark.parametrize("recipe", [DARE, {"method": "ties"}, {"method": "dare_ties"}], ids=lambda r: r["method"])
def test_copies_that_differ_in_one_expert_are_two_weights(recipe: dict[str, Any], tmp_path: Path) -> None:
    tensors = models()
    tensors[2][HEAD][0, 0] += 1.0
    base, experts = written(tmp_path / "model", tensors)
    assert tied(Checkpoint(base)) == {HEAD: EMBEDDING}
    found = all_tensors(run(base, experts, tmp_path / "out", recipe).out)
    assert not torch.equal(found[HEAD], found[EMBEDDING])
    assert equal(found, merged(tmp_path / "untied", tensors, recipe, ties=False))


@pytest.mark.parametrize("method", ["ties", "dare_ties"])
def test_a_survey_of_the_whole_model_counts_the_pair_once(method: str, tmp_path: Path) -> None:
    both = models()
    alone = [{name: tensor for name, tensor in model.items() if name != HEAD} for model in both]
    once = merged(tmp_path / "both", both, {"method": method})
    assert torch.equal(once.pop(HEAD), once[EMBEDDING])
    assert equal(once, merged(tmp_path / "alone", alone, {"method": method}))
    twice = merged(tmp_path / "twice", both, {"method": method}, ties=False)
    assert not torch.equal(once[EMBEDDING], twice[EMBEDDING])


@pytest.mark.parametrize("name", [EMBEDDING, HEAD])
def test_a_pattern_for_one_of_the_pair_holds_for_both(name: str, tmp_path: Path) -> None:
    tensors = models()
    total = sum((expert[EMBEDDING] - tensors[0][EMBEDDING] for expert in tensors[1:]), torch.zeros(24, 16))
    for kind, factor in {"include": 2.0, "exclude": 0.5}.items():
        recipe = {"method": "task_arithmetic", "scale": 2.0, "rest": "average", kind: [name]}
        found = merged(tmp_path / kind, tensors, recipe)
        for part in (EMBEDDING, HEAD):
            torch.testing.assert_close(found[part], tensors[0][EMBEDDING] + factor * total)


def test_copies_of_two_dtypes(tmp_path: Path) -> None:
    tensors = [{**model, HEAD: model[HEAD].bfloat16()} for model in models()]
    for model in tensors:
        model[EMBEDDING] = model[HEAD].float()
    base, experts = written(tmp_path / "models", tensors)
    assert tied(Checkpoint(base)) == {HEAD: EMBEDDING}
    found = all_tensors(run(base, experts, tmp_path / "out", DARE).out)
    assert found[HEAD].dtype == torch.bfloat16
    assert found[EMBEDDING].dtype == torch.float32
    assert torch.equal(found[HEAD], found[EMBEDDING].bfloat16())
