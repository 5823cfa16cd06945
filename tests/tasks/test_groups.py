"""Letters: two recipes share one if and only if they are not told apart."""

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.leaderboard.groups import letter, letters, together


@st.composite
def relations(draw: st.DrawFn) -> tuple[list[str], set[tuple[str, str]]]:
    """Recipes, best first, and any pairs of them that are told apart."""
    recipes = [f"r{number}" for number in range(draw(st.integers(1, 9)))]
    pairs = list(combinations(recipes, 2))
    return recipes, set(draw(st.lists(st.sampled_from(pairs), unique=True))) if pairs else set()


@settings(deadline=None)
@given(relations())
def test_a_letter_is_shared_if_and_only_if_two_are_not_told_apart(
    relation: tuple[list[str], set[tuple[str, str]]],
) -> None:
    recipes, apart = relation
    groups = together(recipes, apart)
    shared = {recipe: set(known.split(",") if len(groups) > 26 else known) for recipe, known in letters(groups).items()}
    assert set(shared) == set(recipes)
    assert "a" in shared[recipes[0]]
    for one, other in combinations(recipes, 2):
        assert bool(shared[one] & shared[other]) == ((one, other) not in apart)
    for one, other in combinations(groups, 2):
        assert not set(one) <= set(other) and not set(other) <= set(one)


def test_alike_is_not_transitive() -> None:
    """The second is like the first and like the third, which are told apart."""
    assert letters(together(["x", "y", "z"], {("x", "z")})) == {"x": "a", "y": "ab", "z": "b"}


@pytest.mark.parametrize(
    ("number", "expected"), [(0, "a"), (25, "z"), (26, "aa"), (51, "az"), (52, "ba"), (702, "aaa")]
)
def test_letters_go_on_behind_z(number: int, expected: str) -> None:
    assert letter(number) == expected


def test_more_groups_than_letters() -> None:
    """60 recipes in a row, each like its neighbours alone: 59 groups, no two recipes with the same letters."""
    recipes = [f"r{number}" for number in range(60)]
    apart = {(one, other) for one, other in combinations(recipes, 2) if int(other[1:]) - int(one[1:]) > 1}
    found = letters(together(recipes, apart))
    assert (found["r0"], found["r1"], found["r27"]) == ("a", "a,b", "aa,ab")
    assert len(set(found.values())) == 60
