"""mergekit's YAML as a recipe of this project: read, converted method by method, and what is lost on the way told."""

from wudi.mergekit.convert import Conversion, convert
from wudi.mergekit.notes import Notes
from wudi.mergekit.reading import Config, read_config

__all__ = ["Config", "Conversion", "Notes", "convert", "read_config"]
