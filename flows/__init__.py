"""The graph of dvc.yaml as Prefect flows: now, every night, on other machines."""

import sys

from wudi.__main__ import tell_calmly

# Prefect is imported before a command can tell what is wrong by itself.
sys.excepthook = tell_calmly
