"""vxsnap: snapshots of volumes, taken, listed and taken back."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from engine.cli import output, resolve, snap_quiesce, snap_schedule, snap_words
from engine.cli.common import COMMON, DONE, FORCE, GROUP, run
from engine.cli.forms import Form, Option, Tool, Usage, Words

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from engine.cli.session import Session
    from engine.config import Config
    from engine.records import Link, Ref, Volume
    from engine.snap_file import SnapFile

FILE = Option("-x", "The XML file of the set.", takes="FILE.xml")
OVERWRITE = Option("-o", "Overwrite the file if it is there.")


def _file(words: Words) -> Path:
    from engine import snap_file

    if not words.has("-x"):
        raise Usage("The file of the set is missing: -x FILE.xml.")
    return snap_file.checked_name(words.option("-x"))


def _create(session: Session, words: Words) -> int:
    """The file is written when all snapshots are durable, and not otherwise."""
    from engine import snap_file
    from engine.commands import SnapChoice, TakeSnapshots

    plain, said = snap_words.split(words.many("SOURCE"), "quiesce")
    plain, limit = snap_words.split(plain, "limit")
    sources = snap_words.sources(plain)
    quiesce = snap_words.quiesce(said, *(source.fields.get("quiesce", "") for source in sources))
    path, overwrite = _file(words), words.has("-o")
    if words.has("-b"):
        raise Usage("create waits until its snapshots are durable: only then is the file written.")
    snap_file.check_free(path, overwrite=overwrite)
    choices = []
    for source in sources:
        volume = snap_words.volume(session.config, source.volume, session.named_group)
        group = session.config.group(volume.group)
        plex = resolve.plex(session.config, source.fields["plex"], group).ref if "plex" in source.fields else None
        choices.append(
            SnapChoice(
                volume=volume.ref,
                plex=plex,
                name=source.fields.get("newvol", ""),
                letter=snap_words.letter(source.fields.get("driveletter", "")),
                path=source.fields.get("drivepath", ""),
                agent=source.fields.get("agent", ""),
            )
        )
    before = session.config
    limit_s, name = snap_words.limit(limit), path.stem
    status = session.carry_out(TakeSnapshots(choices=tuple(choices), set_name=name, quiesce=quiesce, limit_s=limit_s))
    if status == DONE and not words.has("--plan"):
        session.fold()
        snap_file.write(
            path, _taken(before, session.config, [choice.volume for choice in choices]), overwrite=overwrite
        )
    return status


def _taken(before: Config, now: Config, originals: list[Ref]) -> SnapFile:
    """The set that has just been taken of these volumes, in their order."""
    from engine import snap_file
    from engine.errors import EngineError
    from engine.records import LinkSide

    fresh = {
        link.peer: volume.ref
        for volume in now.volumes_of(now.volume(originals[0]).group)
        for link in volume.links
        if volume.ref not in before and link.side is LinkSide.SNAPSHOT
    }
    if not fresh.keys() >= set(originals):
        raise EngineError("The snapshots were taken, and are gone again already: no file was written.")
    return snap_file.set_of(now, [fresh[ref] for ref in originals])


def _back(session: Session, words: Words, *, restore: bool) -> int:
    from engine import snap_file
    from engine.commands import Master, SnapBack

    path = _file(words)
    found = snap_file.read(path)
    snapshots = tuple(_snapshot(session.config, member, path) for member in found.members)
    master = Master.SNAPSHOT if restore else Master.ORIGINAL
    return session.carry_out(SnapBack(snapshots=snapshots, master=master, force=words.has("-f")))


def _snapshot(config: Config, member: Any, path: Path) -> Ref:
    """The snapshot that a line of the file means, if it is still that one."""
    from engine.errors import EngineError
    from engine.records import Kind, Volume

    known = {volume.ref.id: volume for volume in config.all(Kind.VOLUME, Volume)}
    snapshot, original = known.get(member.snapshot_id), known.get(member.original_id)
    for one, name in ((snapshot, member.snapshot), (original, member.original)):
        if one is None:
            raise EngineError(f"{path} is out of date: {name} is there no more. Take a new set.")
    assert snapshot is not None
    if all(link.generation != member.generation for link in snapshot.links):
        raise EngineError(f"{path} is out of date: {snapshot.name} is no snapshot of {member.original} any more.")
    return snapshot.ref


def _restore(session: Session, words: Words) -> int:
    return _back(session, words, restore=True)


def _reattach(session: Session, words: Words) -> int:
    return _back(session, words, restore=False)


def _refresh(session: Session, words: Words) -> int:
    """What has changed is copied, then all are taken at one instant under the same names; the file is new."""
    from engine import snap_file
    from engine.commands import RefreshSnapshots

    if words.has("-b"):
        raise Usage("refresh waits until its snapshots are durable: only then is the file written.")
    from engine.records import Kind, Volume

    path = _file(words)
    found = snap_file.read(path)
    snapshots = tuple(_snapshot(session.config, member, path) for member in found.members)
    known = {volume.ref.id: volume.ref for volume in session.config.all(Kind.VOLUME, Volume)}
    originals = [known[member.original_id] for member in found.members]
    quiesce = snap_words.quiesce(words.settings.get("quiesce", ""))
    before = session.config
    force = words.has("-f")
    limit_s = snap_words.limit(words.settings.get("limit", ""))
    status = session.carry_out(
        RefreshSnapshots(snapshots=snapshots, force=force, set_name=path.stem, quiesce=quiesce, limit_s=limit_s)
    )
    if status == DONE and not words.has("--plan"):
        session.fold()
        snap_file.write(path, _taken(before, session.config, originals), overwrite=True)
    return status


def _volumes(session: Session, words: Words) -> list[Volume]:
    names = dict.fromkeys(words.many("VOLUME"))
    return [snap_words.volume(session.config, name, session.named_group) for name in names]


def _prepare(session: Session, words: Words) -> int:
    from engine.commands import PrepareSnapshot

    volume = _volumes(session, words)[0]
    group = session.config.group(volume.group)
    disks = session.disks(tuple(filter(None, words.settings.get("alloc", "").split(","))))
    name = words.settings.get("plex", "")
    plex = resolve.plex(session.config, name, group).ref if name else None
    return session.carry_out(PrepareSnapshot(volume=volume.ref, plex=plex, disks=disks, force=words.has("-f")))


def _abort(session: Session, words: Words) -> int:
    from engine.commands import AbortSnapshot
    from engine.errors import EngineError

    plexes: list[Ref] = []
    wanted = words.settings.get("plex", "")
    for volume in _volumes(session, words):
        own = [plex for plex in session.config.plexes_of(volume.ref) if plex.snap is not None]
        own = [plex for plex in own if wanted in ("", plex.name)]
        if not own:
            raise EngineError(f"{volume.name} has no snap plex{' ' + wanted if wanted else ''}. Nothing was aborted.")
        plexes += [plex.ref for plex in own]
    return session.carry_out(AbortSnapshot(plexes=tuple(plexes)))


def _clear(session: Session, words: Words) -> int:
    from engine.commands import ClearSnapshots

    return session.carry_out(ClearSnapshots(volumes=tuple(volume.ref for volume in _volumes(session, words))))


def _list(session: Session, words: Words) -> int:
    from engine.records import Kind, Volume

    volumes = _volumes(session, words) or session.config.all(Kind.VOLUME, Volume)
    if session.named_group is not None:
        volumes = [volume for volume in volumes if volume.group == session.named_group.ref]
    rows = [row for volume in volumes for row in _rows(session.config, volume)]
    if session.json:
        output.write_json(rows)
    else:
        heads = ("VOLUME", "SNAPSHOT", "STATE", "TAKEN", "CONSISTENCY", "CHANGED")
        output.write(output.table(heads, [_line(row) for row in rows], ("CHANGED",)))
    return DONE


def _rows(config: Config, volume: Volume) -> list[dict[str, Any]]:
    """A volume's snap plexes, and its snapshots or what it is a snapshot of."""
    from engine.records import LinkSide

    rows: list[dict[str, Any]] = []
    for plex in config.plexes_of(volume.ref):
        if plex.snap is not None:
            state = "Snap Ready" if plex.complete else "Snap Attaching"
            rows.append({"volume": volume.name, "plex": plex.name, "state": state, "snapshot": None})
    for link in volume.links:
        if link.side is LinkSide.ORIGINAL:
            rows.append(_link_row(config, volume, link))
    return rows


