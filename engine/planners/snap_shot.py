"""Snap Shot: the snap plexes of one or more volumes become volumes of their own, all at one instant."""

from __future__ import annotations

from typing import NamedTuple

from msgspec.structs import replace

from engine import rules
from engine.commands import Quiesce, SnapBack, SnapChoice, TakeSnapshots
from engine.config import Config
from engine.planners.draft import Draft, Ids, refuse
from engine.planners.drives import drive_problem, warn_host
from engine.planners.mirrors import without
from engine.planners.names import renamed
from engine.plans import Plan, Problem
from engine.records import Consistency, DirtyLog, Kind, Link, LinkSide, Plex, Ref, TaskParams, TaskType, Volume
from engine.rules import counted, listed


class Part(NamedTuple):
    """A volume of a set, the plex that leaves it, and the snapshot's name."""

    volume: Volume
    plex: Plex
    name: str
    agent: str = ""
    letter: str = ""
    path: str = ""


def take(config: Config, command: TakeSnapshots, ids: Ids) -> Plan:
    """One transaction for all; then what was written before is brought to stable storage."""
    volumes = [config.volume(choice.volume) for choice in command.choices]
    names = listed([volume.name for volume in volumes])
    title = f"Snap Shot of {names}"
    if blocked := refuse(title, *_problems(config, command, volumes)):
        return blocked
    draft = Draft(config, ids, volumes[0].group)
    set_id = ids(Kind.VOLUME).id
    made = []
    parts = _parts(config, command)
    for part in parts:
        problem = _name_problem(draft.config, part) or drive_problem(draft.config, part.letter, part.path)
        if problem is not None:
            return refuse(title, problem) or Plan(title=title)
        made.append(split(draft, part, set_id=set_id, set_name=command.set_name))
        warn_host(draft, part.letter, part.path, part.name)
    snapshots = tuple(volume.ref for volume in made)
    what = listed([f"{volume.name} of {part.volume.name}" for volume, part in zip(made, parts, strict=True)])
    level = warn_crash(draft, volumes, command.quiesce)
    things = [one for volume in volumes for one in rules.to_freeze(volume, command.quiesce)]
    frozen = dict.fromkeys(one.what for one in things if not one.problem)
    flushed = dict.fromkeys(one.what for one in things if one.flush_only)
    if flushed:
        draft.step(f"Flush {listed(flushed)}", "it can't be frozen")
    if frozen:
        draft.step(f"Freeze {listed(frozen)}", "what writes there waits")
    draft.step(f"Hold new writes to {names} and wait for those under way", "for some milliseconds")
    draft.step(f"Make {what}", f"all in one transaction, {level}")
    if frozen:
        draft.step(f"Thaw {listed(frozen)}", "in every case, also when no snapshot comes of it")
    draft.step("Bring to the disks what had been written before", f"{names} stay online" if len(made) > 1 else "")
    task = draft.task(
        TaskType.SNAP_SHOT, title, volumes[0].ref, TaskParams(volumes=(*snapshots, *(v.ref for v in volumes))), 0
    )
    copies = [f"{volume.name} keeps {counted(volume.copies, 'copy')}" for volume in volumes]
    return draft.plan(
        title,
        task=task,
        undo=SnapBack(snapshots=snapshots),
        redundancy=f"{listed(copies)}; each snapshot has 1 copy.",
    )


def warn_crash(draft: Draft, volumes: list[Volume], quiesce: Quiesce) -> Consistency:
    """What the set will be worth, as things were found; why some member is worth less than was hoped is told."""
    for volume in volumes:
        things = rules.to_freeze(volume, quiesce)
        for problem in dict.fromkeys(one.problem for one in things if one.problem):
            draft.warn(f"{problem} {volume.name} will be {rules.expected_consistency(volume, quiesce)}.")
        if quiesce is Quiesce.AUTO and not things and rules.clients_of(draft.base, volume.ref):
            text = f"Nothing was found that keeps the programs on {volume.name} still:"
            draft.warn(f"{text} its snapshot will be {Consistency.CRASH}, as after a power cut.")
    return rules.lowest(rules.expected_consistency(volume, quiesce) for volume in volumes)


