"""The Snap Shot Volume Wizard: volumes of one disk group, all at one instant."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from engine import rules, snap_file
from engine.commands import SnapChoice, TakeSnapshots
from engine.config import Config
from engine.errors import EngineError
from engine.records import Kind, Plex, Ref, Volume
from engine.units import format_size
from vea_gui import snap_words
from vea_gui.selection import Selection
from vea_gui.wizards import choices
from vea_gui.wizards.form import Answers, Cell, Field, FieldKind, Form, Line, Mending, Option, Page
from vea_gui.wizards.snap_quiesce import limit_of, quiesce_fields
from vea_gui.wizards.snap_set_file import write_when_taken

WELCOME = """This wizard takes snapshots of volumes. Each is a volume of its own with all the bytes of one instant.

Volumes that depend on each other are taken together, as a snapshot set: no write is in one of them that is not in the \
others, too. The volumes stay in use; their writes wait for some milliseconds.

A volume is prepared once before its first snapshot. To continue, choose Next."""
DIGITS = 2
NOT_PREPARED = "not prepared"


def snap_shot(config: Config, selection: Selection) -> Form:
    """What is picked is selected already: volumes, or the snap plexes that are to leave."""
    group = selection.group
    plexes = {plex.volume: plex.ref for plex in selection.of(Plex) if plex.snap is not None}
    picked = tuple(volume.ref for volume in selection.volumes if ready_plex(config, volume.ref) is not None)
    of_group = group.ref if group is not None else None
    return Form(
        "snap_shot",
        "Snap Shot Volume Wizard",
        (_volumes_page(of_group), _attributes_page(plexes)),
        partial(_build, plexes),
        welcome=WELCOME,
        welcomes_always=True,
        wizard=True,
        about=(of_group,) if of_group is not None else (),
        answers={"volumes": picked},
        begun=_begun,
    )


def ready_plex(config: Config, volume: Ref) -> Plex | None:
    """The snap plex of a volume that would leave; None while none is ready."""
    return next((plex for plex in rules.snap_plexes_of(config, volume) if plex.complete), None)


# --- volumes ---
def _volumes_page(group: Ref | None) -> Page:
    return Page(
        "Select Volumes",
        "Decide which volumes are taken at one instant. Volumes that are not prepared can be prepared here.",
        (
            Field(
                "volumes",
                "Volumes",
                FieldKind.MENDED,
                default=(),
                options=_Offer(group),
                check=lambda _, answers: "" if answers["volumes"] else "Add at least one volume.",
                lists=("Available Volumes", "Selected Volumes"),
                mending=Mending("&Prepare...", "prepare_snapshot", _cannot_prepare),
                hint="Pick a volume that is not prepared and choose Prepare. It can be added when that has ended.",
            ),
        ),
    )


class _Offer:
    """The volumes of a group, those that can be taken first. What was found for a configuration is kept: a group may
    have ten thousand, and each letter that is typed asks anew."""

    def __init__(self, group: Ref | None) -> None:
        self._group = group
        self._known: tuple[Config, list[Option]] | None = None

    def __call__(self, config: Config, answers: Answers) -> list[Option]:
        if self._known is None or self._known[0] is not config:
            here = self._group is not None and self._group in config
            volumes = config.volumes_of(self._group) if here and self._group is not None else []
            found = [Option(one.ref, _volume_text(config, one), _cannot_snap(config, one)) for one in volumes]
            found.sort(key=lambda option: (bool(option.why_not), option.text))
            self._known = config, found
        return self._known[1]


def _volume_text(config: Config, volume: Volume) -> str:
    """`db, 2 GiB`; `SnapVolume01, 2 GiB, snapshot of db`."""
    original = snap_words.original_of(config, volume)
    of = f", snapshot of {original.name}" if original is not None else ""
    return f"{volume.name}, {format_size(volume.size)}{of}"


def _cannot_snap(config: Config, volume: Volume) -> str:
    """Why, without the volume's name: that stands before it."""
    if not rules.snap_plexes_of(config, volume.ref):
        return NOT_PREPARED
    ready = ready_plex(config, volume.ref)
    why = choices.short(rules.can_snap(config, volume.ref, ready.ref if ready is not None else None))
    return why.removeprefix(f"{volume.name} is ")


def _cannot_prepare(config: Config, volume: Any) -> str:
    return choices.sentence(rules.can_prepare(config, volume)) if volume in config else "It is not there any more."


# --- attributes ---
def _attributes_page(plexes: dict[Ref, Ref]) -> Page:
    return Page(
        "Change Attributes",
        "Decide what the snapshots are called, how their writers are kept still, and whether a file describes the set.",
        (
            Field(
                "attributes",
                "Snapshots",
                FieldKind.LINES,
                default=(),
                heads=("Volume", "Snap plex", "Snapshot name", "Drive letter", "Drive path", "Guest agent's socket"),
                lines=partial(lines, plexes),
                check=partial(_complaint, plexes),
                problems=("name", "plex", "choices", "letter", "path"),
                hint="Each snapshot is a volume of its own, exported and writable. A drive path is an empty folder in "
                "which its file system is mounted. The socket is that of the guest that uses the volume; empty: as "
                "Quiesce Settings say.",
            ),
            *quiesce_fields(lambda _, answers: answers["volumes"]),
            Field(
                "file",
                "XML file",
                FieldKind.FILE,
                check=_file_complaint,
                hint="Optional. With it, vxsnap restore, reattach and refresh work on this set. It is written when the "
                "snapshots are on the disks.",
            ),
            Field(
                "overwrite",
                "Overwrite the file if it is there",
                FieldKind.CHECK,
                default=False,
                enabled=lambda _, answers: bool(answers["file"]),
                off="No file is written. Name one first.",
            ),
        ),
    )


