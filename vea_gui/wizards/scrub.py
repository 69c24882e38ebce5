"""Verify and Repair: which mirror is believed where the others differ from it."""

from __future__ import annotations

from functools import partial

from engine.commands import ScrubVolume
from engine.config import Config
from engine.records import Disk, Plex, Ref
from engine.rules import counted, listed
from vea_gui.selection import Selection
from vea_gui.wizards import choices
from vea_gui.wizards.form import Answers, Field, FieldKind, Form, Option, Page

SENTENCE = "Decide which mirror holds what is right. When you can't tell, break a mirror off first, and compare both."


def repair_mirrors(config: Config, selection: Selection) -> Form:
    """The plan tells whether it is the ranges of the last verification, or the whole volume."""
    volume = selection.volumes[0].ref
    fields = (
        choices.volume_fact(volume),
        Field(
            "source",
            "Believe",
            FieldKind.CHOICE,
            default=_likely(volume, config),
            options=partial(_mirrors, volume),
            hint="Where the other mirrors differ, they get what stands on this one. A disk with errors, or one "
            "that was away or written to by others, is less to be believed. When you can't tell, break a mirror off "
            "first: both versions stay, and whoever uses the data can compare them.",
        ),
    )
    page = Page("Verify and Repair", SENTENCE, fields)
    title = "Verify and Repair Volume"
    return Form("repair_mirrors", title, (page,), partial(_build, volume), verb="Verify and Repair", about=(volume,))


def _mirrors(volume: Ref, config: Config, answers: Answers) -> list[Option]:
    plexes = config.plexes_of(volume) if volume in config else []
    return [Option(plex.ref, _words(config, plex), "" if plex.complete else "not complete") for plex in plexes]


def _words(config: Config, plex: Plex) -> str:
    """Where it lies and what is known against it: that is what one decides by."""
    disks = _disks(config, plex)
    errors = sum(disk.errors for disk in disks)
    told = [f"{plex.name} on {listed([disk.name for disk in disks])}"]
    told += [f"{disk.name} has failed" for disk in disks if disk.failing]
    told += [counted(errors, "error") + " seen"] if errors else []
    return ", ".join(told)


def _disks(config: Config, plex: Plex) -> list[Disk]:
    refs = dict.fromkeys(subdisk.disk for subdisk in config.subdisks_of(plex.ref))
    return [disk for ref in refs if isinstance(disk := config.get(ref), Disk)]


def _likely(volume: Ref, config: Config) -> Ref | None:
    """The complete mirror with the fewest errors on its disks, the first of those that are alike."""
    plexes = [plex for plex in (config.plexes_of(volume) if volume in config else []) if plex.complete]

    def doubts(plex: Plex) -> tuple[bool, int]:
        disks = _disks(config, plex)
        return any(disk.failing for disk in disks), sum(disk.errors for disk in disks)

    return min(plexes, key=doubts).ref if plexes else None


def _build(volume: Ref, config: Config, answers: Answers) -> ScrubVolume:
    return ScrubVolume(volume=volume, source=answers["source"])
