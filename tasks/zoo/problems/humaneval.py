"""A signature and a docstring to complete with one line, in the form of HumanEval; hidden tests call the function."""

from random import Random

from tasks.zoo.problems.miniature import Document, Miniature
from tasks.zoo.problems.programs import value_of

_NAMES = ("solve", "compute", "apply", "change", "convert", "update", "work", "run")
_LETTERS = "nxyvtk"

_STEPS = (
    (("Add {a} to {x}", "Increase {x} by {a}"), "{x} + {a}"),
    (("Subtract {a} from {x}", "Decrease {x} by {a}"), "{x} - {a}"),
    (("Multiply {x} by {a}", "Return {a} times {x}"), "{x} * {a}"),
    (("Divide {x} by {a} and round down", "Return how often {a} fits into {x}"), "{x} // {a}"),
    (("Return the remainder of {x} divided by {a}", "Return {x} modulo {a}"), "{x} % {a}"),
    (("Subtract {x} from {a}", "Return what {x} lacks to {a}"), "{a} - {x}"),
)
_SECOND_STEPS = (
    (", then add {b}", "{first} + {b}"),
    (", then subtract {b}", "{first} - {b}"),
    (", then multiply by {b}", "({first}) * {b}"),
)


def _draw(random: Random) -> Document:
    x, name = random.choice(_LETTERS), random.choice(_NAMES)
    a, b = random.randint(2, 9), random.randint(2, 9)
    wordings, expression = random.choice(_STEPS)
    text, expression = random.choice(wordings).format(x=x, a=a), expression.format(x=x, a=a)
    if random.random() < 0.5:
        then, whole = random.choice(_SECOND_STEPS)
        text, expression = text + then.format(b=b), whole.format(first=expression, b=b)
    checks = "\n".join(f"    assert candidate({value}) == {value_of(expression, x, value)}" for value in range(0, 60, 7))
    return {
        "prompt": f'def {name}({x}):\n    """{text}."""\n',
        "canonical_solution": f"    return {expression}\n",
        "test": f"def check(candidate):\n{checks}\n",
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
    return [
        [document["prompt"] + text for text in texts] for texts, document in zip(responses, documents, strict=True)
    ]