def _link_row(config: Config, volume: Volume, link: Link) -> dict[str, Any]:
    from engine.records import Volume as VolumeRecord

    found = config.get(link.peer)
    peer = found if isinstance(found, VolumeRecord) else None
    others = peer.links if peer is not None else ()
    known = link.is_known and any(one.generation == link.generation and one.is_known for one in others)
    changed = [dict(one.changed).get(link.generation, 0) for one in (volume, peer) if one is not None]
    return {
        "volume": volume.name,
        "plex": link.plex_name,
        "state": "Snapshot",
        "snapshot": peer.name if peer is not None else None,
        "device": snap_words.device_path(config.group(volume.group), peer) if peer is not None else None,
        "set": link.set_name or None,
        "taken": link.taken,
        "fast": known,
        "consistency": str(link.consistency),
        "frozen": list(link.frozen),
        "frozen_s": link.frozen_s,
        "lower_because": link.lower or None,
        "changed_original": changed[0],
        "changed_snapshot": changed[1] if len(changed) > 1 else None,
    }


def _line(row: dict[str, Any]) -> tuple[str, ...]:
    from engine.units import format_size

    if row["snapshot"] is None:
        return row["volume"], row["plex"], row["state"], "", "", ""
    taken = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(row["taken"]))
    changed = row["changed_original"] + (row["changed_snapshot"] or 0)
    consistency = row["consistency"].removesuffix("-consistent")
    told = format_size(changed) if row["fast"] else "all"
    return row["volume"], row["snapshot"], row["state"], taken, consistency, told


