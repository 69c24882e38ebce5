"""What a command would do, before it does it. Console, command line and remote callers get this same value."""

from __future__ import annotations

import msgspec

from engine.records import AnyRecord, Ref, Task


class Problem(msgspec.Struct, frozen=True, gc=False):
    """Why a command is impossible: one sentence, and one more with the first thing that would fix it."""

    text: str
    help: str = ""
    object: Ref | None = None
    field: str = ""  # the command's field that the operator should look at
    typed: str = ""  # how the command line says what `help` proposes: "-f"; a dialog has a field for it

    @property
    def sentences(self) -> str:
        """What is wrong and what would fix it, as one line, in the words of a dialog."""
        return f"{self.text} {self.help}".rstrip()

    @property
    def typed_sentences(self) -> str:
        """The same in the words of the command line."""
        return f"{self.text} {self.typed_help}".rstrip()

    @property
    def typed_help(self) -> str:
        """What would fix it, with what has to be typed."""
        return f"{self.help.removesuffix('.')} ({self.typed})." if self.typed else self.help


class Range(msgspec.Struct, frozen=True, gc=False):
    """A range of a LUN that changes hands. `label` is what it belongs to, in words."""

    disk: Ref
    offset: int
    length: int
    label: str = ""


class PlanStep(msgspec.Struct, frozen=True, gc=False):
    """One line of the plan page: what will happen, and how things are meanwhile."""

    text: str
    meanwhile: str = ""


class Plan(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The effect of a command on today's configuration."""

    title: str  # "Create Volume ev in dg1"
    basis: int = 0  # transaction number of the group that it was made against; 0 for host matters
    group: Ref | None = None  # whose transaction number `basis` is
    problems: tuple[Problem, ...] = ()  # any of them forbids it
    warnings: tuple[str, ...] = ()
    puts: tuple[AnyRecord, ...] = ()  # the edit: records to put, then records to drop
    drops: tuple[Ref, ...] = ()
    task: Task | None = None  # long work that the edit starts
    also: tuple[Task, ...] = ()  # further work that it starts beside `task`
    steps: tuple[PlanStep, ...] = ()
    allocates: tuple[Range, ...] = ()
    frees: tuple[Range, ...] = ()
    destroys: tuple[Ref, ...] = ()  # objects whose data cannot be had back
    zeroes_bytes: int = 0
    copies_bytes: int = 0
    redundancy: str = ""  # how redundancy is while it runs
    irreversible: str = ""  # what cannot be undone; empty when everything can
    undo: str = ""  # the inverse command (engine.commands.encode), when there is one
    confirm: str = ""  # the question to ask first; empty when none is needed
    confirm_button: str = ""  # its verb: "Delete Volume"

    @property
    def bytes_total(self) -> int:
        """What its task will write."""
        return self.zeroes_bytes + self.copies_bytes


def refused(title: str, *problems: Problem) -> Plan:
    """The plan of something impossible."""
    return Plan(title=title, problems=problems)
