"""How a plex is laid out, as fields: concatenated, or striped with columns and a stripe unit. No Qt."""

from __future__ import annotations

from typing import TypedDict

from engine import rules
from engine.config import Config
from engine.records import Plex, PlexLayout
from engine.units import KIB, format_size
from vea_gui.wizards.form import Answers, Field, FieldKind, Option

SECTOR = 512
UNITS = [KIB * 4 << step for step in range(13)]
USUAL_UNIT = 64 * KIB
CONCATENATED, STRIPED = "concatenated", "striped"


class Asked(TypedDict):
    """The part of a command that says the layout."""

    striped: bool
    columns: int
    stripe_unit: int


def fields(like: Plex | None = None, hint: str = "") -> tuple[Field, ...]:
    """Layout, columns and stripe unit; `like` is a mirror whose layout is the sensible default."""
    is_striped = like is not None and like.layout is PlexLayout.STRIPE
    return (
        Field(
            "layout",
            "Layout",
            FieldKind.CHOICE,
            default=STRIPED if is_striped else CONCATENATED,
            options=lambda *_: [Option(CONCATENATED, "Concatenated"), Option(STRIPED, "Striped")],
            hint=hint,
        ),
        Field(
            "columns",
            "Columns",
            FieldKind.NUMBER,
            default=like.columns if like is not None and is_striped else 2,
            lowest=2,
            highest=rules.COLUMNS_MAX,
            enabled=striped,
            off="Only the layout Striped has columns.",
            hint="Each column lies on disks of its own.",
        ),
        Field(
            "stripe_unit",
            "Stripe unit size",
            FieldKind.COMBO,
            default=like.stripe_unit if like is not None and is_striped else USUAL_UNIT,
            options=lambda *_: [_unit(size) for size in UNITS],
            enabled=striped,
            off="Only the layout Striped has stripes.",
        ),
    )


def striped(_: Config, answers: Answers) -> bool:
    """Whether columns and stripe unit matter."""
    return bool(answers["layout"] == STRIPED)


def asked(answers: Answers) -> Asked:
    """What the answers mean to a command."""
    if answers["layout"] != STRIPED:
        return Asked(striped=False, columns=0, stripe_unit=0)
    return Asked(striped=True, columns=answers["columns"], stripe_unit=answers["stripe_unit"])


def _unit(size: int) -> Option:
    return Option(size, f"{format_size(size)} ({size // SECTOR:,} sectors)")
