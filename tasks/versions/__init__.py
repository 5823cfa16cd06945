"""Recipes across versions: what moved from one revision to another, and which differences are real."""

from tasks.versions.best import Best, NewBest, best, new_best
from tasks.versions.change import Change
from tasks.versions.differences import Differences, differences
from tasks.versions.history import History, night_tags, read_version
from tasks.versions.moved import Move, moved
from tasks.versions.table import Comparison, compare, version_table
from tasks.versions.version import Version

__all__ = [
    "Best",
    "Change",
    "Comparison",
    "Differences",
    "History",
    "Move",
    "NewBest",
    "Version",
    "best",
    "compare",
    "differences",
    "moved",
    "new_best",
    "night_tags",
    "read_version",
    "version_table",
]
