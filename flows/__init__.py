"""The graph of dvc.yaml as Prefect flows: now, every night, on other machines."""

import os
import sys

from wudi.__main__ import tell_calmly

# Prefect is imported before a command can tell what is wrong by itself, which takes a second, and prints a notice.
sys.excepthook = tell_calmly
os.environ.setdefault("DO_NOT_TRACK", "1")
