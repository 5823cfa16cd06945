"""The published solutions of HumanEval and MBPP, and what becomes of them with a known fault in each."""

import ast
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.tasks.hub import Hub

# By lm-eval's own tasks, so that the tests are the text that an evaluation runs.
SCRIPT = """
import json
from tasks.evaluation.harness import load_tasks
for name in ("humaneval", "mbpp"):
    (task,) = load_tasks(name)["tasks"].values()
    for doc in task.test_docs():
        head, gold = (doc["prompt"], doc["canonical_solution"]) if name == "humaneval" else ("", doc["code"])
        print(json.dumps({"benchmark": name, "head": head, "gold": gold, "tests": task.doc_to_target(doc)}))
"""


@dataclass(frozen=True)
class Problem:
    """One question: what stands before the answer, the published answer, and the tests."""

    benchmark: str
    head: str
    gold: str
    tests: str

    def candidates(self) -> dict[str, str]:
        """The published program and five with a fault, by the fault's name."""
        indent = "    " if self.head else ""
        program = self.head + self.gold
        return {
            "gold": program,
            "empty": self.head,
            "syntax error": program + "\n)",
            "looping": self.head + indent + "while True: pass\n",
            "raising": self.head + indent + "raise ValueError('no')\n",
            "off by one": off_by_one(program),
        }


class OneMore(ast.NodeTransformer):
    """Adds one to the last whole number of a program."""

    def __init__(self, tree: ast.AST) -> None:
        numbers = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and type(node.value) is int]
        self.last = max(numbers, key=lambda node: (node.lineno, node.col_offset), default=None)

    def visit_Constant(self, node: ast.Constant) -> ast.Constant:
        return ast.Constant(node.value + 1) if node is self.last else node


class Negated(ast.NodeTransformer):
    """Negates what a program returns."""

    def visit_Return(self, node: ast.Return) -> ast.Return:
        return ast.Return(ast.UnaryOp(ast.Not(), node.value or ast.Constant(None)))


def off_by_one(program: str) -> str:
    """The program with its last whole number one more; with every result negated where it has no number."""
    tree = ast.parse(program)
    one_more = OneMore(tree)
    changed = one_more.visit(tree) if one_more.last else Negated().visit(tree)
    return ast.unparse(ast.fix_missing_locations(changed))


def load_problems(hub: Hub, project: Path) -> list[Problem]:
    """The 164 problems of HumanEval and the 500 of MBPP, from the Hub."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=hub.client(project), capture_output=True, text=True, check=True
    )
    return [Problem(**json.loads(line)) for line in done.stdout.splitlines() if line.startswith("{")]
