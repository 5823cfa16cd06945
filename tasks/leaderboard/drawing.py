"""What the pictures share: paper, ink, and the bytes of a PNG.

Axes have a size in inches that grows with what they show, and the picture is cut around whatever stands outside
them, so names of any length and any number of recipes leave nothing overlapping. The same table gives the same bytes.
"""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

DPI = 144
ROW = 0.3
INK = "#1f2933"
FAINT = "#7b8794"
GREY = "#eceff1"


def canvas(width: float, height: float) -> tuple["Figure", "Axes"]:
    """A figure that its axes, of the given inches, fill wholly."""
    figure = paper(width, height)
    return figure, panel(figure, 0, 0, width, height)


def paper(width: float, height: float) -> "Figure":
    """An empty figure of the given inches; no window, no global state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def panel(figure: "Figure", left: float, top: float, width: float, height: float) -> "Axes":
    """Axes of the given inches, so far from the left and upper edges of the figure."""
    across, down = figure.get_size_inches()
    axes = figure.add_axes((left / across, 1 - (top + height) / down, width / across, height / down))
    axes.tick_params(labelsize=9, labelcolor=INK, color=FAINT)
    return axes


def blues() -> "Colormap":
    """From near white to dark blue; grey where nothing is defined."""
    from matplotlib.colors import LinearSegmentedColormap

    colours = LinearSegmentedColormap.from_list("scores", ["#eef4fa", "#b3d1ea", "#4a90c9", "#0b4f8a", "#062f55"])
    return colours.with_extremes(bad=GREY)


def blues_and_reds() -> "Colormap":
    """From red, for what is below 0, through near white to blue; grey where nothing is compared."""
    from matplotlib.colors import LinearSegmentedColormap

    colours = ["#8c2d04", "#e08a5b", "#f7f9fb", "#4a90c9", "#0b4f8a"]
    return LinearSegmentedColormap.from_list("cosines", colours).with_extremes(bad=GREY)


def title(axes: "Axes", text: str, above: float = 12) -> None:
    """A heading at the left edge, so many points above the axes, which may have labels there."""
    axes.set_title(text, loc="left", fontsize=11, fontweight="bold", color=INK, pad=above)


def heading(figure: "Figure", text: str) -> None:
    """A heading above all panels."""
    figure.text(0, 1 + 0.42 / figure.get_size_inches()[1], text, fontsize=11, fontweight="bold", color=INK)


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
        fontsize=9,
        borderaxespad=0,
        borderpad=0,
        handlelength=handle,
        handleheight=1,
    )


def png(figure: "Figure") -> bytes:
    """The picture, cut around everything drawn; without the version and date that matplotlib would write."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, bbox_inches="tight", pad_inches=0.15, metadata={"Software": None})
    return buffer.getvalue()