def split(draft: Draft, part: Part, *, set_id: str, set_name: str = "", settled: bool = False) -> Volume:
    """The snapshot that a plex becomes. Both sides remember the other, and what they write from now on."""
    volume, plex = draft.config.volume(part.volume.ref), part.plex
    generation = draft.ids(Kind.VOLUME).id
    link = Link(
        peer=volume.ref,
        generation=generation,
        side=LinkSide.SNAPSHOT,
        changes=DirtyLog(0),
        plex_name=plex.name,
        converted=plex.snap is not None and plex.snap.converted,
        set_id=set_id,
        set_name=set_name,
        settled=settled,
        agent=part.agent,
    )
    ref = draft.ids(Kind.VOLUME)
    made = Volume(ref=ref, name=part.name, group=volume.group, size=volume.size, started=settled, links=(link,))
    made = replace(made, drive_letter=part.letter, drive_path=part.path)
    draft.put(made)
    left = replace(plex, volume=ref, snap=None, name=f"{volume.name}-01")
    draft.put(left)
    draft.put(*renamed([left], volume.name, part.name, ()))
    other = replace(link, peer=ref, side=LinkSide.ORIGINAL)
    draft.put(replace(without(draft, volume), links=(*volume.links, other)))
    return made


def _parts(config: Config, command: TakeSnapshots) -> list[Part]:
    taken = {volume.name for volume in config.volumes_of(config.volume(command.choices[0].volume).group)}
    taken |= {choice.name for choice in command.choices}
    parts = []
    for choice in command.choices:
        name = choice.name or rules.next_name("SnapVolume", taken, digits=2)
        taken.add(name)
        plex = _plex_of(config, choice)
        assert plex is not None  # the problems have been looked at
        parts.append(Part(config.volume(choice.volume), plex, name, choice.agent, choice.letter, choice.path))
    return parts


def _plex_of(config: Config, choice: SnapChoice) -> Plex | None:
    if choice.plex is not None:
        return config.plex(choice.plex)
    return next((plex for plex in rules.snap_plexes_of(config, choice.volume) if plex.complete), None)


def _problems(config: Config, command: TakeSnapshots, volumes: list[Volume]) -> list[Problem | None]:
    refs = [volume.ref for volume in volumes]
    twice = next((ref for ref in refs if refs.count(ref) > 1), None)
    return [
        rules.one_group(config, (volume.group for volume in volumes), "volumes", "choices"),
        Problem(f"{config.volume(twice).name} was chosen twice.", "Choose it once.", twice) if twice else None,
        *(_problem(config, choice, command.quiesce) for choice in command.choices),
        rules.limit_ok(command.limit_s),
    ]


def _problem(config: Config, choice: SnapChoice, quiesce: Quiesce) -> Problem | None:
    plex = _plex_of(config, choice)
    if choice.plex is not None and plex is not None and plex.volume != choice.volume:
        text = f"{plex.name} is no snap plex of {config.volume(choice.volume).name}."
        return Problem(text, "Choose one of its snap plexes.", choice.plex, "plex")
    ready = rules.can_snap(config, choice.volume, plex.ref if plex is not None else None)
    return ready or rules.can_quiesce(config, choice.volume, quiesce)


def _name_problem(config: Config, part: Part) -> Problem | None:
    return rules.name_ok(part.name) or rules.name_free(config, Kind.VOLUME, part.name, part.volume.group)


def free_name(config: Config, group: Ref, wanted: str) -> str:
    """`wanted`, or with a number when there is a volume of that name."""
    taken = {volume.name for volume in config.volumes_of(group)}
    return wanted if wanted not in taken else rules.next_name(f"{wanted}-", taken, digits=2)
