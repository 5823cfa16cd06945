"""The leaderboard: scores, summaries and merge reports in; tables, pictures and a report out."""

from tasks.leaderboard.gather import Leaderboard, gather, gather_files
from tasks.leaderboard.write import write_leaderboard, write_results

__all__ = ["Leaderboard", "gather", "gather_files", "write_leaderboard", "write_results"]
