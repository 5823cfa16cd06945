"""Prefect: the same graph on a schedule, with retries, limits, logs and alerts; a package of commands."""

import os
import sys

from wudi.__main__ import tell_calmly

# Before Prefect is imported, which takes a second in which a Ctrl-C can come, and may print a notice of its own.
sys.excepthook = tell_calmly
os.environ.setdefault("DO_NOT_TRACK", "1")
