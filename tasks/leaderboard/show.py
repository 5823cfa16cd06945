"""The leaderboard in a terminal, from results/leaderboard.csv alone: a clone without scores can print it too."""

import json
from typing import Any

import pandas as pd
from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from tasks import paths
from tasks.leaderboard.compare import LEVEL
from tasks.leaderboard.finding import caution, nothing_ranked, partial
from tasks.leaderboard.words import BLANK, label, listing, number, percent

UNBOUNDED = 10_000
NAME_WIDTH = 8
"""What a long name may be folded to."""


def print_leaderboard(console: Console, table: pd.DataFrame) -> None:
    """Print a leaderboard as `tasks.leaderboard.table.wide` makes it.

    A narrow terminal gets scores without their errors, a narrower one no seconds either, and long names folded; the
    narrowest gets the means alone. Where the output is no terminal, lines are as long as they need to be, so that whole
    names can be searched for.
    """
    wrapped = console.is_terminal
    longest = max(cell_len(label(str(name), kind)) for name, kind in table["kind"].items())
    foldable = max(longest - NAME_WIDTH, 0)
    for errors, seconds, scores in ((True, True, True), (False, True, True), (False, False, True), (False,) * 3):
        grid = grid_of(table, console, with_errors=errors, with_seconds=seconds, with_scores=scores)
        width = natural_width(grid, console)
        if not wrapped or width - (0 if seconds else foldable) <= console.width:
            break
    grid.width = None if wrapped else width
    console.print(grid, soft_wrap=False, crop=False)
    shown = "Scores in percent ± standard error; " if errors else "Scores in percent; " if scores else ""
    lines = [
        f"{shown}normalised: the mean in percent of the benchmarks' experts.",
        *explain(table),
        f"More in {paths.REPORT} and {paths.LEADERBOARD}",
    ]
    console.print(encodable("\n".join(lines), console), markup=False, soft_wrap=not wrapped)
    kinds = {str(name): str(kind) for name, kind in table["kind"].items()}
    cautions = [caution(text, models, kinds) for text, models in warnings_of(table).items()]
    lines = [partial(lacking(table), len(table)), *(f"warning: {text}" for text in cautions)]
    for line in filter(None, lines):
        console.print(encodable(line, console), style="yellow", markup=False, soft_wrap=not wrapped)


def grid_of(
    table: pd.DataFrame, console: Console, *, with_errors: bool, with_seconds: bool, with_scores: bool = True
) -> Table:
    """The leaderboard as a table of text: a row for each model, a line below the last recipe."""
    benchmarks = [str(column).removesuffix("_score") for column in table if str(column).endswith("_score")]
    benchmarks = [benchmark for benchmark in benchmarks if with_scores and benchmark != "mean"]
    grid = Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        collapse_padding=True,
        padding=(0, 1, 0, 0),
        header_style="bold",
    )
    grid.add_column("", justify="right", no_wrap=True)
    grid.add_column("model", overflow="fold", min_width=NAME_WIDTH)
    grid.add_column("group", overflow="fold", min_width=5)
    for heading in (*benchmarks, "normalised", *(["merge s"] if with_seconds else [])):
        grid.add_column(Text(heading), justify="right", no_wrap=True)

    last_recipe = table.index[table["kind"] == "recipe"][-1]
    for name, row in table.iterrows():
        rank = blank_or(row["rank"], "{:.0f}")
        scores = [percent(row[f"{benchmark}_score"]) for benchmark in benchmarks]
        if with_errors:
            errors = [percent(row[f"{benchmark}_stderr"]) for benchmark in benchmarks]
            both = zip(scores, errors, strict=True)
            scores = [score if score == BLANK else f"{score} ±{error}" for score, error in both]
        names = [rank, label(str(name), row["kind"]), blank_or(row["group"], "{}")]
        seconds = [blank_or(row["merge_seconds"], "{:.1f}")] if with_seconds else []
        cells = [*names, *scores, number(row["mean_normalised"]), *seconds]
        grid.add_row(
            *(Text(encodable(cell, console)) for cell in cells),
            style="bold" if rank == "1" else "" if row["kind"] == "recipe" else "dim",
            end_section=bool(name == last_recipe),
        )
    return grid


def blank_or(value: Any, form: str) -> str:
    """A value in a cell, nothing where there is none."""
    return "" if pd.isna(value) else form.format(value)


def natural_width(grid: Table, console: Console) -> int:
    """The columns that a table takes when nothing in it is folded."""
    return Measurement.get(console, console.options.update(width=UNBOUNDED), grid).maximum


def lacking(table: pd.DataFrame) -> int:
    """How many models of a partial leaderboard something is missing of."""
    return int(table["missing"].count()) if "missing" in table else 0


def explain(table: pd.DataFrame) -> list[str]:
    """What the letters say, and whom they say nothing of."""
    recipes = table[table["kind"] == "recipe"]
    ranked = recipes[recipes["rank"].notna()]
    if ranked.empty:
        yardstick = table.filter(regex="(?<!^mean)_normalised$").notna().any(axis=None)
        return [nothing_ranked(partial=lacking(table) > 0, yardstick=bool(yardstick))]
    if len(ranked) == 1:
        return []
    test = f"paired test over the same questions, adjusted p >= {LEVEL}"
    lines = [f"Recipes that share a letter cannot be told apart ({test})."]
    first, others = str(ranked.index[0]), ranked.iloc[1:]
    unknown = [str(name) for name in others.index[others["p_against_first"].isna()]]
    return [*lines, f"{first} was not compared with {listing(unknown)}."] if unknown else lines


def warnings_of(table: pd.DataFrame) -> dict[str, list[str]]:
    """Each warning with the models that it is about, first those of models that lack something."""
    models: dict[str, list[str]] = {}
    by_model = table["warnings"].dropna()
    if "missing" in table:
        by_model = by_model[table["missing"].reindex(by_model.index).isna().sort_values(kind="stable").index]
    for name, texts in by_model.items():
        for text in parsed(texts):
            models.setdefault(text, []).append(str(name))
    return {text: [str(name) for name in table.index if name in about] for text, about in models.items()}


def parsed(texts: str) -> list[str]:
    """The warnings of one model: a list in JSON or, in older files, texts with | between them."""
    try:
        found = json.loads(texts)
    except ValueError:
        found = None
    return [str(text) for text in found] if isinstance(found, list) else texts.split(" | ")


def encodable(text: str, console: Console) -> str:
    """`text` in what the output's encoding can hold."""
    return text.replace("±", "+-").replace("–", "-") if console.options.ascii_only else text
