"""Compare recipes across model versions: `python -m tasks.compare`, `... main my-experiment`, `... 'night/2026-*'`."""

import argparse
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from tasks.console import command, console, quiet, step
from tasks.versions import Comparison, History, Version, compare, version_table
from tasks.versions.version import MEAN
from wudi.commands.arguments import Arguments
from wudi.errors import WudiError
from wudi.settings import nearest

EXAMPLES = (
    ("python -m tasks.compare", "every night, and what moved between them"),
    ("python -m tasks.compare main workspace", "what the edits since the last commit changed"),
    ("python -m tasks.compare 'night/2026-11-*' --last 7", "the last week of a pattern of tags"),
    ("python -m tasks.compare --benchmark gsm8k", "the scores on one benchmark"),
    ("python -m tasks.compare v1 v2 --report versions.html", "a page with tables and pictures"),
)


def main() -> None:
    """Print versions beside each other; write them as a table and as a report."""
    options = parse()
    versions = read(History(Path()), options.revisions, options.last)
    comparison = compare(versions)
    benchmark = shown(comparison, options.benchmark)
    from tasks.versions.show import print_comparison

    print_comparison(console, comparison, benchmark)
    if options.csv:
        write(options.csv, version_table(versions).to_csv(index=False, lineterminator="\n"))
    if options.report:
        from tasks.versions.report import render

        write(options.report, render(comparison))


def parse() -> argparse.Namespace:
    """The command line.

    Raises:
        SystemExit: It makes no sense.
    """
    parser = Arguments(
        prog="python -m tasks.compare",
        description="Compare recipes across model versions: what moved, who wins, which differences are real.",
        reads="results/metrics.json and dvc.lock of each revision; answers, where the cache or a remote has them",
        writes="nothing, unless --csv or --report says where",
        examples=EXAMPLES,
    )
    revisions_help = (
        "tag, branch, commit, experiment of `dvc exp`, pattern of tags, or `workspace`; "
        "by default every night, and the workspace where its scores are others than the last night's"
    )
    parser.add_argument("revisions", metavar="REV", nargs="*", help=revisions_help)
    parser.add_argument("--benchmark", metavar="NAME", default=MEAN, help="show the scores on one benchmark")
    parser.add_argument("--last", metavar="N", type=positive, help="the last N revisions only")
    parser.add_argument("--csv", metavar="FILE", type=Path, help="write every score of every version")
    parser.add_argument("--report", metavar="FILE", type=Path, help="write a page with tables and pictures")
    return parser.parse_args()


def positive(text: str) -> int:
    """A whole number above 0, as argparse asks for it."""
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"got {text!r}; takes a whole number above 0")
    return int(text)


def read(history: History, revisions: Sequence[str], last: int | None) -> list[Version]:
    """The versions that were asked for.

    Raises:
        WudiError: There is no such revision, or it has no metrics.
    """
    return history.read_all(revisions, last) if revisions else history.nights(last)


def shown(comparison: Comparison, benchmark: str) -> str:
    """What the table shows.

    Raises:
        WudiError: No version has such a benchmark.
    """
    known = [MEAN, *comparison.benchmarks]
    if benchmark not in known:
        raise WudiError(f"--benchmark {benchmark}: no version was measured on it; {nearest(benchmark, known)}")
    return benchmark


def write(path: Path, content: str) -> None:
    """Put `content` under `path` whole or not at all, and say so.

    Raises:
        WudiError: It cannot be written there.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("w", encoding="utf-8", newline="") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        with suppress(OSError):
            partial.unlink()
        raise WudiError(f"{path}: cannot be written ({error.strerror})") from None
    step(f"wrote {path}")


if __name__ == "__main__":
    quiet()
    command(main)
