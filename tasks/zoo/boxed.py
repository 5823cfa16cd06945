r"""Scores a solution by the answer in its last `\boxed{}`, in the manner of the harness's minerva_math.

The harness's own module insists on a parser version that DVC excludes; the answers here are numbers, for which
a comparison of normalised text and math-verify are enough.
"""

from tasks.zoo.problems import Document


def process_results(document: Document, results: list[str]) -> dict[str, int]:
    """Score one solution as the same text (`exact_match`) and as the same value (`math_verify`)."""
    from math_verify import parse, verify

    solution = results[0]
    answer = last_boxed(solution)
    same_text = answer is not None and _normalised(answer) == _normalised(document["answer"])
    same_value = verify(gold=parse(document["solution"]), target=parse(solution))
    return {"exact_match": int(same_text), "math_verify": int(same_value)}


def last_boxed(text: str) -> str | None:
    r"""Return what stands in the last `\boxed{}`, braces balanced, or None where nothing is boxed."""
    start = text.rfind(r"\boxed{")
    if start < 0:
        return None
    start += len(r"\boxed{")
    depth = 1
    for end in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[end], 0)
        if depth == 0:
            return text[start:end]
    return None


def _normalised(answer: str) -> str:
    """Drop what does not change a number: the left side of an equation, spaces, dollars and a final full stop."""
    return answer.rpartition("=")[2].replace(" ", "").replace("$", "").removesuffix(".")
