"""What the console remembers: an INI file in the state folder, versioned. A damaged file is set aside with a note."""

from __future__ import annotations

import configparser
import dataclasses
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from PySide6.QtCore import QByteArray, QObject, QSettings, QTimer, Signal

VERSION = 1
FILE_NAME = "console.ini"


@dataclass(frozen=True)
class Preferences:
    """What the operator chooses in Preferences."""

    theme: str = "system"  # system, light, dark
    font_points: int = 0  # 0: the system's own size
    reduced_motion: bool = False
    confirm: bool = True  # ask before every change that can be confirmed; what destroys data always asks
    welcome_pages: bool = True


class Settings(QObject):
    """Typed preferences, and the places of windows, splitters and columns."""

    changed = Signal(object)  # Preferences

    def __init__(self, folder: Path, parent: QObject | None = None) -> None:
        super().__init__(parent)
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / FILE_NAME
        self.note = set_aside_if_damaged(self.path)
        self._store = QSettings(str(self.path), QSettings.Format.IniFormat)
        self._store.setValue("version", VERSION)
        self.preferences = self._read()

    def change(self, **values: Any) -> None:
        """Set some preferences; everybody who shows them hears of it."""
        self.preferences = dataclasses.replace(self.preferences, **values)
        for name, value in dataclasses.asdict(self.preferences).items():
            self._store.setValue(f"preferences/{name}", value)
        self.changed.emit(self.preferences)

    def state(self, name: str) -> QByteArray | None:
        """A kept geometry or splitter state; None when there is none that fits."""
        value = self._store.value(f"state/{name}")
        return value if isinstance(value, QByteArray) and not value.isEmpty() else None

    def keep_state(self, name: str, value: QByteArray) -> None:
        self._store.setValue(f"state/{name}", value)

    def words(self, name: str) -> list[str]:
        """A kept list of words, such as the columns of a table."""
        value = self._store.value(f"words/{name}")
        if isinstance(value, str):
            return value.split(",") if value else []
        return [str(each) for each in value] if isinstance(value, list) else []

    def keep_words(self, name: str, value: list[str]) -> None:
        self._store.setValue(f"words/{name}", ",".join(value))

    def save(self) -> None:
        """Write now; QSettings does so by itself, but later."""
        self._store.sync()

    def close(self) -> None:
        """Write, and let go of the file and of the timers behind it."""
        self.save()
        for timer in self._store.findChildren(QTimer):
            timer.stop()

    def _read(self) -> Preferences:
        known = {field.name: field.default for field in fields(Preferences)}
        read: dict[str, Any] = {
            name: _like(default, self._store.value(f"preferences/{name}")) for name, default in known.items()
        }
        found = Preferences(**read)
        theme = found.theme if found.theme in ("system", "light", "dark") else "system"
        points = found.font_points if 6 <= found.font_points <= 36 else 0
        return dataclasses.replace(found, theme=theme, font_points=points)


def _like(default: object, value: object) -> object:
    """A stored value in the type of its default; the default when it makes no sense."""
    if value is None:
        return default
    if isinstance(default, bool):
        return str(value).casefold() in ("true", "1", "yes")
    if isinstance(default, int):
        text = str(value)
        return int(text) if text.lstrip("-").isdigit() and len(text) < 9 else default
    return str(value)


def set_aside_if_damaged(path: Path) -> str:
    """Moves a settings file that cannot be read out of the way. Answers the note for the operator; empty when fine."""
    if not path.exists():
        return ""
    aside = path.with_suffix(".damaged")
    try:
        parser = configparser.RawConfigParser(strict=False)
        parser.read_string(path.read_text(encoding="utf-8"))
        version = parser.getint("General", "version")
    except (OSError, ValueError, configparser.Error):
        path.replace(aside)
        return f"The console's settings could not be read and start afresh. The old file is now {aside.name}."
    if version > VERSION:
        path.replace(aside)
        return f"The console's settings are of a newer version and start afresh. The old file is {aside.name}."
    return ""
