"""A signature and a docstring to complete with one line, in the form of HumanEval; hidden tests call the function."""

from random import Random

from tasks.zoo.problems.miniature import Document, Miniature
from tasks.zoo.problems.programs import value_of

_NAMES = ("solve", "compute", "apply", "change", "convert", "update", "work", "run")
_LETTERS = "abckmnpqtvxyz"
_DIGITS = "23456789"

_ORDERS = (
    ("Add {a} to {x}", "{x} + {a}"),
    ("Increase {x} by {a}", "{x} + {a}"),
    ("Subtract {a} from {x}", "{x} - {a}"),
    ("Decrease {x} by {a}", "{x} - {a}"),
    ("Multiply {x} by {a}", "{x} * {a}"),
    ("Divide {x} by {a}", "{x} // {a}"),
)
_THEN = (
    ("{first}, then add {b}", "{inner} + {b}"),
    ("{first}, then subtract {b}", "{inner} - {b}"),
    ("{first}, then multiply by {b}", "({inner}) * {b}"),
    ("{first}, then divide by {b}", "({inner}) // {b}"),
)
_TERMS = (
    ("sum of {x} and {a}", "{x} + {a}"),
    ("difference of {x} and {a}", "{x} - {a}"),
    ("product of {x} and {a}", "{x} * {a}"),
)
_AROUND = (
    ("Return {b} more than the {first}", "{inner} + {b}"),
    ("Return {b} less than the {first}", "{inner} - {b}"),
    ("Return {b} times the {first}", "({inner}) * {b}"),
    ("Return the remainder of the {first} modulo {b}", "({inner}) % {b}"),
)
_CALLS = ((7, 2), (2, 9), (640, 4), (50, 7), (5, 813))


def _draw(random: Random) -> Document:
    name, parameters = random.choice(_NAMES), random.sample(_LETTERS, 2)
    x, a, b = random.choice(parameters), random.choice(_DIGITS), random.choice(_DIGITS)
    parts, wholes = random.choice([(_ORDERS, _THEN), (_TERMS, _AROUND)])
    (first, inner), (text, expression) = random.choice(parts), random.choice(wholes)
    text = text.format(first=first.format(x=x, a=a), b=b)
    expression = expression.format(inner=inner.format(x=x, a=a), b=b)
    return {
        "prompt": f'def {name}({", ".join(parameters)}):\n    """{text}."""\n',
        "canonical_solution": f"    return {expression}\n",
        "test": _check(expression, parameters),
        "entry_point": name,
    }


def _check(expression: str, parameters: list[str]) -> str:
    """Write the hidden tests: what the expression gives for a few calls."""
    lines = ["def check(candidate):"]
    for call in _CALLS:
        expected = value_of(expression, dict(zip(parameters, call, strict=True)))
        lines.append(f"    assert candidate{call} == {expected}")
    return "\n".join(lines) + "\n"


HUMANEVAL = Miniature(
    name="humaneval",
    shots=0,
    draw=_draw,
    question=lambda document: str(document["prompt"]),
    prompt=lambda document: str(document["prompt"]),
    answer=lambda document: str(document["canonical_solution"]),
)


def build_predictions(responses: list[list[str]], documents: list[Document]) -> list[list[str]]:
    """Put each completion under the signature that it completes: the programs that the tests run."""
    return [[document["prompt"] + text for text in texts] for texts, document in zip(responses, documents, strict=True)]
