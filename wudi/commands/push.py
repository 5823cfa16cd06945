"""`wudi push`: publish a merged model on the Hub."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wudi.commands.terminal import bar, say
from wudi.errors import WudiError

if TYPE_CHECKING:
    from wudi.push import Package

EXAMPLES = (
    ("wudi push ./merged me/my-merge --dry", "the card and the list of files, without the network"),
    ("wudi push ./merged me/my-merge --private", "a new repository that only you see"),
    ("wudi push merged/wudi me/my-merge --scores scores/wudi.json", "with its scores in the card"),
    ("wudi push merged/wudi me/my-merge --revision v2 --message 'Second try'", "onto a branch"),
)


def add(commands: Any) -> None:
    """The arguments."""
    parser = commands.add_parser(
        "push",
        help="publish a merged model on the Hub",
        description="Verify a merged model, and upload it with its card to the Hub, in one commit.",
        reads="DIR; the token of `hf auth login` or HF_TOKEN",
        writes="the repository OWNER/NAME",
        examples=EXAMPLES,
    )
    parser.add_argument("folder", type=Path, metavar="DIR", help="the model folder that a merge has written")
    parser.add_argument("repository", metavar="OWNER/NAME", help="the repository, which is made if there is none")
    parser.add_argument("--private", action="store_true", help="of a new repository: nobody else sees it")
    parser.add_argument("--revision", metavar="BRANCH", help="the branch, which is made if there is none; main")
    parser.add_argument("--message", help="what the commit says")
    parser.add_argument("--scores", type=Path, metavar="FILE", help="scores/NAME.json of this model, for the card")
    parser.add_argument(
        "--results", type=Path, metavar="FILE", help="results/leaderboard.csv beside it, for normalised scores"
    )
    parser.add_argument("--dry", action="store_true", help="only show what would be pushed")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Push, or show what would be pushed."""
    from wudi.push import check_merged, check_repository, hub_token, package, push

    check_repository(options.repository)
    if options.results is not None and options.scores is None:
        raise WudiError("--results: goes with --scores scores/NAME.json, whose name is the model's in the table")
    check_merged(options.folder)
    if not options.dry:
        hub_token()  # asked for before gigabytes are hashed
    found = package(options.folder, track=bar)
    if options.scores is not None:
        found = scored(found, options)
    if options.dry:
        show(found, options)
        return
    quiet_bars()
    total = sum(map(found.size, found.names))
    say(f"pushing {len(found.names)} files, {total / 1e6:,.1f} MB")
    pushed = push(found, options.repository, private=options.private, branch=options.revision, message=options.message)
    print(f"{pushed.url} is at {pushed.commit}")


def scored(found: "Package", options: argparse.Namespace) -> "Package":
    """The package with the model's scores in its card."""
    from wudi.scored_card import read_scores, scored_card

    scores = read_scores(options.scores, found.record["outputs"], options.results)
    return found.with_card(scored_card(found.card, options.repository.partition("/")[2], scores))


def show(found: "Package", options: argparse.Namespace) -> None:
    """Print the card and the files with their sizes."""
    from wudi.hub_license import asks_the_hub

    print(found.card)
    if asks_the_hub(found.card, found.record):
        print("The push asks the Hub for the models' licenses; if all are the same, the card has it too.\n")
    width = max(map(len, found.names))
    for name in found.names:
        print(f"{name:<{width}}  {found.size(name):>15,}")
    total = sum(map(found.size, found.names))
    where = options.repository + (f" at {options.revision}" if options.revision else "")
    print(f"{len(found.names)} files, {total / 1e6:,.1f} MB, would be pushed to {where}; nothing was")


def quiet_bars() -> None:
    """Leave the client's bars to terminals."""
    from huggingface_hub.utils.tqdm import disable_progress_bars

    if not sys.stderr.isatty():
        disable_progress_bars()
