"""Resizes file systems on volumes, each on a thread of its own: programs do the work, on the volume's own export."""

from __future__ import annotations

import logging
import subprocess
from typing import TYPE_CHECKING

import msgspec

from engine.errors import EngineError
from engine.filesystems.mounted import mounted
from engine.filesystems.superblocks import HEAD, content_of
from engine.filesystems.tools import CALLS, Call, path_of
from engine.records import Connection, Task, TaskState, Volume
from engine.units import format_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.commit import Committer
    from engine.config import Edit
    from engine.records import Record, Ref
    from engine.runtime import Runtime, Thread

log = logging.getLogger(__name__)

_SAID_MAX = 400
_GONE_S = 20.0


class FileSystemResizer:
    """Carries out Resize File System. What it has begun ends with the engine: the programs are told to stop."""

    def __init__(self, committer: Committer, runtime: Runtime, socket: str) -> None:
        self._committer = committer
        self._runtime = runtime
        self._socket = socket
        self._lock = runtime.lock()
        self._threads: list[Thread] = []
        self._programs: list[subprocess.Popen[bytes]] = []
        self._process_ids: set[int] = set()
        self._closed = False

    def begin(self, task: Ref) -> None:
        """Start the work of a task whose record is committed."""
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        self._threads.append(self._runtime.thread(f"task {task.id} file system", lambda: self._run(task)))

    def close(self) -> None:
        """Stop every program, in order, and wait for their threads."""
        with self._lock:
            self._closed = True
            programs = list(self._programs)
        for program in reversed(programs):
            program.terminate()
        for thread in self._threads:
            thread.join()

    def _run(self, ref: Ref) -> None:
        result, state = "", TaskState.COMPLETED
        try:
            result = self._resize(self._committer.config.task(ref))
        except EngineError as error:
            result, state = str(error), TaskState.FAILED
        except Exception as error:
            log.exception("Resizing a file system met a defect")
            result, state = f"It met a defect in the engine ({error}).", TaskState.FAILED

        def ended(edit: Edit) -> None:
            record = edit.config.get(ref)
            if isinstance(record, Task):
                now = self._runtime.time()
                edit.put(msgspec.structs.replace(record, state=state, result=result, finished_at=now))

        self._committer.commit(ended)

    def _resize(self, task: Task) -> str:
        config = self._committer.config
        volume = config.get(task.params.volume)
        if not isinstance(volume, Volume):
            raise EngineError("The volume was removed.")
        calls = CALLS.get(volume.content)
        if calls is None:
            raise EngineError(f"No program is known that resizes what stands on {volume.name}.")
        export = f"{config.group(volume.group).name}/{volume.name}"
        try:
            with mounted(export, self._socket, self._runtime, self._start) as file:
                for call in calls:
                    self._call(call, file, task.params.size)
                return f"The {volume.content} on {volume.name} has {format_size(_size_of(file))} now."
        finally:
            self._await_goodbye(volume.ref)

    def _await_goodbye(self, volume: Ref) -> None:
        """The mount's process has ended, but the server may not have heard of it yet: whoever acts on the end of the
        task would be told that the volume is in use."""

        def is_ours(client: Record) -> bool:
            return isinstance(client, Connection) and client.process_id in self._process_ids

        self._committer.wait_until(lambda config: not any(map(is_ours, config.connections_of(volume))), _GONE_S)

    def _call(self, call: Call, file: str, size: int) -> None:
        name, *rest = call.filled(file, size)
        program = self._start([path_of(name) or name, *rest])
        out, err = program.communicate()
        if program.returncode not in call.good:
            said = " ".join((err or out).decode(errors="replace").replace(file, "the volume").split())
            raise EngineError(
                f"{call.name} ended with status {program.returncode}: {said[-_SAID_MAX:] or 'it said nothing'}"
            )

    def _start(self, command: Sequence[str]) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._closed:
                raise EngineError("The engine is ending.")
            try:
                program = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
                )
            except OSError as error:
                raise EngineError(f"{command[0]} could not be started: {error.strerror or error}.") from error
            self._process_ids.add(program.pid)
            self._programs = [*(known for known in self._programs if known.poll() is None), program]
            return program


def _size_of(file: str) -> int:
    """What it claims to have; programs may round a size down."""
    with open(file, "rb") as content:
        found = content_of(content.read(HEAD))
    return found.size if found is not None else 0
