"""How a plex is laid out, as fields: concatenated, striped, or of a new volume RAID-5; with columns and a stripe unit.
No Qt."""

from __future__ import annotations

from typing import TypedDict

from engine import rules
from engine.allocate import DEFAULT_COLUMNS, DEFAULT_STRIPE_UNIT, PARITY_COLUMNS, PARITY_STRIPE_UNIT
from engine.config import Config
from engine.records import Plex, PlexLayout
from engine.units import KIB, format_size
from vea_gui.wizards.form import Answers, Field, FieldKind, Option

SECTOR = 512
UNITS = [KIB * 4 << step for step in range(13)]
CONCATENATED, STRIPED, RAID5 = "concatenated", "striped", "raid5"


class Asked(TypedDict):
    """The part of a command that says the layout."""

    striped: bool
    columns: int
    stripe_unit: int


def fields(like: Plex | None = None, hint: str = "", *, parity: bool = False) -> tuple[Field, ...]:
    """Layout, columns and stripe unit; `like` is a mirror whose layout is the sensible default. `parity`: RAID-5 may be
    chosen, too."""
    is_striped = like is not None and like.layout is PlexLayout.STRIPE
    layouts = [Option(CONCATENATED, "Concatenated"), Option(STRIPED, "Striped")]
    layouts += [Option(RAID5, "RAID-5")] if parity else []
    which = "Only the layouts Striped and RAID-5 have" if parity else "Only the layout Striped has"
    return (
        Field(
            "layout",
            "Layout",
            FieldKind.CHOICE,
            default=STRIPED if is_striped else CONCATENATED,
            options=lambda *_: layouts,
            hint=hint,
        ),
        Field(
            "columns",
            "Columns",
            FieldKind.NUMBER,
            default=like.columns if like is not None and is_striped else _usual_columns,
            lowest=2,
            highest=rules.COLUMNS_MAX,
            enabled=striped,
            off=f"{which} columns.",
            hint="Each column lies on disks of its own." + (" Of RAID-5 one holds the parity." if parity else ""),
        ),
        Field(
            "stripe_unit",
            "Stripe unit size",
            FieldKind.COMBO,
            default=like.stripe_unit if like is not None and is_striped else _usual_unit,
            options=lambda *_: [_unit(size) for size in UNITS],
            enabled=striped,
            off=f"{which} stripes.",
        ),
    )


def striped(_: Config, answers: Answers) -> bool:
    """Whether columns and stripe unit matter."""
    return bool(answers["layout"] != CONCATENATED)


def is_parity(answers: Answers) -> bool:
    """Whether RAID-5 is chosen."""
    return bool(answers["layout"] == RAID5)


def asked(answers: Answers) -> Asked:
    """What the answers mean to a command; RAID-5 is not said here, as only a new volume can be that."""
    if answers["layout"] == CONCATENATED:
        return Asked(striped=False, columns=0, stripe_unit=0)
    return Asked(striped=answers["layout"] == STRIPED, columns=answers["columns"], stripe_unit=answers["stripe_unit"])


def _usual_columns(_: Config, answers: Answers) -> int:
    return PARITY_COLUMNS if is_parity(answers) else DEFAULT_COLUMNS


def _usual_unit(_: Config, answers: Answers) -> int:
    return PARITY_STRIPE_UNIT if is_parity(answers) else DEFAULT_STRIPE_UNIT


def _unit(size: int) -> Option:
    return Option(size, f"{format_size(size)} ({size // SECTOR:,} sectors)")
