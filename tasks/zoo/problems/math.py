r"""One-line algebra in the form of MATH: a problem in LaTeX, a short derivation, the result in `\boxed{}`."""

from random import Random

from tasks.zoo.problems.miniature import Document, Miniature

_LETTERS = "abkmnptxyz"
_ORDERS = ("Solve ${equation}$ for ${x}$.", "Find ${x}$ if ${equation}$.", "If ${equation}$, what is ${x}$?")


def _product(random: Random, x: str) -> tuple[str, str, int]:
    a, value = random.randint(2, 5), random.randint(2, 9)
    return f"{a}{x} = {a * value}", f"{a * value}/{a}", value


def _sum(random: Random, x: str) -> tuple[str, str, int]:
    a, value = random.randint(2, 5), random.randint(2, 9)
    return f"{x} + {a} = {value + a}", f"{value + a}-{a}", value


def _difference(random: Random, x: str) -> tuple[str, str, int]:
    a, rest = random.randint(2, 5), random.randint(2, 9)
    return f"{x} - {a} = {rest}", f"{rest}+{a}", rest + a


def _draw(random: Random) -> Document:
    x = random.choice(_LETTERS)
    equation, derivation, value = random.choice((_product, _sum, _difference))(random, x)
    return {
        "problem": random.choice(_ORDERS).replace("{equation}", equation).replace("{x}", x),
        "solution": rf"${x} = {derivation} = \boxed{{{value}}}$",
        "answer": str(value),
    }


MATH = Miniature(
    name="math",
    shots=2,
    draw=_draw,
    question=lambda document: str(document["problem"]),
    prompt=lambda document: f"Problem:\n{document['problem']}\n\nSolution:",
    answer=lambda document: f" {document['solution']}",
)
