"""What tables show of a volume that is a snapshot."""

from __future__ import annotations

from vea_gui.column import Column
from vea_gui.snap_words import consistency_text, of_text, set_text, taken, taken_text

SNAP_COLUMNS: tuple[Column, ...] = (
    Column("snapshot", "Snapshot of", of_text, width=12),
    Column("taken", "Snapshot Taken", taken_text, lambda _, volume: taken(volume), shown=False, width=21),
    Column("consistency", "Consistency", consistency_text, shown=False, width=22),
    Column("set", "Snapshot Set", set_text, shown=False, width=18),
)
