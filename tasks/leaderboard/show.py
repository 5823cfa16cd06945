"""The leaderboard in a terminal, from results/leaderboard.csv alone: a clone without scores can print it too."""

import pandas as pd
from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from tasks import paths
from tasks.leaderboard.compare import LEVEL
from tasks.leaderboard.words import label, number, percent

BEST_MARK, NEAR_MARK = "*", "="
UNBOUNDED = 10_000


def print_leaderboard(console: Console, table: pd.DataFrame) -> None:
    """Print a leaderboard as `tasks.leaderboard.table.wide` makes it.

    A narrow terminal gets scores without their errors, and long names folded. Where the output is no terminal, lines
    are as long as they need to be, so that whole names can be searched for.
    """
    near = table["p_against_best"] >= LEVEL
    # rows are best first: the first one is the best, unless nothing could be ranked
    best = None if table["mean_normalised"].isna().iloc[0] else str(table.index[0])
    marks = table.index.map(lambda name: BEST_MARK if name == best else NEAR_MARK if near[name] else " ")
    grid = grid_of(table.assign(mark=marks), console, with_errors=True)
    width = natural_width(grid, console)
    if console.is_terminal and width > console.width:
        grid = grid_of(table.assign(mark=marks), console, with_errors=False)
    grid.width = None if console.is_terminal else width
    console.print(grid, soft_wrap=False, crop=False)
    lines = [
        "Scores in percent ± standard error; normalised: the mean in percent of the benchmarks' experts.",
        explain(best is not None, near[table["p_against_best"].notna()]),
        f"More in {paths.REPORT} and {paths.LEADERBOARD}",
    ]
    console.print(encodable("\n".join(lines), console), markup=False)


def grid_of(table: pd.DataFrame, console: Console, *, with_errors: bool) -> Table:
    """The leaderboard as a table of text: a row for each model, a line below the last recipe."""
    benchmarks = [str(column).removesuffix("_score") for column in table if str(column).endswith("_score")]
    benchmarks.remove("mean")
    grid = Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        collapse_padding=True,
        padding=(0, 1, 0, 0),
        header_style="bold",
    )
    grid.add_column("", justify="right", no_wrap=True)
    grid.add_column("model", overflow="fold", min_width=10)
    for heading in (*benchmarks, "normalised", "merge s"):
        grid.add_column(Text(heading), justify="right", no_wrap=True)

    last_recipe = table.index[table["kind"] == "recipe"][-1]
    for name, row in table.iterrows():
        rank = "" if pd.isna(row["rank"]) else str(int(row["rank"]))
        scores = [percent(row[f"{benchmark}_score"]) for benchmark in benchmarks]
        if with_errors:
            errors = [percent(row[f"{benchmark}_stderr"]) for benchmark in benchmarks]
            scores = [f"{score} ±{error}" for score, error in zip(scores, errors, strict=True)]
        seconds = "" if pd.isna(row["merge_seconds"]) else f"{row['merge_seconds']:.1f}"
        cells = [rank + row["mark"], label(str(name), row["kind"]), *scores, number(row["mean_normalised"]), seconds]
        grid.add_row(
            *(Text(encodable(cell, console)) for cell in cells),
            style="bold" if row["mark"] == BEST_MARK else "" if row["kind"] == "recipe" else "dim",
            end_section=bool(name == last_recipe),
        )
    return grid


def natural_width(grid: Table, console: Console) -> int:
    """The columns that a table takes when nothing in it is folded."""
    return Measurement.get(console, console.options.update(width=UNBOUNDED), grid).maximum


def explain(ranked: bool, near: pd.Series) -> str:
    """What the marks beside the ranks say; `near` holds, for each recipe but the best, whether it is marked."""
    if not ranked:
        return "No recipe can be ranked: every declared expert scores 0 on its benchmark."
    if near.any():
        test = f"paired test over the same questions, adjusted p >= {LEVEL}"
        return f"{BEST_MARK} best recipe; {NEAR_MARK} cannot be told apart from it ({test})"
    return f"{BEST_MARK} best recipe" + (", told apart from every other one" if len(near) else "")


def encodable(text: str, console: Console) -> str:
    """`text` in what the output's encoding can hold."""
    return text.replace("±", "+-").replace("–", "-") if console.options.ascii_only else text