TOOL = Tool(
    "vxsnap",
    "Snapshots of volumes: prepared, taken at one instant, and taken back.",
    (
        Form(
            "create SOURCE...",
            "Take a set of snapshots: source=VOLUME[/DriveLetter=X][/DrivePath=P][/Newvol=N][/Plex=P][/Agent=SOCKET] "
            "for each volume, quiesce=auto|fs|agent|none and limit=SECONDS for all.",
            _create,
            options=(OVERWRITE,),
            examples=(
                "vxsnap -x hyperbackup.xml create source=ev /Newvol=ev-monday source=logs -o",
                "vxsnap -x hyperbackup.xml create source=ev quiesce=fs",
            ),
        ),
        Form(
            "restore",
            "Give the volumes of a set the data of their snapshots; -f disconnects clients.",
            _restore,
            options=(FORCE,),
            examples=("vxsnap -x hyperbackup.xml restore",),
        ),
        Form(
            "reattach",
            "Give the snapshots of a set back to their volumes, which keep their data; -f disconnects clients.",
            _reattach,
            options=(FORCE,),
        ),
        Form(
            "refresh",
            "Bring the snapshots of a set to this instant; there is none until it is copied. -f disconnects clients.",
            _refresh,
            settings={"quiesce": "auto|fs|agent|none", "limit": "SECONDS"},
            options=(FORCE,),
        ),
        Form(
            "prepare VOLUME",
            "Add a snap plex, or make one of a mirror; -f lets it share disks.",
            _prepare,
            settings={"plex": "MIRROR", "alloc": "DISK,DISK"},
            options=(FORCE,),
            examples=("vxsnap -g dg1 prepare ev",),
        ),
        Form(
            "abort VOLUME...",
            "Remove snap plexes; converted mirrors are mirrors again.",
            _abort,
            settings={"plex": "PLEX"},
        ),
        Form("clear VOLUME...", "Make volumes and their snapshots independent of each other.", _clear),
        Form("list [VOLUME...]", "Snap plexes and snapshots, and what has changed since.", _list),
        *snap_schedule.FORMS,
        *snap_quiesce.FORMS,
    ),
    (FILE, GROUP, *COMMON),
)


def main() -> None:
    sys.exit(run(TOOL))


if __name__ == "__main__":
    main()
