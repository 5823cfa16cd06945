"""The commands that make a report again."""

import shlex
from collections.abc import Sequence

from tasks.report.checkout import Checkout


def everything(found: Checkout | None) -> str:
    """From nothing: the commit, what its remote has, and the rest computed."""
    if found is None:
        return "make repro     # runs what is not up to date, and prints the table"
    return "\n".join(
        [
            f"git clone {shlex.quote(found.url) if found.url else 'REPOSITORY'} {shlex.quote(found.folder)}",
            f"cd {shlex.quote(found.folder)}",
            f"git checkout {found.commit}",
            *(["# then the changes in " + ", ".join(found.changed)] if found.changed else []),
            "make pull     # takes what DVC's remote has, computes the rest, and prints the table",
        ]
    )


def each_recipe(recipes: Sequence[str]) -> str:
    """A line a recipe: its merge and its evaluation, with what is upstream of them."""
    return "\n".join(f"dvc repro evaluate_recipe@{name}" for name in recipes)
