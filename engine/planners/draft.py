"""A plan in the making: an edit of the configuration, with everything that an operator wants to know of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

import msgspec

from engine.allocate import Column, Piece
from engine.commands import Command, encode
from engine.config import Config, Edit
from engine.plans import Plan, PlanStep, Problem, Range, refused
from engine.records import (
    AnyRecord,
    Group,
    Kind,
    PieceState,
    Plex,
    PlexLayout,
    Record,
    Ref,
    Subdisk,
    Task,
    TaskParams,
    TaskType,
    Volume,
)
from engine.rules import counted, next_name
from engine.units import format_size

Ids: TypeAlias = Callable[[Kind], Ref]


class Draft:
    """Collects an edit and its description. Nothing is kept of it unless `plan` is asked for."""

    def __init__(self, config: Config, ids: Ids, group: Ref | None = None) -> None:
        self.base = config
        self.ids = ids
        self.group = group
        self._edit = Edit(config)
        self._steps: list[PlanStep] = []
        self._warnings: list[str] = []
        self._allocates: list[Range] = []
        self._frees: list[Range] = []
        self._numbers: dict[Ref, int] = {}  # of the last name given on a disk

    @property
    def config(self) -> Config:
        """The configuration with all that has been put so far, derived states aside."""
        return self._edit.config

    def put(self, *records: Record) -> None:
        for record in records:
            self._edit.put(record)

    def drop(self, *refs: Ref) -> None:
        for ref in refs:
            self._edit.drop(ref)

    def step(self, text: str, meanwhile: str = "") -> None:
        self._steps.append(PlanStep(text, meanwhile))

    def warn(self, text: str) -> None:
        self._warnings.append(text)

    # --- plexes and subdisks ---
    def add_plex(self, volume: Volume, template: Plex) -> Plex:
        """A new plex of a volume, shaped like `template`, under the next free name."""
        taken = {plex.name for other in self.config.volumes_of(volume.group) for plex in self._plexes(other, volume)}
        name = next_name(f"{volume.name}-", taken, digits=2)
        plex = msgspec.structs.replace(template, ref=self.ids(Kind.PLEX), name=name, volume=volume.ref)
        self.put(plex)
        return plex

    def _plexes(self, other: Volume, volume: Volume) -> list[Plex]:
        # Only names that begin with the volume's can be in the way.
        near = other.ref == volume.ref or other.name.startswith(volume.name) or volume.name.startswith(other.name)
        return self.config.parts_of(other.ref) if near else []

    def add_plexes(self, volume: Volume, template: Plex, placed: Sequence[Sequence[Column]]) -> TaskParams:
        """New plexes with their subdisks; the answer names them all."""
        plexes, subdisks = [], []
        for columns in placed:
            plex = self.add_plex(volume, template)
            plexes.append(plex.ref)
            for number, pieces in enumerate(columns):
                subdisks += [subdisk.ref for subdisk in self.add_subdisks(plex, number, 0, pieces)]
        return TaskParams(volume=volume.ref, plexes=tuple(plexes), subdisks=tuple(subdisks))

    def allocated(self) -> int:
        """Bytes that have been given to subdisks so far."""
        return sum(given.length for given in self._allocates)

    def add_subdisks(
        self,
        plex: Plex,
        column: int,
        end: int,
        pieces: Iterable[Piece],
        replaces: Ref | None = None,
        *,
        state: PieceState = PieceState.GOOD,
    ) -> list[Subdisk]:
        """Subdisks for these pieces, one behind the other from `end` on in a column."""
        made = []
        for piece in pieces:
            subdisk = Subdisk(
                ref=self.ids(Kind.SUBDISK),
                name=self.subdisk_name(piece.disk),
                plex=plex.ref,
                disk=piece.disk,
                disk_offset=piece.offset,
                plex_offset=end,
                length=piece.length,
                column=column,
                replaces=replaces,
                state=state,
            )
            self.put(subdisk)
            self._allocates.append(Range(piece.disk, piece.offset, piece.length, label(plex, column)))
            made.append(subdisk)
            end += piece.length
        return made

    def claim(self, subdisk: Subdisk) -> None:
        """Put a subdisk of another time, whose range is free."""
        plex = self.config.plex(subdisk.plex)
        self.put(subdisk)
        where = label(plex, subdisk.column)
        self._allocates.append(Range(subdisk.disk, subdisk.disk_offset, subdisk.length, where))

    def subdisk_name(self, disk: Ref) -> str:
        """The next free name of a subdisk on a disk."""
        record = self.config.disk(disk)
        number = self._numbers.get(disk, 0) + 1
        while self.config.find(Kind.SUBDISK, f"{record.name}-{number:02d}", record.group) is not None:
            number += 1
        self._numbers[disk] = number
        return f"{record.name}-{number:02d}"

    def free(self, subdisk: Subdisk) -> None:
        """Tell that a subdisk's range becomes free, now or at the end of the task."""
        plex = self.base.plex(subdisk.plex)
        where = label(plex, subdisk.column)
        self._frees.append(Range(subdisk.disk, subdisk.disk_offset, subdisk.length, where))

    def drop_plex(self, plex: Ref) -> None:
        """Drop a plex with its subdisks; their ranges become free."""
        for subdisk in self.config.subdisks_of(plex):
            self.free(subdisk)
            self.drop(subdisk.ref)
        self.drop(plex)

    def allocation_steps(self, meanwhile: str) -> None:
        """One step for each disk that gives space, with what it has left."""
        by_disk: dict[Ref, int] = {}
        for given in self._allocates:
            by_disk[given.disk] = by_disk.get(given.disk, 0) + given.length
        for disk, length in by_disk.items():
            record = self.config.disk(disk)
            enclosure = self.config.get(record.enclosure)
            where = f"{record.name} ({enclosure.name})" if enclosure else record.name
            left = sum(extent.length for extent in self.config.free(disk))
            self.step(f"Allocate {format_size(length)} on {where}, free after {format_size(left)}", meanwhile)
            meanwhile = ""

    # --- the result ---
    def task(
        self, type_: TaskType, name: str, object_: Ref | None, params: TaskParams, bytes_total: int, undo: str = ""
    ) -> Task:
        """The task that this plan starts."""
        return Task(
            ref=self.ids(Kind.TASK),
            name=name,
            type=type_,
            object=object_,
            group=self.group,
            params=params,
            bytes_total=bytes_total,
            iodelay_ms=self.base.delay_of(type_),
            undo=undo,
        )

    def plan(
        self,
        title: str,
        *,
        task: Task | None = None,
        undo: Command | None = None,
        destroys: Sequence[Ref] = (),
        zeroes: int = 0,
        copies: int = 0,
        redundancy: str = "",
        irreversible: str = "",
        confirm: str = "",
        confirm_button: str = "",
        commits: bool = True,
    ) -> Plan:
        """The finished plan. `commits`: the last step is the commit to the group's disks."""
        written = encode(undo) if undo is not None else ""
        if commits and self.group is not None:
            self._commit_step("can be undone" if written and not irreversible else "")
        touched = list(self._edit.touched)
        basis = self.base.get(self.group)
        return Plan(
            title=title,
            basis=basis.transaction if isinstance(basis, Group) else 0,
            group=self.group if isinstance(basis, Group) else None,
            warnings=tuple(self._warnings),
            puts=tuple(self._changed(touched)),
            drops=tuple(ref for ref in touched if ref in self.base and ref not in self.config),
            task=msgspec.structs.replace(task, undo=written) if task is not None else None,
            steps=tuple(self._steps),
            allocates=tuple(self._allocates),
            frees=tuple(self._frees),
            destroys=tuple(destroys),
            zeroes_bytes=zeroes,
            copies_bytes=copies,
            redundancy=redundancy,
            irreversible=irreversible,
            undo=written,
            confirm=confirm,
            confirm_button=confirm_button,
        )

    def _changed(self, touched: Iterable[Ref]) -> Iterable[AnyRecord]:
        for ref in touched:
            record = self.config.get(ref)
            if record is not None and record != self.base.get(ref):
                yield record

    def _commit_step(self, meanwhile: str) -> None:
        disks = [disk for disk in self.config.disks_of(self.group) if disk.present] if self.group else []
        if disks:
            self.step(f"Commit the configuration to {counted(len(disks), 'disk')}", meanwhile)


def label(plex: Plex, column: int) -> str:
    """What a range belongs to, in words: `ev-01`, `ev-01, column 2`, or `ev-02, log`."""
    if plex.layout is PlexLayout.LOG:
        return f"{plex.name}, log"
    return plex.name if plex.layout is PlexLayout.CONCAT else f"{plex.name}, column {column + 1}"


def refuse(title: str, *problems: Problem | None) -> Plan | None:
    """The plan of something impossible for the first of these problems; None when there is none."""
    found = next((problem for problem in problems if problem is not None), None)
    return None if found is None else refused(title, found)
