"""What stands on a volume: looked at when somebody asks what another size, or a format, would do to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from engine import commands
from engine.errors import DeviceError
from engine.filesystems.superblocks import HEAD, Content, content_of
from engine.records import Volume

if TYPE_CHECKING:
    from engine.commands import Command
    from engine.commit import Committer
    from engine.config import Edit
    from engine.records import Ref

_SIZED = (commands.GrowVolume, commands.ShrinkVolume, commands.ResizeFileSystem, commands.FormatVolume)
_UNREADABLE = Content("content that can't be read", 0)


def look_at_content(committer: Committer, command: Command) -> None:
    """Before a plan of a command that depends on what stands on a volume: its record tells that, as clients see it.

    Never under the control lock, as reading may wait for a decision that needs it.
    """
    if not isinstance(command, _SIZED):
        return
    look_at_volume(committer, command.volume)


def look_at_volume(committer: Committer, ref: Ref) -> None:
    """A volume's record tells what stands on it now."""
    volume = committer.config.get(ref)
    if not isinstance(volume, Volume) or not volume.size:
        return
    found = _read(committer, volume) or Content("", 0)
    if found == (volume.content, volume.content_size):
        return

    def change(edit: Edit) -> None:
        record = edit.config.get(ref)
        if isinstance(record, Volume):
            edit.put(msgspec.structs.replace(record, content=found.phrase, content_size=found.size))

    committer.show(change)


def _read(committer: Committer, volume: Volume) -> Content | None:
    io = committer.ios.get(volume.ref)
    if io is None:
        return None
    try:
        return content_of(bytes(io.read(0, min(HEAD, volume.size))))
    except DeviceError:
        return _UNREADABLE
