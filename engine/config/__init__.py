"""The configuration: an immutable value of records with its indexes, and edits that make a new one."""

from engine.config.edit import Edit, difference
from engine.config.order import natural
from engine.config.value import PARENT_FIELDS, Config, Extent

__all__ = ["PARENT_FIELDS", "Config", "Edit", "Extent", "difference", "natural"]
