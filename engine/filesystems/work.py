"""Work on file systems, each on a thread of its own: programs do it, on the volume's own export."""

from __future__ import annotations

import logging
import subprocess
from typing import TYPE_CHECKING

import msgspec

from engine.errors import EngineError
from engine.filesystems.contents import look_at_volume
from engine.filesystems.make import make
from engine.filesystems.mounted import mounted
from engine.filesystems.resize import resize
from engine.records import Connection, Task, TaskState, TaskType, Volume
from engine.rules import needs_imported
from engine.rules.tasks import volumes_of
from engine.serving import export_name

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from contextlib import AbstractContextManager

    from engine.commit import Committer
    from engine.config import Config, Edit
    from engine.filesystems.programs import Programs
    from engine.records import Record, Ref
    from engine.runtime import Runtime, Thread

log = logging.getLogger(__name__)

KINDS = (TaskType.FILE_SYSTEM, TaskType.FORMAT)
"""The types of tasks that are done here."""

BROKEN_OFF = "The engine ended before it was done. What stands on the volume may be damaged: check it, or format it."
_GONE_S = 20.0
_LOOK_S = 0.5


class FileSystemWork:
    """Carries out Resize File System and Format. What has begun ends with the engine: the programs are told to stop."""

    def __init__(
        self,
        committer: Committer,
        runtime: Runtime,
        socket: str,
        programs: Programs,
        away: Callable[[Collection[Ref]], AbstractContextManager[None]],
    ) -> None:
        """`away` keeps the drives of volumes away while it lasts."""
        self._committer = committer
        self._runtime = runtime
        self._socket = socket
        self._all = programs
        self._away = away
        self._lock = runtime.lock()
        self._threads: list[Thread] = []
        self._programs: list[subprocess.Popen[bytes]] = []
        self._closed = False

    def begin(self, task: Ref) -> None:
        """Start the work of a task whose record is committed."""
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        self._threads.append(self._runtime.thread(f"task {task.id} file system", lambda: self._run(task)))

    def recover(self, task: Task) -> None:
        """After a restart: what had not begun begins; what had has failed."""
        if task.type is TaskType.FORMAT and not task.checkpoint:
            self.begin(task.ref)
        else:
            self._end(task.ref, BROKEN_OFF, TaskState.FAILED)

    def close(self) -> None:
        """Stop every program, in order, and wait for their threads. What does not listen is killed."""
        with self._lock:
            self._closed = True
            programs = list(self._programs)
        for program in reversed(programs):
            program.terminate()
        for program in reversed(programs):
            try:
                program.wait(_GONE_S)
            except subprocess.TimeoutExpired:
                program.kill()
        for thread in self._threads:
            thread.join()

    # --- on the task's thread ---
    def _run(self, ref: Ref) -> None:
        try:
            result, state = self._carry_out(ref), TaskState.COMPLETED
        except EngineError as error:
            result, state = str(error), TaskState.FAILED
        except OSError as error:
            result, state = f"The volume could not be used as a file ({error.strerror or error}).", TaskState.FAILED
        except Exception as error:
            log.exception("Work on a file system met a defect")
            result, state = f"It met a defect in the engine ({error}).", TaskState.FAILED
        if not (self._closed and self._waits(ref)):
            self._end(ref, result, state)

    def _waits(self, ref: Ref) -> bool:
        """A format that has not begun: the next engine takes it up."""
        task = self._committer.config.get(ref)
        return isinstance(task, Task) and task.type is TaskType.FORMAT and not task.checkpoint

    def _end(self, ref: Ref, result: str, state: TaskState) -> None:
        def ended(edit: Edit) -> None:
            record = edit.config.get(ref)
            if isinstance(record, Task):
                now = self._runtime.time()
                edit.put(msgspec.structs.replace(record, state=state, result=result, finished_at=now))

        self._committer.commit(ended)

    def _carry_out(self, ref: Ref) -> str:
        task = self._committer.config.task(ref)
        volume = self._await_volume(task)
        export = export_name(self._committer.config.group(volume.group), volume)
        with self._away((volume.ref,)):
            self._begun(ref)
            try:
                with mounted(export, self._socket, self._runtime, self._start) as file:
                    work = make if task.type is TaskType.FORMAT else resize
                    return work(self, task, volume, file)
            finally:
                self._await_goodbye(volume.ref)
                look_at_volume(self._committer, volume.ref)

    def _await_volume(self, task: Task) -> Volume:
        """A new volume has to be whole first."""
        while not self._committer.wait_until(lambda config: _is_free(config, task), _LOOK_S):
            if self._closed:
                raise EngineError("The engine is ending.")
        volume = self._committer.config.get(task.params.volume)
        if not isinstance(volume, Volume) or needs_imported(self._committer.config, volume.group) is not None:
            raise EngineError("The volume is not there any more.")
        if not volume.serving:
            raise EngineError(f"{volume.name} is not started. Start the volume, then begin again.")
        return volume

    def _begun(self, ref: Ref) -> None:
        def begun(edit: Edit) -> None:
            record = edit.config.get(ref)
            if isinstance(record, Task):
                edit.put(msgspec.structs.replace(record, state=TaskState.RUNNING, checkpoint=1))

        self._committer.commit(begun)

    def _await_goodbye(self, volume: Ref) -> None:
        """Whoever acts on the end of the task finds nobody connected."""

        def is_ours(client: Record) -> bool:
            return isinstance(client, Connection) and client.helper

        self._committer.wait_until(lambda config: not any(map(is_ours, config.connections_of(volume))), _GONE_S)

    # --- for the work itself ---
    def run(self, command: Sequence[str]) -> tuple[int, str]:
        """One program to its end: its status and what it said."""
        program = self._start(command)
        out, err = program.communicate()
        return program.returncode, (err or out).decode(errors="replace")

    def progress(self, task: Ref, done: int) -> None:
        """So many bytes are done. EngineError when the engine is ending."""
        if self._closed:
            raise EngineError("The engine is ending.")

        def change(edit: Edit) -> None:
            record = edit.config.get(task)
            if isinstance(record, Task):
                edit.put(msgspec.structs.replace(record, bytes_done=done, bytes_copied=done))

        self._committer.commit(change)

    def _start(self, command: Sequence[str]) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._closed:
                raise EngineError("The engine is ending.")
            program = self._all.start(command)
            self._programs = [*(known for known in self._programs if known.poll() is None), program]
            return program


def _is_free(config: Config, task: Task) -> bool:
    """Nothing else works on the task's volume."""
    record = config.get(task.ref)
    if not isinstance(record, Task) or record.group is None or record.group not in config:
        return True
    wanted = task.params.volume
    others = [one for one in config.tasks_of(record.group) if one.ref != task.ref and not one.ended]
    return not any(wanted in volumes_of(config, one) for one in others)
