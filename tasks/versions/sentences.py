"""Differences in sentences: what moved, who is ahead, which recipes fell or rose, and what nobody can tell."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from tasks.leaderboard.words import BLANK, interval, listing, number, probability, signed
from tasks.versions.change import SAME, Change
from tasks.versions.moved import in_words
from tasks.versions.version import MEAN

if TYPE_CHECKING:
    from tasks.versions.differences import Differences

NAMED = 3
"""More recipes than these are counted in a sentence and not named."""
Verb = Literal["fell", "rose"]


def sentences(found: "Differences") -> list[str]:
    """Two to six lines."""
    moves = f"{found.after.label} beside {found.before.until}: {in_words(found.moves)} moved."
    lines = [moves, lead(found), shortened(found.falls, "fell"), shortened(found.gains, "rose")]
    return [line for line in (*lines, came_and_went(found), told_by_tests(found)) if line]


def real(found: "Differences", verb: Verb) -> list[str]:
    """A sentence for each recipe of which the mean or a score really fell or rose, with all that did."""
    by_recipe: dict[str, list[str]] = {}
    for change in found.changes:
        if getattr(change, verb):
            by_recipe.setdefault(change.recipe, []).append(described(change))
    return [f"{recipe} {verb} {', '.join(changes)}." for recipe, changes in by_recipe.items()]


def described(change: Change) -> str:
    """A change in numbers: `on gsm8k from 42.0 to 35.5 (-6.5, 95 % interval -10.0 to -3.0, adjusted p 0.003)`."""
    several = f" over {counted(len(change.benchmarks), 'benchmark')}" if len(change.benchmarks) > 1 else ""
    what = f"in mean score{several}" if change.benchmark == MEAN else f"on {change.benchmark}"
    ends = interval(change.low, change.high)
    known = [signed(change.difference), *([] if ends == BLANK else [f"95 % interval {ends}"])]
    known.append(f"adjusted p {probability(change.p_adjusted)}")
    return f"{what} from {number(change.before)} to {number(change.after)} ({', '.join(known)})"


def shortened(lines: Sequence[str], verb: Verb) -> str:
    """Sentences on one line; where they are many, the others are counted."""
    rest = len(lines) - NAMED
    return " ".join([*lines[:NAMED], *([f"{counted(rest, 'more recipe')} {verb} too."] if rest > 0 else [])])


def lead(found: "Differences") -> str:
    """Which recipes have the highest mean score, now and before."""
    now, before = found.after.winners(), found.before.winners()
    if not now:
        return "No recipe has a mean score."
    have = "has" if len(now) == 1 else "have"
    text = f"{listing(now)} {have} the highest mean score, {number(found.after.score(now[0]))}"
    if not before:
        return f"{text}."
    was = number(found.before.score(before[0])) + ("" if same_questions(found) else " over other questions")
    return f"{text}, as before ({was})." if now == before else f"{text}; before, it was {listing(before)} with {was}."


def same_questions(found: "Differences") -> bool:
    """Whether the two versions' means are of the same kind."""
    asked = [set(names) for names in (found.before.benchmarks, found.after.benchmarks)]
    return all(set(change.benchmarks) == names for change in found.means for names in asked)


def came_and_went(found: "Differences") -> str:
    """The recipes of one version alone."""
    parts = [f"{listing(found.added)} {be(found.added)} new"] if found.added else []
    parts += [f"{listing(found.removed)} {be(found.removed)} gone"] if found.removed else []
    return f"{'; '.join(parts)}." if parts else ""


def told_by_tests(found: "Differences") -> str:
    """Whether anything was told apart, what stayed as it was, and what was not tested and why."""
    if not found.means:
        return "The two versions share no recipe, so that there is nothing to test."
    tested = [change for change in found.means if change.tested]
    alike = [change.recipe for change in found.means if change.reason == SAME]
    single = [change for change in found.changes if change.benchmark != MEAN] or found.means
    reasons = dict.fromkeys(change.reason for change in single if change.reason not in ("", SAME))
    parts = []
    if tested and not any(change.told_apart for change in found.changes):
        parts.append(f"no difference is told apart ({counted(len(tested), 'recipe')} tested)")
    if alike:
        parts.append(f"{some(alike)} {'does' if len(alike) == 1 else 'do'} as before on every question asked in both")
    if reasons:
        parts.append(f"{'in part ' if tested or alike else ''}untested: {'; '.join(reasons)}")
    text = "; ".join(parts)
    named = bool(alike) and text.startswith(some(alike))  # a recipe's name begins a sentence as it is spelt
    return f"{text if named else text[0].upper() + text[1:]}." if text else ""


def some(names: Sequence[str]) -> str:
    """Recipes by name where they are few, else their number."""
    return listing(names) if len(names) <= NAMED else counted(len(names), "recipe")


def counted(count: int, what: str) -> str:
    """So many of something."""
    return f"{count} {what}{'' if count == 1 else 's'}"


def be(names: Sequence[str]) -> str:
    """The verb for one or several names."""
    return "is" if len(names) == 1 else "are"
