"""A task in words and three tests that name the function, in the form of MBPP."""

from random import Random

from tasks.zoo.problems.miniature import Document, Miniature
from tasks.zoo.problems.programs import value_of

_NAMES = ("items", "select", "process", "numbers", "result", "pick", "handle", "listing")

_TASKS = (
    ("add {a} to each element of a list", "[x + {a} for x in xs]"),
    ("multiply each element of a list by {a}", "[x * {a} for x in xs]"),
    ("find the elements of a list greater than {a}", "[x for x in xs if x > {a}]"),
    ("find the elements of a list smaller than {a}", "[x for x in xs if x < {a}]"),
    ("remove every {a} from a list", "[x for x in xs if x != {a}]"),
    ("count how often {a} occurs in a list", "xs.count({a})"),
    ("append {a} to a list", "xs + [{a}]"),
    ("put {a} in front of a list", "[{a}] + xs"),
    ("find the sum of a list plus {a}", "sum(xs) + {a}"),
    ("find the largest element of a list times {a}", "max(xs) * {a}"),
    ("find the smallest element of a list minus {a}", "min(xs) - {a}"),
)


def _tests(random: Random, name: str, expression: str, a: int) -> list[str]:
    """Three calls; the number in the task is among the arguments, so that a neighbour of it in a program shows."""
    arguments = [[random.randint(1, 9), value] for value in (a, a + 1, a - 1)]
    calls = [f"{name}({xs}) == {value_of(expression, {'xs': xs})}" for xs in arguments]
    return [f"assert {call}".replace(", ", ",") for call in calls]


def _draw(random: Random) -> Document:
    name, a = random.choice(_NAMES), random.randint(2, 8)
    task, expression = random.choice(_TASKS)
    text, expression = task.format(a=a), expression.format(a=a)
    return {
        "text": f"Write a function to {text}.",
        "code": f"def {name}(xs):\n    return {expression}",
        "test_list": _tests(random, name, expression, a),
    }


def _prompt(document: Document) -> str:
    tests = "\n".join(document["test_list"])
    return (
        f"You are an expert Python programmer, and here is your task: {document['text']} "
        f"Your code should pass these tests:\n\n{tests}\n[BEGIN]\n"
    )


MBPP = Miniature(
    name="mbpp",
    shots=1,
    draw=_draw,
    question=lambda document: f"{document['text']} {document['code'].partition('(')[0]}",
    prompt=_prompt,
    answer=lambda document: f"{document['code']}\n[DONE]",
)


def build_predictions(responses: list[list[str]], documents: list[Document]) -> list[list[str]]:  # noqa: ARG001
    """Keep every response as a candidate program."""
    return responses
