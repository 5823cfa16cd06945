"""Print the leaderboard: `python -m tasks.leaderboard`."""

from argparse import Namespace

from tasks.console import command, console, quiet
from tasks.leaderboard.current import current
from tasks.leaderboard.missing import PARTIAL_HELP
from tasks.leaderboard.show import print_leaderboard
from tasks.params import load_params
from wudi.commands.arguments import Arguments

EXAMPLES = (
    ("python -m tasks.leaderboard", "the table again"),
    ("python -m tasks.leaderboard --partial", "of what is there, while stages run or after one failed"),
)


def main() -> None:
    """Print the leaderboard."""
    options = parse()
    print_leaderboard(console, current(load_params(), partial=options.partial))


def parse() -> Namespace:
    """The command line."""
    parser = Arguments(
        prog="python -m tasks.leaderboard",
        description="Print the leaderboard.",
        reads="scores/, samples/ and timings/; in a clone without scores, results/leaderboard.csv",
        writes="results/leaderboard.csv; with --partial, only where nothing is missing",
        examples=EXAMPLES,
    )
    parser.add_argument("--partial", action="store_true", help=PARTIAL_HELP)
    return parser.parse_args()


if __name__ == "__main__":
    quiet()
    command(main)
