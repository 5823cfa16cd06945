"""The page that `python -m tasks.samples ... --page FILE` writes: every chosen question with its answers."""

from collections.abc import Sequence
from pathlib import Path

from tasks.leaderboard.write import write
from tasks.reading.choose import Entry
from tasks.reading.page import Page
from tasks.reading.parts import parts, verdict
from tasks.reading.text import harmless
from tasks.report.page import fill
from tasks.report.pairs.excerpts import Question, Reply
from wudi.errors import WudiError

TEMPLATE = Path(__file__).parent / "answers.html.j2"


def write_page(path: Path, title: str, lines: Sequence[str], entries: Sequence[Entry], layout: Page) -> Path:
    """Write the page, whole or not at all.

    Args:
        path: Where; what is there is replaced.
        title: What is asked about whom.
        lines: What is known of all the answers together.
        entries: The questions that are shown.
        layout: How much of each.

    Raises:
        WudiError: There is no writing there.
    """
    if path.is_dir():
        raise WudiError(f"--page {path}: cannot be written (a folder is there); takes a file, like answers.html")
    questions = [question(entry, layout) for entry in entries]
    page = fill(TEMPLATE, title=title, lines=lines, questions=questions)
    try:
        return write(path, page)
    except OSError as error:
        problem = error.strerror or str(error)
        raise WudiError(f"--page {path}: cannot be written ({problem}); takes a file, like answers.html") from None


def question(entry: Entry, layout: Page) -> Question:
    """A question as the terminal shows it."""
    replies = {
        harmless(model): Reply(answer.right, verdict(answer), tuple(parts(answer, layout.cut)))
        for model, answer in entry.answers.items()
    }
    return Question(
        number=entry.first.question,
        task=harmless(entry.first.task),
        asked=layout.asked(entry),
        expected=layout.cut(entry.first.target),
        replies=replies,
    )
