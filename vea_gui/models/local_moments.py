"""How this desktop writes dates and times of day."""

from __future__ import annotations

import re

from PySide6.QtCore import QDateTime, QLocale, QTime

from vea_gui import moments


def follow(locale: QLocale | None = None) -> None:
    """Have all moments of the console written by the rules of a locale; by default the desktop's."""
    here = locale if locale is not None else QLocale()
    if here.language() is QLocale.Language.C:
        moments.write_as()
        return
    date, clock = date_pattern(here), clock_pattern(here)
    moments.write_as(
        lambda when: here.toString(_at(when), f"{date} {clock}"),
        lambda when: here.toString(_at(when), clock),
        lambda minute: here.toString(QTime(minute // 60, minute % 60), QLocale.FormatType.ShortFormat),
    )


def date_pattern(locale: QLocale) -> str:
    """The short form, but with the whole year: 04.03.26 could be any of three days."""
    return re.sub(r"(?<!y)yy(?!y)", "yyyy", locale.dateFormat(QLocale.FormatType.ShortFormat))


def clock_pattern(locale: QLocale) -> str:
    """With seconds, without the time zone."""
    return re.sub(r"\s*\(?\bt+\b\)?\s*", " ", locale.timeFormat(QLocale.FormatType.LongFormat)).strip()


def _at(when: float) -> QDateTime:
    return QDateTime.fromMSecsSinceEpoch(round(when * 1_000))
