"""Change Drive Letter and Path."""

from __future__ import annotations

from msgspec.structs import replace

from engine import rules
from engine.commands import ChangeDrive
from engine.config import Config
from engine.planners.draft import Draft, Ids, refuse
from engine.plans import Plan, Problem
from engine.records import Host, Kind, Ref, Volume


def change(config: Config, command: ChangeDrive, ids: Ids) -> Plan:
    """Other names of a volume on this host; where the host can, its block file and its folder follow."""
    volume = config.volume(command.volume)
    title = f"Change Drive Letter and Path of {volume.name}"
    if blocked := refuse(title, _problem(config, command, volume)):
        return blocked
    draft = Draft(config, ids, volume.group)
    draft.put(replace(volume, drive_letter=command.letter, drive_path=command.path))
    users = list(volume.drive_users)
    if users and command.force:
        draft.warn(f"{rules.listed(users)} will be disconnected from {rules.drive_name(volume)}.")
    _steps(draft, volume, command)
    warn_host(draft, command.letter, command.path, volume.name)
    return draft.plan(
        title,
        undo=ChangeDrive(volume=volume.ref, letter=volume.drive_letter, path=volume.drive_path),
        confirm=f"{title}? Programs that use {rules.drive_name(volume)} may fail." if users else "",
        confirm_button="Change Drive" if users else "",
    )


def _steps(draft: Draft, volume: Volume, command: ChangeDrive) -> None:
    name = volume.name
    if command.letter != volume.drive_letter:
        taken, given = volume.drive_letter, command.letter
        draft.step(f"Take the letter {taken} away from {name}" if not given else f"{name} is {given}: on this host")
    if command.path != volume.drive_path:
        left = f"Unmount {name} from {volume.drive_path}"
        draft.step(f"Mount the file system of {name} in {command.path}" if command.path else left)


def _problem(config: Config, command: ChangeDrive, volume: Volume) -> Problem | None:
    if blocked := rules.volume_ready(config, volume.ref):
        return blocked
    if (command.letter, command.path) == (volume.drive_letter, volume.drive_path):
        what = rules.drive_name(volume) or "no drive letter and no folder"
        return Problem(f"{volume.name} has {what} already.", "Choose another one.", volume.ref, "letter")
    if blocked := drive_problem(config, command.letter, command.path, volume.ref):
        return blocked
    if not volume.drive_users or command.force:
        return None
    text = f"{rules.drive_name(volume)} is in use by {rules.listed(list(volume.drive_users))}."
    return Problem(text, "End these programs, or cut them off.", volume.ref, "force", "-f")


def drive_problem(config: Config, letter: str, path: str, own: Ref | None = None) -> Problem | None:
    """Why a volume can't have this letter or this folder; either may be empty."""
    lettered = (rules.letter_ok(letter) or rules.letter_free(config, letter, own)) if letter else None
    return lettered or ((rules.path_ok(path) or rules.path_unused(config, path, own)) if path else None)


def warn_host(draft: Draft, letter: str, path: str, name: str) -> None:
    """What the host can't do of it, and what would help."""
    host = next(iter(draft.base.all(Kind.HOST, Host)), None)
    if host is None:
        return
    if letter and host.no_drives:
        draft.warn(f"{letter}: is a name of {name} only. {host.no_drives}")
    if path and host.no_mounts:
        draft.warn(f"{path} is a name of {name} only. {host.no_mounts}")
