"""What every record has: its kind, its identity, its name."""

from __future__ import annotations

import enum
import secrets
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable


class Kind(enum.StrEnum):
    """The kinds of objects."""

    HOST = "host"
    ENCLOSURE = "enclosure"
    DISK = "disk"
    GROUP = "group"
    VOLUME = "volume"
    PLEX = "plex"
    SUBDISK = "subdisk"
    TASK = "task"
    CONNECTION = "connection"
    ALERT = "alert"
    SETTINGS = "settings"
    BACKUP = "backup"
    SCHEDULE = "schedule"


class Ref(msgspec.Struct, frozen=True, gc=False, order=True, array_like=True, cache_hash=True):
    """Who an object is: its kind, its id (32 hex digits; a number for tasks and alerts) and the host that tells it."""

    kind: Kind
    id: str
    host: str = ""


def new_ref(kind: Kind, host: str, token: Callable[[int], bytes] = secrets.token_bytes) -> Ref:
    """A `Ref` nobody has had before; `token` answers so many random bytes."""
    return Ref(kind, token(16).hex(), host)


class Record(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag_field="kind"):
    """Base of all records."""

    ref: Ref
    name: str
