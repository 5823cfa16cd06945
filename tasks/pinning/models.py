"""The models of params.yaml, looked at one by one, with every problem told at once."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from tasks import paths
from tasks.params import Model, Params
from wudi.errors import WudiError

Found = TypeVar("Found")


def models_of(params: Params) -> dict[str, Model]:
    """The base, under that name, and the experts."""
    return {"base": params.base, **params.experts}


def place(name: str) -> str:
    """Where a model stands in params.yaml."""
    return name if name == "base" else f"experts.{name}"


def look_at(models: Mapping[str, Model], look: Callable[[Model], Found], threads: int = 1) -> dict[str, Found]:
    """What `look` finds of each model, by its name.

    Raises:
        WudiError: It finds problems: all of them, one a line.
    """
    found, problems = {}, []
    with ThreadPoolExecutor(threads) as pool:
        futures = {name: pool.submit(look, model) for name, model in models.items()}
        for name, future in futures.items():
            try:
                found[name] = future.result()
            except WudiError as error:
                problems.append(f"{paths.PARAMS}: {place(name)}: {error}")
    if problems:
        raise WudiError("\n".join(problems))
    return found
