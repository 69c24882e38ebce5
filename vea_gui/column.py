"""What a column of a table is, and the usual ones: what is read, how it is shown and ordered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from engine.config import natural
from engine.records import Record
from engine.units import format_exact, format_size
from vea_gui import moments
from vea_gui.mirror import Mirror
from vea_gui.words import Tone, status_text, tone_of

Text = Callable[[Mirror, Any], str]


@dataclass(frozen=True)
class Column:
    """One thing to show of a record. `text` is what is read; the rest says how it is shown and ordered."""

    id: str
    title: str
    text: Text
    sort: Callable[[Mirror, Any], Any] | None = None  # default: the text, numbers in it by value
    tip: Text | None = None
    bar: Callable[[Mirror, Any], float | None] | None = None  # a share to draw, 0 to 1
    tone: Callable[[Mirror, Any], Tone] | None = None
    right: bool = False
    shown: bool = True  # from the start; the column chooser has the rest
    width: int = 16  # letters
    wraps: bool = False  # sentences: the table has rows of two lines
    plain: Text | None = None  # for programs; default: what is read
    is_path: bool = False  # where it does not fit, its middle is left out: the ends tell most
    go: str = ""  # the action that a click on the cell begins; where its text is empty there is none

    def key(self, mirror: Mirror, record: Record) -> Any:
        """By what rows are ordered."""
        return self.sort(mirror, record) if self.sort is not None else natural(self.text(mirror, record))


def size(column_id: str, title: str, read: Callable[[Mirror, Any], int], shown: bool = True) -> Column:
    """A size in the one style, its exact bytes in the tooltip."""
    return Column(
        column_id,
        title,
        lambda mirror, record: format_size(read(mirror, record)),
        read,
        tip=lambda mirror, record: format_exact(read(mirror, record)),
        right=True,
        shown=shown,
        width=10,
    )


def number(column_id: str, title: str, read: Callable[[Mirror, Any], int], shown: bool = True) -> Column:
    return Column(
        column_id, title, lambda mirror, record: f"{read(mirror, record):,}", read, right=True, shown=shown, width=8
    )


def moment(column_id: str, title: str, read: Callable[[Any], float]) -> Column:
    """A date and time of day, in this machine's time zone."""

    def written(write: Callable[[float], str]) -> Text:
        return lambda _, record: write(when) if (when := read(record)) else ""

    return Column(
        column_id, title, written(moments.moment), lambda _, r: read(r), plain=written(moments.iso_moment), width=21
    )


def status(title: str = "Status", tip: Text | None = None) -> Column:
    return Column("status", title, status_text, tip=tip, tone=lambda _, record: tone_of(record), width=25)


NAME = Column("name", "Name", lambda _, record: record.name, width=18)
