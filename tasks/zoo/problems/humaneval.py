"""A signature and a docstring to complete with one line, in the form of HumanEval; hidden tests call the function."""

from random import Random

from tasks.zoo.problems.miniature import Document, Miniature
from tasks.zoo.problems.programs import value_of

_NAMES = ("solve", "compute", "apply", "change", "convert", "update", "work", "run")
_LETTERS = "nxyvtk"

_STEPS = (
    ("Add {a} to {x}", "{x} + {a}"),
    ("Increase {x} by {a}", "{x} + {a}"),
    ("Subtract {a} from {x}", "{x} - {a}"),
    ("Decrease {x} by {a}", "{x} - {a}"),
    ("Multiply {x} by {a}", "{x} * {a}"),
    ("Divide {x} by {a}", "{x} // {a}"),
    ("Reduce {x} modulo {a}", "{x} % {a}"),
)
_THEN = (
    ("add {b}", "{first} + {b}"),
    ("subtract {b}", "{first} - {b}"),
    ("multiply by {b}", "({first}) * {b}"),
    ("divide by {b}", "({first}) // {b}"),
)
_CALLS = ((7, 2), (2, 9), (31, 4), (50, 7), (5, 13))


def _draw(random: Random) -> Document:
    name = random.choice(_NAMES)
    x, y = parameters = random.sample(_LETTERS, 2)
    if random.random() < 0.5:
        x, y = y, x
    a, b = random.sample([y, str(random.randint(2, 9))], 2)
    (first_text, first), (then_text, whole) = random.choice(_STEPS), random.choice(_THEN)
    first = first.format(x=x, a=a)
    expression = whole.format(first=first, b=b)
    results = [value_of(expression, dict(zip(parameters, call, strict=True))) for call in _CALLS]
    checks = "".join(f"    assert candidate{call} == {result}\n" for call, result in zip(_CALLS, results, strict=True))
    return {
        "prompt": f'def {name}({", ".join(parameters)}):\n    """{first_text.format(x=x, a=a)}, then {then_text.format(b=b)}."""\n',
        "canonical_solution": f"    return {expression}\n",
        "test": f"def check(candidate):\n{checks}",
        "entry_point": name,
    }


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
