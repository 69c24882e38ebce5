"""What all commands have in common."""

from __future__ import annotations

import msgspec

MAX_SIZE = 0
"""As a size: the largest that the other choices allow."""


class Command(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag_field="command", forbid_unknown_fields=True):
    """Base of all commands."""

    undoes: int = 0  # the number of the task that it takes back: its own task says so
