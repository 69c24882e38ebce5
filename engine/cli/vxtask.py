"""vxtask: long work, running and finished."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from engine.cli import output, resolve, rows
from engine.cli.common import COMMON, number, run
from engine.cli.forms import Form, Option, Tool, Usage, Words
from engine.units import format_band, format_size

if TYPE_CHECKING:
    from engine.cli.session import Session

_ALL = Option("--all", "Every task that runs at this moment.")
_HEADS = ("ID", "STATE", "DONE", "BYTES", "TIME LEFT", "TASK")


def _list(session: Session, words: Words) -> int:
    found = [rows.task_row(session.config, task) for task in rows.tasks_in_order(session.config)]
    if session.json:
        output.write_json(found)
        return 0
    cells = [
        (
            str(row["id"]),
            row["state"],
            f"{row['percent']:.0f} %",
            format_size(row["bytes_total"]) if row["bytes_total"] else "-",
            "-" if row["eta_low_s"] is None else format_band(row["eta_low_s"], row["eta_high_s"]),
            row["title"],
        )
        for row in found
    ]
    output.write(output.table(_HEADS, cells, right=("ID", "DONE", "BYTES")))
    return 0


def _clear(session: Session, words: Words) -> int:
    from engine.commands import ClearTasks

    tasks = tuple(resolve.task(session.config, number).ref for number in words.many("ID"))
    return session.carry_out(ClearTasks(tasks=tasks), reached=lambda _: True)


def _pause(session: Session, words: Words) -> int:
    from engine.commands import PauseTask

    task = resolve.task(session.config, words["ID"])
    return session.carry_out(PauseTask(task=task.ref), reached=lambda task: task.state == "paused")


def _resume(session: Session, words: Words) -> int:
    from engine.commands import ResumeTask

    task = resolve.task(session.config, words["ID"])
    return session.carry_out(ResumeTask(task=task.ref), reached=lambda task: task.state != "paused")


def _abort(session: Session, words: Words) -> int:
    from engine.commands import AbortTask

    task = resolve.task(session.config, words["ID"])
    return session.carry_out(AbortTask(task=task.ref), reached=lambda _: False)


def _set(session: Session, words: Words) -> int:
    from engine.commands import ThrottleTask

    if "iodelay" not in words.settings:
        raise Usage("Say what to set: vxtask set ID iodelay=MS.")
    task = resolve.task(session.config, words["ID"])
    rest = number(words, "iodelay", 0)
    command = ThrottleTask(task=task.ref, iodelay_ms=rest)
    return session.carry_out(command, reached=lambda task: task.iodelay_ms == rest)


def _wait(session: Session, words: Words) -> int:
    if words.has("--all") == bool(words.many("ID")):
        raise Usage("Say for what to wait: vxtask wait ID, or vxtask wait --all.")
    if words.many("ID"):
        return session.wait([resolve.task(session.config, number).ref for number in words.many("ID")])
    running = [task.ref for task in rows.tasks_in_order(session.config) if task.state in ("queued", "running")]
    return session.wait(running, several=True)


TOOL = Tool(
    "vxtask",
    "Long work, running and finished.",
    (
        Form("list", "List tasks, finished ones until they are cleared.", _list, examples=("vxtask list --json",)),
        Form("clear [ID]", "Forget a finished task, or all of them.", _clear),
        Form("pause ID", "Let a task rest.", _pause),
        Form("resume ID", "Let it go on.", _resume),
        Form("abort ID", "End it, and return what it began.", _abort),
        Form(
            "set ID",
            "Slow it down: milliseconds of rest after each mebibyte.",
            _set,
            settings={"iodelay": "MS"},
            examples=("vxtask set 17 iodelay=20",),
        ),
        Form(
            "wait [ID]",
            "Wait until it ends; the exit status is its result.",
            _wait,
            options=(_ALL,),
            examples=("vxtask wait 17", "vxtask wait --all"),
        ),
    ),
    COMMON,
)


def main() -> None:
    sys.exit(run(TOOL))


if __name__ == "__main__":
    main()
