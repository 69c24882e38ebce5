"""What can be kept still on a volume."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING

from engine.quiesce.agent import AgentError, AgentTalk
from engine.records import Connection, Consistency, Freezable, FreezeBy, Kind

if TYPE_CHECKING:
    from engine.config import Config
    from engine.quiesce.mounts import Mounts
    from engine.records import Volume

PROBE_S = 2.0
"""An agent that does not answer in this time is told as one that can't be had."""


def file_systems(config: Config, volume: Volume, mounts: Mounts, own: frozenset[str]) -> list[Freezable]:
    """Those that are mounted on this host, each once."""
    clients = config.connections_of(volume.ref)
    mine = {client.process_id for client in clients if isinstance(client, Connection) and client.process_id > 0}
    shared = {each.process_id for each in config.all(Kind.CONNECTION, Connection) if each.volume != volume.ref}
    found = []
    for mount, depth in mounts.on(frozenset(mine - shared), volume.size) if mine - shared else ():
        what = f"the {mount.kind} file system at {mount.place}"
        problem = ""
        if mount.number in own:
            problem = f"{what[0].upper()}{what[1:]} holds files of this engine, and is never frozen."
        elif os.geteuid() != 0:
            problem = f"{what[0].upper()}{what[1:]} can't be frozen, as this engine does not run as root."
        flush = mount.is_flushed and not problem
        if flush:
            problem = (
                f"The file system at {mount.place} is served by a program, and is flushed only: it can't be frozen."
            )
        level = Consistency.CRASH if problem else Consistency.FILE_SYSTEM
        found.append(Freezable(FreezeBy.MOUNT, what, level, mount.place, mount.number, depth, problem, flush))
    return found


def guest(path: str) -> Freezable:
    """The guest whose agent listens at a socket; it is asked whether it is there."""
    what = f"the guest at {path}"
    if not os.path.isabs(path):
        return Freezable(FreezeBy.AGENT, what, place=path, problem=f"{path} is no whole path of a socket.")
    try:
        with AgentTalk(path, PROBE_S) as agent:
            agent.sync()
            level = Consistency.APPLICATION if agent.is_windows() else Consistency.FILE_SYSTEM
    except AgentError as error:
        return Freezable(FreezeBy.AGENT, what, place=path, problem=f"The guest agent at {path} can't be used: {error}.")
    return Freezable(FreezeBy.AGENT, what, level, path)


def program(words: tuple[str, ...]) -> Freezable:
    """The site's own program."""
    what, problem = f"what {words[0]} takes care of", ""
    if not os.access(words[0], os.X_OK):
        problem = f"The program {words[0]} is not there, or can't be run."
    level = Consistency.CRASH if problem else Consistency.APPLICATION
    return Freezable(FreezeBy.PROGRAM, what, level, words[0], shlex.join(words), problem=problem)
