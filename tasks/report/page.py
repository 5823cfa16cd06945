"""The page: one file that opens offline, the answer first."""

import base64
import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.leaderboard import finding
from tasks.leaderboard.gather import Leaderboard
from tasks.report.comparing import comparison_rows
from tasks.report.cost import cost
from tasks.report.history import history
from tasks.report.made import made
from tasks.report.merges import interference_rows, similarity_rows
from tasks.report.models import model_rows
from tasks.report.samples import samples

if TYPE_CHECKING:
    from markupsafe import Markup

    from tasks.params import Params
    from tasks.pictures import Picture

FOLDER = Path(__file__).parent
PICTURES = FOLDER.parent / "pictures"


def render(board: Leaderboard, params: "Params", pictures: Mapping[str, "Picture"]) -> str:
    """Fill the template; the pictures go into the page itself."""
    return fill(
        FOLDER / "report.html.j2",
        banner=finding.banner(board),
        finding=finding.finding(board),
        warnings=finding.cautions(board),
        grouping=finding.grouping(board),
        benchmarks=board.benchmarks,
        first=board.first,
        models=model_rows(board, params),
        missing=board.missing,
        comparisons=comparison_rows(board),
        cost=cost(board),
        interference=interference_rows(board),
        similarities=similarity_rows(board),
        made=made(board, params),
        history=history(board),
        samples=samples(board, params),
        pictures=pictures,
    )


def fill(template: Path, **values: Any) -> str:
    """A page from its template, which may include what lies beside this file: one file, with everything in it."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader([template.parent, FOLDER, PICTURES]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"sha256": sha256, "codes": codes}
    return environment.get_template(template.name).render(**values)


def codes(text: str) -> "Markup":
    """A sentence in which what stands between backticks is set as code."""
    from markupsafe import Markup, escape

    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))


def sha256(script: str) -> str:
    """The hash by which a page's policy lets its own script run, and no other that a model may have written into it."""
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
