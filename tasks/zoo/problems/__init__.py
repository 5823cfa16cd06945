"""The generated problems of the zoo, one module a miniature."""

from tasks.zoo.problems.gsm8k import GSM8K
from tasks.zoo.problems.humaneval import HUMANEVAL
from tasks.zoo.problems.math import MATH
from tasks.zoo.problems.mbpp import MBPP
from tasks.zoo.problems.miniature import Document, Miniature

__all__ = ["MINIATURES", "Document", "Miniature"]

MINIATURES: dict[str, Miniature] = {miniature.name: miniature for miniature in (GSM8K, MATH, HUMANEVAL, MBPP)}
