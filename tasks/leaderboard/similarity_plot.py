"""The picture of how alike the experts are: the cosines between their task vectors."""

import numpy as np
import pandas as pd

from tasks.leaderboard.drawing import FAINT, INK, blues_and_reds, canvas, png, title
from tasks.leaderboard.words import cosine

ROW, COLUMN = 0.36, 0.62
LEAST = 0.2
"""The colours' range ends here at least, so that small cosines do not look large where all are small."""


def similarity(cosines: pd.DataFrame) -> bytes:
    """Experts × experts, a number in each cell, as a PNG; an expert beside itself is grey."""
    values = cosines.to_numpy(dtype=np.float64)
    count = len(values)
    figure, axes = canvas(count * COLUMN, count * ROW)
    others = np.ma.masked_array(values, np.eye(count, dtype=bool))
    limit = max(LEAST, float(np.abs(others.filled(0.0)).max()))
    axes.imshow(others, cmap=blues_and_reds(), vmin=-limit, vmax=limit, aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        ink = FAINT if row == column else "white" if abs(value) > 0.55 * limit else INK
        axes.text(column, row, cosine(value), ha="center", va="center", fontsize=9, color=ink)
    names = [str(name) for name in cosines.index]
    axes.set_yticks(range(count), names)
    axes.set_xticks(range(count), names, rotation=35, ha="left", rotation_mode="anchor")
    axes.tick_params(axis="x", top=True, bottom=False, labeltop=True, labelbottom=False)
    for edge in np.arange(1, count) - 0.5:
        axes.axhline(edge, color="white", linewidth=1)
        axes.axvline(edge, color="white", linewidth=1)
    axes.tick_params(length=0)
    axes.set_frame_on(False)
    title(axes, "Cosine between the experts' task vectors")
    return png(figure)
