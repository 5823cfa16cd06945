"""What the leaderboard says, in sentences: who ranks first, beside whom, which recipes are alike, what to mistrust."""

import math
from collections.abc import Mapping

from tasks.leaderboard.compare import LEVEL
from tasks.leaderboard.gather import Leaderboard
from tasks.leaderboard.groups import letter
from tasks.leaderboard.words import label, listing, number

LISTED = 12
"""Groups of more recipes than these are not listed in a sentence."""
NAMED = 3
"""More models than these are counted and not named."""


def finding(board: Leaderboard) -> str:
    """The answer: the recipe that ranks first, whether it is told apart from the others, and from the base."""
    if board.first is None:
        return nothing_ranked(partial=bool(board.missing), yardstick=bool(board.benchmarks_in_mean))
    parts = ranking(board, board.first), unranked(board), beside_base(board, board.first)
    return " ".join(part for part in parts if part)


def nothing_ranked(*, partial: bool, yardstick: bool) -> str:
    """Why no recipe has a rank.

    Args:
        partial: Whether scores are missing.
        yardstick: Whether there is a benchmark with scores in percent of its expert.
    """
    if yardstick:
        return "No recipe can be ranked: each lacks a benchmark of the mean normalised score."
    unknown = ", or is not measured on it" if partial else ""
    return f"No recipe can be ranked: every declared expert scores 0 on its benchmark{unknown}."


def unranked(board: Leaderboard) -> str:
    """The recipes of a partial leaderboard that have no rank, and why not."""
    by_reason: dict[str, list[str]] = {}
    for gap in board.missing:
        if gap.what == "scores" and gap.model in board.recipes and gap.model not in board.ranked:
            by_reason.setdefault(gap.why, []).append(gap.model)
    lists = [f"{first_ones(names)} ({why})" for why, names in by_reason.items()]
    return f"Failed or not there yet: {'; '.join(lists)}." if lists else ""


def banner(board: Leaderboard) -> str:
    """What a partial leaderboard says of itself before anything else; nothing where it is whole."""
    return partial(len({gap.model for gap in board.missing}), len(board.summary))


def partial(lacking: int, count: int) -> str:
    """That scores or samples of some models are missing; nothing where none are.

    Args:
        lacking: Of how many models.
        count: How many models there are.
    """
    what = f"{lacking} of {count} models {'lacks' if lacking == 1 else 'lack'} scores or samples, as the warnings say"
    return f"This leaderboard is partial: {what}. `dvc repro` makes what is missing." if lacking else ""


def ranking(board: Leaderboard, first: str) -> str:
    """The recipes of rank 1, and whether the first of them is told apart from the others."""
    count, leaders = len(board.ranked), board.leaders
    others = [recipe for recipe in board.ranked if recipe not in leaders]
    whole = count == len(board.recipes)
    counted = f"{count} recipes" if whole else f"the {count} recipes that are complete,"
    value = f"a mean normalised score of {number(board.summary['mean_normalised'][first])}"
    if count == 1:
        return f"{first}, the only recipe{'' if whole else ' that is complete'}, has {value}."
    if len(leaders) == 1:
        near = board.not_told_apart or board.not_compared
        conjunction = ", but" if near else " and"
        return f"{first} ranks first of {counted} with {value}{conjunction} {standing(board, others)}."
    named = listing(leaders) if len(leaders) <= NAMED else f"{len(leaders)} recipes"
    shared = f"{named} share the first rank of {counted} with {value}"
    return f"{shared}; {first} {standing(board, others)}." if others else f"{shared}."


def standing(board: Leaderboard, others: list[str]) -> str:
    """What the paired test says of the first recipe and these: the rest of a sentence of which it is the subject."""
    near = [name for name in board.not_told_apart if name in others]
    unknown = [name for name in board.not_compared if name in others]
    parts = []
    if near:
        parts.append(f"cannot be told apart from {some(near, others, 'any other one')}")
    if unknown:
        parts.append(f"was not compared with {some(unknown, others, 'any other one')}")
    return " and ".join(parts) or f"is told apart from {some(others, others, 'every other one')}"


def some(names: list[str], others: list[str], everyone: str) -> str:
    """Some of the other recipes: by name where they are few, else by number."""
    if len(names) == len(others) > 1:
        return everyone
    return listing(names) if len(names) <= NAMED else f"{len(names)} of the other {len(others)}"


def beside_base(board: Leaderboard, first: str) -> str:
    """Whether merging gained anything: the first recipe beside the base."""
    p = board.p_against_first(board.base)
    if math.isnan(p):
        return f"{first} was not compared with the base."
    above = "above" if board.against_first["difference"][board.base] > 0 else "below"
    verdict = f"is {above}" if p < LEVEL else "cannot be told apart from"
    return f"{first} {verdict} the base, which has {number(board.summary['mean_normalised'][board.base])}."


def grouping(board: Leaderboard) -> str:
    """Which recipes share a letter, in a sentence each; empty where that says nothing, or takes many lines."""
    if not 1 < len(board.letters) <= LISTED:
        return ""
    return " ".join(f"Group {letter(count)}: {', '.join(recipes)}." for count, recipes in enumerate(board.groups))


def cautions(board: Leaderboard) -> list[str]:
    """Every warning with its models."""
    kinds = {str(name): str(kind) for name, kind in board.summary["kind"].items()}
    return [caution(text, models, kinds) for text, models in board.warnings.items()]


def caution(text: str, models: list[str], kinds: Mapping[str, str]) -> str:
    """A warning with the models that it is about.

    Args:
        text: The warning.
        models: Whom it is about.
        kinds: Every model -> base, expert or recipe.
    """
    if len(models) == len(kinds):
        return f"all models: {text}"
    return f"{first_ones([label(name, kinds[name]) for name in models])}: {text}"


def first_ones(names: list[str]) -> str:
    """Names in a sentence; of many, the first few."""
    return listing(names) if len(names) <= NAMED else f"{', '.join(names[:NAMED])} and {len(names) - NAMED} more"
