"""The words of vxsnap about quiescing: what this host does for a volume beside the file systems that it has mounted."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from engine.cli import output, snap_words
from engine.cli.common import DONE, number
from engine.cli.forms import Form, Usage, Words
from engine.cli.vxtune import settings_of

if TYPE_CHECKING:
    from engine.cli.session import Session
    from engine.records import Quiescing, Volume


def _list(session: Session, words: Words) -> int:
    from engine.records import Kind, Volume

    names = {volume.ref.id: volume.name for volume in session.config.all(Kind.VOLUME, Volume)}
    settings = settings_of(session)
    rules = [
        {"volume": names.get(one.volume), "id": one.volume, "agent": one.agent or None, "program": list(one.program)}
        for one in settings.quiesce
    ]
    if session.json:
        output.write_json({"limit_s": settings.freeze_limit_s, "volumes": rules})
        return DONE
    cells = [
        (names.get(one.volume, "(not here)"), one.agent or "-", shlex.join(one.program) or "-")
        for one in settings.quiesce
    ]
    output.write(output.table(("VOLUME", "AGENT", "PROGRAM"), cells))
    output.write(f"What can't be kept still within {settings.freeze_limit_s} s is not.")
    return DONE


def _agent(session: Session, words: Words) -> int:
    from msgspec.structs import replace

    rule = _rule(session, volume := _volume(session, words))
    return _change(session, volume, replace(rule, agent="" if words["SOCKET"] == "none" else words["SOCKET"]))


def _program(session: Session, words: Words) -> int:
    from msgspec.structs import replace

    typed = words.many("PROGRAM")
    rule = _rule(session, volume := _volume(session, words))
    return _change(session, volume, replace(rule, program=() if typed == ["none"] else tuple(typed)))


def _limit(session: Session, words: Words) -> int:
    from engine.commands import ChangeSettings

    if "limit" not in words.settings:
        raise Usage("Say how long: vxsnap quiesce set limit=20.")
    return session.carry_out(ChangeSettings(freeze_limit_s=number(words, "limit", 0)))


def _volume(session: Session, words: Words) -> Volume:
    return snap_words.volume(session.config, words["VOLUME"], session.named_group)


def _rule(session: Session, volume: Volume) -> Quiescing:
    from engine.records import Quiescing

    found = (one for one in settings_of(session).quiesce if one.volume == volume.ref.id)
    return next(found, Quiescing(volume.ref.id))


def _change(session: Session, volume: Volume, rule: Quiescing) -> int:
    from engine.commands import ChangeSettings

    others = tuple(one for one in settings_of(session).quiesce if one.volume != volume.ref.id)
    mine = (rule,) if rule.agent or rule.program else ()
    return session.carry_out(ChangeSettings(quiesce=(*others, *mine)))


FORMS = (
    Form("quiesce list", "What is set on this host for keeping volumes still while snapshots are taken.", _list),
    Form(
        "quiesce agent VOLUME SOCKET",
        "The volume's guest is frozen by its agent at this socket; none ends that.",
        _agent,
        examples=("vxsnap -g dg1 quiesce agent ev /run/guest/ev.sock",),
    ),
    Form(
        "quiesce program VOLUME PROGRAM...",
        "This program is told before and after: freeze or thaw is its last argument; none ends that.",
        _program,
        examples=("vxsnap -g dg1 quiesce program ev -- /usr/local/bin/hold-database --name ev",),
    ),
    Form(
        "quiesce set",
        "How long something may take until it is still.",
        _limit,
        settings={"limit": "SECONDS"},
        examples=("vxsnap quiesce set limit=20",),
    ),
)
