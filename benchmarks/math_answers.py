"""Answers to MATH's questions: right ones as the dataset writes them and in other words, and wrong ones."""

import random
import re
from collections.abc import Callable
from fractions import Fraction

FRACTION = re.compile(r"\\frac\{(\d+)\}\{(\d+)\}")
INTEGER = re.compile(r"(?<![\d.])\d+(?![\d.])")
LONG = re.compile(r"(?<![\d.])(\d{1,3})(\d{3})(?![\d.])")

LETTERS = "0123456789abcxyz+-*/^_{}()[]\\$ ,.|=<>%&#~!?;:'\"é≤√"

Rewrite = Callable[[str, random.Random], str]


def decimal(answer: str, chance: random.Random) -> str:
    """Simple fractions as decimals."""

    def written(found: re.Match[str]) -> str:
        if int(found[2]) == 0:
            return found[0]
        value = Fraction(int(found[1]), int(found[2]))
        digits = f"{float(value):.10f}".rstrip("0").rstrip(".")
        return digits if Fraction(digits) == value else f"{float(value):.{chance.choice((2, 4, 8))}f}"

    return FRACTION.sub(written, answer)


def reordered(answer: str, chance: random.Random) -> str:
    """The terms of a sum or the members of a list the other way round."""
    for mark in (",", "+"):
        if mark in answer and not re.search(r"[()\[\]{}]", answer):
            parts = answer.split(mark)
            chance.shuffle(parts)
            return mark.join(parts)
    return answer


REFORMATTINGS: dict[str, Rewrite] = {
    r"\dfrac": lambda answer, _: answer.replace(r"\frac", r"\dfrac"),
    r"\tfrac": lambda answer, _: answer.replace(r"\frac", r"\tfrac"),
    "a/b": lambda answer, _: FRACTION.sub(r"\1/\2", answer),
    "(a)/(b)": lambda answer, _: re.sub(r"\\frac\{([^{}]*)\}\{([^{}]*)\}", r"(\1)/(\2)", answer),
    "not reduced": lambda answer, _: FRACTION.sub(lambda f: rf"\frac{{{int(f[1]) * 3}}}{{{int(f[2]) * 3}}}", answer),
    "decimal": decimal,
    "5.0": lambda answer, _: f"{answer}.0" if answer.isdigit() else answer,
    "spaces": lambda answer, _: re.sub(r"([-+=,])", r" \1 ", answer),
    "no spaces": lambda answer, _: answer.replace(" ", ""),
    r"\left": lambda answer, _: (
        answer if r"\left" in answer else re.sub(r"[(\[]", r"\\left\g<0>", re.sub(r"[)\]]", r"\\right\g<0>", answer))
    ),
    "no \\left": lambda answer, _: answer.replace(r"\left", "").replace(r"\right", ""),
    "unit": lambda answer, chance: (
        answer + chance.choice((r"\text{ cm}", " units", r"\,\text{feet}", r"^\circ", r"\%"))
    ),
    "dollar": lambda answer, _: rf"\${answer}",
    "12,345": lambda answer, _: LONG.sub(r"\1,\2", answer),
    "12{,}345": lambda answer, _: LONG.sub(r"\1{,}\2", answer),
    r"12\,345": lambda answer, _: LONG.sub(r"\1\\,\2", answer),
    "reordered": reordered,
    r"\boxed": lambda answer, _: rf"\boxed{{{answer}}}",
    "x =": lambda answer, chance: f"{chance.choice('xyn')} = {answer}",
    r"\cdot": lambda answer, _: re.sub(r"(\d)(\\sqrt|\\pi)", r"\1 \\cdot \2", answer),
    "power": lambda answer, _: re.sub(r"\\sqrt\{([^{}]*)\}", r"(\1)^{1/2}", answer),
    "no braces": lambda answer, _: re.sub(r"\\(frac)\{(\d)\}\{(\d)\}", r"\\\1\2\3", answer),
    "text": lambda answer, _: re.sub(r"\\text\{([^{}]*)\}", r"\1", answer),
    "plus nothing": lambda answer, _: f"{answer} + 0",
}
"""Other ways to write a right answer. Not all of them are right under the harness's rules, which is not what counts."""


def off_by_one(answer: str, chance: random.Random) -> str:
    """One of its integers one higher."""
    found = list(INTEGER.finditer(answer))
    if not found:
        return f"{answer}+1"
    one = chance.choice(found)
    return f"{answer[: one.start()]}{int(one[0]) + 1}{answer[one.end() :]}"


MISTAKES: dict[str, Rewrite] = {
    "off by one": off_by_one,
    "sign": lambda answer, _: answer[1:] if answer.startswith("-") else f"-{answer}",
    "empty": lambda *_: "",
    "garbage": lambda _, chance: "".join(chance.choices(LETTERS, k=25)),
    "truncated": lambda answer, chance: answer[: chance.randrange(max(1, len(answer)))],
    "shuffled": lambda answer, chance: "".join(chance.sample(answer, len(answer))),
    "doubled": lambda answer, _: f"{answer}{answer}",
    "half": lambda answer, _: rf"\frac{{{answer}}}{{2}}",
    "unclosed": lambda answer, _: rf"\frac{{{answer}",
    "words": lambda answer, chance: chance.choice(("no solution", r"\text{none}", r"\infty", "I do not know", "DNE")),  # noqa: ARG005
}
"""Answers that are wrong, but for a few that the change leaves right."""

ENDINGS = (
    "Final Answer: The final answer is ${}$. I hope it is correct.",
    "Final Answer: The final answer is {}. I hope it is correct.",
    r"Final Answer: The final answer is \({}\). I hope it is correct.",
    "Therefore the answer is $${}$$\nFinal Answer: The final answer is $ {} $. I hope it is correct.",
)


def right(solution: str, answer: str) -> str:
    """The reference solution and answer."""
    return f"{solution}\n{ENDINGS[0].format(answer)}"


def reformatted(answer: str, chance: random.Random) -> tuple[str, str]:
    """What was done to a right answer, and the text: the first one to three changes that change it."""
    kinds = chance.sample(list(REFORMATTINGS), len(REFORMATTINGS))
    wanted, done, text = chance.randint(1, 3), list[str](), answer
    for kind in kinds:
        if len(done) < wanted and (changed := REFORMATTINGS[kind](text, chance)) != text:
            text = changed
            done.append(kind)
    return ", ".join(done), chance.choice(ENDINGS).replace("{}", text)


def mistaken(answer: str, other: str, chance: random.Random) -> tuple[str, str]:
    """What was done to make an answer wrong, and the text; `other` is the answer of another problem."""
    kind = chance.choice([*MISTAKES, "another's"])
    text = other if kind == "another's" else MISTAKES[kind](answer, chance)
    return kind, chance.choice(ENDINGS).replace("{}", text)
