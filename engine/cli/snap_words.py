"""The words of vxsnap: `source=VOLUME` with its `/Key=VALUE`s, glued to it or after blanks; how volumes are named."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from engine.cli import resolve
from engine.cli.forms import Usage, shown

if TYPE_CHECKING:
    from engine.commands import Quiesce
    from engine.config import Config
    from engine.records import Group, Volume

_KEYS = {
    "newvol": "/Newvol",
    "plex": "/Plex",
    "driveletter": "/DriveLetter",
    "drivepath": "/DrivePath",
    "quiesce": "/Quiesce",
    "agent": "/Agent",
}
_GLUED = re.compile(r"(?i)/(?=(?:newvol|plex|driveletter|drivepath|quiesce|agent)=)")
_GUID = re.compile(r"(?i)\\\\\?\\Volume\{([0-9a-f]{8})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{12})\}\\?")
_DEVICE = re.compile(r"(?i)\\{1,2}Device\\HarddiskDmVolumes\\\s?([^\\]+)\\([^\\]+)")


@dataclass
class Source:
    """A volume as it was typed, and what was typed for it, by key in small letters."""

    volume: str
    fields: dict[str, str] = field(default_factory=dict)


def sources(words: Sequence[str]) -> list[Source]:
    """The sources of a `create`, in their order. Usage for words that make no sense."""
    found: list[Source] = []
    for word in words:
        key, equals, value = word.partition("=")
        if key.lower() == "source" and equals:
            volume, *glued = _GLUED.split(value)
            if not volume:
                raise Usage("source= names no volume: source=VOLUME.")
            found.append(Source(volume))
            rest = glued
        elif word.startswith("/") and found:
            rest = _GLUED.split(word)[1:] or [word[1:]]
        else:
            raise Usage(f"{shown(word)} is no source: source=VOLUME[/DriveLetter=X][/Newvol=NAME][/Plex=PLEX].")
        for part in rest:
            _take(found[-1], part)
    return found


def split(words: Sequence[str], key: str) -> tuple[list[str], str]:
    """The words without `quiesce=`, say, and what that said."""
    said = [word.partition("=")[2] for word in words if word.lower().startswith(f"{key}=")]
    if len(said) > 1:
        raise Usage(f"{key} was given twice.")
    rest = [word for word in words if not word.lower().startswith(f"{key}=")]
    if said and not said[0]:
        raise Usage(f"{key}= needs a value.")
    return rest, said[0] if said else ""


def limit(text: str) -> int:
    """How long freezing may take, in seconds; 0 where nothing was typed."""
    if not text:
        return 0
    if not (text.isascii() and text.isdigit() and len(text) <= 4 and int(text)):
        raise Usage(f"limit={shown(text)} is no number of seconds: limit=20.")
    return int(text)


def quiesce(*said: str) -> Quiesce:
    """How a whole set is kept still, whichever words say it: they have to agree."""
    from engine.commands import Quiesce

    wanted = {text.lower() for text in said if text}
    if len(wanted) > 1:
        raise Usage("A set is kept still in one way: give one quiesce=.")
    for text in wanted:
        if text not in list(Quiesce):
            raise Usage(f"quiesce is one of {', '.join(Quiesce)}, not {shown(text)}.")
        return Quiesce(text)
    return Quiesce.AUTO


def _take(source: Source, text: str) -> None:
    key, equals, value = text.partition("=")
    known = key.lower()
    if known not in _KEYS or not equals:
        raise Usage(f"/{shown(key)} is not known here. It knows: {', '.join(_KEYS.values())}.")
    if not value:
        raise Usage(f"{_KEYS[known]}= needs a value.")
    if known in source.fields:
        raise Usage(f"{_KEYS[known]} was given twice for {shown(source.volume)}.")
    source.fields[known] = value


def volume(config: Config, name: str, within: Group | None) -> Volume:
    """A volume by its name, its `\\\\?\\Volume{GUID}\\` or its full device path."""
    from engine.records import Kind, Volume

    if guid := _GUID.fullmatch(name):
        wanted = "".join(guid.groups()).lower()
        found = next((one for one in config.all(Kind.VOLUME, Volume) if one.ref.id == wanted), None)
        if found is None:
            raise resolve.absent("volume", name, "", [guid_of(one) for one in config.all(Kind.VOLUME, Volume)])
        return found
    if device := _DEVICE.fullmatch(name):
        return resolve.volume(config, device.group(2), resolve.group(config, device.group(1)))
    return resolve.volume(config, name, within)


def letter(text: str) -> str:
    """A drive letter as it may be typed: `J`, `j:`."""
    return text.removesuffix("\\").removesuffix(":").upper()


def guid_of(record: Volume) -> str:
    """A volume's name by its id."""
    text = record.ref.id
    return f"\\\\?\\Volume{{{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}}}\\"


def device_path(group: Group, record: Volume) -> str:
    """A volume's full device path."""
    return f"\\Device\\HarddiskDmVolumes\\{group.name}\\{record.name}"
