"""Word problems with one-digit numbers, in the form of GSM8K: one calculation a line, the result after `####`."""

from random import Random

from tasks.zoo.problems.miniature import Document, Miniature

_NAMES = ("Anna", "Ben", "Clara", "David", "Emma", "Felix", "Grace", "Henry")
_THINGS = ("apples", "books", "coins", "pens", "cards", "shells", "stamps", "eggs")

_SUMS = (
    "{name} has {a} {things}. {other} gives {name} {b} more. How many {things} does {name} have now?",
    "{name} finds {a} {things} on Monday and {b} on Tuesday. How many {things} does {name} find?",
    "There are {a} {things} in a box. {name} adds {b}. How many {things} are in the box?",
)
_DIFFERENCES = (
    "{name} has {a} {things} and loses {b} of them. How many {things} are left?",
    "{name} buys {a} {things}. {name} gives {b} to {other}. How many {things} does {name} have now?",
    "There are {a} {things} in a box. {name} takes {b} out. How many {things} are in the box?",
)
_PRODUCTS = (
    "{name} has {a} boxes. Each box has {b} {things}. How many {things} does {name} have?",
    "{name} buys {b} {things} on each of {a} days. How many {things} does {name} buy?",
)


def _draw(random: Random) -> Document:
    name, other = random.sample(_NAMES, 2)
    sign = random.choice("+-*")
    a, b = random.randint(2, 5 if sign == "*" else 8), random.randint(2, 8)
    if sign == "-":
        a, b = max(a, b), min(a, b)
    template = random.choice({"+": _SUMS, "-": _DIFFERENCES, "*": _PRODUCTS}[sign])
    result = {"+": a + b, "-": a - b, "*": a * b}[sign]
    things = random.choice(_THINGS)
    return {
        "question": template.format(name=name, other=other, things=things, a=a, b=b),
        "answer": f"<<{a}{sign}{b}={result}>>{result} {things}.\n#### {result}",
    }


GSM8K = Miniature(
    name="gsm8k",
    shots=2,
    draw=_draw,
    question=lambda document: str(document["question"]),
    prompt=lambda document: f"Question: {document['question']}\nAnswer:",
    answer=lambda document: f" {document['answer']}",
)