def lines(plexes: dict[Ref, Ref], config: Config, answers: Answers) -> list[Line]:
    """A line for each selected volume: as it was filled in, else by default. `plexes` are the picked ones."""
    volumes = [config.volume(ref) for ref in answers["volumes"] if ref in config]
    filled = {line.value: _said(line) for line in answers["attributes"]}
    names = _default_names(config, volumes, {said.name for said in filled.values()})
    letters = _default_letters(config, tuple(said.letter for said in filled.values()))
    said = [filled.get(volume.ref) or _first(volume, plexes, names, letters) for volume in volumes]
    taken = _taken_letters(config)
    return [_line(config, volume, one, taken) for volume, one in zip(volumes, said, strict=True)]


class _Said(NamedTuple):
    """The answers of a line."""

    plex: Ref | None
    name: str
    letter: str = ""
    path: str = ""
    agent: str = ""


def _said(line: Line) -> _Said:
    return _Said(*(cell.answer for cell in line.cells))


def _first(volume: Volume, plexes: dict[Ref, Ref], names: Iterator[str], letters: Iterator[str]) -> _Said:
    """By default the snapshot of what has a drive letter has one, too."""
    return _Said(plexes.get(volume.ref), next(names), next(letters) if volume.drive_letter else "")


def _taken_letters(config: Config) -> set[str]:
    """Those of volumes whose group this host has."""
    lettered = (one for one in config.every(Kind.VOLUME) if isinstance(one, Volume) and one.drive_letter)
    return {volume.drive_letter for volume in lettered if rules.needs_imported(config, volume.group) is None}


def _line(config: Config, volume: Volume, said: _Said, taken: set[str]) -> Line:
    ready = [plex for plex in rules.snap_plexes_of(config, volume.ref) if plex.complete]
    plex = said.plex if said.plex in {plex.ref for plex in ready} else next((plex.ref for plex in ready), None)
    plexes = tuple(Option(plex.ref, plex.name) for plex in ready)
    free = [letter for letter in rules.LETTERS if letter not in taken or letter == said.letter]
    letters = (Option("", "none"), *(Option(letter, f"{letter}:") for letter in free))
    cells = (Cell(plex, plexes), Cell(said.name), Cell(said.letter, letters), Cell(said.path), Cell(said.agent))
    return Line(volume.ref, volume.name, cells)


def _default_letters(config: Config, given: tuple[str, ...]) -> Iterator[str]:
    while True:
        letter = rules.free_letter(config, given)
        given = (*given, letter)
        yield letter


def _default_names(config: Config, volumes: list[Volume], filled: set[str]) -> Iterator[str]:
    taken = {volume.name for volume in config.volumes_of(volumes[0].group)} if volumes else set()
    taken |= filled
    while True:
        name = rules.next_name("SnapVolume", taken, digits=DIGITS)
        taken.add(name)
        yield name


def _complaint(plexes: dict[Ref, Ref], config: Config, answers: Answers) -> str:
    told = lines(plexes, config, answers)
    names = [_said(line).name for line in told]
    for line, name in zip(told, names, strict=True):
        if said := choices.name_complaint(config, Kind.VOLUME, name, config.volume(line.value).group):
            return f"{line.title}: {said}"
    twice = next((name for name in names if names.count(name) > 1), "")
    if twice:
        return f"Two snapshots would be called {twice}. Give each a name of its own."
    for line in told:
        if (agent := _said(line).agent) and not os.path.isabs(agent):
            return f"{line.title}: {agent} is no whole path of a guest agent's socket. Begin with a slash."
    letters = [said.letter for said in map(_said, told) if said.letter]
    twice = next((letter for letter in letters if letters.count(letter) > 1), "")
    return f"Two snapshots would have the drive letter {twice}. Choose another one." if twice else ""


def _file_complaint(config: Config, answers: Answers) -> str:
    if not answers["file"]:
        return ""
    if not os.path.isabs(answers["file"]):
        return "Give the whole path of the file, or choose Browse."
    if os.path.isfile(answers["file"]) and not answers["overwrite"]:
        return f"{answers['file']} is there already. Choose another name, or overwrite it."
    try:
        snap_file.check_free(snap_file.checked_name(answers["file"]), overwrite=answers["overwrite"])
    except EngineError as error:
        return str(error)
    return ""


def _build(plexes: dict[Ref, Ref], config: Config, answers: Answers) -> TakeSnapshots:
    told = [(line.value, _said(line)) for line in lines(plexes, config, answers)]
    file = answers["file"]
    return TakeSnapshots(
        choices=tuple(
            SnapChoice(
                volume=volume, plex=said.plex, name=said.name, letter=said.letter, path=said.path, agent=said.agent
            )
            for volume, said in told
        ),
        set_name=Path(file).stem if file else "",
        quiesce=answers["quiesce"],
        limit_s=limit_of(config, answers),
    )


def _begun(console: Any, answers: Answers, task: Ref) -> None:
    """The file waits for the snapshots to be on the disks."""
    if answers["file"]:
        write_when_taken(console, task, Path(answers["file"]), overwrite=answers["overwrite"])
