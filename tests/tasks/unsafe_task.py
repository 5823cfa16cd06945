"""A scoring function that executes what a model wrote, as some of lm-eval's tasks do."""

from typing import Any


def execute(document: dict[str, Any], results: list[str]) -> dict[str, int]:
    """Must never be reached."""
    raise AssertionError(f"{document} was scored outside the sandbox: {results}")
