"""What the NBD server may serve: every started volume, as GROUP/VOLUME."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.export.source import ExportFacts
from engine.records import Connection, Group, Kind, Ref, Volume
from engine.snapshots.told_changes import ToldChanges, told_link

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from engine.commit import Committer
    from engine.export.source import ClientInfo, ExportSource, Opened


class OpenedVolume:
    """A volume in use by one client; its Connection record lives as long."""

    read_only = False

    def __init__(self, committer: Committer, volume: Volume, connection: Ref) -> None:
        self.source: ExportSource = committer.ios[volume.ref]
        self.changes = ToldChanges(committer, volume).changes
        self._committer = committer
        self._connection = connection

    def close(self) -> None:
        self._committer.commit(lambda edit: edit.drop(self._connection) if self._connection in edit.config else None)


class VolumeExports:
    """The engine's side of the NBD server."""

    def __init__(self, committer: Committer, host: str, is_ours: Callable[[int], bool] = lambda _: False) -> None:
        """`is_ours` tells whether a process is a program of the engine's own."""
        self._committer = committer
        self._host = host
        self._is_ours = is_ours

    def names(self) -> Sequence[str]:
        config = self._committer.config
        volumes = config.all(Kind.VOLUME, Volume)
        return [export_name(config.group(volume.group), volume) for volume in volumes if self._serves(volume)]

    def describe(self, name: str) -> ExportFacts | None:
        volume = self._find(name)
        if volume is None:
            return None
        changes = told_link(volume) is not None
        return ExportFacts(volume.size, description=f"{volume.layout} volume", tells_changes=changes)

    def open(self, name: str, client: ClientInfo) -> Opened | None:
        with self._committer.lock:
            volume = self._find(name)
            if volume is None:
                return None
            ref = Ref(Kind.CONNECTION, str(client.id), self._host)
            record = Connection(
                ref=ref,
                name=f"{client.program or 'a program'} (process {client.pid})",
                volume=volume.ref,
                since=client.since_s,
                process_id=client.pid,
                user_id=client.uid,
                helper=self._is_ours(client.pid),
            )
            self._committer.commit(lambda edit: edit.put(record))
            return OpenedVolume(self._committer, volume, ref)

    def _find(self, name: str) -> Volume | None:
        config = self._committer.config
        group_name, _, volume_name = name.partition("/")
        group = config.find(Kind.GROUP, group_name)
        volume = config.find(Kind.VOLUME, volume_name, group.ref) if isinstance(group, Group) else None
        return volume if isinstance(volume, Volume) and self._serves(volume) else None

    def _serves(self, volume: Volume) -> bool:
        return volume.serving and volume.ref in self._committer.ios


def export_name(group: Group, volume: Volume) -> str:
    """The NBD export's name of a volume."""
    return f"{group.name}/{volume.name}"
