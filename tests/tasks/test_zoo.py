"""The embedded zoo: its problems, its lm-eval tasks, and that its models come out the same every time."""

import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tasks.zoo import NAMES, TASKS_FOLDER, ZooSettings, train
from tasks.zoo.boxed import last_boxed, process_results
from tasks.zoo.problems import MINIATURES, Miniature
from tasks.zoo.problems.miniature import TEST_DOCUMENTS
from tests.conftest import ROOT

BRIEF = ZooSettings(base_steps=2, expert_steps=2)

miniatures = pytest.mark.parametrize("miniature", MINIATURES.values(), ids=MINIATURES)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("zoo") / "base"
    train("base", folder, BRIEF)
    return folder


@pytest.fixture(scope="module")
def lm_eval_tasks() -> dict[str, Any]:
    from lm_eval.tasks import TaskManager

    manager = TaskManager(include_path=str(TASKS_FOLDER), include_defaults=False)
    loaded = manager.load([f"zoo_{name}" for name in MINIATURES])
    for task in loaded["tasks"].values():
        task.set_fewshot_seed(1234)
    return {name.removeprefix("zoo_"): task for name, task in loaded["tasks"].items()}


def files(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


def scores(task: Any, documents: list[dict[str, Any]], responses: list[str]) -> dict[str, list[float]]:
    """What the task's own filters and metrics make of the responses, by metric and filter."""
    from lm_eval.api.instance import Instance

    task._instances = [
        Instance("generate_until", document, ("", {}), 0, resps=[response])
        for document, response in zip(documents, responses, strict=True)
    ]
    task.apply_filters()
    found: dict[str, list[float]] = {}
    for instance in task.instances:
        for extraction, answer in instance.filtered_resps.items():
            for metric, value in task.process_results(instance.doc, [answer]).items():
                found.setdefault(f"{metric},{extraction}", []).append(float(value))
    return found


def answer_as_generated(miniature: Miniature, document: dict[str, Any]) -> str:
    """The reference answer as a model's response, cut where the evaluation stops it."""
    return miniature.answer(document).removesuffix("[DONE]")


@miniatures
def test_train_and_test_never_meet(miniature: Miniature) -> None:
    trained = {miniature.question(document) for seed in (0, 1) for document in miniature.documents("train", 1000, seed)}
    documents = miniature.documents("test", TEST_DOCUMENTS)
    assert len({miniature.prompt(document) for document in documents}) == TEST_DOCUMENTS
    assert not trained & {miniature.question(document) for document in documents}
    assert not {miniature.split_of(document) for document in miniature.documents("train", 100)} & {"test"}


def test_the_test_problems_are_the_same_in_every_process() -> None:
    code = "from tasks.zoo.problems import MINIATURES as m; print([m[name].documents('test', 50) for name in m])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str([miniature.documents("test", 50) for miniature in MINIATURES.values()])


def test_a_split_that_is_too_small_says_so() -> None:
    with pytest.raises(RuntimeError, match="math has no 1000 different test problems"):
        MINIATURES["math"].documents("test", 1000)


@miniatures
def test_reference_answers_score_one_and_others_nothing(miniature: Miniature, lm_eval_tasks: dict[str, Any]) -> None:
    task = lm_eval_tasks[miniature.name]
    documents = list(task.test_docs())
    assert len(documents) == TEST_DOCUMENTS
    some = documents[:8]
    right = scores(task, some, [answer_as_generated(miniature, document) for document in some])
    assert right
    assert all(value == [1.0] * len(some) for value in right.values()), right
    wrong = scores(task, some, ["    return nothing\n"] * len(some))
    assert all(value == [0.0] * len(some) for value in wrong.values()), wrong


@pytest.mark.parametrize("name", ["humaneval", "mbpp"])
def test_programs_pass_their_tests_and_fail_those_of_other_programs(name: str) -> None:
    """The tests tell neighbouring tasks apart: a program that passed for another one would be a wrong point."""
    miniature = MINIATURES[name]
    documents = miniature.documents("test", 100)
    for document, other in pairwise(documents):
        assert passes(name, document, document)
        if body(name, document) != body(name, other):
            assert not passes(name, document, other), (document, other)


def body(name: str, document: dict[str, Any]) -> str:
    return str(document["canonical_solution" if name == "humaneval" else "code"]).partition("return")[2]


def passes(name: str, document: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether the body of `other`'s program passes the tests of `document`; these programs are the generator's own."""
    if name == "humaneval":
        program = (
            f"{document['prompt']}    return{body(name, other)}\n{document['test']}\ncheck({document['entry_point']})"
        )
    else:
        signature = document["code"].partition("return")[0]
        program = "\n".join([f"{signature}return{body(name, other)}", *document["test_list"]])
    try:
        exec(program, {})
    except (AssertionError, NameError):
        return False
    return True


@miniatures
def test_training_and_evaluation_show_the_same_text(miniature: Miniature, lm_eval_tasks: dict[str, Any]) -> None:
    task = lm_eval_tasks[miniature.name]
    assert task.config.num_fewshot == miniature.shots
    solved = [miniature.prompt(example) + miniature.answer(example) for example in miniature.documents("train", 400)]
    for document in list(task.test_docs())[:20]:
        context = task.fewshot_context(document, miniature.shots)
        for _ in range(miniature.shots):
            example = next(text for text in solved if context.startswith(text + "\n\n"))
            context = context.removeprefix(example + "\n\n")
        assert context == miniature.prompt(document)


@miniatures
def test_the_tokenizer_reads_every_problem_digit_by_digit(miniature: Miniature, base: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(base)
    for document in miniature.documents("train", 300) + miniature.documents("test", TEST_DOCUMENTS):
        text = miniature.prompt(document) + miniature.answer(document)
        ids = tokenizer.encode(text)
        assert tokenizer.decode(ids) == text
        for token in tokenizer.convert_ids_to_tokens(ids):
            assert token.isdigit() == any(letter.isdigit() for letter in token)
            assert not token.isdigit() or len(token) == 1


def test_the_tokenizer_keeps_single_digits_in_any_number(base: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(base)
    assert len(tokenizer) == 512
    assert [token for token in tokenizer.tokenize("12345 + 90") if token.isdigit()] == list("1234590")
    assert not [token for token in tokenizer.get_vocab() if sum(letter.isdigit() for letter in token) > 1]


def test_the_same_settings_give_the_same_bytes(base: Path, tmp_path: Path) -> None:
    train("base", tmp_path / "base", BRIEF)
    assert files(tmp_path / "base") == files(base)
    for copy in ("one", "two"):
        train("mbpp", tmp_path / copy, BRIEF, base=base)
    assert files(tmp_path / "one") == files(tmp_path / "two")


def test_another_seed_gives_other_weights_of_the_same_shape(base: Path, tmp_path: Path) -> None:
    train("base", tmp_path / "base", BRIEF.model_copy(update={"seed": 1}))
    one, other = files(base), files(tmp_path / "base")
    assert {name for name in one if one[name] != other[name]} == {"model.safetensors"}


def test_training_leaves_the_callers_random_state_alone(tmp_path: Path) -> None:
    import torch

    before, threads = torch.random.get_rng_state(), torch.get_num_threads()
    train("base", tmp_path, ZooSettings(base_steps=1))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.get_num_threads() == threads


def test_a_model_loads_and_generates(base: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    shown: list[str] = []

    def track(items: Any, description: str) -> Any:
        shown.append(description)
        return items

    train("gsm8k", tmp_path, BRIEF, base=base, track=track)
    assert shown == ["training gsm8k"]
    names = {"config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}
    assert names <= set(files(tmp_path))
    model, tokenizer = AutoModelForCausalLM.from_pretrained(tmp_path), AutoTokenizer.from_pretrained(tmp_path)
    assert model.config.architectures == ["LlamaForCausalLM"]
    assert 800_000 < model.num_parameters() < 1_200_000
    ids = tokenizer("Question: 1 + 1?\nAnswer:", return_tensors="pt").input_ids
    assert len(model.generate(ids, max_new_tokens=3)[0]) > ids.shape[1]
    assert None not in (tokenizer.bos_token, tokenizer.eos_token, tokenizer.pad_token)


def test_mistakes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="the zoo has no model 'gsm9k'; it has base, gsm8k"):
        train("gsm9k", tmp_path, BRIEF)
    with pytest.raises(ValueError, match="'gsm8k' starts from the base"):
        train("gsm8k", tmp_path, BRIEF)
    for wrong in ({"seed": -1}, {"base_steps": 0}, {"expert_steps": 0}, {"steps": 3}):
        with pytest.raises(ValidationError):
            ZooSettings(**wrong)


def test_names_and_folders_are_known_without_loading_transformers() -> None:
    code = "import sys, tasks.zoo; print({'transformers', 'datasets', 'lm_eval'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
    assert set(NAMES) == {"base", *MINIATURES}
    assert {file.stem for file in TASKS_FOLDER.glob("*.yaml")} == {f"zoo_{name}" for name in MINIATURES}


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"$x = 3/1 = \boxed{3}$", "3"),
        (r"\boxed{1} or rather \boxed{\frac{1}{2}}.", r"\frac{1}{2}"),
        (r"\boxed{4", None),
        ("4", None),
    ],
)
def test_the_last_box_counts(text: str, answer: str | None) -> None:
    assert last_boxed(text) == answer


def test_text_and_value_are_scored_apart() -> None:
    document = {"solution": r"$x = 8/2 = \boxed{4}$", "answer": "4"}
    assert process_results(document, [r"$\boxed{x = 4}$"]) == {"exact_match": 1, "math_verify": 1}
    assert process_results(document, [r"$\boxed{\frac{8}{2}}$"]) == {"exact_match": 0, "math_verify": 1}
    assert process_results(document, [r"$\boxed{5}$"]) == {"exact_match": 0, "math_verify": 0}
