"""When configurations are backed up: before what destroys something always, before other changes once a minute."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from engine import commands
from engine.errors import MetadataError
from engine.records import Severity
from engine.state_folder.config_backup import BackupShelf, Saved

if TYPE_CHECKING:
    from engine.commands import Command
    from engine.commit import Committer
    from engine.config import Edit
    from engine.plans import Plan
    from engine.records import Backup, Ref
    from engine.runtime import Runtime
    from engine.state_folder.host_state import HostState

log = logging.getLogger(__name__)

EVERY_S = 60.0
_ALWAYS = (
    commands.DeleteVolumes,
    commands.DeportGroup,
    commands.DestroyGroup,
    commands.JoinGroups,
    commands.RemoveDisks,
    commands.RemoveMirrors,
    commands.RemoveSchedules,
    commands.RestoreConfiguration,
    commands.ShrinkVolume,
    commands.SplitGroup,
)


class BackupKeeper:
    """Saves configurations, and lists what is saved. Called under the control lock."""

    def __init__(self, committer: Committer, state: HostState, runtime: Runtime) -> None:
        self._committer = committer
        self._state = state
        self._runtime = runtime
        self._shelf = BackupShelf(state.folder / "backups", state.host_id)
        self._saved_at: dict[Ref, float] = {}
        self._told = False

    def show(self, edit: Edit) -> None:
        """List everything that is there: at the start."""
        for backup in self._shelf.every():
            edit.put(backup)

    def before(self, command: Command, plan: Plan) -> None:
        """A command is about to change a group."""
        group = plan.group
        if group is None or group not in self._committer.stores or not (plan.puts or plan.drops):
            return
        always = bool(plan.destroys) or isinstance(command, _ALWAYS)
        now, last = self._runtime.now(), self._saved_at.get(group)
        if always or last is None or now - last >= EVERY_S:
            self._save(group, plan.title)
            self._saved_at[group] = now
        if isinstance(command, commands.JoinGroups) and command.joined in self._committer.stores:
            self._save(command.joined, plan.title)

    def read(self, ref: Ref) -> Saved | None:
        """A backup with its records; None when it is gone or can't be believed, which the log tells."""
        try:
            return self._shelf.read(ref)
        except MetadataError as error:
            log.warning("A configuration backup can't be used: %s", error)
            return None

    def _save(self, group: Ref, reason: str) -> None:
        try:
            backup = self._shelf.save(self._committer.config, group, reason, self._runtime.time())
            gone = self._shelf.keep(group, self._state.settings.backups_kept)
        except OSError as error:
            self._tell(group, error)
            return
        self._told = False
        if backup is not None or gone:
            self._committer.commit(lambda edit: _list(edit, backup, gone))

    def _tell(self, group: Ref, error: OSError) -> None:
        """Once for as long as it is so: the change is made all the same."""
        if self._told:
            return
        self._told = True
        self._committer.alert(
            Severity.WARNING,
            f"The configuration of {self._committer.config.group(group).name} could not be backed up.",
            about=group,
            cause=f"{error.strerror or error}: {error.filename or self._state.folder}",
            remedy="Make room in the file system of the state folder, or correct its mode.",
        )


def _list(edit: Edit, backup: Backup | None, gone: list[Ref]) -> None:
    if backup is not None:
        edit.put(backup)
    for ref in gone:
        if ref in edit.config:
            edit.drop(ref)
