"""What the pictures share: paper, panels, names beside marks, and the way from a figure to a picture.

Axes have a size in inches that grows with what they show, and the picture is cut around whatever stands outside
them, so names of any length and any number of recipes leave nothing overlapping. The same table gives the same bytes.
"""

import io
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tasks.pictures.inks import ink
from tasks.pictures.picture import Picture
from tasks.pictures.svg import inline

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 144
ROW = 0.3
SMALL, TEXT, HEADING = 8.5, 9.5, 11.5
LETTERS = 34
"""A longer name is shown without its middle, and whole where a pointer rests on it."""
MARGIN = 0.1

Look = dict[str, Any]
"""What matplotlib is told of how something looks, and where a text stands."""


@contextmanager
def style() -> Iterator[None]:
    """No matplotlib style of the user's own; names are no formulas, and text in an SVG is text."""
    import matplotlib.style
    from matplotlib import rc_context

    ours: Any = {"svg.fonttype": "none", "svg.hashsalt": "wudi", "text.parse_math": False}
    with matplotlib.style.context("default"), rc_context(ours), warnings.catch_warnings():
        # a script that the PNG's letters lack; the browser has others
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def canvas(width: float, height: float) -> tuple["Figure", "Axes"]:
    """A figure that its axes, of the given inches, fill wholly."""
    figure = paper(width, height)
    return figure, panel(figure, 0, 0, width, height)


def paper(width: float, height: float) -> "Figure":
    """An empty figure of the given inches; no window, no global state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DPI)
    FigureCanvasAgg(figure)
    return figure


def panel(figure: "Figure", left: float, top: float, width: float, height: float) -> "Axes":
    """Axes of the given inches, so far from the left and upper edges of the figure; only the lower line is drawn."""
    across, down = figure.get_size_inches()
    axes = figure.add_axes((left / across, 1 - (top + height) / down, width / across, height / down))
    axes.patch.set_visible(False)
    axes.tick_params(which="both", labelsize=TEXT, labelcolor=ink("ink"), length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set(color=ink("faint"), linewidth=0.8)
    axes.set_axisbelow(True)
    return axes


def title(axes: "Axes", text: str, above: float = 12) -> None:
    """A heading at the left edge, so many points above the axes, which may have labels there."""
    axes.set_title(text, loc="left", fontsize=HEADING, fontweight="bold", color=ink("ink"), pad=above)


def heading(figure: "Figure", text: str, above: float = 0.42) -> None:
    """A heading above all panels."""
    top = 1 + above / figure.get_size_inches()[1]
    figure.text(0, top, text, fontsize=HEADING, fontweight="bold", color=ink("ink"))


def note(axes: "Axes", text: str, below: float) -> None:
    """A line of small print, so many inches below the axes."""
    where: Look = {"xycoords": "axes fraction", "textcoords": "offset points", "va": "top"}
    axes.annotate(text, (0, 0), (0, -72 * below), fontsize=SMALL, color=ink("faint"), **where)


def legend(axes: "Axes", handles: Sequence["Artist"], *, columns: int, handle: float = 1, below: float = 0.5) -> None:
    """Name colours and lines, so many inches below the axis; `handle` is how many letters long a sample of one is."""
    from matplotlib.transforms import ScaledTranslation

    # in inches, so that 3 rows and 40 leave it the same room
    corner = axes.transAxes + ScaledTranslation(0, -below, axes.figure.dpi_scale_trans)
    axes.legend(
        handles=list(handles),
        loc="upper left",
        bbox_to_anchor=(0, 0),
        bbox_transform=corner,
        ncols=columns,
        frameon=False,
        fontsize=TEXT,
        labelcolor=ink("ink"),
        borderaxespad=0,
        borderpad=0,
        handlelength=handle,
        handleheight=1,
    )


def elided(names: Sequence[str], letters: int = LETTERS) -> list[str]:
    """The names, long ones without their middle; more of it stays where two would look the same."""
    longest = max(map(len, names), default=0)
    for length in range(letters, longest):
        half = (length - 1) // 2
        short = [name if len(name) <= length else f"{name[:half]}…{name[-half:]}" for name in names]
        if len(set(short)) == len(set(names)):
            return short
    return list(names)


def hover(artist: "Artist", *texts: str) -> None:
    """What is shown where a pointer rests on a mark; for a line with markers, a text for each of these."""
    from tasks.pictures.svg import BETWEEN, HOVER

    artist.set_gid(HOVER + BETWEEN.join(texts))


def name_rows(axes: "Axes", names: Sequence[str], shown: Sequence[str] | None = None) -> None:
    """Names at the left of rows 0, 1, ...; those that are elided are whole where a pointer rests on them."""
    axes.set_yticks(range(len(names)), list(shown or elided(names)))
    for label, name in zip(axes.get_yticklabels(), names, strict=True):
        if label.get_text() != name:
            hover(label, name)


def finish(figure: "Figure", key: str, heading: str, description: str, *, file: bool) -> Picture:
    """The picture, cut around everything drawn; `key` is its name among those of a page, `file` asks for a PNG too."""
    from matplotlib.transforms import Bbox

    # the extents that both forms are cut to are measured once, not by a trial drawing for each
    extents = figure.get_tightbbox().padded(MARGIN)
    extents = Bbox.from_extents(*(round(float(value), 2) for value in extents.extents))

    def saved(form: str, paper: str, **metadata: None) -> bytes:
        buffer = io.BytesIO()
        figure.savefig(buffer, format=form, dpi=DPI, bbox_inches=extents, facecolor=paper, metadata=metadata)
        return buffer.getvalue()

    svg = inline(saved("svg", "none", Date=None, Creator=None, Format=None, Type=None), key, heading, description)
    return Picture(heading, description, svg, saved("png", ink("paper"), Software=None) if file else None)
