"""Which commits the Hub's branches are at now, and their way into params.yaml; what folders and stores hold now."""

from tasks.pinning.contents import fingerprints
from tasks.pinning.pins import Pin, resolve_pins
from tasks.pinning.writing import write_pins

__all__ = ["Pin", "fingerprints", "resolve_pins", "write_pins"]
