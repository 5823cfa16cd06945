"""The pictures of the leaderboard, drawn once with matplotlib, as PNG and as SVG that a page takes in."""

from tasks.pictures.leaderboard import draw
from tasks.pictures.picture import Picture

__all__ = ["Picture", "draw"]
