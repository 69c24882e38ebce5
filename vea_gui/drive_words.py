"""Drives in words: where a volume is shown on its host, and what stands on it."""

from __future__ import annotations

from engine.records import Volume
from engine.rules import drive_name
from vea_gui.mirror import Mirror


def drive_tip(_: Mirror, volume: Volume) -> str:
    """Where the volume is shown on its host, or why it is not."""
    shown = [
        f"Block file: {volume.drive}" if volume.drive else "",
        f"Mounted in {volume.mounted}" if volume.mounted else "",
    ]
    return "\n".join(filter(None, (drive_name(volume), *shown, volume.drive_note)))


def file_system(volume: Volume) -> str:
    """What stands on a volume, as last seen: `ext4`."""
    return volume.content.removesuffix(" file system")
