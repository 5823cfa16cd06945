"""A project's own lm-eval tasks: found by name, before the harness's, and named where they cannot be read."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.evaluation import index

SUMS = """
task: {name}
dataset_path: json
dataset_kwargs: {{data_files: {{test: lm_eval_tasks/sums.jsonl}}}}
output_type: generate_until
test_split: test
doc_to_text: "{{{{question}}}}"
doc_to_target: "{{{{answer}}}}"
metric_list: [{{metric: exact_match, aggregation: mean, higher_is_better: true}}]
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project's folder of tasks."""
    folder = tmp_path / "lm_eval_tasks"
    folder.mkdir()
    monkeypatch.chdir(tmp_path)
    index.manager_with.cache_clear()
    yield folder
    index.manager_with.cache_clear()


@pytest.mark.parametrize("name", ["sums", "gsm8k"])
def test_a_task_of_one_s_own_is_found_and_comes_before_the_harness_s(name: str, own: Path) -> None:
    (own / "deeper").mkdir()
    (own / "deeper" / "any_name.yaml").write_text(SUMS.format(name=name))
    assert index.described(name)["dataset_kwargs"] == {"data_files": {"test": "lm_eval_tasks/sums.jsonl"}}


def test_its_questions_are_read_from_the_project(own: Path) -> None:
    (own / "sums.yaml").write_text(SUMS.format(name="sums"))
    (own / "sums.jsonl").write_text('{"question": "2 + 3?", "answer": "5"}\n')
    (task,) = index.load("sums")["tasks"].values()
    assert [task.doc_to_target(document) for document in task.eval_docs] == ["5"]


def test_a_file_that_cannot_be_read_is_named(own: Path) -> None:
    assert index.unread() == ""
    (own / "sums.yaml").write_text("task: [sums\n")
    assert index.unread().startswith("; lm_eval_tasks/sums.yaml cannot be read: ")
