"""The miniatures as lm-eval reads them: the functions that the task files in `lm_eval_tasks/` name.

lm-eval passes a task's metadata, and whatever metadata a caller adds, as keywords; the problems depend on none of it.
"""

from typing import TYPE_CHECKING, Any

from tasks.zoo.problems import MINIATURES, Document
from tasks.zoo.problems.miniature import TEST_DOCUMENTS, TRAIN_DOCUMENTS

if TYPE_CHECKING:
    from datasets import Dataset

Splits = dict[str, "Dataset"]


def gsm8k(**_: Any) -> Splits:
    """Both splits of the miniature of GSM8K."""
    return _splits("gsm8k")


def math(**_: Any) -> Splits:
    """Both splits of the miniature of MATH."""
    return _splits("math")


def humaneval(**_: Any) -> Splits:
    """Both splits of the miniature of HumanEval."""
    return _splits("humaneval")


def mbpp(**_: Any) -> Splits:
    """Both splits of the miniature of MBPP."""
    return _splits("mbpp")


def math_examples() -> list[Document]:
    """The examples before every problem of MATH; `few_shot` makes the task show their whole solution."""
    return [document | {"few_shot": "1"} for document in _examples("math")]


def mbpp_examples() -> list[Document]:
    """The examples before every problem of MBPP; `is_fewshot` makes the task show their program."""
    return [document | {"is_fewshot": True} for document in _examples("mbpp")]


def _examples(name: str) -> list[Document]:
    return MINIATURES[name].documents("train", MINIATURES[name].shots)


def _splits(name: str) -> Splits:
    from datasets import Dataset

    return {
        "train": Dataset.from_list(MINIATURES[name].documents("train", TRAIN_DOCUMENTS)),
        "test": Dataset.from_list(MINIATURES[name].documents("test", TEST_DOCUMENTS)),
    }
